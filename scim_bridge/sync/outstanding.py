"""How stands the loss of something that is still there: held, on its way, or refused?

Read in a few queries from the brake's rows and from the marks, whoever is asked about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import held
from scim_bridge.directory.write import Kind
from scim_bridge.sync import ACCESS_TARGET, TARGET
from scim_bridge.sync.marks import Key, Mark, Marks

State = Literal["held", "pending", "failed"]


@dataclass(frozen=True, kw_only=True)
class Outstanding:
    """A loss that has yet to reach Identity Center."""

    state: State
    # The id of the set that the brake holds it in, or "".
    held_in: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of something that is there and that the directory does not give."""

    # Who has it: the id in the directory, and the one at the target.
    person: str
    principal: str
    # The group it is about, or comes through: its id in the directory, or "".
    group: str = ""
    # Whether the bridge gave it, and has not taken it away.
    was_given: bool
    # Whether the person is to have nothing any more.
    leaves: bool


class OutstandingLosses:
    """All losses that have yet to reach Identity Center, as they were when this was made."""

    def __init__(self, database: Database) -> None:
        with database.reading():
            self._sets = _sets(database)
            self._marks = _marks(database, TARGET)
            self._access_marks = _marks(database, ACCESS_TARGET)

    def of_membership(self, one: Standing) -> Outstanding | None:
        """How the loss of a membership stands. None: nobody takes it away."""
        mark = self._marks.get(Key(kind="group", id=one.group)) if one.group else None
        is_named = mark is not None and (
            mark.take_away.everyone
            or one.principal in mark.take_away.named
            or (mark.take_away.linked and one.person != one.principal)
        )
        stopped = self._set(one, "removal")
        return self._outstanding(one, stopped, mark, is_named=is_named)

    def of_grant(self, one: Standing, grant: str) -> Outstanding | None:
        """The same of a grant, as `scim_bridge.sync.grants.to_text` writes it, of the group's, or
        the person's own where no group is named.
        """
        kind: Kind = "group" if one.group else "user"
        mark = self._access_marks.get(Key(kind=kind, id=one.group or one.person))
        is_named = mark is not None and (mark.take_away.everyone or grant in mark.take_away.named)
        stopped = self._set(one, "assignment", grant)
        return self._outstanding(one, stopped, mark, is_named=is_named)

    def _set(self, one: Standing, category: str, lost: str = "") -> str:
        """The set that a loss is held in, itself or with the disabling of the person."""
        own = self._sets.get((category, one.person, one.group, lost), "")
        return own or (self._sets.get(("disable", one.person, "", ""), "") if one.leaves else "")

    def _outstanding(
        self, one: Standing, stopped: str, mark: Mark | None, *, is_named: bool
    ) -> Outstanding | None:
        if stopped:
            return Outstanding(state="held", held_in=stopped)
        if not (one.was_given or one.leaves or is_named):
            return None
        is_failed = mark is not None and mark.state == "failed"
        return Outstanding(state="failed" if is_failed else "pending")


def _sets(database: Database) -> Mapping[tuple[str, str, str, str], str]:
    """The set of each loss that is held, by its category, person, group and grant."""
    rows = database.connection.execute(
        select(held).where(held.c.target == TARGET, held.c.state == "held")
    )
    return {(row.category, row.person, row.group_id, row.lost): row.set_id for row in rows}


def _marks(database: Database, target: str) -> Mapping[Key, Mark]:
    found = Marks(database, target).marked("pending", "failed", "held", "suppressed")
    return {mark.key: mark for mark in found}
