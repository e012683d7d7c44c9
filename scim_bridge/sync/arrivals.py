"""What can be given once a resource has a principal at the target?"""

from sqlalchemy import bindparam, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import assignments
from scim_bridge.sync import access_of
from scim_bridge.sync.marks import Intent, Key, Marks

# Made once, since every new principal asks it.
_ENTITLED = (
    select(assignments.c.id)
    .where(
        assignments.c.kind == bindparam("kind"),
        assignments.c.resource_id == bindparam("resource_id"),
        assignments.c.valid_to.is_(None),
    )
    .limit(1)
)


def linked(database: Database, target: str, key: Key) -> None:
    """A resource has a principal at a target now: what it is entitled to can be given.

    Called by whoever makes a link, in its transaction.
    """
    marks = Marks(database, access_of(target))
    mark = marks.find(key)
    waits = mark is not None and mark.state != "clear"
    entitled = {"kind": key.kind, "resource_id": key.id}
    if waits or database.connection.scalar(_ENTITLED, entitled) is not None:
        marks.mark(Intent(key=key), before=mark)
