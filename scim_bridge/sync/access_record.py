"""What calls for assignments came to, written down: applied, observed, requests, audit trail."""

from typing import Any, Literal

from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.plan.grants import AccessChange, AccountGrant, Grant, is_revocation
from scim_bridge.sync import at_which
from scim_bridge.sync.grants import Grants, Holder, Operation, columns, to_text
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Key

# What a call is called in the audit trail.
_CALLS: dict[tuple[str, bool], str] = {
    ("create", True): "CreateAssignment",
    ("delete", True): "DeleteAssignment",
    ("create", False): "CreateApplicationAssignment",
    ("delete", False): "DeleteApplicationAssignment",
}


class AccessRecorder:
    """Writes down how calls for assignments ended. Methods join the caller's transaction."""

    def __init__(self, database: Database, grants: Grants, held: HeldLosses) -> None:
        self.database = database
        self.grants = grants
        self.held = held

    def given(self, key: Key, holder: Holder, grant: Grant, *, request_id: str | None) -> None:
        """The principal holds it now."""
        self._over(holder, grant)
        self.grants.given(holder, grant)
        self.audit(key, "create", grant, request_id=request_id)

    def taken(self, key: Key, holder: Holder, grant: Grant, *, request_id: str | None) -> None:
        """The principal holds it no more."""
        self.gone(key, holder, grant)
        self.audit(key, "delete", grant, request_id=request_id)

    def gone(self, key: Key, holder: Holder, grant: Grant) -> None:
        """The principal was found not to hold it."""
        self._over(holder, grant)
        self.grants.gone(holder, [grant])
        person, group = (key.id, "") if key.kind == "user" else ("", key.id)
        self.held.release_grant(to_text(grant), person=person, group=group)

    def not_given(
        self, key: Key, holder: Holder, grant: Grant, reason: str, *, request_id: str | None
    ) -> None:
        """AWS failed to give it, or refused to."""
        if isinstance(grant, AccountGrant):
            self.grants.failed(holder, grant, reason)
        else:
            self.grants.not_given(holder, grant)
        self.audit_refusal(key, "create", grant, reason, request_id=request_id)

    def not_taken(
        self, key: Key, holder: Holder, grant: Grant, reason: str, *, request_id: str | None
    ) -> None:
        """AWS failed to take it away, or refused to. It is asked again."""
        self._over(holder, grant)
        self.audit_refusal(key, "delete", grant, reason, request_id=request_id)

    def not_asked(self, holder: Holder, grant: Grant) -> None:
        """The call did not reach AWS, or AWS did not take it up."""
        self._over(holder, grant)

    def _over(self, holder: Holder, grant: Grant) -> None:
        if isinstance(grant, AccountGrant):
            self.grants.forget(holder, grant)

    # -- The audit trail ------------------------------------------------

    def audit(
        self,
        key: Key,
        operation: Operation,
        grant: Grant,
        *,
        request_id: str | None,
        outcome: Literal["ok", "begun", "gone"] = "ok",
    ) -> None:
        """Name a call that AWS took ("begun"), has done, or found to be done ("gone")."""
        self._audit(Action.CALL, key, operation, grant, outcome, request_id)

    def audit_unanswered(
        self, key: Key, operation: Operation, grant: Grant, *, request_id: str | None
    ) -> None:
        """Name a call that may have been done."""
        self._audit(Action.UNANSWERED, key, operation, grant, "not known", request_id)

    def audit_refusal(
        self,
        key: Key,
        operation: Operation,
        grant: Grant,
        reason: str,
        *,
        request_id: str | None,
    ) -> None:
        self._audit(
            Action.REFUSED, key, operation, grant, "refused", request_id, {"detail": reason}
        )

    def _audit(
        self,
        action: Action,
        key: Key,
        operation: Operation,
        grant: Grant,
        outcome: str,
        request_id: str | None,
        personal: dict[str, Any] | None = None,
    ) -> None:
        record(
            self.database,
            action=action,
            kind=key.kind,
            resource_id=key.id,
            outcome=outcome,
            facts={
                "change": _CALLS[operation, isinstance(grant, AccountGrant)],
                **named(grant),
                **at_which(self.grants.target),
            },
            personal=personal,
            target_request_id=request_id,
        )


def named(grant: Grant) -> dict[str, str]:
    """A grant as facts of the audit trail."""
    words = {"account_id": "account", "permission_set": "permissionSet"}
    return {words.get(name, name): value for name, value in columns(grant).items() if value}


def operation_of(change: AccessChange) -> Operation:
    """Whether a change gives or takes."""
    return "delete" if is_revocation(change) else "create"
