"""How do all processes of a bridge, on any number of machines, keep one pace?"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import Result, Row, bindparam, select, update

from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.tables import paces
from scim_bridge.identity_center.pace import Pace

T = TypeVar("T")


class SharedPace:
    """The pace of one door, kept in the database, with the database's time."""

    def __init__(self, database: Database, door: str) -> None:
        self.database = database
        self.door = door

    def change(self, decide: Callable[[Pace, float], tuple[Pace, T]], *, fastest: float) -> T:
        # Once the power is back nothing is being called, and any pace will do.
        with self.database.transaction(durable=False):
            row = self._asked().one_or_none() or self._first(Pace(rate=fastest))
            before = _pace(row)
            after, added = decide(before, row.now)
            if after != before:
                self._keep(after)
            return added

    def _asked(self) -> Result[Any]:
        """The pace as it is; nobody else changes it until the transaction ends."""
        return self.database.connection.execute(_ASKED, {"asked": self.door})

    def _first(self, pace: Pace) -> Row[Any]:
        first = insert_or(self.database, paces).values(door=self.door, **asdict(pace))
        # Another process may be the first at the same time.
        self.database.connection.execute(first.on_conflict_do_nothing())
        return self._asked().one()

    def _keep(self, pace: Pace) -> None:
        self.database.connection.execute(_KEEP, {"asked": self.door, **asdict(pace)})


# Made once, since every call says and asks them.
_ASKED = (
    select(paces, now().label("now")).where(paces.c.door == bindparam("asked")).with_for_update()
)
_KEEP = update(paces).where(paces.c.door == bindparam("asked"))


def _pace(row: Row[Any]) -> Pace:
    return Pace(
        rate=row.rate,
        free_at=row.free_at,
        stopped_until=row.stopped_until,
        halved_at=row.halved_at,
        halved_from=row.halved_from,
    )
