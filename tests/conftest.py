"""What every test may use: a migrated database of its own, and an environment without secrets."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import event
from xdist.scheduler import LoadScopeScheduling

from scim_bridge.directory.database import Database
from scim_bridge.directory.migration import upgrade
from tests.postgresql import Postgresql, started

# Two cores shared by many tests make a single example slow at times; that is no failure.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


# The tests of these folders start processes, which the tests of a module share. They mostly wait.
SERVED = ("tests/acceptance/", "tests/conformance/")


# What decides by the database runs on SQLite and on PostgreSQL. With this variable, which names one
# of the two, everything runs on that one.
KIND = os.environ.get("SCIM_BRIDGE_TEST_DATABASE")
ON_BOTH = (
    "tests/directory/",
    "tests/cli/test_workflows.py",
    "tests/sync/test_marks.py",
    "tests/sync/test_worker.py",
    "tests/sync/test_schedule.py",
    "tests/scim/test_conditions.py",
)


class ServedByModule(LoadScopeScheduling):
    """Gives a module that shares processes to one worker, and any other test to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(SERVED) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ServedByModule:
    return ServedByModule(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits long begins first, in the random order that it has."""
    items.sort(key=lambda item: not item.nodeid.startswith(SERVED))


@pytest.fixture(autouse=True)
def _scrubbed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the credentials and settings of whoever runs the tests out of them."""
    for name in os.environ:
        if name.startswith(("AWS_", "SCIM_BRIDGE_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file at the newest schema, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "directory.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    database.close()
    return file


@pytest.fixture
def database_file(migrated_file: Path, tmp_path: Path) -> Path:
    """A fresh SQLite file, migrated."""
    return Path(shutil.copy(migrated_file, tmp_path / "directory.db"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server for as long as the tests run."""
    with started() as server:
        yield server


Fresh = Callable[[], AbstractContextManager[str]]


@contextmanager
def _fresh_file(migrated_file: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{shutil.copy(migrated_file, folder)}"


@pytest.fixture
def database_kind() -> str:
    """Which database a test runs on: SQLite, unless the module is among `ON_BOTH`."""
    return KIND or "sqlite"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.definition.nodeid.partition("::")[0]
    if "database_kind" in metafunc.fixturenames and module.startswith(ON_BOTH) and not KIND:
        metafunc.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture
def fresh(database_kind: str, request: pytest.FixtureRequest) -> Fresh:
    """Gives the URL of a fresh database, migrated: as often as one likes."""
    if database_kind == "sqlite":
        return partial(_fresh_file, request.getfixturevalue("migrated_file"))
    return request.getfixturevalue("postgresql").fresh


@pytest.fixture
def database_url(fresh: Fresh) -> Iterator[str]:
    """The URL of a fresh database, migrated."""
    with fresh() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database, migrated."""
    database = Database(database_url)
    yield database
    database.close()


class RowsRead:
    """Counts the rows that a database hands to Python."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.engine, "checkout", self._watch)

    def _watch(self, connection: Any, *_: Any) -> None:
        is_sqlite = isinstance(connection, sqlite3.Connection)
        connection.row_factory = self._count if is_sqlite else self._counting

    def _count(self, _cursor: Any, row: Any) -> Any:
        self.count += 1
        return row

    def _counting(self, cursor: Any) -> Any:
        return lambda row: self._count(cursor, tuple(row))


@pytest.fixture
def rows_read(database: Database) -> RowsRead:
    """How many rows Python was given: set `count` to 0, act, and look at it."""
    return RowsRead(database)
