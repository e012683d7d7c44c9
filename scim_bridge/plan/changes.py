"""The changes a plan is made of: one flat class for each call at the target."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from scim_bridge.plan.state import EVERYTHING, Attributes

# The SCIM endpoint takes at most this many membership changes in one call.
MEMBERS_PER_CALL = EVERYTHING.members_per_call


@dataclass(frozen=True, kw_only=True)
class DisableUser:
    """Set ``active`` to false, alone, so that nothing else in the call can stop it."""

    user: str
    principal: str


@dataclass(frozen=True, kw_only=True)
class RemoveMembers:
    """Take these people out of a group, by name."""

    group: str
    principal: str
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DeleteGroup:
    """Delete a group the bridge created."""

    group: str
    principal: str


@dataclass(frozen=True, kw_only=True)
class CreateUser:
    """Create a user, disabled if ``active`` is false."""

    user: str
    external_id: str
    attributes: Attributes
    active: bool


@dataclass(frozen=True, kw_only=True)
class CreateGroup:
    """Create a group without members."""

    group: str
    external_id: str
    attributes: Attributes


@dataclass(frozen=True, kw_only=True)
class UpdateUser:
    """Set and remove attributes of a user who is active."""

    user: str
    principal: str
    set: Attributes
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UpdateGroup:
    """Set and remove attributes of a group."""

    group: str
    principal: str
    set: Attributes
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnableUser:
    """Set ``active`` to true and, in the same call, what changed while the user was disabled.

    One call, since edits of a disabled user may be refused, and since a person who returns with
    the attributes of an old job must not act under them even for a moment.
    """

    user: str
    principal: str
    set: Attributes
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AddMembers:
    """Put these people into a group."""

    group: str
    principal: str
    members: tuple[str, ...]


Change = (
    DisableUser
    | RemoveMembers
    | DeleteGroup
    | CreateUser
    | CreateGroup
    | UpdateUser
    | UpdateGroup
    | EnableUser
    | AddMembers
)

# The order of every plan: revoke before grant.
ORDER: tuple[type[Change], ...] = (
    DisableUser,
    RemoveMembers,
    DeleteGroup,
    CreateUser,
    CreateGroup,
    UpdateUser,
    UpdateGroup,
    EnableUser,
    AddMembers,
)

# Changes that take access away. They are never undone and never given up.
REVOCATIONS = (DisableUser, RemoveMembers, DeleteGroup)


def subject(change: Change) -> str:
    """The id in the directory of the user or group a change is about."""
    match change:
        case DisableUser() | CreateUser() | UpdateUser() | EnableUser():
            return change.user
        case RemoveMembers() | DeleteGroup() | CreateGroup() | UpdateGroup() | AddMembers():
            return change.group
        case _:
            assert_never(change)


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Sort changes into the order of a plan, the same whatever order they come in."""

    def rank(change: Change) -> tuple[int, str, tuple[str, ...]]:
        return ORDER.index(type(change)), subject(change), getattr(change, "members", ())

    return tuple(sorted(changes, key=rank))
