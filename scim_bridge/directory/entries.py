"""What a write leaves in the audit trail."""

from dataclasses import asdict
from typing import Any

from scim_bridge.directory.audit import Action, record, record_members
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.directory.write import Write


def record_write(database: Database, write: Write) -> None:
    """Append the entries of a write, in its transaction: of the document, each member and grant."""
    if write.before != write.after or write.action != "update":
        record(
            database,
            action=_action(write),
            kind=write.kind,
            resource_id=write.id,
            facts={"version": write.version, "attributes": _changed(write)},
            personal={"before": write.before, "after": write.after},
            user_name=_user_name(write),
        )
    if write.kind == "group":
        _record_members(database, Action.MEMBER_ADDED, write.id, write.added)
        _record_members(database, Action.MEMBER_REMOVED, write.id, write.removed)
        _record_nested(database, Action.MEMBER_ADDED, write.id, write.nested)
        _record_nested(database, Action.MEMBER_REMOVED, write.id, write.unnested)
    take_out = _record_members if write.kind == "user" else _record_nested
    for group_id in write.left:
        take_out(database, Action.MEMBER_REMOVED, group_id, (write.id,))
    _record_grants(database, Action.REVOKED, write, write.ended)
    _record_grants(database, Action.GRANTED, write, write.begun)


def _record_members(
    database: Database, action: Action, group_id: str, members: tuple[str, ...]
) -> None:
    record_members(database, action=action, group_id=group_id, members=members)


def _record_nested(
    database: Database, action: Action, group_id: str, inner: tuple[str, ...]
) -> None:
    for inner_id in inner:
        record(database, action=action, kind="group", resource_id=inner_id, related_id=group_id)


def _record_grants(
    database: Database, action: Action, write: Write, grants: tuple[NamedGrant, ...]
) -> None:
    for grant in grants:
        record(
            database,
            action=action,
            kind=write.kind,
            resource_id=write.id,
            facts={name: value for name, value in asdict(grant).items() if value},
        )


def _action(write: Write) -> Action:
    if write.undo:
        return Action.UNDO
    if write.action == "create":
        return Action.CREATE
    if write.action == "delete":
        return Action.DELETE
    if write.leaves:
        return Action.DEACTIVATE
    return Action.REACTIVATE if write.returns else Action.UPDATE


def _changed(write: Write) -> list[str]:
    before, after = write.before or {}, write.after or {}
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def _user_name(write: Write) -> str | None:
    document: dict[str, Any] = write.after or write.before or {}
    name: str | None = document.get("userName")
    return name
