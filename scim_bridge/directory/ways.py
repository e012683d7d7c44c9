"""How was somebody in a group until they lost it? Themselves, or through which groups in it?

Decided from the rows of the record alone. Who is to have a group back gets it the way they had it:
given otherwise, it would not end with its cause.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import memberships, nestings


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something was in a group for a time: a person, or a group."""

    group: str
    # The id of the user, or of the inner group.
    inside: str
    begun: float
    # None: it still is.
    ended: float | None

    def lasted_to(self, moment: float) -> bool:
        """Whether it was so just before a moment."""
        return self.begun < moment and (self.ended is None or self.ended >= moment)


@dataclass(frozen=True, kw_only=True)
class Nesting:
    """A group in a group."""

    outer: str
    inner: str


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way in which somebody was in a group just before they lost it."""

    # The group they were in themselves: that group, or one in it.
    entry: str
    # What led from there to that group, outward.
    nestings: tuple[Nesting, ...]
    # When they lost it, in seconds since 1970.
    until: float


def last_ways(group: str, own: Sequence[Span], nested: Sequence[Span]) -> tuple[Way, ...]:
    """The ways in which somebody was in a group last; none if they never were.

    `own`: where they were themselves. `nested`: which groups were in which. Of several ways from
    one group the shortest counts.
    """
    if not own:
        return ()
    ends = {span.ended for span in (*own, *nested) if span.ended is not None}
    for moment in sorted(ends, reverse=True):
        led = _led_to(group, (span for span in nested if span.lasted_to(moment)))
        entries = {span.group for span in own if span.lasted_to(moment)}
        if found := entries & led.keys():
            return tuple(
                Way(entry=entry, nestings=led[entry], until=moment) for entry in sorted(found)
            )
    return ()


def _led_to(group: str, nested: Iterable[Span]) -> Mapping[str, tuple[Nesting, ...]]:
    """The groups in a group, itself included, each with what leads from it to that group."""
    inner: dict[str, list[str]] = defaultdict(list)
    for span in nested:
        inner[span.group].append(span.inside)
    led: dict[str, tuple[Nesting, ...]] = {group: ()}
    ahead = [group]
    for outer in ahead:
        for each in sorted(inner[outer]):
            if each not in led:
                led[each] = (Nesting(outer=outer, inner=each), *led[outer])
                ahead.append(each)
    return led


class Past:
    """Who was in which group, and when. Methods join the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._within: dict[str, tuple[Collection[str], Sequence[Span]]] = {}
        columns = nestings.c
        self._nested = tuple(
            self._spans(
                select(columns.group_id, columns.inner_id, columns.valid_from, columns.valid_to)
            )
        )

    def last_ways(self, group_id: str, user_id: str) -> tuple[Way, ...]:
        """The ways in which a user was in a group last; none if they never were."""
        within, nested = self._inside(group_id)
        columns = memberships.c
        own = self._spans(
            select(columns.group_id, columns.member_id, columns.valid_from, columns.valid_to).where(
                columns.member_id == user_id
            )
        )
        return last_ways(group_id, [span for span in own if span.group in within], nested)

    def _inside(self, group_id: str) -> tuple[Collection[str], Sequence[Span]]:
        """The groups that ever were in a group, itself included, and what they had in them."""
        if group_id not in self._within:
            within = _led_to(group_id, self._nested).keys()
            nested = [span for span in self._nested if span.group in within]
            self._within[group_id] = (within, nested)
        return self._within[group_id]

    def _spans(self, query: Select[Any]) -> Iterator[Span]:
        for group, inside, begun, ended in self.database.connection.execute(query):
            yield Span(group=group, inside=inside, begun=begun, ended=ended)
