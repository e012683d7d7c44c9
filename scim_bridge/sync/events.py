"""What is another system told of a change? Events in the words of RFC 9967, out of the audit trail.

The trail holds every change with who made it, in an order that never changes once it is sealed. So
it is also the outbox: nothing is written twice, and nothing can be told that did not happen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import (
    ACCOUNT_ASSIGNMENTS,
    APPLICATIONS,
    GROUP_EXTENSION,
    USER_EXTENSION,
)
from scim_bridge.directory.tables import audit, audit_personal, audit_seals

PREFIX = "urn:ietf:params:scim:event:"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ISSUER = "scim-bridge"

# The entries that are about a change of the directory.
TOLD = (
    Action.CREATE,
    Action.UPDATE,
    Action.DEACTIVATE,
    Action.REACTIVATE,
    Action.DELETE,
    Action.UNDO,
    Action.MEMBER_ADDED,
    Action.MEMBER_REMOVED,
    Action.GRANTED,
    Action.REVOKED,
)


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """A place in the sealed trail."""

    seal: int
    position: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change as another system is told of it, and where it stands in the trail."""

    place: Place
    content: Mapping[str, Any]


def last_place(database: Database) -> Place:
    """Where the sealed trail ends now."""
    query = select(audit_seals.c.id, audit_seals.c.rows).order_by(audit_seals.c.id.desc())
    with database.reading() as connection:
        last = connection.execute(query.limit(1)).one_or_none()
    return Place(seal=0, position=0) if last is None else Place(seal=last.id, position=last.rows)


def events_after(database: Database, place: Place, *, limit: int) -> Sequence[Event]:
    """The next changes, in the order of the trail: of one resource, as they were made."""
    query = (
        select(audit, audit_personal.c.content, audit_seals.c.seal)
        .join(audit_seals, audit_seals.c.id == audit.c.seal_id)
        .outerjoin(audit_personal, audit_personal.c.audit_id == audit.c.id)
        .where(_after(place))
        .order_by(audit.c.seal_id, audit.c.position)
        .limit(limit)
    )
    with database.reading() as connection:
        return [_event(row) for row in connection.execute(query)]


def count_after(database: Database, place: Place) -> int:
    """How many changes have yet to be told, as far as they are sealed."""
    query = select(func.count()).select_from(audit).where(_after(place))
    with database.reading() as connection:
        return connection.scalar(query) or 0


def _after(place: Place) -> Any:
    return and_(
        audit.c.seal_id.is_not(None),
        audit.c.seal_id >= place.seal,
        or_(audit.c.seal_id > place.seal, audit.c.position > place.position),
        audit.c.action.in_(TOLD),
    )


def _event(row: Row[Any]) -> Event:
    facts = json.loads(row.facts)
    resource, name, data = _said(row, facts)
    content = {
        "iss": ISSUER,
        "iat": int(row.at),
        # The row and its seal: no other history of this directory has the same.
        "jti": f"{row.id}-{row.seal[:16]}",
        **({"txn": row.request_id} if row.request_id else {}),
        "sub_id": {"format": "scim", "uri": resource},
        "events": {f"{PREFIX}{name}": data},
    }
    return Event(place=Place(seal=row.seal_id, position=row.position), content=content)


def _said(row: Row[Any], facts: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The resource, the name of the event and what it says. No value that is about a person."""
    own = _uri(row.kind, row.resource_id)
    match Action(row.action):
        case Action.CREATE:
            return own, "prov:create:notice", _notice(facts)
        case Action.DEACTIVATE:
            return own, "prov:deactivate", _notice(facts)
        case Action.REACTIVATE:
            return own, "prov:activate", _notice(facts)
        case Action.DELETE:
            return own, "prov:delete", {}
        case Action.MEMBER_ADDED | Action.MEMBER_REMOVED as action:
            op = "add" if action is Action.MEMBER_ADDED else "remove"
            member = {"value": row.resource_id, "type": str(row.kind).capitalize()}
            group = _uri("group", row.related_id)
            return group, "prov:patch:full", _patch(op, "members", member)
        case Action.GRANTED | Action.REVOKED as action:
            op = "add" if action is Action.GRANTED else "remove"
            return own, "prov:patch:full", _patch(op, *_granted(row.kind, facts))
        case _:
            return own, *_changed(row, facts)


def _changed(row: Row[Any], facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """An update, or what was taken back of one: a creation that was is a deletion."""
    documents = json.loads(row.content) if row.content else {}
    if row.action == Action.UNDO and "after" in documents and documents["after"] is None:
        return "prov:delete", {}
    return "prov:patch:notice", _notice(facts)


def _granted(kind: str, facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    extension = GROUP_EXTENSION if kind == "group" else USER_EXTENSION
    if facts.get("application"):
        return f"{extension}:{APPLICATIONS}", {"value": facts["application"]}
    assignment = {"accountId": facts.get("account"), "permissionSet": facts.get("permission_set")}
    return f"{extension}:{ACCOUNT_ASSIGNMENTS}", assignment


def _patch(op: str, path: str, value: Mapping[str, Any]) -> dict[str, Any]:
    operation = {"op": op, "path": path, "value": [dict(value)]}
    return {"data": {"schemas": [PATCH_OP], "Operations": [operation]}}


def _notice(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The names of what changed; who may know the values reads them over SCIM."""
    said: dict[str, Any] = {"data": {"attributes": facts.get("attributes", [])}}
    if "version" in facts:
        said["version"] = f'W/"{facts["version"]}"'
    return said


def _uri(kind: str | None, resource_id: str | None) -> str:
    return f"/{'Groups' if kind == 'group' else 'Users'}/{resource_id}"
