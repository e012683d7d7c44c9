"""Who is at a target and should not be, or should be and is not, without a write that said so?

A target that is new in the settings, or whose filter was changed, owes nothing to any write.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, Table, exists, not_, select

from scim_bridge.directory.tables import groups, links, observed, pending, users
from scim_bridge.directory.write import Kind, Write
from scim_bridge.sync.marks import Intent, Key
from scim_bridge.sync.target import Target

# So many are marked in one transaction.
TOGETHER = 200


class Settling:
    """Marks whom a target's filter puts there or takes away, as things stand."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.database = target.database
        self.marks = target.marks
        self.audience = target.audience

    def settle(self, stopping: threading.Event) -> None:
        """Mark those who are on the wrong side of the filter, leavers first. It ends early when it
        is to stop; the next start goes on.
        """
        leavers = self._found(self._leaving())
        newcomers = [
            Key(kind=kind, id=one)
            for kind, query in self._newcomers()
            for one in self._found(query)
        ]
        for some in _some(leavers):
            if stopping.is_set():
                return
            with self.database.transaction():
                for one in some:
                    self._leave(one)
        for few in _some(newcomers):
            if stopping.is_set():
                return
            with self.database.transaction():
                for key in few:
                    self.marks.mark(Intent(key=key))

    def _leave(self, user_id: str) -> None:
        document = self.database.connection.scalar(
            select(users.c.document).where(users.c.id == user_id)
        )
        if document is None:
            return
        write = Write(
            kind="user",
            id=user_id,
            action="update",
            before={**document, "active": True},
            after={**document, "active": False},
            version=1,
            version_before=1,
        )
        self.target.mark(write)

    def _leaving(self) -> Select[str]:
        """Who is active there and goes there no more."""
        there = exists().where(
            links.c.target == self.marks.target,
            links.c.kind == "user",
            links.c.resource_id == users.c.id,
            observed.c.target == links.c.target,
            observed.c.kind == "user",
            observed.c.target_id == links.c.target_id,
            observed.c.active,
        )
        return select(users.c.id).where(
            users.c.deleted_at.is_(None),
            not_(self.audience.condition()),
            there,
            not_(self._marked(users, "user")),
        )

    def _newcomers(self) -> Iterator[tuple[Kind, Select[str]]]:
        yield (
            "user",
            select(users.c.id).where(
                users.c.deleted_at.is_(None),
                users.c.active,
                self.audience.condition(),
                not_(self._linked(users, "user")),
                not_(self._marked(users, "user")),
            ),
        )
        # Where not everybody goes, a group comes with its people.
        if self.audience.is_all:
            yield (
                "group",
                select(groups.c.id).where(
                    groups.c.deleted_at.is_(None),
                    not_(self._linked(groups, "group")),
                    not_(self._marked(groups, "group")),
                ),
            )

    def _linked(self, table: Table, kind: Kind) -> Any:
        return exists().where(
            links.c.target == self.marks.target,
            links.c.kind == kind,
            links.c.resource_id == table.c.id,
        )

    def _marked(self, table: Table, kind: Kind) -> Any:
        return exists().where(
            pending.c.target == self.marks.target,
            pending.c.kind == kind,
            pending.c.resource_id == table.c.id,
            pending.c.state != "clear",
        )

    def _found(self, query: Select[str]) -> Sequence[str]:
        with self.database.reading() as connection:
            return list(connection.scalars(query))


def _some(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), TOGETHER):
        yield rows[start : start + TOGETHER]
