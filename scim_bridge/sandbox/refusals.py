"""With which error does AWS refuse a request, and what does the body look like?

    Refused
    +-- Invalid      400  ValidationException
    +-- NotFound     404  ResourceNotFoundException
    +-- Duplicate    409  ConflictException
    +-- OverQuota    400  ValidationException; the APIs have a name for it
    +-- Failing      any  what a fault or the throttle answers, in SCIM form
    +-- Denied       401, 403, 5xx: answered before the service is reached, not in SCIM form

AWS's `detail` never says what exactly was wrong. The `reason` does: it is in the sandbox's log
and in `GET /_sandbox/requests`, as CloudTrail's errorMessage is for the real service.
"""

from datetime import datetime
from typing import Any

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"

# The detail texts are those of bodies captured by clients.
VIOLATES_SCHEMA = "Request is unparsable, syntactically incorrect, or violates schema."
DUPLICATE = "Refused to create a new, duplicate resource."
PATHLESS = (
    'Current PATCH support allows omitting "path" attribute only for Add and Replace operations '
    "modifying a single attribute."
)
REPLACING_MEMBERS = "Replacing group memberships is not supported."
# No captured body of these is known: the texts are the sandbox's own. [inferred]
NOT_FOUND = "Resource not found."
THROTTLED = "Too many requests were made that exceed the limits."
FAILED = "Service failed to process the request."

_DETAILS = {400: VIOLATES_SCHEMA, 404: NOT_FOUND, 409: DUPLICATE, 429: THROTTLED}


class Refused(Exception):
    """AWS does not do what was asked. `status` is the HTTP status, `reason` is for people."""

    status: int
    detail: str

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def body(self, *, request_id: str, now: datetime) -> dict[str, Any]:
        """The SCIM error as clients captured it: both `schema` and `schemas`, no `scimType`."""
        return {
            "schema": [ERROR_SCHEMA],
            "schemas": [ERROR_SCHEMA],
            "detail": self.detail,
            "status": str(self.status),
            "exceptionRequestId": request_id,
            "timeStamp": now.strftime("%Y-%m-%d %H:%M:%S.") + f"{now.microsecond // 1000:03d}",
        }


class Invalid(Refused):
    """The request cannot be parsed, violates the schema or is an unsupported operation."""

    status = 400

    def __init__(self, reason: str, *, detail: str = VIOLATES_SCHEMA) -> None:
        super().__init__(reason)
        self.detail = detail


class NotFound(Refused):
    """The resource does not exist."""

    status = 404
    detail = NOT_FOUND


class Duplicate(Refused):
    """A unique value is taken; AWS does not say which."""

    status = 409
    detail = DUPLICATE


class OverQuota(Refused):
    """There may be no more of them. No SCIM error is documented for it. [inferred]"""

    status = 400
    detail = VIOLATES_SCHEMA


class Failing(Refused):
    """The sandbox was told to answer this status, or throttles."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.detail = _DETAILS.get(status, FAILED)


class Denied(Refused):
    """Refused in front of the service, with `kind` as AWS names it.

    AWS documents no body for these answers; this is the form its gateways use. [inferred]
    """

    def __init__(self, status: int, kind: str, message: str, *, reason: str | None = None) -> None:
        super().__init__(reason or message)
        self.status, self.kind, self.detail = status, kind, message

    def body(self, *, request_id: str, now: datetime) -> dict[str, Any]:
        return {"__type": self.kind, "message": self.detail}


def unauthorized(reason: str) -> Denied:
    """401: the Authorization header is missing or invalid, or the tenant is wrong."""
    message = "Authorization header is invalid or missing, or the tenant ID is incorrect."
    return Denied(401, "UnauthorizedException", message, reason=reason)


def access_denied(reason: str) -> Denied:
    """403: not permitted."""
    message = "Operation is not permitted based on the supplied authorization."
    return Denied(403, "AccessDeniedException", message, reason=reason)


def told_to_answer(status: int) -> Refused:
    """What AWS would answer with `status`, here because a fault says so."""
    reason = f"a fault answers {status}"
    match status:
        case 401:
            return unauthorized(reason)
        case 403:
            return access_denied(reason)
        case 502 | 503 | 504:
            kind = "ServiceUnavailableException"
            return Denied(status, kind, "Service Unavailable", reason=reason)
        case _:
            return Failing(status, reason)
