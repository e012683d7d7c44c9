"""Several sources of the same people: who is the same person, and whose are the attributes?

What a client writes is settled before it is stored: what is another's stays as it is, and the
client is warned in the audit trail or refused. What operators and the bridge write is not asked.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scim2_models import ForbiddenException
from sqlalchemy import ColumnElement, select

from scim_bridge.directory import actor
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.comparison import folded, normalized
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import ENTERPRISE, Document, primary_email
from scim_bridge.directory.expressions import folded as folded_value
from scim_bridge.directory.expressions import text_in
from scim_bridge.directory.tables import users
from scim_bridge.plan.authority import Authorities, flattened, whole

_CLIENT = "client:"
_NOBODY = Authorities()


class Owners:
    """Whose attributes are whose, asked for whoever acts. Methods join the write's transaction."""

    def __init__(self, database: Database, authorities: Authorities = _NOBODY) -> None:
        self.database = database
        self.authorities = authorities

    def settle(
        self, user_id: str, before: Document | None, after: Document, *, states_all: bool
    ) -> Document:
        """What a write makes of a person. Raises `ForbiddenException` naming what is another's."""
        client = _acting_client()
        if client is None or not self.authorities:
            return after
        settled = self.authorities.settle(client, before, after, states_all=states_all)
        if settled.refused:
            raise ForbiddenException(
                detail=f"{', '.join(settled.refused)}: another source owns it ([[authority]]); "
                f"leave it out, or have the operator name {client} as an owner, too"
            )
        if settled.ignored:
            record(
                self.database,
                action=Action.WARNING,
                kind="user",
                resource_id=user_id,
                outcome="ignored",
                facts={"attributes": list(settled.ignored), "why": "another source owns them"},
            )
        return settled.document

    def refuse_deletion(self) -> None:
        """Refuse a DELETE by a client that may not say who is active."""
        client = _acting_client()
        if client is not None and not self.authorities.may_write(client, "active"):
            raise ForbiddenException(
                detail="Another source owns active ([[authority]]): only it may delete a person"
            )

    def without_own(self, document: Document) -> Document:
        """A person without what only whoever acts may write: they have said nothing of it yet."""
        client = _acting_client()
        if client is None:
            return document
        kept = {
            path: value
            for path, value in flattened(document).items()
            if not self.authorities.is_sole_owner(client, path)
        }
        return whole(kept)

    def owns(self, path: str) -> bool:
        """Whether whoever acts is named as an owner of an attribute."""
        client = _acting_client()
        return client is not None and self.authorities.owns(client, path)


def same_people(
    database: Database, document: Document, keys: Collection[str]
) -> Mapping[str, list[str]]:
    """The live people who are like a document, each with the keys by which they are."""
    wanted = dict(_traits(document, keys))
    found: dict[str, list[str]] = {}
    with database.reading() as connection:
        for key, condition in wanted.items():
            query = select(users.c.id).where(condition, users.c.deleted_at.is_(None))
            for user_id in connection.scalars(query):
                found.setdefault(user_id, []).append(key)
    return found


def _traits(document: Document, keys: Iterable[str]) -> Iterable[tuple[str, ColumnElement[bool]]]:
    number = (document.get(ENTERPRISE) or {}).get("employeeNumber")
    traits: dict[str, tuple[Any, Any]] = {
        "userName": (users.c.user_name_folded, _prepared(folded, document.get("userName"))),
        "externalId": (users.c.external_id, _prepared(normalized, document.get("externalId"))),
        "email": (users.c.email_folded, _prepared(folded, primary_email(document))),
        "employeeNumber": (
            folded_value(text_in(users.c.document, ENTERPRISE, "employeeNumber")),
            _prepared(folded, number),
        ),
    }
    for key in keys:
        column, value = traits[key]
        if value:
            yield key, column == value


def _prepared(prepare: Any, value: Any) -> str | None:
    return prepare(str(value)) if value else None


def _acting_client() -> str | None:
    name = actor.current().name
    return name.removeprefix(_CLIENT) if name.startswith(_CLIENT) else None
