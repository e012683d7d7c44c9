"""What does a client see of rows? SCIM resources, memberships filled in.

Memberships are read in one query for all the rows, and not at all when the response leaves them
out.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scim2_models import Path, Resource, ResponseParameters
from sqlalchemy import Row

from scim_bridge.directory import memberships
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import Document
from scim_bridge.directory.kinds import GROUP, Kind


def etag(row: Row[Any]) -> str:
    """The version of a row as SCIM shows it (RFC 7644 §3.14)."""
    return f'W/"{row.version}"'


def resources(
    database: Database,
    kind: Kind,
    model: type[Resource[Any]],
    rows: Sequence[Row[Any]],
    parameters: ResponseParameters[Any] | None,
) -> list[Resource[Any]]:
    """The resources of rows of one kind, in the order of the rows."""
    entries: Mapping[str, list[Document]] = {}
    if rows and _is_kept(model, kind.filled, parameters):
        entries = _entries(database, kind, [row.id for row in rows])
    return [
        model.model_validate(
            {
                **row.document,
                "id": row.id,
                "meta": _meta(kind, row),
                kind.filled: entries.get(row.id),
            }
        )
        for row in rows
    ]


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


def _entries(database: Database, kind: Kind, ids: Sequence[str]) -> Mapping[str, list[Document]]:
    """The `members` of groups, or the `groups` of users, by id."""
    if kind is GROUP:
        return {
            group_id: [_member(member_id) for member_id in member_ids]
            for group_id, member_ids in memberships.members(database, ids).items()
        }
    return {
        user_id: [_group(held) for held in of_user]
        for user_id, of_user in memberships.groups_of(database, ids).items()
    }


# References are relative: the server knows the URLs.


def _member(user_id: str) -> Document:
    return {"value": user_id, "$ref": f"Users/{user_id}", "type": "User"}


def _group(held: memberships.Membership) -> Document:
    return {
        "value": held.group_id,
        "$ref": f"Groups/{held.group_id}",
        "display": held.display,
        "type": "direct",
    }
