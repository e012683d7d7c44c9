"""The bridge recovers by itself: from kill -9, and from a door that was closed.

Most of each is waiting, for the lease of a process that is gone or for the next probe. So all are
played at the same time, each in front of a sandbox of its own. `python -m tests.acceptance.kills`
plays many more rounds.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.doors import reopens
from tests.acceptance.installation import Installation, center, install
from tests.acceptance.kills import TIMEOUT, creating, losing, survives

# Whichever is asked for first waits for its turn.
pytestmark = pytest.mark.timeout(500)

LATER = "[delivery]\nwait = 0\n"


def _killed(folder: Path, more: str, play: Callable[[Installation], object]) -> str:
    with center(folder, "sigv4") as sandbox:
        return str(play(install(sandbox, folder / "bridge", more=more, timeout=TIMEOUT)))


def _refused(folder: Path, auth: str) -> str:
    with center(folder, auth) as sandbox:
        return reopens(install(sandbox, folder / "bridge"), auth)


RECOVERIES: dict[str, Callable[[Path], str]] = {
    "sigv4": lambda folder: _refused(folder, "sigv4"),
    "bearer": lambda folder: _refused(folder, "bearer"),
    "creations": lambda folder: _killed(folder, "", lambda at: survives(at, creating(), after=80)),
    "creations, wait 0": lambda folder: _killed(
        folder, LATER, lambda at: survives(at, creating(), after=80)
    ),
    "losses": lambda folder: _killed(folder, "", lambda at: survives(at, losing(), after=35)),
    "parent": lambda folder: _killed(
        folder, "", lambda at: survives(at, losing(30), after=15, victim="parent")
    ),
}


@pytest.fixture(scope="module")
def recoveries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """All of them, under way: the doors, and two of the others at a time."""
    with ThreadPoolExecutor(4) as pool:
        yield {
            name: pool.submit(play, tmp_path_factory.mktemp("recovery"))
            for name, play in RECOVERIES.items()
        }


@pytest.fixture
def ends_well(
    recoveries: dict[str, Future[str]], show: Callable[[str], None]
) -> Callable[[str], None]:
    """Wait for one of them, raise what was wrong with it, and show its figures."""

    def ends_well(name: str) -> None:
        show(f"{name}: {recoveries[name].result()}")

    return ends_well


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_a_leaver_is_disabled_within_a_minute_of_the_mend(auth, ends_well):
    """A secret key that is wrong, or a token that AWS starts refusing, while somebody leaves.

    The client gets 2xx; `status`, `doctor` and /readyz name the cause in words; nothing fails; and
    once the file is right the leaver is disabled, without a restart (design, section 4).
    """
    ends_well(auth)


@pytest.mark.parametrize("name", ["creations", "creations, wait 0"])
def test_everybody_whose_creation_was_answered_is_there_once(name, ends_well):
    """kill -9 of all processes in the middle of 200 creations, and a new start.

    Each creation that was answered is in the directory and at Identity Center, also where the
    worker alone delivers ([delivery] wait = 0).
    """
    ends_well(name)


def test_nobody_keeps_access_that_they_were_answered_to_lose(ends_well):
    """kill -9 of all processes in the middle of deactivations, deletions and changes of groups."""
    ends_well("losses")


def test_no_process_outlives_the_first(ends_well):
    """kill -9 of `serve` alone ends the others, and a new start heals as after any crash."""
    ends_well("parent")
