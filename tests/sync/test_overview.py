"""How things stand, for `status`, `/readyz` and the metrics."""

from collections.abc import Callable

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.settings import Safety
from scim_bridge.sync.overview import overview, remember_door, waiting
from tests.sync.conftest import TARGET, Directory, Sandbox

Assemble = Callable[..., Directory]


def test_a_fresh_directory_is_in_sync(database: Database) -> None:
    """Nothing pending, nothing held, and nothing known of the door."""
    shown = overview(database, TARGET)

    assert shown.in_sync
    assert (shown.states, shown.oldest_pending, shown.overdue) == ({}, None, 0)
    assert (shown.held_sets, shown.door, shown.last_error) == ([], None, None)


def test_every_state_is_counted_with_its_age_and_error(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Pending, failed, held and suppressed; the oldest age; the last error in words."""
    directory = assemble(wait=0)
    failed = directory.add_user("failed")
    sandbox.fault("CreateUser", status=400)
    directory.deliver()
    directory.add_user("pending")
    with directory.database.transaction() as connection:
        since = tables.pending.c.since - 100
        connection.execute(tables.pending.update().values(since=since))

    shown = directory.overview()

    assert shown.states == {"failed": 1, "pending": 1}
    assert not shown.in_sync
    assert 100 <= (shown.oldest_pending or 0) < 130
    assert "violates schema" in (shown.last_error or "")
    assert directory.mark_state("user", failed) == "failed"


def test_what_waits_is_listed_by_name_the_most_pressing_first(assemble: Assemble) -> None:
    """Who is to lose access comes before everybody else."""
    directory = assemble(wait=0)
    (ada,) = directory.hire(1)
    directory.add_user("new")
    directory.add_group("crew")
    directory.change_user(ada, active=False)

    listed = waiting(directory.database, TARGET)

    assert [(each.name, each.revoking, each.is_access) for each in listed] == [
        ("person000", True, False),
        ("person000", True, True),
        ("new", False, False),
        ("crew", False, False),
    ]
    assert [each.state for each in listed] == ["pending"] * 4
    assert directory.overview().states == {"pending": 3}
    assert len(waiting(directory.database, TARGET, limit=1)) == 1


def test_only_a_revocation_that_is_pending_for_long_is_overdue(assemble: Assemble) -> None:
    """Alarmed after five minutes; what is held or done is not."""
    directory = assemble(wait=0)
    ada, bob = directory.hire(2)
    directory.change_user(ada, active=False)
    directory.change_user(bob, title="Analyst")
    with directory.database.transaction() as connection:
        columns = tables.pending.c
        connection.execute(
            tables.pending.update()
            .where(columns.revoking_since.is_not(None))
            .values(revoking_since=columns.revoking_since - 301)
        )

    assert directory.overview().overdue == 1
    directory.deliver()
    assert directory.overview().overdue == 0


def test_held_sets_are_shown_with_their_people(assemble: Assemble) -> None:
    """One set takes the losses of an hour, each person once."""
    directory = assemble(safety=Safety())
    people = directory.hire(8)
    for user_id in people:
        directory.change_user(user_id, active=False)

    (held,) = directory.overview().held_sets

    assert (held.category, held.people) == ("disable", 3)
    assert 0 <= held.age < 30
    assert not directory.overview().in_sync
    assert directory.overview().states["held"] == 3


def test_the_door_is_remembered_with_its_cause(database: Database) -> None:
    """For every process and command, until it is open again."""
    remember_door(database, TARGET, circuit="open", cause="a wrong token")

    door = overview(database, TARGET).door
    assert door is not None
    assert (door.circuit, door.cause) == ("open", "a wrong token")
    remember_door(database, TARGET, circuit="closed", cause=None)
    door = overview(database, TARGET).door
    assert door is not None
    assert (door.circuit, door.cause) == ("closed", None)


def test_a_probe_does_not_make_the_outage_younger(database: Database) -> None:
    """The door is closed since it closed, however often it was tried."""
    remember_door(database, TARGET, circuit="open", cause="a wrong token")
    with database.transaction() as connection:
        connection.execute(tables.doors.update().values(since=tables.doors.c.since - 100))

    for circuit in ("half-open", "open"):
        remember_door(database, TARGET, circuit=circuit, cause="a wrong token")

    assert _closed_for(database) >= 100
    remember_door(database, TARGET, circuit="closed", cause=None)
    assert _closed_for(database) < 50


def _closed_for(database: Database) -> float:
    door = overview(database, TARGET).door
    assert door is not None
    return door.age
