"""Which rows make a page: the order of a search, and where a page begins and ends.

A row is ordered by its sort value and then by its id; rows without a value come last when
ascending and first when descending (RFC 7644 §3.4.2.3). A cursor's position holds the value and
the id of the row that the page begins after, so that pages stay stable while rows come and go
(RFC 9865).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scim2_models import InvalidCursorException
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Subquery,
    and_,
    exists,
    or_,
    select,
)

# The largest number of rows that a database counts.
_MOST = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Position:
    """A row's place in the order, and whether the page lies after it or before it."""

    forward: bool
    value: Any
    id: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """The rows of a page, and the positions of the pages beside it, as JSON can hold them."""

    rows: Sequence[Any]
    next: dict[str, Any] | None = None
    previous: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of a collection that has the columns `id` and `sort_value`."""

    collection: FromClause
    # Whether there is a value to sort by, or the id alone decides.
    by_value: bool
    descending: bool

    def terms(self, *, backward: bool = False) -> list[ColumnElement[Any]]:
        """What to order by, or the reverse of it."""
        value, id_ = self.collection.c.sort_value, self.collection.c.id
        terms: list[ColumnElement[Any]] = [id_]
        if self.by_value:
            terms = [value.is_(None), value, id_]
        reverse = self.descending != backward
        return [term.desc() for term in terms] if reverse else terms

    def beyond(self, position: Position) -> ColumnElement[bool]:
        """The rows on the far side of a position."""
        larger = position.forward != self.descending
        by_id = self._by_id(position, larger=larger)
        if not self.by_value:
            return by_id
        value = self.collection.c.sort_value
        if position.value is None:
            # Missing values are the largest.
            same = and_(value.is_(None), by_id)
            return same if larger else or_(value.is_not(None), same)
        same = and_(value == position.value, by_id)
        if larger:
            return or_(value.is_(None), value > position.value, same)
        return or_(value < position.value, same)

    def _by_id(self, position: Position, *, larger: bool) -> ColumnElement[bool]:
        id_ = self.collection.c.id
        return id_ > position.id if larger else id_ < position.id


# Reads the rows that a query for `id` and `sort_value` finds, in its order, with all that is asked
# of them.
Fetch = Callable[[Subquery, Sequence[ColumnElement[Any]]], Sequence[Row[Any]]]


def page_by_index(order: Order, fetch: Fetch, start: int, count: int | None) -> Page:
    """The page that begins at a row, counted from 0 (RFC 7644 §3.4.2.4)."""
    query = select(order.collection).order_by(*order.terms())
    if start or count is not None:
        query = query.limit(at_most(count)).offset(at_most(start))
    return Page(rows=_rows(order, fetch, query))


def page_by_cursor(
    connection: Connection, order: Order, fetch: Fetch, position: Any, count: int | None
) -> Page:
    """The page at a position that an earlier page gave, or the first page (RFC 9865 §2).

    Raises `InvalidCursorException` for a position that no page gave.
    """
    query, backward = select(order.collection), False
    if position is not None:
        start = read_position(position)
        query, backward = query.where(order.beyond(start)), not start.forward
    query = query.order_by(*order.terms(backward=backward)).limit(at_most(count))
    rows = _rows(order, fetch, query, backward=backward)
    if not rows:
        return Page(rows=rows)
    if backward:
        rows = rows[::-1]
    return Page(
        rows=rows,
        next=_beside(connection, order, rows[-1], forward=True),
        previous=_beside(connection, order, rows[0], forward=False),
    )


def _rows(
    order: Order, fetch: Fetch, query: Select[Any], *, backward: bool = False
) -> Sequence[Row[Any]]:
    """Find the rows of a page by what is in the index, and only then read them whole."""
    page = query.subquery()
    found = replace(order, collection=page)
    return fetch(page, found.terms(backward=backward))


def at_most(count: int | None) -> int:
    """So many rows, as far as a database counts. None: all."""
    return _MOST if count is None else min(count, _MOST)


def _beside(
    connection: Connection, order: Order, row: Row[Any], *, forward: bool
) -> dict[str, Any] | None:
    """The position of a row, if there is any row beyond it."""
    position = Position(forward=forward, value=row.sort_value, id=row.id)
    beyond = select(order.collection.c.id).where(order.beyond(position))
    if not connection.scalar(select(exists(beyond))):
        return None
    return position_of(row.sort_value, row.id, forward=forward)


def position_of(value: Any, id_: str, *, forward: bool) -> dict[str, Any]:
    """The position of a row with this sort value, as JSON can hold it."""
    return {"d": "next" if forward else "previous", "k": value, "i": id_}


def read_position(position: Any) -> Position:
    """The same position again. Raises `InvalidCursorException` for what is none."""
    match position:
        case {"d": "next" | "previous" as direction, "k": value, "i": str(id_)}:
            if value is None or isinstance(value, str | int | float):
                return Position(forward=direction == "next", value=value, id=id_)
    raise InvalidCursorException
