"""The journal of passes over everything."""

import pytest
from sqlalchemy import select

from scim_bridge.directory.tables import runs
from scim_bridge.sync.journal import journalled


def _rows(database):
    with database.reading() as connection:
        return connection.execute(select(runs).order_by(runs.c.id)).all()


def test_a_run_is_there_while_it_runs_and_complete_at_its_end(database):
    """A run that was killed has no end; one that ended has its outcome and counts."""
    with journalled(database, "sync") as run:
        [running] = _rows(database)
        run.outcome, run.counts = "unfinished", {"delivered": 2}
    [ended] = _rows(database)

    assert (running.kind, running.ended, running.outcome) == ("sync", None, None)
    assert (ended.outcome, ended.counts) == ("unfinished", {"delivered": 2})
    assert ended.started == running.started <= ended.ended


def test_a_run_that_was_interrupted_says_so(database):
    """Also a Ctrl-C leaves an end, and is raised again."""
    with pytest.raises(KeyboardInterrupt), journalled(database, "sync"):
        raise KeyboardInterrupt

    [row] = _rows(database)
    assert row.outcome == "interrupted"
