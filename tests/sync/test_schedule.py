"""Identity Center is read by itself, in the background, by one process at a time."""

from typing import Any

import pytest

from scim_bridge.directory import locks
from scim_bridge.settings import Extraction as ExtractionSettings
from scim_bridge.sync.freshness import interval
from scim_bridge.sync.schedule import LANES, Schedule
from tests.sync.conftest import Directory, Sandbox, eventually
from tests.sync.watching import Watched, watching


@pytest.fixture
def watched(directory: Directory, sandbox: Sandbox) -> Watched:
    return watching(directory, sandbox)


def runs(watched: Watched) -> dict[str, int]:
    """How often each kind was read to its end."""
    with watched.directory.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT kind, count(*) FROM runs WHERE outcome = 'ok' GROUP BY kind"
        )
        return {kind.removeprefix("extraction:"): count for kind, count in rows}


def once() -> dict[str, int]:
    return {kind: 1 for lane in LANES for kind in lane}


def until_idle(schedule: Schedule) -> None:
    eventually(lambda: not any(one.is_under_way for one in schedule._readings.values()))


def test_what_is_due_is_read_once_in_the_background(watched):
    schedule = watched.parts.schedule
    schedule.look()
    eventually(lambda: runs(watched) == once())
    until_idle(schedule)
    schedule._looked = None
    schedule.look()
    schedule.stop()
    assert runs(watched) == once()


def test_while_another_process_reads_nobody_else_does(watched):
    names = [f"extraction:{lane[0]}" for lane in LANES]
    database = watched.directory.database
    with locks.turn(database, names[0], 60), locks.turn(database, names[1], 60):
        watched.parts.schedule.look()
        until_idle(watched.parts.schedule)
    assert runs(watched) == {}


def test_with_an_interval_of_0_nothing_is_read(watched):
    schedule = Schedule(
        watched.directory.database, watched.parts.extraction, ExtractionSettings(interval=0)
    )
    schedule.look()
    assert [one._thread for one in schedule._readings.values()] == [None] * len(LANES)


def test_a_reading_ends_with_the_worker_and_changes_nothing(watched):
    for number in range(3):
        watched.sandbox.make_user(f"person{number}")
    schedule = watched.parts.schedule
    schedule._stopping.set()
    schedule._read(LANES[0])
    assert runs(watched) == {}
    assert watched.parts.drift.unmanaged() == []


@pytest.mark.parametrize(
    ("given", "kind", "seconds"),
    [
        ({}, "users", 900.0),
        ({}, "assignments", 6 * 3600.0),
        ({"users": 60.0}, "users", 60.0),
        ({"assignments": None}, "assignments", 900.0),
        ({"interval": 0.0}, "assignments", 0.0),
    ],
)
def test_each_kind_has_its_interval(given: dict[str, Any], kind: Any, seconds: float) -> None:
    assert interval(ExtractionSettings(**given), kind) == seconds
