"""The pacer: when the next call may be sent."""

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.errors import Refused, Throttled
from scim_bridge.identity_center.pace import LONGEST_PAUSE, NEAR, SLOWEST, Pace, slowed
from scim_bridge.identity_center.pacer import Pacer


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.on_sleep = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.on_sleep()
        self.now += seconds


def throttled(retry_after: float | None = None) -> Throttled:
    return Throttled("too many", retry_after=retry_after, status=429)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="pacer")
def _pacer(clock: Clock) -> Pacer:
    return Pacer(10.0, clock=clock, sleep=clock.sleep)


def throttle(pacer: Pacer, retry_after: float | None = None) -> None:
    with pytest.raises(Throttled, match="too many"), pacer.turn():
        raise throttled(retry_after)


def test_a_clock_that_is_set_back_does_not_keep_the_pace_from_halving() -> None:
    """When the pace was halved last is a time of the clock before, hours ahead."""
    before = Pace(rate=10.0, halved_at=1_000_000.0, halved_from=20.0)
    after = slowed(before, 1000.0, begun=999.0, retry_after=None, fastest=20.0)
    assert after.rate == 5.0


def test_the_first_call_goes_at_once(pacer: Pacer, clock: Clock) -> None:
    """Nobody waits while there is nothing to wait for."""
    with pacer.turn():
        assert clock.now == 1000.0


@given(rate=st.floats(0.5, 50), calls=st.integers(2, 60))
def test_no_second_holds_more_calls_than_the_rate(rate: float, calls: int) -> None:
    """All calls together stay under `calls_per_second`, in every window of a second."""
    clock = Clock()
    pacer = Pacer(rate, clock=clock, sleep=clock.sleep)
    sent = []
    for _ in range(calls):
        with pacer.turn():
            sent.append(clock.now)
    assert all(later - earlier >= 1 / rate - 1e-6 for earlier, later in pairwise(sent))


def test_a_throttle_answer_halves_the_pace(pacer: Pacer, clock: Clock) -> None:
    """Multiplicative decrease: after a 429 the next calls are twice as far apart."""
    throttle(pacer)
    assert pacer.rate == 5.0
    with pacer.turn():
        assert clock.now >= 1000.2


def test_answered_calls_raise_the_pace_step_by_step(pacer: Pacer) -> None:
    """Additive increase, up to the configured rate and no further."""
    throttle(pacer)
    rates = []
    for _ in range(150):
        with pacer.turn():
            pass
        rates.append(pacer.rate)
    assert rates[:2] == pytest.approx([5.2, 5.4])
    assert rates[-1] == 10.0


def test_near_the_rate_that_was_throttled_the_pace_rises_carefully(pacer: Pacer) -> None:
    """AWS throttled there a moment ago: the same steps would be throttled again at once."""
    throttle(pacer)
    while pacer.rate < NEAR * 10.0:
        with pacer.turn():
            pass
    near = pacer.rate
    with pacer.turn():
        pass
    assert pacer.rate - near == pytest.approx(0.02)


def test_a_refused_call_changes_no_pace(pacer: Pacer) -> None:
    """Only a throttle answer and an answered call say something about the pace."""
    throttle(pacer)
    with pytest.raises(Refused), pacer.turn():
        raise Refused("no")
    assert pacer.rate == 5.0


def test_the_pace_never_falls_so_low_that_removals_stand_still(pacer: Pacer) -> None:
    """However often AWS throttles, calls go on at SLOWEST."""
    for _ in range(20):
        throttle(pacer)
    assert pacer.rate == SLOWEST


def test_calls_that_are_throttled_together_count_once(pacer: Pacer) -> None:
    """Eight threads that get a 429 for the same burst halve the pace once, not eight times."""
    turns = [pacer.turn() for _ in range(3)]
    for turn in turns:
        turn.__enter__()
    for turn in turns:
        assert not turn.__exit__(Throttled, throttled(), None)
    assert pacer.rate == 5.0


def test_retry_after_stops_every_call(pacer: Pacer, clock: Clock) -> None:
    """AWS's Retry-After is honoured, by urgent calls as well."""
    throttle(pacer, retry_after=7.0)
    with pacer.turn(urgent=True):
        assert clock.now >= 1007.0


def test_an_absurd_retry_after_is_not_believed(pacer: Pacer, clock: Clock) -> None:
    """A day's Retry-After would let a leaver keep access for a day."""
    throttle(pacer, retry_after=86400.0)
    with pacer.turn():
        assert clock.now == pytest.approx(1000 + LONGEST_PAUSE)


def test_an_urgent_call_overtakes_one_that_waits(pacer: Pacer, clock: Clock) -> None:
    """Removals of access go first: they take the next turn, whoever came before."""
    order = []

    def a_removal_comes() -> None:
        clock.on_sleep = lambda: None
        with pacer.turn(urgent=True):
            order.append("removal")

    with pacer.turn():
        pass
    clock.on_sleep = a_removal_comes
    with pacer.turn():
        order.append("addition")
    assert order == ["removal", "addition"]


def test_urgent_calls_keep_their_order_among_themselves(clock: Clock) -> None:
    """First come, first served, within a kind."""
    first_waits = threading.Event()

    def sleep(seconds: float) -> None:
        first_waits.set()
        time.sleep(0.001)
        clock.now += seconds / 4

    pacer = Pacer(10.0, clock=clock, sleep=sleep)
    order = []

    def call(name: str) -> None:
        with pacer.turn(urgent=True):
            order.append(name)

    call("before")
    first = threading.Thread(target=call, args=("first",))
    first.start()
    assert first_waits.wait(5)
    call("second")
    first.join(5)
    assert order == ["before", "first", "second"]


def test_a_turn_after_the_deadline_is_refused_without_waiting(pacer: Pacer, clock: Clock) -> None:
    """A request thread learns at once that its wait is not long enough, and how long would be."""
    throttle(pacer, retry_after=30.0)
    with pytest.raises(Throttled) as caught, pacer.turn(deadline=clock.now + 5):
        pytest.fail("the call was let through")
    assert caught.value.retry_after == pytest.approx(30.0)
    assert clock.now == 1000.0


def test_a_refused_turn_changes_no_pace_and_leaves_the_queue(pacer: Pacer, clock: Clock) -> None:
    """A call that was never sent is no throttle answer, and nobody waits for it."""
    with pacer.turn():
        pass
    with pytest.raises(Throttled), pacer.turn(deadline=clock.now):
        pass
    assert pacer.rate == 10.0
    with pacer.turn():
        assert clock.now == pytest.approx(1000.1)


def test_threads_share_one_pace() -> None:
    """The pace is of the process, not of each thread."""
    pacer = Pacer(100.0)
    sent: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(5):
            with pacer.turn(), lock:
                sent.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(sent) == 20
    assert max(sent) - min(sent) >= 0.18
