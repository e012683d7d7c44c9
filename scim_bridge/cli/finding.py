"""What did a look at one thing find, and what is to be done?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scim_bridge.errors import BridgeError

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found about one thing."""

    what: str
    state: State
    # In words; for anything but "ok" also what to do.
    said: str


def tried(what: str, check: Callable[[], str]) -> Finding:
    """What a check says; what it raises is wrong."""
    try:
        return Finding(what=what, state="ok", said=check())
    except BridgeError as error:
        return Finding(what=what, state="wrong", said=str(error))
