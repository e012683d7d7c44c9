"""What did a creation make, whose answer was lost?"""

from typing import Unpack

from sqlalchemy import select

from scim_bridge.directory import tables
from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import Database
from scim_bridge.errors import TryLater, Unavailable
from scim_bridge.identity_center.contract import Center
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.state import Attributes, Kind, Principal
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Applied, Observations


class LostCreations:
    """Finds what the bridge made. Never called within a transaction.

    A principal with the externalId that was sent is ours. Where a creation carries none, it is
    looked up first that nobody has the name; who has it after an answer was lost is then ours.
    """

    def __init__(self, database: Database, center: Center, observations: Observations) -> None:
        self.database = database
        self.center = center
        self.observations = observations

    def found(self, key: Key, external_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The principal that an earlier creation of a resource made."""
        if not self.center.abilities.external_ids:
            return self._by_name(key, haste)
        find = self.center.find_user if key.kind == "user" else self.center.find_group
        found = find(external_id=external_id, **haste)
        return found if found is not None and found.external_id == external_id else None

    def holder(
        self, kind: Kind, attributes: Attributes, **haste: Unpack[Haste]
    ) -> Principal | None:
        """Who has the name that is to be created.

        :raises TryLater: it cannot be told, so that nothing may be sent yet.
        """
        try:
            return self._named(kind, attributes, haste)
        except Unavailable as error:
            raise TryLater(
                f"not created, since Identity Center does not say who has the name: {error.detail}",
                status=error.status,
                request_id=error.request_id,
            ) from error

    def was_sent(self, key: Key) -> bool:
        """Whether a creation was sent while nobody had the name, and its answer was lost."""
        with self.database.reading():
            return self._was_lost(key)

    def maker(self, kind: Kind, principal: Principal) -> str | None:
        """The record that a principal was created for. Joins the caller's transaction.

        By the externalId; where there is none, a deleted record of the name whose creation was
        lost: it was sent when nobody else had the name.
        """
        if principal.external_id is not None or self.center.abilities.external_ids:
            return principal.external_id
        table, name = (
            (tables.users, tables.users.c.user_name_folded)
            if kind == "user"
            else (tables.groups, tables.groups.c.display_name_folded)
        )
        shown = principal.attributes.get("userName" if kind == "user" else "displayName")
        rows = self.database.connection.scalars(
            select(table.c.id).where(name == folded(str(shown)), table.c.deleted_at.is_not(None))
        )
        lost = (one for one in rows if self._was_lost(Key(kind=kind, id=one)))
        return next(lost, None)

    def remember(self, key: Key, attributes: Attributes, *, sent: bool) -> None:
        """Note that a creation is sent now; or, since its answer came, that it made nothing."""
        with self.database.transaction():
            self.observations.send(key, attributes, sent=sent)

    def _was_lost(self, key: Key) -> bool:
        last = self.observations.applied(key)
        return last is not None and last.was_lost

    def _by_name(self, key: Key, haste: Haste) -> Principal | None:
        with self.database.reading():
            last = self.observations.applied(key)
        if last is None or not last.was_lost:
            return None
        found = self._named(key.kind, last.attributes, haste)
        return found if found is not None and self._is_as_sent(found, last, haste) else None

    def _named(self, kind: Kind, attributes: Attributes, haste: Haste) -> Principal | None:
        if kind == "user":
            return self.center.find_user(user_name=str(attributes["userName"]), **haste)
        return self.center.find_group(display_name=str(attributes["displayName"]), **haste)

    def _is_as_sent(self, found: Principal, sent: Applied, haste: Haste) -> bool:
        """Whether it can be what a creation made, also if others made one in the same moment."""
        if found.external_id is not None:
            return False
        if "userName" in sent.attributes:
            return found.attributes.get("emails") == sent.attributes.get("emails")
        return not self.center.members(found.id, **haste)
