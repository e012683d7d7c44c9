"""A bridge in front of a sandbox, as its clients and its operator use it."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from flask.testing import FlaskClient

from scim_bridge.app import Bridge, create_app
from scim_bridge.cli.invocation import opened
from scim_bridge.sandbox import SandboxServer, write_config
from scim_bridge.scim import credentials
from scim_bridge.settings import load

ROOT = Path(__file__).parents[2]
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
# Below those that a machine gives out by itself (from 32768 on Linux, and 49152 elsewhere).
_ports = itertools.cycle(random.SystemRandom().sample(range(20_000, 32_000), 500))
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(kw_only=True)
class Sandbox:
    """The Identity Center, as a test asks it."""

    url: str

    def state(self) -> dict[str, Any]:
        return requests.get(f"{self.url}/_sandbox/state", timeout=10).json()

    def fault(self, operation: str = "*", **fault: Any) -> None:
        order = {"operation": operation, **fault}
        answer = requests.post(f"{self.url}/_sandbox/faults", json=order, timeout=10)
        assert answer.ok, answer.text

    def mend(self) -> None:
        requests.delete(f"{self.url}/_sandbox/faults", timeout=10)

    def behave(self, **behaviour: Any) -> None:
        answer = requests.post(f"{self.url}/_sandbox/behaviour", json=behaviour, timeout=10)
        assert answer.ok, answer.text

    def user(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.state()["users"] if one["userName"] == name), None)

    def members(self, group: str) -> set[str]:
        """The userNames of a group's members."""
        state = self.state()
        ids = {one["id"] for one in state["groups"] if one["displayName"] == group}
        names = {one["id"]: one["userName"] for one in state["users"]}
        return {names[one["userId"]] for one in state["memberships"] if one["groupId"] in ids}


@dataclass(kw_only=True)
class Client:
    """A SCIM client of a bridge that runs in this process, without a worker."""

    http: FlaskClient
    bridge: Bridge
    token: str

    def send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.http.open(
            f"/scim/v2{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert answer.status_code < 300, answer.text
        return answer.get_json(silent=True) or {}

    def add_user(self, name: str, **attributes: Any) -> str:
        return str(self.send("POST", "/Users", person(name, **attributes))["id"])

    def add_group(self, name: str, *members: str) -> str:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": name,
            "members": [{"value": member} for member in members],
        }
        return str(self.send("POST", "/Groups", body)["id"])

    def patch(self, path: str, **values: Any) -> None:
        self.send("PATCH", path, replacing(**values))


def person(name: str, **attributes: Any) -> dict[str, Any]:
    """A user with everything Identity Center asks for."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "name": {"givenName": name.partition("@")[0].title(), "familyName": "Tester"},
        "active": True,
        **attributes,
    }


def replacing(**values: Any) -> dict[str, Any]:
    """A PATCH that sets these attributes."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    return {"schemas": [PATCH], "Operations": operations}


def in_front_of(
    sandbox: SandboxServer, folder: Path, *, more: str = "", auth: Any = "sigv4"
) -> Path:
    """The settings file of a bridge in front of this sandbox, which commands use by default."""
    file = folder / "scim-bridge.toml"
    write_config(file, base_url=sandbox.url, auth=auth)
    file.write_text(f"{file.read_text()}\n{more}")
    return file


@contextmanager
def client_of(file: Path, *, name: str = "hr", entitlements: bool = False) -> Iterator[Client]:
    """A client of the bridge with these settings."""
    token = new_token(file, name, entitlements=entitlements)
    app = create_app(load(file, {}))
    bridge: Bridge = app.extensions["bridge"]
    try:
        yield Client(http=app.test_client(), bridge=bridge, token=token)
    finally:
        bridge.close()


# -- As processes -----------------------------------------------------------


def family(pid: int) -> set[int]:
    """A process and all its descendants."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="],  # noqa: S607 - the machine's own
        capture_output=True,
        text=True,
        check=True,
    )
    parents = {int(pid): int(ppid) for pid, ppid in map(str.split, listed.stdout.splitlines())}
    found = {pid}
    while more := {pid for pid, ppid in parents.items() if ppid in found} - found:
        found |= more
    return found


@dataclass(kw_only=True)
class Running:
    """`scim-bridge` as a process of its own, and what it said."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def family(self) -> set[int]:
        """The process and all its descendants."""
        return family(self.process.pid)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@dataclass(kw_only=True)
class Served(Running):
    """`scim-bridge serve`, and a client of it."""

    url: str
    token: str

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return requests.request(
            method,
            f"{self.url}/scim/v2{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
            **options,
        )

    def sent(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.send(method, path, body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else {}


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[Running]:
    """A process of `scim-bridge`, stopped at the end."""
    output = folder / f"{len(list(folder.glob('*.out')))}.out"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "scim_bridge", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )
    found = Running(process=process, output=output)
    try:
        yield found
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def serving(
    file: Path, *arguments: str, token: str | None = None, **variables: str
) -> Iterator[Served]:
    """A bridge with these settings, once it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    token = token or new_token(file)
    with running(
        file.parent, "--config", str(file), "serve", "--port", str(port), *arguments, **variables
    ) as found:
        served = Served(process=found.process, output=found.output, url=url, token=token)
        until(lambda: found.process.poll() is not None or answers(url), within=60)
        assert found.process.poll() is None, found.said()
        yield served


def new_token(file: Path, name: str = "hr", *, entitlements: bool = False) -> str:
    with opened(load(file, {}), create=True) as database:
        return credentials.add(database, name, entitlements=entitlements).token


def free_port() -> int:
    """A port that nobody takes until it is used.

    Not one of those that the machine gives to whoever asks for any: there are other processes,
    and each run of the tests keeps to ports of its own.
    """
    for port in _ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def until(holds: Callable[[], Any], *, within: float = 60.0) -> None:
    """Wait until something holds; fail if it never does."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)],  # noqa: S607 - the machine's own
        capture_output=True,
        text=True,
        check=False,
    )
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")
