"""What one write changed in the directory: told to whoever must act on it, in its transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.plan.grants import Grant
from scim_bridge.plan.state import Kind

__all__ = ["Kind", "Write"]


@dataclass(frozen=True, kw_only=True, order=True)
class Cause:
    """That a rule made a change, and why it did so now."""

    rule: str
    # The attributes that changed, "date", or the file of rules that was applied.
    because: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """The same as facts of an entry of the audit trail."""
        return {"rule": self.rule, "because": list(self.because)}


@dataclass(frozen=True, kw_only=True)
class Write:
    """One committed-or-not-at-all change of a resource.

    Given to the `written` callable of `Resources` inside the transaction, after the rows were
    changed and before the commit. A write that changes nothing is not reported.
    """

    kind: Kind
    id: str
    action: Literal["create", "update", "delete"]
    # The document (without memberships) before and after. None where there was or is none.
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    # The version this write made, and the one before (0: there was none).
    version: int
    version_before: int
    # Of a group: the user ids whose membership this write began or ended in the directory.
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    # Of a group: the membership rows this write began, so that each can be taken back.
    rows: tuple[int, ...] = ()
    # Of a group: the groups this write put into it and took out of it, the rows it began for that,
    # and the people of those that were taken out.
    nested: tuple[str, ...] = ()
    unnested: tuple[str, ...] = ()
    nesting_rows: tuple[int, ...] = ()
    let_go: tuple[str, ...] = ()
    # Of a group: who was to be taken out, and is still a member since a rule gives it.
    kept: tuple[str, ...] = ()
    # Of a group whose people changed: the groups that it is in, or was until this write.
    outer: tuple[str, ...] = ()
    # Of a group: the user ids a client named for removal, members or not.
    named: tuple[str, ...] = ()
    # Of a group: the member list was stated as a whole (PUT, or a replace or remove of `members`).
    replaced: bool = False
    # Of a user: groups whose membership ended with this write (a deletion; a return too late). Of a
    # group that was deleted: the groups it was in.
    left: tuple[str, ...] = ()
    # Grants whose row this write began, and grants that a client took away by name or whose row it
    # ended; as far as they are known by ARN.
    granted: tuple[Grant, ...] = ()
    revoked: tuple[Grant, ...] = ()
    # Something about grants changed, be it only by a name that nothing is known of yet.
    entitlements: bool = False
    # The same as the rows name them, for the audit trail.
    begun: tuple[NamedGrant, ...] = ()
    ended: tuple[NamedGrant, ...] = ()
    # The rows of grants this write began, so that each can be taken back.
    grant_rows: tuple[int, ...] = ()
    # Grants that were to be taken away, and are still there since a rule gives them.
    kept_grants: tuple[NamedGrant, ...] = ()
    # Of what rules made: the cause of each change, by the id of the person or group, or the grant.
    causes: Mapping[str | NamedGrant, Cause] = field(default_factory=dict)
    # True when this write takes back one that the target refused.
    undo: bool = False

    @property
    def is_by_rule(self) -> bool:
        """Whether it follows from another write, from the time or from new rules."""
        return bool(self.causes)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever known of this id before."""
        return self.version_before == 0

    @property
    def leaves(self) -> bool:
        """Whether somebody who was active is not any more: deactivated or deleted."""
        return self.kind == "user" and _is_active(self.before) and not _is_active(self.after)

    @property
    def returns(self) -> bool:
        """Whether somebody is active who was not: a creation or a reactivation."""
        return self.kind == "user" and _is_active(self.after) and not _is_active(self.before)


def _is_active(document: dict[str, Any] | None) -> bool:
    return document is not None and document.get("active") is not False
