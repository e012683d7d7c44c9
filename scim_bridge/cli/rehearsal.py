"""Which calls would a sync make? The sync itself, on a copy of the directory and with stand-ins."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import insert, select

from scim_bridge.app import build
from scim_bridge.directory.database import Database
from scim_bridge.directory.migration import upgrade
from scim_bridge.directory.tables import metadata
from scim_bridge.plan.changes import Change
from scim_bridge.plan.grants import AccessChange
from scim_bridge.settings import Database as DatabaseSettings
from scim_bridge.settings import Settings
from scim_bridge.sync.pause import resume

ROWS_AT_ONCE = 2_000

Call = Change | AccessChange


def rehearse(settings: Settings, database: Database) -> Sequence[Call]:
    """The write calls that a sync would make now, in their order.

    Identity Center is read where the sync would read it, and nothing is changed: neither there nor
    in the directory. What is refused there for good cannot be foreseen. While delivery is paused it
    is what would be sent if it were not.
    """
    calls: list[Call] = []
    with _copied(database) as copy:
        bridge = build(replace(settings, database=DatabaseSettings(url=copy)), rehearsed=calls)
        try:
            resume(bridge.database)
            bridge.worker(upkeep=lambda: None).run_once()
        finally:
            bridge.close()
    return calls


@contextmanager
def _copied(database: Database) -> Iterator[str]:
    """The URL of a copy, which nobody else can read and which is gone afterwards."""
    with TemporaryDirectory(prefix="scim-bridge-plan-") as folder:
        file = Path(folder) / "copy.db"
        file.touch(mode=0o600)
        url = f"sqlite:///{file}"
        if database.path is not None:
            _copy_file(database.path, file)
        else:
            _copy_rows(database, url)
        yield url


def _copy_file(original: Path, file: Path) -> None:
    with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(file)) as copy:
        source.backup(copy)


def _copy_rows(original: Database, url: str) -> None:
    """Everything that is in the tables of a database of another kind."""
    copy = Database(url)
    upgrade(copy)
    with original.reading() as source, copy.transaction() as connection:
        for table in metadata.tables.values():
            rows = source.execute(select(table).execution_options(yield_per=ROWS_AT_ONCE))
            for part in rows.mappings().partitions():
                connection.execute(insert(table), [dict(row) for row in part])
    copy.close()
