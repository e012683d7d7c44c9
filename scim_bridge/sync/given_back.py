"""Which memberships did an operator give back, when their loss was rejected?

Such a membership has its former origin again, so that the client may end it as before. Only the
trail tells that it was an operator who began it anew.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, exists, select

from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.memberships import chunks
from scim_bridge.directory.tables import audit, memberships, nestings

_OPERATOR = "operator:"
# An entry and the row it is about are of one transaction; two clocks may tell its time, in seconds.
_APART = 5.0


def given_back(database: Database, *, person: str | None = None) -> Mapping[float, str]:
    """Who gave back what began at a moment, of memberships and of groups in groups.

    A moment is the `valid_from` of rows: those that began at one and the same are of one act.
    """
    of_person = [] if person is None else [memberships.c.member_id == person]
    begun: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in (
        *_begun_again(database, memberships, memberships.c.member_id, *of_person),
        *_begun_again(database, nestings, nestings.c.inner_id),
    ):
        begun[row.member, row.group_id].append(row.valid_from)
    found: dict[float, str] = {}
    for entry in _entries(database, {member for member, _ in begun}):
        for moment in begun.get((entry.resource_id, entry.related_id), ()):
            if abs(moment - entry.at) < _APART:
                found[moment] = entry.actor
    return found


def _begun_again(
    database: Database, table: Table, member: Column[str], *which: ColumnElement[bool]
) -> Iterable[Row[Any]]:
    """The rows of what had ended before, but for what operators gave in their own name."""
    earlier = table.alias()
    query = select(member.label("member"), table.c.group_id, table.c.valid_from).where(
        *which,
        ~table.c.origin.startswith(_OPERATOR, autoescape=True),
        exists().where(
            earlier.c[member.name] == member,
            earlier.c.group_id == table.c.group_id,
            earlier.c.valid_to <= table.c.valid_from,
        ),
    )
    return database.connection.execute(query).all()


def _entries(database: Database, members: Iterable[str]) -> Iterator[Row[*tuple[Any, ...]]]:
    """Where operators put these people, and groups, into groups."""
    for chunk in chunks(members):
        yield from database.connection.execute(
            select(audit.c.resource_id, audit.c.related_id, audit.c.actor, audit.c.at).where(
                audit.c.resource_id.in_(chunk),
                audit.c.action == Action.MEMBER_ADDED,
                audit.c.actor.startswith(_OPERATOR, autoescape=True),
            )
        )
