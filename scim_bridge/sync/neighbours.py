"""Which resources show a user's principal: the groups they are in, and those they manage?"""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.nesting import groups_with
from scim_bridge.directory.tables import users
from scim_bridge.sync.marks import Key

# Made once, since every new principal asks for them.
_GROUPS = groups_with(bindparam("user"))
_REPORTS = select(users.c.id).where(
    users.c.manager_id == bindparam("manager"), users.c.deleted_at.is_(None)
)


def groups_of(database: Database, user_id: str) -> Sequence[Key]:
    """The groups a user is in by the directory, effective or not, through others too."""
    found = database.connection.scalars(_GROUPS, {"user": user_id})
    return [Key(kind="group", id=group_id) for group_id in found]


def reports_of(database: Database, user_id: str) -> Sequence[Key]:
    """The users who name a user as their manager."""
    found = database.connection.scalars(_REPORTS, {"manager": user_id})
    return [Key(kind="user", id=report) for report in found]
