"""Is a value taken? userName, the primary e-mail and a group's displayName are unique among live
resources (RFC 7643 §7, ``uniqueness``; AWS refuses a second one too).

A refusal names the attribute, and nothing of whom the value belongs to.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from scim2_models import UniquenessException
from sqlalchemy import Select, bindparam, exists, select
from sqlalchemy.exc import IntegrityError

from scim_bridge.directory.database import INSERTS, Database
from scim_bridge.directory.kinds import GROUP, USER, Kind


def refuse_taken(
    database: Database, kind: Kind, resource_id: str, columns: Mapping[str, Any]
) -> None:
    """Refuse the columns of a resource when another live one has a unique value of them.

    Raises `UniquenessException`.
    """
    values = {column: columns[column] for column in kind.unique}
    with database.reading() as connection:
        taken = connection.execute(_TAKEN[kind], {"id": resource_id, **values}).one()
    for column, attribute in kind.unique.items():
        if taken._mapping[column]:
            raise _taken(attribute)


def _taken_by_others(kind: Kind) -> Select[Any]:
    """Which unique values another live resource has: one look for all of them."""
    table = kind.table.c
    others = {
        column: exists(
            select(table.id).where(
                table[column] == bindparam(column),
                table.deleted_at.is_(None),
                table.id != bindparam("id"),
            )
        )
        for column in kind.unique
    }
    columns: list[Any] = [taken.label(column) for column, taken in others.items()]
    return select(*columns)


_TAKEN = {kind: _taken_by_others(kind) for kind in (USER, GROUP)}


def insert(database: Database, kind: Kind, row: Mapping[str, Any]) -> None:
    """Insert a row. Whether another live one has a unique value of it, its indexes tell.

    Raises `UniquenessException`.
    """
    statement = _INSERT[database.engine.dialect.name][kind]
    if database.connection.execute(statement, row).rowcount == 0:
        refuse_taken(database, kind, row["id"], row)
        raise RuntimeError(f"there is a {kind.name} of the id {row['id']} already")


# Made once, since every creation says it.
_INSERT: Mapping[str, Mapping[Kind, Any]] = {
    dialect: {
        kind: make(kind.table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        for kind in (USER, GROUP)
    }
    for dialect, make in INSERTS.items()
}


@contextmanager
def translated(kind: Kind) -> Iterator[None]:
    """Translate the database's own refusal of a taken value, should two writes have met.

    Raises `UniquenessException`.
    """
    try:
        yield
    except IntegrityError as error:
        said = str(error.orig)
        # SQLite names the column, PostgreSQL the index.
        names = {f"{kind.table.name}.{column}": each for column, each in kind.unique.items()}
        for name, attribute in (names | dict(kind.unique_indexes)).items():
            if name in said:
                raise _taken(attribute) from error
        raise


def _taken(attribute: str) -> UniquenessException:
    return UniquenessException(
        attribute=attribute, detail=f"the value of {attribute} is already taken"
    )
