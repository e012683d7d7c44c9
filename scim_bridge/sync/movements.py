"""Who joined, moved and left in a period, by whom, and what did they gain and lose by it?

Read from the audit trail: what one request, or one act beside requests, did to one person is one
movement.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from scim_bridge.directory.audit import Action
from scim_bridge.directory.trail import Entry

Event = Literal["joined", "returned", "moved", "left"]

_EVENTS: Mapping[str, Event] = {
    Action.CREATE: "joined",
    Action.REACTIVATE: "returned",
    Action.DEACTIVATE: "left",
    Action.DELETE: "left",
}
_GAINS = frozenset({Action.MEMBER_ADDED, Action.GRANTED})
_LOSSES = frozenset({Action.MEMBER_REMOVED, Action.REVOKED})


@dataclass(kw_only=True)
class Movement:
    """What happened to one person at once."""

    person: str
    # In seconds since 1970.
    at: float
    by: str
    request_id: str | None
    event: Event = "moved"
    # Ids of groups, and grants in words.
    gained: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    # The rules that gave or took something.
    rules: set[str] = field(default_factory=set)


def movements(entries: Iterable[Entry]) -> Iterator[Movement]:
    """The movements in entries of the trail, in their order."""
    found: dict[tuple[str, ...], Movement] = {}
    for entry in entries:
        if entry.kind == "user" and entry.resource_id and _moves(entry):
            _note(found.setdefault(_key(entry), _begun(entry)), entry)
    yield from sorted(found.values(), key=lambda one: one.at)


def _moves(entry: Entry) -> bool:
    return entry.outcome == "ok" and entry.action in {*_EVENTS, *_GAINS, *_LOSSES}


def _key(entry: Entry) -> tuple[str, ...]:
    """What was done at once. Acts beside requests are told apart by the second."""
    act = entry.request_id or f"{entry.time:%Y-%m-%dT%H:%M:%S}"
    return entry.resource_id or "", entry.actor, act


def _begun(entry: Entry) -> Movement:
    return Movement(
        person=entry.resource_id or "",
        at=entry.time.timestamp(),
        by=entry.actor,
        request_id=entry.request_id,
    )


def _note(movement: Movement, entry: Entry) -> None:
    movement.event = _EVENTS.get(entry.action, movement.event)
    if entry.action in _GAINS:
        movement.gained.append(_what(entry))
    if entry.action in _LOSSES:
        movement.lost.append(_what(entry))
    if rule := entry.facts.get("rule"):
        movement.rules.add(rule)


def _what(entry: Entry) -> str:
    """A group by its id, a grant in words."""
    if entry.related_id:
        return entry.related_id
    facts = entry.facts
    if application := facts.get("application"):
        return f"application {application}"
    return f"{facts.get('permission_set')} in account {facts.get('account')}"
