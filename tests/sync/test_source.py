"""Identity Center as a source: what another SCIM client does there comes to the directory."""

from typing import Any

import pytest

from scim_bridge.directory import tables
from scim_bridge.directory.takeover import SOURCE
from scim_bridge.settings import Safety
from scim_bridge.sync.subjects import Naming
from tests.sync.conftest import Directory, Sandbox
from tests.sync.test_drift import calls
from tests.sync.watching import Watched, watching


@pytest.fixture
def watched(assemble, sandbox: Sandbox) -> Watched:
    return watching(assemble(naming=Naming(is_source=True)), sandbox, source=True)


def records(watched: Watched) -> dict[str, Any]:
    """The live users of the directory by name."""
    with watched.directory.database.reading() as connection:
        rows = connection.execute(tables.users.select().where(tables.users.c.deleted_at.is_(None)))
        return {row.user_name: row for row in rows}


def active(watched: Watched) -> dict[str, bool]:
    return {name: row.active for name, row in records(watched).items()}


def group_named(watched: Watched, name: str) -> str:
    with watched.directory.database.reading() as connection:
        table = tables.groups
        found = connection.scalar(
            table.select().where(table.c.display_name == name, table.c.deleted_at.is_(None))
        )
    return str(found)


def members(watched: Watched, group: str) -> set[str]:
    """The userNames of a group's members in the directory."""
    ids = watched.directory.members(group_named(watched, group))
    return {name for name, row in records(watched).items() if row.id in ids}


def origins(watched: Watched) -> set[str]:
    with watched.directory.database.reading() as connection:
        rows = connection.execute(tables.memberships.select())
        return {row.origin for row in rows if row.valid_to is None}


def held(directory: Directory) -> list[Any]:
    with directory.database.reading():
        return list(directory.held.losses())


def edit(sandbox: Sandbox, name: str, **values: Any) -> None:
    """What another SCIM client sets."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
    sandbox._by_hand("PATCH", f"Users/{sandbox.user(name)['id']}", body)


def test_what_only_identity_center_has_enters_and_follows_without_a_call(watched, sandbox):
    """People, groups, memberships and their changes, at each extraction; nothing is sent back."""
    sandbox.make_user("ada", title="Clerk")
    sandbox.make_user("jane")
    sandbox.make_group("staff", "ada")
    sandbox.forget_calls()

    watched.extract()
    assert active(watched) == {"ada": True, "jane": True}
    assert members(watched, "staff") == {"ada"}
    assert origins(watched) == {SOURCE}

    edit(sandbox, "ada", title="King")
    sandbox.join("staff", "jane")
    sandbox.leave("staff", "ada")
    sandbox.forget_calls()
    for _ in range(2):
        watched.extract()
        watched.directory.deliver()

    assert records(watched)["ada"].document["title"] == "King"
    assert members(watched, "staff") == {"jane"}
    assert calls(watched) == {}
    assert watched.found() == []
    assert {row.actor for row in watched.directory.audited("create")} == {SOURCE}


def test_who_is_disabled_there_is_disabled_here_within_one_extraction(watched, sandbox):
    """And enabled with the next; but nobody whom a client deactivated comes back by that."""
    sandbox.make_user("ada")
    sandbox.make_user("jane")
    sandbox.make_group("staff", "ada")
    watched.extract()

    edit(sandbox, "ada", active=False)
    sandbox.forget_calls()
    watched.extract("users")
    assert active(watched)["ada"] is False
    watched.directory.deliver()
    assert calls(watched) == {}

    edit(sandbox, "ada", active=True)
    watched.extract()
    assert active(watched)["ada"] is True
    assert members(watched, "staff") == {"ada"}

    sandbox.make_user("new", active=False)
    watched.extract()
    assert active(watched)["new"] is False
    edit(sandbox, "new", active=True)
    watched.extract()
    assert active(watched)["new"] is True

    watched.directory.change_user(records(watched)["jane"].id, active=False)
    watched.directory.deliver()
    watched.age_everything()
    edit(sandbox, "jane", active=True)
    watched.extract()
    assert active(watched)["jane"] is False


def test_who_disappears_is_inactive_after_two_extractions_and_never_made_anew(watched, sandbox):
    """A disappearance is a deprovision; a client that wants the person back is obeyed."""
    for name in ("ada", "bob", "jane"):
        sandbox.make_user(name)
    sandbox.make_group("staff", "ada", "bob")
    watched.extract()
    ada = records(watched)["ada"].id

    sandbox.remove_user("ada")
    watched.extract()
    assert active(watched)["ada"] is True
    watched.extract()
    assert active(watched) == {"ada": False, "bob": True, "jane": True}
    watched.directory.change_user(ada, title="Clerk")
    watched.directory.deliver()
    watched.extract()
    assert sandbox.names() == {"bob", "jane"}

    watched.directory.change_user(ada, active=True)
    watched.directory.deliver()
    watched.age_everything()
    watched.extract()
    assert sandbox.is_active("ada")
    assert active(watched)["ada"] is True


def test_a_new_person_is_never_taken_for_one_who_disappeared(watched, sandbox):
    """Of the same name, with another principal: nothing of what the other had comes to them."""
    for name in ("ada", "bob", "jane"):
        sandbox.make_user(name)
    watched.extract()
    earlier = records(watched)["ada"].id
    engineers = watched.directory.add_group("engineers", earlier)
    watched.directory.deliver()
    watched.age_everything()

    sandbox.remove_user("ada")
    sandbox.make_user("ada")
    for _ in range(3):
        watched.extract()
    watched.directory.deliver()

    new = records(watched)["ada"]
    assert new.id != earlier
    assert new.active
    assert watched.directory.members(engineers) == set()
    assert sandbox.members("engineers") == set()


def test_what_the_bridge_wrote_is_no_news_and_what_a_client_gave_stays(watched, sandbox):
    """A pushed person and group never become the source's, whatever is done to them by hand."""
    jane = watched.directory.add_user("jane")
    group = watched.directory.add_group("engineers", jane)
    watched.directory.deliver()
    watched.age_everything()
    for _ in range(2):
        watched.extract()
    with watched.directory.database.reading() as connection:
        assert connection.execute(tables.sourced.select()).all() == []

    sandbox.leave("engineers", "jane")
    edit(sandbox, "jane", title="King", active=False)
    for _ in range(2):
        watched.extract()

    assert watched.directory.members(group) == {jane}
    assert active(watched) == {"jane": True}
    assert watched.found() == [
        ("engineers", "member-removed"), ("jane", "changed"), ("jane", "disabled"),
    ]  # fmt: skip


def test_a_group_that_disappears_is_ended(watched, sandbox):
    sandbox.make_user("ada")
    sandbox.make_group("staff", "ada")
    sandbox.make_group("crew", "ada")
    watched.extract()

    sandbox.remove_group("staff")
    for _ in range(2):
        watched.extract()
    watched.directory.deliver()

    assert group_named(watched, "staff") == "None"
    assert members(watched, "crew") == {"ada"}
    assert sandbox.groups() == {"crew"}


def test_an_empty_source_is_an_error_and_not_a_mass_leaving(watched, sandbox):
    """Also of a single person: the list says nobody, and nobody leaves."""
    sandbox.make_user("ada")
    watched.extract()

    sandbox.fault("identitystore:ListUsers", empty=True, times=None)
    for _ in range(3):
        assert watched.extract("users")["users"].ending == "empty"

    assert active(watched) == {"ada": True}


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_brake_holds_a_mass_leaving_until_an_operator_decides(assemble, sandbox, decision):
    """Meanwhile nobody is made anew or enabled there, though somebody writes to them.

    Approved, they are inactive; rejected, they stay, and are there again.
    """
    directory: Directory = assemble(naming=Naming(is_source=True), safety=Safety())
    watched = watching(directory, sandbox, source=True)
    names = [f"person{number}" for number in range(16)]
    for name in names:
        sandbox.make_user(name)
    watched.extract()

    for name in names[:4]:
        sandbox.remove_user(name)
    for name in names[4:7]:
        edit(sandbox, name, active=False)
    for _ in range(2):
        watched.extract()
    left = [name for name, is_active in active(watched).items() if not is_active]
    assert len(left) == 5
    waiting = [name for name in names[:7] if name not in left]
    for name in waiting:
        directory.change_user(records(watched)[name].id, title="Clerk")
    directory.deliver()
    assert sandbox.names() == set(names[4:])
    assert not any(sandbox.is_active(name) for name in names[4:7])

    (set_id,) = {loss.set_id for loss in held(directory)}
    getattr(directory.decisions, decision)(set_id)
    directory.deliver()
    for _ in range(2):
        watched.extract("users")

    assert held(directory) == []
    if decision == "approve":
        left += waiting
    assert sorted(name for name, is_active in active(watched).items() if not is_active) == sorted(
        left
    )
    stay = set(names) - set(left)
    assert {name for name in sandbox.names() if sandbox.is_active(name)} == stay
