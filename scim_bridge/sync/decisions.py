"""What an operator decides: held losses, a deprovision by hand, another try."""

from collections.abc import Sequence

from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.errors import OperatorError
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync import at_which
from scim_bridge.sync.access_intents import Entitling
from scim_bridge.sync.audience import EVERYBODY, Audience
from scim_bridge.sync.held import HeldLosses, Loss
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.rejection import Rejection, Rejections, key_of


class Decisions:
    """An operator's decisions. Who decides, and why, comes from `directory.actor.current`."""

    def __init__(
        self,
        database: Database,
        resources: Resources,
        marks: Marks,
        observations: Observations,
        held: HeldLosses,
        access: Entitling,
        *,
        audience: Audience = EVERYBODY,
        elsewhere: Sequence["Decisions"] = (),
    ) -> None:
        self.database = database
        self.resources = resources
        self.marks = marks
        self.observations = observations
        self.held = held
        self.access = access
        # The same at other targets.
        self.elsewhere = elsewhere
        self.access_marks = access.marks
        self.rejections = Rejections(
            resources, marks, observations, held, self.access_marks, audience
        )

    def approve(self, set_id: str) -> Sequence[Loss]:
        """Let a held set pass. Raises `OperatorError` if there is none of that name."""
        if other := self._other(set_id):
            return other.approve(set_id)
        with self.database.transaction():
            losses = self._known(set_id, self.held.approve(set_id))
            for loss in losses:
                self._audit(Action.APPROVED, loss)
                marks = self.access_marks if loss.category == "assignment" else self.marks
                marks.mark(Intent(key=key_of(loss), urgent=True))
            # Groups hold their members for as long as the brake holds the people, and people and
            # groups their assignments.
            self._wake_held()
        return losses

    def reject(self, set_id: str) -> Rejection:
        """Give the directory back what a held set would have taken: who was to go stays.

        What cannot be given back stays held, and is told with its reason. Raises `OperatorError`
        if there is no set of that name.
        """
        if other := self._other(set_id):
            return other.reject(set_id)
        with self.database.transaction():
            losses = self._known(set_id, self.held.losses(set_id=set_id))
            rejection = self.rejections.of(losses)
            self.held.drop(rejection.given_back)
            for loss in rejection.given_back:
                self._audit(Action.REJECTED, loss)
            for left in rejection.left:
                self._audit(Action.REJECTED, left.loss, why=left.why)
        return rejection

    def deprovision(self, user_name: str) -> str:
        """Deactivate a person at once, past the brake. Returns the user's id.

        Raises `OperatorError` if the directory has no such user.
        """
        with self.database.transaction():
            user_id = self._user(user_name)
            for each in (self, *self.elsewhere):
                each.held.let_pass(user_id)
            if self.resources.set_active(user_id, active=False) is None:
                record(
                    self.database,
                    action=Action.DEACTIVATE,
                    kind="user",
                    resource_id=user_id,
                    outcome="inactive already",
                )
            # Also for somebody who is inactive already: what they hold at the target goes.
            for each in (self, *self.elsewhere):
                each.take_everything(Key(kind="user", id=user_id))
        return user_id

    def take_everything(self, key: Key) -> None:
        """Mark that all goes that the target holds of a person. Joins the transaction."""
        everything = TakeAway(everyone=True)
        self.marks.mark(Intent(key=key, urgent=True, take_away=everything))
        self.access.leave(key)
        self._wake_held()

    def reactivate(self, user_name: str) -> str:
        """Activate a person again. Returns the user's id.

        Raises `OperatorError` if the directory has no such user.
        """
        with self.database.transaction():
            user_id = self._user(user_name)
            for each in (self, *self.elsewhere):
                each.held.release(user_id)
            self.resources.set_active(user_id, active=True)
        return user_id

    def retry(self) -> int:
        """Make everything that failed due again. Returns how many resources that is."""
        with self.database.transaction():
            count = sum(each.wake_failed() for each in (self, *self.elsewhere))
            record(self.database, action=Action.RETRY, facts={"resources": count})
        return count

    def wake_failed(self) -> int:
        """Make what failed at the target due again. Returns how many resources that is."""
        return self.marks.wake("failed") + self.access_marks.wake("failed")

    def _other(self, set_id: str) -> "Decisions | None":
        """Who decides on a set of losses at another target."""
        with self.database.reading():
            return next((each for each in self.elsewhere if each.held.losses(set_id=set_id)), None)

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

    def _audit(self, action: Action, loss: Loss, *, why: str | None = None) -> None:
        record(
            self.database,
            action=action,
            kind="user",
            resource_id=loss.person,
            related_id=loss.group or None,
            outcome="ok" if why is None else "still held",
            facts={"set": loss.set_id, "category": loss.category, **at_which(self.marks.target)},
            personal=None if why is None else {"detail": why},
        )
