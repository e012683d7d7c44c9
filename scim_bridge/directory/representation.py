"""What does a client see of rows? SCIM resources, memberships and grants filled in.

Memberships and grants are read in one query for all the rows, and not at all when the response
leaves them out.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from scim2_models import Path, Resource, ResponseParameters
from sqlalchemy import ColumnElement, Row

from scim_bridge.directory import assignments, memberships, nesting, versions
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import Document
from scim_bridge.directory.entitlements import PROVISIONING, NamedGrant, as_json, extension_of
from scim_bridge.directory.kinds import GROUP, Kind
from scim_bridge.directory.write import Kind as KindName


class Standing(Protocol):
    """How a resource stands at the target: `scim_bridge.sync.provisioning.Provisioning`."""

    @property
    def state(self) -> str: ...

    @property
    def detail(self) -> str | None: ...

    @property
    def id(self) -> str | None: ...

    @property
    def since(self) -> float | None: ...


Provisioning = Callable[[KindName, str], Standing | None]


def unprovisioned(_kind: KindName, _id: str) -> None:
    """Nothing is known of any target."""


class Versioned(Protocol):
    """A row, or what was read of it."""

    @property
    def version(self) -> int: ...


def etag(row: Versioned | Row[Any]) -> str:
    """The version of a row as SCIM shows it (RFC 7644 §3.14)."""
    return etag_of(row.version)


def etag_of(version: int) -> str:
    return f'W/"{version}"'


def columns(kind: Kind) -> tuple[ColumnElement[Any], ...]:
    """The columns of a row that a resource is made of."""
    table = kind.table.c
    version = versions.shown(kind.table).label("version")
    return table.id, table.document, table.created, table.last_modified, version


def resources(
    database: Database,
    kind: Kind,
    model: type[Resource[Any]],
    rows: Sequence[Row[Any]],
    parameters: ResponseParameters[Any] | None,
    provisioning: Provisioning = unprovisioned,
) -> list[Resource[Any]]:
    """The resources of rows of one kind, in the order of the rows."""
    listed: Mapping[str, list[Document]] = {}
    if rows and _is_kept(model, kind.filled, parameters):
        listed = entries(database, kind, [row.id for row in rows])
    extensions = _extensions(database, kind, model, rows, parameters, provisioning)
    return [
        model.model_validate(
            {
                **row.document,
                **extensions.get(row.id, {}),
                "id": row.id,
                "meta": _meta(kind, row),
                kind.filled: listed.get(row.id),
            }
        )
        for row in rows
    ]


def _extensions(
    database: Database,
    kind: Kind,
    model: type[Resource[Any]],
    rows: Sequence[Row[Any]],
    parameters: ResponseParameters[Any] | None,
    provisioning: Provisioning,
) -> Mapping[str, Document]:
    """The extension that says what a resource is granted, by id, where it says anything."""
    schema = extension_of(kind.name)
    if not rows or model.get_extension_model(schema) is None:
        return {}
    granted: Mapping[str, list[NamedGrant]] = {}
    if _is_extension_kept(schema, parameters):
        granted = assignments.current(database, kind.name, [row.id for row in rows])
    asked = _is_asked_for(f"{schema}:{PROVISIONING}", parameters)
    found: dict[str, Document] = {}
    for row in rows:
        shown = {**row.document.get(schema, {}), **as_json(granted.get(row.id, ()))}
        if asked and (standing := provisioning(kind.name, row.id)):
            shown[PROVISIONING] = _provisioning(standing)
        if shown:
            found[row.id] = {schema: shown}
    return found


def _is_extension_kept(schema: str, parameters: ResponseParameters[Any] | None) -> bool:
    """Whether a response may show the extension; what it does not is cut later."""
    asked = _asked_for(parameters)
    return not asked or any(path.startswith(schema.lower()) for path in asked)


def _is_asked_for(path: str, parameters: ResponseParameters[Any] | None) -> bool:
    """Whether a response is to show what is returned on request only, or a part of it."""
    path = path.lower()
    return any(one == path or one.startswith(f"{path}.") for one in _asked_for(parameters))


def _asked_for(parameters: ResponseParameters[Any] | None) -> list[str]:
    """The attributes a client asks for, in one case: their names have none."""
    attributes = (parameters.attributes if parameters else None) or []
    return [str(path).lower() for path in attributes]


def _provisioning(standing: Standing) -> Document:
    since = standing.since
    return {
        "state": standing.state,
        "detail": standing.detail,
        "identityCenterId": standing.id,
        "since": None if since is None else datetime.fromtimestamp(since, UTC),
    }


def _meta(kind: Kind, row: Row[Any]) -> Document:
    return {
        "resourceType": kind.type_name,
        "created": datetime.fromtimestamp(row.created, UTC),
        "lastModified": datetime.fromtimestamp(row.last_modified, UTC),
        "version": etag(row),
    }


def _is_kept(
    model: type[Resource[Any]], name: str, parameters: ResponseParameters[Any] | None
) -> bool:
    """Whether a response keeps an attribute, or a part of it (RFC 7644 §3.9)."""
    if parameters is None:
        return True
    kept = Path[model].iter_paths(  # type: ignore[valid-type]
        include_subattributes=False,
        include_extensions=False,
        attributes=parameters.attributes or [],
        excluded_attributes=parameters.excluded_attributes or [],
    )
    return any(str(path) == name for path in kept)


def entries(
    database: Database, kind: Kind, ids: Sequence[str], *, nested: bool = True
) -> Mapping[str, list[Document]]:
    """The `members` of groups, or the `groups` of users, by id.

    Unless `nested`, it is known that no group is in another one.
    """
    if kind is GROUP:
        people = memberships.members(database, ids)
        inner = nesting.inner_groups(database, ids) if nested else {}
        return {
            group_id: [
                *(_member(member_id) for member_id in people.get(group_id, ())),
                *(_inner(inner_id) for inner_id in inner.get(group_id, ())),
            ]
            for group_id in people.keys() | inner.keys()
        }
    direct = memberships.groups_of(database, ids)
    inherited = nesting.inherited_groups(database, ids) if nested else {}
    return {
        user_id: _groups(direct.get(user_id, ()), inherited.get(user_id, ()))
        for user_id in direct.keys() | inherited.keys()
    }


# References are relative: the server knows the URLs.


def _member(user_id: str) -> Document:
    return {"value": user_id, "$ref": f"Users/{user_id}", "type": "User"}


def _inner(group_id: str) -> Document:
    return {"value": group_id, "$ref": f"Groups/{group_id}", "type": "Group"}


def _groups(
    direct: Sequence[memberships.Membership], inherited: Sequence[memberships.Membership]
) -> list[Document]:
    """The groups of a user, each once: those they are in themselves, then the others."""
    own = {held.group_id for held in direct}
    return [
        _group(held)
        for held in (*direct, *inherited)
        if not held.indirect or held.group_id not in own
    ]


def _group(held: memberships.Membership) -> Document:
    return {
        "value": held.group_id,
        "$ref": f"Groups/{held.group_id}",
        "display": held.display,
        # RFC 7643, section 4.1.2: "direct", or "indirect" through a nested group.
        "type": "indirect" if held.indirect else "direct",
    }
