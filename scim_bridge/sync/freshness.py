"""How fresh is what the bridge knows of Identity Center?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from scim_bridge.directory.database import Database, now
from scim_bridge.directory.tables import drift, runs
from scim_bridge.settings import Extraction as ExtractionSettings
from scim_bridge.sync import TARGET
from scim_bridge.sync.extraction import KINDS, ExtractionKind, run_of

# What was not read well for this many intervals is stale.
STALE_AFTER = 2
# A reading that did not go well is tried again after so many seconds, or its interval if shorter.
TRY_AGAIN = 300.0


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """One kind, and when it was read. Ages are in seconds."""

    kind: ExtractionKind
    # How often it is to be read; 0: never.
    interval: float
    # Since the last reading that went well ended; None: none has.
    age: float | None
    # What that one took and found.
    seconds: float | None
    counts: Mapping[str, int]
    # How the last one ended, well or not; None: there was none. And why not well.
    outcome: str | None
    reason: str | None
    # Since the last one began, and since the first one ever did.
    begun: float | None
    first: float | None

    @property
    def is_stale(self) -> bool:
        """Whether it should have been read well long ago."""
        age = self.first if self.age is None else self.age
        return bool(self.interval) and age is not None and age > STALE_AFTER * self.interval

    @property
    def is_due(self) -> bool:
        """Whether it is to be read now."""
        if not self.interval:
            return False
        if self.begun is None:
            return True
        well = self.outcome in ("ok", "partial")
        return self.begun >= (self.interval if well else min(self.interval, TRY_AGAIN))


def interval(settings: ExtractionSettings, kind: ExtractionKind) -> float:
    """How often a kind is to be read, in seconds."""
    own: Mapping[str, float | None] = {
        "users": settings.users,
        "groups": settings.groups,
        "memberships": settings.memberships,
        "assignments": settings.assignments,
    }
    chosen = own.get(kind)
    if chosen is None or not settings.interval:
        return settings.interval
    return chosen


def freshness(
    database: Database, settings: ExtractionSettings, target: str = TARGET
) -> Sequence[Freshness]:
    """How fresh each kind is at a target."""
    with database.reading():
        return [_freshness(database, kind, interval(settings, kind), target) for kind in KINDS]


def _freshness(database: Database, kind: ExtractionKind, every: float, target: str) -> Freshness:
    connection, of_kind = database.connection, runs.c.kind == run_of(kind, target)
    columns = (
        runs.c.outcome,
        runs.c.counts,
        (now() - runs.c.started).label("begun"),
        (now() - runs.c.ended).label("age"),
        (runs.c.ended - runs.c.started).label("seconds"),
    )
    newest = select(*columns).where(of_kind).order_by(runs.c.id.desc()).limit(1)
    last: Any = connection.execute(newest).one_or_none()
    well: Any = connection.execute(newest.where(runs.c.outcome == "ok")).one_or_none()
    return Freshness(
        kind=kind,
        interval=every,
        age=well.age if well else None,
        seconds=well.seconds if well else None,
        counts={name: n for name, n in (well.counts if well else {}).items() if type(n) is int},
        outcome=last.outcome if last else None,
        reason=last.counts.get("reason") if last else None,
        begun=last.begun if last else None,
        first=connection.scalar(select(now() - func.min(runs.c.started)).where(of_kind)),
    )


def was_read(database: Database, kind: ExtractionKind, target: str = TARGET) -> bool:
    """Whether a kind was ever read well at a target."""
    query = select(runs.c.id).where(runs.c.kind == run_of(kind, target), runs.c.outcome == "ok")
    with database.reading() as connection:
        return connection.scalar(query.limit(1)) is not None


def drift_counts(database: Database, target: str) -> Mapping[str, int]:
    """How much is known to differ from what was applied, by what has come of it."""
    query = (
        select(drift.c.state, func.count().label("many"))
        .where(drift.c.target == target)
        .group_by(drift.c.state)
    )
    with database.reading() as connection:
        return {row.state: row.many for row in connection.execute(query)}
