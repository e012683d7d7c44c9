"""A working life over plain HTTP, and what of it has reached Identity Center after each step."""

import pytest

from tests.acceptance.installation import Center, install, joining, leaving
from tests.cli.operation import ENTERPRISE, person

JANE = "jane@example.com"


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_a_working_life_arrives_step_by_step(auth, request, tmp_path):
    """Create, rename, move, deactivate, reactivate, delete and rehire (design, section 3).

    Access is lost with the deactivation and the deletion, and comes back with the reactivation;
    a rehire is the same user at Identity Center, with nothing of what they had before.
    """
    sandbox: Center = request.getfixturevalue("bearer_sandbox" if auth == "bearer" else "sandbox")
    installation = install(sandbox, tmp_path / "bridge")
    with installation.serving() as bridge:
        jane, joe = bridge.add_user(JANE, displayName="Jane T."), bridge.add_user("joe@example.com")
        old, new = bridge.add_group("old", jane, joe), bridge.add_group("new")
        bridge.arrive()
        account = sandbox.user(JANE)["id"]
        assert sandbox.user(JANE)["active"] is True
        assert sandbox.memberships() == {"old": {JANE, "joe@example.com"}, "new": set()}

        bridge.patch(f"/Users/{jane}", displayName="Jane B.")
        bridge.arrive()
        assert sandbox.user(JANE)["displayName"] == "Jane B."

        bridge.patch(f"/Users/{jane}", **{f"{ENTERPRISE}:department": "Sales"})
        assert bridge.change(f"/Groups/{old}", leaving(jane)).ok
        assert bridge.change(f"/Groups/{new}", joining(jane)).ok
        bridge.arrive()
        assert sandbox.user(JANE)[ENTERPRISE]["department"] == "Sales"
        assert sandbox.memberships() == {"old": {"joe@example.com"}, "new": {JANE}}

        bridge.patch(f"/Users/{jane}", active=False)
        bridge.arrive()
        assert sandbox.user(JANE)["active"] is False
        assert sandbox.memberships() == {"old": {"joe@example.com"}, "new": set()}
        assert bridge.directory()[1]["new"] == {JANE}

        bridge.patch(f"/Users/{jane}", active=True)
        bridge.arrive()
        assert sandbox.user(JANE)["active"] is True
        assert sandbox.memberships() == {"old": {"joe@example.com"}, "new": {JANE}}

        bridge.sent("DELETE", f"/Users/{jane}")
        bridge.arrive()
        assert bridge.send("GET", f"/Users/{jane}").status_code == 404
        assert bridge.directory() == ({"joe@example.com": True}, {"old": {"joe@example.com"},
                                                                  "new": set()})  # fmt: skip
        assert sandbox.user(JANE)["active"] is False
        assert sandbox.memberships() == {"old": {"joe@example.com"}, "new": set()}

        again = bridge.sent("POST", "/Users", person(JANE))["id"]
        installation.settle()
        assert again != jane
        assert (sandbox.user(JANE)["id"], sandbox.user(JANE)["active"]) == (account, True)
        assert sandbox.memberships() == {"old": {"joe@example.com"}, "new": set()}
    used = {one["auth"] for one in sandbox.requests() if ":" not in one["operation"]}
    assert used == {auth}
