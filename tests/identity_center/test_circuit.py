"""The circuit breaker: whether the door is open, why not, and since when."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from scim_bridge.errors import (
    BridgeError,
    CircuitOpen,
    Conflict,
    DatabaseUnavailable,
    DoorClosed,
    Missing,
    Refused,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.circuit import (
    FAILURES,
    OUTAGE_PROBE_AFTER,
    PROBE_AFTER,
    Circuit,
    CutShort,
    Standing,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.now)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="told")
def _told() -> list[Standing]:
    return []


@pytest.fixture(name="circuit")
def _circuit(clock: Clock, told: list[Standing]) -> Circuit:
    return Circuit(on_change=told.append, clock=clock, now=clock.wall)


def end(circuit: Circuit, error: BaseException | None = None) -> None:
    """Make one call that ends so."""
    if error is None:
        with circuit.calling():
            return
    with pytest.raises(type(error)) as caught, circuit.calling():
        raise error
    assert caught.value is error


def test_a_closed_door_opens_the_circuit_at_once(circuit: Circuit, clock: Clock) -> None:
    """401 or 403: the next call would end the same, so it is not made; the cause is in words."""
    end(circuit, DoorClosed("the token has expired"))
    assert circuit.state == "open"
    assert circuit.cause == "the token has expired"
    assert circuit.since == NOON
    assert circuit.next_probe == NOON + timedelta(seconds=PROBE_AFTER)
    with pytest.raises(CircuitOpen, match="the token has expired"), circuit.calling():
        pytest.fail("the call was let through")
    with pytest.raises(CircuitOpen, match="the token has expired"):
        circuit.check()


def test_one_lost_answer_is_no_outage(circuit: Circuit) -> None:
    """Unavailable opens the circuit only after five in a row."""
    for _ in range(FAILURES - 1):
        end(circuit, Unavailable("timeout"))
    assert circuit.standing == Standing(state="closed")
    end(circuit, Unavailable("timeout"))
    assert circuit.state == "open"
    assert "5 times" in str(circuit.cause)
    assert "timeout" in str(circuit.cause)


@pytest.mark.parametrize("answered", [None, Refused("400"), Conflict("409"), Missing("404")])
def test_an_answer_between_two_outages_starts_the_count_again(
    circuit: Circuit, answered: BridgeError | None
) -> None:
    """A refusal is an answer too: the door is open."""
    for _ in range(FAILURES - 1):
        end(circuit, Unavailable("timeout"))
    end(circuit, answered)
    end(circuit, Unavailable("timeout"))
    assert circuit.state == "closed"


@pytest.mark.parametrize(
    "nothing", [Throttled("429"), CutShort("the caller left"), RuntimeError("a defect")]
)
def test_what_says_nothing_about_the_door_is_not_counted(
    circuit: Circuit, nothing: BaseException
) -> None:
    """A throttle answer, a call its own caller ended, or a defect: neither failure nor success."""
    for _ in range(FAILURES * 2):
        end(circuit, nothing)
    assert circuit.state == "closed"
    for _ in range(FAILURES - 1):
        end(circuit, Unavailable("timeout"))
    end(circuit, nothing)
    end(circuit, Unavailable("timeout"))
    assert circuit.state == "open"


def test_one_probe_a_minute_is_let_through(circuit: Circuit, clock: Clock) -> None:
    """While one call tries the door, the others are still refused."""
    end(circuit, DoorClosed("closed"))
    clock.now += PROBE_AFTER - 1
    with pytest.raises(CircuitOpen):
        circuit.check()
    clock.now += 1
    circuit.check()
    probe = circuit.calling()
    probe.__enter__()
    assert circuit.state == "half-open"
    with pytest.raises(CircuitOpen), circuit.calling():
        pytest.fail("two probes at once")
    assert not probe.__exit__(DoorClosed, DoorClosed("still closed"), None)
    assert circuit.state == "open"
    assert circuit.cause == "still closed"
    assert circuit.since == NOON
    with pytest.raises(CircuitOpen):
        circuit.check()
    clock.now += PROBE_AFTER
    circuit.check()


def test_a_probe_that_is_answered_closes_the_circuit(circuit: Circuit, clock: Clock) -> None:
    """The door is used again as soon as one call went through."""
    end(circuit, DoorClosed("closed"))
    clock.now += PROBE_AFTER
    end(circuit)
    assert circuit.standing == Standing(state="closed")
    end(circuit)


def test_the_probe_comes_within_the_minute() -> None:
    """A leaver who waits for a mended door is disabled within 60 seconds of the mend."""
    assert PROBE_AFTER <= 55


def test_one_failed_probe_after_an_outage_is_enough(circuit: Circuit, clock: Clock) -> None:
    """A probe that gets no answer does not start a count of five."""
    for _ in range(FAILURES):
        end(circuit, Unavailable("timeout"))
    clock.now += PROBE_AFTER
    end(circuit, Unavailable("again"))
    assert circuit.state == "open"
    assert "again" in str(circuit.cause)


@pytest.mark.parametrize("nothing", [Throttled("429"), CutShort("left"), KeyboardInterrupt()])
def test_a_probe_that_says_nothing_leaves_the_place_to_the_next(
    circuit: Circuit, clock: Clock, nothing: BaseException
) -> None:
    """A probe never stays out for good, whatever became of it."""
    end(circuit, DoorClosed("closed"))
    clock.now += PROBE_AFTER
    end(circuit, nothing)
    assert circuit.state == "half-open"
    end(circuit)
    assert circuit.state == "closed"


def test_an_outage_is_probed_soon_and_then_less_and_less_often(
    circuit: Circuit, clock: Clock
) -> None:
    """5xx and timeouts often end by themselves: 3 s, doubling, up to what a closed door gets."""
    for _ in range(FAILURES):
        end(circuit, Unavailable("timeout"))
    pauses = []
    for _ in range(6):
        assert circuit.next_probe is not None
        pauses.append((circuit.next_probe - clock.wall()).total_seconds())
        with pytest.raises(CircuitOpen):
            circuit.check()
        clock.now += pauses[-1]
        end(circuit, Unavailable("timeout"))
    assert pauses == [3, 6, 12, 24, 48, 50]

    clock.now += PROBE_AFTER
    end(circuit)
    for _ in range(FAILURES):
        end(circuit, Unavailable("timeout"))
    assert circuit.next_probe == clock.wall() + timedelta(seconds=OUTAGE_PROBE_AFTER)


def test_a_closed_door_is_not_asked_more_often_after_an_outage(
    circuit: Circuit, clock: Clock
) -> None:
    """401 and 403 are for somebody to mend, whatever came before."""
    for _ in range(FAILURES):
        end(circuit, Unavailable("timeout"))
    clock.now += OUTAGE_PROBE_AFTER
    end(circuit, DoorClosed("closed"))
    assert circuit.next_probe == clock.wall() + timedelta(seconds=PROBE_AFTER)


class Others:
    """What other processes have found."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.got_through_at: float | None = None

    def __call__(self, within: float) -> bool:
        at = self.got_through_at
        return at is not None and self.clock.now - at < within


@pytest.fixture(name="others")
def _others(circuit: Circuit, clock: Clock) -> Others:
    circuit.works_elsewhere = others = Others(clock)
    return others


def test_what_another_process_found_open_is_tried_at_once(
    circuit: Circuit, clock: Clock, others: Others
) -> None:
    """One process's probe serves them all; what it found before this one failed does not count."""
    others.got_through_at = clock.now
    clock.now += 1
    end(circuit, DoorClosed("closed"))
    clock.now += 1
    with pytest.raises(CircuitOpen):
        circuit.check()

    others.got_through_at = clock.now
    clock.now += 1

    circuit.check()
    assert circuit.next_probe == clock.wall()
    end(circuit)
    assert circuit.state == "closed"


def test_a_process_that_alone_is_refused_does_not_ask_each_time(
    circuit: Circuit, clock: Clock, others: Others
) -> None:
    """Its own credentials may be wrong: between two of its own probes it tries once more."""
    probes = 0
    for _ in range(400):
        others.got_through_at = clock.now
        clock.now += 0.5
        try:
            with circuit.calling():
                probes += 1
                raise DoorClosed("closed to this one")
        except (CircuitOpen, DoorClosed):
            continue
    assert probes <= 2 * (200 / PROBE_AFTER) + 2


def test_others_who_cannot_be_asked_change_nothing(circuit: Circuit) -> None:
    """The database is down: the circuit is as it was."""

    def fail(_: float) -> bool:
        raise DatabaseUnavailable("down")

    circuit.works_elsewhere = fail
    end(circuit, DoorClosed("closed"))
    with pytest.raises(CircuitOpen):
        circuit.check()


def test_a_call_that_began_before_does_not_close_the_circuit(circuit: Circuit) -> None:
    """A late success says nothing about credentials that were refused since."""
    early = circuit.calling()
    early.__enter__()
    end(circuit, DoorClosed("closed"))
    early.__exit__(None, None, None)
    assert circuit.state == "open"


def test_calls_do_not_wait_for_each_other(circuit: Circuit) -> None:
    """The breaker holds no lock during a call: a slow one must not stall the others."""
    done = threading.Event()

    def other() -> None:
        with circuit.calling():
            done.set()

    with circuit.calling():
        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        assert done.wait(5)
    thread.join(5)


def test_every_change_is_told_once(circuit: Circuit, clock: Clock, told: list[Standing]) -> None:
    """Others store it, for the status command of another process."""
    end(circuit)
    end(circuit, DoorClosed("closed"))
    clock.now += PROBE_AFTER
    end(circuit)
    assert [standing.state for standing in told] == ["open", "half-open", "closed"]
    assert [standing.cause for standing in told] == ["closed", "closed", None]


def test_a_change_that_cannot_be_stored_does_not_change_the_call(clock: Clock) -> None:
    """The caller gets the call's own end, also while the database is down."""

    def fail(standing: Standing) -> None:
        raise DatabaseUnavailable("down")

    circuit = Circuit(on_change=fail, clock=clock, now=clock.wall)
    end(circuit, DoorClosed("closed"))
    assert circuit.state == "open"


def test_a_defect_in_telling_does_not_keep_the_door_closed(clock: Clock) -> None:
    """A probe that was let through ends, whatever became of what was told of it."""

    def fail(standing: Standing) -> None:
        raise ValueError(standing.state)

    circuit = Circuit(on_change=fail, clock=clock, now=clock.wall)
    end(circuit, DoorClosed("closed"))
    clock.now += PROBE_AFTER

    end(circuit)

    assert circuit.state == "closed"


def test_the_real_clocks_are_the_default() -> None:
    """`since` is the time of day, in UTC."""
    circuit = Circuit()
    before = datetime.now(UTC)
    end(circuit, DoorClosed("closed"))
    assert circuit.since is not None
    assert before <= circuit.since <= datetime.now(UTC)
