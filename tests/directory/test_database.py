"""What the database tells of itself when something is wrong."""

import logging
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from scim_bridge.directory.database import Database
from scim_bridge.errors import DatabaseUnavailable


def test_an_error_does_not_tell_the_values_of_a_statement(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """They are people's names and addresses, and a defect is logged with its error."""
    values = {"name": "ada@example.com"}
    insert = text("INSERT INTO locks (name, leased_until, number) VALUES (:name, 0, 0)")

    with database.transaction() as connection:
        connection.execute(insert, values)
        with pytest.raises(IntegrityError) as caught:
            connection.execute(insert, values)
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
