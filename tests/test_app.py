"""The bridge put together: from a SCIM request to what an Identity Center holds, and its health."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from scim_bridge.app import Bridge, build, create_app
from scim_bridge.directory.migration import upgrade
from scim_bridge.errors import DatabaseUnavailable, SettingsError
from scim_bridge.sandbox.configuration import write_config
from scim_bridge.sandbox.server import SandboxServer
from scim_bridge.scim import credentials
from scim_bridge.settings import Delivery, Server, Settings, read
from scim_bridge.sync import TARGET
from scim_bridge.sync.overview import remember_door
from tests.postgresql import Postgresql
from tests.scim.conftest import ENTERPRISE, Caller, person


@dataclass(frozen=True, kw_only=True)
class Front(Caller):
    """A client of a whole bridge with a sandbox behind it."""

    bridge: Bridge
    sandbox: SandboxServer

    def deliver(self) -> None:
        """Let the worker do what is left to do."""
        self.bridge.worker().run_once()

    def state(self) -> Any:
        return requests.get(f"{self.sandbox.url}/_sandbox/state", timeout=5).json()

    def calls(self) -> Any:
        return requests.get(f"{self.sandbox.url}/_sandbox/calls", timeout=5).json()

    def principal(self, who: str = "ada") -> Any:
        """What the sandbox holds of a user."""
        name = f"{who}@example.com"
        return next(user for user in self.state()["users"] if user["userName"] == name)


@pytest.fixture(scope="module")
def sandbox_server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def settings(sandbox_server: SandboxServer, tmp_path: Path) -> Settings:
    """A bridge's settings as the sandbox writes them, on a fresh SQLite file."""
    requests.post(f"{sandbox_server.url}/_sandbox/reset", timeout=5)
    file = tmp_path / "bridge.toml"
    write_config(file, base_url=sandbox_server.url, auth="sigv4")
    return read(file, {}).settings


@pytest.fixture
def front(settings: Settings, sandbox_server: SandboxServer) -> Iterator[Front]:
    yield from _fronting(settings, sandbox_server)


@pytest.fixture
def front_of_postgresql(
    settings: Settings, sandbox_server: SandboxServer, postgresql: Postgresql
) -> Iterator[Front]:
    with postgresql.empty() as url:
        on = replace(settings, database=replace(settings.database, url=url))
        yield from _fronting(on, sandbox_server)


def _fronting(settings: Settings, sandbox_server: SandboxServer) -> Iterator[Front]:
    bridge = build(settings)
    upgrade(bridge.database)
    token = credentials.add(bridge.database, "okta").token
    yield Front(
        app=create_app(settings, bridge=bridge),
        token=token,
        bridge=bridge,
        sandbox=sandbox_server,
    )
    bridge.close()


# -- From the request to Identity Center ------------------------------------------------


def test_a_person_is_created_and_disabled_at_identity_center(front: Front) -> None:
    """One POST is a signed CreateUser, one PATCH disables, within their requests."""
    user = front.user()
    assert front.principal()["active"] is True
    assert front.principal()["externalId"] == user["id"]

    front.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})

    assert front.principal()["active"] is False
    calls = front.calls()
    assert (calls["CreateUser"], calls["PatchUser"]) == ({"201": 1}, {"200": 1})


def test_a_leaver_leaves_groups_by_the_identity_store_api_where_scim_refuses(
    front: Front,
) -> None:
    """Within the request: the keys that sign for the SCIM endpoint open the other door as well."""
    behaviour = f"{front.sandbox.url}/_sandbox/behaviour"
    user = front.user()
    front.group("engineers", user["id"])
    front.deliver()
    assert front.state()["memberships"]
    requests.post(behaviour, json={"strict_removals": True}, timeout=5)

    front.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})

    requests.post(behaviour, json={"strict_removals": False}, timeout=5)
    assert front.principal()["active"] is False
    assert front.state()["memberships"] == []


ATTRIBUTES = {
    "displayName": ("displayName", "Ada L.", "Ada K."),
    "first name": ("name.givenName", "Ada", "Augusta"),
    "last name": ("name.familyName", "Lovelace", "King"),
    "department": (f"{ENTERPRISE}:department", "Engines", "Numbers"),
    "division": (f"{ENTERPRISE}:division", "North", "South"),
    "title": ("title", "Countess", "Analyst"),
}


def at(document: Any, path: str) -> Any:
    """The value at an attribute path."""
    if path.startswith(ENTERPRISE):
        return document.get(ENTERPRISE, {}).get(path.removeprefix(f"{ENTERPRISE}:"))
    for part in path.split("."):
        document = document.get(part, {})
    return document


@pytest.mark.parametrize(("path", "first", "second"), ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_an_attribute_reaches_identity_center(
    front: Front, path: str, first: str, second: str
) -> None:
    """Created with it, changed by a PATCH, and the echo is the same."""
    user = front.user()
    change = {"op": "add", "path": path, "value": first}
    front.patch(f"/Users/{user['id']}", change)
    assert at(front.principal(), path) == first

    patched = front.patch(f"/Users/{user['id']}", {**change, "op": "replace", "value": second})

    assert patched.status_code == 200
    assert (at(front.principal(), path), at(patched.json, path)) == (second, second)


def test_an_e_mail_reaches_identity_center_as_the_primary_one(front: Front) -> None:
    """Of several, the primary; the others stay in the directory (AWS SCIM developer guide)."""
    home = {"value": "ada@home.example", "type": "home"}
    work = {"value": "ada@example.com", "type": "work", "primary": True}

    user = front.user(emails=[home, work])

    assert [one["value"] for one in front.principal()["emails"]] == ["ada@example.com"]
    assert {one["value"] for one in user["emails"]} == {"ada@home.example", "ada@example.com"}


def test_a_user_name_that_may_change_is_changed_in_place(
    front: Front, settings: Settings, sandbox_server: SandboxServer
) -> None:
    """`username_changes = "allow"`: the same principal, with another name."""
    user = front.user()
    target_id = front.principal()["id"]
    allowing = replace(settings, users=replace(settings.users, username_changes="allow"))
    app = create_app(allowing)
    caller = Caller(app=app, token=front.token)

    caller.patch(
        f"/Users/{user['id']}", {"op": "replace", "path": "userName", "value": "king@example.com"}
    )

    assert front.principal("king")["id"] == target_id
    app.extensions["bridge"].close()


def test_another_case_of_the_user_name_reaches_identity_center(front: Front) -> None:
    """It has to equal the nameID of a SAML assertion (AWS SCIM developer guide), case included."""
    path = f"/Users/{front.user()['id']}"
    target_id = front.principal()["id"]

    front.patch(path, {"op": "replace", "path": "userName", "value": "ADA@example.com"})

    assert front.principal("ADA")["id"] == target_id


def test_what_identity_center_refuses_is_undone_and_told(front: Front) -> None:
    """The delivery table: 4xx with AWS's detail, and the directory is as it was."""
    user = front.user()
    fault = {"operation": "PatchUser", "status": 400, "times": 1}
    requests.post(f"{front.sandbox.url}/_sandbox/faults", json=fault, timeout=5)

    refused = front.patch(f"/Users/{user['id']}", {"op": "add", "path": "title", "value": "x"})

    assert (refused.status_code, refused.json["scimType"]) == (400, "invalidValue")
    assert "title" not in front.get(f"/Users/{user['id']}").json


# -- Health -----------------------------------------------------------------------------


def test_the_process_answers(front: Front) -> None:
    """Without a token, and whatever the database does."""
    front.bridge.close()
    assert front.http.get("/healthz").json == {"status": "ok"}


def test_a_bridge_that_can_take_writes_is_ready(front: Front) -> None:
    """200, with nothing in the way."""
    answer = front.http.get("/readyz")

    assert answer.status_code == 200
    told = dict(answer.json)
    read = told.pop("extraction")
    assert told == {"status": "ok", "circuit": "closed", "causes": []}
    assert read["users"] == {
        "age_seconds": None,
        "took_seconds": None,
        "counts": {},
        "outcome": None,
        "stale": False,
    }


def test_a_database_without_tables_is_not_ready(settings: Settings) -> None:
    """503, naming the command that mends it."""
    app = create_app(settings)

    answer = app.test_client().get("/readyz")

    assert answer.status_code == 503
    assert "scim-bridge db upgrade" in answer.json["causes"][0]
    app.extensions["bridge"].close()


def test_a_database_that_is_away_is_not_ready(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the cause."""

    def away(_: object, *, running: bool) -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr("scim_bridge.directory.migration.check", away)

    answer = front.http.get("/readyz")
    assert (answer.status_code, answer.json["causes"]) == (503, ["the database does not answer"])


# The first transactions that create a user fail, as if others had been in their way.
GIVEN_UP = """
    CREATE SEQUENCE tries;
    CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('tries') <= {times} THEN
            RAISE EXCEPTION 'given up' USING ERRCODE = '{code}';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER give_up BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION give_up()"""


@pytest.mark.parametrize(
    ("code", "times", "status"), [("40001", 1, 201), ("40P01", 1, 201), ("40001", 99, 503)]
)
def test_a_write_that_postgresql_gave_up_is_made_again(
    front_of_postgresql: Front, code: str, times: int, status: int
) -> None:
    """Serialisation failures (40001) and deadlocks (40P01): the client learns of those that last,
    and is told when to come back.
    """
    front = front_of_postgresql
    with front.bridge.database.transaction() as connection:
        connection.execute(text(GIVEN_UP.format(times=times, code=code)))

    answer = front.post("/Users", person())

    assert (answer.status_code, "Retry-After" in answer.headers) == (status, status == 503)
    names = {user["userName"] for user in front.state()["users"]}
    assert names == ({"ada@example.com"} if status == 201 else set())


def test_a_closed_door_is_named_and_the_bridge_stays_ready(front: Front) -> None:
    """It still takes every write: a load balancer must not send leavers away."""
    remember_door(front.bridge.database, TARGET, circuit="open", cause="401: the token has ended")

    answer = front.http.get("/readyz")

    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert answer.json["causes"] == ["401: the token has ended"]
    front.bridge.forget_door()
    assert front.http.get("/readyz").json["status"] == "ok"


def test_a_door_that_one_process_finds_open_is_open_to_all(
    front: Front, settings: Settings
) -> None:
    """Both were refused; the probe of one serves the other's next request, before its own."""
    ada, bob = front.user(), front.user("bob")
    other = build(settings)
    refused = Caller(app=create_app(settings, bridge=other), token=front.token)
    fault = {"operation": "*", "status": 401, "times": -1}
    requests.post(f"{front.sandbox.url}/_sandbox/faults", json=fault, timeout=5)
    leave = {"op": "replace", "value": {"active": False}}
    front.patch(f"/Users/{ada['id']}", leave)
    refused.patch(f"/Users/{bob['id']}", leave)
    assert other.center.circuit.state == "open"
    requests.delete(f"{front.sandbox.url}/_sandbox/faults", timeout=5)

    front.bridge.center.circuit._probe_at = 0.0
    front.deliver()
    assert front.principal("bob")["active"] is False
    title = {"op": "add", "path": "title", "value": "Analyst"}
    carol = refused.post("/Users", person("carol")).json
    refused.patch(f"/Users/{carol['id']}", title)

    assert front.principal("carol")["title"] == "Analyst"
    assert other.center.circuit.state == "closed"
    assert front.http.get("/readyz").json["status"] == "ok"
    other.close()


def test_what_a_worker_put_off_is_due_once_another_process_gets_through(
    front: Front, settings: Settings
) -> None:
    """It does not wait for the worker's own next probe."""
    bob = front.user("bob")
    other = build(settings)
    fault = {"operation": "*", "status": 401, "times": 1}
    requests.post(f"{front.sandbox.url}/_sandbox/faults", json=fault, timeout=5)
    hasty = create_app(replace(settings, delivery=Delivery(wait=0)), bridge=None)
    leave = {"op": "replace", "value": {"active": False}}
    Caller(app=hasty, token=front.token).patch(f"/Users/{bob['id']}", leave)
    other.worker().run_once()
    assert other.marks.due(10) == []

    front.user("carol")
    front.bridge.show_door()
    other.marks.postpone(
        other.marks.claim(key := other.marks.in_state("pending")[0]),
        other.marks.read(key), delay=50.0, error="not asked at present",
    )  # fmt: skip
    other.hear_of_door()

    assert other.marks.due(10) == [key]
    other.worker().run_once()
    assert front.principal("bob")["active"] is False
    other.close()
    hasty.extensions["bridge"].close()


def test_every_answer_carries_a_request_id(front: Front) -> None:
    """Health and metrics too."""
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere"):
        assert front.http.get(path).headers["X-Request-Id"]


# -- Putting together -----------------------------------------------------------------------


def test_settings_that_name_no_identity_center_are_refused() -> None:
    """With the key that is missing."""
    with pytest.raises(SettingsError, match="identity_center"):
        build(Settings())


@pytest.mark.parametrize(
    ("proxies", "forwarded", "location"),
    [
        (0, "attacker.test", "http://localhost/scim/v2/Users/"),
        (1, "scim.example.com", "https://scim.example.com/scim/v2/Users/"),
        (1, "attacker.test, scim.example.com", "https://scim.example.com/scim/v2/Users/"),
        (2, "scim.example.com, inner.test", "https://scim.example.com/scim/v2/Users/"),
    ],
)
def test_exactly_the_trusted_proxies_are_believed(
    settings: Settings, proxies: int, forwarded: str, location: str
) -> None:
    """`[server] trusted_proxies`: what is further out was written by anybody."""
    settings = replace(settings, server=Server(trusted_proxies=proxies), delivery=Delivery(wait=0))
    bridge = build(settings)
    upgrade(bridge.database)
    caller = Caller(
        app=create_app(settings, bridge=bridge), token=credentials.add(bridge.database, "x").token
    )
    protos = ", ".join(["https"] * len(forwarded.split(",")))

    answer = caller.post(
        "/Users",
        person(),
        headers={"X-Forwarded-Host": forwarded, "X-Forwarded-Proto": protos},
    )

    assert answer.headers["Location"].startswith(location)
    bridge.close()


def test_what_a_client_sends_beside_the_standard_is_shown(front: Front) -> None:
    """As a metric by client and rule; a client that keeps to the standard has none."""
    user = front.user()
    assert "scim_bridge_tolerances_total{" not in front.http.get("/metrics").text

    front.patch(f"/Users/{user['id']}", {"op": "Replace", "path": "title", "value": "x"})

    shown = front.http.get("/metrics").text
    assert 'scim_bridge_tolerances_total{client="okta",rule="op-in-capitals"} 1.0' in shown
