"""A whole bridge without its SCIM front: directory, sync and a sandbox over HTTP."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pytest
import requests
from scim2_models import EnterpriseUser, Group, Resource, ResourceType, User
from sqlalchemy import event

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.write import Write
from scim_bridge.identity_center.apis import connect_apis
from scim_bridge.identity_center.center import Center, connect
from scim_bridge.identity_center.circuit import Standing
from scim_bridge.identity_center.store_center import StoreCenter
from scim_bridge.plan.changes import CreateUser
from scim_bridge.plan.policy import Switches
from scim_bridge.sandbox.behaviour import ACCESS_KEY, SECRET_KEY, Behaviour
from scim_bridge.sandbox.server import SandboxServer
from scim_bridge.settings import Delivery as DeliverySettings
from scim_bridge.settings import IdentityCenter, Safety
from scim_bridge.sync import ACCESS_TARGET
from scim_bridge.sync.access import AccessReconciler
from scim_bridge.sync.access_intents import AccessIntents
from scim_bridge.sync.access_planning import AccessPlanning
from scim_bridge.sync.access_record import AccessRecorder
from scim_bridge.sync.decisions import Decisions
from scim_bridge.sync.delivery import Delivery
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.grants import Grants
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.intents import Intents
from scim_bridge.sync.marks import Key, Mark, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.overview import Overview, overview, remember_door
from scim_bridge.sync.planning import Planning
from scim_bridge.sync.reconciler import Outcome, Reconciler
from scim_bridge.sync.record import Done, Recorder
from scim_bridge.sync.subjects import Naming, Subjects
from scim_bridge.sync.worker import Worker

TARGET = "identity-center"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = ResourceType.from_resource(User[EnterpriseUser])
GROUP = ResourceType.from_resource(Group)


@dataclass
class Sandbox:
    """The sandbox, as a test asks it."""

    server: SandboxServer

    def state(self) -> dict[str, Any]:
        return requests.get(f"{self.server.url}/_sandbox/state", timeout=5).json()

    def calls(self) -> dict[str, dict[str, int]]:
        return requests.get(f"{self.server.url}/_sandbox/calls", timeout=5).json()

    def count(self, operation: str) -> int:
        return sum(self.calls().get(operation, {}).values())

    def fault(self, operation: str = "*", **fault: Any) -> None:
        answer = requests.post(
            f"{self.server.url}/_sandbox/faults",
            json={"operation": operation, **fault},
            timeout=5,
        )
        assert answer.ok, answer.text

    def assignment_fault(self, **fault: Any) -> None:
        """What happens to creations and deletions of assignments after they were asked for."""
        answer = requests.post(
            f"{self.server.url}/_sandbox/assignment-faults", json=fault, timeout=5
        )
        assert answer.ok, answer.text

    def permission_set(self, name: str) -> str:
        """The ARN of a permission set."""
        return str(
            next(one["arn"] for one in self.state()["permissionSets"] if one["name"] == name)
        )

    def assigned(self, name: str) -> set[tuple[str, str]]:
        """What a user or group holds: accounts and names of permission sets."""
        state = self.state()
        names = {one["arn"]: one["name"] for one in state["permissionSets"]}
        ids = {user["id"] for user in state["users"] if user["userName"] == name}
        ids |= {group["id"] for group in state["groups"] if group["displayName"] == name}
        return {
            (one["accountId"], names[one["permissionSetArn"]])
            for one in state["assignments"]
            if one["principalId"] in ids
        }

    def mend(self) -> None:
        requests.delete(f"{self.server.url}/_sandbox/faults", timeout=5)

    def forget_calls(self) -> None:
        requests.delete(f"{self.server.url}/_sandbox/calls", timeout=5)

    def behave(self, **behaviour: Any) -> None:
        answer = requests.post(f"{self.server.url}/_sandbox/behaviour", json=behaviour, timeout=5)
        assert answer.ok, answer.text

    def user(self, name: str) -> dict[str, Any]:
        """The user of a name, who must be there."""
        return next(user for user in self.state()["users"] if user["userName"] == name)

    def names(self) -> set[str]:
        return {user["userName"] for user in self.state()["users"]}

    def groups(self) -> set[str]:
        return {group["displayName"] for group in self.state()["groups"]}

    def is_active(self, name: str) -> bool:
        return bool(self.user(name)["active"])

    def members(self, group: str) -> set[str]:
        """The userNames of a group's members."""
        state = self.state()
        ids = {g["id"] for g in state["groups"] if g["displayName"] == group}
        names = {user["id"]: user["userName"] for user in state["users"]}
        return {names[m["userId"]] for m in state["memberships"] if m["groupId"] in ids}

    def journal(self) -> list[dict[str, Any]]:
        """All calls, in the order in which they were done."""
        answer = requests.get(f"{self.server.url}/_sandbox/requests", timeout=5)
        return list(answer.json()["requests"])

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """The calls of an operation, in the order in which they were done."""
        return [entry for entry in self.journal() if entry["operation"] == operation]

    # -- What somebody does at Identity Center by hand ------------------

    def _by_hand(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            method,
            f"{self.server.scim_endpoint}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {Behaviour().bearer_token}"},
            timeout=5,
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def make_user(self, name: str, **attributes: Any) -> str:
        given = {
            "userName": name,
            "name": {"givenName": "By", "familyName": "Hand"},
            "displayName": name,
            **attributes,
        }
        return str(self._by_hand("POST", "Users", given)["id"])

    def make_group(self, name: str, *members: str) -> str:
        """Make a group; members are given by their userNames."""
        ids = [{"value": self.user(member)["id"]} for member in members]
        return str(self._by_hand("POST", "Groups", {"displayName": name, "members": ids})["id"])

    def join(self, group: str, *members: str) -> None:
        """Put people into a group by hand."""
        self._change_members("add", group, members)

    def leave(self, group: str, *members: str) -> None:
        self._change_members("remove", group, members)

    def _change_members(self, op: str, group: str, members: tuple[str, ...]) -> None:
        value = [{"value": self.user(member)["id"]} for member in members]
        operation = {"op": op, "path": "members", "value": value}
        body = {"schemas": [_PATCH], "Operations": [operation]}
        self._by_hand("PATCH", f"Groups/{self.group_id(group)}", body)

    def group_id(self, name: str) -> str:
        groups = self.state()["groups"]
        return str(next(group["id"] for group in groups if group["displayName"] == name))

    def remove_user(self, name: str) -> None:
        self._by_hand("DELETE", f"Users/{self.user(name)['id']}")

    def remove_group(self, name: str) -> None:
        self._by_hand("DELETE", f"Groups/{self.group_id(name)}")


@dataclass
class Directory:
    """Everything between the SCIM front and the sandbox."""

    database: Database
    resources: Resources
    center: Center
    marks: Marks
    observations: Observations
    held: HeldLosses
    planning: Planning
    reconciler: Reconciler
    delivery: Delivery
    decisions: Decisions
    worker: Worker
    access_marks: Marks
    access: AccessReconciler
    access_intents: AccessIntents
    entitlements: Entitlements

    # -- What a client does ---------------------------------------------

    def add_user(self, name: str, **attributes: Any) -> str:
        given = {**_given(name), **attributes}
        return self._create(USER, User[EnterpriseUser].model_validate(given))

    def add_group(self, name: str, *members: str) -> str:
        given = {"displayName": name, "members": [{"value": member} for member in members]}
        return self._create(GROUP, Group.model_validate(given))

    def _create(self, kind: ResourceType, resource: Resource[Any]) -> str:
        return str(self.delivery.carry(lambda: self.resources.create(kind, resource)).id)

    def change_user(self, user_id: str, **attributes: Any) -> None:
        """Set attributes by their names in SCIM."""

        def act() -> None:
            with self.resources.operation():
                user = self.resources.get(USER, user_id)
                given = {**user.model_dump(), **attributes}
                self.resources.update(USER, User[EnterpriseUser].model_validate(given))

        self.delivery.carry(act)

    def change_group(self, group_id: str, **attributes: Any) -> None:
        def act() -> None:
            with self.resources.operation():
                group = self.resources.get(GROUP, group_id)
                given = {**group.model_dump(), **attributes}
                self.resources.update(GROUP, Group.model_validate(given))

        self.delivery.carry(act)

    def replace_group(self, group_id: str, name: str, *members: str) -> None:
        """As a PUT does: what the client states is the whole list."""
        given = {"displayName": name, "members": [{"value": member} for member in members]}
        group = Group.model_validate({"id": group_id, **given})
        self.delivery.carry(lambda: self.resources.update(GROUP, group, members="replaced"))

    def change_members(self, group_id: str, **changes: Any) -> None:
        self.delivery.carry(lambda: self.resources.change_members(group_id, **changes))

    def delete_user(self, user_id: str) -> None:
        self.delivery.carry(lambda: self.resources.delete(USER, user_id))

    def delete_group(self, group_id: str) -> None:
        self.delivery.carry(lambda: self.resources.delete(GROUP, group_id))

    def hire(self, number: int, *, prefix: str = "person") -> list[str]:
        """Many people at once, each of them at Identity Center already."""
        with self.resources.operation():
            ids = [
                self.resources.create(USER, User[EnterpriseUser].model_validate(_given(name))).id
                for name in (f"{prefix}{n:03}" for n in range(number))
            ]
        with self.database.reading():
            steps = [self.planning.next_step(self.mark("user", str(each))) for each in ids]
        changes = [change for step in steps for change in step.changes]
        assert all(isinstance(change, CreateUser) for change in changes)
        made = [(change, self.center.apply(change)) for change in changes]
        with self.database.transaction():
            for change, applied in made:
                self.reconciler.recorder.write(
                    Done(change=change, principal=applied.principal, request_id="seeded")
                )
                self.marks.drop(Key(kind="user", id=change.user))  # type: ignore[union-attr]
        return [str(each) for each in ids]

    def probe(self) -> None:
        """As if the minute between two probes of a closed door were over."""
        self.center.circuit._probe_at = 0.0

    def deliver(self) -> dict[Key, Outcome]:
        """As if the worker had had the time: everything pending is tried, until it rests."""
        return self.worker.run_once()

    # -- What a test looks at -------------------------------------------

    def mark(self, kind: str, resource_id: str) -> Mark:
        return self.marks.read(Key(kind=kind, id=resource_id))  # type: ignore[arg-type]

    def mark_row(self, kind: str, resource_id: str) -> Any:
        columns = tables.pending.c
        query = tables.pending.select().where(
            columns.target == TARGET, columns.kind == kind, columns.resource_id == resource_id
        )
        with self.database.reading() as connection:
            return connection.execute(query).one()

    def principal(self, kind: str, resource_id: str) -> str | None:
        key = Key(kind=kind, id=resource_id)  # type: ignore[arg-type]
        with self.database.reading():
            link = self.observations.link(key)
        return None if link is None else link.target_id

    def document(self, user_id: str) -> dict[str, Any]:
        with self.database.reading() as connection:
            return dict(
                connection.execute(tables.users.select().where(tables.users.c.id == user_id))
                .one()
                .document
            )

    def members(self, group_id: str) -> set[str]:
        """The ids of a group's members, as a client reads them."""
        group = self.resources.get(GROUP, group_id)
        return {str(member.value) for member in group.members or ()}  # type: ignore[attr-defined]

    def disown(self, kind: str, resource_id: str) -> None:
        """As if somebody else had created the principal."""
        columns = tables.links.c
        with self.database.transaction() as connection:
            connection.execute(
                tables.links.update()
                .where(columns.kind == kind, columns.resource_id == resource_id)
                .values(created_here=False)
            )

    def disconnect(self, group_id: str, user_id: str) -> None:
        """As if a member of a group had never been seen in it."""
        group, user = self.principal("group", group_id), self.principal("user", user_id)
        with self.database.transaction():
            self.observations.left(str(group), [str(user)])

    def overview(self) -> Overview:
        return overview(self.database, TARGET)

    def mark_state(self, kind: str, resource_id: str) -> str | None:
        mark = self.marks.find(Key(kind=kind, id=resource_id))  # type: ignore[arg-type]
        return None if mark is None else mark.state

    def states(self) -> set[str]:
        with self.database.reading() as connection:
            rows = connection.execute(
                tables.pending.select().where(tables.pending.c.target == TARGET)
            ).all()
        return {row.state for row in rows}

    def audited(self, action: str) -> list[Any]:
        with self.database.reading() as connection:
            rows = connection.execute(
                tables.audit.select().where(tables.audit.c.action == action)
            ).all()
        return list(rows)

    def make_everything_due(self) -> None:
        """As if the pauses between tries were over."""
        with self.database.transaction() as connection:
            connection.execute(tables.pending.update().values(next_attempt_at=0))

    def expire_leases(self) -> None:
        """As if whoever holds a lease had died long ago."""
        leased = tables.pending.c.leased_until.is_not(None)
        with self.database.transaction() as connection:
            connection.execute(tables.pending.update().where(leased).values(leased_until=1.0))


def _given(name: str) -> dict[str, Any]:
    return {
        "userName": name,
        "name": {"givenName": name.title(), "familyName": "Tester"},
        "displayName": name.title(),
    }


def eventually(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until something holds that another thread brings about."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> Sandbox:
    sandbox = Sandbox(server=sandbox_server)
    requests.post(f"{sandbox_server.url}/_sandbox/reset", timeout=5)
    sandbox.behave(**asdict(Behaviour()))
    return sandbox


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database that does not wait for the disk: nothing here pulls the plug."""
    database = Database(database_url)

    @event.listens_for(database.engine, "connect")
    def _hurry(connection: Any, _record: Any) -> None:
        if database.engine.dialect.name == "sqlite":
            connection.execute("PRAGMA synchronous = OFF")

    yield database
    database.close()


@pytest.fixture
def assemble(
    database: Database, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Directory]:
    """Put a directory together, in front of the sandbox, with settings of the test's choice."""
    monkeypatch.setenv("TEST_TOKEN", "sandbox-token")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    settings = IdentityCenter(
        region="us-east-1",
        scim_endpoint=sandbox.server.scim_endpoint,
        auth="bearer",
        bearer_token_env="TEST_TOKEN",
        calls_per_second=500,
        timeout=5,
        endpoint_url=sandbox.server.url,
    )

    def assembled(
        *,
        wait: float = 5.0,
        at_once: int | None = None,
        coalesce: float = 0.0,
        safety: Safety = Safety(brake=False),  # noqa: B008 - frozen
        switches: Switches = Switches(),  # noqa: B008 - frozen
        naming: Naming = Naming(),  # noqa: B008 - frozen
        restore_within: float = 30 * 86400.0,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
        write_via: Literal["scim", "identity-store"] = "scim",
        detour: bool = False,
    ) -> Directory:
        def remember(standing: Standing) -> None:
            remember_door(database, TARGET, circuit=standing.state, cause=standing.cause)

        center = connect(
            replace(settings, timeout=timeout, write_via=write_via), on_change=remember
        )
        naming = replace(naming, abilities=center.abilities)
        marks = Marks(database, TARGET, call_seconds=timeout)
        observations = Observations(database, TARGET)
        held = HeldLosses(database, TARGET, safety)
        planning = Planning(
            database, Subjects(database, observations, naming), observations, held, switches
        )
        reconciler = Reconciler(
            database=database,
            center=center,
            marks=marks,
            observations=observations,
            planning=planning,
            recorder=Recorder(database, marks, observations, held),
            call_seconds=timeout,
            quiet=coalesce,
            detour=StoreCenter(connect_apis(replace(settings, timeout=timeout)).identity_store)
            if detour
            else None,
        )
        delivery = Delivery(
            database=database,
            marks=marks,
            intents=Intents(
                database,
                marks,
                observations,
                held,
                DeliverySettings(wait=wait, coalesce=coalesce, coalesce_at_most=coalesce * 10),
            ),
            wait=wait,
            at_once=at_once,
        )

        def remember_access(name: str, standing: Standing) -> None:
            if name == "sso-admin":
                target = access_marks.target
                remember_door(database, target, circuit=standing.state, cause=standing.cause)

        access_marks = Marks(database, ACCESS_TARGET, call_seconds=timeout)
        entitlements = Entitlements(database, observations, Grants(database, TARGET))
        access_intents = AccessIntents(
            access_marks,
            entitlements,
            held,
            has_door=True,
            when_deleted=naming.when_deleted,
        )
        access = AccessReconciler(
            database=database,
            sso_admin=connect_apis(
                replace(settings, timeout=timeout), on_change=remember_access
            ).sso_admin,
            marks=access_marks,
            principal_marks=marks,
            planning=AccessPlanning(entitlements, planning.subjects, held),
            recorder=AccessRecorder(database, entitlements.grants, held),
            call_seconds=timeout,
            first_look=0.01,
        )

        def written(write: Write) -> None:
            record_write(database, write)
            delivery.written(write)
            access_intents.written(write)

        resources = Resources(database, written=written, restore_within=restore_within, clock=clock)
        delivery.connect(resources=resources, reconciler=reconciler)
        return Directory(
            database=database,
            resources=resources,
            center=center,
            marks=marks,
            observations=observations,
            held=held,
            planning=planning,
            reconciler=reconciler,
            delivery=delivery,
            decisions=Decisions(database, resources, marks, observations, held, access_intents),
            worker=Worker(
                marks=marks,
                reconciler=reconciler,
                access_marks=access_marks,
                access=access,
                upkeep=lambda: None,
            ),
            access_marks=access_marks,
            access=access,
            access_intents=access_intents,
            entitlements=entitlements,
        )

    return assembled


@pytest.fixture
def directory(assemble: Callable[..., Directory]) -> Directory:
    return assemble()
