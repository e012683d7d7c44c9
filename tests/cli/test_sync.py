"""`scim-bridge sync`: deliver now, and decide what is held."""

import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import select

from scim_bridge.directory import tables
from tests.cli.operation import ROOT, client_of, in_front_of, person, serving

LATER = "[delivery]\nwait = 0\n"


@pytest.fixture
def held(server, folder):
    """A bridge whose brake has just held the sixth of six leavers."""
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        ids = [client.add_user(f"p{n}@example.com") for n in range(6)]
        client.add_group("team", *ids)
        client.bridge.worker().run_once()
        for user_id in ids:
            client.patch(f"/Users/{user_id}", active=False)
        client.bridge.worker().run_once()
        yield client


def test_everything_that_waits_is_delivered(run, server, sandbox, folder):
    """Also what follows from a delivery, and what waits for its quiet period, in one run."""
    with client_of(in_front_of(server, folder, more=LATER)) as client:
        jane = client.add_user("jane@example.com")
        client.add_group("engineers", jane)

        said = run("sync").stdout

    assert "Delivered: 2. Left: nothing." in said
    assert sandbox.members("engineers") == {"jane@example.com"}


def test_a_held_group_is_named_in_a_decision(run, json_of, server, sandbox, folder):
    """A held removal says which group it is about; rejected, the member stays there."""
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        ids = [client.add_user(f"p{n:02}@example.com") for n in range(21)]
        group = client.add_group("team", *ids)
        client.bridge.worker().run_once()
        client.patch(f"/Groups/{group}", members=[])
        [one] = json_of("status")["held_sets"]
        [still] = json_of("access")["holdings"]

        said = run("sync", "--reject", one["id"]).stdout
        [back] = json_of("access")["holdings"]

        [kept] = one["names"]
        assert f"1 person stays in team: {kept}" in said
        assert sandbox.members("team") == {kept}
        assert (still["userName"], still["heldIn"]) == (kept, one["id"])
        assert (back["memberBy"], back["givenBackBy"], back["loss"]) == (
            "client:hr", "operator:ada", None,
        )  # fmt: skip
        client.patch(f"/Groups/{group}", members=[])
    assert sandbox.members("team") == {kept}
    assert json_of("access")["holdings"][0]["heldIn"]


def test_a_terminal_shows_how_far_it_is(server, sandbox, folder):
    """Whoever waits for many deliveries sees a bar; a file or pipe gets none."""
    file = in_front_of(server, folder, more=LATER)
    with client_of(file) as client:
        client.add_user("jane@example.com")
    sandbox.fault("CreateUser", delay=0.5, times=1)
    ours, theirs = os.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "scim_bridge", "--config", str(file), "sync"],
            stderr=theirs,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        )
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "Identity Center" in shown


def test_what_a_running_bridge_delivers_is_waited_for(run, server, sandbox, folder):
    """Beside `serve`, a sync ends well when what that has under way has arrived."""
    file = in_front_of(server, folder, more=LATER)
    sandbox.fault("CreateUser", delay=1.5, times=1)
    with serving(file) as served:
        served.sent("POST", "/Users", person("jane@example.com"))
        time.sleep(0.5)

        run("sync")

    assert sandbox.user("jane@example.com") is not None


def test_a_sync_is_written_into_the_journal(run, server, folder):
    """A run has its times, its outcome and what it delivered."""
    with client_of(in_front_of(server, folder, more=LATER)) as client:
        client.add_user("jane@example.com")
        run("sync")
        with client.bridge.database.reading() as connection:
            [row] = connection.execute(select(tables.runs)).all()

    assert (row.kind, row.outcome, row.counts["delivered"]) == ("sync", "ok", 1)
    assert row.ended >= row.started


def test_what_is_refused_is_exit_code_1_and_told(run, json_of, server, sandbox, folder):
    """What failed is named with AWS's reason; --retry tries it again."""
    with client_of(in_front_of(server, folder, more=LATER)) as client:
        client.add_user("jane@example.com")
        sandbox.fault("CreateUser", status=400, times=1)

        said = run("sync", expect=1).stdout
        assert "user jane@example.com" in said
        assert "1 failed" in said
        run("sync", expect=1)
        result = json_of("sync", "--retry")

    assert (result["retried"], result["delivered"], result["failed"]) == (1, 1, 0)
    assert sandbox.user("jane@example.com") is not None


def test_what_cannot_be_delivered_now_is_exit_code_1(run, json_of, server, sandbox, folder):
    """A door that is closed leaves everything pending; the next sync asks again at once."""
    with client_of(in_front_of(server, folder, more=LATER, auth="bearer")) as client:
        client.add_user("jane@example.com")
        sandbox.behave(bearer_token="another")

        result = json_of("sync", expect=1)
        assert result["pending"] == 1
        assert result["problems"][0]["name"] == "jane@example.com"
        assert json_of("status")["circuit"] == "open"

        sandbox.behave(bearer_token="sandbox-token")
        run("sync")

        assert json_of("status")["circuit"] == "closed"
    assert sandbox.user("jane@example.com") is not None


def test_approval_lets_a_held_set_pass(run, json_of, held, sandbox):
    """The people are named, and lose their access in the same run (design, section 9)."""
    [one] = json_of("status")["held_sets"]
    assert sandbox.user("p5@example.com")["active"]

    said = run("sync", "--approve", one["id"], "--reason", "site closed").stdout

    assert "1 person to be disabled: p5@example.com" in said
    assert not sandbox.user("p5@example.com")["active"]
    assert sandbox.members("team") == set()
    assert json_of("status")["held_sets"] == []
    assert "site closed" in run("audit").stdout


def test_rejection_leaves_people_as_they_were(run, json_of, held, sandbox):
    """Who is in a rejected set is active again in the directory, and was never touched at AWS."""
    [one] = json_of("status")["held_sets"]

    said = run("sync", "--reject", one["id"]).stdout

    assert "1 person stays enabled: p5@example.com" in said
    assert sandbox.user("p5@example.com")["active"]
    assert sandbox.members("team") == {"p5@example.com"}
    found = held.send("GET", '/Users?filter=userName eq "p5@example.com"')
    assert found["Resources"][0]["active"] is True


def test_a_set_that_is_not_there_changes_nothing(run, server, sandbox, folder):
    """A typing error delivers nothing and tells where sets are listed."""
    with client_of(in_front_of(server, folder, more=LATER)) as client:
        client.add_user("jane@example.com")

    said = run("sync", "--approve", "nothing", expect=1).stderr

    assert "scim-bridge status" in said
    assert sandbox.state()["users"] == []
