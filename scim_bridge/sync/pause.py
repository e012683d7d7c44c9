"""Has an operator stopped all delivery?

While it is paused the bridge takes every write and sends nothing: no lease is given out. What was
under way when it was paused ends as usual.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, insert, not_, select

from scim_bridge.directory.actor import current
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.tables import pauses
from scim_bridge.errors import OperatorError
from scim_bridge.sync import TARGET


@dataclass(frozen=True, kw_only=True)
class Pause:
    """That delivery is stopped: by whom, why, and for how many seconds already."""

    operator: str
    reason: str
    age: float


def running() -> ColumnElement[bool]:
    """The condition of a statement that delivery is not paused."""
    return not_(exists(select(pauses.c.target).where(pauses.c.target == TARGET)))


def paused(database: Database) -> Pause | None:
    """The pause that is in force; None when there is none."""
    with database.reading() as connection:
        row = connection.execute(
            select(pauses.c.operator, pauses.c.reason, (now() - pauses.c.since).label("age"))
        ).one_or_none()
    return None if row is None else Pause(operator=row.operator, reason=row.reason, age=row.age)


def refuse_while_paused(database: Database) -> None:
    """Raise `OperatorError` naming the pause, for a command that would deliver."""
    present = paused(database)
    if present is not None:
        raise OperatorError(
            f"delivery is paused by {present.operator} ({present.reason}): "
            "nothing is sent until `scim-bridge resume`"
        )


def pause(database: Database, reason: str) -> bool:
    """Stop all delivery. False when it was stopped already."""
    with database.transaction() as connection:
        if paused(database) is not None:
            return False
        connection.execute(
            insert(pauses).values(
                target=TARGET, since=now(), operator=current().name, reason=reason
            )
        )
        record(database, action=Action.PAUSED)
        return True


def resume(database: Database) -> bool:
    """Let delivery go on. False when nothing had stopped it."""
    with database.transaction() as connection:
        ended = connection.execute(delete(pauses).where(pauses.c.target == TARGET)).rowcount > 0
        if ended:
            record(database, action=Action.RESUMED)
        return ended
