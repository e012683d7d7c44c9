"""The one connection a piece of work uses, and the transaction it is in.

A transaction is re-entrant: the outermost `with` commits or rolls back, inner ones join. So the
same objects serve a request, the worker, the command line and the tests.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Float

from scim_bridge.directory import comparison
from scim_bridge.directory.line import Line
from scim_bridge.directory.prepared import run
from scim_bridge.errors import Collided, DatabaseUnavailable, SettingProblem, SettingsError
from scim_bridge.settings import Database as DatabaseSettings

# How long a writer waits for another writer of the same SQLite file, in seconds.
SQLITE_BUSY_SECONDS = 10
# The same on PostgreSQL.
POSTGRESQL_BUSY_SECONDS = 10
# How many pages of 4 KiB the log of commits holds before a commit brings them into the file.
SQLITE_CHECKPOINT_PAGES = 8_000
# How often the first who waits for the file of SQLite looks whether it is free, in seconds.
SQLITE_LOOK_AGAIN = 0.001
# How long a server of PostgreSQL may take to accept a connection, in seconds.
CONNECT_SECONDS = 10
# After how long of doing nothing a writer on PostgreSQL is taken for lost, in seconds.
ABANDONED_SECONDS = 60
# How PostgreSQL says that it gave up a transaction for another one (SQLSTATE): it could not be
# serialized, or each waited for the other.
COLLISIONS = frozenset({"40001", "40P01"})


class now(FunctionElement[float]):
    """The database's clock, in seconds since 1970: the one clock that all processes share."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite_now(_element: Any, _compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql_now(_element: Any, _compiler: Any, **_: Any) -> str:
    return "extract(epoch from clock_timestamp())"


def _open(url: str, password_file: Path | None) -> Engine:
    if url.startswith("sqlite"):
        return _open_sqlite(url)
    return _open_postgresql(url, password_file)


# An error that is logged must not tell the values of a statement: they are people's.


def _open_sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS}, hide_parameters=True)
    line = Line()

    @event.listens_for(engine, "do_connect")
    def _keep_to_the_owner(_dialect: Any, _record: Any, arguments: Any, _options: Any) -> None:
        # SQLite would make the file open to all; what it makes beside it has the file's mode.
        with suppress(OSError):
            os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: its deferred BEGIN fails at once when a
        # reader turns writer while somebody else writes, whatever the timeout.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}")
        comparison.register(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", True):
            _begin_in_turn(connection, line)
        else:
            run(connection, "BEGIN DEFERRED")

    return engine


def _begin_in_turn(connection: Connection, line: Line) -> None:
    """Begin to write once nobody else does.

    SQLite has no line: who has waited long looks ever more rarely, and whoever comes anew goes
    first, so that among many writers one may wait in vain. So only the first of this process looks,
    and as often as that of any other process does.
    """
    file: Any = connection.connection.driver_connection
    end = time.monotonic() + SQLITE_BUSY_SECONDS
    with line.turn(SQLITE_BUSY_SECONDS):
        file.execute("PRAGMA busy_timeout = 0")
        try:
            while _finds_busy(file) and time.monotonic() < end:
                time.sleep(SQLITE_LOOK_AGAIN)
            if not file.in_transaction:
                # Raises what is wrong, as any other statement does.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            file.execute(f"PRAGMA busy_timeout = {int(1000 * SQLITE_BUSY_SECONDS)}")


def _finds_busy(file: Any) -> bool:
    """Try to begin. Whether somebody else writes."""
    try:
        file.execute("BEGIN IMMEDIATE")
    except sqlite3.DatabaseError as error:
        return _is(error, sqlite3.SQLITE_BUSY)
    return False


def _open_postgresql(url: str, password_file: Path | None) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "scim-bridge",
                **_KEEPALIVES,
            },
        )
    except ImportError as error:
        raise SettingsError(
            [
                SettingProblem(
                    where="database.url",
                    what="PostgreSQL needs a driver that is not installed: "
                    "pip install 'scim-bridge[postgresql]'",
                )
            ]
        ) from error

    @event.listens_for(engine, "handle_error")
    def _leave_values_out(context: ExceptionContext) -> None:
        # Its second line may tell the values of a row.
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args:
                error.args = (str(error.args[0]).partition("\nDETAIL:")[0],)

    @event.listens_for(engine, "do_connect")
    def _give_password(_dialect: Any, _record: Any, _arguments: Any, options: Any) -> None:
        # Read anew for each connection: it may have been changed.
        if password_file is not None:
            options["password"] = _password(password_file)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute(_SESSION)
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", True):
            connection.exec_driver_sql(_begin_to_write())
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


# A machine that vanished is noticed within half a minute on either side: on the server its
# transaction would keep all others from writing.
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_SESSION = "; ".join(f"SET tcp_{name} = {value}" for name, value in _KEEPALIVES.items())

# One writer at a time, as on SQLite: whoever decides by what they read (a brake that counts, a
# version, a generation, a name that is free) decides by what is still so when they write, and
# nobody waits for two others who wait for each other. Readers wait for nobody.
_WRITER = 0x5343494D


def _begin_to_write() -> str:
    return (
        f"SET LOCAL lock_timeout = '{POSTGRESQL_BUSY_SECONDS}s'; "
        f"SET LOCAL idle_in_transaction_session_timeout = '{ABANDONED_SECONDS}s'; "
        f"SELECT pg_advisory_xact_lock({_WRITER})"
    )


def _password(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(
            [SettingProblem(where="database.password_file", what=f"{file}: {error.strerror}")]
        ) from error


class Database:
    """A directory's database. Thread-safe: each thread has a transaction of its own.

    `password_file` holds the password of PostgreSQL, where the URL has none.

    Raises `SettingsError` when the driver of PostgreSQL or the file of the password is missing, and
    `DatabaseUnavailable` when the database does not answer or stays locked: `Collided` when the
    same transaction may succeed at once.
    """

    def __init__(self, url: str, *, password_file: Path | None = None) -> None:
        self.url = url
        self.engine = _open(url, password_file)
        self._local = threading.local()

    @property
    def connection(self) -> Connection:
        """The connection of the transaction this thread is in."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            raise RuntimeError("not in a transaction")
        return connection

    @property
    def in_transaction(self) -> bool:
        return getattr(self._local, "connection", None) is not None

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        """Write. Commits when the outermost block ends well, else rolls everything back.

        What is not `durable` may be forgotten when the machine loses its power: nobody waits for
        the disk. The next durable commit brings it there as well.
        """
        with self._outermost(writes=True, durable=durable) as connection:
            yield connection

    def reading(self) -> AbstractContextManager[Connection]:
        """Read one consistent state. Joins a transaction that is already open."""
        if self.in_transaction:
            return nullcontext(self.connection)
        return self._outermost(writes=False)

    def after_commit(self, act: Callable[[], None]) -> None:
        """Do something once the transaction this thread is in has been committed."""
        self._local.after_commit.append(act)

    def afterwards(self, act: Callable[[], None]) -> None:
        """The same, or at once when this thread is in no transaction."""
        if self.in_transaction:
            self.after_commit(act)
        else:
            act()

    @contextmanager
    def _outermost(self, *, writes: bool, durable: bool = True) -> Iterator[Connection]:
        if self.in_transaction:
            if writes and not self._local.writes:
                raise RuntimeError("only reading: a write must begin as one")
            yield self.connection
            return
        with translated(), self.engine.connect() as raw, _unsynced(raw, durable=durable):
            connection = raw.execution_options(writes=writes)
            acts: list[Callable[[], None]] = []
            self._local.after_commit = acts
            with connection.begin():
                if not durable and connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                self._local.connection, self._local.writes = connection, writes
                try:
                    yield connection
                finally:
                    self._local.connection = None
        for act in acts:
            act()

    def clock(self) -> float:
        """The database's time, in seconds since 1970."""
        with self.reading() as connection:
            return float(connection.scalar(select(now())) or 0.0)

    def close(self) -> None:
        self.engine.dispose()

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database; None for any other."""
        database = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or not database or database == ":memory:":
            return None
        return Path(database)


@contextmanager
def _unsynced(connection: Connection, *, durable: bool) -> Iterator[None]:
    """Let SQLite not wait for the disk in the transaction of the block, unless it is durable."""
    if durable or connection.dialect.name != "sqlite":
        yield
        return
    # Outside of a transaction, where SQLAlchemy would begin one.
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        driver.execute("PRAGMA synchronous = FULL")


def connect(settings: DatabaseSettings) -> Database:
    """The database that the settings name. Nothing is read yet."""
    return Database(settings.url, password_file=settings.password_file)


# By the name of the dialect, an insert that can say what happens ON CONFLICT: only the dialects'
# own inserts know it; the two spell it alike.
INSERTS: Mapping[str, Callable[[Table], Any]] = MappingProxyType(
    {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
)


def insert_or(database: Database, table: Table) -> Any:
    """An insert that can say what happens ON CONFLICT."""
    return INSERTS[database.engine.dialect.name](table)


@contextmanager
def translated() -> Iterator[None]:
    """Translate what the driver raises when the database cannot be reached."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if getattr(error.orig, "sqlstate", None) in COLLISIONS:
            raise Collided(f"the transaction was given up for another one: {error.orig}") from error
        raise DatabaseUnavailable(_reason(error)) from error
    except NoConnectionLeft as error:
        raise DatabaseUnavailable("every connection to the database is in use") from error
    except DBAPIError as error:
        if _is(error.orig, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise DatabaseUnavailable(
                "the file is not an SQLite database, or it is damaged; name another one in "
                "[database] url, or restore a backup"
            ) from error
        if error.connection_invalidated:
            raise DatabaseUnavailable(_reason(error)) from error
        raise


def _is(error: BaseException | None, *kinds: int) -> bool:
    """Whether SQLite means one of these kinds by an error."""
    # The lowest byte is the kind, the others say more of it.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in kinds


def _reason(error: DBAPIError) -> str:
    return f"the database does not answer: {type(error.orig).__name__}: {error.orig}"
