"""How is a person deleted at the target and erased from the record, on request?

The one way in which the bridge deletes a user (design, section 9). Access is taken away first, as
from any leaver: an assignment of somebody who is gone would stand for ever.
"""

from dataclasses import dataclass

from scim2_models import NotFoundException, ResourceType

from scim_bridge.directory import erasure
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.errors import OperatorError
from scim_bridge.identity_center.center import Center
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Link, Observations


@dataclass(frozen=True, kw_only=True)
class Purge:
    """Erases people. Called outside of any transaction, since it calls the target."""

    database: Database
    resources: Resources
    # The resource type of users.
    users: ResourceType
    center: Center
    observations: Observations
    held: HeldLosses
    # The marks of everything that has to be taken away first.
    marks: tuple[Marks, ...]

    def records(self, user_name: str) -> tuple[str, ...]:
        """The ids of the person's records. Raises `OperatorError` when there is none."""
        found = erasure.records_of(self.database, user_name)
        if not found:
            raise OperatorError(f"the directory has no user {user_name!r}, and had none")
        return found

    def end(self, user_ids: tuple[str, ...]) -> None:
        """Delete the person's live record, which takes every access away, past the brake."""
        for user_id in user_ids:
            with self.database.transaction():
                self.held.let_pass(user_id)
                try:
                    self.resources.delete(self.users, user_id)
                except NotFoundException:
                    self._take_everything(Key(kind="user", id=user_id))

    def _take_everything(self, key: Key) -> None:
        """Of a record that has ended: somebody may have given the principal access since."""
        if self.observations.link(key) is None:
            return
        for marks in self.marks:
            marks.mark(Intent(key=key, urgent=True, take_away=TakeAway(everyone=True)))

    def erase(self, user_id: str) -> None:
        """Delete the principal of an ended record and erase the record.

        Raises `OperatorError` while access has yet to be taken away, and `TargetError` when the
        target does not delete; nothing is erased then.
        """
        key = Key(kind="user", id=user_id)
        self._refuse_while_pending(key)
        with self.database.reading():
            link = self.observations.link(key)
        request_id = None if link is None else self._delete(link)
        with self.database.transaction():
            if link is not None:
                self.observations.drop_link(link)
            self.observations.forget(key)
            erasure.erase(self.database, user_id)
            record(
                self.database,
                action=Action.PURGED,
                kind="user",
                resource_id=user_id,
                target_request_id=request_id,
            )

    def _delete(self, link: Link) -> str | None:
        return self.center.delete_user(link.target_id, urgent=True).request_id

    def _refuse_while_pending(self, key: Key) -> None:
        for marks in self.marks:
            mark = marks.find(key)
            if mark is not None and mark.state not in ("clear", "suppressed"):
                raise OperatorError(
                    f"access of {key.id} has yet to be taken away at Identity Center, so nothing "
                    "was erased: see `scim-bridge status`, and run this again"
                )
