"""Who and what does this Identity Center hold?

A plain store in memory with AWS's rules: unique values, ids that never come back, memberships that
end with their user or group. It is not locked; who uses it from several threads must lock.
Every method that changes something changes all of it, or raises Refused and changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from scim_bridge.sandbox import groups, users
from scim_bridge.sandbox.filters import GROUP_FILTERS, USER_FILTERS, parse_filter
from scim_bridge.sandbox.patches import parse_patch
from scim_bridge.sandbox.refusals import Duplicate, Invalid, NotFound

Attributes = dict[str, Any]
Kept = TypeVar("Kept", bound="Principal")


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
    attributes: Attributes

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

    def free(self, values: Iterable[tuple[str, str]]) -> None:
        for value in values:
            del self._holders[value]


class IdentityStore:
    """The users, groups and memberships of one Identity Center."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._clock, self._make_id = clock, make_id
        self._sequence = 0
        self._users: dict[str, User] = {}
        self._groups: dict[str, Group] = {}
        self._user_values, self._group_values = UniqueValues(), UniqueValues()
        # Both directions; the inner dictionaries are ordered sets.
        self._members: dict[str, dict[str, None]] = {}
        self._groups_of: dict[str, dict[str, None]] = {}

    # Users

    def create_user(self, body: object) -> User:
        attributes = users.created(body)
        user = User(**self._new(), attributes=attributes)
        self._user_values.give(user.id, users.unique_values(attributes), instead_of=())
        self._users[user.id], self._groups_of[user.id] = user, {}
        return user

    def user(self, user_id: str) -> User:
        if user_id not in self._users:
            raise NotFound(f"there is no user {user_id}")
        return self._users[user_id]

    def put_user(self, user_id: str, body: object, *, strict_disabled: bool) -> User:
        """Overwrite the user. An unknown id is a 404, which AWS's list leaves out. [inferred]"""
        user = self.user(user_id)
        if isinstance(body, dict) and body.get("id", user_id) != user_id:
            raise Invalid("id: must be the id of the address")
        attributes = users.replaced(user.attributes, body)
        stays_disabled = not user.active and not attributes["active"]
        if strict_disabled and stays_disabled and attributes != user.attributes:
            raise Invalid("the user is disabled and cannot be edited")
        return self._change_user(user, attributes)

    def patch_user(self, user_id: str, body: object, *, strict_disabled: bool) -> User:
        user, patch = self.user(user_id), parse_patch(body)
        attributes = users.patched(user.attributes, patch)
        stays_disabled = not user.active and not attributes["active"]
        if strict_disabled and stays_disabled and users.edits_more_than_active(patch):
            raise Invalid("the user is disabled and cannot be edited")
        return self._change_user(user, attributes)

    def delete_user(self, user_id: str) -> None:
        user = self.user(user_id)
        for group_id in self._groups_of.pop(user_id):
            del self._members[group_id][user_id]
        self._user_values.free(users.unique_values(user.attributes))
        del self._users[user_id]

    def list_users(self, filter_text: str | None) -> Sequence[User]:
        """The users that the filter leaves, oldest first."""
        if filter_text is None:
            return list(self._users.values())
        asked = parse_filter(filter_text, allowed=USER_FILTERS)
        match asked:
            case {"userName": name}:
                ids = [self._user_values.holder("userName", name.casefold())]
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

    def create_group(self, body: object, *, strict_disabled: bool) -> Group:
        attributes, members = groups.created(body)
        # CreateGroup lists no 404, so an unknown member is a 400. [documented by omission]
        for user_id in members:
            if user_id not in self._users:
                raise Invalid(f"members: there is no user {user_id}")
            self._check_may_join(user_id, strict_disabled=strict_disabled)
        group = Group(**self._new(), attributes=attributes)
        self._group_values.give(group.id, groups.unique_values(attributes), instead_of=())
        self._groups[group.id], self._members[group.id] = group, {}
        for user_id in members:
            self._join(group.id, user_id)
        return group

    def group(self, group_id: str) -> Group:
        if group_id not in self._groups:
            raise NotFound(f"there is no group {group_id}")
        return self._groups[group_id]

    def patch_group(self, group_id: str, body: object, *, strict_disabled: bool) -> None:
        """Change the group. Adding a member it has, or removing one it has not, changes nothing,
        and an unknown user is a 404. [inferred, neither is documented]
        """
        group = self.group(group_id)
        attributes, changes = groups.patched(group.attributes, parse_patch(body))
        for change in changes:
            self.user(change.user_id)
            if change.joins:
                self._check_may_join(change.user_id, strict_disabled=strict_disabled)
        self._change_group(group, attributes)
        for change in changes:
            (self._join if change.joins else self._leave)(group_id, change.user_id)

    def delete_group(self, group_id: str) -> None:
        group = self.group(group_id)
        for user_id in self._members.pop(group_id):
            del self._groups_of[user_id][group_id]
        self._group_values.free(groups.unique_values(group.attributes))
        del self._groups[group_id]

    def list_groups(self, filter_text: str | None) -> Sequence[ListedGroup]:
        """The groups that the filter leaves, oldest first; NotFound for an unknown member."""
        if filter_text is None:
            return [ListedGroup(group=group) for group in self._groups.values()]
        asked = parse_filter(filter_text, allowed=GROUP_FILTERS)
        match asked:
            case {"displayName": name}:
                ids = [self._group_values.holder("displayName", name.casefold())]
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
            "assignments": [],
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
        before, after = users.unique_values(user.attributes), users.unique_values(attributes)
        self._user_values.give(user.id, after, instead_of=before)
        changed = replace(user, attributes=attributes, last_modified=self._clock())
        self._users[user.id] = changed
        return changed

    def _change_group(self, group: Group, attributes: Attributes) -> None:
        before, after = groups.unique_values(group.attributes), groups.unique_values(attributes)
        self._group_values.give(group.id, after, instead_of=before)
        changed = replace(group, attributes=attributes, last_modified=self._clock())
        self._groups[group.id] = changed

    def _check_may_join(self, user_id: str, *, strict_disabled: bool) -> None:
        if strict_disabled and not self.user(user_id).active:
            raise Invalid(f"members: the user {user_id} is disabled and cannot be added to groups")

    def _join(self, group_id: str, user_id: str) -> None:
        self._members[group_id][user_id] = None
        self._groups_of[user_id][group_id] = None

    def _leave(self, group_id: str, user_id: str) -> None:
        self._members[group_id].pop(user_id, None)
        self._groups_of[user_id].pop(group_id, None)


def _found(held: dict[str, Kept], ids: Iterable[str | None]) -> list[Kept]:
    found = [held[one] for one in ids if one is not None and one in held]
    return sorted(found, key=lambda principal: principal.sequence)


def _has_manager(user: User, manager: str | None) -> bool:
    named = user.attributes.get(users.ENTERPRISE, {}).get("manager", {}).get("value")
    return manager is None or named == manager
