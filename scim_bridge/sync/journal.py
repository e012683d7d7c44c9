"""Which passes over everything were run, and what came of them?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, update

from scim_bridge.directory.database import Database, now
from scim_bridge.directory.tables import runs


@dataclass(kw_only=True)
class Run:
    """A pass while it runs: what is to be written down of it at its end."""

    outcome: str = "ok"
    counts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def journalled(database: Database, kind: str) -> Iterator[Run]:
    """Write a pass down when it begins, and what came of it when it ends.

    A pass that ends with an exception has the outcome "interrupted"; one that was killed has no
    end.
    """
    run = Run()
    with database.transaction() as connection:
        number = connection.scalar(
            insert(runs).values(kind=kind, started=now(), counts={}).returning(runs.c.id)
        )
    try:
        yield run
    except BaseException:
        _end(database, number, Run(outcome="interrupted", counts=run.counts))
        raise
    _end(database, number, run)


def _end(database: Database, number: Any, run: Run) -> None:
    with database.transaction() as connection:
        connection.execute(
            update(runs)
            .where(runs.c.id == number)
            .values(ended=now(), outcome=run.outcome, counts=dict(run.counts))
        )


def forget_runs(database: Database, kind: str, *, older_than: float) -> None:
    """Clear the journal of passes of a kind that began longer ago than so many seconds."""
    with database.transaction() as connection:
        connection.execute(
            delete(runs).where(runs.c.kind == kind, runs.c.started < now() - older_than)
        )
