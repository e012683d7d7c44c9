"""How is a list of ids given to a statement? As one value, which the database takes apart.

The text of the statement is the same whatever the number of ids: it is compiled once, and there is
no limit to how many they are.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from sqlalchemy import JSON, FromClause, Text, bindparam, cast, func

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
