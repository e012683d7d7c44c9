"""Who drives deliveries when no request does."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from scim_bridge.directory.database import Database
from scim_bridge.errors import DatabaseUnavailable
from scim_bridge.plan.policy import Switches
from scim_bridge.sync.worker import Progress, Worker
from tests.sync.conftest import Directory, Sandbox, eventually

Assemble = Callable[..., Directory]


@contextmanager
def _running(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def directory(assemble: Assemble) -> Directory:
    """Everything is left to the worker."""
    return assemble(wait=0)


def test_the_worker_delivers_what_becomes_due(directory: Directory, sandbox: Sandbox) -> None:
    """Without anybody calling it, and several resources at a time."""
    with _running(directory.worker):
        people = [directory.add_user(f"user{n}") for n in range(6)]
        directory.add_group("crew", *people)
        eventually(lambda: len(sandbox.members("crew")) == 6)
        directory.change_user(people[0], active=False)
        eventually(lambda: not sandbox.is_active("user0"))
        eventually(lambda: len(sandbox.members("crew")) == 5)

    assert directory.states() == {"clear"}


def test_ten_throttle_answers_end_well(directory: Directory, sandbox: Sandbox) -> None:
    """With 429 ten times the sandbox is right within the backoff."""
    sandbox.fault(status=429, times=10)
    for number in range(4):
        directory.add_user(f"user{number}")

    with _running(directory.worker):
        eventually(lambda: len(sandbox.names()) == 4, seconds=60)
        eventually(lambda: directory.states() == {"clear"})


def test_stopping_lets_the_calls_that_are_under_way_end(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Nothing is left leased, nothing is lost."""
    ada = directory.add_user("ada")
    sandbox.fault("CreateUser", delay=0.5)

    with _running(directory.worker):
        eventually(lambda: directory.mark_row("user", ada).leased_until is not None)

    assert sandbox.names() == {"ada"}
    assert directory.states() == {"clear"}
    assert directory.mark_row("user", ada).leased_until is None


def test_a_defect_in_one_delivery_does_not_stop_the_others(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Its lease runs out by itself, and then it is tried again."""
    apply = directory.center.apply
    defective = [True]

    def broken(change: Any, **haste: Any) -> Any:
        if defective and getattr(change, "attributes", {}).get("userName") == "ada":
            raise ZeroDivisionError("a defect")
        return apply(change, **haste)

    directory.center.apply = broken  # type: ignore[method-assign]
    ada = directory.add_user("ada")
    with _running(directory.worker):
        eventually(lambda: directory.mark_row("user", ada).leased_until is not None)
        directory.add_user("bob")
        eventually(lambda: sandbox.names() == {"bob"})
        defective.clear()
        directory.expire_leases()
        eventually(lambda: sandbox.names() == {"ada", "bob"})
        eventually(lambda: directory.states() == {"clear"})


def test_a_database_that_does_not_answer_is_waited_for(
    directory: Directory, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither at the start nor later does it end the worker."""
    failing = threading.Event()
    failing.set()

    def away(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **options: Any) -> Any:
            if failing.is_set():
                raise DatabaseUnavailable("the database does not answer")
            return act(*args, **options)

        return acted

    for name in ("due", "wake"):
        monkeypatch.setattr(directory.marks, name, away(getattr(directory.marks, name)))
    directory.add_user("ada")

    with _running(directory.worker):
        time.sleep(0.2)
        assert sandbox.names() == set()
        failing.clear()
        eventually(lambda: sandbox.names() == {"ada"})
        failing.set()
        time.sleep(0.2)
        directory.add_user("bob")
        failing.clear()
        eventually(lambda: sandbox.names() == {"ada", "bob"})


def test_a_worker_that_ends_by_a_defect_ends_altogether(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it must see that it has ended; no thread keeps the process alive."""

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(directory.marks, "due", broken)

    with pytest.raises(ZeroDivisionError):
        directory.worker.run()

    assert "sealer" not in {thread.name for thread in threading.enumerate()}


def test_what_was_suppressed_is_looked_at_again_at_the_start(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """A restart with another setting is all it takes."""
    assemble(switches=Switches(create=False)).add_user("ada")

    with _running(assemble().worker):
        eventually(lambda: sandbox.names() == {"ada"})


def _with_upkeep(directory: Directory, upkeep: Callable[[], object]) -> Worker:
    return Worker(
        marks=directory.marks,
        reconciler=directory.reconciler,
        access_marks=directory.access_marks,
        access=directory.access,
        upkeep=upkeep,
    )


def test_the_audit_trail_is_sealed_while_the_worker_runs_and_when_it_stops(
    directory: Directory, database: Database
) -> None:
    """Twice a second, and once more in the end; neither a database away nor a defect ends it."""
    sealed: list[float] = []
    failures = [DatabaseUnavailable("the database does not answer"), ZeroDivisionError("a defect")]

    def seal() -> None:
        sealed.append(time.monotonic())
        raise failures[len(sealed) % 2]

    worker = _with_upkeep(directory, seal)
    with _running(worker):
        eventually(lambda: len(sealed) >= 2)
        before = len(sealed)

    assert len(sealed) > before


def test_a_run_delivers_what_follows_from_what_it_delivers(
    directory: Directory, sandbox: Sandbox
) -> None:
    """`scim-bridge sync` leaves nothing behind that it caused itself."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("crew", ada)
    directory.deliver()
    sandbox.remove_user("ada")
    bob = directory.add_user("bob")
    directory.change_members(group_id, add=[bob])
    directory.disconnect(group_id, ada)

    outcomes = directory.worker.run_once()

    assert sandbox.members("crew") == {"ada", "bob"}
    assert {outcome.state for outcome in outcomes.values()} == {"clear"}
    assert directory.states() == {"clear"}


def test_a_run_tries_once_what_cannot_be_done_now(directory: Directory, sandbox: Sandbox) -> None:
    """It ends, and says what is left."""
    directory.add_user("ada")
    sandbox.fault(status=503, times=-1)
    progress: list[Progress] = []

    (outcome,) = directory.worker.run_once(progress.append).values()

    assert (outcome.state, sandbox.count("CreateUser")) == ("pending", 1)
    assert "503" in (outcome.error or "")
    assert progress == [Progress(done=1, total=1)]


def test_a_run_seals_in_the_end(directory: Directory) -> None:
    """What it wrote down is sealed with the rest."""
    sealed: list[bool] = []
    worker = _with_upkeep(directory, lambda: sealed.append(True))

    worker.run_once()

    assert sealed == [True]
