"""Who is in which group, and who put them there: rows that begin and end.

A row is never deleted: a membership that ended keeps its row. Everything is done on sets of ids,
and costs what the set costs, whatever the size of the group.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Float,
    FromClause,
    Insert,
    Select,
    Table,
    Text,
    bindparam,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)

from scim_bridge.directory import lists
from scim_bridge.directory.database import Database
from scim_bridge.directory.prepared import Prepared
from scim_bridge.directory.tables import groups, memberships, users

# The origin of what a rule gives begins with this. Whatever else gave a membership, a client may
# take away.
RULE = "rule:"

_T = TypeVar("_T")

# How many ids one statement names: a database limits the variables of a statement.
_CHUNK = 5_000

_columns = memberships.c
CURRENT = memberships.c.valid_to.is_(None)
_GIVEN = not_(memberships.c.origin.startswith(RULE))


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Whose membership of a group began and ended, and which groups were put into it."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    # The rows that began.
    rows: tuple[int, ...] = ()
    # The groups that were put into the group, and those that were taken out of it.
    nested: tuple[str, ...] = ()
    unnested: tuple[str, ...] = ()
    # The rows of nestings that began.
    nesting_rows: tuple[int, ...] = ()
    # The people of the groups that were taken out.
    let_go: tuple[str, ...] = ()
    # Who was to be taken out and is still a member, since a rule gives it.
    kept: tuple[str, ...] = ()

    @property
    def everyone(self) -> tuple[str, ...]:
        return self.added + self.removed

    @property
    def changed(self) -> bool:
        return bool(self.added or self.removed or self.nested or self.unnested)

    def then(self, other: "Moves") -> "Moves":
        return Moves(
            **{
                each.name: (*getattr(self, each.name), *getattr(other, each.name))
                for each in fields(self)
            }
        )


NO_MOVES = Moves()


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A group that a user is in."""

    group_id: str
    display: str
    # Through a group that is in it, not by a membership of its own.
    indirect: bool = False


def _beginning(ids: FromClause, *unless: ColumnElement[bool]) -> Insert:
    """Memberships of a group for those of a list who are live users, in its order."""
    begun = (
        select(
            bindparam("group", type_=Text),
            ids.c.value,
            bindparam("origin", type_=Text),
            bindparam("at", type_=Float),
        )
        .join_from(ids, users, users.c.id == ids.c.value)
        .where(users.c.deleted_at.is_(None), *unless)
        .order_by(ids.c.key)
    )
    return insert(memberships).from_select(("group_id", "member_id", "origin", "valid_from"), begun)


def _given_none(ids: FromClause) -> ColumnElement[bool]:
    """Whether one of a list has no membership that was given: a rule's stands apart."""
    rows = memberships.alias("present")
    given = exists().where(
        rows.c.group_id == bindparam("group"),
        rows.c.member_id == ids.c.value,
        rows.c.valid_to.is_(None),
        not_(rows.c.origin.startswith(RULE)),
    )
    return not_(given)


# Made once, since every addition says it.
_ADD = lists.for_each_dialect(
    lambda ids: _beginning(ids, _given_none(ids)).returning(memberships.c.id, _columns.member_id)
)
_FILL = lists.for_each_dialect(
    lambda ids: _beginning(ids).execution_options(preserve_rowcount=True)
)


def add(
    database: Database, group_id: str, member_ids: Iterable[str], origin: str, *, at: float
) -> Moves:
    """Begin a membership for every live user who has none that was given: a rule's stands apart."""
    told = {
        "group": group_id,
        "ids": lists.as_value(dict.fromkeys(member_ids)),
        "origin": origin,
        "at": at,
    }
    with database.transaction() as connection:
        # In the order in which they came: PostgreSQL returns them in any.
        begun = sorted(map(tuple, connection.execute(lists.on(database, _ADD), told)))
    return Moves(
        added=tuple(member_id for _, member_id in begun), rows=tuple(row for row, _ in begun)
    )


def fill(
    database: Database, group_id: str, member_ids: Sequence[str], origin: str, *, at: float
) -> int:
    """Begin the first memberships of a new group, for live users. Returns how many."""
    told = {"group": group_id, "ids": lists.as_value(member_ids), "origin": origin, "at": at}
    with database.transaction() as connection:
        return connection.execute(lists.on(database, _FILL), told).rowcount


# Who is in a group of those, whoever gave it.
_STILL = (
    select(_columns.member_id)
    .where(
        _columns.group_id == bindparam("group"),
        _columns.member_id.in_(bindparam("ids", expanding=True)),
        CURRENT,
    )
    .distinct()
)


def remove(database: Database, group_id: str, member_ids: Iterable[str], *, at: float) -> Moves:
    """End the memberships of these members, whoever gave them, but not a rule's."""
    with database.transaction() as connection:
        ended: list[str] = []
        kept: list[str] = []
        for chunk in chunks(dict.fromkeys(member_ids)):
            ended += _end(
                database,
                _columns.member_id,
                at,
                _columns.group_id == group_id,
                _columns.member_id.in_(chunk),
                _GIVEN,
            )
            kept += connection.scalars(_STILL, {"group": group_id, "ids": chunk})
        still = set(kept)
        return Moves(removed=tuple(one for one in ended if one not in still), kept=tuple(kept))


def replace(
    database: Database, group_id: str, member_ids: Iterable[str], origin: str, *, at: float
) -> Moves:
    """Make these the members, by ending and beginning only what differs.

    Who is a member by a rule stays one by the rule alone: to state what is there gives nothing.
    """
    wanted = dict.fromkeys(member_ids)
    with database.transaction() as connection:
        present = set(
            connection.scalars(
                select(_columns.member_id).where(_columns.group_id == group_id, CURRENT).distinct()
            )
        )
        gone = [member_id for member_id in present if member_id not in wanted]
        new = [member_id for member_id in wanted if member_id not in present]
        ended = remove(database, group_id, gone, at=at)
        begun = add(database, group_id, new, origin, at=at)
        return ended.then(begun)


@dataclass(frozen=True, kw_only=True, order=True)
class Given:
    """That a rule gives somebody a group."""

    group: str
    member: str
    rule: str


def by_rules(database: Database, member_ids: Sequence[str] | None = None) -> Iterator[Given]:
    """What rules give these users now, or all users."""
    query = select(_columns.group_id, _columns.member_id, _columns.origin).where(
        CURRENT, _columns.origin.startswith(RULE)
    )
    for each in about(query, _columns.member_id, member_ids):
        for group, member, origin in database.connection.execute(each):
            yield Given(group=group, member=member, rule=origin.removeprefix(RULE))


def origins(database: Database, group_ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Who is in these groups, and who gave it: group, member and origin."""
    query = select(_columns.group_id, _columns.member_id, _columns.origin).where(
        _columns.group_id.in_(group_ids), CURRENT
    )
    yield from map(tuple, database.connection.execute(query))


def turn(
    database: Database,
    group_id: str,
    *,
    end: Collection[Given],
    begin: Collection[Given],
    at: float,
) -> Moves:
    """End and begin what rules give of one group. Who stays a member neither comes nor goes."""
    touched = sorted({given.member for given in (*end, *begin)})
    before = _among(database, group_id, touched)
    for rule in sorted({given.rule for given in end}):
        for chunk in chunks(sorted(given.member for given in end if given.rule == rule)):
            _end(
                database,
                _columns.member_id,
                at,
                _columns.group_id == group_id,
                _columns.member_id.in_(chunk),
                _columns.origin == f"{RULE}{rule}",
            )
    rows = [
        {
            "group_id": group_id,
            "member_id": one.member,
            "origin": f"{RULE}{one.rule}",
            "valid_from": at,
            "valid_to": None,
        }
        for one in sorted(begin)
    ]
    if rows:
        database.connection.execute(insert(memberships), rows)
    after = _among(database, group_id, touched)
    return Moves(added=tuple(sorted(after - before)), removed=tuple(sorted(before - after)))


def _among(database: Database, group_id: str, member_ids: Sequence[str]) -> set[str]:
    """Those of these users who are in a group."""
    found: set[str] = set()
    for chunk in chunks(member_ids):
        found.update(database.connection.scalars(_STILL, {"group": group_id, "ids": chunk}))
    return found


def end_rows(database: Database, rows: Sequence[int], *, at: float) -> Moves:
    """End these rows, as far as they have not ended."""
    ended: list[str] = []
    for chunk in chunks(rows):
        ended += _end(database, _columns.member_id, at, memberships.c.id.in_(chunk))
    return Moves(removed=tuple(ended))


def end_group(database: Database, group_id: str, *, at: float) -> Moves:
    """End every membership of a group."""
    return Moves(
        removed=tuple(_end(database, _columns.member_id, at, _columns.group_id == group_id))
    )


def end_member(
    database: Database, member_id: str, *, at: float, begun_by: float | None = None
) -> tuple[str, ...]:
    """End every membership of a user (that had begun by a time). Returns the groups."""
    begun = [] if begun_by is None else [memberships.c.valid_from <= begun_by]
    return tuple(_end(database, _columns.group_id, at, _columns.member_id == member_id, *begun))


def reopen_member(
    database: Database, member_id: str, *, ended_at: float, at: float
) -> tuple[str, ...]:
    """Begin again the memberships of a user that ended at a time. Returns the groups."""
    with database.transaction() as connection:
        ended = connection.execute(
            select(_columns.group_id, _columns.origin)
            .join(groups, groups.c.id == _columns.group_id)
            .where(
                _columns.member_id == member_id,
                _columns.valid_to == ended_at,
                groups.c.deleted_at.is_(None),
            )
        ).all()
        for group_id, origin in ended:
            add(database, group_id, [member_id], origin, at=at)
        return tuple(dict.fromkeys(group_id for group_id, _ in ended))


def last_origin(database: Database, group_id: str, member_id: str) -> str | None:
    """Who gave the latest membership of a user in a group; None if there never was one."""
    return latest_origin(
        database, memberships, _columns.group_id == group_id, _columns.member_id == member_id
    )


def latest_origin(database: Database, table: Table, *which: ColumnElement[bool]) -> str | None:
    """Who gave the latest of these rows; None if there is none."""
    latest = select(table.c.origin).where(*which).order_by(table.c.id.desc()).limit(1)
    with database.reading() as connection:
        origin: str | None = connection.scalar(latest)
        return origin


def members(database: Database, group_ids: Iterable[str]) -> dict[str, list[str]]:
    """The current members of each group, in the order in which they came."""
    found: dict[str, list[str]] = {}
    with database.reading() as connection:
        for chunk in chunks(group_ids):
            rows = connection.execute(
                select(_columns.group_id, _columns.member_id)
                .where(_columns.group_id.in_(chunk), CURRENT)
                .group_by(_columns.group_id, _columns.member_id)
                .order_by(func.min(memberships.c.id))
            )
            for group_id, member_id in rows:
                found.setdefault(group_id, []).append(member_id)
    return found


# Asked with almost every read of a user.
_HELD = Prepared(
    select(_columns.member_id, _columns.group_id, groups.c.display_name)
    .join(groups, groups.c.id == _columns.group_id)
    .where(lists.among(_columns.member_id), CURRENT)
    .order_by(_columns.id)
)


def groups_held(database: Database, member_ids: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    """Each user with each group they are in and its name, in the order in which they came."""
    with database.reading() as connection:
        rows = _HELD.rows(connection, ids=lists.as_value(member_ids))
    # Somebody may have been put there by several.
    return cast("dict[tuple[str, str, str], None]", dict.fromkeys(rows))


def groups_of(database: Database, member_ids: Sequence[str]) -> dict[str, list[Membership]]:
    """The groups each user is in, in the order in which they came."""
    found: dict[str, list[Membership]] = {}
    for member_id, group_id, display in groups_held(database, member_ids):
        found.setdefault(member_id, []).append(Membership(group_id=group_id, display=display))
    return found


def _end(
    database: Database, returned: ColumnElement[str], at: float, *which: ColumnElement[bool]
) -> list[str]:
    with database.transaction() as connection:
        ended = connection.execute(
            update(memberships)
            .where(CURRENT, *which)
            .values(valid_to=at)
            .returning(memberships.c.id, returned)
        )
        # In the order in which they came: PostgreSQL returns them in any.
        return list(dict.fromkeys(one for _, one in sorted(map(tuple, ended))))


def about(
    query: Select[Any], column: ColumnElement[str], ids: Sequence[str] | None
) -> Sequence[Select[Any]]:
    """A query about these ids, in queries short enough. None: about all."""
    if ids is None:
        return [query]
    return [query.where(column.in_(chunk)) for chunk in chunks(ids)]


def chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Split values into lists short enough for one statement."""
    listed = list(values)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]
