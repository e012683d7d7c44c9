"""What a pass does next for one resource: the difference, less what is switched off or held."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from scim_bridge.directory.database import Database
from scim_bridge.plan.changes import (
    AddMembers,
    Change,
    DeleteGroup,
    DisableUser,
    RemoveMembers,
)
from scim_bridge.plan.diff import diff_group, diff_user, surplus
from scim_bridge.plan.policy import Switches, permitted
from scim_bridge.plan.state import Group, User
from scim_bridge.sync import access_of
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Key, Mark, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.subjects import Subjects


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is to be done now, and what is not."""

    subject: User | Group | None
    changes: tuple[Change, ...] = ()
    suppressed: tuple[Change, ...] = ()
    # Changes, or parts of changes, that the brake keeps from being made.
    held: tuple[Change, ...] = ()
    # What has to happen first, of what is left to do.
    waits: str | None = None


class Planning:
    """Plans for one resource at a time. Methods join the transaction they are called in.

    Planning counts losses with the brake, so that two passes at once cannot both take the last
    place. Asking again does not count again.
    """

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        observations: Observations,
        held: HeldLosses,
        switches: Switches,
    ) -> None:
        self.database = database
        self.subjects = subjects
        self.observations = observations
        self.held = held
        self.switches = switches

    def next_step(self, mark: Mark) -> Step:
        """The step for the resource of a mark, as things stand in this transaction."""
        subject = self.subject(mark)
        match subject:
            case User():
                return self._user(subject, mark)
            case Group():
                return self._group(subject)
            case None:
                return Step(subject=None)
            case _:
                assert_never(subject)

    def subject(self, mark: Mark) -> User | Group | None:
        """The resource of a mark, from all three sides; None if there never was one."""
        if mark.key.kind == "user":
            return self.subjects.user(mark.key.id)
        return self.subjects.group(mark.key.id, mark.take_away)

    def _user(self, user: User, mark: Mark) -> Step:
        allowed = permitted(diff_user(user), self.switches)
        stopped = self._stopped_disables(user, mark, allowed.changes)
        return Step(
            subject=user,
            changes=tuple(change for change in allowed.changes if change not in stopped),
            suppressed=allowed.suppressed,
            held=stopped,
        )

    def _stopped_disables(
        self, user: User, mark: Mark, changes: Iterable[Change]
    ) -> tuple[Change, ...]:
        """The disabling that the brake holds.

        It stands for everything a leaver loses, also where they can lose nothing but memberships
        and assignments.
        """
        disables = tuple(change for change in changes if isinstance(change, DisableUser))
        if user.principal is not None and _leaves_enabled(user, mark):
            disables = (DisableUser(user=user.id, principal=user.principal),)
        if disables and self.held.hold_back("disable", [user.id]):
            return disables
        return ()

    def _group(self, group: Group) -> Step:
        changes = self._joinable(diff_group(group))
        kept = self._kept_members(group)
        if not kept:
            return self._assignments_first(group, changes)
        # A group cannot be deleted over the heads of people who are held in it.
        if any(isinstance(change, DeleteGroup) for change in changes):
            changes = diff_group(replace(group, when_deleted="empty"))
        split = [_split(change, kept) for change in changes]
        return Step(
            subject=group,
            changes=tuple(change for change, _ in split if change is not None),
            held=tuple(held for _, held in split if held is not None),
        )

    def _assignments_first(self, group: Group, changes: tuple[Change, ...]) -> Step:
        """A group is deleted once it has no assignments, so that none is left without a holder."""
        deletes = any(isinstance(change, DeleteGroup) for change in changes)
        if not deletes or not self._has_assignments_to_lose(group.id):
            return Step(subject=group, changes=changes)
        return Step(
            subject=group,
            changes=self._joinable(diff_group(replace(group, when_deleted="empty"))),
            waits="waits for the group's assignments to be taken away",
        )

    def _has_assignments_to_lose(self, group_id: str) -> bool:
        marks = Marks(self.database, access_of(self.observations.target))
        mark = marks.find(Key(kind="group", id=group_id))
        return mark is not None and mark.state != "clear"

    def _joinable(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """The changes without additions of people who are disabled at the target.

        AWS may refuse such an addition. Enabling the person marks the group again.
        """
        joinable: list[Change] = []
        for change in changes:
            if isinstance(change, AddMembers):
                disabled = self.observations.disabled(change.members)
                members = tuple(one for one in change.members if one not in disabled)
                change = replace(change, members=members)
            if not isinstance(change, AddMembers) or change.members:
                joinable.append(change)
        return tuple(joinable)

    def _kept_members(self, group: Group) -> frozenset[str]:
        """The members, by ids at the target, whom the brake keeps in the group for now."""
        losing = surplus(group)
        if group.desired is None and group.observed is not None:
            losing = _losing_by_deletion(group)
        if not losing:
            return frozenset()
        people = self.observations.resources("user", losing)
        leavers = self.subjects.inactive(frozenset(people.values()))
        held = self._held_leavers(leavers)
        stayers = {people.get(member, member) for member in losing} - leavers
        held |= self.held.hold_back("removal", stayers, group=group.id)
        return frozenset(member for member in losing if people.get(member, member) in held)

    def _held_leavers(self, leavers: frozenset[str]) -> set[str]:
        """Leavers whose disabling the brake holds: they keep their memberships until it is decided.

        Who is disabled already, or never was at the target, loses nothing more by it.
        """
        still_active = set()
        for user_id in leavers:
            user = self.subjects.user(user_id)
            if user is not None and user.observed is not None and user.observed.active:
                still_active.add(user_id)
        return self.held.hold_back("disable", still_active)


def _leaves_enabled(user: User, mark: Mark) -> bool:
    """Whether a leaver is to lose everything, and the target cannot disable them."""
    leaves = user.desired is not None and not user.desired.active
    return leaves and not user.can_be_disabled and mark.take_away.everyone


def _losing_by_deletion(group: Group) -> frozenset[str]:
    if group.observed is None:
        return frozenset()
    if group.when_deleted == "remove" and group.created_here:
        return group.observed.members
    return surplus(group)


def _split(change: Change, kept: frozenset[str]) -> tuple[Change | None, Change | None]:
    """A change in two parts: what may be done, and what is held."""
    if not isinstance(change, RemoveMembers):
        return change, None
    free = tuple(member for member in change.members if member not in kept)
    held = tuple(member for member in change.members if member in kept)
    return (
        replace(change, members=free) if free else None,
        replace(change, members=held) if held else None,
    )
