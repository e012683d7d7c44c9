"""Who is acting: the client, the operator or the bridge itself, and in or after which request?"""

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
# How the names of clients begin.
CLIENT = "client:"
_ACTING: ContextVar[Actor] = ContextVar("acting", default=BRIDGE)
_CAUSES: ContextVar[tuple[str, ...]] = ContextVar("causes", default=())


def current() -> Actor:
    """Who acts in this context."""
    return _ACTING.get()


def causes() -> tuple[str, ...]:
    """The ids of the requests that what is done in this context goes back to."""
    return _CAUSES.get()


@contextmanager
def caused_by(requests: tuple[str, ...]) -> Iterator[None]:
    """Do what earlier requests asked for, whoever acts now: a call may come long after them."""
    token = _CAUSES.set(requests)
    try:
        yield
    finally:
        _CAUSES.reset(token)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Attribute everything in the block to this actor."""
    token = _ACTING.set(actor)
    try:
        yield
    finally:
        _ACTING.reset(token)
