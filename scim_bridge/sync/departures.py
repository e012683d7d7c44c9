"""What did the bridge take away lately, so that an older reading must not bring it back?

An extraction takes its time, and what it read may have gone before it is written down. Whoever
removes something from what was seen notes it here, in the same transaction.
"""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select

from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.memberships import chunks
from scim_bridge.directory.tables import departures


def written(item: Sequence[str]) -> str:
    """The ids that name something at a target, as tables keep them."""
    return json.dumps(list(item), separators=(",", ":"))


def read(item: str) -> tuple[str, ...]:
    """The ids of something, from how tables keep them."""
    return tuple(json.loads(item))


def note(database: Database, target: str, kind: str, items: Iterable[Sequence[str]]) -> None:
    """Note, in the caller's transaction, what has gone. An item is the ids that name it there."""
    for some in chunks(sorted({written(item) for item in items})):
        statement = insert_or(database, departures).values(
            [{"target": target, "kind": kind, "item": item, "at": now()} for item in some]
        )
        database.connection.execute(
            statement.on_conflict_do_update(
                index_elements=["target", "kind", "item"], set_={"at": now()}
            )
        )


def since(database: Database, target: str, kind: str, *, at: float) -> frozenset[str]:
    """What has gone since a time of the database, as `written`."""
    columns = departures.c
    return frozenset(
        database.connection.scalars(
            select(columns.item).where(
                columns.target == target, columns.kind == kind, columns.at > at
            )
        )
    )


def forget(database: Database, target: str, kind: str, *, before: float) -> None:
    """Clear what no reading can bring back any more."""
    columns = departures.c
    database.connection.execute(
        delete(departures).where(
            columns.target == target, columns.kind == kind, columns.at <= before
        )
    )
