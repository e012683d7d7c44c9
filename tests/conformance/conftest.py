"""Servers to be checked: a stock one as its makers ship it, and some that are broken."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from conformance.result import Exchange, Outcome, Result
from conformance.run import Ran

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-that-nobody-may-see"
SCIM = "application/scim+json"


@dataclass(frozen=True, kw_only=True)
class Stock:
    """scim2-server's own test server."""

    url: str
    token: str

    def held(self) -> int:
        """How many users and groups it holds."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return sum(
            requests.get(f"{self.url}/{kind}", headers=headers, timeout=10).json()["totalResults"]
            for kind in ("Users", "Groups")
        )


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """A stock server, which fails some checks."""
    output = tmp_path_factory.mktemp("stock") / "output"
    with output.open("wb") as file:
        port = _free_port()
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from scim2_server.testserver.cli import main; main()"),
                *("--port", str(port), "--bearer-token", TOKEN),
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/v2"
    try:
        _until_it_answers(url, process)
        yield Stock(url=url, token=TOKEN)
    finally:
        process.terminate()
        process.wait(timeout=30)


Tool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tool() -> Tool:
    """`python -m conformance` as a process, with the token in its environment."""

    def command(
        *arguments: str, token: str = TOKEN, expect: int, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "conformance", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCIM_TOKEN": token},
            timeout=110,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return command


# -- Broken servers ---------------------------------------------------------


@dataclass(kw_only=True)
class Broken:
    """A server that answers as it is told; requests are remembered."""

    url: str = ""
    answer: "Answering"
    asked: list[tuple[str, str]] = field(default_factory=list)


# Status, content type and body for a request, by its method and path; None: no answer at all.
Answering = Callable[[str, str], tuple[int, str, str] | None]


@contextmanager
def broken(answer: Answering) -> Iterator[Broken]:
    """A server on this machine that answers this."""
    told = Broken(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # The head and the body of an answer go out together: a second packet would wait until the
        # first is acknowledged, which takes 40 ms.
        wbufsize = -1

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].removeprefix("/scim")
            told.asked.append((self.command, path))
            answer = told.answer(self.command, path)
            if answer is None:
                self.close_connection = True
                return
            status, kind, body = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}/scim"
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def discovery(path: str) -> tuple[int, str, str] | None:
    """What a server with users publishes, or None for another path."""
    listed = {
        "/Schemas": {
            "id": "urn:ietf:params:scim:schemas:core:2.0:User",
            "attributes": [
                {"name": "userName", "type": "string", "multiValued": False, "required": True},
                {"name": "active", "type": "boolean", "multiValued": False},
            ],
        },
        "/ResourceTypes": {
            "name": "User",
            "endpoint": "/Users",
            "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
        },
    }
    if path == "/ServiceProviderConfig":
        return 200, SCIM, "{}"
    if path not in listed:
        return None
    answer = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 1,
        "Resources": [listed[path]],
    }
    return 200, SCIM, json.dumps(answer)


# -- Results ----------------------------------------------------------------


def a_result(**changes: Any) -> Result:
    """A check that failed, and all that can be told of it."""
    exchange = Exchange(
        method="PATCH",
        url="https://scim.example.com/v2/Users/1",
        sent='{"Operations":[{"op":"replace"}]}',
        status=500,
        headers={"Content-Type": "text/html"},
        received="<h1>Oops & <script>alert(1)</script></h1>",
        seconds=0.25,
    )
    values: dict[str, Any] = {
        "suite": "patch",
        "name": "replace of <everything>",
        "clause": "RFC 7644 3.5.2.3",
        "outcome": Outcome.failed,
        "reason": 'got 500, not 200 & no "detail"',
        "exchanges": (exchange,),
        "seconds": 0.5,
        **changes,
    }
    return Result(**values)


def a_run(*results: Result, **changes: Any) -> Ran:
    """A run that came to these results."""
    values: dict[str, Any] = {
        "url": "https://scim.example.com/v2",
        "word": "c0ffee",
        "started": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "seconds": 12.5,
        "requests": 34,
        "suites": {"patch": "Every form of PATCH", "fuzz": "Odd requests"},
        "results": results,
        "left": (),
        "stopped": False,
        **changes,
    }
    return Ran(**values)


def _free_port() -> int:
    chance = random.SystemRandom()
    for _ in range(100):
        port = chance.randrange(20_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("no port is free")


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        try:
            requests.get(f"{url}/ServiceProviderConfig", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the stock server did not start")
