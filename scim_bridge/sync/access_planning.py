"""What does a pass of access do next? The difference of grants, less what the brake holds."""

from dataclasses import dataclass

from scim_bridge.plan.grants import AccessChange, Entitled, diff_grants, is_revocation
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.grants import Holder, Request, to_text
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Key, Mark
from scim_bridge.sync.subjects import Subjects


@dataclass(frozen=True, kw_only=True)
class AccessStep:
    """What is to be done now for one resource, and what is not."""

    entitled: Entitled
    changes: tuple[AccessChange, ...] = ()
    # What the brake keeps from being taken away.
    held: tuple[AccessChange, ...] = ()
    # What AWS is doing, and which creations failed.
    requests: tuple[Request, ...] = ()
    # What is to be given once the next extraction says what it is.
    unknown: tuple[str, ...] = ()
    # The person's leaving is held, and with it everything they have.
    is_kept: bool = False


class AccessPlanning:
    """Plans for one resource at a time. Methods join the transaction they are called in.

    Planning counts losses with the brake. Asking again does not count again.
    """

    def __init__(self, entitlements: Entitlements, subjects: Subjects, held: HeldLosses) -> None:
        self.entitlements = entitlements
        self.subjects = subjects
        self.held = held

    def next_step(self, mark: Mark) -> AccessStep:
        """The step for the resource of a mark, as things stand in this transaction."""
        key = mark.key
        entitled = self.entitlements.entitled(key, mark.take_away)
        if entitled.principal is None:
            return AccessStep(entitled=entitled, unknown=self.entitlements.wanted(key).unknown)
        holder = Holder(kind=key.kind, id=entitled.principal)
        requests = tuple(self.entitlements.grants.requests(holder))
        busy = {request.grant for request in requests if request.error is None}
        failed = {request.grant for request in requests if request.error is not None}
        changes = diff_grants(entitled)
        # Who has nothing to lose is not counted: without SCIM, a leaver is shown active for ever.
        loses = mark.take_away.everyone or any(is_revocation(change) for change in changes)
        is_kept = loses and self._is_kept(key, holder)
        held = tuple(
            change
            for change in changes
            if is_revocation(change) and (is_kept or self._is_held(key, holder, change))
        )
        return AccessStep(
            entitled=entitled,
            changes=tuple(
                change
                for change in changes
                if change not in held
                and change.grant not in busy
                and (is_revocation(change) or change.grant not in failed)
            ),
            held=held,
            requests=requests,
            unknown=self.entitlements.wanted(key).unknown,
            is_kept=is_kept,
        )

    def _is_kept(self, key: Key, holder: Holder) -> bool:
        """Whether the brake holds what takes all of a resource's grants: a leaving, a deletion."""
        if self.entitlements.is_effective(key):
            return False
        if key.kind == "group":
            return self.held.keeps_members(key.id)
        seen = self.entitlements.observations.seen("user", holder.id)
        # Who is disabled already loses nothing more that the brake counts.
        if seen is None or not seen.active:
            return False
        return bool(self.held.hold_back("disable", [key.id]))

    def _is_held(self, key: Key, holder: Holder, change: AccessChange) -> bool:
        lost = to_text(change.grant)
        if key.kind == "group":
            return self.held.holds_grant(lost, self._stayers(holder), group=key.id)
        people = [key.id] if self.entitlements.is_effective(key) else []
        return self.held.holds_grant(lost, people)

    def _stayers(self, group: Holder) -> frozenset[str]:
        """The members of a group who do not leave altogether: they count with the removals."""
        _, members = self.entitlements.observations.members(group.id)
        people = self.entitlements.observations.resources("user", members)
        leavers = self.subjects.inactive(frozenset(people.values()))
        return frozenset(people.get(member, member) for member in members) - leavers
