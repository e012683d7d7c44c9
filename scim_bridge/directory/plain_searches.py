"""Which searches are asked so often that their statements are kept? Those that come to one look.

A plain search is for one kind of resources in the order of their ids: for all of them, or for those
with an attribute that is, begins with or holds a text. That is how identity providers look people
up and read everybody. `scim_bridge.directory.pages` does the same for any search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scim2_models import Resource, SearchRequest
from sqlalchemy import ColumnElement, Connection, Integer, Text, bindparam, func, select

from scim_bridge.directory import filters, texts
from scim_bridge.directory.filters import TextComparison
from scim_bridge.directory.kinds import Kind
from scim_bridge.directory.pages import Page, at_most, position_of, read_position
from scim_bridge.directory.prepared import Prepared
from scim_bridge.directory.texts import Stored


@dataclass(frozen=True, kw_only=True)
class PlainSearch:
    """A plain search, with the statements of all that are like it."""

    statements: "_Statements"
    # What the attribute is compared with, if there is a filter.
    operand: str | None
    count: int
    # How many rows are passed over. None: it is paged by cursor.
    start: int | None

    def page(self, connection: Connection, position: Any) -> tuple[int, Page]:
        """How many rows match, and those of a page of them, as `Stored` ones.

        Raises `InvalidCursorException` for a position that no page gave.
        """
        if self.start is None:
            return self._count(connection), self._by_cursor(connection, position)
        rows = self._by_index(connection, self.start)
        return self._total(connection, self.start, rows), Page(rows=rows)

    def _by_index(self, connection: Connection, start: int) -> Sequence[Stored]:
        if start:
            return self._rows(
                connection, self.statements.from_index, start=at_most(start), count=self.count
            )
        return self._rows(connection, self.statements.first, count=self.count)

    def _total(self, connection: Connection, start: int, rows: Sequence[Stored]) -> int:
        """How many match. What lies before a page is known, and so is the end."""
        if not rows:
            return self._count(connection) if start else 0
        found = start + len(rows)
        if len(rows) < self.count:
            return found
        return found + self._number(connection, self.statements.number_after, rows[-1].id)

    def _by_cursor(self, connection: Connection, position: Any) -> Page:
        # One more than the page holds tells whether there is another page.
        most = self.count + 1
        if position is None:
            rows = self._rows(connection, self.statements.first, count=most)
            return self._page(rows[: self.count], more_after=len(rows) == most, more_before=False)
        start, ask = read_position(position), self.statements
        ahead, any_behind = (
            (ask.after, ask.any_before) if start.forward else (ask.before, ask.any_after)
        )
        rows = self._rows(connection, ahead, id=start.id, count=most)
        shown, more_ahead = rows[: self.count], len(rows) == most
        more_behind = bool(shown) and self._number(connection, any_behind, shown[0].id) > 0
        if start.forward:
            return self._page(shown, more_after=more_ahead, more_before=more_behind)
        return self._page(shown[::-1], more_after=more_behind, more_before=more_ahead)

    @staticmethod
    def _page(rows: Sequence[Stored], *, more_after: bool, more_before: bool) -> Page:
        return Page(
            rows=rows,
            next=position_of(None, rows[-1].id, forward=True) if more_after else None,
            previous=position_of(None, rows[0].id, forward=False) if more_before else None,
        )

    def _count(self, connection: Connection) -> int:
        return self._number(connection, self.statements.number, None)

    def _number(self, connection: Connection, statement: Prepared, id_: str | None) -> int:
        return int(statement.value(connection, operand=self.operand, id=id_))

    def _rows(self, connection: Connection, statement: Prepared, **values: Any) -> Sequence[Stored]:
        return [Stored(*row) for row in statement.rows(connection, operand=self.operand, **values)]


def plain_search(
    kind: Kind, model: type[Resource[Any]], search_request: SearchRequest[Any]
) -> PlainSearch | None:
    """A search of one kind as a plain one, if it is."""
    if search_request.sort_by is not None or not search_request.count:
        return None
    compared, operand = None, None
    if search_request.filter is not None:
        found = filters.text_comparison(search_request.filter, model)
        if found is None:
            return None
        compared, operand = found
    by_cursor = search_request.cursor is not None
    return PlainSearch(
        statements=_statements(kind, compared),
        operand=operand,
        count=search_request.count,
        start=None if by_cursor else search_request.start_index_0 or 0,
    )


@dataclass(frozen=True, kw_only=True)
class _Statements:
    """What is asked for plain searches that differ only in what they compare with."""

    first: Prepared
    from_index: Prepared
    after: Prepared
    before: Prepared
    any_after: Prepared
    any_before: Prepared
    number: Prepared
    number_after: Prepared


# A client may write the name of an attribute in many ways.
@lru_cache(maxsize=256)
def _statements(kind: Kind, compared: TextComparison | None) -> _Statements:
    table, id_ = kind.table, kind.table.c.id
    matching: list[ColumnElement[bool]] = [table.c.deleted_at.is_(None)]
    if compared is not None:
        matching.append(compared.condition(table, bindparam("operand", type_=Text)))
    after: ColumnElement[bool] = id_ > bindparam("id")
    before: ColumnElement[bool] = id_ < bindparam("id")
    count = bindparam("count", type_=Integer)
    rows = select(*texts.columns(kind)).where(*matching).limit(count)
    ids = select(id_).where(*matching)
    number = select(func.count()).select_from(table).where(*matching)
    # Found by what is in the index, and only then read whole.
    page = ids.order_by(id_).limit(count).offset(bindparam("start", type_=Integer)).subquery()
    return _Statements(
        first=Prepared(rows.order_by(id_)),
        from_index=Prepared(
            select(*texts.columns(kind)).join(page, page.c.id == id_).order_by(page.c.id)
        ),
        after=Prepared(rows.where(after).order_by(id_)),
        before=Prepared(rows.where(before).order_by(id_.desc())),
        any_after=Prepared(select(ids.where(after).exists())),
        any_before=Prepared(select(ids.where(before).exists())),
        number=Prepared(number),
        number_after=Prepared(number.where(after)),
    )
