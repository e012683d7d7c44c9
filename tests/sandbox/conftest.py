"""One running sandbox per module, emptied before each test, and a client that speaks to it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
import requests

from scim_bridge.sandbox import BEARER_TOKEN, Behaviour, SandboxServer

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Client:
    """Speaks to a sandbox with the bearer token, and to its controls."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {BEARER_TOKEN}"

    def call(self, method: str, path: str, body: object = None, **more: Any) -> requests.Response:
        """One SCIM call; `path` is below the endpoint, and its query is sent as written."""
        url = f"{self.server.scim_endpoint}{path}"
        return self.session.request(method, url, json=body, timeout=10, **more)

    def get(self, path: str) -> requests.Response:
        return self.call("GET", path)

    def post(self, path: str, body: object) -> requests.Response:
        return self.call("POST", path, body)

    def put(self, path: str, body: object) -> requests.Response:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> requests.Response:
        return self.call("DELETE", path)

    def patch(self, path: str, *operations: object) -> requests.Response:
        return self.call("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})

    def control(self, method: str, path: str, body: object = None) -> requests.Response:
        return requests.request(method, f"{self.server.url}/_sandbox/{path}", json=body, timeout=10)

    def create_user(self, name: str = "ada", /, **more: object) -> dict[str, Any]:
        response = self.post("/Users", person(name, **more))
        assert response.status_code == 201, response.text
        return response.json()

    def create_group(self, name: str = "Engineers", /, **more: object) -> dict[str, Any]:
        response = self.post("/Groups", {"displayName": name, **more})
        assert response.status_code == 201, response.text
        return response.json()

    def add_members(self, group: dict[str, Any], *users: dict[str, Any]) -> requests.Response:
        return self.patch(f"/Groups/{group['id']}", members("add", *users))

    def fault(self, **fault: object) -> None:
        response = self.control("POST", "faults", fault)
        assert response.status_code == 201, response.text

    def behave(self, **changes: object) -> None:
        response = self.control("POST", "behaviour", changes)
        assert response.status_code == 200, response.text

    def state(self) -> dict[str, Any]:
        return self.control("GET", "state").json()

    def calls(self) -> dict[str, dict[str, int]]:
        return self.control("GET", "calls").json()

    def requests(self) -> list[dict[str, Any]]:
        return self.control("GET", "requests").json()["requests"]

    def last_reason(self) -> str:
        """Why the last call was refused, which AWS keeps to itself."""
        return self.requests()[-1]["reason"]


def person(name: str = "ada", /, **more: object) -> dict[str, Any]:
    """The body of a user that Identity Center takes; None leaves an attribute out."""
    body = {
        "userName": name,
        "name": {"givenName": name.title(), "familyName": "Lovelace"},
        "displayName": f"{name.title()} Lovelace",
        **more,
    }
    return {key: value for key, value in body.items() if value is not None}


def members(op: str, *users: dict[str, Any]) -> dict[str, Any]:
    return {"op": op, "path": "members", "value": [{"value": user["id"]} for user in users]}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(server: SandboxServer) -> Iterator[Client]:
    """The client of an empty sandbox that behaves as it does by default."""
    client = Client(server)
    client.behave(**asdict(Behaviour()))
    client.control("POST", "reset")
    with client.session:
        yield client


@pytest.fixture(name="person")
def person_factory() -> Any:
    return person


@pytest.fixture(name="members")
def members_factory() -> Any:
    return members
