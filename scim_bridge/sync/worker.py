"""Who drives deliveries when no request does: the worker, and `scim-bridge sync`."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from scim_bridge.directory.actor import BRIDGE, acting
from scim_bridge.directory.bell import Listener
from scim_bridge.errors import BridgeError, DatabaseUnavailable
from scim_bridge.sync.access import AccessReconciler
from scim_bridge.sync.marks import Key, Lease, Mark, Marks
from scim_bridge.sync.reconciler import Outcome, Reconciler

log = structlog.get_logger(__name__)

# How often the worker looks for due marks when it found none, in seconds.
LOOK_AGAIN = 0.1
# The same where a new mark is heard of at once, and only time makes others due.
LISTEN_FOR = 0.5
# For how long `run_once` follows what Identity Center has begun, in seconds.
FOLLOW_FOR = 300.0
# As many due marks are looked at together when something is followed.
MOST_DUE = 1000
# How often the audit trail is sealed and the like, in seconds.
UPKEEP_EVERY = 0.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run over all due marks has come."""

    done: int
    total: int


class Background(Protocol):
    """What goes on beside the deliveries while a worker runs, in a thread of its own."""

    def look(self) -> None: ...

    def stop(self) -> None: ...


class Passes(Protocol):
    """Who brings one resource to a target."""

    def reconcile(self, lease: Lease) -> Outcome: ...


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Deliveries of one kind, with threads of their own: none keeps those of another waiting."""

    marks: Marks
    passes: Passes
    threads: int = 4

    def start_due(
        self, pool: ThreadPoolExecutor, under_way: dict[Key, Future[Outcome | None]]
    ) -> int:
        """Start as many due deliveries as there are threads free. Returns how many."""
        for key in [key for key, future in under_way.items() if future.done()]:
            del under_way[key]
        room = self.threads - len(under_way)
        if room <= 0:
            return 0
        due = self.marks.due(room, apart_from=under_way)
        for key in due:
            under_way[key] = pool.submit(self.deliver, key)
        return len(due)

    def deliver(self, key: Key) -> Outcome | None:
        """Deliver one resource; None if somebody else has it."""
        try:
            with acting(BRIDGE):
                lease = self.marks.claim(key)
                return None if lease is None else self.passes.reconcile(lease)
        except BridgeError as error:
            log.warning("delivery interrupted", kind=key.kind, id=key.id, reason=str(error))
        except Exception:
            # A defect in one delivery must not stop the others; its lease runs out by itself.
            log.exception("delivery failed", kind=key.kind, id=key.id)
        return None


@dataclass(kw_only=True)
class _Once:
    """How far one run over all marks has come."""

    end: float
    report: Callable[[Progress], None]
    # The generation that was tried, and how it ended, by target and resource.
    tried: dict[tuple[str, Key], int] = field(default_factory=dict)
    outcomes: dict[tuple[str, Key], Outcome] = field(default_factory=dict)

    def is_new(self, lane: Lane, mark: Mark) -> bool:
        return self.tried.get((lane.marks.target, mark.key)) != mark.generation

    def ended(self, lane: Lane, mark: Mark, outcome: Outcome, *, left: int) -> None:
        self.tried[lane.marks.target, mark.key] = mark.generation
        self.outcomes[lane.marks.target, mark.key] = outcome
        self.report(Progress(done=len(self.tried), total=len(self.tried) + left))

    def under_way(self, lane: Lane) -> set[Key]:
        return {
            key
            for (target, key), outcome in self.outcomes.items()
            if target == lane.marks.target and outcome.under_way
        }

    def try_again(self, lane: Lane, key: Key) -> None:
        self.tried.pop((lane.marks.target, key), None)

    def worst(self) -> dict[Key, Outcome]:
        """How each resource ended: `clear` only if all of it is."""
        worst: dict[Key, Outcome] = {}
        for (_, key), outcome in self.outcomes.items():
            if key not in worst or worst[key].state == "clear":
                worst[key] = outcome
        return worst


class Worker:
    """Delivers due marks, removals first, several resources at a time.

    Users, groups and memberships go one way, assignments (`access_marks`) another; what goes to
    other targets goes `beside` them, and none waits for another. `begin` is called once.
    `upkeep` is called about twice a second: it seals the audit trail. Stopping lets the calls that
    are under way end.
    """

    def __init__(
        self,
        *,
        marks: Marks,
        reconciler: Reconciler,
        access_marks: Marks,
        access: AccessReconciler,
        upkeep: Callable[[], object],
        background: Sequence[Background] = (),
        beside: Sequence[Lane] = (),
        begin: Callable[[threading.Event], object] = lambda _: None,
        threads: int = 4,
    ) -> None:
        self.lanes = (
            Lane(marks=marks, passes=reconciler, threads=threads),
            Lane(marks=access_marks, passes=access, threads=max(threads // 2, 1)),
            *beside,
        )
        self._begin = begin
        self.upkeep = upkeep
        self.background = background
        self._stopping = threading.Event()
        self._defect: Exception | None = None

    def stop(self) -> None:
        """End `run` once what is under way has ended, or has been left at a good place."""
        self._stopping.set()
        for lane in self.lanes:
            if isinstance(lane.passes, Reconciler):
                lane.passes.end_soon()

    def run(self) -> None:
        """Work until `stop` is called. A database that does not answer is waited for."""
        upkeep = threading.Thread(target=self._keep_up, name="upkeep")
        others = [
            threading.Thread(target=self._deliver_beside, args=(lane,), name=lane.marks.target)
            for lane in self.lanes[1:]
        ]
        others.append(threading.Thread(target=self._begin_beside, name="beginning"))
        for thread in (upkeep, *others):
            thread.start()
        try:
            self._reconsider()
            self._keep_delivering(self.lanes[0])
        finally:
            self.stop()
            for thread in (upkeep, *others):
                thread.join()
        if self._defect is not None:
            raise self._defect

    def _deliver_beside(self, lane: Lane) -> None:
        """One lane in a thread of its own. A defect in it ends the whole worker: a lane that ended
        alone would never take anybody's access away again, and nobody would start it anew.
        """
        try:
            self._keep_delivering(lane)
        except Exception as error:
            self._defect = error
            self.stop()

    def _keep_delivering(self, lane: Lane) -> None:
        with ThreadPoolExecutor(lane.threads, thread_name_prefix="delivery") as pool:
            under_way: dict[Key, Future[Outcome | None]] = {}
            with closing(Listener(lane.marks.database)) as listener:
                while not self._stopping.is_set():
                    try:
                        if not lane.start_due(pool, under_way):
                            listener.wait(
                                LISTEN_FOR if listener.hears else LOOK_AGAIN, self._stopping
                            )
                    except DatabaseUnavailable as error:
                        self._wait_for_database(error)

    def _reconsider(self) -> None:
        """Look again at what a setting suppressed: it may be set otherwise by now."""
        while not self._stopping.is_set():
            try:
                self._wake_suppressed()
                return
            except DatabaseUnavailable as error:
                self._wait_for_database(error)

    def _begin_beside(self) -> None:
        """What may take a while, and keeps no leaver waiting."""
        while not self._stopping.is_set():
            try:
                self._begin(self._stopping)
                return
            except DatabaseUnavailable as error:
                self._wait_for_database(error)
            except Exception:
                # Deliveries go on; the next start tries again.
                log.exception("beginning failed")
                return

    def _wake_suppressed(self) -> None:
        for lane in self.lanes:
            lane.marks.wake("suppressed")

    def _wait_for_database(self, error: DatabaseUnavailable) -> None:
        log.warning("database unavailable", reason=str(error))
        self._stopping.wait(1.0)

    def _keep_up(self) -> None:
        while not self._stopping.wait(UPKEEP_EVERY):
            self._keep_up_once()
            for one in self.background:
                self._guarded(one.look)
        for one in self.background:
            self._guarded(one.stop)
        self._keep_up_once()

    def _keep_up_once(self) -> None:
        self._guarded(self.upkeep)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BridgeError as error:
            log.warning("upkeep failed", reason=str(error))
        except Exception:
            # The next try may end better; a thread that died would never seal again.
            log.exception("upkeep failed")

    # -- Once -----------------------------------------------------------

    def run_once(
        self, report: Callable[[Progress], None] = lambda _: None, *, patience: float = FOLLOW_FOR
    ) -> dict[Key, Outcome]:
        """Deliver what is pending now, and what follows from it, until nothing is left to try.

        Marks that wait for a later try are tried too, once for each generation; what Identity
        Center has begun is followed, for `patience` seconds at most. So is what a setting
        suppressed. Returns how each resource ended: the worse of its own outcome and that of its
        assignments.
        """
        self._wake_suppressed()
        self._begin(self._stopping)
        run = _Once(end=time.monotonic() + patience, report=report)
        while self._try_all(run) or self._is_waiting(run):
            continue
        self._keep_up_once()
        return run.worst()

    def _try_all(self, run: _Once) -> bool:
        tried = [self._try_once(lane, run) for lane in self.lanes]
        return any(tried)

    def _try_once(self, lane: Lane, run: _Once) -> bool:
        """Try what has not been tried. Returns whether there was anything."""
        left = [mark for mark in lane.marks.marked("pending") if run.is_new(lane, mark)]
        for place, mark in enumerate(left, start=1):
            outcome = lane.deliver(mark.key) or Outcome(state="pending", error="being delivered")
            run.ended(lane, mark, outcome, left=len(left) - place)
        return bool(left)

    def _is_waiting(self, run: _Once) -> bool:
        """Follow what is under way, once it is due. Returns whether there is anything."""
        followed = False
        for lane in self.lanes:
            # A running bridge may have followed it to its end meanwhile.
            busy = run.under_way(lane) & set(lane.marks.in_state("pending"))
            due = [key for key in lane.marks.due(MOST_DUE) if key in busy] if busy else []
            for key in due:
                run.try_again(lane, key)
            followed = followed or bool(busy)
        if not followed or time.monotonic() >= run.end:
            return False
        self._stopping.wait(LOOK_AGAIN)
        return True
