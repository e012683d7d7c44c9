"""What is measured, and how is it driven: a sandbox and a bridge as somebody starts them."""

import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.acceptance.installation import Bridge, Center, Installation, center, install, joining

T = TypeVar("T")
R = TypeVar("R")

# What an operation that changes something at Identity Center begins with.
_WRITES = ("Create", "Patch", "Put", "Update", "Delete", "Add", "Remove", "Provision")


@dataclass(kw_only=True)
class Sent:
    """What a client was answered: how often with which status, and how long each took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """Answers that no client may get: 429 and 5xx."""
        return sum(n for status, n in self.statuses.items() if status == 429 or status >= 500)


class Client:
    """A SCIM client with a keep-alive connection for each of its threads; it repeats nothing."""

    def __init__(self, bridge: Bridge) -> None:
        self.url = f"{bridge.url}/scim/v2"
        self.token = bridge.token
        self.sent = Sent()
        self._lock = threading.Lock()
        self._local = threading.local()

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        began = time.perf_counter()
        answer = self._session().request(method, self.url + path, json=body, timeout=60)
        took = time.perf_counter() - began
        with self._lock:
            self.sent.statuses[answer.status_code] += 1
            self.sent.seconds.append(took)
        return answer

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers["Authorization"] = f"Bearer {self.token}"
        session: requests.Session = self._local.session
        return session

    def find(self, path: str, attribute: str, value: str) -> str | None:
        """The id of what has this name, as a client looks it up before it creates."""
        found = self.send("GET", f'{path}?filter={attribute} eq "{value}"').json()
        return found["Resources"][0]["id"] if found.get("totalResults") else None

    def join(self, group: str, *users: str) -> None:
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [joining(*users)],
        }
        self.send("PATCH", f"/Groups/{group}", body)

    def replace(self, path: str, **values: Any) -> requests.Response:
        operations = [
            {"op": "replace", "path": name, "value": value} for name, value in values.items()
        ]
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": operations,
        }
        return self.send("PATCH", path, body)


@dataclass(kw_only=True)
class Stand:
    """A bridge that runs in front of a sandbox."""

    sandbox: Center
    installation: Installation
    bridge: Bridge

    def client(self) -> Client:
        return Client(self.bridge)

    def metric(self, name: str) -> float:
        page = requests.get(f"{self.bridge.url}/metrics", timeout=60).text
        found = re.search(rf"^scim_bridge_{re.escape(name)} ([\d.e+-]+)$", page, re.MULTILINE)
        assert found, page
        return float(found[1])

    def pending(self) -> int:
        return int(self.metric('resources_unsettled{state="pending"}'))

    def settle(self, *, within: float) -> float:
        """Wait until nothing is pending; how long that took."""
        began = time.monotonic()
        while self.pending():
            assert time.monotonic() - began < within, "it did not come to be in sync"
            time.sleep(0.25)
        return time.monotonic() - began


@contextmanager
def stand(
    *arguments: str, rate: float, more: str = "", behaviour: dict[str, Any] | None = None
) -> Iterator[Stand]:
    """A sandbox and `scim-bridge serve`, each a process of its own, until the block ends.

    `arguments` are those of `serve`, `more` is added to its settings.
    """
    with (
        tempfile.TemporaryDirectory(prefix="scim-bridge-benchmark-") as folder,
        center(Path(folder), "sigv4") as sandbox,
    ):
        sandbox.behave(**(behaviour or {}))
        installation = install(sandbox, Path(folder) / "bridge", rate=rate, more=more)
        with installation.serving(*arguments) as bridge:
            yield Stand(sandbox=sandbox, installation=installation, bridge=bridge)


def is_write(operation: str) -> bool:
    return operation.rpartition(":")[2].startswith(_WRITES)


def totals(calls: dict[str, dict[str, int]]) -> dict[str, int]:
    """How often each operation was called, whatever came of it."""
    return {operation: sum(counts.values()) for operation, counts in sorted(calls.items())}


def over(things: Iterable[T], act: Callable[[T], R], *, clients: int) -> list[R]:
    """Act on each, several at a time."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(act, things))


def quantile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)]
