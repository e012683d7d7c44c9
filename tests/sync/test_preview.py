"""What a sync would do, without doing it."""

from collections.abc import Callable
from typing import Any

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.plan.changes import (
    AddMembers,
    CreateGroup,
    CreateUser,
    DisableUser,
    RemoveMembers,
)
from scim_bridge.settings import Safety
from scim_bridge.sync.preview import Planned, preview
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]


def _everything(database: Database) -> dict[str, list[Any]]:
    """Every row of every table."""
    with database.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(table.select())]
            for table in tables.metadata.sorted_tables
        }


def _previewed(directory: Directory) -> dict[str, Planned]:
    planned = preview(directory.database, directory.marks, directory.planning)
    return {each.name: each for each in planned}


def _made(directory: Directory) -> list[Any]:
    """The changes a sync makes, in their order."""
    made: list[Any] = []
    apply = directory.center.apply

    def noted(change: Any, **haste: Any) -> Any:
        made.append(change)
        return apply(change, **haste)

    directory.center.apply = noted  # type: ignore[method-assign]
    directory.deliver()
    return made


def test_the_plan_is_what_a_sync_then_does(assemble: Assemble, sandbox: Sandbox) -> None:
    """A dry run prints the same plan that a real run applies (design, section 3)."""
    directory = assemble(wait=0)
    ada, bob, cyd = directory.hire(3)
    group_id = directory.add_group("crew", ada, bob)
    directory.deliver()
    directory.add_user("new")
    directory.change_user(ada, active=False)
    directory.change_user(bob, title="Analyst")
    directory.change_members(group_id, add=[cyd])

    planned = [
        change
        for each in preview(directory.database, directory.marks, directory.planning)
        for change in each.changes
    ]

    assert len(planned) == 5
    assert planned == _made(directory)
    assert directory.states() == {"clear"}


def test_a_preview_leaves_no_trace(assemble: Assemble, sandbox: Sandbox) -> None:
    """Nothing in the database, not even a count of the brake, and no call."""
    directory = assemble(wait=0, safety=Safety())
    people = directory.hire(8)
    group_id = directory.add_group("crew", *people)
    directory.deliver()
    for user_id in people[:7]:
        directory.change_user(user_id, active=False)
    directory.replace_group(group_id, "renamed")
    directory.add_user("new")
    before = _everything(directory.database)
    sandbox.forget_calls()

    first = preview(directory.database, directory.marks, directory.planning)
    second = preview(directory.database, directory.marks, directory.planning)

    assert _everything(directory.database) == before
    assert sandbox.calls() == {}
    assert list(first) == list(second)


def test_users_come_before_groups_and_are_named(assemble: Assemble) -> None:
    """In the order a sync takes them."""
    directory = assemble(wait=0)
    directory.add_group("crew")
    directory.add_user("ada")

    planned = preview(directory.database, directory.marks, directory.planning)

    assert [each.name for each in planned] == ["ada", "crew"]
    assert {each.state for each in planned} == {"pending"}
    assert [type(each.changes[0]) for each in planned] == [CreateUser, CreateGroup]


def test_what_the_brake_would_hold_is_shown(assemble: Assemble) -> None:
    """Of the people who are to lose access, those beyond the limit."""
    directory = assemble(wait=0, safety=Safety())
    people = directory.hire(8)
    for user_id in people[:6]:
        directory.change_user(user_id, active=False)

    shown = _previewed(directory).values()

    assert sum(len(each.changes) for each in shown) == 5
    assert [type(change) for each in shown for change in each.held] == [DisableUser]


def test_a_plan_of_a_group_shows_both_sides(assemble: Assemble) -> None:
    """Who goes and who comes."""
    directory = assemble(wait=0)
    ada, bob = directory.hire(2)
    group_id = directory.add_group("crew", ada)
    directory.deliver()
    directory.change_members(group_id, remove=[ada], add=[bob])

    (planned,) = _previewed(directory).values()

    assert [type(change) for change in planned.changes] == [RemoveMembers, AddMembers]


def test_what_is_done_is_not_in_the_plan(directory: Directory) -> None:
    """A second run is empty."""
    directory.add_user("ada")

    assert _previewed(directory) == {}
