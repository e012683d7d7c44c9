"""What does a client see of rows, as JSON that is ready to be sent?

A document is stored as SCIM shows it, so that most rows need no model: their text is the stored one
with ``id``, ``meta`` and the memberships put in. What is more than that (grants, references that
the server makes absolute) is asked of the SCIM library, for that row alone and without its
memberships. `scim_bridge.directory.representation` makes the same as models.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, Protocol

from scim2_models import Group, Resource, ResponseParameters, User
from sqlalchemy import (
    ColumnElement,
    Text,
    exists,
    select,
)
from sqlalchemy import cast as sql_cast

from scim_bridge.directory import lists, memberships, nesting, representation, versions
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import Document
from scim_bridge.directory.entitlements import extension_of
from scim_bridge.directory.expressions import joined
from scim_bridge.directory.kinds import GROUP, USER, Kind
from scim_bridge.directory.prepared import Prepared
from scim_bridge.directory.representation import Provisioning
from scim_bridge.directory.tables import assignments, nestings
from scim_bridge.directory.tables import groups as groups_table
from scim_bridge.directory.tables import memberships as rows_of_members

# What a response may leave out and still be made here.
_FILLED = frozenset({USER.filled, GROUP.filled})
_BEGINNING = '{"schemas": ['
# What comes first in a text.
_FIRST = ("schemas", "id", "meta", GROUP.filled, USER.filled)
# A response without memberships.
BARE: Mapping[Kind, ResponseParameters[Any]] = {
    USER: ResponseParameters[User[Any]](excluded_attributes=[USER.filled]),
    GROUP: ResponseParameters[Group](excluded_attributes=[GROUP.filled]),
}


class Publisher(Protocol):
    """Who knows the server's addresses: `scim_bridge.scim.service.Addresses`."""

    def address(self, reference: str) -> str:
        """The URL of a reference, such as ``Users/2819c223``."""
        ...

    def shown(self, resource: Resource[Any]) -> Document:
        """What the SCIM library shows of a resource."""
        ...


class Stored(NamedTuple):
    """A row with what is told of it beside its document, which is text."""

    id: str
    document: str
    created: float
    last_modified: float
    version: int
    # Whether it is granted anything, and whether any group is in another one.
    granted: bool
    nested: bool


@cache
def columns(kind: Kind) -> tuple[ColumnElement[Any], ...]:
    """The columns of a `Stored` row."""
    table = kind.table.c
    granted = exists().where(
        assignments.c.kind == kind.name,
        assignments.c.resource_id == table.id,
        assignments.c.valid_to.is_(None),
    )
    return (
        table.id,
        sql_cast(table.document, Text).label("document"),
        table.created,
        table.last_modified,
        versions.shown(kind.table).label("version"),
        granted.label("granted"),
        exists(select(nestings.c.id).where(nesting.CURRENT)).label("nested"),
    )


def suffice(parameters: ResponseParameters[Any]) -> bool:
    """Whether texts can be given for a response: nothing but memberships is left out."""
    return not parameters.attributes and _left_out(parameters) <= _FILLED


def _left_out(parameters: ResponseParameters[Any]) -> set[str]:
    return {str(path).lower() for path in parameters.excluded_attributes or ()}


def texts(
    database: Database,
    kind: Kind,
    model: type[Resource[Any]],
    rows: Sequence[Stored],
    parameters: ResponseParameters[Any],
    publisher: Publisher,
    provisioning: Provisioning,
) -> list[str]:
    """The texts of rows of one kind, in their order."""
    entries: Mapping[str, str] = {}
    if rows and kind.filled not in _left_out(parameters):
        entries = _entries(database, kind, rows, publisher)
    address = _address(publisher, kind)
    found = []
    for row in rows:
        if _is_plain(row, kind):
            head = _stored(kind, row, address)
        else:
            (resource,) = representation.resources(
                database, kind, model, [_parsed(row)], BARE[kind], provisioning
            )
            head = _as_shown(publisher.shown(resource))
        listed = entries.get(row.id)
        found.append(head.text(f', "{kind.filled}": [{listed}]' if listed else ""))
    return found


def in_order(shown: Document) -> Document:
    """What the SCIM library shows, in the order that texts have."""
    first = {name: shown[name] for name in _FIRST if name in shown}
    return {**first, **shown}


class _Head(NamedTuple):
    """A text without the memberships, in the parts between which they belong."""

    schemas: str
    id: str
    meta: str
    # Everything else, with a comma before it.
    rest: str

    def text(self, filled: str) -> str:
        first = f'"schemas": {self.schemas}, "id": {self.id}, "meta": {self.meta}'
        return f"{{{first}{filled}{self.rest}}}"


def _is_plain(row: Stored, kind: Kind) -> bool:
    """Whether a stored document is shown as it is."""
    document = row.document
    if row.granted or '"$ref"' in document or not document.startswith(_BEGINNING):
        return False
    extension = extension_of(kind.name)
    # Its schema may be listed though nothing is left in it.
    return extension not in document or f'"{extension}": {{' in document


def _stored(kind: Kind, row: Stored, address: str) -> _Head:
    document = row.document
    end = document.index("]") + 1
    # Nothing in an id, which is the directory's own, or in a version has to be escaped but quotes.
    meta = (
        f'{{"resourceType": "{kind.type_name}", "created": "{_time(row.created)}", '
        f'"lastModified": "{_time(row.last_modified)}", "location": "{address}{row.id}", '
        f'"version": "W/\\"{row.version}\\""}}'
    )
    schemas = document[len(_BEGINNING) - 1 : end]
    return _Head(schemas=schemas, id=f'"{row.id}"', meta=meta, rest=document[end:-1])


def _as_shown(shown: Document) -> _Head:
    rest = {name: value for name, value in shown.items() if name not in _FIRST}
    return _Head(
        schemas=json.dumps(shown["schemas"]),
        id=json.dumps(shown["id"]),
        meta=json.dumps(shown["meta"]),
        rest=f", {json.dumps(rest)[1:-1]}" if rest else "",
    )


def _parsed(row: Stored) -> Any:
    """The same row as `representation` wants it."""
    return row._replace(document=json.loads(row.document))


# Much of a page was made or changed at one time.
@lru_cache(maxsize=1024)
def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _address(publisher: Publisher, kind: Kind) -> str:
    """The URL of a resource up to its id, as JSON has it between quotes."""
    return _escaped(_base(publisher, kind))


def _base(publisher: Publisher, kind: Kind) -> str:
    return publisher.address(f"{kind.type_name}s/-").removesuffix("-")


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


# -- Memberships ------------------------------------------------------------------


def _entries(
    database: Database, kind: Kind, rows: Sequence[Stored], publisher: Publisher
) -> Mapping[str, str]:
    """The `members` of groups or the `groups` of users, by id, without the brackets around."""
    if kind is GROUP and not rows[0].nested:
        return _members(database, [row.id for row in rows], _address(publisher, USER))
    if kind is USER and not rows[0].nested:
        return _direct(database, [row.id for row in rows], _address(publisher, GROUP))
    listed = representation.entries(database, kind, [row.id for row in rows], nested=rows[0].nested)
    bases = {f"{each.type_name}s": _base(publisher, each) for each in (USER, GROUP)}
    return {
        id_: ", ".join(_entry(entry, bases) for entry in entries) for id_, entries in listed.items()
    }


def _direct(database: Database, user_ids: Sequence[str], base: str) -> Mapping[str, str]:
    """The groups of users where no group is in another: what `_entry` makes, in a tenth."""
    found: dict[str, list[str]] = {}
    for user_id, group_id, display in memberships.groups_held(database, user_ids):
        found.setdefault(user_id, []).append(
            f'{{"value": "{group_id}", "$ref": "{base}{group_id}", '
            f'"display": {encode_basestring_ascii(display)}, "type": "direct"}}'
        )
    return {user_id: ", ".join(entries) for user_id, entries in found.items()}


def _entry(entry: Document, bases: Mapping[str, str]) -> str:
    endpoint, _, resource_id = entry["$ref"].partition("/")
    return json.dumps({**entry, "$ref": f"{bases[endpoint]}{resource_id}"})


def _members(database: Database, group_ids: Sequence[str], address: str) -> Mapping[str, str]:
    """The people in groups where no group is in another.

    Their ids come as one text for each group: ten thousand rows would take longer.
    """
    with database.reading() as connection:
        rows = _MEMBERS.rows(connection, ids=lists.as_value(group_ids))
    return {group_id: _people(listed, address) for group_id, listed in rows if listed}


def _people(listed: str, address: str) -> str:
    ids: Collection[str] = listed.split(",")
    if len(set(ids)) < len(ids):
        # Somebody was put there by several.
        ids = dict.fromkeys(ids)
    # The ids are the directory's own: nothing in them has to be escaped. Each stands twice in an
    # entry, and joining is the fastest way to write a hundred thousand entries.
    twice = map(f'", "$ref": "{address}'.join, zip(ids, ids, strict=True))
    begin, end = '{"value": "', '", "type": "User"}'
    return begin + f"{end}, {begin}".join(twice) + end


def _members_statement() -> Prepared:
    """The ids of the people in groups, in the order in which they came."""
    row, group = rows_of_members.c, groups_table.c
    ordered = (
        select(row.member_id)
        .where(row.group_id == group.id, memberships.CURRENT)
        .order_by(row.id)
        .correlate(groups_table)
        .subquery()
    )
    # A database joins the rows of an ordered subquery in its order.
    listed = select(joined(ordered.c.member_id)).scalar_subquery()
    return Prepared(select(group.id, listed.label("listed")).where(lists.among(group.id)))


_MEMBERS = _members_statement()
