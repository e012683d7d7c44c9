"""One user or group as the difference sees it: from the directory and from what is observed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from sqlalchemy import Row, bindparam, not_, select

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.nesting import people_of
from scim_bridge.identity_center.payloads import ONLY_AT_CREATION, project_group, project_user
from scim_bridge.identity_center.values import external_id_is_sendable
from scim_bridge.lifecycle.access import Member, effective_members
from scim_bridge.plan.state import (
    EVERYTHING,
    Abilities,
    Attributes,
    Group,
    GroupState,
    Principal,
    TakeAway,
    User,
    UserState,
)
from scim_bridge.sync.audience import EVERYBODY, Audience
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Applied, Link, Observations, as_sent

ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class Projection(Protocol):
    """What a target gets to hold of a document, as flat attributes."""

    # What no call changes once a user is there.
    only_at_creation: frozenset[str]

    def user(self, document: Mapping[str, Any], *, manager: str | None) -> Attributes: ...

    def group(self, document: Mapping[str, Any]) -> Attributes: ...


class OfIdentityCenter:
    """What an Identity Center gets to hold."""

    only_at_creation = ONLY_AT_CREATION

    def user(self, document: Mapping[str, Any], *, manager: str | None) -> Attributes:
        return project_user(document, manager=manager).attributes

    def group(self, document: Mapping[str, Any]) -> Attributes:
        return project_group(document)


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What decides what a resource is at the target: settings, and what the door can do."""

    external_id: Literal["bridge", "client"] = "bridge"
    when_deleted: Literal["empty", "remove"] = "empty"
    abilities: Abilities = EVERYTHING
    projection: Projection = field(default_factory=OfIdentityCenter)
    # Whether the target is a source: who came from there is not made or enabled there again.
    is_source: bool = False


class Subjects:
    """Reads users and groups from all three sides. Methods join the caller's transaction."""

    def __init__(
        self,
        database: Database,
        observations: Observations,
        naming: Naming,
        audience: Audience = EVERYBODY,
    ) -> None:
        self.database = database
        self.observations = observations
        self.naming = naming
        self.audience = audience

    def user(self, user_id: str) -> User | None:
        """A user of the directory, deleted ones included; None if there never was one."""
        row = self._row(tables.users, user_id)
        if row is None:
            return None
        key = Key(kind="user", id=user_id)
        link, last = self.observations.link(key), self.observations.applied(key)
        seen = self.observations.seen("user", link.target_id) if link else None
        desired = self._followed(key, self._desired_user(row, link), last, seen)
        return User(
            id=user_id,
            external_id=self.external_id(row),
            desired=self._changeable(desired) if desired and seen else desired,
            applied=UserState(attributes=last.attributes, active=last.active)
            if last and last.was_answered
            else None,
            principal=link.target_id if link else None,
            observed=self._changeable(
                UserState(attributes=as_sent(seen.attributes, last), active=seen.active)
            )
            if seen
            else None,
            can_be_disabled=self.naming.abilities.disables,
        )

    def group(self, group_id: str, take_away: TakeAway) -> Group | None:
        """A group of the directory, deleted ones included; None if there never was one."""
        row = self._row(tables.groups, group_id)
        if row is None:
            return None
        key = Key(kind="group", id=group_id)
        link, last = self.observations.link(key), self.observations.applied(key)
        if link is None:
            return self._unlinked_group(row, key)
        seen = self.observations.seen("group", link.target_id)
        given, members = self.observations.members(link.target_id)
        return Group(
            id=group_id,
            external_id=self.external_id(row),
            desired=self._desired_group(row),
            applied=GroupState(attributes=last.attributes if last else {}, members=given),
            principal=link.target_id,
            observed=GroupState(
                attributes=as_sent(seen.attributes, last) if seen else {}, members=members
            ),
            take_away=take_away,
            linked=frozenset(self.observations.resources("user", members))
            if take_away.linked
            else frozenset(),
            when_deleted=self.naming.when_deleted,
            created_here=link.created_here,
            members_per_call=self.naming.abilities.members_per_call,
        )

    def external_id(self, row: Row[Any]) -> str:
        """What the target is given as externalId: the bridge's id, or the client's if it may be."""
        theirs: str | None = row.external_id
        if self.naming.external_id == "client" and theirs and external_id_is_sendable(theirs):
            return theirs
        return str(row.id)

    def _unlinked_group(self, row: Row[Any], key: Key) -> Group:
        """A group that is not there: not yet, or not any more where it came from.

        Where not everybody goes, it comes with its people.
        """
        last = self.observations.applied(key)
        is_gone = last is not None and last.active and self._is_sourced(key)
        is_wanted = self.audience.is_all or bool(self.effective_members(row.id))
        return Group(
            id=row.id,
            external_id=self.external_id(row),
            desired=self._desired_group(row) if is_wanted and not is_gone else None,
            created_here=False,
        )

    def _desired_user(self, row: Row[Any], link: Link | None) -> UserState | None:
        is_there = row.deleted_at is None and self._goes_there(row.id)
        if not is_there and link is None:
            return None
        attributes = self.naming.projection.user(row.document, manager=self._manager(row.document))
        return UserState(attributes=attributes, active=row.active and is_there)

    def _goes_there(self, user_id: str) -> bool:
        if self.audience.is_all:
            return True
        users = tables.users
        query = select(users.c.id).where(users.c.id == user_id, self.audience.condition())
        return self.database.connection.scalar(query) is not None

    def _followed(
        self, key: Key, desired: UserState | None, last: Applied | None, seen: Principal | None
    ) -> UserState | None:
        """What is wanted of somebody whom a source has disabled or has no more.

        The directory is about to follow: until then, and while the brake holds it, nobody is made
        anew or enabled. Once it has followed, a client that wants them active is obeyed.
        """
        if desired is None or last is None or not last.active or not self._is_sourced(key):
            return desired
        if seen is None:
            return None
        return desired if seen.active else replace(desired, active=False)

    def _is_sourced(self, key: Key) -> bool:
        if not self.naming.is_source:
            return False
        table = tables.sourced
        return (
            self.database.connection.scalar(
                select(table.c.at).where(
                    table.c.target == self.observations.target,
                    table.c.kind == key.kind,
                    table.c.resource_id == key.id,
                )
            )
            is not None
        )

    def _manager(self, document: Mapping[str, Any]) -> str | None:
        """The principal of a user's manager, once the manager has one."""
        manager = (document.get(ENTERPRISE_USER) or {}).get("manager") or {}
        value = manager.get("value")
        if not value:
            return None
        link = self.observations.link(Key(kind="user", id=value))
        return link.target_id if link else None

    def _desired_group(self, row: Row[Any]) -> GroupState | None:
        if row.deleted_at is not None:
            return None
        members = self.observations.target_ids("user", self.effective_members(row.id))
        return GroupState(
            attributes=self.naming.projection.group(row.document),
            members=frozenset(members.values()),
        )

    def effective_members(self, group_id: str) -> frozenset[str]:
        """The users who should be in a group now."""
        users = tables.users
        rows = self.database.connection.execute(
            select(users.c.id, users.c.active).where(
                users.c.id.in_(people_of([group_id])),
                users.c.deleted_at.is_(None),
                self.audience.condition(),
            )
        )
        return effective_members(Member(user=row.id, active=row.active) for row in rows)

    def inactive(self, user_ids: frozenset[str]) -> frozenset[str]:
        """Those of these users who should have no access at all."""
        users = tables.users
        found: set[str] = set()
        ordered = sorted(user_ids)
        for start in range(0, len(ordered), 5000):
            found.update(
                self.database.connection.scalars(
                    select(users.c.id).where(
                        users.c.id.in_(ordered[start : start + 5000]),
                        users.c.active.is_(False)
                        | users.c.deleted_at.is_not(None)
                        | not_(self.audience.condition()),
                    )
                )
            )
        return frozenset(found)

    def _changeable(self, state: UserState) -> UserState:
        """Without what the target takes only when it creates a user: no call would change it."""
        fixed = self.naming.projection.only_at_creation
        kept = {path: value for path, value in state.attributes.items() if path not in fixed}
        return replace(state, attributes=kept)

    def _row(self, table: Any, resource_id: str) -> Row[Any] | None:
        row: Row[Any] | None = self.database.connection.execute(
            _ROW[table], {"id": resource_id}
        ).one_or_none()
        return row


# Made once, since every pass asks for one of them.
_ROW = {
    table: select(table).where(table.c.id == bindparam("id"))
    for table in (tables.users, tables.groups)
}
