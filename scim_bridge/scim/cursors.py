"""Who can read a cursor of a paged search? The client it was given to (RFC 9865, section 5.2).

A cursor holds the value and the id of a row, encrypted: it stands in addresses, which are logged.
The key comes from the bearer token that asked, so that every process of the bridge can read it,
nobody else's token can, and nothing has to be kept.
"""

import re
from typing import Any

from scim2_models import InvalidCursorException
from scim2_server.cursor import Cursors

from scim_bridge.scim.authentication import token


class CallersCursors(Cursors):
    """The cursors of whoever calls."""

    def __init__(self) -> None:
        super().__init__("")

    @property
    def secret(self) -> bytes:
        return token().encode()

    @secret.setter
    def secret(self, _secret: bytes) -> None:
        """The library keeps one secret; here each caller brings it."""

    def open(self, cursor: str, query: str, count: int | None, timeout: int | None) -> Any:
        """The position a cursor holds. Its key is the client's own, so a client can seal anything.

        :raises SCIMException: 400 for what no page gave.
        """
        try:
            position = super().open(cursor, query, count, timeout)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InvalidCursorException from None
        # Without a position this would be the first page again.
        if not isinstance(position, dict) or not all(map(_can_be_stored, position.values())):
            raise InvalidCursorException
        return position


def _can_be_stored(value: Any) -> bool:
    """Whether a database can compare a value with its own. What pages give comes from there."""
    match value:
        case str():
            return "\0" not in value and not re.search("[\ud800-\udfff]", value)
        case int():
            return abs(value) < 2**63
        case _:
            return True
