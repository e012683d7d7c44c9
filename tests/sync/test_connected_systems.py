"""A stock scim2-server as a connected system: it follows the directory as Identity Center does."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests
from scim2_models import EnterpriseUser, Group, ResourceType, ScimProvider, User
from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import load_default_service_provider_config

from scim_bridge.app import Bridge, build, create_app
from scim_bridge.directory.audit import Action
from scim_bridge.directory.migration import upgrade
from scim_bridge.directory.trail import trail
from scim_bridge.sandbox.configuration import write_config
from scim_bridge.scim import credentials
from scim_bridge.settings import Extraction, ScimSystem, Source, read
from scim_bridge.sync.movements import movements
from scim_bridge.sync.offboarding import offboarding
from scim_bridge.sync.overview import overview, waiting
from tests.scim.conftest import ENTERPRISE, USER, Caller
from tests.sync.conftest import Sandbox
from tests.sync.test_drift import WRITES
from tests.sync.test_source import edit

TOKEN = "the-token-of-the-crm"


@dataclass
class Stock:
    """A stock server with everybody in memory, and whether it takes PATCH and filters."""

    application: BearerTokenApplication
    storage: InMemoryStorage
    url: str

    def user(self, who: str) -> Any:
        name = f"{who}@example.com"
        return next(one for one in self._of(User) if one.user_name == name)

    def names(self) -> set[str]:
        return {one.user_name.partition("@")[0] for one in self._of(User)}

    def members(self, group: str) -> set[str]:
        people = {one.id: one.user_name.partition("@")[0] for one in self._of(User)}
        found = next(one for one in self._of(Group) if one.display_name == group)
        return {people[one.value] for one in found.members or ()}

    def groups(self) -> set[str]:
        return {one.display_name for one in self._of(Group)}

    def _of(self, kind: type) -> list[Any]:
        return [one for one in self.storage.resources if isinstance(one, kind)]


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(params=["everything", "neither PATCH nor filters"])
def stock(request: pytest.FixtureRequest) -> Iterator[Stock]:
    config = load_default_service_provider_config()
    if request.param != "everything":
        config.patch.supported = config.filter.supported = False
    provider = ScimProvider(
        models=[User, Group, EnterpriseUser],
        resource_types=[
            ResourceType.from_resource(User[EnterpriseUser]),
            ResourceType.from_resource(Group),
        ],
        config=config,
    )
    storage = InMemoryStorage()
    application = BearerTokenApplication(storage, provider, bearer_tokens=[TOKEN])
    server = make_server(
        "127.0.0.1", 0, application, server_class=ThreadingWSGIServer, handler_class=_Silent
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Stock(
        application=application, storage=storage, url=f"http://127.0.0.1:{server.server_port}"
    )
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True, kw_only=True)
class Front(Caller):
    """A client of a bridge with a sandbox and a connected system behind it."""

    bridge: Bridge

    def deliver(self) -> None:
        self.bridge.worker().run_once()

    def change(self, user_id: str, **values: Any) -> None:
        assert self.patch(f"/Users/{user_id}", {"op": "replace", "value": values}).status_code < 300


@pytest.fixture
def front_of(sandbox: Sandbox, stock: Stock, tmp_path: Path) -> Iterator[Callable[..., Front]]:
    file, token = tmp_path / "bridge.toml", tmp_path / "crm.token"
    token.write_text(TOKEN)
    write_config(file, base_url=sandbox.server.url, auth="sigv4")
    made: list[Bridge] = []

    def front_of(*, source: bool = False, **keys: Any) -> Front:
        crm = ScimSystem(
            url=stock.url, bearer_token_file=token, calls_per_second=500, timeout=5, **keys
        )
        settings = replace(
            read(file, {}).settings,
            connector={"crm": crm},
            extraction=Extraction(margin=0.0),
            source=Source(enabled=source),
        )
        bridge = build(settings)
        made.append(bridge)
        upgrade(bridge.database)
        key = credentials.add(bridge.database, "okta").token
        return Front(app=create_app(settings, bridge=bridge), token=key, bridge=bridge)

    yield front_of
    for bridge in made:
        bridge.close()


def test_people_and_groups_follow_through_a_working_life(
    front_of: Callable[..., Front], stock: Stock
) -> None:
    """Joiner, mover, leaver, and back; whatever the server can do (RFC 7643, section 5)."""
    front = front_of()
    ada = front.user(
        "ada",
        title="Countess",
        emails=[{"value": "ada@example.com", "primary": True}, {"value": "ada@home.example"}],
        **{ENTERPRISE: {"department": "Engines"}},
    )
    bob = front.user("bob", **{ENTERPRISE: {"manager": {"value": ada["id"]}}})
    crew = front.group("crew", ada["id"], bob["id"])
    front.deliver()

    assert stock.members("crew") == {"ada", "bob"}
    there = stock.user("ada")
    assert (there.title, there.external_id, len(there.emails)) == ("Countess", ada["id"], 2)
    assert there[EnterpriseUser].department == "Engines"
    assert stock.user("bob")[EnterpriseUser].manager.value == there.id

    front.change(ada["id"], title="Analyst", nickName="Ace")
    front.patch(f"/Users/{bob['id']}", {"op": "remove", "path": f"{ENTERPRISE}:manager"})
    front.patch(f"/Groups/{crew['id']}", {"op": "replace", "path": "displayName", "value": "team"})
    front.patch(
        f"/Groups/{crew['id']}", {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'}
    )
    front.deliver()

    assert (stock.user("ada").title, stock.user("ada").nick_name) == ("Analyst", "Ace")
    extension = stock.user("bob")[EnterpriseUser]
    assert extension is None or extension.manager is None
    assert stock.groups() == {"team"}
    assert stock.members("team") == {"ada"}

    front.change(ada["id"], active=False)
    front.deliver()

    assert stock.user("ada").active is False
    assert stock.members("team") == set()

    front.change(ada["id"], active=True)
    front.deliver()

    assert stock.user("ada").active is True
    assert stock.members("team") == {"ada"}
    assert front.bridge.others[0].overview().in_sync


def test_what_happens_while_it_is_away_arrives_once_when_it_is_back(
    front_of: Callable[..., Front], stock: Stock, sandbox: Sandbox
) -> None:
    """Identity Center is not kept waiting, and nobody is created twice."""
    front = front_of()
    ada = front.user("ada")
    front.deliver()
    stock.application.bearer_tokens = {"another"}

    front.change(ada["id"], active=False)
    bob = front.user("bob")
    front.group("crew", bob["id"])
    front.deliver()

    assert not sandbox.is_active("ada@example.com")
    assert sandbox.members("crew") == {"bob@example.com"}
    door = overview(front.bridge.database, "crm").door
    assert door is not None
    assert door.circuit == "open"
    assert "refuses the token" in str(door.cause)
    assert stock.user("ada").active is True

    stock.application.bearer_tokens = {TOKEN}
    front.bridge.others[0].center.circuit._probe_at = 0.0
    front.deliver()

    assert stock.user("ada").active is False
    assert stock.members("crew") == {"bob"}
    assert stock.names() == {"ada", "bob"}


def test_what_was_done_there_is_no_evidence_of_identity_center(
    front_of: Callable[..., Front], sandbox: Sandbox
) -> None:
    """The report on a leaver says when a call took access away: there, and nowhere else."""
    front = front_of()
    database, ada = front.bridge.database, front.user("ada")
    front.group("crew", ada["id"])
    front.deliver()
    sandbox.fault(status=403)
    front.change(ada["id"], active=False)
    front.deliver()

    found = offboarding(database, [ada["id"]])
    assert found is not None
    assert found.disabled is None
    assert [one.call for one in found.accesses] == [None]
    left = [one for one in movements(database, since=0.0) if one.who == "leaver"]
    assert [one.call for one in left] == [None, None]
    calls = [one for one in trail(database, resource_id=ada["id"]) if one.action == Action.CALL]
    assert {one.facts.get("target") for one in calls if one.facts["change"] == "DisableUser"} == {
        "crm"
    }


def test_a_filter_says_who_goes_there_and_a_table_as_what(
    front_of: Callable[..., Front], stock: Stock
) -> None:
    """Attributes are filled by others, or left out; who leaves the filter is disabled there."""
    front = front_of(
        filter='userType eq "Sales"',
        attributes={"nickName": "displayName", "title": ""},
    )
    ada = front.user("ada", userType="Sales", displayName="Ada L.", title="Countess")
    front.user("bob", userType="Engineer")
    front.deliver()

    assert stock.names() == {"ada"}
    assert (stock.user("ada").nick_name, stock.user("ada").title) == ("Ada L.", None)

    front.change(ada["id"], userType="Engineer")
    front.deliver()

    assert stock.user("ada").active is False


def test_who_is_there_already_is_taken_over_if_told_so_and_the_address_agrees(
    front_of: Callable[..., Front], stock: Stock
) -> None:
    """As `[adopt] inline` has it: a name alone gives nobody what somebody else holds."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for who, address in (("ada", "ada@example.com"), ("bob", "robert@example.com")):
        body = {
            "schemas": [USER],
            "userName": f"{who}@example.com",
            "emails": [{"value": address, "primary": True}],
        }
        assert requests.post(f"{stock.url}/Users", json=body, headers=headers, timeout=5).ok
    front = front_of(adopt="matching")

    front.user("ada", emails=[{"value": "ada@example.com", "primary": True}], title="Countess")
    front.user("bob", emails=[{"value": "bob@example.com", "primary": True}], title="Baron")
    front.deliver()

    assert (stock.user("ada").title, stock.user("bob").title) == ("Countess", None)
    [left] = waiting(front.bridge.database, "crm")
    assert (left.name, left.state) == ("bob@example.com", "failed")
    assert str(left.last_error).startswith("crm already has a user")


def test_what_was_changed_there_by_hand_is_found_and_put_right(
    front_of: Callable[..., Front], stock: Stock
) -> None:
    """It is read as Identity Center is, and what the bridge wrote is no difference."""
    front = front_of()
    ada, bob = front.user("ada"), front.user("bob", title="Baron")
    front.group("crew", ada["id"], bob["id"])
    front.deliver()
    front.change(ada["id"], active=False)
    front.deliver()
    [_, watch] = front.bridge.watches
    watch.schedule.read_now()
    assert watch.drift.found() == []

    headers = {"Authorization": f"Bearer {TOKEN}"}
    for who, change in (("ada", {"active": True}), ("bob", {"title": "King"})):
        body = {**stock.user(who).model_dump(), **change}
        url = f"{stock.url}/Users/{stock.user(who).id}"
        answer = requests.put(url, json=body, headers=headers, timeout=5)
        assert answer.ok, answer.text
    watch.schedule.read_now()

    found = watch.drift.found()
    assert {(one.id, one.what) for one in found} == {(ada["id"], "enabled"), (bob["id"], "changed")}
    watch.drift.repair(found)
    front.deliver()

    assert (stock.user("ada").active, stock.user("bob").title) == (False, "Baron")
    assert stock.members("crew") == {"bob"}


def test_whom_another_client_disables_at_the_source_is_disabled_there_within_one_extraction(
    front_of: Callable[..., Front], stock: Stock, sandbox: Sandbox
) -> None:
    """Who comes and who comes back follows too; Identity Center is told nothing of its own news."""
    front = front_of(source=True)
    assert front.bridge.watch is not None

    def follow() -> None:
        front.bridge.watch.schedule.read_now(("users", "groups", "memberships"))
        front.deliver()

    sandbox.make_user("ada@example.com", title="Countess")
    sandbox.make_user("bob@example.com")
    sandbox.make_group("crew", "ada@example.com", "bob@example.com")
    sandbox.forget_calls()
    follow()

    assert (stock.user("ada").active, stock.user("ada").title) == (True, "Countess")
    assert stock.members("crew") == {"ada", "bob"}

    edit(sandbox, "ada@example.com", active=False)
    sandbox.forget_calls()
    follow()

    assert stock.user("ada").active is False
    assert stock.members("crew") == {"bob"}

    edit(sandbox, "ada@example.com", active=True)
    sandbox.forget_calls()
    follow()

    assert stock.user("ada").active is True
    assert stock.members("crew") == {"ada", "bob"}
    assert {one: sandbox.count(one) for one in WRITES if sandbox.count(one)} == {}
    assert front.bridge.others[0].overview().in_sync


def test_whom_an_operator_adopts_goes_to_the_connected_systems(
    front_of: Callable[..., Front], stock: Stock, sandbox: Sandbox
) -> None:
    """At once, not only when the bridge starts again."""
    front = front_of()
    watch = front.bridge.watch
    assert watch is not None
    sandbox.make_user("ada@example.com")
    watch.schedule.read_now(("users", "groups", "memberships"))
    watch.adoption.adopt(watch.adoption.proposal())

    assert [(one.name, one.state) for one in waiting(front.bridge.database, "crm")] == [
        ("ada@example.com", "pending")
    ]
    front.deliver()
    assert stock.names() == {"ada"}
