"""What did a leaver hold, when was it asked to go, and when was it gone? For the auditor.

Read from the record alone: the versions of the person, the rows of what they held, and the calls
that the audit trail names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import is_active
from scim_bridge.directory.history import Version, versions
from scim_bridge.directory.tables import applications, groups
from scim_bridge.directory.trail import Entry, trail
from scim_bridge.errors import OperatorError
from scim_bridge.sync.holdings import Holding, holdings

# Just before somebody left, in seconds: as near as a time in the database tells apart.
_BEFORE = 1e-5
_ENDED = frozenset({"ok", "gone"})
_DELETIONS = frozenset({"DeleteAssignment", "DeleteApplicationAssignment"})


@dataclass(frozen=True, kw_only=True)
class Gone:
    """That Identity Center confirmed the end of something."""

    at: datetime
    # The id of the request at AWS.
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One access that a leaver had."""

    held: Holding
    # None: not confirmed, or it never was at Identity Center.
    gone: Gone | None


@dataclass(frozen=True, kw_only=True)
class Offboarding:
    """How somebody left."""

    user_name: str
    # "deactivated" or "deleted".
    how: str
    # When, in seconds since 1970: that is when everything was asked to go.
    at: float
    by: str
    request_id: str | None
    disabled: Gone | None
    losses: Sequence[Loss]
    # They are active again.
    is_back: bool


def offboarding(database: Database, user_id: str) -> Offboarding:
    """How a person left last. Raises `OperatorError` for somebody who never did."""
    known = versions(database, "user", user_id)
    left = next((one for one in reversed(known) if _leaves(one)), None)
    if left is None:
        raise OperatorError("the person never left: they were neither deactivated nor deleted")
    name = str((left.before or {}).get("userName", ""))
    calls = [
        entry
        for entry in trail(database, resource_id=user_id, since=left.at)
        if entry.action == Action.CALL and entry.resource_id == user_id
    ]
    held = holdings(database, at=left.at - _BEFORE, person=user_id)
    names = _names(database, calls)
    last = known[-1].after
    return Offboarding(
        user_name=name,
        how="deleted" if left.after is None else "deactivated",
        at=left.at,
        by=left.actor,
        request_id=left.request_id,
        disabled=_first(entry for entry in calls if entry.facts.get("change") == "DisableUser"),
        losses=[Loss(held=one, gone=_gone(one, calls, names)) for one in held],
        is_back=last is not None and is_active(last),
    )


def _leaves(version: Version) -> bool:
    before, after = version.before, version.after
    return before is not None and is_active(before) and (after is None or not is_active(after))


def _gone(held: Holding, calls: Iterable[Entry], names: Mapping[str, str]) -> Gone | None:
    if held.group:
        # Who is taken out of the group holds nothing through it any more.
        inner = held.through or held.group
        return _first(
            entry
            for entry in calls
            if entry.facts.get("change") == "RemoveMembers"
            and names.get(entry.related_id or "") in (inner, held.group)
        )
    return _first(entry for entry in calls if entry.outcome in _ENDED and _ends(entry, held, names))


def _ends(entry: Entry, held: Holding, names: Mapping[str, str]) -> bool:
    """Whether a call took a direct assignment away."""
    facts = entry.facts
    if held.application:
        arn = str(facts.get("application", ""))
        is_it = held.application in (arn, names.get(arn))
    else:
        is_it = held.account == facts.get("account") and held.permission_set_arn in (
            "",
            facts.get("permissionSet"),
        )
    return facts.get("change") in _DELETIONS and is_it


def _first(entries: Iterable[Entry]) -> Gone | None:
    first = next(iter(entries), None)
    return None if first is None else Gone(at=first.time, request_id=first.target_request_id)


def _names(database: Database, calls: Iterable[Entry]) -> Mapping[str, str]:
    """What the groups and applications are called that calls were about, by ids and ARNs."""
    ids = {entry.related_id for entry in calls if entry.related_id}
    named = select(groups.c.id, groups.c.display_name).where(groups.c.id.in_(ids))
    with database.reading() as connection:
        found = {group_id: name for group_id, name in connection.execute(named)}  # noqa: C416
        for arn, name in connection.execute(select(applications.c.arn, applications.c.name)):
            found[arn] = name
        return found
