"""Who drives deliveries when no request does: the worker, and `scim-bridge sync`."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from scim_bridge.directory.actor import BRIDGE, acting
from scim_bridge.errors import BridgeError, DatabaseUnavailable
from scim_bridge.sync.marks import Key, Marks
from scim_bridge.sync.reconciler import Outcome, Reconciler

log = structlog.get_logger(__name__)

# How often the worker looks for due marks when it found none, in seconds.
LOOK_AGAIN = 0.1
# How often the audit trail is sealed and the like, in seconds.
UPKEEP_EVERY = 0.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run over all due marks has come."""

    done: int
    total: int


class Worker:
    """Delivers due marks, removals first, several resources at a time.

    `upkeep` is called about twice a second: it seals the audit trail. Stopping lets the calls
    that are under way end.
    """

    def __init__(
        self,
        *,
        marks: Marks,
        reconciler: Reconciler,
        upkeep: Callable[[], object],
        threads: int = 4,
    ) -> None:
        self.marks = marks
        self.reconciler = reconciler
        self.upkeep = upkeep
        self.threads = threads
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End `run` once what is under way has ended."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop` is called. A database that does not answer is waited for."""
        upkeep = threading.Thread(target=self._keep_up, name="upkeep")
        upkeep.start()
        try:
            self._reconsider()
            self._keep_delivering()
        finally:
            self.stop()
            upkeep.join()

    def _keep_delivering(self) -> None:
        with ThreadPoolExecutor(self.threads, thread_name_prefix="delivery") as pool:
            under_way: dict[Key, Future[Outcome | None]] = {}
            while not self._stopping.is_set():
                under_way = {key: f for key, f in under_way.items() if not f.done()}
                if not self._start_due(pool, under_way):
                    self._stopping.wait(LOOK_AGAIN)

    def _reconsider(self) -> None:
        """Look again at what a setting suppressed: it may be set otherwise by now."""
        while not self._stopping.is_set():
            try:
                self.marks.wake("suppressed")
                return
            except DatabaseUnavailable as error:
                self._wait_for_database(error)

    def _wait_for_database(self, error: DatabaseUnavailable) -> None:
        log.warning("database unavailable", reason=str(error))
        self._stopping.wait(1.0)

    def _start_due(
        self, pool: ThreadPoolExecutor, under_way: dict[Key, Future[Outcome | None]]
    ) -> int:
        room = self.threads - len(under_way)
        if room <= 0:
            return 0
        try:
            due = self.marks.due(room, apart_from=under_way)
        except DatabaseUnavailable as error:
            self._wait_for_database(error)
            return 0
        for key in due:
            under_way[key] = pool.submit(self._deliver, key)
        return len(due)

    def _deliver(self, key: Key) -> Outcome | None:
        """Deliver one resource; None if somebody else has it."""
        try:
            with acting(BRIDGE):
                lease = self.marks.claim(key)
                return None if lease is None else self.reconciler.reconcile(lease)
        except BridgeError as error:
            log.warning("delivery interrupted", kind=key.kind, id=key.id, reason=str(error))
        except Exception:
            # A defect in one delivery must not stop the others; its lease runs out by itself.
            log.exception("delivery failed", kind=key.kind, id=key.id)
        return None

    def _keep_up(self) -> None:
        while not self._stopping.wait(UPKEEP_EVERY):
            self._keep_up_once()
        self._keep_up_once()

    def _keep_up_once(self) -> None:
        try:
            self.upkeep()
        except BridgeError as error:
            log.warning("upkeep failed", reason=str(error))
        except Exception:
            # The next try may end better; a thread that died would never seal again.
            log.exception("upkeep failed")

    def run_once(self, report: Callable[[Progress], None] = lambda _: None) -> dict[Key, Outcome]:
        """Deliver what is pending now, and what follows from it, until nothing is left to try.

        Marks that wait for a later try are tried too, once for each generation. So is what a
        setting suppressed. Returns how each ended.
        """
        self.marks.wake("suppressed")
        outcomes: dict[Key, Outcome] = {}
        tried: dict[Key, int] = {}
        while True:
            pending = self.marks.marked("pending")
            left = [mark for mark in pending if tried.get(mark.key) != mark.generation]
            if not left:
                break
            for place, mark in enumerate(left, start=1):
                tried[mark.key] = mark.generation
                outcome = self._deliver(mark.key)
                outcomes[mark.key] = outcome or Outcome(state="pending", error="being delivered")
                report(Progress(done=len(tried), total=len(tried) + len(left) - place))
        self._keep_up_once()
        return outcomes
