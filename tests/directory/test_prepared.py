"""Reads that the driver runs itself: the same answers, and the same failures, as SQLAlchemy's."""

import pytest
from sqlalchemy import bindparam, event, func, select

from scim_bridge.directory import lists, tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.prepared import Prepared, run
from scim_bridge.directory.resources import Resources
from scim_bridge.errors import DatabaseUnavailable
from tests.directory.population import add_user

NAMES = Prepared(
    select(tables.users.c.user_name)
    .where(lists.among(tables.users.c.user_name), tables.users.c.version >= bindparam("least"))
    .order_by(tables.users.c.user_name)
)


def test_a_list_of_any_length_is_one_parameter(database: Database) -> None:
    """Whatever stands in the texts, and none of them is a pattern or a part of the statement."""
    directory = Resources(database)
    names = ["ada", "b'ob", 'e"ve', "\u00d6da", "100%", "a\\b", "joe,kim"]
    for name in names:
        add_user(directory, name)
    with database.reading() as connection:
        for asked in ([], names[1:3], names, [*names, *map(str, range(5_000))]):
            rows = NAMES.rows(connection, ids=lists.as_value(asked), least=1)
            assert {name for (name,) in rows} == set(asked) & set(names)
        assert NAMES.row(connection, ids=lists.as_value(names), least=2) is None


def test_whoever_listens_to_statements_hears_of_these(database: Database) -> None:
    heard: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        heard.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    with database.reading() as connection:
        NAMES.rows(connection, ids=lists.as_value([]), least=1)
    event.remove(database.engine, "before_cursor_execute", note)
    assert any("user_name" in one for one in heard)


def test_a_connection_that_is_lost_is_told_and_replaced(database: Database) -> None:
    """The next read gets another connection."""
    if database.engine.dialect.name == "sqlite":
        # There is no server that could close it.
        return

    def lose() -> None:
        with database.reading() as connection, database.engine.connect() as other:
            ((pid,),) = run(connection, "SELECT pg_backend_pid()")
            other.execute(select(func.pg_terminate_backend(pid)))
            run(connection, "SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        lose()
    with database.reading() as connection:
        assert NAMES.rows(connection, ids=lists.as_value([]), least=1) == []
