"""One running sandbox per module, emptied before each test, and a client that speaks to it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from scim_bridge.sandbox import (
    ACCESS_KEY,
    BEARER_TOKEN,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    REGION,
    SECRET_KEY,
    Behaviour,
    SandboxServer,
)

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


@dataclass(frozen=True, kw_only=True)
class Apis:
    """boto3's clients of the APIs of one Identity Center, and its ids."""

    identitystore: Any
    sso: Any
    organizations: Any
    sts: Any
    store_id: str = IDENTITY_STORE_ID
    instance_arn: str = INSTANCE_ARN

    @property
    def store(self) -> dict[str, str]:
        return {"IdentityStoreId": self.store_id}

    @property
    def instance(self) -> dict[str, str]:
        return {"InstanceArn": self.instance_arn}

    def create_user(self, name: str = "ada", /, **more: Any) -> str:
        """A user's id."""
        made = self.identitystore.create_user(
            **self.store,
            **{
                "UserName": name,
                "Name": {"GivenName": name.title(), "FamilyName": "Lovelace"},
                "DisplayName": f"{name.title()} Lovelace",
                **more,
            },
        )
        return made["UserId"]

    def create_group(self, name: str = "Engineers", /, **more: Any) -> str:
        made = self.identitystore.create_group(**self.store, DisplayName=name, **more)
        return made["GroupId"]

    def join(self, group_id: str, user_id: str) -> str:
        """The id of the membership."""
        made = self.identitystore.create_group_membership(
            **self.store, GroupId=group_id, MemberId={"UserId": user_id}
        )
        return made["MembershipId"]


@pytest.fixture(scope="session")
def connect() -> Callable[..., Apis]:
    """Connects boto3, which then asks once and never again."""
    session = boto3.Session()

    def connect(url: str | None = None, **more: str) -> Apis:
        options = {
            "endpoint_url": url,
            "region_name": REGION,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "config": Config(retries={"total_max_attempts": 1}, read_timeout=20),
            **more,
        }
        clients = {
            name: session.client(service, **options)
            for name, service in [
                ("identitystore", "identitystore"),
                ("sso", "sso-admin"),
                ("organizations", "organizations"),
                ("sts", "sts"),
            ]
        }
        return Apis(**clients)

    return connect


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


@pytest.fixture(scope="module")
def apis_of_server(server: SandboxServer, connect: Callable[..., Apis]) -> Apis:
    return connect(server.url)


@pytest.fixture
def apis(sandbox: Client, apis_of_server: Apis) -> Apis:
    """boto3 in front of the empty sandbox."""
    return apis_of_server


@pytest.fixture(name="person")
def person_factory() -> Any:
    return person


@pytest.fixture(name="members")
def members_factory() -> Any:
    return members
