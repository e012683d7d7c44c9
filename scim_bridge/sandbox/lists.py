"""Which resources are asked for by a list request, and which of them are on this page?

With the key `cursor` (empty on the first request) a list is paged, `count` resources at a time, and
`nextCursor` leads on; without it the first resources come and `totalResults` is their number, not
the number there is (AWS SCIM developer guide, ListUsers and ListGroups; observed by clients).
A cursor counts for the list and the filter that it was made for.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from scim_bridge.sandbox.refusals import Invalid

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MOST_PER_PAGE = 100

_PARAMETERS = ("cursor", "count", "filter")


class Listed(Protocol):
    """What can be listed: resources are in the order of their sequence, oldest first."""

    @property
    def sequence(self) -> int: ...

    def scim(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """The query of a list request. `cursor` is None when there is no such key."""

    filter: str | None
    cursor: str | None
    count: int

    def mark(self) -> str:
        """By what a later page is recognised as belonging to the same list."""
        return hashlib.sha256((self.filter or "").encode()).hexdigest()[:16]


def parse_list_query(query: str) -> ListQuery:
    """The query string of a list request; raises Invalid for a parameter AWS does not support."""
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    for name in parameters:
        if name not in _PARAMETERS:
            raise Invalid(f"{name}: is not supported, only {', '.join(_PARAMETERS)}")
    if len(pairs) != len(parameters):
        raise Invalid("the query names a parameter twice")
    return ListQuery(
        filter=parameters.get("filter"),
        cursor=parameters.get("cursor"),
        count=_count(parameters.get("count")),
    )


def page(
    resources: Sequence[Listed], query: ListQuery, *, kind: str, most: int | None = None
) -> dict[str, Any]:
    """The answer to `query` out of all `resources` that its filter leaves.

    A page by cursor has no more than `most`, for AWS may give fewer than were asked for.
    """
    if query.cursor is None:
        shown = resources[: query.count]
        return {
            "totalResults": len(shown),
            "itemsPerPage": len(shown),
            "startIndex": 1,
            "schemas": [LIST_RESPONSE],
            "Resources": [one.scim() for one in shown],
        }
    after = _after(query, kind=kind)
    rest = [one for one in resources if one.sequence > after]
    shown = rest[: min(query.count, most or query.count)]
    answer: dict[str, Any] = {
        "itemsPerPage": len(shown),
        "schemas": [LIST_RESPONSE],
        "Resources": [one.scim() for one in shown],
    }
    if len(rest) > len(shown):
        answer["nextCursor"] = _cursor([kind, query.mark(), shown[-1].sequence])
    return answer


def _count(given: str | None) -> int:
    if given is None:
        return MOST_PER_PAGE
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= MOST_PER_PAGE):
        raise Invalid(f"count: must be 1 to {MOST_PER_PAGE}, not {given!r}")
    return int(given)


def _cursor(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _after(query: ListQuery, *, kind: str) -> int:
    """The sequence after which the page starts."""
    if not query.cursor:
        return -1
    try:
        made_for, mark, sequence = json.loads(base64.urlsafe_b64decode(query.cursor))
    except (ValueError, TypeError, binascii.Error) as error:
        raise Invalid("cursor: is not one that was given out") from error
    if made_for != kind or mark != query.mark() or not isinstance(sequence, int):
        raise Invalid("cursor: the filter must be the same on every page")
    return sequence
