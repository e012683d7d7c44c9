"""Which rules are in force, and how does the file of rules stand to them?

What acts is what was applied (`scim-bridge rules apply`), kept in the database so that all
processes act by the same. The file is only the next proposal.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import insert, select

from scim_bridge.directory.actor import current
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import rulebooks
from scim_bridge.errors import RulesError
from scim_bridge.lifecycle.rule_file import RuleFile, RuleFiles, digest_of
from scim_bridge.lifecycle.rules import Rule

# "none": the settings name no file. "missing", "broken": it cannot be used, and what was applied
# stays in force. "changed": it is not what was applied.
State = Literal["none", "missing", "broken", "changed", "applied"]


@dataclass(frozen=True, kw_only=True)
class Book:
    """The rules that were applied last."""

    id: int
    digest: str
    text: str
    rules: tuple[Rule, ...]
    applied_by: str
    applied_at: float

    @property
    def named(self) -> dict[str, Rule]:
        return {rule.name: rule for rule in self.rules}


@dataclass(frozen=True, kw_only=True)
class FileStanding:
    """How the file of rules stands to what is in force."""

    state: State
    # What is wrong with it.
    problems: tuple[str, ...] = ()


class Rulebook:
    """The rules in force. Methods join the caller's transaction."""

    def __init__(self, database: Database, files: RuleFiles) -> None:
        self.database = database
        self.files = files
        self._read: Book | None = None

    def in_force(self) -> Book | None:
        """The rules that were applied last. None: none ever were.

        Raises `RulesError` when this version cannot read them.
        """
        columns = rulebooks.c
        with self.database.reading() as connection:
            last = connection.scalar(select(columns.id).order_by(columns.id.desc()).limit(1))
            if last is None:
                return None
            if self._read is None or self._read.id != last:
                row = connection.execute(select(rulebooks).where(columns.id == last)).one()
                self._read = Book(
                    id=row.id,
                    digest=row.digest,
                    text=row.text,
                    rules=self.files.unprotected().read(row.text, called="applied rules").rules,
                    applied_by=row.applied_by,
                    applied_at=row.applied_at,
                )
        return self._read

    def put_in_force(self, file: RuleFile) -> None:
        """From now on these rules act."""
        self.database.connection.execute(
            insert(rulebooks).values(
                digest=file.digest,
                text=file.text,
                applied_by=current().name,
                applied_at=time.time(),
            )
        )

    def standing(self, path: Path | None) -> FileStanding:
        """How the file stands to what is in force."""
        if path is None:
            return FileStanding(state="none")
        try:
            file = read(self.files, path)
        except RulesError as error:
            state: State = "broken" if path.is_file() else "missing"
            return FileStanding(state=state, problems=error.problems)
        book = self.in_force()
        is_applied = book is not None and book.digest == file.digest
        return FileStanding(state="applied" if is_applied else "changed")


def read(files: RuleFiles, path: Path) -> RuleFile:
    """The rules of a file. Raises `RulesError` with everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RulesError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise RulesError([f"{path}: is not UTF-8 text"]) from error
    return files.read(text, called=path.name)


class FileWatch:
    """Notices when the file of rules is changed: its standing is asked for again only then."""

    def __init__(self, rulebook: Rulebook, path: Path | None) -> None:
        self._rulebook = rulebook
        self._path = path
        self._seen: object = None
        self._standing = FileStanding(state="none")

    def standing(self) -> FileStanding:
        """How the file stands now."""
        seen = (self._stamp(), self._in_force())
        if seen != self._seen:
            self._standing = self._rulebook.standing(self._path)
            self._seen = seen
        return self._standing

    def _in_force(self) -> int | None:
        book = self._rulebook.in_force()
        return book.id if book else None

    def _stamp(self) -> object:
        """By what a change of the file is noticed. Its text too: an mtime is coarse."""
        if self._path is None:
            return None
        try:
            return self._path.stat().st_mtime_ns, digest_of(self._path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            return str(error)
