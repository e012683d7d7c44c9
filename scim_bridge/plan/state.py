"""The values that are compared: what a target should hold, was given, and was last seen to hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# A principal's attributes by SCIM attribute path, as a PATCH names them: "displayName",
# "name.givenName", "emails" (a list of one), "urn:ietf:…:enterprise:2.0:User:department".
# `active` and `externalId` are not among them.
Attributes = Mapping[str, Any]

# The kinds of principals.
Kind = Literal["user", "group"]


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What can be asked of the door that users, groups and memberships are written through."""

    # Nobody is disabled or enabled where it cannot be: a leaver then loses everything else.
    disables: bool = True
    # A creation carries an externalId, by which it is found again after a lost answer.
    external_ids: bool = True
    # AWS SCIM developer guide, PatchGroup: at most so many changes in one call.
    members_per_call: int = 100


EVERYTHING = Abilities()


@dataclass(frozen=True, kw_only=True)
class UserState:
    """A user as one side of a comparison sees it."""

    attributes: Attributes
    active: bool


@dataclass(frozen=True, kw_only=True)
class GroupState:
    """A group as one side of a comparison sees it. Members are ids at the target."""

    attributes: Attributes
    members: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A user or group as the target showed it."""

    # The id at the target: the UserId or GroupId of Identity Center.
    id: str
    external_id: str | None
    attributes: Attributes
    # Always true for a group.
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class TakeAway:
    """Access to be taken away although the bridge may never have given it (design, section 3).

    ``everyone``: the group was deleted, whoever is in it goes. ``linked``: the member list was
    replaced as a whole, every linked person who is not wanted goes. ``named``: these ids at the
    target were removed by name, or were deactivated. ``inherited``: an earlier record of the person
    was deleted, and what it had goes, though the new one is activated meanwhile.
    """

    everyone: bool = False
    linked: bool = False
    named: frozenset[str] = frozenset()
    inherited: bool = False


NOTHING = TakeAway()


@dataclass(frozen=True, kw_only=True)
class User:
    """One user, from all three sides."""

    # The id in the directory.
    id: str
    # The externalId the target is given when the bridge creates the user there.
    external_id: str
    # What should be. None: nothing is wanted there, and nothing will be created.
    desired: UserState | None
    # What the bridge last wrote. None: it never wrote.
    applied: UserState | None = None
    # The linked principal and what it was last seen to hold. None: there is no link.
    principal: str | None = None
    observed: UserState | None = None
    # Whether the target can be told to disable and enable the user.
    can_be_disabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group, from all three sides."""

    id: str
    external_id: str
    # None: the group was deleted from the directory.
    desired: GroupState | None
    applied: GroupState | None = None
    principal: str | None = None
    observed: GroupState | None = None
    take_away: TakeAway = NOTHING
    # The ids at the target that are linked to somebody in the directory.
    linked: frozenset[str] = frozenset()
    # What becomes of a deleted group at the target (`[groups] delete`).
    when_deleted: Literal["empty", "remove"] = "empty"
    # Whether the bridge created the principal: only then may it be deleted.
    created_here: bool
    # How many membership changes one call takes.
    members_per_call: int = EVERYTHING.members_per_call
