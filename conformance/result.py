"""What came of a check, and what went over the wire for it?"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended. Only `failed` makes a run fail."""

    passed = "passed"
    failed = "failed"
    warned = "warned"
    skipped = "skipped"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and its answer. Credentials are never in it."""

    method: str
    url: str
    sent: str
    status: int
    headers: Mapping[str, str]
    received: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """One check: what it is about, how it ended and, if not well, why."""

    suite: str
    name: str
    # The section that demands it ("RFC 7644 3.4.2.2"), or the client whose step it is.
    clause: str
    outcome: Outcome
    reason: str = ""
    exchanges: tuple[Exchange, ...] = ()
    seconds: float = 0.0
