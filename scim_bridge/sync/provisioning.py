"""Has a user or group reached Identity Center, with all it is entitled to?"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, func, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import applied, applied_assignments, links, pending
from scim_bridge.sync import ACCESS_TARGET, TARGET
from scim_bridge.sync.marks import Key

Standing = Literal["applied", "pending", "held", "failed"]

# What is said of several marks: the worst first.
_WORST: tuple[str, ...] = ("failed", "held", "pending", "suppressed")


@dataclass(frozen=True, kw_only=True)
class Provisioning:
    """How one resource stands at Identity Center."""

    state: Standing
    # In words, for a person; None when there is nothing to say.
    detail: str | None
    # The id at Identity Center. None: it is not there.
    id: str | None
    # Since when it is so, in seconds since 1970; None: not known.
    since: float | None


def provisioning(database: Database, key: Key) -> Provisioning:
    """How a resource stands now, itself and its assignments."""
    with database.reading() as connection:
        marks = connection.execute(
            select(pending).where(
                pending.c.target.in_((TARGET, ACCESS_TARGET)),
                pending.c.kind == key.kind,
                pending.c.resource_id == key.id,
                pending.c.state != "clear",
            )
        ).all()
        target_id = _target_id(database, key)
        if not marks:
            since = _applied_since(database, key, target_id)
            return Provisioning(state="applied", detail=None, id=target_id, since=since)
    worst = min(marks, key=lambda mark: (_WORST.index(mark.state), mark.since))
    return Provisioning(
        state=_state(worst.state), detail=_in_words(worst), id=target_id, since=worst.since
    )


def _applied_since(database: Database, key: Key, target_id: str | None) -> float | None:
    """When the last of it arrived, itself or an assignment."""
    own = select(applied.c.at).where(
        applied.c.target == TARGET, applied.c.kind == key.kind, applied.c.resource_id == key.id
    )
    given = select(func.max(applied_assignments.c.at)).where(
        applied_assignments.c.target == TARGET,
        applied_assignments.c.kind == key.kind,
        applied_assignments.c.principal_id == target_id,
    )
    found = (database.connection.scalar(own), database.connection.scalar(given))
    return max((at for at in found if at is not None), default=None)


def _target_id(database: Database, key: Key) -> str | None:
    found: str | None = database.connection.scalar(
        select(links.c.target_id).where(
            links.c.target == TARGET, links.c.kind == key.kind, links.c.resource_id == key.id
        )
    )
    return found


def _state(state: str) -> Standing:
    match state:
        case "failed" | "held":
            return state
        case _:
            return "pending"


def _in_words(mark: Row[Any]) -> str:
    what = "assignments" if mark.target == ACCESS_TARGET else mark.kind
    match mark.state:
        case "held":
            return f"{what}: a loss of access waits for an operator's decision"
        case "suppressed":
            return f"{what}: switched off by [users] create or update"
        case "failed":
            return f"{what}: refused by Identity Center: {mark.last_error or 'no reason given'}"
        case _:
            return f"{what}: {mark.last_error or 'on the way to Identity Center'}"
