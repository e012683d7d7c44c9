"""`write_via = "identity-store"`: the whole lifecycle, where only IAM roles are allowed.

AWS's Identity Store API cannot disable anybody (botocore's model has no UserStatus in UpdateUser):
who leaves loses every membership and assignment instead. Nothing is said to the SCIM endpoint.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from scim_bridge.directory import tables
from scim_bridge.plan.grants import AccountGrant
from scim_bridge.sandbox import Behaviour, SandboxServer
from scim_bridge.sandbox.behaviour import OWNER_ACCOUNT
from tests.cli.operation import (
    ENTERPRISE,
    Client,
    Sandbox,
    client_of,
    in_front_of,
    person,
    until,
)

JANE, JOE = "jane@example.com", "joe@example.com"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(behaviour=Behaviour(assignment_seconds=0.0)) as server:
        yield server


@pytest.fixture
def sandbox(server: SandboxServer) -> Sandbox:
    sandbox = Sandbox(url=server.url)
    requests.post(f"{server.url}/_sandbox/reset", timeout=10)
    sandbox.mend()
    return sandbox


@pytest.fixture
def connect(server: SandboxServer, sandbox: Sandbox, tmp_path: Path) -> Iterator[Connect]:
    """A client of a bridge that knows no SCIM endpoint."""
    with ExitStack() as stack:

        def connected(*, more: str = "", brake: bool = False) -> Client:
            file = in_front_of(server, tmp_path, auth="sigv4", more=more)
            text = re.sub(r"^(scim_endpoint|auth|signing_service) = .*\n", "",
                          file.read_text(), flags=re.MULTILINE)  # fmt: skip
            text = text.replace(
                "[identity_center]\n", '[identity_center]\nwrite_via = "identity-store"\n'
            )
            if brake:
                text = text.replace("brake = false", "brake = true")
            file.write_text(text)
            return stack.enter_context(client_of(file))

        yield connected


def arrive(client: Client) -> None:
    """As if the worker had had the time."""

    def arrived() -> bool:
        client.bridge.worker().run_once()
        return not client.bridge.overview().states.get("pending")

    until(arrived)
    assert not client.bridge.overview().states.get("failed")


def members(sandbox: Sandbox) -> dict[str, set[str]]:
    return {one["displayName"]: sandbox.members(one["displayName"]) for one in
            sandbox.state()["groups"]}  # fmt: skip


def move(client: Client, op: str, group: str, user: str) -> None:
    operation = {"op": op, "path": "members", "value": [{"value": user}]}
    client.send("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})


def refused(client: Client, path: str, body: Any) -> dict[str, Any]:
    answer = client.http.post(
        f"/scim/v2{path}", json=body, headers={"Authorization": f"Bearer {client.token}"}
    )
    assert answer.status_code == 409
    return answer.get_json()


def test_a_working_life_arrives_step_by_step(connect: Connect, sandbox: Sandbox) -> None:
    """Create, change, move, leave, return, delete, hire again (design, section 3).

    Who leaves stays enabled, and holds nothing: neither what the bridge gave nor what somebody gave
    them behind its back.
    """
    client = connect()
    jane, joe = client.add_user(JANE, displayName="Jane T."), client.add_user(JOE)
    old, new = client.add_group("old", jane, joe), client.add_group("new")
    arrive(client)
    account = sandbox.user(JANE)["id"]
    assert members(sandbox) == {"old": {JANE, JOE}, "new": set()}

    client.patch(f"/Users/{jane}", displayName="Jane B.", **{f"{ENTERPRISE}:department": "Sales"})
    move(client, "remove", old, jane)
    move(client, "add", new, jane)
    arrive(client)
    assert sandbox.user(JANE)["displayName"] == "Jane B."
    assert sandbox.user(JANE)[ENTERPRISE]["department"] == "Sales"
    assert members(sandbox) == {"old": {JOE}, "new": {JANE}}

    assign(client, account)
    client.patch(f"/Users/{jane}", active=False)
    arrive(client)
    client.patch(f"/Users/{jane}", displayName="Jane C.")
    arrive(client)
    assert sandbox.user(JANE)["active"] is True
    assert sandbox.user(JANE)["displayName"] == "Jane B."
    assert members(sandbox) == {"old": {JOE}, "new": set()}
    until(lambda: stripped(client, account))

    client.patch(f"/Users/{jane}", active=True)
    arrive(client)
    assert sandbox.user(JANE)["displayName"] == "Jane C."
    assert members(sandbox) == {"old": {JOE}, "new": {JANE}}

    client.send("DELETE", f"/Users/{jane}")
    arrive(client)
    assert members(sandbox) == {"old": {JOE}, "new": set()}

    again = client.add_user(JANE)
    arrive(client)
    assert again != jane
    assert sandbox.user(JANE)["id"] == account
    assert members(sandbox) == {"old": {JOE}, "new": set()}

    client.send("DELETE", f"/Groups/{old}")
    arrive(client)
    assert members(sandbox) == {"old": set(), "new": set()}
    # Nothing is planned for ever for who cannot be disabled.
    assert client.bridge.overview().in_sync
    calls = requests.get(f"{sandbox.url}/_sandbox/requests", timeout=10).json()["requests"]
    assert not [one for one in calls if "/scim/" in str(one["path"]) or one["auth"] != "sigv4"]


def stripped(client: Client, user: str) -> bool:
    arrive(client)
    return not assigned(client, user)


def assign(client: Client, user: str) -> None:
    """Somebody gives a person a permission set by hand."""
    admin = client.bridge.apis.sso_admin
    status = admin.create_account_assignment("user", user, grant(client))
    until(lambda: admin.creation_status(status.request_id).state == "SUCCEEDED")


def grant(client: Client) -> AccountGrant:
    first = next(client.bridge.apis.sso_admin.list_permission_sets())
    return AccountGrant(account=OWNER_ACCOUNT, permission_set=first)


def assigned(client: Client, user: str) -> list[Any]:
    return list(client.bridge.apis.sso_admin.assignments_of("user", user))


def test_a_deleted_group_is_removed_where_that_is_wanted(
    connect: Connect, sandbox: Sandbox
) -> None:
    """`[groups] delete = "remove"`, of a group the bridge created."""
    client = connect(more='[groups]\ndelete = "remove"\n')
    group = client.add_group("short-lived", client.add_user(JANE))
    arrive(client)
    client.send("DELETE", f"/Groups/{group}")
    arrive(client)

    assert members(sandbox) == {}


def test_nobody_is_created_before_they_are_active(connect: Connect, sandbox: Sandbox) -> None:
    """They could not be created disabled, and would be able to sign in."""
    client = connect()
    jane = client.add_user(JANE, active=False)
    arrive(client)
    assert sandbox.user(JANE) is None
    client.patch(f"/Users/{jane}", active=True)
    arrive(client)

    assert sandbox.user(JANE)["active"] is True


def test_too_many_leavers_at_once_are_held(connect: Connect, sandbox: Sandbox) -> None:
    """The brake counts who would lose everything, though nobody would be disabled.

    An approval lets them go.
    """
    client = connect(brake=True)
    people = [client.add_user(f"person{n}@example.com") for n in range(8)]
    client.add_group("all", *people)
    arrive(client)
    for one in people:
        client.patch(f"/Users/{one}", active=False)
    arrive(client)
    [held] = client.bridge.overview().held_sets
    assert (held.category, held.people) == ("disable", len(sandbox.members("all")))
    assert held.people == 3

    client.bridge.decisions.approve(held.id)
    arrive(client)
    assert sandbox.members("all") == set()
    assert client.bridge.overview().in_sync


def test_who_left_long_ago_does_not_loosen_the_brake(connect: Connect, sandbox: Sandbox) -> None:
    """Identity Center shows them active for ever; a percentage of them would let more people go."""
    client = connect(brake=True)
    people = [client.add_user(f"person{n}@example.com") for n in range(6)]
    arrive(client)
    for one in people[:4]:
        client.patch(f"/Users/{one}", active=False)
    arrive(client)
    held = client.bridge.held
    with client.bridge.database.transaction() as connection:
        assert held._active_when_the_window_began() == 6
        connection.execute(tables.losses.update().values(at=0))
        assert held._active_when_the_window_began() == 2


@pytest.mark.parametrize(("kind", "name"), [("User", JANE), ("Group", "Engineers")])
def test_a_creation_whose_answer_is_lost_is_found_again(
    kind: str, name: str, connect: Connect, sandbox: Sandbox
) -> None:
    """Nobody had the name before, so that who has it now was created by the lost call."""
    client = connect()
    sandbox.fault(f"identitystore:Create{kind}", drop_answer=True)
    made = client.add_user(name) if kind == "User" else client.add_group(name)
    make_due(client)
    arrive(client)
    state = sandbox.state()["users" if kind == "User" else "groups"]
    assert len(state) == 1

    # It is the bridge's own: it follows what the directory says.
    attribute = "displayName"
    client.patch(f"/{kind}s/{made}", **{attribute: "Another"})
    arrive(client)
    assert sandbox.state()["users" if kind == "User" else "groups"][0][attribute] == "Another"


@pytest.mark.parametrize("first", [{}, {"status": 500}])
@pytest.mark.parametrize(("kind", "name"), [("User", JANE), ("Group", "Admins")])
def test_who_is_there_already_is_not_taken_over(
    kind: str, name: str, first: dict[str, Any], connect: Connect, sandbox: Sandbox
) -> None:
    """A name alone gives nobody what somebody else holds, also after an attempt that failed."""
    client = connect()
    store = client.bridge.apis.identity_store
    if kind == "User":
        store.create_user({"userName": name, "displayName": "J", "name.givenName": "J",
                           "name.familyName": "K"})  # fmt: skip
        body: dict[str, Any] = person(name)
    else:
        store.create_group({"displayName": name})
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name}
    if first:
        sandbox.fault(f"identitystore:Get{kind}Id", **first)
        client.send("POST", f"/{kind}s", body)
        make_due(client)
        client.bridge.worker().run_once()
        assert client.bridge.overview().states == {"failed": 1}
    else:
        assert "scim-bridge adopt" in refused(client, f"/{kind}s", body)["detail"]
    assert len(sandbox.state()["users" if kind == "User" else "groups"]) == 1
    assert not links(client)


@pytest.mark.parametrize("error", ["ConflictException", "ThrottlingException"])
def test_a_creation_that_was_answered_made_nobody(
    error: str, connect: Connect, sandbox: Sandbox
) -> None:
    """AWS said that it did nothing: who has the name later was made by somebody else."""
    client = connect()
    sandbox.fault("identitystore:CreateUser", error=error)
    if error == "ConflictException":
        refused(client, "/Users", person(JANE))
    else:
        client.add_user(JANE)
    store = client.bridge.apis.identity_store
    store.create_user({"userName": JANE, "displayName": "Another", "name.givenName": "An",
                       "name.familyName": "Other"})  # fmt: skip
    if error == "ConflictException":
        refused(client, "/Users", person(JANE))
    make_due(client)
    client.bridge.worker().run_once()

    assert sandbox.user(JANE)["displayName"] == "Another"
    assert not links(client)


def links(client: Client) -> list[Any]:
    with client.bridge.database.reading() as connection:
        return list(connection.execute(tables.links.select()).all())


def make_due(client: Client) -> None:
    """As if the pauses between tries were over."""
    with client.bridge.database.transaction() as connection:
        connection.execute(tables.pending.update().values(next_attempt_at=0))
