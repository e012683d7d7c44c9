"""Which calls would a sync make? The sync itself, on a copy of the directory and with stand-ins."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from scim_bridge.app import build
from scim_bridge.directory.database import Database
from scim_bridge.plan.changes import Change
from scim_bridge.plan.grants import AccessChange
from scim_bridge.settings import Database as DatabaseSettings
from scim_bridge.settings import Settings
from scim_bridge.sync.pause import resume

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
        with (
            closing(sqlite3.connect(str(database.path))) as source,
            closing(sqlite3.connect(file)) as copy,
        ):
            source.backup(copy)
        yield f"sqlite:///{file}"
