"""What a resource was, version by version: who changed it, when, before and after.

A version is recorded for each write to the resource itself. A user's version that only rose since
a group changed has no row of its own: the membership's row tells of it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from scim_bridge.directory import actor
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import history
from scim_bridge.directory.write import Kind, Write


@dataclass(frozen=True, kw_only=True)
class Version:
    """One recorded version of a resource."""

    version: int
    at: float
    # "client:<name>", "operator:<name>" or "bridge".
    actor: str
    request_id: str | None
    # The document (without memberships). None before the first version and after a deletion.
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def record(database: Database, write: Write, *, at: float) -> None:
    """Record the version that a write made, as the work of whoever acts."""
    acting = actor.current()
    with database.transaction() as connection:
        connection.execute(
            _RECORD,
            {
                "kind": write.kind,
                "resource_id": write.id,
                "version": write.version,
                "at": at,
                "actor": acting.name,
                "request_id": acting.request_id,
                "before": write.before,
                "after": write.after,
            },
        )


# Made once, since every write says it.
_RECORD = insert(history)


def versions(
    database: Database, kind: Kind, resource_id: str, *, since: int = 0
) -> tuple[Version, ...]:
    """The recorded versions of a resource after version `since`, oldest first."""
    columns = history.c
    with database.reading() as connection:
        rows = connection.execute(
            select(
                columns.version,
                columns.at,
                columns.actor,
                columns.request_id,
                columns.before,
                columns.after,
            )
            .where(columns.kind == kind, columns.resource_id == resource_id)
            .where(columns.version > since)
            .order_by(columns.version, columns.id)
        )
        return tuple(Version(**row._mapping) for row in rows)
