"""Which servers are compared, and how are they started and filled?

The bridge is filled through its own tables: the columns of a row are what the directory makes of
the document, and ten thousand rows go with one statement. Nothing of that is in its history or
audit trail, and nothing is pending: what is measured starts from a directory that is in sync.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from scim_bridge.directory import migration, tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.kinds import GROUP, USER, Kind
from scim_bridge.sandbox import SandboxServer, write_config
from scim_bridge.scim import credentials
from tests.benchmarks.connection import Answer, Connection, Request
from tests.benchmarks.population import (
    Document,
    Population,
    as_mapping,
    group,
    group_id,
    person,
    user_id,
)
from tests.cli.operation import ROOT, free_port, serving
from tests.postgresql import started

# Nothing answers here, and nothing is called: `wait = 0`, and deliveries do not run.
NOWHERE = "http://127.0.0.1:9"
BATCH = 10_000


@dataclass(kw_only=True)
class Server:
    """A server under test, with its one connection."""

    name: str
    pid: int
    connection: Connection
    population: Population
    # Below what its SCIM addresses are.
    prefix: str = "/scim/v2"
    # What cannot be asked of it.
    lacks: frozenset[str] = field(default_factory=frozenset)

    def send(self, request: Request) -> Answer:
        under = Request(
            method=request.method, path=f"{self.prefix}{request.path}", body=request.body
        )
        return self.connection.send(under)

    def memory(self) -> float:
        """What the process that answers holds in memory, in MiB."""
        return max(size for pid, size in _sizes(self.pid) if pid != self.pid) / 1024


def _sizes(pid: int) -> Iterator[tuple[int, int]]:
    """The resident sizes of a process and its descendants, in KiB."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,rss="],  # noqa: S607 - the machine's own
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    family = {pid}
    for child, parent, size in sorted(rows):
        if parent in family:
            family.add(child)
        if child in family:
            yield child, size


# -- Databases of the bridge ------------------------------------------------------

DatabaseMaker = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """The URL of a new SQLite file, which the bridge syncs to the disk with each commit."""
    yield f"sqlite:///{folder / 'bridge.db'}"


@contextmanager
def postgresql(_: Path) -> Iterator[str]:
    """The URL of a database of a server that was started for it, with full fsync as well."""
    with started(durable=True) as server, server.fresh() as url:
        yield url


# By the name they have in the report. Another database is one more entry.
DATABASES: Mapping[str, DatabaseMaker] = {"SQLite": sqlite, "PostgreSQL": postgresql}


def fill(database: Database, population: Population) -> None:
    """Store people, groups and memberships as the directory stores them."""
    at = time.time()
    _insert_resources(
        database, USER, ((user_id(one), person(one)) for one in population.everybody), at
    )
    groups = ((group_id(name), group(name)) for name, _ in population.groups())
    _insert_resources(database, GROUP, groups, at)
    members = (
        {
            "group_id": group_id(name),
            "member_id": user_id(one),
            "origin": "client:benchmark",
            "valid_from": at,
            "valid_to": None,
        }
        for name, members in population.groups()
        for one in members
    )
    _insert(database, tables.memberships, members)


def _insert_resources(
    database: Database, kind: Kind, resources: Iterator[tuple[str, Document]], at: float
) -> None:
    rows = (
        {
            "id": resource_id,
            "created": at,
            "last_modified": at,
            "version": 1,
            **kind.columns(document),
        }
        for resource_id, document in resources
    )
    _insert(database, kind.table, rows)


def _insert(database: Database, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            _write(database, table, batch)
            batch = []
    _write(database, table, batch)


def _write(database: Database, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        with database.transaction() as connection:
            connection.execute(insert(table), rows)


# -- Starting ---------------------------------------------------------------------


@contextmanager
def bridge(
    folder: Path, population: Population, *, name: str, database: DatabaseMaker = sqlite
) -> Iterator[Server]:
    """The bridge's web server on a filled database, with audit and history, `wait = 0`."""
    with ExitStack() as stack:
        folder.mkdir()
        url = stack.enter_context(database(folder))
        token = _prepare(folder, url, population, base_url=NOWHERE, wait=0)
        yield stack.enter_context(_started("bridge", folder, population, name=name, token=token))


@contextmanager
def bridge_with_sandbox(folder: Path, population: Population, *, name: str) -> Iterator[Server]:
    """`scim-bridge serve` in front of a sandbox that answers at once, `wait = 5`."""
    folder.mkdir()
    with SandboxServer() as sandbox, sqlite(folder) as url:
        token = _prepare(folder, url, population, base_url=sandbox.url, wait=5)
        with serving(folder / "bridge.toml", token=token) as served:
            port = int(served.url.rpartition(":")[2])
            yield Server(
                name=name,
                pid=served.process.pid,
                connection=_connection(port, token),
                population=population,
            )


def _prepare(folder: Path, url: str, population: Population, *, base_url: str, wait: float) -> str:
    """Write the settings and fill the database. Returns a token."""
    file = folder / "bridge.toml"
    write_config(file, base_url=base_url, auth="sigv4")
    text = file.read_text().replace(f"sqlite:///{folder / 'bridge.db'}", url)
    file.write_text(f"{text}\n[delivery]\nwait = {wait}\n[extraction]\ninterval = 0\n")
    database = Database(url)
    try:
        migration.upgrade(database)
        fill(database, population)
        return credentials.add(database, "benchmark").token
    finally:
        database.close()


@contextmanager
def stock(folder: Path, population: Population, *, name: str = "stock") -> Iterator[Server]:
    """scim2-flask with `InMemoryStorage`, without authentication."""
    folder.mkdir()
    with _started("stock", folder, population, name=name) as server:
        yield server


@contextmanager
def floor(folder: Path, population: Population, *, name: str = "floor") -> Iterator[Server]:
    """A Flask view that reads or commits one row of an SQLite file with the bridge's pragmas."""
    folder.mkdir()
    with _started("floor", folder, population, name=name) as server:
        server.prefix = ""
        yield server


@contextmanager
def _started(
    kind: str, folder: Path, population: Population, *, name: str, token: str | None = None
) -> Iterator[Server]:
    port = free_port()
    (folder / "population.json").write_text(json.dumps(as_mapping(population)))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.serve", kind, str(folder), str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    connection = _connection(port, token)
    try:
        _await(connection, process, folder / "output")
        yield Server(name=name, pid=process.pid, connection=connection, population=population)
    finally:
        connection.close()
        process.terminate()
        process.wait(60)


def _connection(port: int, token: str | None) -> Connection:
    return Connection(port, {"Authorization": f"Bearer {token}"} if token else {})


def _await(connection: Connection, process: subprocess.Popen[bytes], output: Path) -> None:
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"a server under test ended:\n{output.read_text()}")
        try:
            connection.send(Request(method="GET", path="/healthz"))
        except OSError:
            time.sleep(0.05)
        else:
            return
