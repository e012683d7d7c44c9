"""How does the directory take over access that was given at a target, beside the bridge?"""

import time
from collections.abc import Iterable

from sqlalchemy import insert, not_, or_, update

from scim_bridge.directory.database import Database
from scim_bridge.directory.kinds import kind_named
from scim_bridge.directory.memberships import RULE
from scim_bridge.directory.tables import assignments
from scim_bridge.plan.grants import AccountGrant, Grant
from scim_bridge.plan.state import Kind

# The origin of what was found at a target. Any client may take it away.
ADOPTED = "adopted"
# The origin of what follows Identity Center where it is a source, and who acts then.
SOURCE = "source:identity-center"

_CURRENT = assignments.c.valid_to.is_(None)


def begin_grants(
    database: Database,
    kind: Kind,
    resource_id: str,
    grants: Iterable[Grant],
    *,
    origin: str = ADOPTED,
) -> None:
    """Entitle a resource to grants that it holds, in the caller's transaction."""
    for grant in sorted(set(grants), key=str):
        database.connection.execute(
            insert(assignments).values(
                kind=kind,
                resource_id=resource_id,
                origin=origin,
                valid_from=time.time(),
                **_columns(grant),
            )
        )
    _raise_version(database, kind, resource_id)


def end_grant(database: Database, kind: Kind, resource_id: str, grant: Grant) -> None:
    """End every entitlement of a resource to a grant but a rule's, in the caller's transaction."""
    named = assignments.c.permission_set_arn, assignments.c.permission_set
    arn, account = "", ""
    if isinstance(grant, AccountGrant):
        arn, account = grant.permission_set, grant.account
    else:
        named = assignments.c.application_arn, assignments.c.application
        arn = grant.application
    database.connection.execute(
        update(assignments)
        .where(
            assignments.c.kind == kind,
            assignments.c.resource_id == resource_id,
            assignments.c.account_id == account,
            or_(*(column == arn for column in named)),
            not_(assignments.c.origin.startswith(RULE)),
            _CURRENT,
        )
        .values(valid_to=time.time())
    )
    _raise_version(database, kind, resource_id)


def _columns(grant: Grant) -> dict[str, str]:
    if isinstance(grant, AccountGrant):
        return {
            "account_id": grant.account,
            "permission_set": grant.permission_set,
            "permission_set_arn": grant.permission_set,
        }
    return {"application": grant.application, "application_arn": grant.application}


def _raise_version(database: Database, kind: Kind, resource_id: str) -> None:
    table = kind_named(kind).table
    database.connection.execute(
        update(table).where(table.c.id == resource_id).values(version=table.c.version + 1)
    )
