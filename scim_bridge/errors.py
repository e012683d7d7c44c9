"""What can go wrong, as one tree.

    BridgeError
    ├── SettingsError            the settings cannot be used; names every problem
    ├── RulesError               a file of rules cannot be used; names every problem
    ├── OperatorError            a command cannot be carried out; says what to do
    ├── DirectoryError
    │   ├── DatabaseUnavailable  the database does not answer; the client retries
    │   │   └── Collided         another transaction stood in the way; made again at once
    │   └── MigrationMissing     the database is not at this version's schema
    ├── NotSent                  a notice was not taken
    ├── AuditBroken              the audit trail was changed; names where
    └── TargetError              what a target answered, with its request id
        ├── Refused              for good: the request is not acceptable there
        │   └── Conflict         a unique value is taken there
        ├── Missing              the principal is not there (any more)
        ├── DoorClosed           credentials, rights, region or tenant: nothing gets through
        └── TryLater             soft: the same call may succeed later
            ├── Throttled        too many calls; carries when to come back
            ├── QuotaExceeded    a quota is used up, until somebody raises it or makes room
            ├── AccessDenied     IAM refuses one operation, until somebody allows it
            ├── Unavailable      5xx, no connection, or the answer was lost
            └── CircuitOpen      not even asked: the door is known to be closed

A library's exception is translated once, where the library is called. SCIM's own exceptions
(scim2-models) are not in this tree: they are answers to clients, made only in ``scim``.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class BridgeError(Exception):
    """Base of every error the bridge raises on purpose."""


@dataclass(frozen=True, kw_only=True)
class SettingProblem:
    """One thing wrong with the settings."""

    # The key as in the file ("identity_center.region") or the environment variable's name.
    where: str
    # What is wrong and what would be right, without any secret.
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class SettingsError(BridgeError):
    """The settings cannot be used. ``problems`` names each one, never only the first."""

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class RulesError(BridgeError):
    """A file of rules cannot be used. ``problems`` names each one, never only the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(("the rules cannot be used:", *problems)))


class OperatorError(BridgeError):
    """A command cannot be carried out as given. The message says what to do instead."""


class NotSent(BridgeError):
    """A notice, by webhook or mail, was not taken. It is sent again.

    ``retry_after`` is in seconds, when the other side said so.
    """

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class DirectoryError(BridgeError):
    """The directory cannot do what was asked."""


class DatabaseUnavailable(DirectoryError):
    """The database does not answer, or stayed locked; try again. Nothing was changed, unless the
    answer to the commit was lost.
    """


class Collided(DatabaseUnavailable):
    """The transaction and another one stood in each other's way, and this one was taken back as a
    whole. Made again, it may succeed at once.
    """


class MigrationMissing(DirectoryError):
    """The database's schema is not this version's. ``scim-bridge db upgrade`` mends it."""


class AuditBroken(BridgeError):
    """The audit trail does not verify. The message names the first row or batch that differs."""


class TargetError(BridgeError):
    """What a target (Identity Center) answered, or that it did not.

    ``status`` is the HTTP status, if there was an answer. ``request_id`` is the target's own id of
    the call, for the audit trail and for its support.
    """

    def __init__(
        self, detail: str, *, status: int | None = None, request_id: str | None = None
    ) -> None:
        self.detail = detail
        self.status = status
        self.request_id = request_id
        super().__init__(detail)


class Refused(TargetError):
    """The target refuses this request for good; sending it again cannot help."""


class Conflict(Refused):
    """A unique value is taken at the target, or what was sent exists already.

    ``reason`` is the target's word for it, where it has one. The SSO Admin API gives none, and
    means that an earlier write has not spread yet: there the same call is to be sent again.
    """

    def __init__(
        self,
        detail: str,
        *,
        reason: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.reason = reason
        super().__init__(detail, status=status, request_id=request_id)


class Missing(TargetError):
    """The principal, or one of those named in the call, does not exist at the target."""


class DoorClosed(TargetError):
    """Nothing gets through: credentials, permissions, region, tenant or encryption key.

    It is nobody's fault who sent a change: the change stays pending, the circuit opens.
    """


class TryLater(TargetError):
    """The same call may succeed later. Counted and retried, never given up."""


class Throttled(TryLater):
    """Too many calls. ``retry_after`` is in seconds, when the target said so."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(detail, status=status, request_id=request_id)


class QuotaExceeded(TryLater):
    """A quota of the target is used up. Trying again soon cannot help, trying late can."""


class AccessDenied(TryLater):
    """IAM refuses one operation; others go through, so the door is not closed.

    ``operation`` is the call, ``action`` what the bridge's IAM policy has to allow.
    """

    def __init__(
        self,
        detail: str,
        *,
        operation: str,
        action: str,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.operation = operation
        self.action = action
        super().__init__(detail, status=status, request_id=request_id)


class Unavailable(TryLater):
    """A 5xx answer, no connection, or a lost answer: the call may or may not have been done."""


class CircuitOpen(TryLater):
    """The call was not sent, since the door is known to be closed. Carries the cause in words."""
