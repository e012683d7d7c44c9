"""Which version does SCIM show of a resource (RFC 7644 §3.14)?

It covers the document, the grants and the memberships. What is stored with a user rises with the
document and the grants; the memberships count themselves, each once when it begins and once when it
ends, since a row of them is never deleted. So who joins a group costs no write of the person's row,
and a group of ten thousand people is made without touching one of them.
"""

from functools import cache

from sqlalchemy import ColumnElement, Select, Table, func, select

from scim_bridge.directory.tables import memberships, users


@cache
def shown(table: Table) -> ColumnElement[int]:
    """The version of a row of users or groups."""
    version: ColumnElement[int] = table.c.version
    if table is not users:
        return version
    rows = memberships.alias("moves")
    moved = select(func.count() + func.count(rows.c.valid_to)).where(rows.c.member_id == table.c.id)
    return version + moved.correlate(table).scalar_subquery()


def rows(table: Table) -> Select[tuple[object, ...]]:
    """Rows of users or groups with every column, and the version that SCIM shows."""
    others = (column for column in table.c if column is not table.c.version)
    return select(*others, shown(table).label("version"))
