"""Who came, who changed jobs and who left in a period, and when did it reach Identity Center?

A mover is somebody active who joined or left groups, got or lost an assignment of their own, or
whose job changed. What a group is entitled to is nobody's movement.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select

from scim_bridge.directory import history, tables
from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.trail import Entry, trail
from scim_bridge.sync import is_of_first
from scim_bridge.sync.holdings import Holding
from scim_bridge.sync.offboarding import (
    BEFOREHAND,
    Asked,
    Call,
    Move,
    Offboarding,
    moves_of,
    offboardings,
)

Who = Literal["joiner", "mover", "leaver"]

# A change of one of these is a change of somebody's job.
JOB = ("title", "userType", "addresses", "roles", tables.ENTERPRISE)

# What an entry gave or took, and the call that brings it to Identity Center.
_CALLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    Action.MEMBER_ADDED: ("joined", ("AddMembers",)),
    Action.MEMBER_REMOVED: ("left", ("RemoveMembers",)),
    Action.GRANTED: ("was given", ("CreateAssignment", "CreateApplicationAssignment")),
    Action.REVOKED: ("lost", ("DeleteAssignment", "DeleteApplicationAssignment")),
}
_TAKES = (Action.MEMBER_REMOVED, Action.REVOKED)


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One thing that changed for somebody."""

    who: Who
    person: str
    user_name: str
    # In words: "joined group engineers".
    what: str
    asked: Asked | None
    call: Call | None = None
    # "done", or how it stands.
    state: str = "done"


def movements(database: Database, *, since: float, until: float = math.inf) -> Sequence[Movement]:
    """Everybody's movements in a period, ordered by person and time."""
    with database.reading():
        names = _Names.read(database)
        found = [
            one
            for person, entries in _entries(database, since).items()
            if any(_moves(entry, until) for entry in entries)
            for one in _of(database, person, entries, names, since=since, until=until)
        ]
    return sorted(found, key=lambda one: (one.user_name, one.asked.at if one.asked else math.inf))


def _entries(database: Database, since: float) -> Mapping[str, list[Entry]]:
    """What was recorded of each person since then: what reached Identity Center, also later."""
    found: dict[str, list[Entry]] = {}
    for entry in trail(database, since=since):
        if entry.kind == "user" and entry.resource_id is not None:
            found.setdefault(entry.resource_id, []).append(entry)
    return found


def _moves(entry: Entry, until: float) -> bool:
    return entry.action in (*_CALLS, *_PERSONAL) and entry.time.timestamp() < until


_PERSONAL = (
    Action.CREATE,
    Action.UPDATE,
    Action.DEACTIVATE,
    Action.REACTIVATE,
    Action.DELETE,
    Action.UNDO,
)


def _of(
    database: Database,
    person: str,
    entries: Sequence[Entry],
    names: "_Names",
    *,
    since: float,
    until: float,
) -> Iterator[Movement]:
    versions = history.versions(database, "user", person)
    moves = [one for one in moves_of(person, versions) if since <= one.at < until]
    leavings: Sequence[Offboarding] = ()
    if not all(one.is_active for one in moves):
        leavings = offboardings(database, [person], since=since, until=until)
    joinings = [one for one in moves if one.is_active]
    user_name = names.people.get(person, person)
    for joining in joinings:
        yield _joined(joining, entries)
    for leaving in leavings:
        yield from _left(leaving)
    yield from _changed_job(person, user_name, versions, since=since, until=until)
    for entry in entries:
        at = entry.time.timestamp()
        if entry.action not in _CALLS or at >= until:
            continue
        if entry.action in _TAKES and any(_belongs(at, one) for one in leavings):
            continue
        who: Who = "joiner" if any(one.at <= at for one in joinings) else "mover"
        yield _moved(entry, entries, names, who=who, user_name=user_name)


def _belongs(at: float, leaving: Offboarding) -> bool:
    """Whether a loss is told with a leaving."""
    until = leaving.returned.at if leaving.returned else math.inf
    return leaving.left.at - BEFOREHAND <= at < until


def _joined(move: Move, entries: Sequence[Entry]) -> Movement:
    call = _call(entries, move.at, changes=("CreateUser", "EnableUser"))
    return Movement(
        who="joiner",
        person=move.person,
        user_name=move.user_name,
        what="was created" if move.is_first else "came back",
        asked=move.asked,
        call=call,
        state="done" if call else "not at Identity Center by a call",
    )


def _left(leaving: Offboarding) -> Iterator[Movement]:
    about: dict[str, Any] = {
        "who": "leaver", "person": leaving.person, "user_name": leaving.user_name,
    }  # fmt: skip
    is_open = leaving.returned is None and leaving.enabled_there
    yield Movement(
        **about,
        what="left",
        asked=leaving.left,
        call=leaving.disabled,
        state="still enabled there" if is_open else "done",
    )
    for one in leaving.accesses:
        state: str = "done" if one.state == "gone" else one.state
        if one.loss is not None:
            state = f"{state}: {one.loss.state}"
        yield Movement(
            **about, what=f"lost {described(one.access)}", asked=one.asked, call=one.call,
            state=state,
        )  # fmt: skip


def described(one: Holding) -> str:
    """An access in words."""
    if one.account:
        what = f"{one.permission_set} in account {one.account}"
    else:
        what = f"application {one.application}" if one.application else ""
    if not one.group:
        return what
    return f"{what} through group {one.group}" if what else f"group {one.group}"


def _changed_job(
    person: str, user_name: str, versions: Iterable[history.Version], *, since: float, until: float
) -> Iterator[Movement]:
    for version in versions:
        before, after = version.before, version.after
        if not since <= version.at < until or before is None or after is None:
            continue
        changed = sorted(_differing(before, after))
        if changed and after.get("active") is not False:
            yield Movement(
                who="mover",
                person=person,
                user_name=user_name,
                what=f"changed {', '.join(changed)}",
                asked=Asked(at=version.at, by=version.actor, request_id=version.request_id),
            )


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in JOB:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name != tables.ENTERPRISE:
            yield name
            continue
        old, new = old or {}, new or {}
        yield from (part for part in old.keys() | new.keys() if old.get(part) != new.get(part))


def _moved(
    entry: Entry, entries: Sequence[Entry], names: "_Names", *, who: Who, user_name: str
) -> Movement:
    verb, changes = _CALLS[entry.action]
    at = entry.time.timestamp()
    call = _call(
        entries, at, changes=changes, group=entry.related_id, grant=names.grant(entry.facts)
    )
    return Movement(
        who=who,
        person=str(entry.resource_id),
        user_name=user_name,
        what=f"{verb} {names.thing(entry)}",
        asked=Asked(at=at, by=entry.actor, request_id=entry.request_id),
        call=call,
        state="done" if call else "not at Identity Center by a call",
    )


def _call(
    entries: Iterable[Entry],
    since: float,
    *,
    changes: Sequence[str],
    group: str | None = None,
    grant: tuple[str, str] = ("", ""),
) -> Call | None:
    """The first call that brought something to Identity Center since it was asked for."""
    for entry in entries:
        is_it = (
            entry.action == Action.CALL
            and is_of_first(entry.facts)
            and entry.outcome in ("ok", "gone")
            and entry.facts.get("change") in changes
            and entry.related_id == group
            and entry.time.timestamp() >= since
        )
        facts = (str(entry.facts.get("account", "")), _what(entry.facts))
        if is_it and grant in (("", ""), facts):
            ids = (entry.target_request_id,) if entry.target_request_id else ()
            return Call(at=entry.time.timestamp(), request_ids=ids)
    return None


def _what(facts: Mapping[str, Any]) -> str:
    return str(facts.get("permissionSet") or facts.get("application") or "")


@dataclass(frozen=True, kw_only=True)
class _Names:
    """What people, groups, permission sets and applications are called."""

    people: Mapping[str, str]
    groups: Mapping[str, str]
    # Of permission sets and applications: the name by the ARN, and the reverse.
    granted: Mapping[str, str]
    arns: Mapping[str, str]

    @classmethod
    def read(cls, database: Database) -> "_Names":
        def named(key: Any, name: Any) -> dict[str, str]:
            return {row[0]: row[1] for row in database.connection.execute(select(key, name))}

        sets, applications = tables.permission_sets.c, tables.applications.c
        granted = {**named(sets.arn, sets.name), **named(applications.arn, applications.name)}
        return cls(
            people=named(tables.users.c.id, tables.users.c.user_name),
            groups=named(tables.groups.c.id, tables.groups.c.display_name),
            granted=granted,
            arns={name: arn for arn, name in granted.items()},
        )

    def thing(self, entry: Entry) -> str:
        if entry.related_id is not None:
            return f"group {self.groups.get(entry.related_id, entry.related_id)}"
        account, what = _entitled(entry.facts)
        called = self.granted.get(what, what)
        return f"{called} in account {account}" if account else f"application {called}"

    def grant(self, facts: Mapping[str, Any]) -> tuple[str, str]:
        """What an entitlement grants, by ARN as far as it is known."""
        account, what = _entitled(facts)
        return account, self.arns.get(what, what)


def _entitled(facts: Mapping[str, Any]) -> tuple[str, str]:
    what = facts.get("permission_set") or facts.get("application") or ""
    return str(facts.get("account", "")), str(what)
