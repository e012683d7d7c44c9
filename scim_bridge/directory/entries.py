"""What a write leaves in the audit trail."""

from dataclasses import asdict
from typing import Any

from scim_bridge.directory.audit import Action, record, record_members
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.directory.write import Cause, Write

KEPT = "kept by a rule"
_WHY_KEPT = "a rule gives it: change the rule, or what it looks at"


def record_write(database: Database, write: Write) -> None:
    """Append the entries of a write, in its transaction: of the document, each member and grant."""
    if write.before != write.after or write.action != "update":
        record(
            database,
            action=_action(write),
            kind=write.kind,
            resource_id=write.id,
            facts={
                "version": write.version,
                "attributes": _changed(write),
                **_cause(write, write.id),
            },
            personal={"before": write.before, "after": write.after},
            user_name=_user_name(write),
        )
    if write.kind == "group":
        _record_moves(database, Action.MEMBER_ADDED, write, write.added)
        _record_moves(database, Action.MEMBER_REMOVED, write, write.removed)
        _record_nested(database, Action.MEMBER_ADDED, write.id, write.nested)
        _record_nested(database, Action.MEMBER_REMOVED, write.id, write.unnested)
    take_out = _record_members if write.kind == "user" else _record_nested
    for group_id in write.left:
        take_out(database, Action.MEMBER_REMOVED, group_id, (write.id,))
    _record_grants(database, Action.REVOKED, write, write.ended)
    _record_grants(database, Action.GRANTED, write, write.begun)
    _record_kept(database, write)


def _cause(write: Write, changed: str | NamedGrant) -> dict[str, Any]:
    cause = write.causes.get(changed)
    return {} if cause is None else cause.facts()


def _record_moves(
    database: Database, action: Action, write: Write, members: tuple[str, ...]
) -> None:
    """One entry for each person, in one statement for all who move for the same cause."""
    together: dict[Cause | None, list[str]] = {}
    for member in members:
        together.setdefault(write.causes.get(member), []).append(member)
    for cause, those in together.items():
        facts = {} if cause is None else cause.facts()
        record_members(database, action=action, group_id=write.id, members=those, facts=facts)


def _record_kept(database: Database, write: Write) -> None:
    """A client took away what a rule gives: it stays, and the trail says so."""
    record_members(
        database,
        action=Action.WARNING,
        group_id=write.id,
        members=write.kept,
        outcome=KEPT,
        facts={"attribute": "members", "why": _WHY_KEPT},
    )
    for grant in write.kept_grants:
        record(
            database,
            action=Action.WARNING,
            kind=write.kind,
            resource_id=write.id,
            outcome=KEPT,
            facts={**_as_facts(grant), "why": _WHY_KEPT},
        )


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
            facts={**_as_facts(grant), **_cause(write, grant)},
        )


def _as_facts(grant: NamedGrant) -> dict[str, str]:
    return {name: value for name, value in asdict(grant).items() if value}


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
