"""`scim-bridge worker`: deliveries without a server."""

import signal
from contextlib import suppress

import pytest
from sqlalchemy import select

from scim_bridge.directory.tables import observed_memberships, pending
from scim_bridge.sync.worker import Worker
from tests.cli.operation import client_of, in_front_of, running, until

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def test_it_delivers_until_it_is_stopped(server, sandbox, folder):
    """What was written elsewhere arrives; SIGTERM ends it with exit code 0."""
    file = in_front_of(server, folder, more="[delivery]\nwait = 0\n")
    with client_of(file) as client, running(folder, "--config", str(file), "worker") as worker:
        client.add_user("jane@example.com")
        until(lambda: sandbox.user("jane@example.com"), within=60)
        client.add_user("ada@example.com")
        until(lambda: sandbox.user("ada@example.com"), within=60)

        assert worker.stop() == 0

    assert worker.said().startswith(f"Delivering to {server.scim_endpoint}")
    assert "error" not in worker.said()


def test_a_delivery_that_takes_long_is_left_between_two_calls(run, server, sandbox, folder):
    """SIGTERM in the middle of many calls for one group: after some seconds it is left. What was
    done is recorded, and whoever delivers next goes on at once, without waiting for a lease.
    """
    file = in_front_of(server, folder, more="[delivery]\nwait = 0\ncoalesce = 0\n")
    # There each member is a call of its own.
    by_calls = '[identity_center]\nwrite_via = "identity-store"'
    file.write_text(file.read_text().replace("[identity_center]", by_calls))
    with client_of(file) as client:
        people = [client.add_user(f"p{number}@example.com") for number in range(25)]
        run("sync")
        client.add_group("staff", *people)
        slowly = {"SCIM_BRIDGE_IDENTITY_CENTER__CALLS_PER_SECOND": "2"}
        with running(folder, "--config", str(file), "worker", **slowly) as worker:
            until(lambda: _rows(client, observed_memberships))
            assert worker.stop() == 0
        there = len(sandbox.state()["memberships"])
        known = len(_rows(client, observed_memberships))
        marks = [one for one in _rows(client, pending) if one.state != "clear"]
    run("sync")

    assert 0 < known == there < len(people)
    assert [(one.kind, one.state, one.leased_until, one.reread) for one in marks] == [
        ("group", "pending", None, False)
    ]
    assert len(sandbox.state()["memberships"]) == len(people)


def _rows(client, table):
    with client.bridge.database.reading() as connection:
        return connection.execute(select(table)).all()


def test_what_was_switched_off_is_delivered_once_it_is_on(json_of, server, sandbox, folder):
    """[users] create was false; when a worker starts with it on, the suppressed person arrives."""
    file = in_front_of(server, folder, more="[users]\ncreate = false\n")
    with client_of(file) as client:
        client.add_user("jane@example.com")
    assert json_of("status")["suppressed"] == 1

    with running(folder, "--config", str(file), "worker", SCIM_BRIDGE_USERS__CREATE="true"):
        until(lambda: sandbox.user("jane@example.com"), within=60)


@pytest.mark.parametrize("failing", ["database", "schema", "worker"])
def test_signals_are_as_they_were_where_it_cannot_go_on(failing, run, server, folder, monkeypatch):
    """Whoever runs the command within their process can still be stopped."""
    in_front_of(server, folder)
    if failing == "database":
        monkeypatch.setenv("SCIM_BRIDGE_DATABASE__URL", "sqlite:////no/where/x.db")
    elif failing == "schema":
        (folder / "bridge.db").write_text("nonsense" * 1000)
    else:
        monkeypatch.setattr(Worker, "run", lambda _: 1 / 0)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = [signal.getsignal(one) for one in WATCHED]

    with suppress(ZeroDivisionError):
        run("worker", expect=1)

    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert [signal.getsignal(one) for one in WATCHED] == handlers
    assert not signal.sigpending() & set(WATCHED)


def test_settings_without_an_identity_center_are_told(run, folder):
    """There is nothing to deliver to."""
    assert "identity_center" in run("worker", expect=1).stderr
