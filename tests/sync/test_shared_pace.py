"""One pace for all processes of a bridge: each pacer here is one of them, with its own connection.

Identity Center's throttle counts the calls of the whole account (IAM Identity Center User Guide,
quotas), so what one process may send depends on what the others do.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from scim_bridge.directory.database import Database
from scim_bridge.errors import Throttled
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.sync.shared_pace import SharedPace

Process = Callable[..., Pacer]


@pytest.fixture
def process(database: Database) -> Iterator[Process]:
    """A pacer of another process, at the SCIM endpoint."""
    opened: list[Database] = []

    def process(rate: float, **options: object) -> Pacer:
        opened.append(Database(database.url))
        return Pacer(rate, keeper=SharedPace(opened[-1], "scim"), **options)

    yield process
    for one in opened:
        one.close()


def throttle(pacer: Pacer, retry_after: float) -> None:
    with pytest.raises(Throttled, match="too many"), pacer.turn():
        raise Throttled("too many", retry_after=retry_after, status=429)


def test_processes_together_stay_under_the_rate(process: Process) -> None:
    """They take turns: eight calls take the time of seven, whoever sends them."""
    rate, began = 50.0, time.monotonic()
    pacers = [process(rate), process(rate)]
    for number in range(8):
        with pacers[number % 2].turn():
            last = time.monotonic()
    # The database's clock, on which turns are counted, is exact to a millisecond or two.
    assert last - began > 7 / rate - 0.005


def test_a_throttle_that_one_meets_slows_all(process: Process) -> None:
    """Another process goes at half the rate too, and keeps to the Retry-After."""
    one, other = process(1000.0), process(1000.0)
    throttle(one, retry_after=30.0)
    with pytest.raises(Throttled) as caught, other.turn(deadline=time.monotonic() + 5):
        pytest.fail("the call was let through")
    assert other.rate == 500.0
    assert 25 < caught.value.retry_after <= 30


def test_a_removal_goes_before_what_waits_in_another_process(process: Process) -> None:
    """A bulk load here, somebody who leaves there: the next turn is the leaver's."""
    order = []

    def a_removal_comes(seconds: float) -> None:
        if not order:
            with leaving.turn(urgent=True):
                order.append("removal")
        time.sleep(seconds)

    leaving, loading = process(10.0), process(10.0, sleep=a_removal_comes)
    with loading.turn():
        pass
    with loading.turn():
        order.append("addition")
    assert order == ["removal", "addition"]
