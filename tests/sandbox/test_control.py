"""The sandbox is watched and ordered about below /_sandbox, without authentication."""

from dataclasses import asdict

import pytest

from scim_bridge.sandbox import Behaviour

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_the_state_shows_everything_that_is_held(sandbox):
    """Users and groups as SCIM, memberships and assignments apart."""
    ada = sandbox.create_user("ada", externalId="A1", **{ENTERPRISE: {"department": "R&D"}})
    bob = sandbox.create_user("bob", active=False)
    group = sandbox.create_group(externalId="g1")
    sandbox.add_members(group, bob)
    state = sandbox.state()
    assert state["users"] == [ada, bob]
    assert [user["active"] for user in state["users"]] == [True, False]
    [shown] = state["groups"]
    assert {**shown, "meta": group["meta"]} == group
    assert state["memberships"] == [{"groupId": group["id"], "userId": bob["id"]}]
    assert state["assignments"] == []


def test_reset_forgets_everything_but_the_behaviour(sandbox):
    """State, faults and counts go; whom it lets in stays."""
    sandbox.create_user()
    sandbox.create_group()
    sandbox.fault(operation="*", status=500)
    sandbox.behave(strict_disabled=True)
    assert sandbox.control("POST", "reset").status_code == 204
    empty = {"users": [], "groups": [], "memberships": [], "assignments": []}
    assert sandbox.state() | empty == sandbox.state()
    assert (sandbox.calls(), sandbox.requests()) == ({}, [])
    assert sandbox.control("GET", "faults").json() == {"faults": []}
    assert sandbox.control("GET", "behaviour").json()["strict_disabled"] is True
    sandbox.create_user()


def test_the_behaviour_is_shown_and_changed(sandbox):
    """What is not named in a change stays as it was."""
    assert sandbox.control("GET", "behaviour").json() == asdict(Behaviour())
    changed = sandbox.control("POST", "behaviour", {"strict_disabled": True, "throttle": 5})
    assert changed.json() == asdict(Behaviour(strict_disabled=True, throttle=5))
    sandbox.behave(throttle=None)
    assert sandbox.control("GET", "behaviour").json() == asdict(Behaviour(strict_disabled=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"strict_disabled": "yes"},
        {"throttle": 0},
        {"throttle": True},
        {"throttle": "5"},
        {"bearer_token": ""},
        {"bearer_token": None},
        {"strict": True},
        [],
    ],
)
def test_a_behaviour_it_does_not_have_is_refused_and_named(sandbox, wrong):
    """A mistyped change must not pass for none, and none of it is made."""
    change = {"region": "eu-west-1", **wrong} if isinstance(wrong, dict) else wrong
    response = sandbox.control("POST", "behaviour", change)
    assert response.status_code == 400
    assert all(name in response.json()["error"] for name in wrong)
    assert sandbox.control("GET", "behaviour").json() == asdict(Behaviour())


@pytest.mark.parametrize("path", ["nothing", "state/x"])
def test_an_unknown_control_is_a_404_that_helps(sandbox, path):
    """Errors are for people, too."""
    response = sandbox.control("GET", path)
    assert response.status_code == 404
    assert "GET / says what there is" in response.json()["message"]


def test_a_control_by_another_method_is_a_405(sandbox):
    """The state cannot be written."""
    assert sandbox.control("POST", "state", {}).status_code == 405


def test_the_front_page_says_how_to_begin(sandbox):
    """The endpoint, the token and every control are named to who opens the address."""
    page = sandbox.session.get(sandbox.server.url, timeout=10).text
    for word in (sandbox.server.scim_endpoint, "sandbox-token", "us-east-1", "identitystore"):
        assert word in page
    for control in ("state", "calls", "requests", "faults", "behaviour", "reset"):
        assert f"/_sandbox/{control}" in page


def test_the_front_page_keeps_a_token_that_somebody_chose(sandbox):
    """Only the published token is shown."""
    sandbox.behave(bearer_token="chosen-by-me")
    assert "chosen-by-me" not in sandbox.session.get(sandbox.server.url, timeout=10).text
