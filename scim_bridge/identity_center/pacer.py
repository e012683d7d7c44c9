"""When may the next call be sent to Identity Center?"""

import math
import threading
import time
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from scim_bridge.errors import Throttled

# A throttle answer halves the rate, but never below this many calls a second: removals of access
# stand in the same queue and must go on.
SLOWEST = 1.0
# Each call that is answered gives this share of the configured rate back.
RECOVERY = 0.02
# A longer Retry-After than this many seconds is not believed: it would keep leavers waiting.
LONGEST_PAUSE = 60.0
# Who wakes a moment before its turn sleeps at least this long, in seconds.
SHORTEST_SLEEP = 0.001

# (0 for an urgent call and 1 for an ordinary one, order of arrival)
Ticket = tuple[int, int]


class Pacer:
    """Spaces the calls of all threads evenly, so that they stay under ``rate`` calls per second.

    A throttle answer halves the pace and its Retry-After stops every call; each answered call
    raises the pace again, by a fixed step, up to ``rate``. Urgent calls (those that take access
    away) overtake the ordinary ones that wait. AWS does not document the rate of the SCIM endpoint.

    ``clock`` is monotonic and in seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fastest = rate
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._arrivals = count()
        # Sorted: the first is the next to go.
        self._waiting: list[Ticket] = []
        self._free_at = clock()
        self._halved_at = -math.inf

    @property
    def rate(self) -> float:
        """Calls per second at present."""
        return self._rate

    @contextmanager
    def turn(self, *, urgent: bool = False, deadline: float | None = None) -> Iterator[None]:
        """Wait for the turn of one call; the call is made in the ``with`` block.

        ``deadline`` is a time of the pacer's clock. Leaving the block normally counts as an
        answered call, leaving it with `Throttled` as a throttle answer.

        :raises Throttled: the turn would come after ``deadline``. Known at once, not by waiting.
        """
        self._wait(urgent=urgent, deadline=deadline)
        begun = self._clock()
        try:
            yield
        except Throttled as throttled:
            self._slow_down(begun=begun, retry_after=throttled.retry_after)
            raise
        self._speed_up()

    def _wait(self, *, urgent: bool, deadline: float | None) -> None:
        ticket = self._join(urgent=urgent)
        try:
            while pause := self._pause_before(ticket):
                self._refuse_if_late(pause, deadline=deadline)
                self._sleep(pause)
            self._refuse_if_late(0, deadline=deadline)
        finally:
            self._leave(ticket)

    def _join(self, *, urgent: bool) -> Ticket:
        with self._lock:
            ticket = (0 if urgent else 1, next(self._arrivals))
            insort(self._waiting, ticket)
            return ticket

    def _refuse_if_late(self, pause: float, *, deadline: float | None) -> None:
        if deadline is not None and self._clock() + pause > deadline:
            raise Throttled(
                f"no call could be sent in time: the bridge sends Identity Center {self._rate:g} "
                f"calls a second, and others wait",
                retry_after=pause,
            )

    def _pause_before(self, ticket: Ticket) -> float:
        """Seconds until the turn of ``ticket``, as things stand. 0: it has its turn, now."""
        with self._lock:
            now = self._clock()
            ahead = self._waiting.index(ticket)
            if ahead == 0 and self._free_at <= now:
                self._free_at = now + 1 / self._rate
                return 0.0
            pause = max(self._free_at - now, 0) + ahead / self._rate
            return max(pause, SHORTEST_SLEEP)

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            self._waiting.remove(ticket)

    def _slow_down(self, *, begun: float, retry_after: float | None) -> None:
        with self._lock:
            now = self._clock()
            # Calls that were under way together and are refused together are one signal.
            if begun > self._halved_at:
                self._rate = max(self._rate / 2, min(SLOWEST, self._fastest))
                self._halved_at = now
            pause = min(retry_after or 1 / self._rate, LONGEST_PAUSE)
            self._free_at = max(self._free_at, now + pause)

    def _speed_up(self) -> None:
        with self._lock:
            self._rate = min(self._rate + RECOVERY * self._fastest, self._fastest)
