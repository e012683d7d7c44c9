"""How is a person erased on request, while the record stays whole?

Everything personal goes: documents, names and addresses, the versions in the history, and the
personal parts of the audit trail with their salts. What stays are rows with ids that nobody can
lead back to the person, so that memberships, approvals and the chain of seals still add up.
"""

from collections.abc import Iterable

from sqlalchemy import delete, or_, select, update

from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import ENTERPRISE
from scim_bridge.directory.memberships import chunks
from scim_bridge.directory.tables import audit, audit_personal, history, pending, users


def records_of(database: Database, user_name: str) -> tuple[str, ...]:
    """The ids of everybody who has this userName, or had it when they were deleted, oldest first.

    One person who was hired again has several records.
    """
    with database.reading() as connection:
        return tuple(
            connection.scalars(
                select(users.c.id)
                .where(users.c.user_name_folded == folded(user_name))
                .order_by(users.c.created)
            )
        )


def erase(database: Database, user_id: str) -> None:
    """Erase what the directory knows of a person, who was deleted before.

    In one transaction; afterwards nothing of it can be brought back.
    """
    with database.transaction():
        names = _names(database, user_id)
        _erase_document(database, user_id)
        _erase_history(database, user_id)
        _erase_trail(database, user_id, names)
        _erase_from_reports(database, user_id)


def _names(database: Database, user_id: str) -> frozenset[str]:
    """Every userName the person ever had, folded."""
    documents = database.connection.execute(
        select(history.c.before, history.c.after).where(
            history.c.kind == "user", history.c.resource_id == user_id
        )
    )
    present = database.connection.scalar(
        select(users.c.user_name_folded).where(users.c.id == user_id)
    )
    found = {
        folded(str(document["userName"]))
        for row in documents
        for document in row
        if document and document.get("userName")
    }
    return frozenset(found | {present}) if present else frozenset(found)


def _erase_document(database: Database, user_id: str) -> None:
    nobody = f"erased-{user_id}"
    database.connection.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(
            document={"userName": nobody, "active": False},
            user_name=nobody,
            user_name_folded=nobody,
            external_id=None,
            email_folded=None,
            display_name_folded=None,
            manager_id=None,
            active=False,
        )
    )
    # What AWS said of a change may name the person.
    database.connection.execute(
        update(pending).where(pending.c.resource_id == user_id).values(last_error=None)
    )


def _erase_history(database: Database, user_id: str) -> None:
    database.connection.execute(
        delete(history).where(history.c.kind == "user", history.c.resource_id == user_id)
    )


def _erase_trail(database: Database, user_id: str, names: Iterable[str]) -> None:
    """Remove the personal parts of entries about the person, or found under their names."""
    about = select(audit.c.id).where(
        or_(audit.c.resource_id == user_id, audit.c.related_id == user_id)
    )
    for some in chunks(names):
        database.connection.execute(
            delete(audit_personal).where(
                or_(
                    audit_personal.c.audit_id.in_(about),
                    audit_personal.c.user_name_folded.in_(some),
                )
            )
        )


def _erase_from_reports(database: Database, user_id: str) -> None:
    """Those who name the person as their manager keep the id, and not the name."""
    rows = database.connection.execute(
        select(users.c.id, users.c.document).where(users.c.manager_id == user_id)
    ).all()
    for row in rows:
        extension = dict(row.document.get(ENTERPRISE) or {})
        extension["manager"] = {"value": user_id}
        database.connection.execute(
            update(users)
            .where(users.c.id == row.id)
            .values(document={**row.document, ENTERPRISE: extension})
        )
