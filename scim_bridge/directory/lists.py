"""How is a list of ids given to a statement? As one value, which the database takes apart.

The text of the statement is the same whatever the number of ids: it is compiled once, and there is
no limit to how many they are.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import JSON, BindParameter, FromClause, Text, bindparam, cast, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement

from scim_bridge.directory.database import Database

_T = TypeVar("_T")

# From how many ids on their own order does not matter.
MANY = 1_000


def _on_sqlite() -> FromClause:
    return func.json_each(bindparam("ids", type_=Text)).table_valued("value", "key")


def _on_postgresql() -> FromClause:
    given = cast(bindparam("ids", type_=Text), JSON)
    return (
        func.json_array_elements_text(given)
        .table_valued("value", with_ordinality="key")
        .render_derived()
    )


_LISTS: Mapping[str, FromClause] = {"sqlite": _on_sqlite(), "postgresql": _on_postgresql()}


def for_each_dialect(make: Callable[[FromClause], _T]) -> Mapping[str, _T]:
    """A statement about the parameter ``ids`` for each database, by the name of its dialect.

    `make` is given the ids as rows: each is a ``value``, in the order of its ``key``.
    """
    return {dialect: make(ids) for dialect, ids in _LISTS.items()}


def on(database: Database, statements: Mapping[str, _T]) -> _T:
    """The statement for a database."""
    return statements[database.engine.dialect.name]


def as_value(ids: Iterable[str]) -> str:
    """Ids as the parameter ``ids`` has them: in their order, but many in the order of the ids.

    That is the order of an index, which is then written page by page and not all over.
    """
    listed = list(ids)
    return json.dumps(listed if len(listed) < MANY else sorted(listed))


class among(ColumnElement[bool]):
    """Whether a column's value is one of the parameter ``ids``, asked of an index."""

    # It has no type: SQLAlchemy would compare a truth value with 1, which hides it from indexes.
    inherit_cache = False

    def __init__(self, column: ColumnElement[str]) -> None:
        self.column = column
        self.ids: BindParameter[str] = bindparam("ids", type_=Text)


@compiles(among, "sqlite")
def _sqlite_among(element: among, compiler: Any, **options: Any) -> str:
    column, ids = _parts(element, compiler, **options)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608


@compiles(among, "postgresql")
def _postgresql_among(element: among, compiler: Any, **options: Any) -> str:
    column, ids = _parts(element, compiler, **options)
    values = f'SELECT json_array_elements_text({ids}::json) COLLATE "C"'
    # An array, which an index is asked for: rows would be joined.
    return f"{column} = ANY (ARRAY({values}))"


def _parts(element: among, compiler: Any, **options: Any) -> tuple[str, str]:
    return compiler.process(element.column, **options), compiler.process(element.ids, **options)
