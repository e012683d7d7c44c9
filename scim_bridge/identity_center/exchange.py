"""What is asked of Identity Center, and what does its answer mean?"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from scim_bridge.errors import (
    Conflict,
    DoorClosed,
    Missing,
    Refused,
    TargetError,
    Throttled,
    Unavailable,
)

# What AWS's gateways call an error of credentials, also where the status is 400.
DOOR_ERRORS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedException",
        "UnrecognizedClientException",
    }
)
# The same for too many calls.
THROTTLE_ERRORS = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"}
)
# As much of AWS's own words as a message repeats.
LONGEST_DETAIL = 300


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to Identity Center."""

    # As AWS names it: "CreateUser".
    operation: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    # Below the endpoint, quoted: "Users/9067…". The APIs have one path only.
    path: str = ""
    # Quoted, without the question mark.
    query: str = ""
    body: Mapping[str, Any] | None = None
    # Whether it names a principal that may be gone. Else a 404 is about the address.
    names_principal: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    # The JSON object of the body. None: there was none, or it could not be read.
    body: Mapping[str, Any] | None = None
    # AWS's id of the call, for the audit trail and for AWS's support.
    request_id: str | None = None
    # The name AWS gives the error, where it does: "AccessDeniedException".
    error: str | None = None
    # Seconds, from the Retry-After header.
    retry_after: float | None = None
    # What the body seems to be, to be named where it could not be read.
    content_type: str = field(default="no content type")

    @property
    def detail(self) -> str:
        """AWS's own words, cut short: the first line, since more may repeat the signed headers."""
        words = _words(self.body or {})
        line = words.strip().split("\n")[0].strip() if words else ""
        return line[:LONGEST_DETAIL] or f"no explanation ({self.content_type})"


def read_answer(
    *, status: int, headers: Mapping[str, str], content: bytes, now: datetime | None = None
) -> Answer:
    """Read an HTTP answer; whatever it holds, this does not fail.

    AWS answers errors of the service in SCIM form, and those of its gateways in other forms or in
    HTML (AWS SCIM developer guide; bodies captured by clients).
    """
    body = _object(content)
    return Answer(
        status=status,
        body=body,
        request_id=headers.get("x-amzn-RequestId"),
        error=_error_name(headers.get("x-amzn-ErrorType"), body or {}),
        retry_after=_seconds(headers.get("Retry-After"), now=now or datetime.now(UTC)),
        content_type=headers.get("Content-Type", "no content type").split(";")[0],
    )


def failure(call: Call, answer: Answer, *, remedy: str) -> TargetError | None:
    """The error an answer stands for; None if the call was done.

    2xx                                 done
    401, 403, 400 naming credentials
        or the encryption key           DoorClosed, with the remedy for this kind of auth
    3xx, 404 where nothing can be gone  DoorClosed: the address is wrong
    404                                 Missing
    409                                 Conflict
    429, 400 naming a throttle          Throttled
    408, 5xx                            Unavailable
    any other                           Refused
    """
    facts: dict[str, Any] = {"status": answer.status, "request_id": answer.request_id}
    said = f"{call.operation}: {answer.detail}"
    match answer.status:
        case status if 200 <= status < 300:
            return None
        case status if status == 429 or (status == 400 and answer.error in THROTTLE_ERRORS):
            return Throttled(said, retry_after=answer.retry_after, **facts)
        case 401 | 403:
            return DoorClosed(_closed(answer, remedy), **facts)
        case 400 if answer.error in DOOR_ERRORS or (answer.error or "").startswith("KMS"):
            return DoorClosed(_closed(answer, remedy), **facts)
        case status if status < 400 or (status == 404 and not call.names_principal):
            return DoorClosed(
                f"there is no SCIM endpoint at this address (status {status}): check "
                f"identity_center.scim_endpoint, as the console shows it",
                **facts,
            )
        case 404:
            return Missing(said, **facts)
        case 409:
            return Conflict(said, **facts)
        case status if status == 408 or status >= 500:
            return Unavailable(f"{said} (status {status})", **facts)
        case _:
            return Refused(said, **facts)


def _closed(answer: Answer, remedy: str) -> str:
    name = f" {answer.error}" if answer.error else ""
    return (
        f"Identity Center refuses the bridge's credentials "
        f"({answer.status}{name}: {answer.detail}). {remedy}"
    )


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _words(body: Mapping[str, Any]) -> str | None:
    inner = body.get("Error")
    places = (body, inner) if isinstance(inner, Mapping) else (body,)
    words = (place.get(key) for place in places for key in ("detail", "message", "Message"))
    return next((word for word in words if isinstance(word, str) and word.strip()), None)


def _error_name(header: str | None, body: Mapping[str, Any]) -> str | None:
    """The name of an error, of which AWS has several spellings.

    "Name", "Name:http://…" in the header, "prefix#Name" in the body.
    """
    inner = body.get("Error")
    name = header or body.get("__type") or (inner.get("Code") if isinstance(inner, dict) else None)
    if not isinstance(name, str):
        return None
    return name.split(":")[0].rsplit("#", 1)[-1].strip()[:100] or None


def _seconds(retry_after: str | None, *, now: datetime) -> float | None:
    """The seconds of a Retry-After header: a number or a date (RFC 9110 section 10.2.3)."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after, now=now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(date: str, *, now: datetime) -> float:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()
