"""Who is calling? Bearer tokens on the SCIM endpoint (RFC 6750, RFC 7644 section 2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from scim2_models import UnauthorizedException

from scim_bridge.directory.database import Database
from scim_bridge.scim.credentials import Client, Rejection, authenticate

log = structlog.get_logger(__name__)


class InvalidToken(UnauthorizedException):
    """A token came, and it is not accepted (RFC 6750, section 3.1: `invalid_token`)."""


_CALLER: ContextVar[Client] = ContextVar("caller")
_TOKEN: ContextVar[str] = ContextVar("token")


def caller() -> Client:
    """Who calls in this context."""
    return _CALLER.get()


def token() -> str:
    """The bearer token that the caller of this context showed."""
    return _TOKEN.get()


@contextmanager
def calling(client: Client, authorization: str | None) -> Iterator[None]:
    """Serve this client, authenticated by this Authorization header, in the block."""
    was_caller, was_token = _CALLER.set(client), _TOKEN.set(_bearer_token(authorization))
    try:
        yield
    finally:
        _CALLER.reset(was_caller)
        _TOKEN.reset(was_token)


Authenticate = Callable[[str | None], Client]


def bearer_authentication(database: Database) -> Authenticate:
    """Authenticate requests by the value of their Authorization header.

    The function returned raises `UnauthorizedException` if there is no bearer token, and
    `InvalidToken` if there is one that nobody has, that expired or was revoked. Which of these is
    logged and not told: a caller who guesses learns nothing.
    """

    def authenticated(authorization: str | None) -> Client:
        match authenticate(database, _bearer_token(authorization)):
            case Client() as client:
                return client
            case Rejection() as rejection:
                log.warning("token refused", action="authenticate", reason=rejection.value)
                raise InvalidToken(
                    detail="The bearer token is not accepted: it is unknown, expired or revoked. "
                    "The operator makes a new one with `scim-bridge client add` or `rotate`."
                )

    return authenticated


def _bearer_token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedException(
            detail="This endpoint needs an Authorization header with a bearer token."
        )
    return token.strip()
