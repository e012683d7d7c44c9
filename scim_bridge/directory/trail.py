"""What happened to a person, a group or everything? The audit trail as it is read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, literal, or_, select, union

from scim_bridge.directory.actor import CLIENT
from scim_bridge.directory.audit import Action, canonical, folded
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import audit, audit_personal, clients

# Entries read in one go, so that no transaction stays open while somebody prints them.
CHUNK = 500
_NO_NAMES: Mapping[str, str] = {}
# The facts of a warning about a password and nothing else, in lower case.
_PASSWORD_ALONE = tuple(
    canonical({"dropped": [path]})
    for path in ("password", "urn:ietf:params:scim:schemas:core:2.0:user:password")
)

_WORDS: Mapping[Action, str] = {
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.DEACTIVATE: "deactivated",
    Action.REACTIVATE: "reactivated",
    Action.DELETE: "deleted",
    Action.REHIRE: "took back",
    Action.UNDO: "undid a change of",
    Action.MEMBER_ADDED: "added a member:",
    Action.MEMBER_REMOVED: "removed a member:",
    Action.GRANTED: "granted something to",
    Action.REVOKED: "revoked something from",
    Action.CALL: "called Identity Center for",
    Action.UNANSWERED: "got no answer to a call for",
    Action.REFUSED: "was refused a change of",
    Action.RETRY: "asked to try again",
    Action.LINK: "linked",
    Action.LINK_DROPPED: "dropped the link of",
    Action.WARNING: "was warned about",
    Action.HELD: "held a loss of access of",
    Action.APPROVED: "approved a held loss of access of",
    Action.REJECTED: "rejected a held loss of access of",
    Action.SESSIONS: "noted the sessions of",
    Action.SESSION_CUT: "cut the sessions of",
    Action.PAUSED: "paused all delivery",
    Action.RESUMED: "resumed delivery",
    Action.PURGED: "erased",
    Action.RESTORED: "restored the directory from a backup",
    Action.DRIFT: "found a change by hand of",
    Action.REPAIRED: "puts right a change by hand of",
    Action.ACCEPTED: "accepted a change by hand of",
    Action.CONTESTED: "leaves a change by hand that comes back again and again, of",
    Action.ADOPTED: "took over the principal of",
    Action.RULES_APPLIED: "put rules in force",
    Action.CLIENT_ADDED: "added",
    Action.CLIENT_ROTATED: "gave a new token to",
    Action.CLIENT_REVOKED: "revoked",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened."""

    id: int
    time: datetime
    # "client:<name>", "operator:<name>" or "bridge".
    actor: str
    # An `Action`, or what a later version of the bridge wrote there.
    action: str
    # "user", "group" or "client".
    kind: str | None
    resource_id: str | None
    related_id: str | None
    request_id: str | None
    target_request_id: str | None
    # "ok", or what came of it instead.
    outcome: str
    facts: dict[str, Any]
    # None if there was none, or if it was erased.
    personal: dict[str, Any] | None
    erased: bool

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON has it."""
        return {**vars(self), "time": self.time.isoformat()}


def trail(
    database: Database,
    *,
    user_name: str | None = None,
    resource_id: str | None = None,
    since: float | None = None,
    until: float | None = None,
    limit: int | None = None,
) -> Iterator[Entry]:
    """The entries in the order they were written, as they stand when the first one is asked for.

    ``user_name`` finds everything about the people who ever had that name, in whatever case and
    whatever they are called now, before and after they were hired again, and what was refused
    under that name. ``resource_id`` finds what happened to a resource and, of a group, to its
    members. Times are seconds since 1970, ``until`` is not included. ``limit`` keeps the newest.
    """
    with database.reading() as connection:
        wanted = _wanted(connection, user_name, resource_id, since, until)
        first, last = _span(connection, wanted, limit)
    while entries := _chunk(database, wanted, first, last):
        yield from entries
        first = entries[-1].id + 1


@dataclass(frozen=True, kw_only=True)
class Warned:
    """What a client sent that was not taken, and is named in the trail."""

    client: str
    warnings: int
    # How many of them are about groups in a group that were left out.
    about_nesting: int


def warned(database: Database, *, since: float) -> tuple[Warned, ...]:
    """The clients that warnings were written for since then, by name.

    Without those that are revoked, which send nothing more, and without passwords: a provider that
    sends one with everybody does as it must, and there is nothing to put right.
    """
    live = select(literal(CLIENT).concat(clients.c.name)).where(clients.c.revoked_at.is_(None))
    nesting = func.sum(case((audit.c.outcome == "not applied", 1), else_=0))
    with database.reading() as connection:
        rows = connection.execute(
            select(audit.c.actor, func.count(), nesting)
            .where(audit.c.at >= since, audit.c.action == Action.WARNING)
            .where(audit.c.actor.in_(live), func.lower(audit.c.facts).not_in(_PASSWORD_ALONE))
            .group_by(audit.c.actor)
            .order_by(audit.c.actor)
        ).all()
    return tuple(
        Warned(client=actor.removeprefix(CLIENT), warnings=count, about_nesting=int(nested))
        for actor, count, nested in rows
    )


def describe(entry: Entry, names: Mapping[str, str] = _NO_NAMES) -> str:
    """The entry in words, on one line, safe to print on a terminal.

    `names`: what users and groups are called that the entry has only the ids of.
    """
    parts = [
        f"{entry.time:%Y-%m-%d %H:%M:%S} UTC",
        entry.actor,
        _phrase(entry.action),
        _subject(entry, names),
        _related(entry, names),
        "" if entry.outcome == "ok" else f"- {entry.outcome}",
        _remarks(entry),
    ]
    return _printable(" ".join(part for part in parts if part))


def _wanted(
    connection: Connection,
    user_name: str | None,
    resource_id: str | None,
    since: float | None,
    until: float | None,
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if user_name is not None:
        wanted.append(_about_person(connection, user_name))
    if resource_id is not None:
        wanted.append(_about({resource_id}))
    if since is not None:
        wanted.append(audit.c.at >= since)
    if until is not None:
        wanted.append(audit.c.at < until)
    return wanted


def _about(ids: set[str]) -> ColumnElement[bool]:
    # A union lets each index serve its own half; an OR over both makes databases read every row.
    return audit.c.id.in_(
        union(
            select(audit.c.id).where(audit.c.resource_id.in_(ids)),
            select(audit.c.id).where(audit.c.related_id.in_(ids)),
        )
    )


def _about_person(connection: Connection, user_name: str) -> ColumnElement[bool]:
    named = select(audit_personal.c.audit_id).where(
        audit_personal.c.user_name_folded == folded(user_name)
    )
    ids = set(
        connection.scalars(
            select(audit.c.resource_id)
            .distinct()
            .where(audit.c.id.in_(named), audit.c.kind == "user", audit.c.resource_id.is_not(None))
        )
    )
    return or_(audit.c.id.in_(named), _about(_with_other_records(connection, ids)))


def _with_other_records(connection: Connection, ids: set[str]) -> set[str]:
    """These records of a person and those from before and after a rehire."""
    known, new = set(ids), set(ids)
    while new:
        rehires = connection.execute(
            select(audit.c.resource_id, audit.c.related_id).where(
                _about(new), audit.c.action == Action.REHIRE.value
            )
        )
        new = {found for rehire in rehires for found in rehire if found is not None} - known
        known |= new
    return known


def _span(
    connection: Connection, wanted: list[ColumnElement[bool]], limit: int | None
) -> tuple[int, int]:
    """The first and the last id to show. What is written meanwhile is not part of it."""
    last = connection.scalar(select(func.max(audit.c.id))) or 0
    if limit is None:
        return 0, last
    if limit < 1:
        return 1, 0
    newest = select(audit.c.id).where(audit.c.id <= last, *wanted).order_by(audit.c.id.desc())
    return connection.scalar(newest.offset(limit - 1).limit(1)) or 0, last


def _chunk(
    database: Database, wanted: list[ColumnElement[bool]], first: int, last: int
) -> list[Entry]:
    with database.reading() as connection:
        rows = connection.execute(
            select(audit, audit_personal.c.content)
            .outerjoin(audit_personal, audit_personal.c.audit_id == audit.c.id)
            .where(audit.c.id.between(first, last), *wanted)
            .order_by(audit.c.id)
            .limit(CHUNK)
        )
        return [_entry(row) for row in rows]


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    return Entry(
        id=row.id,
        time=datetime.fromtimestamp(row.at, UTC),
        actor=row.actor,
        action=row.action,
        kind=row.kind,
        resource_id=row.resource_id,
        related_id=row.related_id,
        request_id=row.request_id,
        target_request_id=row.target_request_id,
        outcome=row.outcome,
        facts=json.loads(row.facts),
        personal=None if row.content is None else json.loads(row.content),
        erased=row.personal_digest is not None and row.content is None,
    )


def _phrase(action: str) -> str:
    try:
        return _WORDS[Action(action)]
    except ValueError:
        return action


def _subject(entry: Entry, names: Mapping[str, str]) -> str:
    known = names.get(entry.resource_id or "", entry.resource_id)
    name = _name(entry.personal or {}) or known or ""
    return f"{entry.kind or ''} {name}".strip()


def _name(personal: Mapping[str, Any]) -> str | None:
    documents = (personal, personal.get("after") or {}, personal.get("before") or {})
    names = (document.get(key) for document in documents for key in ("userName", "displayName"))
    return next((str(name) for name in names if name), None)


def _related(entry: Entry, names: Mapping[str, str]) -> str:
    if entry.related_id is None:
        return ""
    related = names.get(entry.related_id, entry.related_id)
    match entry.action:
        case Action.MEMBER_ADDED:
            return f"to group {related}"
        case Action.MEMBER_REMOVED:
            return f"from group {related}"
        case Action.CALL:
            return f"in group {related}"
        case Action.REHIRE:
            return f"(before: {entry.related_id})"
        case _:
            return f"(with {related})"


def _remarks(entry: Entry) -> str:
    facts = {key: _value(value) for key, value in entry.facts.items()}
    ids = {"request": entry.request_id, "target request": entry.target_request_id}
    remarks = [f"{key} {value}" for key, value in {**facts, **ids}.items() if value is not None]
    return f"[{', '.join(remarks)}]" if remarks else ""


def _value(fact: object) -> str:
    return fact if isinstance(fact, str) else canonical(fact)


def _printable(text: str) -> str:
    """Clients choose names: no line break or escape sequence of theirs reaches a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
