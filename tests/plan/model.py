"""A target in memory: it takes changes as Identity Center does and refuses what that would."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from scim_bridge.plan.changes import (
    AddMembers,
    Change,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
)

# Membership changes in one PatchGroup (AWS SCIM developer guide). Written out, so that a wrong
# constant in the code under test is noticed.
MOST_MEMBERS = 100


class Refusal(AssertionError):
    """The target does not take this call: the plan that made it is wrong."""


@dataclass(kw_only=True)
class Account:
    """A user at the target."""

    external_id: str | None
    attributes: dict[str, Any]
    active: bool


@dataclass(kw_only=True)
class Team:
    """A group at the target."""

    external_id: str | None
    attributes: dict[str, Any]
    members: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Target:
    """An Identity Center as strict as it may be: no edit and no addition of a disabled user."""

    users: dict[str, Account] = field(default_factory=dict)
    groups: dict[str, Team] = field(default_factory=dict)

    def apply(self, change: Change) -> str:
        """Make one call; returns the principal's id. Raises `Refusal`, and then changes nothing."""
        match change:
            case CreateUser():
                return self._create_user(change)
            case CreateGroup():
                return self._create_group(change)
            case DisableUser():
                self._user(change.principal).active = False
            case EnableUser():
                user = self._user(change.principal)
                _edit(user.attributes, change.set, change.remove)
                user.active = True
            case UpdateUser():
                self._update_user(change)
            case UpdateGroup():
                _refuse_if(not change.set and not change.remove, "a PATCH without operations")
                _edit(self._group(change.principal).attributes, change.set, change.remove)
            case AddMembers():
                self._add_members(change)
            case RemoveMembers():
                group = self._group(change.principal)
                self._check_members(change.members)
                group.members -= set(change.members)
            case DeleteGroup():
                self._group(change.principal)
                del self.groups[change.principal]
            case _:
                assert_never(change)
        return change.principal

    def snapshot(self) -> dict[str, object]:
        """Everything that is held, as values that compare."""
        users = {
            key: (user.external_id, dict(user.attributes), user.active)
            for key, user in self.users.items()
        }
        groups = {
            key: (group.external_id, dict(group.attributes), frozenset(group.members))
            for key, group in self.groups.items()
        }
        return {**users, **groups}

    def _create_user(self, change: CreateUser) -> str:
        _check_unique(change.external_id, change.attributes, "userName", self.users)
        _check_values(change.attributes)
        user = Account(
            external_id=change.external_id,
            attributes=dict(change.attributes),
            active=change.active,
        )
        self.users[id_of_new(change.external_id)] = user
        return id_of_new(change.external_id)

    def _create_group(self, change: CreateGroup) -> str:
        _check_unique(change.external_id, change.attributes, "displayName", self.groups)
        _check_values(change.attributes)
        group = Team(external_id=change.external_id, attributes=dict(change.attributes))
        self.groups[id_of_new(change.external_id)] = group
        return id_of_new(change.external_id)

    def _update_user(self, change: UpdateUser) -> None:
        user = self._user(change.principal)
        _refuse_if(not change.set and not change.remove, "a PATCH without operations")
        _refuse_if(not user.active, f"an edit of {change.principal}, who is disabled")
        _edit(user.attributes, change.set, change.remove)

    def _add_members(self, change: AddMembers) -> None:
        group = self._group(change.principal)
        self._check_members(change.members)
        disabled = [member for member in change.members if not self.users[member].active]
        _refuse_if(bool(disabled), f"an addition of {disabled}, who are disabled")
        group.members |= set(change.members)

    def _check_members(self, members: tuple[str, ...]) -> None:
        _refuse_if(not members, "a PATCH without operations")
        _refuse_if(len(members) > MOST_MEMBERS, f"{len(members)} members in one call")
        _refuse_if(len(set(members)) < len(members), "the same member twice")
        unknown = [member for member in members if member not in self.users]
        _refuse_if(bool(unknown), f"unknown members {unknown}")

    def _user(self, principal: str) -> Account:
        _refuse_if(principal not in self.users, f"a change of user {principal}, who is not there")
        return self.users[principal]

    def _group(self, principal: str) -> Team:
        _refuse_if(
            principal not in self.groups, f"a change of group {principal}, which is not there"
        )
        return self.groups[principal]


def id_of_new(external_id: str) -> str:
    """The id a created principal gets: always the same, so that two runs can be compared."""
    return f"new-{external_id}"


def _check_unique(
    external_id: str,
    attributes: Mapping[str, Any],
    name: str,
    others: Mapping[str, Account] | Mapping[str, Team],
) -> None:
    for other in others.values():
        _refuse_if(other.external_id == external_id, f"the externalId {external_id} again")
        mine, theirs = str(attributes[name]), str(other.attributes.get(name))
        _refuse_if(mine.casefold() == theirs.casefold(), f"the {name} {mine} again")


def _edit(
    attributes: dict[str, Any], to_set: Mapping[str, Any], to_remove: tuple[str, ...]
) -> None:
    _check_values(to_set)
    both = to_set.keys() & set(to_remove)
    _refuse_if(bool(both), f"{both} set and removed in one call")
    attributes.update(to_set)
    for path in to_remove:
        attributes.pop(path, None)


def _check_values(attributes: Mapping[str, Any]) -> None:
    empty = [path for path, value in attributes.items() if value in (None, "", [])]
    _refuse_if(bool(empty), f"empty values of {empty}")
    own = attributes.keys() & {"active", "externalId", "members"}
    _refuse_if(bool(own), f"{own} among the attributes")


def _refuse_if(wrong: bool, what: str) -> None:
    if wrong:
        raise Refusal(what)
