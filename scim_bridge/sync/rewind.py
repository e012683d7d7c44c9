"""The directory went back to a backup: what must the bridge no longer believe?

Everything since the backup happened without it: clients pushed, leavers were disabled, calls were
made. So a directory that was put back sends nothing by itself. Delivery is paused until an operator
has compared; the target is read again before anything is planned for anybody; and what extractions
saw is forgotten, so that the next one is the truth and drift shows what differs. Access that was
given or taken at Identity Center meanwhile stays as it is there until somebody decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, union, update

from scim_bridge.directory import tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database, now
from scim_bridge.errors import OperatorError
from scim_bridge.sync import ACCESS_SUFFIX, access_of
from scim_bridge.sync.extraction import KINDS, ExtractionKind
from scim_bridge.sync.freshness import was_read
from scim_bridge.sync.journal import journalled
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.pause import pause

RUN = "restore"

# Versions go on from so much further: an ETag that a client kept from the lost time must not name
# another state than it did.
VERSIONS_AHEAD = 1_000_000

# A reading does not believe otherwise of what was applied shortly before it. That was the bridge of
# the lost time: by so many seconds, what was applied is older now.
_OLDER = 86_400.0

# What a comparison with Identity Center needs.
_COMPARED: tuple[ExtractionKind, ...] = ("users", "groups", "memberships")


def rewind(database: Database, *, reason: str, facts: Mapping[str, Any]) -> None:
    """Make a directory that is that of a backup safe to work with, before any bridge does.

    `facts` go into the audit trail.
    """
    # All of it or nothing: who is told to read first must not find that it was not asked for.
    with database.transaction():
        asked = _asked_for(database)
        with journalled(database, RUN) as run:
            # Who goes back again, before they compared, has yet to compare.
            run.counts = {"read_before": [k for k in KINDS if k in asked or was_read(database, k)]}
        record(database, action=Action.RESTORED, facts=facts)
        pause(database, reason)
        for target in _targets(database):
            Marks(database, target).doubt(tables.links)
        _forget_what_was_seen(database)
        _forget_who_was_at_work(database)
        for table in (tables.users, tables.groups):
            database.connection.execute(
                update(table).values(version=table.c.version + VERSIONS_AHEAD)
            )


def _targets(database: Database) -> Sequence[str]:
    """Every target that anything is linked to or marked for, and its assignments."""
    linked = select(tables.links.c.target)
    marked = select(tables.pending.c.target)
    found = set(database.connection.scalars(union(linked, marked)))
    names = {name.removesuffix(ACCESS_SUFFIX) for name in found}
    return sorted({*names, *map(access_of, names)})


def refuse_unread(database: Database) -> None:
    """Raise `OperatorError` if Identity Center has not been read since a backup was put back.

    What could not be read before either is not asked for.
    """
    missing = _unread(database)
    if missing:
        raise OperatorError(
            f"the directory was put back to a backup, and the {', '.join(missing)} of Identity "
            "Center have not been read since: run `scim-bridge extract`, look at `scim-bridge "
            "drift` and `scim-bridge plan`, then resume"
        )


def compared(database: Database) -> None:
    """An operator has compared and lets delivery go on: nothing is asked for any more."""
    with database.transaction() as connection:
        connection.execute(delete(tables.runs).where(tables.runs.c.kind == RUN))


def _unread(database: Database) -> Sequence[str]:
    asked = _asked_for(database)
    return [kind for kind in _COMPARED if kind in asked and not was_read(database, kind)]


def _asked_for(database: Database) -> Sequence[str]:
    """What has to be read since a backup was put back; nothing once an operator has compared."""
    query = select(tables.runs.c.counts).where(tables.runs.c.kind == RUN)
    with database.reading() as connection:
        counts = connection.scalar(query.order_by(tables.runs.c.id.desc()).limit(1))
    asked: Sequence[str] = (counts or {}).get("read_before", ())
    return asked


def _forget_what_was_seen(database: Database) -> None:
    """Principals stay known by their ids. What they hold is what the next reading shows: a list
    that lacks it would otherwise be believed at the second time only.
    """
    connection = database.connection
    connection.execute(delete(tables.runs).where(tables.runs.c.kind.startswith("extraction:")))
    for table in (
        tables.observed_memberships,
        tables.observed_assignments,
        tables.disappearances,
        tables.departures,
    ):
        connection.execute(delete(table))
    for table in (tables.applied, tables.applied_memberships, tables.applied_assignments):
        connection.execute(
            update(table).where(table.c.at > now() - _OLDER).values(at=table.c.at - _OLDER)
        )


def _forget_who_was_at_work(database: Database) -> None:
    """Turns that processes had when the backup was made; their numbers only grow."""
    locks = tables.locks
    database.connection.execute(update(locks).values(leased_until=0, number=locks.c.number + 1))
