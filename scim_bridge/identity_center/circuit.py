"""Is Identity Center's door open, and if not, why and since when?"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import structlog
from pybreaker import CircuitBreaker, CircuitBreakerError

from scim_bridge.errors import (
    BridgeError,
    CircuitOpen,
    DoorClosed,
    Missing,
    Refused,
    Unavailable,
)

log = structlog.get_logger(__name__)

# This many calls in a row without an answer open the circuit.
FAILURES = 5
# Seconds from one probe to the next: a minute, less what the probe and the delivery after it take,
# so that a leaver who waits for a mended door is disabled within the minute.
PROBE_AFTER = 50.0
# Seconds to the first probe after an outage, which often ends by itself; each time twice as many,
# up to `PROBE_AFTER`. Whoever refuses credentials is not asked that often: somebody must mend them.
OUTAGE_PROBE_AFTER = 3.0

State = Literal["closed", "open", "half-open"]


class CutShort(Unavailable):
    """The caller's own deadline ended the call so soon that it says nothing about the door."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of the door at one moment."""

    state: State
    # Why the circuit opened, in words for an operator. None while it is closed.
    cause: str | None = None
    # When it opened, in UTC.
    since: datetime | None = None
    # When the next call is let through to try, in UTC.
    next_probe: datetime | None = None


CLOSED = Standing(state="closed")


class Circuit:
    """Stops calls while the door is known to be closed, and lets one probe through now and then.

    What a call's end means:

        DoorClosed                   opens at once: the next call would end the same
        Unavailable                  opens after FAILURES in a row
        an answer, Refused, Missing  closes
        anything else                says nothing (Throttled, a call never sent, a defect)

    Calls run outside of any lock, so that threads do not wait for each other's calls: pybreaker is
    only told how a call ended. ``on_change`` is called with the new `Standing` in the thread whose
    call changed it. ``works_elsewhere`` is asked while the circuit is open: has another process got
    through within so many seconds? ``clock`` is monotonic and in seconds, ``now`` is what is shown.
    """

    def __init__(
        self,
        *,
        on_change: Callable[[Standing], None] | None = None,
        works_elsewhere: Callable[[float], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        whose: str = "Identity Center",
    ) -> None:
        self.whose = whose
        self.on_change = on_change
        self.works_elsewhere = works_elsewhere
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        # The time between probes is kept here, since pybreaker reads the wall clock.
        self._breaker = CircuitBreaker(
            fail_max=FAILURES, reset_timeout=0, throw_new_error_on_trip=False
        )
        self._standing = CLOSED
        self._probe_at = self._failed_at = clock()
        self._probing = False
        self._outage_pause = OUTAGE_PROBE_AFTER
        # Whether the next probe was brought forward by what another process found; and whether
        # one that was has failed, so that only the next of our own is trusted.
        self._early = self._deaf = False
        self._answered_at: float | None = None

    @property
    def silence(self) -> float | None:
        """Seconds since Identity Center last answered. None: it never did."""
        return None if self._answered_at is None else self._clock() - self._answered_at

    @property
    def standing(self) -> Standing:
        return self._standing

    @property
    def state(self) -> State:
        return self._standing.state

    @property
    def cause(self) -> str | None:
        return self._standing.cause

    @property
    def since(self) -> datetime | None:
        return self._standing.since

    @property
    def next_probe(self) -> datetime | None:
        return self._standing.next_probe

    def listen(self) -> bool:
        """Let the next call try at once if another process has got through meanwhile. True: it may.

        Not again after such a try has failed: this process may be the only one that is refused.
        """
        if self._standing.state != "open" or self._early or self._deaf:
            return False
        if not self._has_heard_good():
            return False
        with self._lock:
            if self.state != "open":
                return False
            self._early, self._probe_at = True, self._clock()
            self._standing = replace(self._standing, next_probe=self._now())
        return True

    def _has_heard_good(self) -> bool:
        # What cannot be asked must not change how a call ends.
        try:
            return self.works_elsewhere(self._clock() - self._failed_at)
        except BridgeError as error:
            log.warning("circuit of others not read", reason=str(error))
            return False

    def check(self) -> None:
        """Say early that a call would not be sent, before it queues for its turn.

        :raises CircuitOpen: the door is known to be closed and no probe is due.
        """
        self.listen()
        with self._lock:
            self._refuse_if_closed()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Make one call in the ``with`` block; how the block is left is what the circuit learns.

        :raises CircuitOpen: the door is known to be closed, and this call is not the probe.
        """
        probe = self._admit()
        try:
            yield
        except BridgeError as error:
            self._ended(error, probe=probe)
            raise
        except BaseException:
            self._ended(None, probe=probe, answered=False)
            raise
        self._ended(None, probe=probe)

    def _refuse_if_closed(self) -> None:
        if self.state != "closed" and (self._probing or self._clock() < self._probe_at):
            raise CircuitOpen(f"{self.whose} is not asked at present: {self.cause}")

    def _admit(self) -> bool:
        """Let a call through, or not. True: it is the probe."""
        before = self._standing
        with self._lock:
            self._refuse_if_closed()
            if self.state == "closed":
                return False
            self._probing = True
            self._breaker.half_open()
            self._standing = self._described(cause=self.cause)
        self._tell(before)
        return True

    def _ended(self, error: BridgeError | None, *, probe: bool, answered: bool = True) -> None:
        before = self._standing
        with self._lock:
            if probe:
                self._probing = False
            # A call that began before the circuit opened ends as a stranger to what came after.
            if answered and (probe or self.state == "closed"):
                self._learn(error)
        self._tell(before)

    def _learn(self, error: BridgeError | None) -> None:
        match error:
            case None | Refused() | Missing():
                self._record(None)
                self._answered_at = self._clock()
                self._outage_pause, self._early, self._deaf = OUTAGE_PROBE_AFTER, False, False
                cause = None
            case DoorClosed():
                self._record(error)
                self._breaker.open()
                cause = error.detail
            case CutShort():
                return
            case Unavailable():
                self._record(error)
                cause = (
                    f"it did not answer {FAILURES} times in a row; the last time: {error.detail}"
                )
            case _:
                return
        if self._breaker.current_state == "open":
            self._put_off(is_outage=isinstance(error, Unavailable))
        self._standing = self._described(cause=cause)

    def _put_off(self, *, is_outage: bool) -> None:
        """Set the time of the next probe."""
        pause = PROBE_AFTER
        if is_outage:
            pause = self._outage_pause
            self._outage_pause = min(2 * pause, PROBE_AFTER)
        self._failed_at = self._clock()
        self._probe_at = self._failed_at + pause
        self._early, self._deaf = False, self._early

    def _record(self, error: BridgeError | None) -> None:
        """Tell pybreaker how a call ended."""

        def ended() -> None:
            if error is not None:
                raise error

        try:
            self._breaker.call(ended)
        except (BridgeError, CircuitBreakerError):
            return

    def _described(self, *, cause: str | None) -> Standing:
        """Put the breaker's state into words."""
        state = cast("State", self._breaker.current_state)
        if state == "closed":
            return CLOSED
        waits = timedelta(seconds=max(self._probe_at - self._clock(), 0))
        return Standing(
            state=state,
            cause=cause,
            since=self._standing.since or self._now(),
            next_probe=self._now() + waits,
        )

    def _tell(self, before: Standing) -> None:
        after = self._standing
        if after == before:
            return
        if after.state != before.state:
            log.warning("circuit changed", state=after.state, cause=after.cause)
        if self.on_change is None:
            return
        # What is told of a call must not change how the call ended, nor keep a probe from ending.
        try:
            self.on_change(after)
        except BridgeError as error:
            log.warning("circuit change not stored", reason=str(error))
        except Exception:
            log.exception("circuit change not stored")
