"""Delivery within a client's request: what the client is told (the table of design section 4)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.write import Write
from scim_bridge.errors import Collided, DatabaseUnavailable, Refused
from scim_bridge.sync.intents import Intents, is_removal
from scim_bridge.sync.marks import BeingDelivered, Intent, Key, Lease, Marks
from scim_bridge.sync.reconciler import Outcome, Reconciler

log = structlog.get_logger(__name__)

T = TypeVar("T")

# How often a waiting write looks whether its turn has come, in seconds.
LOOK_AGAIN = 0.02
# How often a write is made at most that the database gives up for another transaction.
ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Carried:
    """One write that a request made, with the right to deliver it."""

    write: Write
    # None: the worker delivers it.
    lease: Lease | None
    # Whether everything before this write had reached the target.
    was_clear: bool
    # The groups that lose somebody by it.
    removals: tuple[Key, ...] = ()


@dataclass(kw_only=True)
class _Request:
    """What the request of this thread has written so far."""

    deadline: float
    carried: list[Carried] = field(default_factory=list)
    # Whether it is one of those that may wait at the same time; None: not asked yet.
    may_wait: bool | None = None


class Delivery:
    """Marks every write in its transaction, and delivers those of requests that can wait.

    `at_once`: how many requests may wait for the target at the same time. Others leave their writes
    to the worker, so that a target that answers slowly never takes all threads. None: any number.
    """

    def __init__(
        self,
        *,
        database: Database,
        marks: Marks,
        intents: Intents,
        wait: float,
        at_once: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.database = database
        self.marks = marks
        self.intents = intents
        self.wait = wait
        self.sleep = sleep
        self._places = None if at_once is None else threading.BoundedSemaphore(at_once)
        self._local = threading.local()
        # Set by `connect`, since the resources are given `written` when they are made.
        self._resources: Resources | None = None
        self._reconciler: Reconciler | None = None

    def connect(self, *, resources: Resources, reconciler: Reconciler) -> None:
        """Say who writes and who delivers. Without it every delivery is left to the worker."""
        self._resources = resources
        self._reconciler = reconciler

    # -- In the write's transaction -------------------------------------

    def written(self, write: Write) -> None:
        """Mark what a write changed, in its transaction.

        Raises `BeingDelivered` while an earlier write to the same resource is on its way and the
        request may still wait for it; the whole write is then tried again.
        """
        request: _Request | None = getattr(self._local, "request", None)
        if write.is_by_rule:
            self._followed(write, request)
            return
        impatient = request is None or not self._may_wait(request)
        key = Key(kind=write.kind, id=write.id)
        # Nobody has what was not there before.
        before = None if write.is_new else self.marks.find(key)
        leased = before is not None and before.leased
        if leased and not impatient:
            raise BeingDelivered(f"{key.kind} {key.id} is being delivered")
        was_clear = before is None or before.state == "clear"
        wanted = self.intents.of(write, impatient=impatient)
        self.marks.mark(wanted.own, before=before)
        for intent in wanted.others:
            self.marks.mark(intent)
        if request is None:
            return
        deliver = not leased and not impatient and not _can_wait(wanted.own)
        request.carried.append(
            Carried(
                write=write,
                lease=self.marks.claim(key) if deliver else None,
                was_clear=was_clear,
                removals=tuple(intent.key for intent in wanted.others if intent.urgent),
            )
        )

    def _followed(self, write: Write, request: _Request | None) -> None:
        """Mark what rules made of a write. Who loses a group by it loses it within the request that
        carries that write; the rest is left to the worker.
        """
        wanted = self.intents.of(write, impatient=True)
        for intent in (wanted.own, *wanted.others):
            self.marks.mark(intent)
        if request is not None and request.carried and wanted.own.urgent:
            last = request.carried[-1]
            request.carried[-1] = replace(last, removals=(*last.removals, wanted.own.key))

    def _may_wait(self, request: _Request) -> bool:
        """Whether a request still has time, and one of the places of those that wait."""
        if time.monotonic() >= request.deadline:
            return False
        if request.may_wait is None:
            request.may_wait = self._places is None or self._places.acquire(blocking=False)
        return request.may_wait

    # -- Around it ------------------------------------------------------

    def carry(self, act: Callable[[], T]) -> T:
        """Run a write and deliver what it changed, for `wait` seconds at most.

        Raises `Refused` when the target refused the write for good and it was undone.
        """
        request = _Request(deadline=time.monotonic() + self.wait)
        try:
            with self._written_by(request):
                result = self._in_turn(act, request)
            for refused in [self._deliver(one, request.deadline) for one in request.carried]:
                if refused is not None:
                    raise refused
            return result
        finally:
            if request.may_wait and self._places is not None:
                self._places.release()

    @contextmanager
    def _written_by(self, request: _Request) -> Iterator[None]:
        """What this thread writes in the `with` block is written by the request."""
        self._local.request = request
        try:
            yield
        finally:
            self._local.request = None

    def _in_turn(self, act: Callable[[], T], request: _Request) -> T:
        """Write once no earlier write to the resource is being delivered, or the wait is over.

        A write is a whole transaction, and nobody was told of one that was taken back.
        """
        collisions = 0
        while True:
            try:
                return act()
            except BeingDelivered:
                pass
            except Collided:
                collisions += 1
                if collisions == ATTEMPTS:
                    raise
            request.carried.clear()
            self.sleep(LOOK_AGAIN)

    def _deliver(self, carried: Carried, deadline: float) -> Refused | None:
        """Deliver one write. Returns the refusal for which it was undone."""
        reconciler, lease = self._reconciler, carried.lease
        if lease is None or reconciler is None:
            return None
        key = lease.key
        # The write is kept, and so is its mark: whatever happens here, the client must not be told
        # that nothing was changed. The lease runs out by itself, and the worker takes over.
        try:
            outcome = reconciler.reconcile(lease, deadline=deadline, additions=False)
            for group in carried.removals:
                self._remove(reconciler, group, deadline)
            return self._undo(carried, outcome)
        except DatabaseUnavailable as error:
            log.warning("delivery interrupted", kind=key.kind, id=key.id, reason=str(error))
        except Exception:
            log.exception("delivery failed", kind=key.kind, id=key.id)
        return None

    def _remove(self, reconciler: Reconciler, key: Key, deadline: float) -> None:
        if time.monotonic() >= deadline:
            return
        lease = self.marks.claim(key)
        if lease is not None:
            reconciler.reconcile(lease, deadline=deadline, additions=False)

    def _undo(self, carried: Carried, outcome: Outcome) -> Refused | None:
        """Take a refused write back, where nothing newer stands on it. Returns its refusal then.

        A write that takes access away stays, whatever else in it was refused; and a write on top of
        one that never arrived stays too: its mark is failed and says why.
        """
        refused, resources = outcome.refused, self._resources
        if refused is None or resources is None:
            return None
        if is_removal(carried.write) or not carried.was_clear:
            return None
        return None if resources.undo(carried.write) is None else refused


def _can_wait(intent: Intent) -> bool:
    """Additions of members are collected by the worker."""
    return intent.quiet > 0
