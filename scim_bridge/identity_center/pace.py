"""How fast may calls follow one another? Pure: what a turn, a throttle answer and a success change.

Times are in seconds of one clock, that of whoever keeps the pace.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

# A throttle answer halves the rate, but never below this many calls a second: removals of access
# stand in the same queue and must go on.
SLOWEST = 1.0
# Each call that is answered gives this share of the configured rate back,
RECOVERY = 0.02
# and a tenth of it near the rate at which AWS throttled: beyond this share of it.
NEAR = 0.8
CAREFUL = 0.1
# A longer Retry-After than this many seconds is not believed: it would keep leavers waiting.
LONGEST_PAUSE = 60.0
# Nothing is put off for longer than this, in seconds. A time further ahead was written before the
# clock was set back.
FURTHEST_AHEAD = 600.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast calls go at present, and when the next one may."""

    # Calls per second.
    rate: float
    # The next call may be sent from then on.
    free_at: float = 0.0
    # AWS wants no call before.
    stopped_until: float = 0.0
    # When the rate was halved last, and from which rate; None: it never was.
    halved_at: float = 0.0
    halved_from: float | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Whether a call has its turn, and in how many seconds; without one, when to ask again."""

    is_mine: bool
    pause: float


class PaceKeeper(Protocol):
    """Keeps the pace of one door, for one process or for several."""

    def change(self, decide: Callable[[Pace, float], tuple[Pace, T]], *, fastest: float) -> T:
        """Change the pace to what `decide` makes of it at the present time; returns what it adds.

        Nobody else changes it meanwhile. A pace that nobody has kept yet goes `fastest`.
        """
        ...


class OwnPace:
    """The pace of one process alone. ``clock`` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pace: Pace | None = None

    def change(self, decide: Callable[[Pace, float], tuple[Pace, T]], *, fastest: float) -> T:
        with self._lock:
            self._pace, added = decide(self._pace or Pace(rate=fastest), self._clock())
            return added


def taken(pace: Pace, now: float) -> tuple[Pace, Turn]:
    """Take the next turn, if it is now. Who may wait takes it only then: others may come before."""
    pause = free_in(pace, now)
    if pause > 0:
        return pace, Turn(is_mine=False, pause=pause)
    return replace(pace, free_at=now + 1 / pace.rate), Turn(is_mine=True, pause=0.0)


def reserved(pace: Pace, now: float, *, within: float | None) -> tuple[Pace, Turn]:
    """Take the next turn that nobody has, also if it comes only later: before all who may wait."""
    pause = free_in(pace, now)
    if within is not None and pause > within:
        return pace, Turn(is_mine=False, pause=pause)
    return replace(pace, free_at=now + pause + 1 / pace.rate), Turn(is_mine=True, pause=pause)


def free_in(pace: Pace, now: float) -> float:
    """In how many seconds the next turn is free."""
    return _ahead(pace.free_at, now)


def stopped_for(pace: Pace, now: float) -> float:
    """For how long AWS wants no call, in seconds."""
    return _ahead(pace.stopped_until, now)


def raised(pace: Pace, answers: int, *, fastest: float) -> Pace:
    """The pace after so many calls that were answered: step by step up to `fastest`."""
    rate = pace.rate
    for _ in range(answers):
        if rate >= fastest:
            break
        step = RECOVERY * fastest
        near = pace.halved_from is not None and rate >= NEAR * pace.halved_from
        rate += step * CAREFUL if near else step
    return replace(pace, rate=min(rate, fastest))


def slowed(
    pace: Pace, now: float, *, begun: float, retry_after: float | None, fastest: float
) -> Pace:
    """The pace after a throttle answer to a call that began at `begun`.

    Calls that were under way together and are refused together are one signal.
    """
    # A time ahead was written before the clock was set back.
    if begun > pace.halved_at or pace.halved_at > now:
        halved = max(pace.rate / 2, min(SLOWEST, fastest))
        pace = replace(pace, rate=halved, halved_at=now, halved_from=pace.rate)
    until = now + min(retry_after or 1 / pace.rate, LONGEST_PAUSE)
    return replace(
        pace,
        free_at=max(pace.free_at, until),
        stopped_until=max(pace.stopped_until, until),
    )


def _ahead(when: float, now: float) -> float:
    ahead = max(when - now, 0.0)
    return ahead if ahead <= FURTHEST_AHEAD else 0.0
