"""When may the next call be sent to Identity Center?"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from scim_bridge.errors import Throttled
from scim_bridge.identity_center.pace import (
    OwnPace,
    Pace,
    PaceKeeper,
    Turn,
    free_in,
    raised,
    reserved,
    slowed,
    stopped_for,
    taken,
)

# Who wakes a moment before its turn sleeps at least this long, in seconds.
SHORTEST_SLEEP = 0.001

T = TypeVar("T")


class Pacer:
    """Spaces the calls of all threads evenly, so that they stay under ``rate`` calls per second.

    A throttle answer halves the pace and its Retry-After stops every call; each answered call
    raises the pace again, by a fixed step, up to ``rate``, and carefully where AWS throttled
    before. Urgent calls (those that take access away) overtake the ordinary ones that wait. AWS
    does not document the rate of the SCIM endpoint.

    ``keeper`` keeps the pace that is shared with other processes; without one it is this process's
    own. ``clock`` is monotonic and in seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        keeper: PaceKeeper | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fastest = rate
        self._keeper = keeper or OwnPace(clock)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        # Ordinary calls in this process, the next one first: it alone asks for the turn.
        self._waiting: deque[object] = deque()
        # The pace when it was last asked for, when a turn was free then, by this clock, and the
        # calls that were answered since.
        self._seen = Pace(rate=rate)
        self._free_at = clock()
        self._answers = 0

    @property
    def rate(self) -> float:
        """Calls per second at present, as far as this process knows."""
        return raised(self._seen, self._answers, fastest=self._fastest).rate

    @contextmanager
    def turn(self, *, urgent: bool = False, deadline: float | None = None) -> Iterator[None]:
        """Wait for the turn of one call; the call is made in the ``with`` block.

        ``deadline`` is a time of the pacer's clock. Leaving the block normally counts as an
        answered call, leaving it with `Throttled` as a throttle answer.

        :raises Throttled: the turn would come after ``deadline``. Known at once, not by waiting.
        """
        if urgent:
            self._go_first(deadline)
        else:
            self._queue(deadline)
        self._refuse_if_late(0, deadline=deadline)
        begun = self._clock()
        try:
            yield
        except Throttled as throttled:
            self._slow_down(begun=begun, retry_after=throttled.retry_after)
            raise
        with self._lock:
            self._answers += 1

    def _go_first(self, deadline: float | None) -> None:
        """Have the next turn kept free, and wait for it; again if AWS stops all calls meanwhile."""
        due = self._reserve(deadline)
        while (pause := due - self._clock()) > 0:
            self._sleep(max(pause, SHORTEST_SLEEP))
            if self._is_stopped():
                due = self._reserve(deadline)

    def _reserve(self, deadline: float | None) -> float:
        """When the turn comes, by this clock."""
        left = None if deadline is None else deadline - self._clock()
        turn = self._ask(lambda pace, now: reserved(pace, now, within=left))
        self._refuse_if_late(turn.pause, deadline=deadline)
        return self._clock() + turn.pause

    def _queue(self, deadline: float | None) -> None:
        """Wait behind the others of this process, then for a turn that no process has."""
        ticket = object()
        with self._lock:
            self._waiting.append(ticket)
        try:
            while pause := self._pause_before(ticket):
                self._refuse_if_late(pause, deadline=deadline)
                self._sleep(pause)
        finally:
            with self._lock:
                self._waiting.remove(ticket)

    def _pause_before(self, ticket: object) -> float:
        """Seconds until it is worth looking again. 0: the call has its turn, now."""
        with self._lock:
            ahead = self._waiting.index(ticket)
        if ahead:
            until_free = max(self._free_at - self._clock(), 0.0)
            return max(until_free + ahead / self.rate, SHORTEST_SLEEP)
        turn = self._ask(taken)
        return 0.0 if turn.is_mine else max(turn.pause, SHORTEST_SLEEP)

    def _refuse_if_late(self, pause: float, *, deadline: float | None) -> None:
        if deadline is not None and self._clock() + pause > deadline:
            raise Throttled(
                f"no call could be sent in time: the bridge sends {self.rate:g} calls a second "
                "there, and others wait",
                retry_after=pause,
            )

    def _ask(self, decide: Callable[[Pace, float], tuple[Pace, Turn]]) -> Turn:
        """Ask for a turn, at the pace that the answers since have earned."""
        with self._lock:
            answers, self._answers = self._answers, 0

        return self._changed(
            lambda pace, now: decide(raised(pace, answers, fastest=self._fastest), now)
        )

    def _is_stopped(self) -> bool:
        return self._keeper.change(
            lambda pace, now: (pace, stopped_for(pace, now) > 0), fastest=self._fastest
        )

    def _slow_down(self, *, begun: float, retry_after: float | None) -> None:
        ago = self._clock() - begun

        def decided(pace: Pace, now: float) -> tuple[Pace, None]:
            begun = now - ago
            fastest = self._fastest
            return slowed(pace, now, begun=begun, retry_after=retry_after, fastest=fastest), None

        self._changed(decided)

    def _changed(self, decide: Callable[[Pace, float], tuple[Pace, T]]) -> T:
        """Change the pace, and remember what it is now."""

        def decided(pace: Pace, now: float) -> tuple[Pace, tuple[Pace, float, T]]:
            after, added = decide(pace, now)
            return after, (after, free_in(after, now), added)

        self._seen, until_free, added = self._keeper.change(decided, fastest=self._fastest)
        self._free_at = self._clock() + until_free
        return added
