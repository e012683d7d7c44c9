"""Which part of a list is on this page, and how does the next one begin?

A NextToken counts for the operation and the input that it was made for. AWS may give fewer items
than MaxResults and a NextToken all the same; `page_size` makes it so.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from scim_bridge.sandbox.api_refusals import invalid

Item = TypeVar("Item")

_PAGING = ("MaxResults", "NextToken")


def paged(
    items: Iterable[Item],
    asked: Mapping[str, Any],
    *,
    key: Callable[[Item], int],
    most: int,
    page_size: int | None,
) -> tuple[list[Item], dict[str, str]]:
    """The items of this page, and the NextToken where there are more.

    `items` are in the order of `key`; a page begins after the last item of the page before, so
    that what comes and goes between two pages moves nothing.
    """
    after = _after(asked)
    rest = [item for item in items if key(item) > after]
    count = min(asked.get("MaxResults") or most, page_size or most)
    shown = rest[:count]
    if len(rest) <= count:
        return shown, {}
    return shown, {"NextToken": _token([_mark(asked), key(shown[-1])])}


def _after(asked: Mapping[str, Any]) -> int:
    if not asked.get("NextToken"):
        return -1
    try:
        mark, after = json.loads(base64.urlsafe_b64decode(asked["NextToken"]))
    except (ValueError, TypeError, binascii.Error) as error:
        raise invalid("NextToken is not one that was given out") from error
    if mark != _mark(asked) or type(after) is not int:
        raise invalid("NextToken was given out for another request")
    return after


def _mark(asked: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in asked.items() if name not in _PAGING}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _token(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
