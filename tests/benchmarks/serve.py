"""What does a server under test run? `python -m tests.benchmarks.serve KIND FOLDER PORT`.

Each is the same gunicorn: one worker process with four threads. `bridge` is the bridge's own web
server as `scim-bridge serve` runs it, without the process of its deliveries: what is measured is
the answer, and nothing else works on the machine meanwhile.
"""

import json
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from tests.benchmarks.population import Population, group, group_id, person, user_id

THREADS = 4
# A connection that waits for its turn is not closed.
KEEP_ALIVE = 600


class Plain(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with one process, for an application that is no bridge."""

    def __init__(self, make: Callable[[], Flask], port: int) -> None:
        self._make, self._port = make, port
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "bind": f"127.0.0.1:{self._port}",
            "threads": THREADS,
            "keepalive": KEEP_ALIVE,
            "timeout": KEEP_ALIVE,
            "loglevel": "warning",
            "control_socket_disable": True,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._make()


# Each server imports what is its own: the others would only start later and hold more memory.


def bridge(folder: Path, port: int) -> None:
    from scim_bridge import log
    from scim_bridge.cli.web import Web
    from scim_bridge.settings import load

    class Patient(Web):
        """The bridge's web server, whose connections wait as long as those of the others."""

        def load_config(self) -> None:
            super().load_config()
            self.cfg.set("keepalive", KEEP_ALIVE)

    settings = load(folder / "bridge.toml", {})
    log.configure(settings.log)
    Patient(settings, socket.create_server(("127.0.0.1", port), backlog=2048)).run()


# -- Stock scim2-flask ------------------------------------------------------------


def stock(folder: Path, port: int) -> None:
    population = Population(**json.loads((folder / "population.json").read_text()))
    Plain(lambda: _healthy(_stock(population)), port).run()


def _stock(population: Population) -> Flask:
    """scim2-flask as its documentation shows it, with everybody in the memory of the worker."""
    from scim2_flask import ScimServer
    from scim2_models import EnterpriseUser, Group, Meta, ResourceType, ScimProvider, User
    from scim2_server.memory import InMemoryStorage, utcnow
    from scim2_server.utils import load_default_service_provider_config

    provider = ScimProvider(
        models=[User, Group, EnterpriseUser],
        resource_types=[
            ResourceType.from_resource(User[EnterpriseUser]),
            ResourceType.from_resource(Group),
        ],
        config=load_default_service_provider_config(),
    )
    storage, now = InMemoryStorage(), utcnow()

    def stored(model: Any, name: str, resource_id: str, document: Mapping[str, Any]) -> Any:
        resource = model.model_validate({**document, "id": resource_id})
        resource.meta = Meta(
            resource_type=name, created=now, last_modified=now, version=storage.next_version()
        )
        return resource

    with provider:
        people = [
            stored(User[EnterpriseUser], "User", user_id(number), person(number))
            for number in population.everybody
        ]
        groups = [
            stored(Group, "Group", group_id(name), group(name, members))
            for name, members in population.groups()
        ]
        storage.resources = [*people, *groups]
    app = Flask("stock")
    ScimServer(storage, provider).init_app(app)
    return app


# -- The floor --------------------------------------------------------------------


def floor(folder: Path, port: int) -> None:
    file = folder / "floor.db"
    connection = _opened(file)
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, document TEXT)")
    connection.execute("INSERT INTO rows VALUES (1, ?)", [json.dumps(person(1))])
    connection.close()
    Plain(lambda: _healthy(_floor(file)), port).run()


def _floor(file: Path) -> Flask:
    """The least that reads or durably writes one row: no SCIM, and nobody is asked for a token."""
    app, local = Flask("floor"), threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = _opened(file)
        return local.connection

    @app.get("/row")
    def read() -> Any:
        (document,) = connection().execute("SELECT document FROM rows WHERE id = 1").fetchone()
        return json.loads(document)

    @app.post("/row")
    def write() -> Any:
        connection().execute("BEGIN IMMEDIATE")
        connection().execute("INSERT INTO rows (document) VALUES (?)", [json.dumps(person(1))])
        connection().execute("COMMIT")
        return {}, 201

    return app


def _opened(file: Path) -> sqlite3.Connection:
    """With what the bridge asks of SQLite."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _healthy(app: Flask) -> Flask:
    app.add_url_rule("/healthz", "healthz", dict)
    return app


SERVERS: Mapping[str, Callable[[Path, int], None]] = {
    "bridge": bridge,
    "stock": stock,
    "floor": floor,
}

if __name__ == "__main__":
    _, kind, folder_name, port_number = sys.argv
    SERVERS[kind](Path(folder_name), int(port_number))
