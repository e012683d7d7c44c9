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
    applied_assignments,
    applied_memberships,
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
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant
from scim_bridge.sync import TARGET
from scim_bridge.sync.given_back import given_back
from scim_bridge.sync.grants import to_text
from scim_bridge.sync.outstanding import Outstanding, OutstandingLosses, Standing

# The origin of what nobody gave through the bridge.
BY_HAND = "by hand at Identity Center"
# The origin of what the directory gives no more: it has yet to be taken away.
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
    # Its id in the directory, "" if it has none.
    group_id: str = ""
    # Of somebody who is in it through a group in it: the displayName of the one they are in.
    through: str = ""
    # Who gave the assignment, and of a group's, who put the person in.
    origin: str = ""
    member_by: str = ""
    # Since when both have been there, in seconds since 1970; None: not known.
    since: float | None = None
    # The operator who gave the membership back then, since its loss was rejected; "" if nobody did.
    given_back_by: str = ""
    # How its loss stands: it is still there, and is to be taken away. None: nobody takes it.
    loss: Outstanding | None = None


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
    told beside it: also of people whom the directory does not know, of leavers who have yet to be
    disabled, and what is still there of what the directory has taken away.
    """
    with database.reading():
        people = _active(database, at, person)
        names = _Names.read(database)
        members = list(_members(database, at, people))
        found = [
            *_direct(database, at, people, names),
            *_through_groups(database, at, people, names, members),
            *(_seen(database, people, names, members, person) if at is None else ()),
            *(_taken_later(database, at, people, names) if at is not None else ()),
        ]
        back = given_back(database, person=person)
    wanted = [
        replace(one, given_back_by=back.get(one.since, "") if one.since and one.group else "")
        for one in found
        if account is None or one.account == account
    ]
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
    for one in sorted(found, key=_is_beside):
        what = one.permission_set_arn or one.permission_set
        key = (one.person, one.account, what, one.application, one.group)
        if not _is_beside(one) or key not in seen:
            yield one
        seen.add(key)


def _is_beside(one: Holding) -> bool:
    """Whether it is only known from what Identity Center was seen to hold."""
    return not {one.origin, one.member_by}.isdisjoint((BY_HAND, STILL_THERE))


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
    database: Database,
    at: float | None,
    people: Mapping[str, Person],
    names: _Names,
    members: Iterable["_Member"],
) -> Iterator[Holding]:
    granted = _granted(database, at)
    called = _groups_here(database)
    for member in members:
        person = people[member.person]
        base = Holding(
            person=person.id,
            user_name=person.user_name,
            group=called.get(member.group, member.group),
            group_id=member.group,
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
                group_id=base.group_id,
                through=base.through,
                member_by=member.origin,
                origin=row.origin,
                since=max(member.since, row.valid_from),
            )


def _granted(database: Database, at: float | None) -> Mapping[str, Sequence[Row[Any]]]:
    """What the directory grants each group."""
    granted: dict[str, list[Row[Any]]] = {}
    for row in database.connection.execute(
        select(assignments).where(assignments.c.kind == "group", _valid(assignments, at))
    ):
        granted.setdefault(row.resource_id, []).append(row)
    return granted


def _groups_here(database: Database) -> Mapping[str, str]:
    """What each group of the directory is called, or was, by its id."""
    rows = database.connection.execute(select(groups.c.id, groups.c.display_name))
    return {row.id: row.display_name for row in rows}


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
    database: Database,
    people: Mapping[str, Person],
    names: _Names,
    members: Iterable[_Member],
    person: str | None,
) -> Iterator[Holding]:
    """What Identity Center was seen to hold that the directory does not give."""
    beside = _Beside(
        names=names,
        principals=_principals(database, people, person),
        groups=_groups_there(database),
        given={(one.person, one.group): one for one in members},
        granted=_granted(database, None),
        losses=OutstandingLosses(database),
    )
    for row in _observed_grants(database, "user"):
        if found := beside.principals.get(row.principal_id):
            yield beside.direct(found, row)
    there: dict[str, list[Row[Any]]] = {}
    for row in _observed_grants(database, "group"):
        there.setdefault(row.principal_id, []).append(row)
    for row in _observed_members(database, beside.principals):
        if found := beside.principals.get(row.member_id):
            yield from beside.through_group(found, row, there.get(row.group_id, ()))


def _observed_grants(database: Database, kind: str) -> Iterable[Row[Any]]:
    """What principals of a kind were seen to hold, each with whether the bridge gave it."""
    seen, put = observed_assignments, applied_assignments
    query = (
        select(seen, put.c.target.is_not(None).label("was_given"))
        .outerjoin(put, and_(*(put.c[one.name] == one for one in seen.primary_key)))
        .where(seen.c.target == TARGET, seen.c.kind == kind)
    )
    return database.connection.execute(query)


def _observed_members(
    database: Database, principals: Mapping[str, "_Principal"]
) -> Iterable[Row[Any]]:
    """Who was seen in which group, each with whether the bridge put them there."""
    seen, put = observed_memberships, applied_memberships
    query = (
        select(seen, put.c.target.is_not(None).label("was_given"))
        .outerjoin(put, and_(*(put.c[one.name] == one for one in seen.primary_key)))
        .where(seen.c.target == TARGET)
    )
    if len(principals) == 1:
        query = query.where(seen.c.member_id == next(iter(principals)))
    return database.connection.execute(query)


@dataclass(frozen=True, kw_only=True)
class _Principal:
    """Somebody at Identity Center who can sign in."""

    id: str
    person: Person
    # Whether the directory wants them to have nothing any more.
    leaves: bool


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
        found[row.target_id] = _Principal(id=row.target_id, person=who, leaves=leaves)
    return found


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A group at Identity Center."""

    # The id in the directory, or "".
    id: str
    name: str


def _groups_there(database: Database) -> Mapping[str, _Group]:
    """The groups at Identity Center by their ids there, called as the directory calls them."""
    rows = database.connection.execute(
        select(observed.c.target_id, observed.c.attributes, links.c.resource_id)
        .outerjoin(
            links,
            and_(
                links.c.target == observed.c.target,
                links.c.kind == observed.c.kind,
                links.c.target_id == observed.c.target_id,
            ),
        )
        .where(observed.c.target == TARGET, observed.c.kind == "group")
    )
    here = _groups_here(database)
    found: dict[str, _Group] = {}
    for row in rows:
        name = here.get(row.resource_id) or str(row.attributes.get("displayName", row.target_id))
        found[row.target_id] = _Group(id=row.resource_id or "", name=name)
    return found


@dataclass(frozen=True, kw_only=True)
class _Beside:
    """Tells what the directory gives, and how the loss of the rest stands."""

    names: _Names
    principals: Mapping[str, _Principal]
    groups: Mapping[str, _Group]
    # Who is in which group by the directory, by the ids there.
    given: Mapping[tuple[str, str], _Member]
    granted: Mapping[str, Sequence[Row[Any]]]
    losses: OutstandingLosses

    def direct(self, found: _Principal, row: Row[Any]) -> Holding:
        loss = self.losses.of_grant(_standing(found, row), _grant(row))
        return self.names.holding(found.person, row, origin=_beside(loss), loss=loss)

    def through_group(
        self, found: _Principal, member: Row[Any], grants: Sequence[Row[Any]]
    ) -> Iterator[Holding]:
        """What somebody has through a group they were seen in, or that they are in it."""
        unknown = _Group(id="", name=member.group_id)
        group = self.groups.get(member.group_id, unknown)
        given = self.given.get((found.person.id, group.id))
        loss = None if given else self.losses.of_membership(_standing(found, member, group))
        base = Holding(
            person=found.person.id,
            user_name=found.person.user_name,
            group=group.name,
            group_id=group.id,
            member_by=given.origin if given else _beside(loss),
            loss=loss,
        )
        if not grants and not given:
            yield base
        for row in grants:
            origin, its_loss = self._of_group(found, group, row)
            if given and origin not in (BY_HAND, STILL_THERE):
                continue
            yield replace(
                self.names.holding(found.person, row),
                group=base.group,
                group_id=base.group_id,
                member_by=base.member_by,
                origin=origin,
                loss=loss or its_loss,
            )

    def _of_group(
        self, found: _Principal, group: _Group, row: Row[Any]
    ) -> tuple[str, Outstanding | None]:
        """Who gave a group what it was seen to have, and how the loss of that stands."""
        for one in self.granted.get(group.id, ()):
            if _named(one) == _named(row):
                return one.origin, None
        everybody = replace(found, leaves=False)
        loss = self.losses.of_grant(_standing(everybody, row, group), _grant(row))
        return _beside(loss), loss


def _standing(found: _Principal, row: Row[Any], group: _Group | None = None) -> Standing:
    return Standing(
        person=found.person.id,
        principal=found.id,
        group=group.id if group else "",
        was_given=row.was_given,
        leaves=found.leaves,
    )


def _named(row: Row[Any]) -> tuple[str, str, str]:
    """What is granted, by ARNs as far as they are known."""
    arn = getattr(row, "permission_set_arn", None) or row.permission_set
    return row.account_id, arn, getattr(row, "application_arn", None) or row.application


def _grant(row: Row[Any]) -> str:
    if row.account_id:
        return to_text(AccountGrant(account=row.account_id, permission_set=row.permission_set))
    return to_text(ApplicationGrant(application=row.application))


def _beside(loss: Outstanding | None) -> str:
    """The origin of what the directory does not give."""
    return STILL_THERE if loss else BY_HAND


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
