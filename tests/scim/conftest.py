"""A SCIM endpoint on a real directory, without an Identity Center behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.directory.database import Database
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.ownership import Owners
from scim_bridge.directory.representation import Provisioning, unprovisioned
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.write import Write
from scim_bridge.errors import BridgeError
from scim_bridge.plan.authority import Authorities
from scim_bridge.scim import credentials
from scim_bridge.scim.authentication import bearer_authentication
from scim_bridge.scim.provider import Provider
from scim_bridge.scim.server import Server
from scim_bridge.settings import Safety, Settings, Users
from scim_bridge.settings import Server as ServerSettings

T = TypeVar("T")

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class Delivered:
    """A delivery that is done at once, or ends as it is told to."""

    def __init__(self) -> None:
        self.carried = 0
        self.ends: BridgeError | None = None

    def carry(self, act: Callable[[], T]) -> T:
        self.carried += 1
        result = act()
        if self.ends is not None:
            raise self.ends
        return result


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A SCIM client of an application."""

    app: Flask
    token: str

    @property
    def http(self) -> FlaskClient:
        return self.app.test_client()

    def send(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        content_type: str = "application/scim+json",
        token: str | None = None,
    ) -> TestResponse:
        return self.http.open(
            f"/scim/v2{path}",
            method=method,
            json=json,
            data=data,
            content_type=None if json is None and data is None else content_type,
            headers={"Authorization": f"Bearer {token or self.token}", **(headers or {})},
        )

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("PUT", path, json, **options)

    def patch(self, path: str, *operations: dict[str, Any], **options: Any) -> TestResponse:
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return self.send("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.send("DELETE", path, **options)

    def user(self, who: str = "ada", **attributes: Any) -> dict[str, Any]:
        """Create a user."""
        answer = self.post("/Users", person(who, **attributes))
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json
        return created

    def group(self, name: str = "Crew", *members: str) -> dict[str, Any]:
        """Create a group with these members, given by their ids."""
        listed = [{"value": member} for member in members]
        body = {"schemas": [GROUP], "displayName": name, "members": listed}
        answer = self.post("/Groups", body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json
        return created

    def members(self, group_id: str) -> set[str]:
        listed = self.get(f"/Groups/{group_id}").json.get("members", [])
        return {member["value"] for member in listed}


@dataclass(frozen=True, kw_only=True)
class Scim(Caller):
    """A SCIM client of an endpoint under test, and what is behind it."""

    database: Database
    resources: Resources
    delivery: Delivered
    # Every change the directory told of.
    writes: list[Write] = field(default_factory=list)


def person(who: str = "ada", **attributes: Any) -> dict[str, Any]:
    """The body of a user; an attribute that is None is left out."""
    body = {
        "schemas": [USER],
        "userName": f"{who}@example.com",
        "name": {"givenName": who.title(), "familyName": "Lovelace"},
        "active": True,
        **attributes,
    }
    return {key: value for key, value in body.items() if value is not None}


def assert_error(answer: TestResponse, status: int, scim_type: str | None = None) -> str:
    """Check that an answer is a SCIM error (RFC 7644, section 3.12), and return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/scim+json"
    assert answer.json["schemas"] == [ERROR]
    assert answer.json["status"] == str(status)
    assert answer.json.get("scimType") == scim_type, answer.text
    detail: str = answer.json["detail"]
    assert detail
    return detail


def serve(
    database: Database,
    settings: Settings,
    *,
    client: str = "okta",
    entitlements: bool = False,
    provisioning: Provisioning = unprovisioned,
) -> Scim:
    """A SCIM endpoint with these settings on a database, and a client of this name."""
    provider, delivery = Provider(settings), Delivered()
    catalogue = Catalogue(database, "identity-center", interval=settings.extraction.interval)
    writes: list[Write] = []

    def written(write: Write) -> None:
        record_write(database, write)
        writes.append(write)

    resources = Resources(
        database,
        models=provider.directory_models,
        written=written,
        resolve=catalogue.grant,
        provisioning=provisioning,
        owners=Owners(database, Authorities.of(settings)),
    )
    app = Flask("under-test")
    Server(
        resources,
        provider,
        settings,
        delivery=delivery,
        authenticated=bearer_authentication(database),
        catalogue=catalogue,
    ).init_app(app)
    token = credentials.add(database, client, entitlements=entitlements).token
    return Scim(
        app=app,
        database=database,
        resources=resources,
        delivery=delivery,
        token=token,
        writes=writes,
    )


@pytest.fixture
def settings() -> Settings:
    """The defaults, with nothing protected."""
    return replace(Settings(), safety=Safety(protected=()))


@pytest.fixture
def scim(database: Database, settings: Settings) -> Scim:
    """A SCIM endpoint with the default settings."""
    return serve(database, settings)


@pytest.fixture
def entitling(database: Database, settings: Settings) -> Scim:
    """A SCIM endpoint with the default settings, and a client that may set entitlements."""
    return serve(database, settings, entitlements=True)


@pytest.fixture
def renaming(database: Database, settings: Settings) -> Scim:
    """A SCIM endpoint that lets user names change."""
    allowing = replace(settings, users=Users(username_changes="allow"))
    return serve(database, allowing, entitlements=True)


@pytest.fixture
def small(database: Database, settings: Settings) -> Scim:
    """A SCIM endpoint that takes only small bodies."""
    return serve(database, replace(settings, server=ServerSettings(max_body=2000)))
