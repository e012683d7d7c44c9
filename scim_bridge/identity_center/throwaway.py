"""Principals that are made to find something out, and their removal.

Everything is noted before it is made, so that nothing is forgotten when the answer is lost or the
operator stops it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from scim_bridge.errors import BridgeError, Missing, TargetError, Unavailable
from scim_bridge.identity_center.api_payloads import AssignmentStatus
from scim_bridge.identity_center.contract import Center
from scim_bridge.identity_center.sso_admin import SsoAdmin
from scim_bridge.plan.changes import DeleteGroup
from scim_bridge.plan.grants import AccountGrant
from scim_bridge.plan.state import Kind

# AWS is asked how far it is with an assignment after such pauses, in seconds, and not for longer.
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_WAIT = 0.2, 5.0, 300.0


@dataclass(kw_only=True)
class Trace:
    """A user or group that was made, or may have been."""

    kind: Kind
    name: str
    # None as long as no answer has told it.
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.id})" if self.id else "")


@dataclass(frozen=True, kw_only=True)
class GivenTrace:
    """An assignment that was made, or may have been."""

    group: str
    grant: AccountGrant

    def __str__(self) -> str:
        return (
            f"assignment of {self.grant.permission_set} in {self.grant.account} to the group "
            f"{self.group}"
        )


class Throwaways:
    """What was made so far. ``left`` is what still has to be removed, through ``center``."""

    def __init__(
        self,
        center: Callable[[], Center],
        sso_admin: SsoAdmin,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._center = center
        self._sso_admin = sso_admin
        self._sleep = sleep
        self.left: list[Trace | GivenTrace] = []

    def make(self, kind: Kind, name: str, create: Callable[[], str | None]) -> str:
        """Make a principal; `create` returns its id.

        :raises Unavailable: the answer was lost: it may have been made.
        """
        trace = Trace(kind=kind, name=name)
        self.left.append(trace)
        try:
            trace.id = create()
        except Unavailable:
            raise
        except BridgeError:
            self.left.remove(trace)
            raise
        if trace.id is None:
            raise Unavailable(f"the {kind} {name} was made, but no id is told")
        return trace.id

    def give(self, group: str, grant: AccountGrant) -> AssignmentStatus:
        """Assign, and wait until it is done. Assigning twice is noted once."""
        trace = GivenTrace(group=group, grant=grant)
        if trace not in self.left:
            self.left.append(trace)
        admin = self._sso_admin
        begun = admin.create_account_assignment("group", group, grant)
        return self._ended(begun, admin.creation_status)

    def remove(self) -> list[str]:
        """Remove everything, the newest first; returns why something is left, if so."""
        problems = []
        for trace in reversed(list(self.left)):
            try:
                self._remove(trace)
            except TargetError as error:
                problems.append(f"{trace}: {error.detail}")
                continue
            self.left.remove(trace)
        return problems

    def _remove(self, trace: Trace | GivenTrace) -> None:
        if isinstance(trace, GivenTrace):
            self._take(trace)
            return
        center = self._center()
        found = trace.id or _found(center, trace)
        if found is None:
            return
        if trace.kind == "user":
            center.delete_user(found)
        else:
            center.apply(DeleteGroup(group=trace.name, principal=found))

    def _take(self, trace: GivenTrace) -> None:
        admin = self._sso_admin
        try:
            begun = admin.delete_account_assignment("group", trace.group, trace.grant)
            ended = self._ended(begun, admin.deletion_status)
        except Missing:
            return
        if ended.state != "SUCCEEDED":
            raise Unavailable(f"not taken away: {ended.failure_reason or ended.state}")

    def _ended(
        self, status: AssignmentStatus, ask: Callable[[str], AssignmentStatus]
    ) -> AssignmentStatus:
        waited, pause = 0.0, FIRST_PAUSE
        while status.state == "IN_PROGRESS" and waited < LONGEST_WAIT:
            self._sleep(pause)
            waited, pause = waited + pause, min(pause * 1.5, LONGEST_PAUSE)
            status = ask(status.request_id)
        return status


def _found(center: Center, trace: Trace) -> str | None:
    """Who was made by a call whose answer was lost."""
    if trace.kind == "user":
        found = center.find_user(user_name=trace.name)
        named = found and found.attributes.get("userName")
    else:
        found = center.find_group(display_name=trace.name)
        named = found and found.attributes.get("displayName")
    return found.id if found is not None and named == trace.name else None
