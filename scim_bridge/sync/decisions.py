"""What an operator decides: held losses, a deprovision by hand, another try."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from scim_bridge.directory import tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.directory.nesting import depths
from scim_bridge.directory.resources import Resources
from scim_bridge.errors import OperatorError
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync.access_intents import AccessIntents
from scim_bridge.sync.grants import from_text
from scim_bridge.sync.held import HeldLosses, Loss
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Observations


class Decisions:
    """An operator's decisions. Who decides, and why, comes from `directory.actor.current`."""

    def __init__(
        self,
        database: Database,
        resources: Resources,
        marks: Marks,
        observations: Observations,
        held: HeldLosses,
        access: AccessIntents,
    ) -> None:
        self.database = database
        self.resources = resources
        self.marks = marks
        self.observations = observations
        self.held = held
        self.access = access
        self.access_marks = access.marks

    def approve(self, set_id: str) -> Sequence[Loss]:
        """Let a held set pass. Raises `OperatorError` if there is none of that name."""
        with self.database.transaction():
            losses = self._known(set_id, self.held.approve(set_id))
            for loss in losses:
                self._audit(Action.APPROVED, loss)
                marks = self.access_marks if loss.category == "assignment" else self.marks
                marks.mark(Intent(key=_key(loss), urgent=True))
            # Groups hold their members for as long as the brake holds the people, and people and
            # groups their assignments.
            self._wake_held()
        return losses

    def reject(self, set_id: str) -> Sequence[Loss]:
        """Forget a held set and give the directory its state back: who was to go stays.

        Raises `OperatorError` if there is none of that name.
        """
        with self.database.transaction():
            losses = self._known(set_id, self.held.reject(set_id))
            # Who loses a group only with one that is in it is back in it once they are in that one.
            depth = depths(self.database)
            for loss in sorted(losses, key=lambda one: depth.get(one.group, 0)):
                self._audit(Action.REJECTED, loss)
                self._give_back(loss)
        return losses

    def deprovision(self, user_name: str) -> str:
        """Deactivate a person at once, past the brake. Returns the user's id.

        Raises `OperatorError` if the directory has no such user.
        """
        with self.database.transaction():
            user_id = self._user(user_name)
            self.held.let_pass(user_id)
            if self.resources.set_active(user_id, active=False) is None:
                record(
                    self.database,
                    action=Action.DEACTIVATE,
                    kind="user",
                    resource_id=user_id,
                    outcome="inactive already",
                )
            # Also for somebody who is inactive already: what they hold at the target goes.
            everything = TakeAway(everyone=True)
            key = Key(kind="user", id=user_id)
            self.marks.mark(Intent(key=key, urgent=True, take_away=everything))
            self.access.leave(key)
            self._wake_held()
        return user_id

    def reactivate(self, user_name: str) -> str:
        """Activate a person again. Returns the user's id.

        Raises `OperatorError` if the directory has no such user.
        """
        with self.database.transaction():
            user_id = self._user(user_name)
            self.held.release(user_id)
            self.resources.set_active(user_id, active=True)
        return user_id

    def retry(self) -> int:
        """Make everything that failed due again. Returns how many resources that is."""
        with self.database.transaction():
            count = self.marks.wake("failed") + self.access_marks.wake("failed")
            record(self.database, action=Action.RETRY, facts={"resources": count})
        return count

    def _wake_held(self) -> None:
        self.marks.wake("held")
        self.access_marks.wake("held")

    def _known(self, set_id: str, losses: Sequence[Loss]) -> Sequence[Loss]:
        if not losses:
            raise OperatorError(
                f"no held set {set_id!r}: `scim-bridge status` lists those that wait for a decision"
            )
        return losses

    def _user(self, user_name: str) -> str:
        user = self.resources.find_user(user_name)
        if user is None or user.deleted_at is not None:
            raise OperatorError(f"the directory has no user {user_name!r}")
        return user.id

    def _give_back(self, loss: Loss) -> None:
        if loss.category == "removal":
            self._give_back_membership(loss)
            return
        if loss.category == "assignment":
            self._give_back_assignment(loss)
            return
        link = self.observations.link(_key(loss))
        if link is not None:
            self.marks.spare(link.target_id)
        for group_id in self.resources.reinstate(loss.person):
            self.marks.mark(Intent(key=Key(kind="group", id=group_id)))
        self.marks.mark(Intent(key=_key(loss)))

    def _give_back_membership(self, loss: Loss) -> None:
        key = _key(loss)
        if self._is_known(loss.person):
            self.resources.reopen_membership(loss.group, loss.person)
            self.marks.mark(Intent(key=key))
        else:
            # Nothing in the directory can say that they stay.
            take_away = self._sparing(loss.person, key)
            self.marks.mark(Intent(key=key, urgent=True, reversal=True, take_away=take_away))

    def _give_back_assignment(self, loss: Loss) -> None:
        """The directory says again that the person, or the group, is to hold it."""
        key, grant = _key(loss), from_text(loss.lost)
        if not self.resources.reopen_grant(key.kind, key.id, grant):
            # Nothing in the directory can say that it stays.
            taken = self.access_marks.read(key).take_away
            left = replace(taken, everyone=False, named=taken.named - {loss.lost})
            self.access_marks.mark(Intent(key=key, urgent=True, reversal=True, take_away=left))
            return
        self.access_marks.mark(Intent(key=key))

    def _is_known(self, user_id: str) -> bool:
        users = tables.users.c
        query = select(users.id).where(users.id == user_id)
        return self.database.connection.scalar(query) is not None

    def _sparing(self, member: str, group: Key) -> TakeAway:
        """What is to be taken from a group, less one member, by their id at the target."""
        taken, link = self.marks.read(group).take_away, self.observations.link(group)
        _, seen = self.observations.members(link.target_id) if link else (None, frozenset())
        named = taken.named | (seen if taken.everyone else frozenset())
        return TakeAway(linked=taken.linked, named=named - {member})

    def _audit(self, action: Action, loss: Loss) -> None:
        record(
            self.database,
            action=action,
            kind="user",
            resource_id=loss.person,
            related_id=loss.group or None,
            facts={"set": loss.set_id, "category": loss.category},
        )


def _key(loss: Loss) -> Key:
    if not loss.group:
        return Key(kind="user", id=loss.person)
    return Key(kind="group", id=loss.group)
