"""What does somebody hold, through what, from whom and since when? Now, or at a moment in the past.

Read from the rows of the directory, which begin and end, and from what Identity Center was last
seen to hold beside them. Everything is read in a few queries, whoever is asked about.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.nesting import Paths
from scim_bridge.directory.tables import (
    applications,
    assignments,
    groups,
    history,
    links,
    memberships,
    nestings,
    observed,
    observed_assignments,
    observed_memberships,
    permission_sets,
    taken,
    users,
)
from scim_bridge.sync import TARGET

# The origin of what nobody gave through the bridge.
BY_HAND = "by hand at Identity Center"
# The origin of what somebody has who should have nothing any more: it has yet to be taken away.
STILL_THERE = "still there, to be taken away"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One thing that one person holds, through one group or directly."""

    # The id in the directory, and the userName.
    person: str
    user_name: str
    # An account assignment has an account and a permission set, the others an application, or
    # neither: the membership of a group that grants nothing.
    account: str = ""
    # The name as far as it is known, else what was given.
    permission_set: str = ""
    permission_set_arn: str = ""
    application: str = ""
    # The displayName of the group it comes through; "" if it is direct.
    group: str = ""
    # Of somebody who is in it through a group in it: the displayName of the one they are in.
    through: str = ""
    # Who gave the assignment, and of a group's, who put the person in.
    origin: str = ""
    member_by: str = ""
    # Since when both have been there, in seconds since 1970; None: not known.
    since: float | None = None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who could hold access at a moment."""

    id: str
    user_name: str


def holdings(
    database: Database,
    *,
    at: float | None = None,
    person: str | None = None,
    account: str | None = None,
) -> Sequence[Holding]:
    """What people hold, ordered by person, account and permission set.

    `at`: a moment in the past, in seconds since 1970; now if None. `person`: an id of the
    directory. `account`: only assignments in this account. Who was inactive or deleted at the
    moment holds nothing by the directory. For now, what Identity Center was last seen to hold is
    told beside it: also of people whom the directory does not know, and of leavers who have yet to
    be disabled.
    """
    with database.reading():
        people = _active(database, at, person)
        names = _Names.read(database)
        found = [
            *_direct(database, at, people, names),
            *_through_groups(database, at, people, names),
            *(_seen(database, people, names, person) if at is None else ()),
            *(_taken_later(database, at, people, names) if at is not None else ()),
        ]
    wanted = [one for one in found if account is None or one.account == account]
    return sorted(
        _distinct(wanted),
        key=lambda one: (
            one.user_name,
            one.account,
            one.permission_set,
            one.application,
            one.group,
        ),
    )


def _distinct(found: Iterable[Holding]) -> Iterator[Holding]:
    """Without what is seen by hand though the directory gives the same through the same."""
    seen: set[tuple[str, ...]] = set()
    for one in sorted(found, key=lambda one: one.origin in (BY_HAND, STILL_THERE)):
        what = one.permission_set_arn or one.permission_set
        key = (one.person, one.account, what, one.application, one.group)
        if one.origin not in (BY_HAND, STILL_THERE) or key not in seen:
            yield one
        seen.add(key)


# -- Who ------------------------------------------------------------------------


def _active(database: Database, at: float | None, person: str | None) -> Mapping[str, Person]:
    """Everybody who was active at a moment, by id."""
    one = [] if person is None else [users.c.id == person]
    if at is None:
        query = select(users.c.id, users.c.user_name).where(
            users.c.active, users.c.deleted_at.is_(None), *one
        )
        rows = database.connection.execute(query)
        return {row.id: Person(id=row.id, user_name=row.user_name) for row in rows}
    found: dict[str, Person] = {}
    for row in database.connection.execute(_documents_at(at, person)):
        if row.after is not None and row.after.get("active") is not False:
            found[row.resource_id] = Person(
                id=row.resource_id, user_name=str(row.after.get("userName", ""))
            )
    return found


def _documents_at(at: float, person: str | None) -> Any:
    """The version of each user that was in force at a moment."""
    columns = history.c
    wanted = [columns.kind == "user", columns.at <= at]
    if person is not None:
        wanted.append(columns.resource_id == person)
    last = (
        select(func.max(columns.id).label("id")).where(*wanted).group_by(columns.resource_id)
    ).subquery()
    return select(columns.resource_id, columns.after).join(last, last.c.id == columns.id)


def _valid(table: Any, at: float | None) -> ColumnElement[bool]:
    if at is None:
        return table.c.valid_to.is_(None)  # type: ignore[no-any-return]
    return and_(table.c.valid_from <= at, or_(table.c.valid_to.is_(None), table.c.valid_to > at))


# -- What -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Names:
    """What permission sets and applications are called, by ARN."""

    permission_sets: Mapping[str, str]
    applications: Mapping[str, str]

    @classmethod
    def read(cls, database: Database) -> "_Names":
        def named(key: Any, name: Any) -> Mapping[str, str]:
            return {row[0]: row[1] for row in database.connection.execute(select(key, name))}

        return cls(
            permission_sets=named(permission_sets.c.arn, permission_sets.c.name),
            applications=named(applications.c.arn, applications.c.name),
        )

    def holding(self, person: Person, row: Row[Any], **facts: Any) -> Holding:
        """The holding of a row with an account and a permission set, or an application."""
        arn = getattr(row, "permission_set_arn", None) or row.permission_set
        application = getattr(row, "application_arn", None) or row.application
        return Holding(
            person=person.id,
            user_name=person.user_name,
            account=row.account_id,
            permission_set=self.permission_sets.get(arn, row.permission_set),
            permission_set_arn=arn if arn.startswith("arn:") else "",
            application=self.applications.get(application, application),
            **facts,
        )


def _direct(
    database: Database, at: float | None, people: Mapping[str, Person], names: _Names
) -> Iterator[Holding]:
    rows = database.connection.execute(
        select(assignments).where(assignments.c.kind == "user", _valid(assignments, at))
    )
    for row in rows:
        if row.resource_id in people:
            person = people[row.resource_id]
            yield names.holding(person, row, origin=row.origin, since=row.valid_from)


def _through_groups(
    database: Database, at: float | None, people: Mapping[str, Person], names: _Names
) -> Iterator[Holding]:
    granted: dict[str, list[Row[Any]]] = {}
    for row in database.connection.execute(
        select(assignments).where(assignments.c.kind == "group", _valid(assignments, at))
    ):
        granted.setdefault(row.resource_id, []).append(row)
    called = {
        row.id: row.display_name
        for row in database.connection.execute(select(groups.c.id, groups.c.display_name))
    }
    for member in _members(database, at, people):
        person = people[member.person]
        base = Holding(
            person=person.id,
            user_name=person.user_name,
            group=called.get(member.group, member.group),
            through=called.get(member.through, member.through),
            member_by=member.origin,
            since=member.since,
        )
        rows = granted.get(member.group)
        if not rows:
            yield base
        for row in rows or ():
            yield replace(
                names.holding(person, row),
                group=base.group,
                through=base.through,
                member_by=member.origin,
                origin=row.origin,
                since=max(member.since, row.valid_from),
            )


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One way in which somebody is in a group."""

    person: str
    group: str
    # The group in it that they are in; "" if it is this one.
    through: str = ""
    origin: str
    since: float


def _members(
    database: Database, at: float | None, people: Mapping[str, Person]
) -> Iterator[_Member]:
    """Who is in which group, themselves and through groups in it."""
    paths = Paths(database, _valid(nestings, at))
    query = select(memberships).where(_valid(memberships, at))
    if len(people) == 1:
        query = query.where(memberships.c.member_id == next(iter(people)))
    for row in database.connection.execute(query):
        if row.member_id not in people:
            continue
        own = _Member(
            person=row.member_id, group=row.group_id, origin=row.origin, since=row.valid_from
        )
        yield own
        for outer, since in paths.outward(row.group_id).items():
            since = max(since, own.since)
            yield replace(own, group=outer, through=row.group_id, since=since)


# -- Beside the directory -------------------------------------------------------


def _seen(
    database: Database, people: Mapping[str, Person], names: _Names, person: str | None
) -> Iterator[Holding]:
    """What Identity Center was seen to hold that the directory does not give."""
    principals = _principals(database, people, person)
    seen = observed_assignments
    for row in database.connection.execute(
        select(seen).where(seen.c.target == TARGET, seen.c.kind == "user")
    ):
        if found := principals.get(row.principal_id):
            yield names.holding(found.person, row, origin=found.origin)
    yield from _unknown_groups(database, principals, names)


@dataclass(frozen=True, kw_only=True)
class _Principal:
    """Somebody at Identity Center who can sign in, and what it means that they hold something."""

    person: Person
    origin: str


def _principals(
    database: Database, people: Mapping[str, Person], person: str | None
) -> Mapping[str, _Principal]:
    """Who was last seen at Identity Center, by the ids there; who is disabled has nothing."""
    rows = database.connection.execute(
        select(observed.c.target_id, observed.c.attributes, links.c.resource_id, users.c.user_name)
        .outerjoin(
            links,
            and_(
                links.c.target == observed.c.target,
                links.c.kind == observed.c.kind,
                links.c.target_id == observed.c.target_id,
            ),
        )
        .outerjoin(users, users.c.id == links.c.resource_id)
        .where(observed.c.target == TARGET, observed.c.kind == "user", observed.c.active)
    )
    found: dict[str, _Principal] = {}
    for row in rows:
        if person is not None and row.resource_id != person:
            continue
        name = row.user_name or str(row.attributes.get("userName", row.target_id))
        who = Person(id=row.resource_id or row.target_id, user_name=name)
        leaves = row.resource_id is not None and row.resource_id not in people
        found[row.target_id] = _Principal(person=who, origin=STILL_THERE if leaves else BY_HAND)
    return found


def _unknown_groups(
    database: Database, principals: Mapping[str, _Principal], names: _Names
) -> Iterator[Holding]:
    """Access through memberships, and groups, that the bridge did not give."""
    granted: dict[str, list[Row[Any]]] = {}
    seen = observed_assignments
    for row in database.connection.execute(
        select(seen).where(seen.c.target == TARGET, seen.c.kind == "group")
    ):
        granted.setdefault(row.principal_id, []).append(row)
    called = _groups_at_target(database)
    inside = observed_memberships
    for member in database.connection.execute(select(inside).where(inside.c.target == TARGET)):
        found = principals.get(member.member_id)
        if found is None:
            continue
        group = called.get(member.group_id, member.group_id)
        for row in granted.get(member.group_id, ()):
            holding = names.holding(found.person, row, origin=found.origin)
            yield replace(holding, group=group, member_by=found.origin)


def _groups_at_target(database: Database) -> Mapping[str, str]:
    """What each group is called there, by its id."""
    rows = database.connection.execute(
        select(observed.c.target_id, observed.c.attributes).where(
            observed.c.target == TARGET, observed.c.kind == "group"
        )
    )
    return {row.target_id: str(row.attributes.get("displayName", row.target_id)) for row in rows}


def _taken_later(
    database: Database, at: float, people: Mapping[str, Person], names: _Names
) -> Iterator[Holding]:
    """What was given by hand and taken away by a deactivation after the moment."""
    rows = database.connection.execute(
        select(taken).where(taken.c.target == TARGET, taken.c.at > at, taken.c.group_id == "")
    )
    for row in rows:
        if row.person in people:
            yield names.holding(people[row.person], row, origin=BY_HAND)
