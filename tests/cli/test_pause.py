"""`scim-bridge pause` and `resume`: nothing is sent meanwhile, and nothing is lost."""

import pytest

from scim_bridge.sandbox import SandboxServer
from tests.cli.operation import Sandbox, client_of, in_front_of


@pytest.fixture
def sandbox():
    with SandboxServer() as server:
        yield server


def test_nothing_is_sent_while_delivery_is_paused(run, json_of, sandbox, folder):
    """A client's write is taken and waits, also one that takes access away; then it arrives."""
    file = in_front_of(sandbox, folder)
    with client_of(file) as client:
        jane = client.add_user("jane@example.com")
        run("pause", "--reason", "moving to another region")
        client.patch(f"/Users/{jane}", active=False)
        bob = client.add_user("bob@example.com")

    status = json_of("status")
    [held_back] = Sandbox(url=sandbox.url).state()["users"]

    assert bob
    assert held_back["active"] is True
    assert status["pending"] == 2
    assert status["paused"]["by"] == "operator:ada"
    assert status["paused"]["reason"] == "moving to another region"
    assert "scim-bridge resume" in run("status").stdout
    assert "paused by operator:ada" in run("sync", expect=1).stderr

    run("resume")
    run("sync")

    users = {user["userName"]: user["active"] for user in Sandbox(url=sandbox.url).state()["users"]}
    assert users == {"jane@example.com": False, "bob@example.com": True}
    assert json_of("status")["paused"] is None


def test_an_operator_who_takes_access_away_is_told_of_the_pause(run, sandbox, folder):
    """`deprovision` decides and does not send; its exit code tells that it has yet to arrive."""
    file = in_front_of(sandbox, folder)
    with client_of(file) as client:
        client.add_user("jane@example.com")
    run("pause", "--reason", "maintenance")

    said = run("deprovision", "jane@example.com", "--reason", "left", expect=1).stdout

    assert "Delivery is paused" in said
    assert [user["active"] for user in Sandbox(url=sandbox.url).state()["users"]] == [True]


def test_both_are_audited_and_may_be_repeated(run, json_of, sandbox, folder):
    """The trail has who stopped delivery and why, once."""
    in_front_of(sandbox, folder)
    run("db", "upgrade")
    run("pause", "--reason", "maintenance")

    assert "paused already" in run("pause", "--reason", "again").stdout
    run("resume")
    assert "was not paused" in run("resume").stdout
    actions = run("audit").stdout
    assert actions.count("paused all delivery") == 1
    assert actions.count("resumed delivery") == 1
