"""Several Identity Centers: who goes where, and what one of them does not do to another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from scim_bridge.app import Bridge, build, create_app
from scim_bridge.cli.people import deliver
from scim_bridge.cli.purge import purge_of
from scim_bridge.directory import tables
from scim_bridge.directory.entitlements import GROUP_EXTENSION
from scim_bridge.directory.migration import upgrade
from scim_bridge.sandbox.configuration import write_config
from scim_bridge.sandbox.server import SandboxServer
from scim_bridge.scim import credentials
from scim_bridge.settings import Safety, Settings, read
from scim_bridge.sync.overview import overview
from tests.scim.conftest import ENTERPRISE, Caller
from tests.sync.conftest import Sandbox

# Two accounts of the sandbox.
SHIP, MILL = "222233334444", "333344445555"
DEPARTMENT = f"{ENTERPRISE}:department"


@dataclass(frozen=True, kw_only=True)
class Front(Caller):
    """A client of a bridge with two Identity Centers behind it, one for each department."""

    bridge: Bridge
    ships: Sandbox
    mills: Sandbox

    def deliver(self) -> None:
        self.bridge.worker().run_once()

    def member_of(self, who: str, department: str) -> dict[str, Any]:
        return self.user(who, **{ENTERPRISE: {"department": department}})

    def move(self, user_id: str, department: str) -> None:
        change = {"op": "replace", "path": DEPARTMENT, "value": department}
        assert self.patch(f"/Users/{user_id}", change).status_code == 200


@pytest.fixture(scope="module")
def second_server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def settings(sandbox: Sandbox, second_server: SandboxServer, tmp_path: Path) -> Settings:
    """`[identity_center]` for the ships and `[targets.mills]` for the mills."""
    requests.post(f"{second_server.url}/_sandbox/reset", timeout=5)
    found = []
    for name, url in (("ships", sandbox.server.url), ("mills", second_server.url)):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "bridge.toml"
        write_config(file, base_url=url, auth="sigv4")
        center = read(file, {}).settings
        asked = f'{DEPARTMENT} eq "{name}"'
        found.append(replace(center, identity_center=replace(center.identity_center, filter=asked)))
    first, second = found
    return replace(first, targets={"mills": replace(second.identity_center, timeout=2.0)})


@pytest.fixture
def front_of(
    sandbox: Sandbox, second_server: SandboxServer
) -> Iterator[Callable[[Settings], Front]]:
    made: list[Front] = []

    def front_of(settings: Settings) -> Front:
        bridge = build(settings)
        if not made:
            upgrade(bridge.database)
        token = credentials.add(bridge.database, f"okta{len(made)}", entitlements=True).token
        made.append(
            Front(
                app=create_app(settings, bridge=bridge),
                token=token,
                bridge=bridge,
                ships=sandbox,
                mills=Sandbox(server=second_server),
            )
        )
        return made[-1]

    yield front_of
    for front in made:
        front.bridge.close()


def test_people_go_where_the_filter_sends_them_and_groups_come_with_them(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """Whom no filter matches goes nowhere; a group is there once somebody of it is."""
    front = front_of(settings)
    ada = front.member_of("ada", "ships")
    bob = front.member_of("bob", "mills")
    eve = front.user("eve")
    front.group("crew", ada["id"], bob["id"], eve["id"])
    front.group("sailors", ada["id"])
    front.deliver()

    assert front.ships.names() == {"ada@example.com"}
    assert front.mills.names() == {"bob@example.com"}
    assert front.ships.members("crew") == {"ada@example.com"}
    assert front.mills.members("crew") == {"bob@example.com"}
    assert front.mills.groups() == {"crew"}


def test_a_mover_is_disabled_and_emptied_at_one_and_created_at_the_other(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """What was given by hand goes too, as for a leaver; and on the way back all is as before."""
    front = front_of(settings)
    ada = front.member_of("ada", "ships")
    front.group("crew", ada["id"])
    front.deliver()
    front.ships.make_group("by hand", "ada@example.com")

    front.move(ada["id"], "mills")
    front.deliver()

    assert not front.ships.is_active("ada@example.com")
    assert front.ships.members("crew") == front.ships.members("by hand") == set()
    assert front.mills.is_active("ada@example.com")
    assert front.mills.members("crew") == {"ada@example.com"}

    front.move(ada["id"], "ships")
    front.deliver()

    assert front.ships.is_active("ada@example.com")
    assert front.ships.members("crew") == {"ada@example.com"}
    assert not front.mills.is_active("ada@example.com")
    assert front.mills.members("crew") == set()


def test_one_is_down_while_the_other_goes_on(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """Marks, circuit and status are each one's own; what waited arrives when it is up again."""
    front = front_of(settings)
    front.mills.fault(status=403)
    bob = front.member_of("bob", "mills")
    ada = front.member_of("ada", "ships")
    front.deliver()

    assert front.ships.names() == {"ada@example.com"}
    first, second = (overview(front.bridge.database, one) for one in ("identity-center", "mills"))
    assert first.in_sync
    assert first.door is None or first.door.circuit == "closed"
    assert second.door is not None
    assert second.door.circuit == "open"
    assert second.states == {"pending": 1}
    front.move(ada["id"], "mills")
    assert not front.ships.is_active("ada@example.com")

    front.mills.mend()
    front.bridge.others[0].center.circuit._probe_at = 0.0  # type: ignore[attr-defined]
    front.deliver()

    assert front.mills.names() == {"ada@example.com", "bob@example.com"}
    assert bob["active"]


def test_an_account_is_assigned_at_the_center_of_its_organization(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """What an extraction showed says where; a name means what it means there."""
    front = front_of(settings)
    for watch in front.bridge.watches:
        watch.schedule.read_now(["catalogue"])
    # Two sandboxes are alike: here is what makes them two organizations.
    with front.bridge.database.transaction() as connection:
        known = tables.accounts
        for target, account in (("identity-center", MILL), ("mills", SHIP)):
            is_it = (known.c.target == target) & (known.c.id == account)
            connection.execute(known.delete().where(is_it))
    ada, bob = front.member_of("ada", "ships"), front.member_of("bob", "mills")
    crew = front.group("crew", ada["id"], bob["id"])
    rights = [{"accountId": one, "permissionSet": "ReadOnlyAccess"} for one in (SHIP, MILL)]
    path = f"{GROUP_EXTENSION}:accountAssignments"

    granted = front.patch(f"/Groups/{crew['id']}", {"op": "add", "path": path, "value": rights})
    front.deliver()

    assert granted.status_code == 204, granted.text
    assert front.ships.assigned("crew") == {(SHIP, "ReadOnlyAccess")}
    assert front.mills.assigned("crew") == {(MILL, "ReadOnlyAccess")}

    front.move(ada["id"], "mills")
    front.move(bob["id"], "ships")
    front.deliver()

    assert front.ships.assigned("crew") == {(SHIP, "ReadOnlyAccess")}


def test_the_brake_of_one_holds_its_movers_and_a_rejection_says_why_not(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """A column of the HR file went wrong: nobody loses anything before an operator has looked."""
    safe = replace(settings, safety=Safety(brake=True, max_deprovisions=0))
    front = front_of(safe)
    people = [front.member_of(f"person{number}", "mills") for number in range(6)]
    front.deliver()

    for person in people:
        front.move(person["id"], "elsewhere")
    front.deliver()

    [held] = front.bridge.others[0].overview().held_sets
    assert held.people == 1
    assert sum(front.mills.is_active(name) for name in front.mills.names()) == 1

    rejected = front.bridge.decisions.reject(held.id)
    assert [left.why.partition(":")[0] for left in rejected.left] == [
        "the filter of mills does not match them"
    ]

    front.bridge.decisions.approve(held.id)
    front.deliver()
    assert not any(front.mills.is_active(name) for name in front.mills.names())


def test_who_is_erased_is_erased_at_each(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """Also where they were once, and are disabled."""
    front = front_of(settings)
    ada = front.member_of("ada", "mills")
    front.deliver()
    front.move(ada["id"], "ships")
    front.deliver()
    purge = purge_of(front.bridge)

    purge.end(purge.records("ada@example.com"))
    deliver(front.bridge, ada["id"])
    purge.erase(ada["id"])

    assert front.ships.names() == front.mills.names() == set()


def test_a_filter_that_was_changed_moves_people_when_the_bridge_starts(
    front_of: Callable[[Settings], Front], settings: Settings
) -> None:
    """No write says so; the same holds for a target that is new in the settings."""
    alone = replace(
        settings,
        identity_center=replace(settings.identity_center, filter=None),
        targets={},
    )
    front = front_of(alone)
    ada, bob = front.member_of("ada", "ships"), front.member_of("bob", "mills")
    front.group("crew", ada["id"], bob["id"])
    front.deliver()
    assert front.ships.members("crew") == {"ada@example.com", "bob@example.com"}

    front = front_of(settings)
    front.deliver()

    assert front.ships.members("crew") == {"ada@example.com"}
    assert not front.ships.is_active("bob@example.com")
    assert front.mills.members("crew") == {"bob@example.com"}
