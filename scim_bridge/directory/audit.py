"""How is it recorded who did what, when and why? The audit trail as it is written.

What is about a person (names, e-mail, documents before and after) goes only into the personal part
of an entry. It is stored apart, and the entry keeps a salted digest of it, so that a person can be
erased while the chain of seals (`scim_bridge.directory.seals`) stays whole.

How memberships are recorded: one entry for each person and change. Its resource is the user, its
related resource is the group. So a leaver's trail names each membership, with the request or the
call at the target that ended it, and the trail of a group names each of its members' changes.

How calls lead back to requests: what a delivery records has among its facts, as ``for``, the ids of
the requests whose writes it delivers, whoever delivers them and when.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from sqlalchemy import FromClause, Insert, bindparam, insert, select

from scim_bridge.directory import comparison, lists
from scim_bridge.directory.actor import causes, current
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import audit, audit_personal

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Action(StrEnum):
    """What an entry says was done."""

    # Changes of the directory, by a client, an operator or the bridge.
    CREATE = "create"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    DELETE = "delete"
    # Somebody who was deleted is back under a new id; the related resource is the earlier record.
    REHIRE = "rehire"
    # A change was taken back, since the target refused it.
    UNDO = "undo"
    # The resource is the user, the related resource the group.
    MEMBER_ADDED = "member-added"
    MEMBER_REMOVED = "member-removed"
    # A user or group is entitled to something, or no more.
    GRANTED = "granted"
    REVOKED = "revoked"

    # Delivery. A call that changes memberships is one entry for each person.
    CALL = "call"
    # A call that may have been done: its answer was lost, or did not say.
    UNANSWERED = "unanswered"
    REFUSED = "refused"
    RETRY = "retry"
    LINK = "link"
    LINK_DROPPED = "link-dropped"
    WARNING = "warning"

    # The brake.
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"

    # Until when sessions of a leaver may live, and that they were ended at once.
    SESSIONS = "sessions"
    SESSION_CUT = "session-cut"

    # All delivery was stopped by an operator, and goes on.
    PAUSED = "paused"
    RESUMED = "resumed"
    # What somebody changed at the target by hand: found, put right, taken into the directory, or
    # changed back so often that it is left.
    DRIFT = "drift"
    REPAIRED = "repaired"
    ACCEPTED = "accepted"
    CONTESTED = "contested"
    # A principal that was there already is the resource's now.
    ADOPTED = "adopted"
    # A person was erased on request.
    PURGED = "purged"
    # The whole directory was put back to a backup: what it recorded afterwards is not in it.
    RESTORED = "restored"

    # Rules were put in force.
    RULES_APPLIED = "rules-applied"

    # Inbound credentials. Kind "client"; its name is among the facts.
    CLIENT_ADDED = "client-added"
    CLIENT_ROTATED = "client-rotated"
    CLIENT_REVOKED = "client-revoked"


def record(
    database: Database,
    *,
    action: Action,
    kind: str | None = None,
    resource_id: str | None = None,
    related_id: str | None = None,
    outcome: str = "ok",
    facts: Mapping[str, Any] = _NOTHING,
    personal: Mapping[str, Any] | None = None,
    target_request_id: str | None = None,
    user_name: str | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Append an entry in the transaction this thread is in; it is kept or lost with the change.

    Who acts, in which request and why comes from `scim_bridge.directory.actor.current`; the reason
    becomes a fact. ``facts`` hold nothing about a person, ``personal`` everything that is. With
    ``user_name`` the person's trail is found under that name; it is added to the personal part.
    An answer of the target may quote names: its words are personal, its status is a fact.
    """
    content = _personal_content(personal, user_name)
    salt, name = secrets.token_hex(16), folded(user_name)
    digest = None if content is None else personal_digest(salt, name, content)
    row = _row(
        action=action,
        kind=kind,
        resource_id=resource_id,
        related_id=related_id,
        outcome=outcome,
        facts=facts,
        target_request_id=target_request_id,
        at=clock(),
    )
    audit_id = _append(database, {**row, "personal_digest": digest})
    if content is not None:
        database.connection.execute(
            _PERSONAL,
            {"audit_id": audit_id, "salt": salt, "content": content, "user_name_folded": name},
        )


def record_members(
    database: Database,
    *,
    action: Action,
    group_id: str,
    members: Iterable[str],
    outcome: str = "ok",
    facts: Mapping[str, Any] = _NOTHING,
    target_request_id: str | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Append one entry for each of these users about their membership in a group.

    For the directory's own changes (``MEMBER_ADDED``, ``MEMBER_REMOVED``) and for calls at the
    target that change members (``CALL``). Else as `record`; one statement whatever their number.
    """
    about = _row(
        action=action,
        kind="user",
        related_id=group_id,
        outcome=outcome,
        facts=facts,
        target_request_id=target_request_id,
        at=clock(),
    )
    named = list(members)
    if named:
        statement = lists.on(database, _OF_MEMBERS)
        database.connection.execute(statement, {**about, "ids": lists.as_value(named)})


def _of_members(ids: FromClause) -> Insert:
    """An entry for each of a list, in its order; all that differs is whom it is about."""
    told = {name: bindparam(name, type_=audit.c[name].type) for name in _ALIKE}
    entries = select(ids.c.value, *told.values()).order_by(ids.c.key)
    return insert(audit).from_select(("resource_id", *told), entries)


_ALIKE = (
    "at",
    "actor",
    "action",
    "kind",
    "related_id",
    "request_id",
    "target_request_id",
    "outcome",
    "facts",
)
# Made once, since every write says them.
_ENTRY, _PERSONAL = insert(audit), insert(audit_personal)
_OF_MEMBERS = lists.for_each_dialect(_of_members)


def canonical(value: object) -> str:
    """JSON that is the same for equal values: sorted keys, no spaces, ASCII only."""
    return _ENCODER.encode(value)


def personal_digest(salt: str, user_name_folded: str | None, content: str) -> str:
    """What an entry keeps of its personal part: SHA-256 under a salt of 128 random bits."""
    # Neither JSON text holds a line break, so the three parts cannot be cut differently.
    return sha256(f"{salt}\n{canonical(user_name_folded)}\n{content}".encode()).hexdigest()


def folded(user_name: str | None) -> str | None:
    """A name as a person's trail is found under: as the directory tells one name from another."""
    return None if user_name is None else comparison.folded(user_name)


def _append(database: Database, row: dict[str, Any]) -> int:
    key = database.connection.execute(_ENTRY, row).inserted_primary_key
    return int(key[0])  # type: ignore[index]  # an insert of one row always tells its key


def _personal_content(personal: Mapping[str, Any] | None, user_name: str | None) -> str | None:
    if user_name is None:
        return None if personal is None else canonical(dict(personal))
    return canonical({"userName": user_name, **(personal or {})})


def _row(*, action: Action, facts: Mapping[str, Any], **columns: object) -> dict[str, Any]:
    actor = current()
    reason = {} if actor.reason is None else {"reason": actor.reason}
    earlier = {"for": list(causes())} if causes() else {}
    return {
        **columns,
        "action": action.value,
        "actor": actor.name,
        "request_id": actor.request_id,
        "facts": canonical({**facts, **earlier, **reason}),
    }
