"""What does an error of one of AWS's APIs mean?

The names are those of botocore's service models, and of AWS's gateway before the services ("Common
errors" in each API's reference).
"""

import math
from typing import Any

from scim_bridge.errors import (
    AccessDenied,
    Conflict,
    DoorClosed,
    Missing,
    QuotaExceeded,
    Refused,
    TargetError,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.api_operations import Service
from scim_bridge.identity_center.exchange import DOOR_ERRORS, THROTTLE_ERRORS, Answer, Call

# IAM's refusals of one operation. Other names of DOOR_ERRORS are about the key, or all operations.
DENIALS = frozenset({"AccessDenied", "AccessDeniedException"})
BROKEN = frozenset({"InternalServerException", "InternalFailure", "ServiceUnavailable"})
QUOTAS = frozenset({"ServiceQuotaExceededException", "LimitExceededException"})


def api_failure(
    call: Call, answer: Answer, *, service: Service, setting: str, remedy: str
) -> TargetError | None:
    """The error an answer stands for; None if the call was done.

    2xx                                         done, if AWS has said it: Unavailable if not
    429, throttling (mostly with 400)           Throttled
    408, 5xx, an internal error                 Unavailable
    a key of KMS that does not open             DoorClosed
    IAM's denial of this operation              AccessDenied, with the action to allow
    401, 403, an unknown or expired key         DoorClosed, with the remedy
    3xx, 404, an unknown identity store         DoorClosed: the address is wrong
    ResourceNotFoundException                   Missing
    ConflictException                           Conflict, with AWS's reason
    a quota is used up                          QuotaExceeded
    any other                                   Refused
    """
    facts: dict[str, Any] = {"status": answer.status, "request_id": answer.request_id}
    said = f"{call.operation}: {answer.detail}"
    reason = _word(answer, "Reason")
    match answer.error:
        case _ if 200 <= answer.status < 300:
            return None if _is_of_aws(answer) else Unavailable(f"{said} (not of AWS)", **facts)
        case name if answer.status == 429 or name in THROTTLE_ERRORS:
            return Throttled(said, retry_after=_retry_after(answer), **facts)
        case name if answer.status == 408 or answer.status >= 500 or name in BROKEN:
            return Unavailable(f"{said} (status {answer.status})", **facts)
        case name if reason.startswith("KMS") or (name or "").startswith("KMS"):
            return DoorClosed(
                f"{said} ({reason or name}): the key that encrypts the instance does not open; "
                "check the key and the bridge's kms permissions",
                **facts,
            )
        case name if name in DENIALS:
            return _denied(call, answer, service=service)
        case name if name in DOOR_ERRORS or answer.status in (401, 403):
            return DoorClosed(_closed(answer, service, remedy), **facts)
        case "ResourceNotFoundException" if _of_the_store(answer):
            return DoorClosed(
                f"{said}: check identity_center.identity_store_id and identity_center.region",
                **facts,
            )
        case "ResourceNotFoundException":
            return Missing(said, **facts)
        case "ConflictException":
            return Conflict(said, reason=reason or None, **facts)
        case name if name in QUOTAS:
            return QuotaExceeded(
                f"{said} (a quota of {service.title} is used up: make room, or have it raised)",
                **facts,
            )
        case _ if answer.status < 400 or answer.status == 404:
            return DoorClosed(
                f"{service.title} is not at this address (status {answer.status}): check {setting}",
                **facts,
            )
        case _:
            return Refused(said, **facts)


def _is_of_aws(answer: Answer) -> bool:
    """Whether a success comes from AWS, not from a proxy between: JSON, or at least AWS's id."""
    return answer.body is not None or answer.request_id is not None


def _denied(call: Call, answer: Answer, *, service: Service) -> AccessDenied:
    action = f"{service.host}:{call.operation}"
    return AccessDenied(
        f"{call.operation} is not allowed to the bridge ({answer.detail}). Allow {action} in its "
        "IAM policy, and see that no service control policy denies it: deploy/iam has the policies",
        operation=call.operation,
        action=action,
        status=answer.status,
        request_id=answer.request_id,
    )


def _closed(answer: Answer, service: Service, remedy: str) -> str:
    name = f" {answer.error}" if answer.error else ""
    return (
        f"{service.title} refuses the bridge's credentials "
        f"({answer.status}{name}: {answer.detail}). {remedy}"
    )


def _of_the_store(answer: Answer) -> bool:
    """Whether the identity store itself is missing, not a user, group or membership in it.

    To take the one for the other would make everybody seem gone.
    """
    return (_word(answer, "ResourceType") or answer.detail).upper().startswith("IDENTITY_STORE")


def _retry_after(answer: Answer) -> float | None:
    """Seconds, from the body as the Identity Store API says it, else from the header."""
    seconds = (answer.body or {}).get("RetryAfterSeconds")
    if isinstance(seconds, int | float) and math.isfinite(seconds):
        return max(float(seconds), 0.0)
    return answer.retry_after


def _word(answer: Answer, member: str) -> str:
    word = (answer.body or {}).get(member)
    return word if isinstance(word, str) else ""
