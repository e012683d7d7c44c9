"""`scim-bridge purge`: a person is erased, and the record stays whole."""

import sqlite3

import pytest

from scim_bridge.sync.purge import Purge
from tests.cli.operation import client_of, in_front_of, until
from tests.sync.test_cuts import Aws


@pytest.fixture
def file(server, folder):
    """Settings of a bridge with jane, her manager ada and a group, everything delivered."""
    file = in_front_of(server, folder)
    with client_of(file) as client:
        jane = client.add_user("jane@example.com", title="Zahnärztin")
        ada = client.add_user("ada@example.com")
        client.add_group("engineers", jane, ada)
        client.patch(f"/Users/{jane}", displayName="Jane Doe-Zabel")
        client.bridge.worker().run_once()
    return file


def everything_stored(folder) -> str:
    """Every value of every table, as text."""
    values = []
    with sqlite3.connect(folder / "bridge.db") as connection:
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = connection.execute(names).fetchall()
        for (table,) in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608
            values.extend(str(value) for row in rows for value in row)
    return "\n".join(values)


def test_nothing_personal_is_left(run, file, sandbox, folder):
    """Not at Identity Center, and in no table; the trail still verifies and tells of the purge."""
    assert "Zahn" in everything_stored(folder)

    run("purge", "jane@example.com", "--yes", "--reason", "request, ticket 4711")

    left = everything_stored(folder).casefold()
    assert sandbox.user("jane@example.com") is None
    assert sandbox.members("engineers") == {"ada@example.com"}
    for value in ("jane", "zahn", "doe-zabel"):
        assert value not in left
    assert "ada@example.com" in left
    assert "erased" in run("audit").stdout
    run("audit", "verify")


def test_it_asks_before_it_erases(run, file, sandbox):
    """Without a yes nothing happens; who is not known is said."""
    run("purge", "jane@example.com", "--reason", "request", expect=1)

    assert sandbox.user("jane@example.com") is not None
    said = run("purge", "nobody@example.com", "--yes", "--reason", "request", expect=1).stderr
    assert "the directory has no user 'nobody@example.com'" in said


def test_earlier_records_of_the_same_name_are_erased_with_it(run, file, sandbox, folder):
    """One person who was hired again is one person."""
    run("client", "revoke", "hr")
    with client_of(file) as client:
        [jane] = client.send("GET", '/Users?filter=userName eq "jane@example.com"')["Resources"]
        client.send("DELETE", f"/Users/{jane['id']}")
        client.add_user("jane@example.com")
        client.bridge.worker().run_once()

    run("purge", "jane@example.com", "--yes", "--reason", "request")

    assert "jane" not in everything_stored(folder).casefold()
    assert sandbox.user("jane@example.com") is None


def test_nothing_is_erased_while_access_has_yet_to_go(run, file, sandbox, folder):
    """An erased person who can still sign in would be found by nobody."""
    sandbox.fault("PatchUser", status=503, times=1000)

    said = run("purge", "jane@example.com", "--yes", "--reason", "request", expect=1).stderr
    assert "nothing was erased" in said
    assert "jane@example.com" in everything_stored(folder)

    sandbox.mend()
    run("sync")
    run("purge", "jane@example.com", "--yes", "--reason", "request")
    assert "jane" not in everything_stored(folder).casefold()


def left_long_ago(run, file, sandbox) -> str:
    """The principal of jane, who left; her record has ended, and she is disabled."""
    run("client", "revoke", "hr")
    with client_of(file) as client:
        [jane] = client.send("GET", '/Users?filter=userName eq "jane@example.com"')["Resources"]
        client.send("DELETE", f"/Users/{jane['id']}")
        client.bridge.worker().run_once()
    return sandbox.user("jane@example.com")["id"]


def test_somebody_who_left_long_ago_is_erased_with_what_they_were_given_since(
    run, file, sandbox, server
):
    """An assignment of somebody who is gone would stand for ever."""
    sandbox.behave(assignment_seconds=0.0)
    Aws(server).assign(left_long_ago(run, file, sandbox), "Billing")
    assert sandbox.state()["assignments"]

    run("purge", "jane@example.com", "--yes", "--reason", "request")

    assert sandbox.user("jane@example.com") is None
    assert sandbox.state()["assignments"] == []


def test_what_was_given_after_everything_was_taken_away_is_seen(
    run, file, sandbox, server, monkeypatch
):
    """The last look is the one before the deletion. The second try takes it away."""
    jane = left_long_ago(run, file, sandbox)
    sandbox.behave(assignment_seconds=0.0)
    erase = Purge.erase

    def give_and_erase(purge, user_id):
        Aws(server).assign(jane, "Billing")
        monkeypatch.setattr(Purge, "erase", erase)
        until(lambda: sandbox.state()["assignments"], within=10)
        purge.erase(user_id)

    monkeypatch.setattr(Purge, "erase", give_and_erase)
    said = run("purge", "jane@example.com", "--yes", "--reason", "request", expect=1).stderr
    assert "nothing was erased" in said
    assert sandbox.user("jane@example.com") is not None

    run("purge", "jane@example.com", "--yes", "--reason", "request")
    assert sandbox.state()["assignments"] == []
    assert sandbox.user("jane@example.com") is None


def test_what_somebody_is_being_given_just_now_is_waited_for(run, file, sandbox, server):
    """No list shows it before AWS is done, and then the person would be gone.

    What somebody else is being given is not waited for.
    """
    jane, aws = left_long_ago(run, file, sandbox), Aws(server)
    sandbox.behave(assignment_seconds=3600.0)
    aws.assign(sandbox.user("ada@example.com")["id"], "Billing")
    sandbox.behave(assignment_seconds=1.5)
    aws.assign(jane, "Billing")
    sandbox.behave(assignment_seconds=0.0)

    run("purge", "jane@example.com", "--yes", "--reason", "request")

    state = sandbox.state()
    assert sandbox.user("jane@example.com") is None
    assert (state["assignments"], len(state["inProgress"])) == ([], 1)


def test_nobody_is_erased_whose_assignment_aws_does_not_come_to_an_end_with(
    run, file, sandbox, server, monkeypatch
):
    """It is said, and nothing is erased."""
    jane = left_long_ago(run, file, sandbox)
    monkeypatch.setattr("scim_bridge.sync.purge.PATIENCE", 0.0)
    sandbox.behave(assignment_seconds=3600.0)
    Aws(server).assign(jane, "Billing")

    said = run("purge", "jane@example.com", "--yes", "--reason", "request", expect=1).stderr

    assert "is giving" in said
    assert "nothing was erased" in said
    assert sandbox.user("jane@example.com") is not None
