"""Which reads are asked so often that they are compiled once? Those, and how they are run.

What SQLAlchemy does with a statement before and after it is run takes several times as long as a
look at an index does. So these are handed to the driver as text, and their rows are its tuples.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

Rows = list[tuple[Any, ...]]


class Prepared:
    """A read whose parameters are texts and numbers.

    A column comes as the driver has it: on SQLite a truth value is 0 or 1.
    """

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        # By the name of the dialect: the text, what it takes when nothing else is given, and the
        # names of its places, where parameters have places and no names.
        self._texts: dict[str, tuple[str, Mapping[str, Any], tuple[str, ...] | None]] = {}

    def rows(self, connection: Connection, **values: Any) -> Rows:
        """The rows for these values of its parameters."""
        dialect = connection.dialect
        text, fixed, places = self._texts.get(dialect.name) or self._compile(dialect)
        given = {**fixed, **values}
        return run(connection, text, given if places is None else tuple(map(given.get, places)))

    def row(self, connection: Connection, **values: Any) -> tuple[Any, ...] | None:
        """The first row, if there is any."""
        return next(iter(self.rows(connection, **values)), None)

    def value(self, connection: Connection, **values: Any) -> Any:
        """The one value of the one row."""
        ((value,),) = self.rows(connection, **values)
        return value

    def _compile(self, dialect: Dialect) -> tuple[str, Mapping[str, Any], tuple[str, ...] | None]:
        compiled: Any = self._statement.compile(dialect=dialect)
        places = tuple(compiled.positiontup) if compiled.positional else None
        made = str(compiled), compiled.construct_params(_check=False), places
        self._texts[dialect.name] = made
        return made


def run(connection: Connection, text: str, values: Any = ()) -> Rows:
    """Run a statement as the driver has it. What it raises is what SQLAlchemy raises."""
    if connection.engine.dispatch.before_cursor_execute:
        # Whoever listens to SQLAlchemy hears of these, too.
        result = connection.exec_driver_sql(text, values)
        return [tuple(row) for row in result] if result.returns_rows else []
    driver: Any = connection.connection.dbapi_connection
    try:
        cursor = driver.execute(text, values)
        return cursor.fetchall() if cursor.description else []
    except connection.dialect.loaded_dbapi.Error as error:
        gone = connection.dialect.is_disconnect(error, driver, None)
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            text,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=gone,
            dialect=connection.dialect,
        ) from error
