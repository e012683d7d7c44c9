"""When is Identity Center read again, and by which process?"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from scim_bridge.directory import locks
from scim_bridge.directory.database import Database
from scim_bridge.errors import BridgeError
from scim_bridge.settings import Extraction as ExtractionSettings
from scim_bridge.sync.beside import Beside
from scim_bridge.sync.extraction import (
    KINDS,
    Extracted,
    Extraction,
    ExtractionKind,
    Report,
    run_of,
)
from scim_bridge.sync.freshness import freshness

log = structlog.get_logger(__name__)

# How often it is looked whether something is due, in seconds.
LOOK_EVERY = 5.0
# A process that dies while it reads keeps others from reading for so long, in seconds.
TURN_SECONDS = 300.0
# How often it is looked whether another process has finished, in seconds.
LOOK_AGAIN = 0.2

# Read one after the other. Assignments take long: nothing else waits for them.
LANES: tuple[tuple[ExtractionKind, ...], ...] = (
    ("users", "groups", "memberships", "catalogue"),
    ("assignments",),
)


class _Stopped(BridgeError):
    """The worker ends; what was read so far is thrown away."""


class Schedule:
    """Has what is due read in the background, by one process at a time."""

    def __init__(
        self,
        database: Database,
        extraction: Extraction,
        settings: ExtractionSettings,
        *,
        lanes: Sequence[tuple[ExtractionKind, ...]] = LANES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self.extraction = extraction
        self.settings = settings
        self.lanes = lanes
        self._clock = clock
        self._looked: float | None = None
        self._stopping = threading.Event()
        self._readings = {
            lane: Beside(
                "extraction",
                partial(self._read, lane),
                stopping=self._stopping,
                target=extraction.sightings.target,
                lane=lane[0],
            )
            for lane in lanes
        }

    def look(self) -> None:
        """Begin to read what is due. Returns at once; called as often as one likes."""
        if self._stopping.is_set() or not self.settings.interval:
            return
        if self._looked is not None and self._clock() - self._looked < LOOK_EVERY:
            return
        self._looked = self._clock()
        for lane, reading in self._readings.items():
            reading.begin(partial(self._due, lane))

    def read_now(
        self,
        kinds: Iterable[ExtractionKind] = KINDS,
        *,
        report: Report = lambda _kind, _done, _total: None,
        believe: bool = False,
    ) -> list[Extracted]:
        """Read these kinds here and now, once no other process reads them."""
        wanted, results = set(kinds), list[Extracted]()
        for lane in self.lanes:
            if mine := [kind for kind in lane if kind in wanted]:
                name = run_of(lane[0], self.extraction.sightings.target)
                with self._own_turn(name):
                    results += self.extraction.run(
                        mine, report=self._keeping(name, report), believe=believe
                    )
        return results

    @contextmanager
    def _own_turn(self, name: str) -> Iterator[None]:
        while True:
            with locks.turn(self.database, name, TURN_SECONDS) as mine:
                if mine:
                    yield
                    return
            self._stopping.wait(LOOK_AGAIN)

    def stop(self) -> None:
        """End what is being read."""
        for reading in self._readings.values():
            reading.stop()

    def _due(self, lane: Sequence[ExtractionKind]) -> list[ExtractionKind]:
        found = freshness(self.database, self.settings, self.extraction.sightings.target)
        return [one.kind for one in found if one.kind in lane and one.is_due]

    def _read(self, lane: tuple[ExtractionKind, ...]) -> None:
        name = run_of(lane[0], self.extraction.sightings.target)
        try:
            with locks.turn(self.database, name, TURN_SECONDS) as mine:
                # Another process may have read it meanwhile.
                if mine and (due := self._due(lane)):
                    self.extraction.run(due, report=self._keeping(name))
        except _Stopped:
            log.info("extraction stopped", lane=lane[0])

    def _keeping(
        self, name: str, also: Report = lambda _kind, _done, _total: None
    ) -> Callable[[ExtractionKind, int, int], None]:
        """Keep the turn for as long as something is read, unless the worker ends."""
        kept = self._clock()

        def report(kind: ExtractionKind, done: int, total: int) -> None:
            nonlocal kept
            also(kind, done, total)
            if self._stopping.is_set():
                raise _Stopped("the worker ends")
            if self._clock() - kept > TURN_SECONDS / 3:
                kept = self._clock()
                locks.keep(self.database, name, TURN_SECONDS)

        return report
