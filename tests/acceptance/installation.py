"""A bridge as somebody installs it: a folder, the command line, and HTTP. Nothing from inside."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.cli.operation import (
    ROOT,
    Sandbox,
    Served,
    answers,
    free_port,
    person,
    replacing,
    running,
    until,
)

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

# What the sandbox answers to unless it is told otherwise (its --help).
SECRETS = {"bearer": "sandbox-token", "sigv4": "sandbox-secret"}

T = TypeVar("T")
R = TypeVar("R")


@dataclass(kw_only=True)
class Center(Sandbox):
    """`scim-bridge sandbox` as a process, and a folder with a bridge that was never started."""

    template: Path
    token: str

    def calls(self) -> dict[str, dict[str, int]]:
        """How often each operation was called, by status, since `forget_calls`."""
        return requests.get(f"{self.url}/_sandbox/calls", timeout=10).json()

    def forget_calls(self) -> None:
        requests.delete(f"{self.url}/_sandbox/calls", timeout=10)

    def faults(self) -> list[dict[str, Any]]:
        """What is ordered and has not struck yet."""
        return requests.get(f"{self.url}/_sandbox/faults", timeout=10).json()["faults"]

    def requests(self) -> list[dict[str, Any]]:
        return requests.get(f"{self.url}/_sandbox/requests", timeout=10).json()["requests"]

    def reset(self) -> None:
        requests.post(f"{self.url}/_sandbox/reset", timeout=10)
        self.behave(bearer_token=SECRETS["bearer"], secret_key=SECRETS["sigv4"], throttle=None)

    def active(self) -> dict[str, bool]:
        """Whether each user, by userName, can sign in."""
        return {one["userName"]: one["active"] for one in self.state()["users"]}

    def memberships(self) -> dict[str, set[str]]:
        """The userNames in each group, by displayName."""
        state = self.state()
        names = {one["id"]: one["userName"] for one in state["users"]}
        groups = {one["id"]: one["displayName"] for one in state["groups"]}
        found: dict[str, set[str]] = {name: set() for name in groups.values()}
        for one in state["memberships"]:
            found[groups[one["groupId"]]].add(names[one["userId"]])
        return found


@contextmanager
def center(folder: Path, auth: str) -> Iterator[Center]:
    """A sandbox, with the settings it wrote and a client that was added to them."""
    template = folder / "template"
    template.mkdir()
    url = f"http://127.0.0.1:{free_port()}"
    with running(
        folder, "sandbox", "--port", url.rpartition(":")[2], "--auth", auth,
        "--write-config", str(template / "bridge.toml"),
    ) as sandbox:  # fmt: skip
        until(lambda: sandbox.process.poll() is not None or _is_up(url), within=60)
        assert sandbox.process.poll() is None, sandbox.said()
        added = command(template, "client", "add", "hr", "--json")
        yield Center(url=url, template=template, token=json.loads(added.stdout)["token"])


def _is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/_sandbox/calls", timeout=5).ok
    except requests.ConnectionError:
        return False


def command(
    folder: Path, *arguments: str, expect: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run `scim-bridge` on the settings in a folder, as an operator does; check its exit code."""
    ended = subprocess.run(
        [sys.executable, "-m", "scim_bridge", "--config", str(folder / "bridge.toml"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert expect is None or ended.returncode == expect, ended.stdout + ended.stderr
    return ended


@dataclass(kw_only=True)
class Installation:
    """A bridge in a folder of its own, in front of a sandbox."""

    folder: Path
    sandbox: Center

    @property
    def credentials(self) -> Path:
        """The file that the settings name for the secret key or the access token."""
        return self.folder / "bridge.toml.credentials"

    def run(self, *arguments: str, expect: int | None = 0) -> str:
        """What `scim-bridge` prints on stdout."""
        return command(self.folder, *arguments, expect=expect).stdout

    def json_of(self, *arguments: str, expect: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", expect=expect))

    def settle(self, within: int = 30) -> dict[str, Any]:
        """`status`, once nothing is pending; nothing may have failed."""
        status = self.json_of("status", "--wait", str(within), expect=None)
        assert (status["pending"], status["failed"]) == (0, 0), status
        return status

    @contextmanager
    def serving(self, *arguments: str) -> Iterator["Bridge"]:
        """`scim-bridge serve`, once it answers."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = str(self.folder / "bridge.toml")
        with running(
            self.folder, "--config", settings, "serve", "--port", str(port), *arguments
        ) as found:
            until(lambda: found.process.poll() is not None or answers(url), within=60)
            assert found.process.poll() is None, found.said()
            yield Bridge(
                process=found.process, output=found.output, url=url, token=self.sandbox.token
            )


def install(
    sandbox: Center,
    folder: Path,
    *,
    rate: float = 500,
    more: str = "",
    brake: bool = False,
    database: str | None = None,
    **identity_center: Any,
) -> Installation:
    """A bridge that was never started, with these settings of [identity_center].

    `database`: the URL of an empty one, else a file is made. Bridges beside each other share the
    key of its audit trail.
    """
    shutil.copytree(sandbox.template, folder)
    settings = folder / "bridge.toml"
    text = settings.read_text().replace(str(sandbox.template), str(folder))
    for key, value in {"calls_per_second": rate, **identity_center}.items():
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
        text = text.replace("[identity_center]\n", f"[identity_center]\n{key} = {value}\n")
    if brake:
        text = text.replace("brake = false", "brake = true")
    if database is not None:
        text = re.sub(r'^url = "sqlite:.*"$', f'url = "{database}"', text, flags=re.MULTILINE)
        more += f'\n[audit]\nkey_file = "{folder.parent / "audit.key"}"\n'
    settings.write_text(f"{text}\n{more}")
    return Installation(folder=folder, sandbox=sandbox)


@dataclass(kw_only=True)
class Bridge(Served):
    """A bridge that runs, and its client, who does as it is told."""

    def add_user(self, name: str, **attributes: Any) -> str:
        return str(self.sent("POST", "/Users", person(name, **attributes))["id"])

    def add_users(self, names: Iterable[str]) -> dict[str, str]:
        """Many users, by several clients at once. Returns their ids by name."""
        names = list(names)
        return dict(zip(names, at_once(self.add_user, names, threads=6), strict=True))

    def add_group(self, name: str, *members: str) -> str:
        body = {"displayName": name, "members": [{"value": one} for one in members]}
        return str(self.sent("POST", "/Groups", body)["id"])

    def patch(self, path: str, **values: Any) -> None:
        self.sent("PATCH", path, replacing(**values))

    def change(self, path: str, *operations: dict[str, Any]) -> requests.Response:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def unsettled(self, state: str) -> int:
        """How many resources are pending, failed, held or suppressed (/metrics)."""
        page = requests.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(rf'resources_unsettled{{state="{state}"}} (\d+)', page)
        assert found, page
        return int(found[1])

    def arrive(self, within: float = 30) -> None:
        """Wait until nothing is pending; nothing may have failed. Cheaper than `status --wait`."""
        until(lambda: not self.unsettled("pending"), within=within)
        assert self.unsettled("failed") == 0

    def ready(self) -> dict[str, Any]:
        return requests.get(f"{self.url}/readyz", timeout=10).json()

    def directory(self) -> tuple[dict[str, bool], dict[str, set[str]]]:
        """What clients read: who is active, and who is in which group, by name."""
        users = self._all("/Users?attributes=userName,active")
        names = {one["id"]: one["userName"] for one in users}
        groups = {
            one["displayName"]: {names[member["value"]] for member in one.get("members", ())}
            for one in self._all("/Groups?attributes=displayName,members")
        }
        return {one["userName"]: one["active"] for one in users}, groups

    def _all(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.sent("GET", f"{path}&count=500&startIndex={len(found) + 1}")
            found += page.get("Resources", ())
            if len(found) >= page["totalResults"]:
                return found

    def kill(self, whole: bool = True) -> None:
        """kill -9: of all its processes, first the first; or of that one alone."""
        victims = sorted(self.family()) if whole else [self.process.pid]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def joining(*users: str) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": user} for user in users]}


def leaving(user: str) -> dict[str, Any]:
    return {"op": "remove", "path": f'members[value eq "{user}"]'}


def at_once(act: Callable[[T], R], over: Iterable[T], *, threads: int) -> list[R]:
    """Act on each, several at a time; results in their order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(act, over))


def seconds_until(holds: Callable[[], Any], *, within: float) -> float:
    """How long it takes until something holds; fails if that is too long."""
    begun = time.monotonic()
    until(holds, within=within)
    return time.monotonic() - begun
