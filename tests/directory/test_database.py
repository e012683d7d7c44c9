"""What the database tells of itself when something is wrong."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from scim_bridge.directory.bell import Listener, ring
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import locks
from scim_bridge.errors import DatabaseUnavailable, SettingsError
from tests.postgresql import Postgresql

MAKE_LOCK = text("INSERT INTO locks (name, leased_until, number) VALUES (:name, 0, 0)")


def test_an_error_does_not_tell_the_values_of_a_statement(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """They are people's names and addresses, and a defect is logged with its error."""
    values = {"name": "ada@example.com"}

    with database.transaction() as connection:
        connection.execute(MAKE_LOCK, values)
        with pytest.raises(IntegrityError) as caught:
            connection.execute(MAKE_LOCK, values)
    logging.getLogger("test").error("a defect", exc_info=caught.value)

    assert "INSERT INTO locks" in caplog.text
    assert "ada@example.com" not in caplog.text


def test_no_connection_left_is_a_database_that_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client gets 503 and retries, as for any other reason."""
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.01)
    with ExitStack() as stack:
        for _ in range(15):
            stack.enter_context(database.engine.connect())

        with pytest.raises(DatabaseUnavailable, match="in use"), database.reading():
            pytest.fail("there is no connection left")


# -- PostgreSQL ---------------------------------------------------------------------------


@pytest.fixture
def served(postgresql: Postgresql) -> Iterator[Database]:
    with postgresql.fresh() as url:
        database = Database(url)
        yield database
        database.close()


def test_a_database_that_comes_back_is_used_again(served: Database, postgresql: Postgresql) -> None:
    """A transaction that loses its connection is refused as a whole; the next one connects anew."""

    def write() -> None:
        with served.transaction() as connection:
            connection.execute(MAKE_LOCK, {"name": "lost"})
            postgresql.drop_connections()
            connection.execute(MAKE_LOCK, {"name": "lost, too"})

    with pytest.raises(DatabaseUnavailable):
        write()
    with served.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(locks)) == 0


def test_one_writes_at_a_time_and_readers_wait_for_nobody(
    served: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on SQLite: who decides by what they read writes before anything else is written."""
    monkeypatch.setattr("scim_bridge.directory.database.POSTGRESQL_BUSY_SECONDS", 0.1)
    another = Database(served.url)
    with served.transaction() as connection:
        connection.execute(MAKE_LOCK, {"name": "one"})
        with pytest.raises(DatabaseUnavailable), another.transaction():
            pass
        with another.reading() as elsewhere:
            assert elsewhere.scalar(select(func.count()).select_from(locks)) == 0
    another.close()


def test_a_read_sees_one_state(served: Database) -> None:
    """What is written meanwhile is seen by the next one."""
    count, another = select(func.count()).select_from(locks), Database(served.url)
    with served.reading() as connection:
        assert connection.scalar(count) == 0
        with another.transaction() as elsewhere:
            elsewhere.execute(MAKE_LOCK, {"name": "meanwhile"})
        assert connection.scalar(count) == 0
    with served.reading() as connection:
        assert connection.scalar(count) == 1
    another.close()


def test_a_ring_is_heard_once_it_is_committed(served: Database) -> None:
    """And not before, nor if what rang was taken back."""
    listener, stopping = Listener(served), threading.Event()
    listener.wait(0.01, stopping)
    with suppress(ZeroDivisionError), served.transaction() as connection:
        ring(connection)
        raise ZeroDivisionError
    begun = time.monotonic()
    listener.wait(0.2, stopping)
    assert time.monotonic() - begun >= 0.2
    with served.transaction() as connection:
        ring(connection)
    begun = time.monotonic()
    listener.wait(60, stopping)
    assert time.monotonic() - begun < 30
    listener.close()


def test_who_begins_to_listen_looks_once_more(served: Database) -> None:
    """What rang after the look and before the listening would be heard by nobody."""
    listener, begun = Listener(served), time.monotonic()
    with served.transaction() as connection:
        ring(connection)
    listener.wait(60, threading.Event())
    assert time.monotonic() - begun < 30
    listener.close()


def test_a_listener_whose_connection_is_lost_listens_anew(
    served: Database, postgresql: Postgresql
) -> None:
    """Who waits learns of it, as of any other loss."""
    listener, stopping = Listener(served), threading.Event()
    listener.wait(0.01, stopping)
    postgresql.drop_connections()
    with pytest.raises(DatabaseUnavailable):
        listener.wait(10, stopping)
    listener.wait(0.01, stopping)
    listener.close()


def test_a_missing_file_of_the_password_is_named(served: Database, tmp_path: Path) -> None:
    """It is read at each connection, so that a new password needs no restart."""
    database = Database(served.url, password_file=tmp_path / "word")
    with pytest.raises(SettingsError, match=r"database\.password_file: .*word"), database.reading():
        pass
    (tmp_path / "word").write_text("anything\n")
    assert database.clock() > 0
    database.close()


def test_a_missing_driver_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: who stays on SQLite needs none."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"pip install 'scim-bridge\[postgresql\]'"):
        Database("postgresql+psycopg://bridge@db.example/bridge")


def test_what_may_be_forgotten_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """Only in its own transaction: the next one of the same connection is synced again."""
    database = Database(f"sqlite:///{tmp_path / 'bridge.db'}")

    def synced(connection: Connection) -> object:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    with database.transaction(durable=False) as connection:
        assert synced(connection) == 1
    with database.transaction() as connection:
        assert synced(connection) == 2
        with database.transaction(durable=False) as inner:
            assert synced(inner) == 2
    with pytest.raises(ZeroDivisionError), database.transaction(durable=False):
        raise ZeroDivisionError
    with database.transaction() as connection:
        assert synced(connection) == 2
    database.close()
