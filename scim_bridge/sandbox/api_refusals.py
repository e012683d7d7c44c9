"""With which error does one of AWS's JSON APIs refuse a request?

The names and fields are those of the service models in botocore. Every error is an HTTP 400, except
those of the service itself, which are a 500 (reference 3.6, 4).
"""

from datetime import datetime
from typing import Any

from scim_bridge.sandbox.refusals import Refused

UNIQUENESS = "UNIQUENESS_CONSTRAINT_VIOLATION"
CONCURRENT = "CONCURRENT_MODIFICATION"

_OF_THE_SERVICE = ("InternalServerException", "ServiceException", "InternalFailure")


class ApiRefused(Refused):
    """One of the APIs does not do what was asked; `kind` is the error's name at AWS."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        reason: str | None = None,
        **fields: object,
    ) -> None:
        super().__init__(reason or message)
        self.kind, self.detail, self.fields = kind, message, fields
        self.status = status or (500 if kind in _OF_THE_SERVICE else 400)

    def body(self, *, request_id: str, now: datetime) -> dict[str, Any]:
        """The fields that are None are left out, as AWS does."""
        given = {name: value for name, value in self.fields.items() if value is not None}
        return {"__type": self.kind, "Message": self.detail, "RequestId": request_id, **given}


def invalid(message: str) -> ApiRefused:
    """A value that AWS's documentation does not allow."""
    return ApiRefused("ValidationException", message)


def unreadable(message: str) -> ApiRefused:
    """A body that is not JSON, or has a value of another type."""
    return ApiRefused("SerializationException", message)


def not_found(message: str, **fields: Any) -> ApiRefused:
    return ApiRefused("ResourceNotFoundException", message, **fields)


def conflict(message: str, **fields: Any) -> ApiRefused:
    return ApiRefused("ConflictException", message, **fields)
