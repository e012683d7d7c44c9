"""Who and what does this Identity Center hold?

A plain store in memory with AWS's rules: unique values, ids that never come back, memberships that
end with their user or group. It is not locked; who uses it from several threads must lock.
Every method that changes something changes all of it, or raises Refused and changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from scim_bridge.sandbox import groups, users
from scim_bridge.sandbox.behaviour import Behaviour
from scim_bridge.sandbox.filters import GROUP_FILTERS, USER_FILTERS, parse_filter
from scim_bridge.sandbox.patches import parse_patch
from scim_bridge.sandbox.refusals import Duplicate, Invalid, NotFound, OverQuota

Attributes = dict[str, Any]
Kept = TypeVar("Kept", bound="Principal")

# By which door a principal was made or changed last. AWS documents the fields, not the values.
BY_SCIM = "SCIM"
BY_API = "API"


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, kw_only=True)
class Principal:
    """What a user and a group have in common."""

    id: str
    # Grows with every principal made, so that lists have one order.
    sequence: int
    created: datetime
    last_modified: datetime
    # SCIM attributes.
    attributes: Attributes
    # What only the Identity Store API takes and shows, also named with a small letter.
    extra: Attributes = field(default_factory=dict)
    # Grows with every change.
    revision: int = 1
    created_by: str = BY_SCIM
    updated_by: str = BY_SCIM

    def meta(self, resource_type: str) -> dict[str, str]:
        """Neither location nor version: ETags are not supported (AWS SCIM developer guide)."""
        return {
            "resourceType": resource_type,
            "created": self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lastModified": self.last_modified.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@dataclass(frozen=True, kw_only=True)
class User(Principal):
    """A user; `attributes` are SCIM, and always have `active`."""

    @property
    def active(self) -> bool:
        return bool(self.attributes["active"])

    def scim(self) -> dict[str, Any]:
        return self._with_meta(users.shown(self.attributes))

    def held(self) -> dict[str, Any]:
        """Like `scim`, with what AWS takes but does not answer."""
        return self._with_meta(self.attributes)

    def _with_meta(self, attributes: Attributes) -> dict[str, Any]:
        schemas = users.schemas(self.attributes)
        return {"id": self.id, "meta": self.meta("User"), "schemas": schemas, **attributes}


@dataclass(frozen=True, kw_only=True)
class Group(Principal):
    """A group; its members are kept by the store."""

    def scim(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "meta": self.meta("Group"),
            "schemas": [groups.GROUP],
            **self.attributes,
        }


@dataclass(frozen=True, kw_only=True)
class ListedGroup:
    """A group as ListGroups answers it: always with an empty `members`."""

    group: Group

    @property
    def sequence(self) -> int:
        return self.group.sequence

    def scim(self) -> dict[str, Any]:
        return {**self.group.scim(), "members": []}


@dataclass(frozen=True, kw_only=True)
class Membership:
    """One user in one group."""

    id: str
    sequence: int
    group_id: str
    user_id: str
    created: datetime


class UniqueValues:
    """Who has which value that nobody else may have."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], str] = {}

    def holder(self, name: str, value: str) -> str | None:
        return self._holders.get((name, value))

    def give(self, holder: str, values: set[tuple[str, str]], *, instead_of: Iterable[Any]) -> None:
        """`holder` has `values` from now on; raises Duplicate when another holds one of them."""
        for name, value in values:
            if self._holders.get((name, value), holder) != holder:
                raise Duplicate(f"{name}: is already used by another resource")
        self.free(instead_of)
        self._holders.update(dict.fromkeys(values, holder))

    def take(self, holder: str, values: set[tuple[str, str]]) -> None:
        """`holder` has `values`, whoever had them before."""
        self._holders.update(dict.fromkeys(values, holder))

    def free(self, values: Iterable[tuple[str, str]]) -> None:
        for value in values:
            self._holders.pop(value, None)


class IdentityStore:
    """The users, groups and memberships of one Identity Center."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        make_id: Callable[[], str] = new_id,
        behaviour: Callable[[], Behaviour] = Behaviour,
    ) -> None:
        self._clock, self._make_id, self._behaviour = clock, make_id, behaviour
        self._sequence = 0
        self._users: dict[str, User] = {}
        self._groups: dict[str, Group] = {}
        self._user_values, self._group_values = UniqueValues(), UniqueValues()
        # Both directions, and by its own id.
        self._members: dict[str, dict[str, Membership]] = {}
        self._groups_of: dict[str, dict[str, Membership]] = {}
        self._memberships: dict[str, Membership] = {}

    # Users

    def create_user(self, body: object) -> User:
        return self._keep_user(users.created(body, unknown=self._behaviour().unknown_attributes))

    def add_user(self, attributes: Attributes, extra: Attributes) -> User:
        """A user as the Identity Store API makes one: enabled, there is no other way."""
        kept = {"active": True, **attributes}
        return self._keep_user(kept, extra=extra, created_by=BY_API, updated_by=BY_API)

    def _keep_user(self, attributes: Attributes, **more: Any) -> User:
        _check_quota("users", len(self._users), most=self._behaviour().most_users)
        user = User(**self._new(), attributes=attributes, **more)
        self._user_values.give(user.id, self._unique(users, attributes), instead_of=())
        self._users[user.id], self._groups_of[user.id] = user, {}
        return user

    def user(self, user_id: str) -> User:
        if user_id not in self._users:
            raise NotFound(f"there is no user {user_id}")
        return self._users[user_id]

    def put_user(self, user_id: str, body: object) -> User:
        """Overwrite the user. An unknown id is a 404, which AWS's list leaves out. [inferred]"""
        user = self.user(user_id)
        if isinstance(body, dict) and body.get("id", user_id) != user_id:
            raise Invalid("id: must be the id of the address")
        behaviour = self._behaviour()
        attributes = users.replaced(
            body,
            omitted_active=user.active if behaviour.put_omitted_active == "keep" else True,
            unknown=behaviour.unknown_attributes,
        )
        stays_disabled = not user.active and not attributes["active"]
        if self._behaviour().strict_disabled and stays_disabled and attributes != user.attributes:
            raise Invalid("the user is disabled and cannot be edited")
        return self._change_user(user, attributes)

    def patch_user(self, user_id: str, body: object) -> User:
        user, patch = self.user(user_id), parse_patch(body)
        attributes = users.patched(user.attributes, patch)
        stays_disabled = not user.active and not attributes["active"]
        if (
            self._behaviour().strict_disabled
            and stays_disabled
            and users.edits_more_than_active(patch)
        ):
            raise Invalid("the user is disabled and cannot be edited")
        return self._change_user(user, attributes)

    def delete_user(self, user_id: str) -> None:
        user = self.user(user_id)
        for group_id in self.groups_of(user_id):
            self.leave(group_id, user_id)
        self._user_values.free(self._unique(users, user.attributes))
        del self._users[user_id], self._groups_of[user_id]

    def list_users(self, filter_text: str | None) -> Sequence[User]:
        """The users that the filter leaves, oldest first."""
        if filter_text is None:
            return list(self._users.values())
        asked = parse_filter(filter_text, allowed=USER_FILTERS)
        match asked:
            case {"userName": name}:
                ids = [self._user_values.holder("userName", self._fold(name))]
            case {"externalId": external_id}:
                ids = [self._user_values.holder("externalId", external_id)]
            case {"groups.value": group_id}:
                # ListUsers lists no 404: an unknown group has no users. [documented by omission]
                ids = list(self._members.get(group_id, {}))
            case _:
                ids = [asked["id"]]
        found = _found(self._users, ids)
        return [user for user in found if _has_manager(user, asked.get("manager"))]

    # Groups

    def create_group(self, body: object) -> Group:
        unknown = self._behaviour().unknown_attributes
        attributes, members = groups.created(body, unknown=unknown)
        # CreateGroup lists no 404, so an unknown member is a 400. [documented by omission]
        for user_id in members:
            if user_id not in self._users:
                raise Invalid(f"members: there is no user {user_id}")
            self._check_may_join(user_id)
        group = self._keep_group(attributes)
        for user_id in members:
            self.join(group.id, user_id)
        return group

    def add_group(self, attributes: Attributes, extra: Attributes) -> Group:
        """A group as the Identity Store API makes one."""
        return self._keep_group(attributes, extra=extra, created_by=BY_API, updated_by=BY_API)

    def _keep_group(self, attributes: Attributes, **more: Any) -> Group:
        _check_quota("groups", len(self._groups), most=self._behaviour().most_groups)
        group = Group(**self._new(), attributes=attributes, **more)
        self._group_values.give(group.id, self._unique(groups, attributes), instead_of=())
        self._groups[group.id], self._members[group.id] = group, {}
        return group

    def group(self, group_id: str) -> Group:
        if group_id not in self._groups:
            raise NotFound(f"there is no group {group_id}")
        return self._groups[group_id]

    def patch_group(self, group_id: str, body: object) -> None:
        """Change the group, all of it or nothing. What is undocumented is a switch."""
        group = self.group(group_id)
        attributes, changes = groups.patched(
            group.attributes,
            parse_patch(body),
            member_filter_path=self._behaviour().member_filter_path,
        )
        for change in changes:
            self._check_change(group_id, change)
        self._change_group(group, attributes)
        for change in changes:
            (self.join if change.joins else self.leave)(group_id, change.user_id)

    def _check_change(self, group_id: str, change: groups.MembershipChange) -> None:
        behaviour, user_id = self._behaviour(), change.user_id
        if user_id not in self._users:
            kind = NotFound if behaviour.unknown_member == "404" else Invalid
            raise kind(f"members: there is no user {user_id}")
        is_member = user_id in self._members[group_id]
        if change.joins and is_member and behaviour.add_existing_member == "409":
            raise Duplicate(f"members: {user_id} is a member already")
        if not change.joins and not is_member and behaviour.remove_non_member == "404":
            raise NotFound(f"members: {user_id} is no member")
        if change.joins:
            self._check_may_join(user_id)
        elif is_member and behaviour.strict_removals and not self.user(user_id).active:
            raise Invalid(f"members: the user {user_id} is disabled and cannot be edited")

    def delete_group(self, group_id: str) -> None:
        group = self.group(group_id)
        for user_id in list(self._members[group_id]):
            self.leave(group_id, user_id)
        self._group_values.free(self._unique(groups, group.attributes))
        del self._groups[group_id], self._members[group_id]

    def list_groups(self, filter_text: str | None) -> Sequence[ListedGroup]:
        """The groups that the filter leaves, oldest first; NotFound for an unknown member."""
        if filter_text is None:
            return [ListedGroup(group=group) for group in self._groups.values()]
        asked = parse_filter(filter_text, allowed=GROUP_FILTERS)
        match asked:
            case {"displayName": name}:
                ids = [self._group_values.holder("displayName", self._fold(name))]
            case {"externalId": external_id}:
                ids = [self._group_values.holder("externalId", external_id)]
            case {"members.value": user_id}:
                ids = list(self._groups_of[self.user(user_id).id])
            case {"id": group_id, "members": user_id}:
                ids = [group_id] if group_id in self._groups_of[self.user(user_id).id] else []
            case _:
                ids = [asked["id"]]
        return [ListedGroup(group=group) for group in _found(self._groups, ids)]

    # All of it

    def everything(self) -> dict[str, Any]:
        """What is held, for people and tests; AWS has no such answer."""
        return {
            "users": [user.held() for user in self._users.values()],
            "groups": [group.scim() for group in self._groups.values()],
            "memberships": [
                {"groupId": group_id, "userId": user_id}
                for group_id, members in self._members.items()
                for user_id in members
            ],
        }

    def _new(self) -> dict[str, Any]:
        self._sequence += 1
        now = self._clock()
        return {
            "id": self._make_id(),
            "sequence": self._sequence,
            "created": now,
            "last_modified": now,
        }

    def _change_user(self, user: User, attributes: Attributes) -> User:
        return self._changed_user(user, attributes, user.extra, by=BY_SCIM)

    def change_user(self, user: User, attributes: Attributes, extra: Attributes) -> User:
        """The user after a change over the Identity Store API; raises Duplicate."""
        return self._changed_user(user, attributes, extra, by=BY_API)

    def _changed_user(
        self, user: User, attributes: Attributes, extra: Attributes, *, by: str
    ) -> User:
        before, after = self._unique(users, user.attributes), self._unique(users, attributes)
        self._user_values.give(user.id, after, instead_of=before)
        changed = replace(user, attributes=attributes, extra=extra, **self._touched(user, by))
        self._users[user.id] = changed
        return changed

    def _change_group(self, group: Group, attributes: Attributes) -> Group:
        return self._changed_group(group, attributes, group.extra, by=BY_SCIM)

    def change_group(self, group: Group, attributes: Attributes, extra: Attributes) -> Group:
        """The group after a change over the Identity Store API; raises Duplicate."""
        return self._changed_group(group, attributes, extra, by=BY_API)

    def _changed_group(
        self, group: Group, attributes: Attributes, extra: Attributes, *, by: str
    ) -> Group:
        before, after = self._unique(groups, group.attributes), self._unique(groups, attributes)
        self._group_values.give(group.id, after, instead_of=before)
        changed = replace(group, attributes=attributes, extra=extra, **self._touched(group, by))
        self._groups[group.id] = changed
        return changed

    def _touched(self, held: Principal, by: str) -> dict[str, Any]:
        return {
            "last_modified": self._clock(),
            "revision": held.revision + 1,
            "updated_by": by,
        }

    def _check_may_join(self, user_id: str) -> None:
        if self._behaviour().strict_disabled and not self.user(user_id).active:
            raise Invalid(f"members: the user {user_id} is disabled and cannot be added to groups")

    # What the Identity Store API asks

    def users(self) -> list[User]:
        return list(self._users.values())

    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def user_with(self, name: str, value: str) -> User | None:
        """Who has the unique value, if anybody."""
        return self._users.get(self._holder(self._user_values, name, value))

    def group_with(self, name: str, value: str) -> Group | None:
        return self._groups.get(self._holder(self._group_values, name, value))

    def _holder(self, values: UniqueValues, name: str, value: str) -> str:
        folded = value if name == "externalId" else self._fold(value)
        return values.holder(name, folded) or ""

    def membership(self, membership_id: str) -> Membership | None:
        return self._memberships.get(membership_id)

    def membership_of(self, group_id: str, user_id: str) -> Membership | None:
        return self._members.get(group_id, {}).get(user_id)

    def members_of(self, group_id: str) -> list[Membership]:
        return list(self._members[group_id].values())

    def memberships_of(self, user_id: str) -> list[Membership]:
        return list(self._groups_of[user_id].values())

    def groups_of(self, user_id: str) -> list[str]:
        """The ids of the groups of somebody who may not exist."""
        return list(self._groups_of.get(user_id, {}))

    def join(self, group_id: str, user_id: str) -> Membership:
        """The user's membership, which is made unless there is one."""
        held = self._members[group_id].get(user_id)
        if held is not None:
            return held
        self._sequence += 1
        made = Membership(
            id=self._make_id(),
            sequence=self._sequence,
            group_id=group_id,
            user_id=user_id,
            created=self._clock(),
        )
        self._members[group_id][user_id] = self._groups_of[user_id][group_id] = made
        self._memberships[made.id] = made
        return made

    def leave(self, group_id: str, user_id: str) -> None:
        gone = self._members[group_id].pop(user_id, None)
        self._groups_of[user_id].pop(group_id, None)
        if gone is not None:
            del self._memberships[gone.id]

    def reindex(self) -> None:
        """Look people and groups up by the present rule on case."""
        self._user_values, self._group_values = UniqueValues(), UniqueValues()
        for user in self._users.values():
            self._user_values.take(user.id, self._unique(users, user.attributes))
        for group in self._groups.values():
            self._group_values.take(group.id, self._unique(groups, group.attributes))

    def _unique(self, kind: Any, attributes: Attributes) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = kind.unique_values(attributes, fold=self._fold)
        return found

    def _fold(self, value: str) -> str:
        return value if self._behaviour().case_sensitive_names else value.casefold()


def _found(held: dict[str, Kept], ids: Iterable[str | None]) -> list[Kept]:
    found = [held[one] for one in ids if one is not None and one in held]
    return sorted(found, key=lambda principal: principal.sequence)


def _has_manager(user: User, manager: str | None) -> bool:
    named = user.attributes.get(users.ENTERPRISE, {}).get("manager", {}).get("value")
    return manager is None or named == manager


def _check_quota(kind: str, held: int, *, most: int) -> None:
    if held >= most:
        raise OverQuota(f"there are {held} {kind} already, and {most} are allowed")
