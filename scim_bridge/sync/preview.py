"""What a sync would do, without doing it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.plan.changes import Change
from scim_bridge.plan.grants import AccessChange
from scim_bridge.sync.access_planning import AccessPlanning
from scim_bridge.sync.marks import Key, Marks
from scim_bridge.sync.planning import Planning


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a sync would do for one resource, as far as is known now.

    What follows from an answer (members of a group that is yet to be created, groups a leaver is in
    at the target only) shows once that answer is there.
    """

    key: Key
    # The userName or displayName.
    name: str
    state: str
    changes: tuple[Change, ...]
    suppressed: tuple[Change, ...]
    held: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class PlannedAccess:
    """What a sync would do about one resource's assignments, as far as is known now."""

    key: Key
    name: str
    changes: tuple[AccessChange, ...]
    held: tuple[AccessChange, ...]


class _NothingHappened(Exception):
    """Ends a transaction that must leave no trace."""


def preview(database: Database, marks: Marks, planning: Planning) -> Sequence[Planned]:
    """The plan of every resource that is marked, in the order a sync takes them.

    Made by the very code that a sync runs, in a transaction that is rolled back.
    """
    planned: list[Planned] = []
    with _leaving_no_trace(database):
        for mark in marks.marked("pending", "failed", "held", "suppressed"):
            step = planning.next_step(mark)
            planned.append(
                Planned(
                    key=mark.key,
                    name=_name(database, mark.key),
                    state=mark.state,
                    changes=step.changes,
                    suppressed=step.suppressed,
                    held=step.held,
                )
            )
    return planned


def preview_access(
    database: Database, marks: Marks, planning: AccessPlanning
) -> Sequence[PlannedAccess]:
    """The plan of every resource whose assignments are marked. What is asked of Identity Center
    first, for a leaver, shows once that answer is there.
    """
    planned: list[PlannedAccess] = []
    with _leaving_no_trace(database):
        for mark in marks.marked("pending", "failed", "held"):
            step = planning.next_step(mark)
            planned.append(
                PlannedAccess(
                    key=mark.key,
                    name=_name(database, mark.key),
                    changes=step.changes,
                    held=step.held,
                )
            )
    return planned


@contextmanager
def _leaving_no_trace(database: Database) -> Iterator[None]:
    with suppress(_NothingHappened), database.transaction():
        yield
        raise _NothingHappened


def _name(database: Database, key: Key) -> str:
    column = tables.users.c.user_name if key.kind == "user" else tables.groups.c.display_name
    query = column.table.select().with_only_columns(column).where(column.table.c.id == key.id)
    name: str | None = database.connection.scalar(query)
    return name or key.id
