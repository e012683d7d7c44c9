"""Many clients at once, slow deliveries, a limited pace and a restart."""

import sqlite3
import threading
import time
from collections import Counter

from tests.acceptance.installation import at_once, command, joining, seconds_until
from tests.cli.operation import until

SLOW = [f"slow{number}@example.com" for number in range(4)]


def test_writers_at_one_group_lose_nobody(installed, sandbox):
    """Sixteen clients add their members one by one, at two web processes: all are there."""
    names = [f"p{number:02}@example.com" for number in range(64)]
    installation = installed()
    with installation.serving("--processes", "2") as bridge:
        ids = bridge.add_users(names)
        group = bridge.add_group("everybody")

        def add(name):
            return bridge.change(f"/Groups/{group}", joining(ids[name])).status_code

        statuses = at_once(add, names, threads=16)
        assert Counter(statuses).keys() <= {200, 204}
        bridge.arrive()
        assert bridge.directory()[1] == {"everybody": set(names)}
    assert sandbox.members("everybody") == set(names)


def test_a_stop_during_a_slow_delivery_loses_nothing(installed, sandbox):
    """SIGTERM: requests under way are answered, and what they wrote is there after a restart."""
    installation = installed()
    answered: list[str] = []
    with installation.serving() as bridge:
        sandbox.fault("CreateUser", delay=1.5, times=len(SLOW))

        def create(name):
            bridge.add_user(name)
            answered.append(name)

        clients = [threading.Thread(target=create, args=(name,)) for name in SLOW]
        for client in clients:
            client.start()
        until(lambda: sandbox.faults() == [])
        begun = time.monotonic()
        assert bridge.stop() == 0
        assert time.monotonic() - begun < 15
        for client in clients:
            client.join()
    assert sorted(answered) == SLOW
    with installation.serving() as bridge:
        bridge.arrive()
    assert sorted(one["userName"] for one in sandbox.state()["users"]) == SLOW


def test_a_database_of_another_version_is_refused_with_the_remedy(installed):
    """A restart on it ends at once, says what to do, and changes nothing."""
    installation = installed()
    file = installation.folder / "bridge.db"
    for statement, remedy in (
        ("UPDATE alembic_version SET version_num = 'future'", "newer scim-bridge"),
        ("DELETE FROM alembic_version", "bridge.toml db upgrade`"),
    ):
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()
        before = file.read_bytes()
        ended = command(installation.folder, "serve", "--port", "9", expect=1)
        assert remedy in ended.stderr
        assert "Traceback" not in ended.stderr
        assert file.read_bytes() == before


def test_calls_stay_under_the_configured_rate(installed, sandbox, show):
    """All processes together call a door no faster than [identity_center] calls_per_second.

    The APIs by which the permission sets are read meanwhile have paces of their own.
    """
    rate, names = 20, [f"p{number:02}@example.com" for number in range(40)]
    installation = installed(rate=rate)
    with installation.serving("--processes", "2") as bridge:
        began = time.monotonic()
        ids = at_once(bridge.add_user, names, threads=16)
        bridge.add_group("everybody", *ids)
        bridge.arrive()
        took = time.monotonic() - began
    seconds = Counter(one["time"] for one in sandbox.requests() if ":" not in one["operation"])
    total = sum(seconds.values())
    show(f"{total} calls in {took:.1f} s, at most {max(seconds.values())} in one second")
    assert total > 40
    # A machine that is slow hands in at once what was sent one after the other.
    assert max(seconds.values()) <= 2 * rate
    assert took > 0.8 * total / rate


def test_a_leaver_overtakes_a_bulk_load(installed, sandbox, show):
    """Who loses access does not wait until everybody else has been created."""
    rate, names = 4, [f"p{number:02}@example.com" for number in range(80)]
    installation = installed(rate=rate, more="[delivery]\nwait = 0\n")
    with installation.serving() as bridge:
        leaver = bridge.add_user("leaver@example.com")
        bridge.add_group("staff", leaver)
        bridge.arrive()
        bridge.add_users(names)
        bridge.patch(f"/Users/{leaver}", active=False)
        took = seconds_until(lambda: not sandbox.active()["leaver@example.com"], within=60)
        left = len(names) + 1 - len(sandbox.active())
        show(f"the leaver was disabled after {took:.2f} s, before {left} creations")
        assert left > 30
        until(lambda: sandbox.members("staff") == set(), within=60)
