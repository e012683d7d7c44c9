"""Who is in a group through groups in it? Which group is in which: rows that begin and end.

Identity Center has no nested groups (AWS SCIM developer guide, limitations). With ``[groups]
nested = "flatten"`` the people of an inner group are members of the outer one too, however deep it
lies. Whoever asks who is in a group asks here: `inside` and `around` find the groups, and cost one
look at an index where no group is in another. A circle of groups does no harm: each is found once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.sql import FromClause

from scim_bridge.directory.database import Database
from scim_bridge.directory.memberships import CURRENT as CURRENT_MEMBERSHIP
from scim_bridge.directory.memberships import NO_MOVES, Membership, Moves, chunks, latest_origin
from scim_bridge.directory.tables import groups, memberships, nestings
from scim_bridge.errors import OperatorError
from scim_bridge.settings import Groups as GroupSettings

_columns = nestings.c
CURRENT = nestings.c.valid_to.is_(None)


def _pairs() -> FromClause:
    found = (
        select(_columns.group_id, _columns.inner_id).where(CURRENT).cte("nested", recursive=True)
    )
    deeper = nestings.alias()
    return found.union(
        select(found.c.group_id, deeper.c.inner_id).where(
            deeper.c.group_id == found.c.inner_id, deeper.c.valid_to.is_(None)
        )
    )


# All pairs of a group and one that is in it, however deep: `group_id` and `inner_id`. It is one
# object, since one statement may need it several times.
PAIRS = _pairs()


# -- Which groups, for use in a statement -----------------------------------------------------


def inside(start: Select[str]) -> Select[str]:
    """These groups, and all that are in them."""
    found = start.cte("inside", recursive=True)
    (group_id,) = found.c
    inner = select(_columns.inner_id).where(_columns.group_id == group_id, CURRENT)
    return select(*found.union(inner).c)


def around(start: Select[str]) -> Select[str]:
    """These groups, and all that they are in."""
    found = start.cte("around", recursive=True)
    (inner_id,) = found.c
    outer = select(_columns.group_id).where(_columns.inner_id == inner_id, CURRENT)
    return select(*found.union(outer).c)


def these(group_ids: Collection[str]) -> Select[str]:
    """Groups by their ids, as what `inside` and `around` start from."""
    return select(groups.c.id).where(groups.c.id.in_(group_ids))


def people_of(group_ids: Collection[str]) -> Select[str]:
    """The ids of everybody who is in these groups, active or not."""
    return select(memberships.c.member_id).where(
        memberships.c.group_id.in_(inside(these(group_ids))), CURRENT_MEMBERSHIP
    )


def groups_with(user_id: str | BindParameter[str]) -> Select[str]:
    """The ids of all groups that a user is in, active or not."""
    direct = select(memberships.c.group_id).where(
        memberships.c.member_id == user_id, CURRENT_MEMBERSHIP
    )
    return around(direct)


def is_member(group_id: ColumnElement[str], user_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a user is in a group, of two columns of a statement."""
    row = memberships.alias()
    current = row.c.valid_to.is_(None)
    direct = exists().where(row.c.group_id == group_id, row.c.member_id == user_id, current)
    inherited = exists().where(
        row.c.member_id == user_id,
        current,
        row.c.group_id == PAIRS.c.inner_id,
        PAIRS.c.group_id == group_id,
    )
    return or_(direct, inherited)


# -- Reading ----------------------------------------------------------------------------------


# Made once, since every change of members asks it.
_OUTER = around(select(groups.c.id).where(groups.c.id.in_(bindparam("ids", expanding=True))))


def outer_groups(database: Database, group_ids: Iterable[str]) -> tuple[str, ...]:
    """The groups that these are in, without these."""
    wanted = dict.fromkeys(group_ids)
    found: dict[str, None] = {}
    with database.reading() as connection:
        for chunk in chunks(wanted):
            found.update(dict.fromkeys(connection.scalars(_OUTER, {"ids": chunk})))
    return tuple(sorted(found.keys() - wanted.keys()))


def people(database: Database, group_ids: Iterable[str]) -> tuple[str, ...]:
    """Everybody who is in these groups, active or not."""
    found: dict[str, None] = {}
    with database.reading() as connection:
        for chunk in chunks(group_ids):
            found.update(dict.fromkeys(connection.scalars(people_of(chunk))))
    return tuple(found)


def inner_groups(database: Database, group_ids: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """The groups that were put into each group, in the order in which they came."""
    found: dict[str, list[str]] = {}
    with database.reading() as connection:
        for chunk in chunks(group_ids):
            rows = connection.execute(
                select(_columns.group_id, _columns.inner_id)
                .where(_columns.group_id.in_(chunk), CURRENT)
                .order_by(_columns.id)
            )
            for group_id, inner_id in rows:
                found.setdefault(group_id, []).append(inner_id)
    return found


def inherited_groups(
    database: Database, user_ids: Iterable[str]
) -> Mapping[str, Sequence[Membership]]:
    """The groups that each user is in through a group in them."""
    found: dict[str, list[Membership]] = {}
    with database.reading() as connection:
        for chunk in chunks(user_ids):
            rows = connection.execute(
                select(memberships.c.member_id, groups.c.id, groups.c.display_name)
                .join(PAIRS, PAIRS.c.inner_id == memberships.c.group_id)
                .join(groups, groups.c.id == PAIRS.c.group_id)
                .where(memberships.c.member_id.in_(chunk), CURRENT_MEMBERSHIP)
                .distinct()
                .order_by(groups.c.id)
            )
            for user_id, group_id, display in rows:
                one = Membership(group_id=group_id, display=display, indirect=True)
                found.setdefault(user_id, []).append(one)
    return found


def every_nesting(database: Database) -> Mapping[str, Sequence[str]]:
    """The groups that were put into each group that has any."""
    with database.reading() as connection:
        outer = connection.scalars(select(_columns.group_id).where(CURRENT).distinct())
        return inner_groups(database, sorted(outer))


def depths(database: Database) -> Mapping[str, int]:
    """How many groups are in each group that has any: more in an outer one than in what is in it.

    Who is put into groups inner ones first is in no outer one twice.
    """
    count = select(PAIRS.c.group_id, func.count()).group_by(PAIRS.c.group_id)
    with database.reading() as connection:
        return {group_id: int(number) for group_id, number in connection.execute(count)}


def check(database: Database, settings: GroupSettings) -> None:
    """Raise `OperatorError` if groups are nested though ``[groups] nested`` is "skip".

    They would give access that no client's word and no setting stands for any more.
    """
    if settings.nested != "skip":
        return
    if count := sum(map(len, every_nesting(database).values())):
        raise OperatorError(
            f'[groups] nested is "skip", but there are nested groups ({count}): end that with '
            '`scim-bridge unnest`, or set it to "flatten" again'
        )


def is_in(database: Database, group_id: str, user_id: str) -> bool:
    """Whether a user is in a group now, active or not."""
    query = people_of([group_id]).where(memberships.c.member_id == user_id).limit(1)
    with database.reading() as connection:
        return connection.scalar(query) is not None


def last_origin(database: Database, group_id: str, inner_id: str) -> str | None:
    """Who put a group into another last; None if nobody ever did."""
    return latest_origin(
        database, nestings, _columns.group_id == group_id, _columns.inner_id == inner_id
    )


class Paths:
    """Which groups is a group in, and since when? Of the nestings that are valid, now or then."""

    def __init__(self, database: Database, valid: ColumnElement[bool]) -> None:
        self._outer: dict[str, list[tuple[str, float]]] = {}
        rows = database.connection.execute(
            select(_columns.inner_id, _columns.group_id, _columns.valid_from).where(valid)
        )
        for inner_id, group_id, since in rows:
            self._outer.setdefault(inner_id, []).append((group_id, since))

    def outward(self, group_id: str) -> Mapping[str, float]:
        """The groups that a group is in, and since when each has held it without a break."""
        found: dict[str, float] = {}
        ahead = [(0.0, group_id)]
        while ahead:
            since, inner = heappop(ahead)
            if inner in found:
                continue
            found[inner] = since
            for outer, began in self._outer.get(inner, ()):
                heappush(ahead, (max(since, began), outer))
        del found[group_id]
        return found


# -- Writing ----------------------------------------------------------------------------------


def add(
    database: Database, group_id: str, inner_ids: Collection[str], origin: str, *, at: float
) -> Moves:
    """Put groups into a group, as far as they are not in it."""
    with database.transaction() as connection:
        present = {*inner_groups(database, [group_id]).get(group_id, ())}
        new = [inner_id for inner_id in dict.fromkeys(inner_ids) if inner_id not in present]
        if not new:
            return NO_MOVES
        rows = connection.scalars(
            insert(nestings).returning(_columns.id),
            [
                {"group_id": group_id, "inner_id": each, "origin": origin, "valid_from": at}
                for each in new
            ],
        )
        return Moves(nested=tuple(new), nesting_rows=tuple(rows))


def remove(database: Database, group_id: str, inner_ids: Iterable[str], *, at: float) -> Moves:
    """Take these groups out of a group, whoever put them there."""
    moves = NO_MOVES
    for chunk in chunks(dict.fromkeys(inner_ids)):
        moves = moves.then(
            _end(database, at, _columns.group_id == group_id, _columns.inner_id.in_(chunk))
        )
    return moves


def replace(
    database: Database, group_id: str, inner_ids: Collection[str], origin: str, *, at: float
) -> Moves:
    """Make these the groups in a group, by ending and beginning only what differs."""
    wanted = dict.fromkeys(inner_ids)
    with database.transaction():
        present = inner_groups(database, [group_id]).get(group_id, ())
        gone = [inner_id for inner_id in present if inner_id not in wanted]
        ended = remove(database, group_id, gone, at=at)
        return ended.then(add(database, group_id, wanted, origin, at=at))


def end_rows(database: Database, rows: Sequence[int], *, at: float) -> Moves:
    """End these rows, as far as they have not ended."""
    moves = NO_MOVES
    for chunk in chunks(rows):
        moves = moves.then(_end(database, at, _columns.id.in_(chunk)))
    return moves


def end_group(database: Database, group_id: str, *, at: float) -> tuple[Moves, tuple[str, ...]]:
    """Take everything out of a group, and it out of the groups it is in. Returns those, too."""
    with database.transaction() as connection:
        emptied = _end(database, at, _columns.group_id == group_id)
        left = connection.scalars(
            update(nestings)
            .where(CURRENT, _columns.inner_id == group_id)
            .values(valid_to=at)
            .returning(_columns.group_id)
        )
        return emptied, tuple(left)


def _end(database: Database, at: float, *which: ColumnElement[bool]) -> Moves:
    with database.transaction() as connection:
        ended = tuple(
            connection.scalars(
                update(nestings)
                .where(CURRENT, *which)
                .values(valid_to=at)
                .returning(_columns.inner_id)
            )
        )
        return Moves(unnested=ended, let_go=people(database, ended))


def held_still(database: Database, group_ids: Collection[str]) -> None:
    """Let nobody else change who is in these groups until the transaction ends.

    A group that is just being put into another one must not lose a person unnoticed meanwhile: who
    takes them out cannot see yet that the outer group is concerned.
    """
    within = select(groups.c.id).where(groups.c.id.in_(inside(these(group_ids))))
    database.connection.execute(within.order_by(groups.c.id).with_for_update()).all()
