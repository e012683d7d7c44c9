"""How is a person deleted at the target and erased from the record, on request?

The one way in which the bridge deletes a user (design, section 9). Access is taken away first, as
from any leaver: an assignment of somebody who is gone would stand for ever.
"""

import time
from dataclasses import dataclass

from scim2_models import NotFoundException, ResourceType

from scim_bridge.directory import erasure
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.errors import Missing, OperatorError
from scim_bridge.identity_center.center import Center
from scim_bridge.identity_center.sso_admin import SsoAdmin
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Link, Observations

# How long an erasure waits for what somebody is giving the person just now, in seconds, and how
# often it looks. AWS takes a few seconds for an assignment.
PATIENCE = 60.0
LOOK_AGAIN = 0.5


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
    # None: the settings do not say where its API is.
    sso_admin: SsoAdmin | None
    # How long one call may take, in seconds.
    call_seconds: float
    # The same at other targets.
    elsewhere: tuple["Purge", ...] = ()

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
                for each in (self, *self.elsewhere):
                    each.held.let_pass(user_id)
                try:
                    self.resources.delete(self.users, user_id)
                except NotFoundException:
                    for each in (self, *self.elsewhere):
                        each.take_everything(Key(kind="user", id=user_id))

    def await_gifts(self, user_id: str) -> None:
        """Wait until nobody is giving the person an assignment any more.

        What AWS is still making is in no list of what a person holds, so it would be missed, and
        stand for ever. Raises `OperatorError` when patience is over, and `TargetError`.
        """
        for each in (self, *self.elsewhere):
            each.await_gifts_there(user_id)

    def await_gifts_there(self, user_id: str) -> None:
        """The same at this target alone."""
        link = self._link(user_id)
        if link is None:
            return
        end = time.monotonic() + PATIENCE
        while self._is_being_given(link.target_id):
            if time.monotonic() >= end:
                raise OperatorError(_being_given(user_id))
            time.sleep(LOOK_AGAIN)

    def _is_being_given(self, principal: str) -> bool:
        if self.sso_admin is None:
            return False
        begun = self.sso_admin.creations_under_way(turn_page=self._deadline, **self._haste())
        return any(self._is_for(one.request_id, principal) for one in begun)

    def _is_for(self, request_id: str, principal: str) -> bool:
        """Whether a creation is under way for a principal, or may be, since AWS does not say."""
        if self.sso_admin is None:
            return False
        try:
            status = self.sso_admin.creation_status(request_id, **self._haste())
        except Missing:
            return False
        return status.state == "IN_PROGRESS" and status.principal in (principal, None)

    def _refuse_gifts(self, user_id: str, principal: str) -> None:
        """Refuse what is being given, and what was given since everything was taken away."""
        if self._is_being_given(principal):
            raise OperatorError(_being_given(user_id))
        if self.sso_admin is None:
            return
        held = self.sso_admin.assignments_of(
            "user", principal, turn_page=self._deadline, **self._haste()
        )
        if any(one.principal == principal for one in held):
            raise OperatorError(
                f"{user_id} was given an assignment at Identity Center just now, so nothing was "
                "erased: run this again"
            )

    def _haste(self) -> Haste:
        return {"urgent": True, "deadline": self._deadline()}

    def _deadline(self) -> float:
        return time.monotonic() + self.call_seconds

    def take_everything(self, key: Key) -> None:
        """Of a record that has ended: somebody may have given the principal access since."""
        if self.observations.link(key) is None:
            return
        for marks in self.marks:
            marks.mark(Intent(key=key, urgent=True, take_away=TakeAway(everyone=True)))

    def erase(self, user_id: str) -> None:
        """Delete the principal of an ended record and erase the record.

        Raises `OperatorError` while access has yet to be taken away or is being given, and
        `TargetError` when the target does not delete; nothing is erased then.
        """
        for each in (self, *self.elsewhere):
            each.refuse_to_erase(user_id)
        for each in self.elsewhere:
            each.delete(user_id)
        request_id = self.delete(user_id)
        with self.database.transaction():
            erasure.erase(self.database, user_id)
            record(
                self.database,
                action=Action.PURGED,
                kind="user",
                resource_id=user_id,
                target_request_id=request_id,
            )

    def refuse_to_erase(self, user_id: str) -> None:
        """Raise `OperatorError` while access has yet to be taken away here, or is being given."""
        link = self._link(user_id)
        if link is not None:
            self._refuse_gifts(user_id, link.target_id)
        self._refuse_while_pending(Key(kind="user", id=user_id))

    def delete(self, user_id: str) -> str | None:
        """Delete the principal here, and forget what it held. Returns the call's id."""
        key, link = Key(kind="user", id=user_id), self._link(user_id)
        request_id = None if link is None else self._delete(link)
        with self.database.transaction():
            if link is not None:
                self.observations.drop_link(link)
            self.observations.forget(key)
        return request_id

    def _link(self, user_id: str) -> Link | None:
        with self.database.reading():
            return self.observations.link(Key(kind="user", id=user_id))

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


def _being_given(user_id: str) -> str:
    return (
        f"somebody is giving {user_id} an assignment at Identity Center just now, so nothing was "
        "erased: run this again when AWS is done with it"
    )
