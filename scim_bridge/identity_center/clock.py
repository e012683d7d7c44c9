"""How far is this machine's clock from AWS's?

AWS refuses a signature whose time is more than five minutes off its own.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime


def ahead(date: str | None, *, now: float) -> float | None:
    """Seconds that ``now`` is ahead of an answer's Date header; behind if negative.

    The header tells whole seconds. None: there is none that can be read.
    """
    try:
        there = parsedate_to_datetime(date or "").replace(tzinfo=UTC)
    except ValueError:
        return None
    return now - (there.timestamp() + 0.5)
