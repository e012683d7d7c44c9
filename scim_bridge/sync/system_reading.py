"""What does a connected system hold, read completely over SCIM and at a modest pace?"""

import time
from collections.abc import Collection

from scim_bridge.connectors.scim_system import ConnectedSystem
from scim_bridge.errors import Missing
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.plan.state import Kind, Principal
from scim_bridge.sync.reading import (
    CALL_SECONDS,
    Catalogue,
    HeldGrant,
    HeldGrants,
    Members,
    Progress,
    unwatched,
)


class SystemReader:
    """Reads one connected system, as `Reader` reads an Identity Center. It has no accounts."""

    def __init__(self, system: ConnectedSystem, *, calls_per_second: float) -> None:
        self._system = system
        self._pacer = Pacer(calls_per_second)

    def users(self, report: Progress = unwatched) -> dict[str, Principal]:
        """Every user, by id."""
        return self._principals("user", report)

    def groups(self, report: Progress = unwatched) -> dict[str, Principal]:
        """Every group, by id."""
        return self._principals("group", report)

    def memberships(self, groups: Collection[str], report: Progress = unwatched) -> Members:
        """Who is in each of these groups. A group that is gone is not among those read."""
        found: set[tuple[str, str]] = set()
        read: set[str] = set()
        for place, group in enumerate(sorted(groups), start=1):
            members = self._members(group)
            if members is not None:
                read.add(group)
                found.update((group, member) for member in members)
            report(place, len(groups))
        return Members(groups=frozenset(read), pairs=frozenset(found))

    def user_is_there(self, user: str) -> bool:
        return self._system.user(user, deadline=self._turn()) is not None

    def group_is_there(self, group: str) -> bool:
        return self._system.group(group, deadline=self._turn()) is not None

    def groups_still_holding(self, member: str, groups: Collection[str]) -> frozenset[str]:
        """Those of these groups that somebody is in. Who is gone is in none."""
        return frozenset(group for group in groups if member in (self._members(group) or ()))

    def catalogue(self, report: Progress = unwatched) -> Catalogue:
        """There is nothing to grant."""
        return Catalogue(permission_sets=None, accounts=None, applications=None)

    def grants(
        self, principals: Collection[tuple[Kind, str]], report: Progress = unwatched
    ) -> HeldGrants:
        """Nobody is granted anything."""
        return HeldGrants(principals=frozenset(principals), held=frozenset())

    def account_grants(self, kind: Kind, principal: str) -> frozenset[HeldGrant]:
        return frozenset()

    def application_grants(self, kind: Kind, principal: str) -> frozenset[HeldGrant]:
        return frozenset()

    def _principals(self, kind: Kind, report: Progress) -> dict[str, Principal]:
        found: dict[str, Principal] = {}
        listed = self._system.everybody(kind, turn_page=self._turn, deadline=self._turn())
        for principal in listed:
            found[principal.id] = principal
            report(len(found), 0)
        return found

    def _members(self, group: str) -> frozenset[str] | None:
        """Who is in a group. None: it is gone."""
        try:
            return self._system.members(group, deadline=self._turn())
        except Missing:
            return None

    def _turn(self) -> float:
        """Wait for the turn of the next call. Returns its deadline."""
        with self._pacer.turn():
            return time.monotonic() + CALL_SECONDS
