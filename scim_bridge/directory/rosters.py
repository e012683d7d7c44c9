"""Who comes into a group and who goes? People as memberships, groups as nestings.

A client states members by their ids, and does not say which of them are groups.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, Literal

from scim2_models import InvalidValueException
from sqlalchemy import FromClause, Select, select

from scim_bridge.directory import actor, audit, lists, memberships, nesting
from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.kinds import GROUP, USER, Kind
from scim_bridge.directory.memberships import NO_MOVES, Moves

# `[groups] nested`: what becomes of a group that a client puts into a group.
NestedGroups = Literal["skip", "flatten"]


class Rosters:
    """Changes who is in groups, in the transaction of the write.

    What is stated and is neither a live user nor a live group raises `InvalidValueException`.
    """

    def __init__(self, database: Database, nested: NestedGroups) -> None:
        self.database = database
        self.nested = nested

    def move(
        self,
        group_id: str,
        at: float,
        *,
        add: Sequence[str],
        remove: Sequence[str],
        replace: Sequence[str] | None,
        origin: str | None = None,
    ) -> Moves:
        """Make one set of changes of what a PATCH asks for, in which nobody comes and goes."""
        going = dict.fromkeys(remove)
        coming = [member for member in dict.fromkeys(add) if member not in going]
        if replace is not None:
            wanted = [member for member in dict.fromkeys(replace) if member not in going]
            return self.replace(group_id, [*wanted, *coming], at)
        ended = memberships.remove(self.database, group_id, going, at=at)
        unnested = nesting.remove(self.database, group_id, going, at=at)
        return ended.then(unnested).then(self.add(group_id, coming, at, origin=origin))

    def add(
        self, group_id: str, member_ids: Sequence[str], at: float, *, origin: str | None = None
    ) -> Moves:
        """Give a group members, beside those it has. Their origin is who acts, or the one given."""
        origin = origin or actor.current().name
        if not member_ids:
            return NO_MOVES
        moves = memberships.add(self.database, group_id, member_ids, origin, at=at)
        if len(moves.added) == len(member_ids):
            return moves
        # The others are members already, or no users.
        _, inner = self._told_apart(group_id, member_ids)
        if not inner:
            return moves
        return moves.then(nesting.add(self.database, group_id, inner, origin, at=at))

    def fill(self, group_id: str, member_ids: Sequence[str], at: float) -> Moves:
        """Give a new group its members."""
        if not member_ids:
            return NO_MOVES
        origin = actor.current().name
        filled = memberships.fill(self.database, group_id, member_ids, origin, at=at)
        if filled == len(member_ids):
            return Moves(added=tuple(member_ids))
        people, inner = self._told_apart(group_id, member_ids)
        moves = Moves(added=tuple(people))
        return moves.then(nesting.add(self.database, group_id, inner, origin, at=at))

    def replace(self, group_id: str, member_ids: Sequence[str], at: float) -> Moves:
        """Make these the members of a group."""
        people, inner = self._told_apart(group_id, member_ids)
        origin = actor.current().name
        moves = memberships.replace(self.database, group_id, people, origin, at=at)
        return moves.then(nesting.replace(self.database, group_id, inner, origin, at=at))

    def _told_apart(
        self, group_id: str, member_ids: Sequence[str]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """The users among the members a client states, and the groups that are to be nested.

        Raises `InvalidValueException` for what is neither, and for a group that would be in itself.
        """
        strangers = set(member_ids) - self._live(USER, member_ids)
        if not strangers:
            return member_ids, ()
        inner = sorted(self._live(GROUP, strangers))
        if unknown := strangers.difference(inner):
            raise InvalidValueException(
                attribute="members",
                detail=f"there is no user or group {min(unknown)!r} to be a member",
            )
        people = [member_id for member_id in member_ids if member_id not in strangers]
        if self.nested == "skip":
            self._warn_of_nested(group_id, inner)
            return people, ()
        nesting.held_still(self.database, inner)
        if circle := {group_id, *nesting.outer_groups(self.database, [group_id])}.intersection(
            inner
        ):
            raise InvalidValueException(
                attribute="members",
                detail=f"group {min(circle)!r} cannot be a member: it is this group, or holds it",
            )
        return people, inner

    def _warn_of_nested(self, group_id: str, inner: Sequence[str]) -> None:
        audit.record(
            self.database,
            action=Action.WARNING,
            kind="group",
            resource_id=group_id,
            outcome="not applied",
            facts={
                "attribute": "members",
                "groups": list(inner),
                "why": "Identity Center has no nested groups: assign the groups themselves, or set "
                '[groups] nested = "flatten"',
            },
        )

    def _live(self, kind: Kind, ids: Collection[str]) -> set[str]:
        statement = lists.on(self.database, _LIVE_AMONG[kind])
        with self.database.reading() as connection:
            return set(connection.scalars(statement, {"ids": lists.as_value(ids)}))


def _live_among(kind: Kind, ids: FromClause) -> Select[Any]:
    """Those of a list who are live resources of a kind."""
    table = kind.table.c
    found = select(table.id).join_from(ids, kind.table, table.id == ids.c.value)
    return found.where(table.deleted_at.is_(None))


# Made once, since it is asked so often.
_LIVE_AMONG = {kind: lists.for_each_dialect(partial(_live_among, kind)) for kind in (USER, GROUP)}
