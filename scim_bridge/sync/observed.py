"""What the bridge knows of a target: links, what it applied there, what it last saw there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, Table, and_, bindparam, delete, insert, select
from sqlalchemy.sql.elements import ColumnElement

from scim_bridge.directory import tables
from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import INSERTS, Database, insert_or, now
from scim_bridge.directory.write import Kind
from scim_bridge.plan.state import Attributes, Principal
from scim_bridge.sync import arrivals, departures
from scim_bridge.sync.grants import Grants, Holder
from scim_bridge.sync.marks import Key

links = tables.links
applied = tables.applied
observed = tables.observed


def _by(table: Table, *names: str) -> Select[Any]:
    """The row of a table whose columns of these names have the values of parameters."""
    return select(table).where(*(table.c[name] == bindparam(name) for name in names))


def _in_place(insert: Any, table: Table, identified_by: str) -> Any:
    """An insert of rows, each in place of the one that was there."""
    key = ["target", "kind", identified_by]
    news = {each.name: insert.excluded[each.name] for each in table.c if each.name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=news)


def _one_in_place(insert: Any, table: Table, identified_by: str) -> Any:
    """The same of one row, whose values are parameters; but for the time, which is now."""
    given = {each.name: bindparam(each.name, type_=each.type) for each in table.c}
    return _in_place(insert.values({**given, "at": now()}), table, identified_by)


# Made once, since every delivery says and asks these.
_LINK = _by(links, "target", "kind", "resource_id")
_APPLIED = _by(applied, "target", "kind", "resource_id")
_OBSERVED = _by(observed, "target", "kind", "target_id")
_MAKE_LINK = insert(links).values(
    target=bindparam("target"),
    kind=bindparam("kind"),
    resource_id=bindparam("resource_id"),
    target_id=bindparam("target_id"),
    created=now(),
    created_here=bindparam("created_here", type_=links.c.created_here.type),
)
_WRITE = {
    dialect: _one_in_place(insert(applied), applied, "resource_id")
    for dialect, insert in INSERTS.items()
}
_SEE = {
    dialect: _one_in_place(insert(observed), observed, "target_id")
    for dialect, insert in INSERTS.items()
}

# SQLite takes 32,766 variables in a statement; three columns a row leave ample room.
_ROWS = 5000
# The rows of `observed` have eight.
_WIDE_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Link:
    """Which principal at the target a resource is."""

    key: Key
    target_id: str
    created_here: bool


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What was last written: as it was sent, and as the target echoed it."""

    attributes: Attributes
    echo: Attributes
    active: bool

    @property
    def was_answered(self) -> bool:
        """False for a creation that was begun and never heard of."""
        return bool(self.echo)

    @property
    def was_lost(self) -> bool:
        """True for a creation that was sent when nobody had the name, and was never heard of."""
        return self.active and not self.was_answered


def as_sent(seen: Attributes, last: Applied | None) -> dict[str, Any]:
    """What a target holds, in the words of what was sent to it.

    Some attributes come back rewritten and some never come back (reference: AWS never echoes
    profileUrl). What still stands as it was echoed counts as what was sent, so that the
    difference has no false positives.
    """
    result = dict(seen)
    for path, sent in (last.attributes if last else {}).items():
        if last is not None and seen.get(path) == last.echo.get(path):
            result[path] = sent
    return result


class Observations:
    """Links, applied and observed of one target. Methods join the caller's transaction."""

    def __init__(self, database: Database, target: str, *, grants_access: bool = True) -> None:
        self.database = database
        self.target = target
        # Whether accounts and applications are granted there.
        self.grants_access = grants_access

    # -- Links ----------------------------------------------------------

    def link(self, key: Key) -> Link | None:
        row = self.database.connection.execute(_LINK, self._named(key)).one_or_none()
        return None if row is None else _link(row)

    def linked_to(self, kind: Kind, target_id: str) -> Key | None:
        """The resource a principal is linked to."""
        found: str | None = self.database.connection.scalar(
            select(links.c.resource_id).where(
                links.c.target == self.target,
                links.c.kind == kind,
                links.c.target_id == target_id,
            )
        )
        return None if found is None else Key(kind=kind, id=found)

    def target_ids(self, kind: Kind, ids: Iterable[str]) -> dict[str, str]:
        """The principals of these resources, for those that have one."""
        found: dict[str, str] = {}
        for some in _chunks(ids):
            rows = self.database.connection.execute(
                select(links.c.resource_id, links.c.target_id).where(
                    links.c.target == self.target,
                    links.c.kind == kind,
                    links.c.resource_id.in_(some),
                )
            )
            found.update((row.resource_id, row.target_id) for row in rows)
        return found

    def resources(self, kind: Kind, target_ids: Iterable[str]) -> dict[str, str]:
        """The resources these principals are linked to, for those that are."""
        found: dict[str, str] = {}
        for some in _chunks(target_ids):
            rows = self.database.connection.execute(
                select(links.c.resource_id, links.c.target_id).where(
                    links.c.target == self.target,
                    links.c.kind == kind,
                    links.c.target_id.in_(some),
                )
            )
            found.update((row.target_id, row.resource_id) for row in rows)
        return found

    def make_link(self, key: Key, target_id: str, *, created_here: bool) -> None:
        told = {**self._named(key), "target_id": target_id, "created_here": created_here}
        self.database.connection.execute(_MAKE_LINK, told)
        if self.grants_access:
            arrivals.linked(self.database, self.target, key)

    def move_link(self, old: Key, new: Key) -> None:
        """Give a principal, and what was applied to it, to another resource: a rehire."""
        # What was written to a principal of the new record's own, which is gone, is of no use now.
        self.database.connection.execute(delete(applied).where(self._of(applied, new)))
        for table in (links, applied):
            self.database.connection.execute(
                table.update().where(self._of(table, old)).values(resource_id=new.id)
            )

    def drop_link(self, link: Link) -> None:
        """Forget a principal that is gone. What was applied stays: the person was known there."""
        connection = self.database.connection
        departures.note(self.database, self.target, link.key.kind, [(link.target_id,)])
        connection.execute(delete(links).where(self._of(links, link.key)))
        connection.execute(
            delete(observed).where(self._at(observed, link.key.kind, link.target_id))
        )
        Grants(self.database, self.target).forget_all(Holder(kind=link.key.kind, id=link.target_id))
        for table in (tables.observed_memberships, tables.applied_memberships):
            column = table.c.member_id if link.key.kind == "user" else table.c.group_id
            connection.execute(
                delete(table).where(table.c.target == self.target, column == link.target_id)
            )

    def forget(self, key: Key) -> None:
        """Forget what was written to a principal that was deleted."""
        self.database.connection.execute(delete(applied).where(self._of(applied, key)))

    # -- What was written and seen --------------------------------------

    def applied(self, key: Key) -> Applied | None:
        row = self.database.connection.execute(_APPLIED, self._named(key)).one_or_none()
        if row is None:
            return None
        return Applied(attributes=row.attributes, echo=row.echo, active=row.active)

    def seen(self, kind: Kind, target_id: str) -> Principal | None:
        """What a principal was last seen to hold."""
        named = {"target": self.target, "kind": kind, "target_id": target_id}
        row = self.database.connection.execute(_OBSERVED, named).one_or_none()
        if row is None:
            return None
        return Principal(
            id=target_id,
            external_id=row.external_id,
            attributes=row.attributes,
            active=row.active,
        )

    def see(self, kind: Kind, principal: Principal) -> None:
        """Remember what a principal holds."""
        statement = _SEE[self.database.engine.dialect.name]
        self.database.connection.execute(statement, self._observed_row(kind, principal))

    def see_all(self, kind: Kind, principals: Iterable[Principal]) -> None:
        """Remember what each of these principals holds."""
        rows = [self._observed_row(kind, principal) for principal in principals]
        for start in range(0, len(rows), _WIDE_ROWS):
            some = [{**row, "at": now()} for row in rows[start : start + _WIDE_ROWS]]
            statement = insert_or(self.database, observed).values(some)
            self.database.connection.execute(_in_place(statement, observed, "target_id"))

    def _observed_row(self, kind: Kind, principal: Principal) -> dict[str, Any]:
        emails = principal.attributes.get("emails") or [{}]
        return {
            "target": self.target,
            "kind": kind,
            "target_id": principal.id,
            "external_id": principal.external_id,
            "attributes": dict(principal.attributes),
            "active": principal.active,
            "email_folded": folded(emails[0].get("value") or "") or None,
        }

    def disabled(self, user_ids: Iterable[str]) -> frozenset[str]:
        """Those of these principals who were last seen disabled."""
        found: set[str] = set()
        for some in _chunks(user_ids):
            found.update(
                self.database.connection.scalars(
                    select(observed.c.target_id).where(
                        observed.c.target == self.target,
                        observed.c.kind == "user",
                        observed.c.target_id.in_(some),
                        observed.c.active.is_(False),
                    )
                )
            )
        return frozenset(found)

    def write(self, key: Key, *, attributes: Attributes, echo: Attributes, active: bool) -> None:
        """Remember what was written to a principal and how it was echoed.

        `echo` may hold more than was written: what the target adds by itself is nobody's drift.
        """
        told = {"attributes": dict(attributes), "echo": dict(echo), "active": active}
        statement = _WRITE[self.database.engine.dialect.name]
        self.database.connection.execute(statement, {**self._named(key), **told})

    def begin(self, key: Key, attributes: Attributes) -> None:
        """Remember what a creation is about to send. Without an echo it counts as not written."""
        last = self.applied(key)
        was_lost = last is not None and last.was_lost
        self.write(key, attributes=attributes, echo={}, active=was_lost)

    def send(self, key: Key, attributes: Attributes, *, sent: bool) -> None:
        """Remember whether a creation is sent, of which nobody had the name just before.

        Where a creation carries no externalId, only this tells what it made from what others made.
        Nothing is written over what somebody else, who has taken over meanwhile, has linked.
        """
        if self.link(key) is None:
            self.write(key, attributes=attributes, echo={}, active=sent)

    def holders_of_email(self, email_folded: str) -> list[str]:
        """The principals last seen to hold an e-mail address."""
        rows = self.database.connection.scalars(
            select(observed.c.target_id).where(
                observed.c.target == self.target,
                observed.c.kind == "user",
                observed.c.email_folded == email_folded,
            )
        )
        return list(rows)

    # -- Memberships, by ids at the target ------------------------------

    def members(self, group_id: str) -> tuple[frozenset[str], frozenset[str]]:
        """Who is in a group: as the bridge applied it, and as it was last seen."""
        return (
            self._members(tables.applied_memberships, group_id),
            self._members(tables.observed_memberships, group_id),
        )

    def has_put(self, member: str, group_id: str) -> bool:
        """Whether the bridge put a member into a group, and has not taken them out."""
        table = tables.applied_memberships
        found = self.database.connection.scalar(
            select(table.c.member_id).where(
                table.c.target == self.target,
                table.c.group_id == group_id,
                table.c.member_id == member,
            )
        )
        return found is not None

    def groups_of(self, user_id: str) -> frozenset[str]:
        """The groups a person was last seen in."""
        table = tables.observed_memberships
        rows = self.database.connection.scalars(
            select(table.c.group_id).where(
                table.c.target == self.target, table.c.member_id == user_id
            )
        )
        return frozenset(rows)

    def see_members(self, group_id: str, members: Iterable[str]) -> None:
        """Remember who is in a group, as the target just told it, whole."""
        members = frozenset(members)
        given, seen = self.members(group_id)
        self.left(group_id, (given | seen) - members)
        self._add(tables.observed_memberships, group_id, members)

    def see_member(self, group_id: str, member: str) -> None:
        self._add(tables.observed_memberships, group_id, [member])

    def expect_members(self, group_id: str, members: Iterable[str]) -> None:
        """Count members as the bridge's before it adds them."""
        self._add(tables.applied_memberships, group_id, members)

    def joined(self, group_id: str, members: Iterable[str]) -> None:
        """Remember members the bridge added."""
        members = list(members)
        self._add(tables.observed_memberships, group_id, members)
        self._add(tables.applied_memberships, group_id, members)

    def left(self, group_id: str, members: Iterable[str]) -> None:
        """Remember members the bridge took out, or who were seen to be out."""
        members = list(members)
        gone = ((group_id, member) for member in members)
        departures.note(self.database, self.target, "membership", gone)
        self._remove(tables.observed_memberships, group_id, members)
        self._remove(tables.applied_memberships, group_id, members)

    def _members(self, table: Table, group_id: str) -> frozenset[str]:
        rows = self.database.connection.scalars(
            select(table.c.member_id).where(
                table.c.target == self.target, table.c.group_id == group_id
            )
        )
        return frozenset(rows)

    def _add(self, table: Table, group_id: str, members: Iterable[str]) -> None:
        for some in _chunks(members):
            self.database.connection.execute(
                insert_or(self.database, table)
                .values(
                    [
                        {"target": self.target, "group_id": group_id, "member_id": member,
                         "at": now()}
                        for member in some
                    ]
                )
                .on_conflict_do_nothing()
            )  # fmt: skip

    def _remove(self, table: Table, group_id: str, members: Iterable[str]) -> None:
        for some in _chunks(members):
            self.database.connection.execute(
                delete(table).where(
                    table.c.target == self.target,
                    table.c.group_id == group_id,
                    table.c.member_id.in_(some),
                )
            )

    def _named(self, key: Key) -> dict[str, str]:
        """Whom the statements above are about."""
        return {"target": self.target, "kind": key.kind, "resource_id": key.id}

    def _of(self, table: Table, key: Key) -> ColumnElement[bool]:
        return and_(
            table.c.target == self.target,
            table.c.kind == key.kind,
            table.c.resource_id == key.id,
        )

    def _at(self, table: Table, kind: Kind, target_id: str) -> ColumnElement[bool]:
        return and_(
            table.c.target == self.target, table.c.kind == kind, table.c.target_id == target_id
        )


def _link(row: Row[Any]) -> Link:
    return Link(
        key=Key(kind=row.kind, id=row.resource_id),
        target_id=row.target_id,
        created_here=row.created_here,
    )


def _chunks(values: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _ROWS):
        yield ordered[start : start + _ROWS]
