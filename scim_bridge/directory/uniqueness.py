"""Is a value taken? userName, the primary e-mail and a group's displayName are unique among live
resources (RFC 7643 §7, ``uniqueness``; AWS refuses a second one too).

A refusal names the attribute, and nothing of whom the value belongs to.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from scim2_models import UniquenessException
from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError

from scim_bridge.directory.database import Database
from scim_bridge.directory.kinds import Kind


def refuse_taken(
    database: Database, kind: Kind, resource_id: str, columns: Mapping[str, Any]
) -> None:
    """Refuse the columns of a resource when another live one has a unique value of them.

    Raises `UniquenessException`.
    """
    with database.reading() as connection:
        for column, attribute in kind.unique.items():
            table, value = kind.table, columns[column]
            others = select(table.c.id).where(
                table.c[column] == value, table.c.deleted_at.is_(None), table.c.id != resource_id
            )
            if value is not None and connection.scalar(select(exists(others))):
                raise _taken(attribute)


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
