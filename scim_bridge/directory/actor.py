"""Who is acting: the client, the operator or the bridge itself, and in which request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who a change is attributed to in history and audit."""

    # "client:<name>", "operator:<name>" or "bridge".
    name: str
    request_id: str | None = None
    # Why, as an operator said it.
    reason: str | None = None


BRIDGE = Actor(name="bridge")
_ACTING: ContextVar[Actor] = ContextVar("acting", default=BRIDGE)


def current() -> Actor:
    """Who acts in this context."""
    return _ACTING.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Attribute everything in the block to this actor."""
    token = _ACTING.set(actor)
    try:
        yield
    finally:
        _ACTING.reset(token)
