"""How is an SQLite directory copied while it is in use, and how does a copy take its place?

A copy is one file, written beside where it is to be and moved there when it is whole, checked and
on the disk: what has a backup's name is a backup.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scim_bridge.directory import migration
from scim_bridge.directory.database import SQLITE_BUSY_SECONDS, Database
from scim_bridge.directory.seals import Verification, verify
from scim_bridge.errors import DatabaseUnavailable, OperatorError

# Pages copied in one go: 8 MiB.
_PAGES = 2048
# What SQLite keeps beside a file that is in use, or was left in the middle of something.
_BESIDE = ("-wal", "-shm", "-journal")

# Told how much is done and how much there is.
Report = Callable[[int, int], None]


def _unwatched(_done: int, _total: int) -> None:
    """Nobody looks."""


# -- Copying ----------------------------------------------------------------


def snapshot(source: Path, target: Path, *, report: Report = _unwatched) -> None:
    """Copy a database into a new file, as it is now, while others read and write it.

    What was committed before is in the copy, and nothing that comes later. Only its owner may read
    the copy. Raises `OperatorError` when it cannot be made.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(_connected(source)) as there, closing(_connected(target)) as here:
            # One state for all pages: else the copy began anew with each write of somebody else.
            there.execute("BEGIN")
            there.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            _copy_pages(there, here, report)
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(
            f"{source} cannot be copied to {target}: {error}; see that the folder is writable and "
            "has room"
        ) from error


def keep(draft: Path, file: Path) -> None:
    """Give a draft that is whole its name, so that it outlives a power cut under it."""
    with _written(file):
        _fold(draft)
        _flush(draft)
        draft.replace(file)
        _flush(file.parent)


@contextmanager
def _written(file: Path) -> Iterator[None]:
    """Name the file that could not be written."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(f"{file} cannot be written: {error}") from error


def discard(draft: Path) -> None:
    """Remove a draft, and what SQLite left beside it."""
    for suffix in ("", *_BESIDE):
        draft.with_name(f"{draft.name}{suffix}").unlink(missing_ok=True)


def draft_of(file: Path) -> Path:
    """Where a file is written until it is whole: beside it, on the same disk."""
    return file.with_name(f".{file.name}.{os.getpid()}.draft")


def _connected(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there; nothing is made."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=SQLITE_BUSY_SECONDS)


def _copy_pages(there: sqlite3.Connection, here: sqlite3.Connection, report: Report) -> None:
    there.backup(
        here, pages=_PAGES, progress=lambda _status, left, total: report(total - left, total)
    )


def _fold(path: Path) -> None:
    """Have all of a database in its one file, which needs nothing beside it to be read."""
    with closing(_connected(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- Checking ---------------------------------------------------------------


def check(database: Database, key: bytes, *, report: Report = _unwatched) -> Verification:
    """See that a copy can be restored: whole, of a schema that is known, under a chain of seals.

    `report` is told of the rows of the audit trail. Raises `OperatorError` for a file that is no
    database or damaged, `MigrationMissing` for one of a newer bridge, `AuditBroken`.
    """
    try:
        with database.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
            rows = 0
            if found == "ok":
                migration.check_known(database)
                rows = connection.exec_driver_sql("SELECT count(*) FROM audit").scalar() or 0
        if found != "ok":
            raise OperatorError(f"{database.path} is damaged: {found}; take another copy")
        return verify(database, key, progress=lambda done: report(done, rows))
    except DatabaseUnavailable as error:
        raise OperatorError(
            f"{database.path} is no SQLite database, or it is damaged; take another copy"
        ) from error


def taken_in(file: Path, draft: Path) -> None:
    """Copy a backup to where it is checked. Raises `OperatorError` when it cannot be read whole."""
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        raise OperatorError(
            f"{file} is in use, or a part of it is in {log}: make the copy with "
            "`scim-bridge backup`"
        )
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        shutil.copyfile(file, draft)
    except OSError as error:
        raise OperatorError(f"{file} cannot be copied to {draft}: {error.strerror}") from error


# -- Putting back -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a database is to be, while nobody else can use it."""

    path: Path
    # None: there is no database that could be read.
    connection: sqlite3.Connection | None

    def set_aside(self, aside: Path) -> bool:
        """Keep what is there under another name. False: nothing is there."""
        if self.connection is None:
            return self._moved(aside)
        draft = draft_of(aside)
        try:
            with _written(aside):
                os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                with closing(_connected(draft)) as here:
                    _copy_pages(self.connection, here, _unwatched)
            keep(draft, aside)
        finally:
            discard(draft)
        return True

    def _moved(self, aside: Path) -> bool:
        """Move what cannot be read, and what SQLite left beside it, also where the file itself is
        lost: SQLite would take a log that stays for that of the copy, and play it back.
        """
        with _written(aside):
            for suffix in _BESIDE:
                beside = self.path.with_name(f"{self.path.name}{suffix}")
                if beside.exists():
                    beside.rename(aside.with_name(f"{aside.name}{suffix}"))
            if not self.path.exists():
                return False
            self.path.rename(aside)
            return True

    def fill(self, draft: Path, *, report: Report = _unwatched) -> None:
        """Put a copy here, wholly or not at all, also if the power fails."""
        if self.connection is None:
            keep(draft, self.path)
            return
        # Into the file that is there: whoever waits for it just now must not be left with a file
        # of another name. SQLite's journal makes it one step.
        with _written(self.path), closing(_connected(draft)) as copy:
            _copy_pages(copy, self.connection, report)
            _flush(self.path)

    def read(self, statement: str) -> list[tuple[Any, ...]] | None:
        """Rows of the database that is there. None: it cannot be read."""
        if self.connection is None:
            return None
        try:
            return self.connection.execute(statement).fetchall()
        except sqlite3.Error:
            return None


@contextmanager
def alone(path: Path) -> Iterator[Place]:
    """Have a database for oneself. Raises `OperatorError` while a bridge or a command uses it.

    Every process of a bridge keeps a connection open, and SQLite gives the file to one alone only
    when no other has it. Whoever comes meanwhile finds it locked.
    """
    if not path.exists():
        yield Place(path=path, connection=None)
        return
    with closing(_connected(path)) as connection:
        try:
            is_readable = _lock(connection)
        except sqlite3.Error as error:
            raise OperatorError(_why_not_alone(path, error)) from error
        yield Place(path=path, connection=connection if is_readable else None)


def _lock(connection: sqlite3.Connection) -> bool:
    """Take the only lock on a database, until the connection is closed. False: it is none."""
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if _kind(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return False
        raise
    return True


def _why_not_alone(path: Path, error: sqlite3.Error) -> str:
    if _kind(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"{path} is in use: stop every bridge, worker and command that works with it, and try "
            "again"
        )
    return f"{path} cannot be opened: {error}"


def _kind(error: sqlite3.Error) -> int:
    # The lowest byte is the kind of error, the others say more of it.
    return error.sqlite_errorcode & 0xFF
