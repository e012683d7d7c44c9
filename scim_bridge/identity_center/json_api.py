"""How is one operation of an AWS JSON API called, and how is a list read to its end?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.api_operations import OPERATIONS
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.exchange import Answer, Call
from scim_bridge.identity_center.transport import Haste, Transport

# Far more than any list of Identity Center fills, so a sign of a list without an end.
MOST_PAGES = 100_000

# Called before each page but the first; gives that page its deadline.
TurnPage = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a write ended: it was done."""

    # The id of what was created; None for what creates nothing.
    id: str | None = None
    # AWS's id of the call, for the audit trail.
    request_id: str | None = None


class JsonApi:
    """One API of AWS. Every call raises what `Transport.ask` raises."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def circuit(self) -> Circuit:
        """Whether this door is open, for status and alarms."""
        return self._transport.circuit

    def ask(self, operation: str, body: Mapping[str, Any], **haste: Unpack[Haste]) -> Answer:
        """Make one call.

        :raises ValueError: the operation is not in `OPERATIONS`, so no policy would allow it: a
            defect of the caller.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"{operation} is not among the operations the bridge may call")
        return self._transport.ask(Call(operation=operation, method="POST", body=body), **haste)

    def pages(
        self,
        operation: str,
        body: Mapping[str, Any],
        key: str,
        *,
        page_size: int = 100,
        always_there: bool = False,
        turn_page: TurnPage | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[Any]:
        """What stands under ``key``, page by page as it is taken. Ends early only by raising.

        A page may hold fewer than it could, or none, and be followed by others. ``always_there``:
        AWS's model requires the list, so that an answer without it is no empty list.
        """
        seen: set[str] = set()
        token: str | None = None
        while True:
            asked = {**body, "MaxResults": page_size, **({"NextToken": token} if token else {})}
            answer = self.ask(operation, asked, **haste)
            items, token = _page(operation, answer, key, always_there=always_there)
            yield from items
            if token is None:
                return
            if token in seen:
                raise Unavailable(f"{operation}: the list comes back to a page that was read")
            if len(seen) >= MOST_PAGES:
                raise Unavailable(f"{operation}: the list does not end after {MOST_PAGES} pages")
            seen.add(token)
            if turn_page is not None:
                haste["deadline"] = turn_page()


def _page(
    operation: str, answer: Answer, key: str, *, always_there: bool
) -> tuple[list[Any], str | None]:
    """The items of a page, and the token of the next one.

    :raises Unavailable: it cannot be read, so that it is never taken for a list of nobody.
    """
    page = answer.body or {}
    items, token = page.get(key), page.get("NextToken") or None
    if items is None and answer.body is not None and not always_there:
        items = []
    if not isinstance(items, list) or not (token is None or isinstance(token, str)):
        raise Unavailable(
            f"{operation}: the answer holds no list of {key} ({answer.content_type})",
            status=answer.status,
            request_id=answer.request_id,
        )
    return items, token
