"""What every test may use: a migrated database of its own, and an environment without secrets."""

import os
import shutil
from collections.abc import Iterator
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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh database, migrated, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('database_file')}"
        return
    with request.getfixturevalue("postgresql").fresh() as url:
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
        connection.row_factory = self._count

    def _count(self, _cursor: Any, row: Any) -> Any:
        self.count += 1
        return row


@pytest.fixture
def rows_read(database: Database) -> RowsRead:
    """How many rows Python was given: set `count` to 0, act, and look at it."""
    return RowsRead(database)
