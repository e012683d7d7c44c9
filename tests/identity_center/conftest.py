"""A sandbox in a real HTTP server, and an Identity Center adapter in front of it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from scim_bridge.identity_center.center import Center, connect
from scim_bridge.sandbox import SandboxServer
from scim_bridge.settings import IdentityCenter


class Sandbox:
    """What a test asks of the running sandbox, over its control routes."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server

    def control(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.server.url}/_sandbox/{path}"
        answer = requests.request(method, url, json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def fault(self, operation: str, **fault: object) -> None:
        self.control("POST", "faults", {"operation": operation, **fault})

    def behave(self, **behaviour: object) -> None:
        self.control("POST", "behaviour", behaviour)

    @property
    def calls(self) -> dict[str, dict[str, int]]:
        return self.control("GET", "calls")

    @property
    def users(self) -> dict[str, dict[str, Any]]:
        """What it holds of each user, by id."""
        return {user["id"]: user for user in self.control("GET", "state")["users"]}

    @property
    def groups(self) -> dict[str, dict[str, Any]]:
        return {group["id"]: group for group in self.control("GET", "state")["groups"]}

    def members(self, group_id: str) -> set[str]:
        held = self.control("GET", "state")["memberships"]
        return {one["userId"] for one in held if one["groupId"] == group_id}


@pytest.fixture(scope="session", name="server")
def _server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture(name="sandbox")
def _sandbox(server: SandboxServer) -> Sandbox:
    """The sandbox, empty and well-behaved."""
    sandbox = Sandbox(server)
    sandbox.control("POST", "reset")
    sandbox.control("DELETE", "faults")
    sandbox.control("DELETE", "calls")
    sandbox.behave(strict_disabled=False, throttle=None, bearer_token="sandbox-token")
    sandbox.behave(access_key="sandbox", secret_key="sandbox-secret")
    return sandbox


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, profiles or proxies of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.fixture(name="settings")
def _settings(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., IdentityCenter]:
    """A maker of settings for the sandbox, with credentials for both kinds of authentication."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox-secret")
    monkeypatch.setenv("SANDBOX_TOKEN", "sandbox-token")

    def make(**overrides: Any) -> IdentityCenter:
        values: dict[str, Any] = {
            "region": "us-east-1",
            "scim_endpoint": server.scim_endpoint,
            "bearer_token_env": "SANDBOX_TOKEN",
            "calls_per_second": 100_000.0,
            "timeout": 5.0,
        }
        return IdentityCenter(**{**values, **overrides})

    return make


@pytest.fixture(name="center")
def _center(settings: Callable[..., IdentityCenter], sandbox: Sandbox) -> Center:
    return connect(settings())
