"""What does the bridge rely on at Identity Center, whichever door it writes through?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Unpack

from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.changes import Change
from scim_bridge.plan.state import Abilities, Principal


@dataclass(frozen=True, kw_only=True)
class Applied:
    """How a change ended: it was done."""

    # The principal as Identity Center shows it after the change; None for what shows nothing.
    principal: Principal | None = None
    # AWS's id of the call, for the audit trail.
    request_id: str | None = None


class Center(Protocol):
    """An Identity Center that users, groups and memberships are written to.

    Everything here raises what `Transport.ask` raises. ``deadline`` is a time of the monotonic
    clock after which nothing is sent and nothing waited for; without one a call waits for its turn
    as long as it takes. An ``urgent`` call overtakes those that wait; a revocation always is one.
    A list that cannot be read to its end raises, and is never taken for a shorter one.
    """

    @property
    def abilities(self) -> Abilities:
        """What the plan may ask of this door."""
        ...

    @property
    def circuit(self) -> Circuit:
        """Whether the door is open, for status and alarms."""
        ...

    def check(self, *, deadline: float | None = None) -> None:
        """Make a harmless call, to see that address and credentials are right."""
        ...

    def apply(self, change: Change, *, deadline: float | None = None) -> Applied:
        """Make what a change stands for. Deleting what is gone is done.

        `ONLY_AT_CREATION` attributes of an existing user are left out.

        :raises ValueError: the change is not within `abilities`: a defect of the caller.
        :raises Unavailable: also when the answer was lost: the change may have been made.
        """
        ...

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Applied:
        """Delete a user for good: only for an erasure on request. Done when they are gone already.

        AWS does not undo it, and assignments of the user stay behind (AWS SCIM developer guide,
        DeleteUser), so they are taken away before.
        """
        ...

    def user(self, user_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The user with this id. None: it is gone, and that is certain."""
        ...

    def group(self, group_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The group with this id. None: it is gone, and that is certain."""
        ...

    def find_user(
        self,
        *,
        external_id: str | None = None,
        user_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The user with this externalId, or with this userName in any case. Give one of the two."""
        ...

    def find_group(
        self,
        *,
        external_id: str | None = None,
        display_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The group with this externalId, or with this displayName in any case. Give one."""
        ...

    def members(
        self,
        group_id: str,
        *,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> frozenset[str]:
        """The ids of all users in a group.

        ``turn_page`` is called before each page but the first, and gives that page its deadline.

        :raises Missing: the group is gone, and Identity Center says so; it may also show no one.
        """
        ...

    def groups_of(self, user_id: str, **haste: Unpack[Haste]) -> frozenset[str]:
        """The ids of all groups a user is in; none if the user is gone."""
        ...

    def is_member(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> bool:
        """Whether a user is in a group.

        :raises Missing: the user is gone.
        """
        ...
