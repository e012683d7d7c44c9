"""`scim-bridge deprovision` and `reactivate`: one person, at once."""

import pytest

from tests.cli.operation import client_of, in_front_of, serving


@pytest.fixture
def client(server, folder):
    """A bridge without a worker, with jane and ada in a group and everything delivered."""
    with client_of(in_front_of(server, folder)) as client:
        jane, ada = (client.add_user(f"{name}@example.com") for name in ("jane", "ada"))
        client.add_group("engineers", jane, ada)
        client.bridge.worker().run_once()
        yield client


def test_deprovisioning_is_done_when_the_command_ends(run, client, sandbox):
    """The person is disabled and in no group at Identity Center; nobody else is touched."""
    said = run("deprovision", "jane@example.com", "--reason", "laptop stolen").stdout

    assert "At Identity Center: disabled, in no group." in said
    assert sandbox.user("jane@example.com")["active"] is False
    assert sandbox.members("engineers") == {"ada@example.com"}
    assert "laptop stolen" in run("audit", "--user", "jane@example.com").stdout


def test_reactivation_gives_everything_back(run, client, sandbox):
    """The person is enabled and in their groups again (design, section 3)."""
    run("deprovision", "jane@example.com", "--reason", "laptop stolen")

    said = run("reactivate", "JANE@example.com", "--reason", "laptop found").stdout

    assert "At Identity Center: enabled, in engineers." in said
    assert sandbox.user("jane@example.com")["active"] is True
    assert sandbox.members("engineers") == {"ada@example.com", "jane@example.com"}


def test_an_operator_passes_the_brake(run, json_of, server, sandbox, folder):
    """The sixth leaver of an hour is let go all the same, when an operator says so."""
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        ids = [client.add_user(f"p{n}@example.com") for n in range(7)]
        for user_id in ids[:6]:
            client.patch(f"/Users/{user_id}", active=False)
        assert json_of("status")["held"] == 1

        run("deprovision", "p5@example.com", "--reason", "dismissed")
        run("deprovision", "p6@example.com", "--reason", "dismissed")

    assert {user["active"] for user in sandbox.state()["users"]} == {False}
    assert json_of("status")["held"] == 0


def test_what_does_not_arrive_is_told_and_exit_code_1(run, client, sandbox):
    """While AWS does not answer the decision stands, and the operator knows that it waits."""
    sandbox.fault("*", status=503, times=100)

    said = run("deprovision", "jane@example.com", "--reason", "x", expect=1).stdout

    assert "is deactivated in the directory" in said
    assert "! pending: user jane@example.com" in said
    assert "! pending: group engineers" in said
    sandbox.mend()
    run("sync")
    assert sandbox.user("jane@example.com")["active"] is False


def test_somebody_unknown_is_an_error(run, client):
    """A userName that nobody has changes nothing."""
    said = run("deprovision", "nobody@example.com", "--reason", "x", expect=1).stderr

    assert "nobody@example.com" in said


@pytest.mark.parametrize("command", ["deprovision", "reactivate"])
def test_a_reason_is_required(command, run):
    """Nobody loses or gains access by hand without a reason on record."""
    assert "--reason" in run(command, "jane@example.com", expect=2).stderr


def test_it_works_beside_a_running_bridge(run, server, sandbox, folder):
    """What the worker of `serve` delivers at the same moment is waited for."""
    file = in_front_of(server, folder)
    with serving(file) as served:
        jane = served.sent("POST", "/Users", _jane())["id"]
        served.sent("POST", "/Groups", {"schemas": [GROUP], "displayName": "engineers",
                                        "members": [{"value": jane}]})  # fmt: skip
        run("status", "--wait", "10")
        for _ in range(2):
            run("deprovision", "jane@example.com", "--reason", "x")
            assert sandbox.user("jane@example.com")["active"] is False
            assert sandbox.members("engineers") == set()
            run("reactivate", "jane@example.com", "--reason", "x")
            assert sandbox.user("jane@example.com")["active"] is True
            assert sandbox.members("engineers") == {"jane@example.com"}


GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def _jane():
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "jane@example.com",
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "active": True,
    }
