"""What has yet to reach a target, and who is working on it: marks and leases.

A mark says that a resource may differ from what the target holds. It is made in the transaction of
the write that caused it, so nothing acknowledged is lost. Its generation is raised by each write;
it is cleared only if the generation that was read is still there. A lease gives one process a
resource for a while; its number fences what that process writes. Times are the database's.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import (
    Boolean,
    Float,
    Row,
    Table,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement

from scim_bridge.directory import actor, tables
from scim_bridge.directory.bell import ring
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.write import Kind
from scim_bridge.errors import BridgeError
from scim_bridge.plan.state import NOTHING, TakeAway
from scim_bridge.sync import ACCESS_SUFFIX
from scim_bridge.sync.pause import running

State = Literal["clear", "pending", "failed", "held", "suppressed"]

# By how much a lease outlives the total deadline of a call, in seconds.
LEASE_MARGIN = 10.0
# Nothing is ever leased or put off for longer than this, in seconds. A time further ahead was
# written before the database's clock was set back, and must not keep a leaver waiting.
FURTHEST_AHEAD = 600.0
# Later than any time.
FOR_EVER = 1e12
# A mark names no more requests than this, the last ones.
MOST_REQUESTS = 20

pending = tables.pending


class BeingDelivered(BridgeError):
    """An earlier write to the resource is on its way to the target just now."""


class LeaseLost(BridgeError):
    """Somebody else took the resource over: nothing more may be recorded under this lease."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A resource of the directory."""

    kind: Kind
    id: str


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What a write wants of a target for one resource."""

    key: Key
    # Goes ahead of everything that is not: it takes access away.
    urgent: bool = False
    take_away: TakeAway = NOTHING
    # A quiet period in seconds, restarted by each write, and the longest it may last.
    quiet: float = 0.0
    quiet_at_most: float = 0.0
    # The target must be read before anything is planned.
    reread: bool = False
    # Until then, in the database's time, somebody may still send calls for an earlier record:
    # nobody may claim the resource before, and who does reads the target first.
    busy_until: float | None = None
    # The client took back that access was to be taken away.
    reversal: bool = False
    # Ids of earlier requests it goes back to, beside those of the context.
    requests: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A mark as it was read."""

    key: Key
    generation: int
    state: State
    urgent: bool
    take_away: TakeAway
    reread: bool
    attempts: int
    lease_no: int
    # The ids of the client requests it goes back to, oldest first.
    requests: tuple[str, ...] = ()
    # Whether somebody has the resource just now.
    leased: bool = False
    # Since when it is marked, since when access waits to be taken away, and when it is due.
    since: float = 0.0
    revoking_since: float | None = None
    next_attempt_at: float = 0.0


# Stands for a mark that nobody has read.
_UNREAD: Any = object()


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to bring one resource to the target, for a while."""

    key: Key
    number: int


class Marks:
    """The marks and leases of one target. Every method joins the transaction it is called in.

    `call_seconds` is the total deadline of one call at the target.
    """

    def __init__(self, database: Database, target: str, *, call_seconds: float = 20.0) -> None:
        self.database = database
        self.target = target
        self.lease_seconds = call_seconds + LEASE_MARGIN

    # -- Marking --------------------------------------------------------

    def mark(self, intent: Intent, *, before: Mark | None = _UNREAD) -> Mark:
        """Mark a resource as pending, raising its generation.

        `before`: its mark, where it has been read in this transaction; None where there is none.
        """
        with self.database.transaction() as connection:
            if before is _UNREAD:
                before = self.find(intent.key)
            if before is None:
                marked = connection.execute(_FIRST[intent.urgent], self._first(intent)).one()
            else:
                marked = connection.execute(_AGAIN, self._again(intent, before)).one()
            ring(connection)
            return _mark(marked)

    def _first(self, intent: Intent) -> dict[str, Any]:
        return {
            "target": self.target,
            "kind": intent.key.kind,
            "resource_id": intent.key.id,
            "urgent": intent.urgent,
            "take_away": _to_json(intent.take_away),
            "reread": intent.reread,
            "quiet": intent.quiet,
            "leased_until": intent.busy_until,
            "requests": _requests(intent),
        }

    def _again(self, intent: Intent, before: Mark) -> dict[str, Any]:
        waiting = before.state != "clear"
        stands = waiting and not intent.reversal
        # A run of writes may not put the delivery off for ever, nor a removal at all.
        held_off = intent.quiet > 0 and waiting
        return {
            **self._of(intent.key),
            "since": before.since if waiting else None,
            "urgent": intent.urgent or (stands and before.urgent),
            "revoking": intent.urgent,
            "revoking_since": before.revoking_since if stands else None,
            "take_away": _to_json(
                merged(before.take_away if stands else NOTHING, intent.take_away)
            ),
            "reread": before.reread or intent.reread,
            "due": before.next_attempt_at if held_off and before.urgent else None,
            "quiet": intent.quiet,
            "latest": before.since + intent.quiet_at_most if held_off else FOR_EVER,
            "requests": _requests(intent, *(before.requests if waiting else ())),
        }

    def wake(self, *states: State) -> int:
        """Make every mark in these states due now, as pending."""
        with self.database.transaction() as connection:
            result = connection.execute(
                update(pending)
                .where(pending.c.target == self.target, pending.c.state.in_(states))
                .values(state="pending", next_attempt_at=now(), attempts=0)
            )
            ring(connection)
            return result.rowcount

    def doubt(self, links: Table) -> None:
        """Have the target read again before anything is planned for whoever is linked or marked.

        Nobody is made pending by it. No lease is left: whoever had one is gone.
        """
        with self.database.transaction() as connection:
            marked = exists().where(
                pending.c.target == self.target,
                pending.c.kind == links.c.kind,
                pending.c.resource_id == links.c.resource_id,
            )
            linked = (
                select(links.c.kind, links.c.resource_id)
                .where(links.c.target == self.target.removesuffix(ACCESS_SUFFIX), not_(marked))
                .distinct()
            )
            each = linked.subquery()
            columns = {
                "target": literal(self.target),
                "kind": each.c.kind,
                "resource_id": each.c.resource_id,
                "generation": literal(0),
                "since": now(),
                "next_attempt_at": now(),
                "lease_no": literal(0),
                **{name: literal(value, pending.c[name].type) for name, value in _CLEARED.items()},
            }
            connection.execute(
                pending.insert().from_select(list(columns), select(*columns.values()))
            )
            connection.execute(
                update(pending)
                .where(pending.c.target == self.target)
                .values(reread=True, leased_until=None)
            )

    def spare(self, member: str) -> None:
        """Whoever was to be taken out of groups by name, and was held there, is not any more."""
        with self.database.transaction() as connection:
            rows = connection.execute(
                select(pending).where(
                    pending.c.target == self.target,
                    pending.c.kind == "group",
                    pending.c.state == "held",
                )
            ).all()
            for mark in map(_mark, rows):
                if member in mark.take_away.named:
                    named = mark.take_away.named - {member}
                    connection.execute(
                        update(pending)
                        .where(self._is(mark.key))
                        .values(take_away=_to_json(replace(mark.take_away, named=named)))
                    )
                    self.mark(Intent(key=mark.key))

    def drop(self, key: Key) -> Mark | None:
        """Clear a mark whatever it says, and fence off who works on it. Returns what it said.

        A lease that was never given back means, as for `claim`, that the target must be read.
        """
        with self.database.transaction() as connection:
            row = self._row(key)
            if row is None:
                return None
            connection.execute(
                update(pending)
                .where(self._is(key))
                .values(
                    generation=pending.c.generation + 1,
                    lease_no=pending.c.lease_no + 1,
                    leased_until=None,
                    **_CLEARED,
                )
            )
            return replace(_mark(row), reread=row.reread or row.leased_until is not None)

    # -- Leases ---------------------------------------------------------

    def leased_until(self, key: Key) -> float | None:
        """Until when somebody has the resource; None when nobody has."""
        with self.database.reading() as connection:
            until: float | None = connection.scalar(
                select(pending.c.leased_until).where(self._is(key), not_(_FREE))
            )
            return until

    def claim(self, key: Key) -> Lease | None:
        """Take the lease of a marked resource. None while somebody else has it, or all is paused.

        A lease that was never given back means that its holder was lost in the middle: the target
        must then be read again before anything is planned.
        """
        with self.database.transaction() as connection:
            number = connection.scalar(_CLAIM, {**self._of(key), "seconds": self.lease_seconds})
            return None if number is None else Lease(key=key, number=number)

    def renew(self, lease: Lease) -> None:
        """Hold the lease for its full time from now. Raises `LeaseLost`.

        Called first in each transaction that records something under the lease.
        """
        with self.database.transaction() as connection:
            held = {**self._of(lease.key), "number": lease.number, "seconds": self.lease_seconds}
            if connection.execute(_RENEW, held).rowcount != 1:
                raise LeaseLost(f"{lease.key.kind} {lease.key.id} was taken over")

    def settle(
        self,
        lease: Lease,
        mark: Mark,
        state: State,
        *,
        error: str | None = None,
        keep_take_away: bool = False,
    ) -> bool:
        """Give the lease back with what the pass came to. Raises `LeaseLost`.

        `keep_take_away`: what is to be taken away is held, and must be known when it passes.

        Returns False, and leaves the mark pending and due, when a write raised the generation
        after `mark` was read: somebody must look again.
        """
        with self.database.transaction() as connection:
            if state == "clear" and self._cleared(lease, mark):
                return True
            self.renew(lease)
            current = self.read(lease.key)
            if current.generation != mark.generation:
                values: dict[str, Any] = {}
            elif state == "clear":
                values = dict(_CLEARED)
            else:
                values = {"state": state, "last_error": error, "denied": None, "attempts": 0}
                values |= _NO_REMOVALS
                if keep_take_away:
                    values["take_away"] = _to_json(current.take_away)
            connection.execute(
                update(pending).where(self._is(lease.key)).values(leased_until=None, **values)
            )
            return current.generation == mark.generation

    def _cleared(self, lease: Lease, mark: Mark) -> bool:
        """Clear a mark that is as it was read, and give its lease back. False if it is not."""
        as_read = {
            **self._of(lease.key),
            "number": lease.number,
            "read": mark.generation,
            "nothing": _to_json(NOTHING),
            "no_requests": [],
        }
        return self.database.connection.execute(_CLEAR, as_read).rowcount == 1

    def postpone(
        self,
        lease: Lease,
        mark: Mark,
        *,
        delay: float,
        error: str,
        reread: bool = False,
        denied: str | None = None,
    ) -> None:
        """Give the lease back; the mark stays pending and is due after `delay` seconds.

        A write that came meanwhile is not put off with it. `denied`: the IAM action that the bridge
        lacks. Raises `LeaseLost`.
        """
        with self.database.transaction() as connection:
            self.renew(lease)
            unchanged = self.read(lease.key).generation == mark.generation
            connection.execute(
                update(pending)
                .where(self._is(lease.key))
                .values(
                    leased_until=None,
                    state="pending",
                    last_error=error,
                    denied=denied,
                    attempts=pending.c.attempts + 1,
                    next_attempt_at=now() + (delay if unchanged else 0.0),
                    reread=True if reread else pending.c.reread,
                )
            )

    def leave(
        self,
        lease: Lease,
        mark: Mark,
        *,
        due_in: float,
        keep_take_away: bool = False,
        error: str | None = None,
    ) -> None:
        """Give the lease back with additions left for the worker, all removals being done or held.

        `keep_take_away`: as in `settle`. `error`: what the additions wait for. Raises `LeaseLost`.
        """
        with self.database.transaction() as connection:
            self.renew(lease)
            current = self.read(lease.key)
            values: dict[str, Any] = {}
            if current.generation == mark.generation:
                values = {
                    **_NO_REMOVALS,
                    "next_attempt_at": now() + due_in,
                    "last_error": error,
                    "denied": None,
                }
                if keep_take_away:
                    values["take_away"] = _to_json(current.take_away)
            connection.execute(
                update(pending).where(self._is(lease.key)).values(leased_until=None, **values)
            )

    def relieve(self, lease: Lease, mark: Mark) -> None:
        """All that was to be taken away is gone; what is left waits. Raises `LeaseLost`."""
        with self.database.transaction() as connection:
            self.renew(lease)
            connection.execute(
                update(pending)
                .where(self._is(lease.key), pending.c.generation == mark.generation)
                .values(**_NO_REMOVALS)
            )

    def forget_reread(self, lease: Lease) -> None:
        """The target has been read: a crash from here on is seen by the lease alone."""
        with self.database.transaction() as connection:
            self.renew(lease)
            connection.execute(update(pending).where(self._is(lease.key)).values(reread=False))

    # -- Reading --------------------------------------------------------

    def find(self, key: Key) -> Mark | None:
        with self.database.reading():
            row = self._row(key)
        return None if row is None else _mark(row)

    def read(self, key: Key) -> Mark:
        mark = self.find(key)
        if mark is None:
            raise KeyError(key)
        return mark

    def due(self, limit: int, *, apart_from: Iterable[Key] = ()) -> Sequence[Key]:
        """The pending resources to be worked on next: removals first, then the oldest."""
        skipped = {(key.kind, key.id) for key in apart_from}
        with self.database.reading() as connection:
            rows = connection.execute(
                select(pending.c.kind, pending.c.resource_id)
                .where(
                    pending.c.target == self.target,
                    pending.c.state == "pending",
                    _come(pending.c.next_attempt_at),
                    _FREE,
                    running(),
                )
                # A leaver is disabled before they lose their groups: users go before groups.
                .order_by(pending.c.urgent.desc(), pending.c.kind.desc(), pending.c.next_attempt_at)
                .limit(limit + len(skipped))
            ).all()
        keys = [Key(kind=row.kind, id=row.resource_id) for row in rows]
        return [key for key in keys if (key.kind, key.id) not in skipped][:limit]

    def in_state(self, *states: State) -> Sequence[Key]:
        """Every resource with a mark in one of these states, users first."""
        return [mark.key for mark in self.marked(*states)]

    def marked(self, *states: State) -> Sequence[Mark]:
        """Every mark in one of these states, users first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(pending)
                .where(pending.c.target == self.target, pending.c.state.in_(states))
                .order_by(pending.c.kind.desc(), pending.c.since, pending.c.resource_id)
            ).all()
        return [_mark(row) for row in rows]

    def _row(self, key: Key) -> Row[Any] | None:
        return self.database.connection.execute(_MARK, self._of(key)).one_or_none()

    def _of(self, key: Key) -> dict[str, Any]:
        """Whose mark the statements below are about."""
        return {"of_target": self.target, "of_kind": key.kind, "of_id": key.id}

    def _is(self, key: Key) -> ColumnElement[bool]:
        return and_(
            pending.c.target == self.target,
            pending.c.kind == key.kind,
            pending.c.resource_id == key.id,
        )


def _come(when: ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a time has come, or can only be one of a clock that has been set back since."""
    return or_(when <= now(), when > now() + FURTHEST_AHEAD)


_FREE = or_(pending.c.leased_until.is_(None), _come(pending.c.leased_until))

# Made once, since every write asks for marks and makes some.
_THIS = and_(
    pending.c.target == bindparam("of_target"),
    pending.c.kind == bindparam("of_kind"),
    pending.c.resource_id == bindparam("of_id"),
)
_MARK = select(pending, not_(_FREE).label("leased")).where(_THIS)
_LEASED_UNTIL = now() + bindparam("seconds", type_=Float)
_CLAIM = (
    update(pending)
    .where(_THIS, pending.c.state != "clear", _FREE, running())
    .values(
        lease_no=pending.c.lease_no + 1,
        leased_until=_LEASED_UNTIL,
        reread=or_(pending.c.reread, pending.c.leased_until.is_not(None)),
    )
    .returning(pending.c.lease_no)
)
_HELD = and_(_THIS, pending.c.lease_no == bindparam("number"), pending.c.leased_until.is_not(None))
_RENEW = update(pending).where(_HELD).values(leased_until=_LEASED_UNTIL)


def _first(*, urgent: bool) -> ReturningInsert[Any]:
    """The first mark of a resource."""
    given = ("target", "kind", "resource_id", "urgent", "take_away", "reread", "leased_until")
    values = {
        **{name: bindparam(name, type_=pending.c[name].type) for name in (*given, "requests")},
        "generation": 1,
        "state": "pending",
        "since": now(),
        "revoking_since": now() if urgent else null(),
        "attempts": 0,
        "next_attempt_at": now() + bindparam("quiet", type_=Float),
        "lease_no": 0,
    }
    return insert(pending).values(values).returning(pending)


_FIRST = {urgent: _first(urgent=urgent) for urgent in (False, True)}


def _next() -> ReturningUpdate[Any]:
    """The mark of a resource that had one before."""
    given = {
        name: bindparam(name, type_=pending.c[name].type)
        for name in ("urgent", "take_away", "reread", "requests")
    }
    quiet_over = now() + bindparam("quiet", type_=Float)
    latest = bindparam("latest", type_=Float)
    revoking = case((bindparam("revoking", type_=Boolean), now()))
    return (
        update(pending)
        .where(_THIS)
        .values(
            **given,
            generation=pending.c.generation + 1,
            state="pending",
            since=func.coalesce(bindparam("since", type_=Float), now()),
            revoking_since=func.coalesce(bindparam("revoking_since", type_=Float), revoking),
            attempts=0,
            next_attempt_at=func.coalesce(
                bindparam("due", type_=Float),
                case((quiet_over < latest, quiet_over), else_=latest),
            ),
        )
        .returning(pending)
    )


_AGAIN = _next()


def merged(one: TakeAway, other: TakeAway) -> TakeAway:
    """Both intents at once. Nothing that was to be taken away is forgotten."""
    return TakeAway(
        everyone=one.everyone or other.everyone,
        linked=one.linked or other.linked,
        named=one.named | other.named,
        inherited=one.inherited or other.inherited,
    )


def _mark(row: Row[Any]) -> Mark:
    return Mark(
        key=Key(kind=row.kind, id=row.resource_id),
        generation=row.generation,
        state=row.state,
        urgent=row.urgent,
        take_away=_from_json(row.take_away),
        reread=row.reread,
        attempts=row.attempts,
        lease_no=row.lease_no,
        requests=tuple(row.requests),
        leased=bool(getattr(row, "leased", False)),
        since=row.since,
        revoking_since=row.revoking_since,
        next_attempt_at=row.next_attempt_at,
    )


def _requests(intent: Intent, *earlier: str) -> list[str]:
    """The requests a mark goes back to: those it named already, and those of this context."""
    now_acting = actor.current().request_id
    known = (*earlier, *intent.requests, *actor.causes(), *([now_acting] if now_acting else ()))
    return list(dict.fromkeys(known))[-MOST_REQUESTS:]


def _to_json(take_away: TakeAway) -> dict[str, Any]:
    return {
        "everyone": take_away.everyone,
        "linked": take_away.linked,
        "named": sorted(take_away.named),
        "inherited": take_away.inherited,
    }


def _from_json(value: Any) -> TakeAway:
    stored = json.loads(value) if isinstance(value, str) else value
    return TakeAway(
        everyone=stored["everyone"],
        linked=stored["linked"],
        named=frozenset(stored["named"]),
        # A mark of an older version does not say it.
        inherited=stored.get("inherited", False),
    )


_NO_REMOVALS: dict[str, Any] = {
    "urgent": False,
    "revoking_since": None,
    "take_away": _to_json(NOTHING),
}
_CLEARED: dict[str, Any] = {
    **_NO_REMOVALS,
    "state": "clear",
    "reread": False,
    "attempts": 0,
    "last_error": None,
    "denied": None,
    "requests": [],
}


def _clear() -> Update:
    """A mark that is as it was read is cleared, and its lease given back."""
    values: dict[str, Any] = {
        **_CLEARED,
        "take_away": bindparam("nothing", type_=pending.c.take_away.type),
        "requests": bindparam("no_requests", type_=pending.c.requests.type),
    }
    unchanged = pending.c.generation == bindparam("read")
    return update(pending).where(_HELD, unchanged).values(leased_until=None, **values)


_CLEAR = _clear()
