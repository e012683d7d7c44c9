"""Two machines share one PostgreSQL database, and lose nothing with either, or with it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests.acceptance.installation import (
    PATCH,
    Bridge,
    Center,
    Installation,
    at_once,
    command,
    install,
    joining,
)
from tests.cli.operation import person, until
from tests.postgresql import Postgresql

# The lease of a machine that was killed is waited for.
pytestmark = pytest.mark.timeout(500)

Machines = tuple[Installation, Installation]


@pytest.fixture
def machines(sandbox: Center, tmp_path: Path, postgresql: Postgresql) -> Iterator[Machines]:
    """Two bridges that were never started, on one database and with one key of the audit trail."""
    with postgresql.fresh() as url:
        one, other = (install(sandbox, tmp_path / name, database=url) for name in ("one", "other"))
        added = command(one.folder, "client", "add", "hr", "--json")
        sharing = replace(sandbox, token=json.loads(added.stdout)["token"])
        yield replace(one, sandbox=sharing), replace(other, sandbox=sharing)


@contextmanager
def serving(machines: Machines) -> Iterator[list[Bridge]]:
    with ExitStack() as stack:
        yield [stack.enter_context(machine.serving()) for machine in machines]


def test_writers_at_one_group_over_two_machines_lose_nobody(
    machines: Machines, sandbox: Center
) -> None:
    """Sixteen clients add their members one by one: all are there, and none is told to wait."""
    names = [f"p{number:02}@example.com" for number in range(32)]
    with serving(machines) as bridges:
        ids = bridges[0].add_users(names)
        group = bridges[1].add_group("everybody")

        def add(number: int) -> int:
            bridge = bridges[number % 2]
            body = {"schemas": [PATCH], "Operations": [joining(ids[names[number]])]}
            return requests.patch(
                f"{bridge.url}/scim/v2/Groups/{group}",
                json=body,
                headers={"Authorization": f"Bearer {bridge.token}"},
                timeout=60,
            ).status_code

        statuses = at_once(add, range(len(names)), threads=16)
        assert Counter(statuses).keys() <= {200, 204}
        bridges[1].arrive()
        for bridge in bridges:
            assert bridge.directory()[1] == {"everybody": set(names)}
    assert sandbox.members("everybody") == set(names)


def test_what_was_answered_survives_the_database_and_a_machine(
    machines: Machines, sandbox: Center, postgresql: Postgresql
) -> None:
    """The database is stopped and started three times under load, one machine goes for good:
    nothing acknowledged is lost or doubled, in the directory or at Identity Center.
    """
    with serving(machines) as bridges:
        answered: list[str] = []
        going = threading.Event()
        going.set()

        def write(number: int) -> None:
            made = 0
            while going.is_set():
                name = f"w{number}-{made:03}@example.com"
                made += 1
                for bridge in (bridges[number % 2], bridges[0]):
                    if _is_answered(bridge, name):
                        answered.append(name)
                        break

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        for mode in ("fast", "immediate", "fast"):
            _wait_for_more(answered)
            postgresql.restart(mode)
        _wait_for_more(answered)
        bridges[1].kill()
        _wait_for_more(answered)
        going.clear()
        for writer in writers:
            writer.join()
        # The leases of the machine that was killed run out first.
        bridges[0].arrive(within=60)
        people = bridges[0].directory()[0]
    at_center = Counter(user["userName"] for user in sandbox.state()["users"])
    assert set(answered) <= people.keys()
    assert at_center == Counter(people.keys())


def _wait_for_more(answered: list[str]) -> None:
    seen = len(answered)
    until(lambda: len(answered) >= seen + 5, within=60)


def _is_answered(bridge: Bridge, name: str) -> bool:
    """Whether a creation is acknowledged: by its answer, or by a refusal of a second one."""
    for _ in range(20):
        try:
            answer = requests.post(
                f"{bridge.url}/scim/v2/Users",
                json=person(name),
                headers={"Authorization": f"Bearer {bridge.token}"},
                timeout=30,
            )
        except requests.ConnectionError:
            return False
        if answer.status_code in (201, 409):
            return True
        assert answer.status_code == 503, answer.text
        assert "Retry-After" in answer.headers
        time.sleep(0.1)
    return False
