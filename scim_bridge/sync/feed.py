"""Has another system been told of every change, at least once and in order?

Each feed keeps its place in the sealed audit trail. The place moves on once an event was taken, so
a crash repeats the last one and loses none; while an event is not taken, those after it wait.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from sqlalchemy import select, update

from scim_bridge.directory import locks
from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.tables import feeds
from scim_bridge.errors import NotSent
from scim_bridge.sync.beside import Beside
from scim_bridge.sync.events import Event, Place, count_after, events_after, last_place

log = structlog.get_logger(__name__)

# As many events are read at once.
TOGETHER = 100
# A process that dies while it tells keeps others from telling for so long, in seconds.
TURN_SECONDS = 180.0
# The longest pause between two tries, in seconds.
PAUSE = 60.0


class Told(Protocol):
    """Who takes events."""

    def send(self, event: Mapping[str, Any]) -> None:
        """Raises `NotSent` unless the event was taken."""
        ...

    def close(self) -> None:
        """Nothing more is sent."""
        ...


@dataclass(frozen=True, kw_only=True)
class FeedStanding:
    """How a feed stands. Ages are in seconds."""

    # How many changes have yet to be told.
    waiting: int
    # Since the last event was taken; None: none was.
    told: float | None
    # Since when the next one is not taken, how often it was sent, and why; None: nothing is wrong.
    failing: float | None
    attempts: int
    last_error: str | None


class Feed:
    """Tells one system of every change. One process at a time does it.

    `jitter` makes the pause after an event that was not taken out of the longest one it may be.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        told: Told,
        *,
        jitter: Callable[[float], float] = lambda most: random.uniform(most / 2, most),
    ) -> None:
        self.database = database
        self.name = name
        self.told = told
        self.jitter = jitter
        self._lock = f"feed:{name}"
        self._beside = Beside("feed", self.tell, connector=name)

    # -- Beside the deliveries ------------------------------------------

    def look(self) -> None:
        """Begin to tell what has yet to be told. Returns at once."""
        self._beside.begin(self._is_due)

    def stop(self) -> None:
        """Wait for the event that is being sent; the next run goes on after it."""
        self._beside.stop()

    def _is_due(self) -> bool:
        self._begin()
        place = self._place(due=True)
        return place is not None and bool(events_after(self.database, place, limit=1))

    # -- Telling --------------------------------------------------------

    def tell(self) -> int:
        """Tell what is due, until nothing is left or an event is not taken. Returns how many."""
        self._begin()
        with locks.turn(self.database, self._lock, TURN_SECONDS) as is_ours:
            count = 0
            while is_ours and (taken := self._tell_some()):
                count += taken
            return count

    def _tell_some(self) -> int:
        place = self._place(due=True)
        if place is None:
            return 0
        locks.keep(self.database, self._lock, TURN_SECONDS)
        count = 0
        for event in events_after(self.database, place, limit=TOGETHER):
            if self._beside.stopping.is_set() or not self._send(event):
                return 0
            count += 1
        return count

    def _send(self, event: Event) -> bool:
        try:
            self.told.send(event.content)
        except NotSent as error:
            self._postpone(error)
            return False
        self._move_on(event.place)
        locks.keep(self.database, self._lock, TURN_SECONDS)
        return True

    def _begin(self) -> None:
        """Who is new is told of what happens from now on."""
        if self._place(due=False) is not None:
            return
        place = last_place(self.database)
        with self.database.transaction() as connection:
            made = insert_or(self.database, feeds).values(
                connector=self.name,
                seal_id=place.seal,
                position=place.position,
                attempts=0,
                next_attempt_at=0.0,
            )
            connection.execute(made.on_conflict_do_nothing())

    def _place(self, *, due: bool) -> Place | None:
        """How far it was told. None: nothing was yet, or, if asked for what is due, a pause is."""
        query = select(feeds.c.seal_id, feeds.c.position).where(feeds.c.connector == self.name)
        if due:
            query = query.where(feeds.c.next_attempt_at <= now())
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Place(seal=row.seal_id, position=row.position)

    def _move_on(self, place: Place) -> None:
        self._set(
            seal_id=place.seal,
            position=place.position,
            told_at=now(),
            attempts=0,
            failing_since=None,
            next_attempt_at=0.0,
            last_error=None,
        )

    def _postpone(self, error: NotSent) -> None:
        with self.database.reading() as connection:
            attempts = connection.scalar(
                select(feeds.c.attempts).where(feeds.c.connector == self.name)
            )
        pause = self.jitter(min(PAUSE, 0.5 * 2.0 ** min(attempts or 0, 10)))
        if error.retry_after is not None:
            pause = max(pause, min(error.retry_after, PAUSE))
        log.warning("event not taken", connector=self.name, reason=str(error))
        values = {"failing_since": now()} if not attempts else {}
        self._set(
            attempts=(attempts or 0) + 1,
            next_attempt_at=now() + pause,
            last_error=str(error),
            **values,
        )

    def _set(self, **values: Any) -> None:
        with self.database.transaction() as connection:
            connection.execute(update(feeds).where(feeds.c.connector == self.name).values(**values))


def feed_standing(database: Database, name: str) -> FeedStanding:
    """How a feed stands now."""
    query = select(
        feeds,
        (now() - feeds.c.told_at).label("told"),
        (now() - feeds.c.failing_since).label("failing"),
    ).where(feeds.c.connector == name)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return FeedStanding(waiting=0, told=None, failing=None, attempts=0, last_error=None)
    return FeedStanding(
        waiting=count_after(database, Place(seal=row.seal_id, position=row.position)),
        told=row.told,
        failing=row.failing,
        attempts=row.attempts,
        last_error=row.last_error,
    )
