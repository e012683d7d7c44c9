"""Do cursors page through everything exactly once (RFC 9865)? And does a server keep its limits?

These checks need more than one answer at a time, so they are functions and not data. Each returns
what is wrong, or an empty text.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from conformance.cases import user
from conformance.target import Answer, Target

SEARCH_REQUEST = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PEOPLE = 7
PAGE = 3
# A limit beyond these is not tried: the request would be a burden on both sides.
TRIED_OPERATIONS = 10_000
TRIED_BYTES = 8 * 1024 * 1024


@dataclass(kw_only=True)
class Shelf:
    """Some people to page through, made when they are first needed."""

    target: Target
    run: str
    config: Mapping[str, Any]
    ids: list[str] = field(default_factory=list)

    @property
    def pagination(self) -> Mapping[str, Any]:
        found = self.config.get("pagination")
        return found if isinstance(found, dict) else {}

    @property
    def filter(self) -> str:
        return f'userName sw "cursor-{self.run}-"'

    def fill(self) -> None:
        while len(self.ids) < PEOPLE:
            name = f"cursor-{self.run}-{len(self.ids)}"
            body = self.target.send("POST", "/Users", user(name)).json
            self.ids.append(body.get("id", "") if isinstance(body, dict) else "")

    def get(self, cursor: str | None = "", count: int = PAGE, **more: Any) -> Answer:
        query = {"filter": self.filter, "cursor": cursor, "count": count, **more}
        return self.target.send("GET", f"/Users?{urlencode(query)}")

    def search(self, cursor: str | None = "", count: int = PAGE, **more: Any) -> Answer:
        query = {"filter": self.filter, "cursor": cursor, "count": count, **more}
        return self.target.send("POST", "/Users/.search", {"schemas": [SEARCH_REQUEST], **query})


Check = Callable[[Shelf], str]


def announced(shelf: Shelf) -> str:
    """RFC 9865 section 4: index is a boolean, and the sizes and times are positive numbers."""
    pagination = shelf.pagination
    if not isinstance(pagination.get("index"), bool):
        return f"pagination.index is {pagination.get('index')!r}"
    if pagination.get("defaultPaginationMethod") not in (None, "cursor", "index"):
        return f"defaultPaginationMethod is {pagination['defaultPaginationMethod']!r}"
    numbers = ("defaultPageSize", "maxPageSize", "cursorTimeout")
    wrong = [name for name in numbers if not _positive(pagination.get(name, 1))]
    return f"{', '.join(wrong)}: no positive number" if wrong else ""


def paged_by_get(shelf: Shelf) -> str:
    return _paged(shelf, shelf.get)


def paged_by_search(shelf: Shelf) -> str:
    return _paged(shelf, shelf.search)


def goes_back(shelf: Shelf) -> str:
    """A previousCursor, where there is one, leads to the page before."""
    first = shelf.get()
    second = shelf.get(_next(first))
    back = _body(second).get("previousCursor")
    if back is None:
        return ""
    return "" if _ids(shelf.get(back)) == _ids(first) else "previousCursor leads elsewhere"


def can_be_used_again(shelf: Shelf) -> str:
    cursor = _next(shelf.get())
    once, twice = _ids(shelf.get(cursor)), _ids(shelf.get(cursor))
    return "" if once == twice and once else f"first {once}, then {twice}"


def unknown(shelf: Shelf) -> str:
    return _refused(shelf.get("no-such-cursor"), "invalidCursor")


def tampered(shelf: Shelf) -> str:
    cursor = _next(shelf.get()) or "x"
    answer = shelf.get(cursor[:-1] + ("B" if cursor.endswith("A") else "A"))
    if answer.status == 200:
        return ""
    return _refused(answer, "invalidCursor", "expiredCursor")


def too_many(shelf: Shelf) -> str:
    """A count beyond maxPageSize gives a smaller page, or is refused as invalidCount."""
    most = shelf.pagination.get("maxPageSize") or 100
    answer = shelf.get(count=most + 1)
    if answer.status == 200:
        return "" if len(_ids(answer)) <= most else f"{len(_ids(answer))} on a page"
    return _refused(answer, "invalidCount")


def sorted_pages(shelf: Shelf) -> str:
    """The order goes on from page to page."""
    if shelf.config.get("sort", {}).get("supported") is not True:
        return ""
    order = {"sortBy": "userName", "sortOrder": "descending"}
    pages = list(_pages(shelf.get, **order))
    found = [one for page in pages for one in _ids(page)]
    return "" if found == shelf.ids[::-1] else f"found {found}; wanted: {shelf.ids[::-1]}"


def stable_while_written(shelf: Shelf) -> str:
    """Whoever is there all the time is listed exactly once while others come and go."""
    first = shelf.get()
    seen = _ids(first)
    come = shelf.target.send("POST", "/Users", user(f"cursor-{shelf.run}-00")).json
    leaver = next(one for one in shelf.ids if one not in seen)
    shelf.target.send("DELETE", f"/Users/{leaver}")
    rest = [one for page in _pages(shelf.get, start=_next(first)) for one in _ids(page)]
    shelf.target.send("DELETE", f"/Users/{come['id']}")
    staying = [one for one in shelf.ids if one != leaver]
    found = [one for one in seen + rest if one in staying]
    return "" if sorted(found) == sorted(staying) else f"found {found}; wanted: {staying}"


def too_many_operations(shelf: Shelf) -> str:
    """RFC 7644 section 3.7.4: more than maxOperations is 413, and nothing is done."""
    most = shelf.config.get("bulk", {}).get("maxOperations")
    if not isinstance(most, int) or not 0 < most <= TRIED_OPERATIONS:
        return ""
    deletion = {"method": "DELETE", "path": "/Users/no-such-id"}
    body = {"schemas": [BULK_REQUEST], "Operations": [deletion] * (most + 1)}
    return _too_large(shelf.target.send("POST", "/Bulk", body))


def too_large_a_body(shelf: Shelf) -> str:
    """RFC 7644 section 3.7.4: more than maxPayloadSize is 413."""
    most = shelf.config.get("bulk", {}).get("maxPayloadSize")
    if not isinstance(most, int) or not 0 < most <= TRIED_BYTES:
        return ""
    name = "x" * (most + 1)
    create = {"method": "POST", "path": "/Users", "bulkId": "a", "data": user(name)}
    body = {"schemas": [BULK_REQUEST], "Operations": [create]}
    return _too_large(shelf.target.send("POST", "/Bulk", body))


def paged_by_index(shelf: Shelf) -> str:
    """RFC 7644 section 3.4.2.4: pages one after the other hold everybody exactly once."""
    found: list[str] = []
    for start in range(1, PEOPLE + 1, PAGE):
        query = {"filter": shelf.filter, "startIndex": start, "count": PAGE}
        found += _ids(shelf.target.send("GET", f"/Users?{urlencode(query)}"))
    return "" if sorted(found) == sorted(shelf.ids) else f"found {found}; wanted: {shelf.ids}"


# What each check is about, its section, and what the server must announce for it.
CHECKS: Sequence[tuple[str, str, Sequence[str], Check]] = (
    ("index pages hold everybody once", "RFC 7644 3.4.2.4", (), paged_by_index),
    ("what is announced is well-formed", "RFC 9865 4", ("pagination.cursor",), announced),
    ("GET: everybody once", "RFC 9865 2", ("pagination.cursor",), paged_by_get),
    ("POST .search: everybody once", "RFC 9865 3", ("pagination.cursor",), paged_by_search),
    ("previousCursor goes back", "RFC 9865 2", ("pagination.cursor",), goes_back),
    ("a cursor can be used again", "RFC 9865 2", ("pagination.cursor",), can_be_used_again),
    ("an unknown cursor is refused", "RFC 9865 2.1", ("pagination.cursor",), unknown),
    ("a tampered cursor is no harm", "RFC 9865 2.1", ("pagination.cursor",), tampered),
    ("a count beyond the greatest page", "RFC 9865 2.1", ("pagination.cursor",), too_many),
    ("sorted pages go on in order", "RFC 9865 2", ("pagination.cursor",), sorted_pages),
    ("pages while others write", "RFC 9865 2", ("pagination.cursor",), stable_while_written),
    ("too many operations: 413", "RFC 7644 3.7.4", ("bulk.supported",), too_many_operations),
    ("too large a Bulk: 413", "RFC 7644 3.7.4", ("bulk.supported",), too_large_a_body),
)


def _paged(shelf: Shelf, ask: Callable[..., Answer]) -> str:
    pages = list(_pages(ask))
    bad = next((page for page in pages if page.status != 200), None)
    if bad is not None:
        return f"{bad.status} {bad.text[:200]}"
    if _body(pages[0]).get("previousCursor"):
        return "the first page has a previousCursor"
    totals = {_body(page).get("totalResults", PEOPLE) for page in pages}
    if totals != {PEOPLE}:
        return f"totalResults is {totals}; wanted: {PEOPLE}"
    found = [one for page in pages for one in _ids(page)]
    if sorted(found) != sorted(shelf.ids):
        return f"found {found}; wanted: {shelf.ids}"
    return "" if len(pages) == -(-PEOPLE // PAGE) else f"{len(pages)} pages"


def _pages(ask: Callable[..., Answer], *, start: str | None = "", **more: Any) -> Iterator[Answer]:
    """The pages from a cursor on. A server that never ends them is left after some."""
    cursor = start
    for _ in range(PEOPLE + 3):
        if cursor is None:
            return
        answer = ask(cursor, **more)
        yield answer
        cursor = _next(answer)


def _body(answer: Answer) -> Mapping[str, Any]:
    return answer.json if isinstance(answer.json, dict) else {}


def _next(answer: Answer) -> str | None:
    return _body(answer).get("nextCursor")


def _ids(answer: Answer) -> list[str]:
    return [one.get("id") for one in _body(answer).get("Resources") or ()]


def _positive(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


def _refused(answer: Answer, *scim_types: str) -> str:
    if answer.status == 400 and _body(answer).get("scimType") in scim_types:
        return ""
    return f"{answer.status} {answer.text[:200]}; wanted: 400 {' or '.join(scim_types)}"


def _too_large(answer: Answer) -> str:
    if answer.status == 413 and _body(answer).get("status") == "413":
        return ""
    return f"{answer.status} {answer.text[:200]}; wanted: 413 as a SCIM error"
