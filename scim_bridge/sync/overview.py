"""How things stand between the directory and a target, for `status`, `/readyz` and the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, exists, func, literal, select, text

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database, now
from scim_bridge.plan.brake import Category
from scim_bridge.sync import ACCESS_SUFFIX, access_of
from scim_bridge.sync.marks import Key
from scim_bridge.sync.pause import Pause, paused

# Access that was to go and has not gone for this long is an alarm, in seconds.
OVERDUE = 300.0

pending = tables.pending
# In the words of the index that finds it.
UNSETTLED = text("pending.state != 'clear'")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One resource that is not as it should be at the target."""

    key: Key
    # The userName or displayName.
    name: str
    state: str
    # Seconds since the oldest change that has not arrived.
    age: float
    # Whether access waits to be taken away.
    revoking: bool
    attempts: int
    last_error: str | None
    # It is about account and application assignments.
    is_access: bool = False


@dataclass(frozen=True, kw_only=True)
class HeldSet:
    """Losses of access that an operator is asked about together."""

    id: str
    category: Category
    people: int
    age: float


@dataclass(frozen=True, kw_only=True)
class Door:
    """Whether calls get through to the target, and why not."""

    circuit: str
    cause: str | None
    # Seconds since it is so.
    age: float


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How things stand. Ages are in seconds."""

    # How many resources are in each state: pending, failed, held, suppressed.
    states: Mapping[str, int]
    oldest_pending: float | None
    # Revocations that are pending for longer than `OVERDUE`.
    overdue: int
    held_sets: Sequence[HeldSet]
    door: Door | None
    # The newest error of a mark that is not done, in words.
    last_error: str | None
    # All delivery was stopped by an operator.
    pause: Pause | None
    # The door of account and application assignments.
    access_door: Door | None = None
    # The IAM actions that the bridge needs for something pending and is not allowed.
    denied: Sequence[str] = ()

    @property
    def in_sync(self) -> bool:
        return not any(self.states.get(state) for state in ("pending", "failed", "held"))


def overview(database: Database, target: str) -> Overview:
    """How things stand now, of principals and of their assignments. Costs a few counting queries,
    whatever is pending.
    """
    with database.reading() as connection:
        states = _states(connection, target)
        return Overview(
            states={state: counted.rows for state, counted in states.items()},
            oldest_pending=states["pending"].age if "pending" in states else None,
            overdue=_overdue(connection, target),
            held_sets=_held_sets(database, target),
            door=_door(database, target),
            last_error=_last_error(connection, target),
            pause=paused(database),
            access_door=_door(database, access_of(target)),
            denied=_denied(database, target),
        )


class _Counted(NamedTuple):
    """How many resources are in a state, and for how many seconds the first of them is."""

    rows: int
    age: float


def _states(connection: Connection, target: str) -> dict[str, _Counted]:
    """A resource counts once in a state, whether it waits itself, its assignments, or both."""
    itself = pending.alias("itself")
    too = exists().where(
        itself.c.target == target,
        itself.c.kind == pending.c.kind,
        itself.c.resource_id == pending.c.resource_id,
        itself.c.state == pending.c.state,
    )
    found: dict[str, _Counted] = {}
    for one, rows in (
        (target, func.count()),
        (access_of(target), func.count(case((too, None), else_=1))),
    ):
        counted = (
            select(pending.c.state, rows, now() - func.min(pending.c.since))
            .where(pending.c.target == one, UNSETTLED)
            .group_by(pending.c.state)
        )
        for state, number, age in connection.execute(counted):
            before = found.get(state, _Counted(rows=0, age=0.0))
            found[state] = _Counted(rows=before.rows + number, age=max(before.age, age))
    return found


def _overdue(connection: Connection, target: str) -> int:
    """How many resources have had access that was to go for too long."""
    late = (
        select(pending.c.kind, pending.c.resource_id)
        .where(
            _of(target),
            pending.c.state == "pending",
            pending.c.revoking_since < now() - OVERDUE,
        )
        .distinct()
        .subquery()
    )
    return connection.scalar(select(func.count()).select_from(late)) or 0


def _last_error(connection: Connection, target: str) -> str | None:
    """The newest error of what is not done: of principals before that of their assignments."""
    errors = (
        connection.scalar(
            select(pending.c.last_error)
            .where(
                pending.c.target == one,
                pending.c.state.in_(("pending", "failed")),
                pending.c.last_error.is_not(None),
            )
            .order_by(pending.c.urgent.desc(), pending.c.next_attempt_at.desc())
            .limit(1)
        )
        for one in (target, access_of(target))
    )
    return next(filter(None, errors), None)


def waiting(database: Database, target: str, *, limit: int = 100) -> Sequence[Waiting]:
    """What is not as it should be, the most pressing first."""
    users, groups = tables.users, tables.groups
    with database.reading() as connection:
        rows = connection.execute(
            select(
                pending,
                (now() - pending.c.since).label("age"),
                func.coalesce(users.c.user_name, groups.c.display_name, "").label("name"),
            )
            .outerjoin(users, (pending.c.kind == "user") & (users.c.id == pending.c.resource_id))
            .outerjoin(groups, (pending.c.kind == "group") & (groups.c.id == pending.c.resource_id))
            .where(_of(target), pending.c.state != "clear")
            .order_by(pending.c.urgent.desc(), pending.c.since)
            .limit(limit)
        ).all()
    return [_waiting(row) for row in rows]


def _waiting(row: Any) -> Waiting:
    return Waiting(
        key=Key(kind=row.kind, id=row.resource_id),
        name=row.name,
        state=row.state,
        age=row.age,
        revoking=row.revoking_since is not None,
        attempts=row.attempts,
        last_error=row.last_error,
        is_access=row.target.endswith(ACCESS_SUFFIX),
    )


def _of(target: str) -> ColumnElement[bool]:
    return pending.c.target.in_((target, access_of(target)))


def _denied(database: Database, target: str) -> list[str]:
    """The actions that something pending needs. By state too, so that an index tells it alone."""
    rows = database.connection.execute(
        select(pending.c.denied, pending.c.state)
        .where(_of(target), pending.c.denied.is_not(None))
        .distinct()
    )
    return sorted({row.denied for row in rows if row.state == "pending"})


def _held_sets(database: Database, target: str) -> list[HeldSet]:
    held = tables.held
    rows = database.connection.execute(
        select(
            held.c.set_id,
            held.c.category,
            func.count(held.c.person.distinct()).label("people"),
            (now() - func.min(held.c.since)).label("age"),
        )
        .where(held.c.target == target, held.c.state == "held")
        .group_by(held.c.set_id, held.c.category)
        .order_by(func.min(held.c.since))
    )
    return [
        HeldSet(id=row.set_id, category=row.category, people=row.people, age=row.age)
        for row in rows
    ]


def _door(database: Database, target: str) -> Door | None:
    doors = tables.doors
    row = database.connection.execute(
        select(doors.c.circuit, doors.c.cause, (now() - doors.c.since).label("age")).where(
            doors.c.target == target
        )
    ).one_or_none()
    return None if row is None else Door(circuit=row.circuit, cause=row.cause, age=row.age)


def door_opened_within(database: Database, target: str, seconds: float) -> bool:
    """Whether some process found the door open, after it was closed, within so many seconds."""
    with database.reading():
        door = _door(database, target)
    return door is not None and door.circuit == "closed" and door.age < seconds


def remember_door(database: Database, target: str, *, circuit: str, cause: str | None) -> None:
    """Write down what the door is like, so that every process and command can tell."""
    doors = tables.doors
    # A probe is no news: the door is closed since it closed.
    was_open, is_open = doors.c.circuit == "closed", literal(circuit == "closed")
    since = case((was_open == is_open, doors.c.since), else_=now())
    with database.transaction() as connection:
        updated = connection.execute(
            doors.update()
            .where(doors.c.target == target)
            .values(circuit=circuit, cause=cause, since=since)
        )
        if not updated.rowcount:
            connection.execute(
                doors.insert().values(target=target, circuit=circuit, cause=cause, since=now())
            )
