"""One call at the target, and what its answer means when it is not simply yes."""

from dataclasses import dataclass
from typing import Literal, assert_never

from sqlalchemy import select

from scim_bridge.directory import tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import Database
from scim_bridge.directory.write import Kind
from scim_bridge.errors import (
    AccessDenied,
    Conflict,
    Missing,
    Refused,
    TargetError,
    TryLater,
    Unavailable,
)
from scim_bridge.identity_center.center import Center
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.changes import (
    REVOCATIONS,
    AddMembers,
    Change,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
)
from scim_bridge.plan.changes import subject as subject_of
from scim_bridge.plan.protection import Protection
from scim_bridge.plan.state import Attributes, Principal
from scim_bridge.sync.lost_creation import LostCreations
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.record import (
    Adopted,
    Declined,
    Done,
    Ending,
    Found,
    Gone,
    MembersGone,
    Recorder,
    TakenUp,
)

NO_DETOUR = (
    "it could go through the Identity Store API: set identity_center.region, and give the bridge "
    "AWS credentials with the policy of deploy/iam"
)


class StillThere(TryLater):
    """The target refuses to take access away. It is asked again: that is never given up.

    ``denied`` is the IAM action that the bridge lacks to take it away by the other door.
    """

    def __init__(
        self,
        detail: str,
        *,
        denied: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.denied = denied
        super().__init__(detail, status=status, request_id=request_id)


@dataclass(frozen=True, kw_only=True)
class Inline:
    """`[adopt] inline`: whether a creation may take over a principal that is there already."""

    adopt: Literal["never", "matching"] = "never"
    # Patterns of names that nobody takes over.
    protected: tuple[str, ...] = ()

    def may_take(self, name: str) -> bool:
        return self.adopt == "matching" and not Protection(self.protected).covers(name)


class Attempts:
    """Makes calls and looks up what an unclear answer means. Never called within a transaction.

    `detour` takes out of groups whom the target's first door refuses to take out: AWS may not let
    a disabled user be edited there. None: the settings do not say where it is, or there is no
    other door.
    """

    def __init__(
        self,
        database: Database,
        center: Center,
        marks: Marks,
        observations: Observations,
        recorder: Recorder,
        inline: Inline = Inline(),
        detour: Center | None = None,
    ) -> None:
        self.database = database
        self.center = center
        self.detour = detour
        self.marks = marks
        self.observations = observations
        self.recorder = recorder
        self.lost = LostCreations(database, center, observations)
        self.inline = inline

    def make(self, change: Change, *, deadline: float, refused: StillThere | None = None) -> Ending:
        """Make one change.

        `refused`: the answer with which the target refused to take out these people with others.

        Raises `DoorClosed` and `TryLater` when the target did not decide. A removal that it refuses
        is not decided either: `StillThere`.
        """
        try:
            if refused is not None:
                raise refused
            return self._make(change, deadline)
        except StillThere as error:
            if not isinstance(change, RemoveMembers) or len(change.members) > 1:
                raise
            return self._by_detour(change, error, deadline)

    def barred(self, change: Change) -> frozenset[str]:
        """Whom of a refused removal only the detour can take out, as far as is known: who is
        disabled.
        """
        if self.detour is None or not isinstance(change, RemoveMembers):
            return frozenset()
        with self.database.reading():
            seen = ((one, self.observations.seen("user", one)) for one in change.members)
            return frozenset(one for one, user in seen if user is not None and not user.active)

    def _make(self, change: Change, deadline: float) -> Ending:
        try:
            if isinstance(change, CreateUser | CreateGroup):
                return self._create(change, deadline)
            return self._call(change, deadline)
        except Conflict as error:
            return self._conflict(change, error, deadline)
        except Missing as error:
            return self._missing(change, error, deadline)
        except Refused as error:
            return self._refused(change, error)

    def _create(self, change: CreateUser | CreateGroup, deadline: float) -> Ending:
        if self.center.abilities.external_ids:
            return self._call(change, deadline)
        return self._create_by_name(change, deadline)

    def _create_by_name(self, change: CreateUser | CreateGroup, deadline: float) -> Ending:
        """Create what carries no externalId, once it is certain that nobody has the name."""
        key = Key(kind=_kind(change), id=subject_of(change))
        holder = self.lost.holder(key.kind, change.attributes, deadline=deadline)
        if holder is not None:
            return self._conflict(change, _name_is_taken(key.kind), deadline)
        sent_before = self.lost.was_sent(key)
        self.lost.remember(key, change.attributes, sent=True)
        try:
            return self._call(change, deadline)
        except Unavailable:
            raise
        except TargetError:
            self.lost.remember(key, change.attributes, sent=sent_before)
            raise

    def _call(self, change: Change, deadline: float, *, by: Center | None = None) -> Done:
        try:
            applied = (by or self.center).apply(change, deadline=deadline)
        except Unavailable as error:
            with self.database.transaction():
                self.recorder.audit_unanswered(change, request_id=error.request_id)
            raise
        return Done(change=change, principal=applied.principal, request_id=applied.request_id)

    def _refused(self, change: Change, error: Refused) -> Declined:
        if isinstance(change, REVOCATIONS):
            raise StillThere(
                f"the target refuses to take access away and is asked again: {error.detail}",
                status=error.status,
                request_id=error.request_id,
            ) from error
        return Declined(change=change, error=error)

    # -- Around a refusal -----------------------------------------------

    def _by_detour(self, change: RemoveMembers, refused: StillThere, deadline: float) -> Ending:
        """Take one person out of a group by the other door.

        Raises `StillThere` when that does not do it either, whatever the reason: the first door is
        open, so nothing else has to wait for the other.
        """
        if self.detour is None:
            raise _also(refused, NO_DETOUR) if self.center.abilities.disables else refused
        try:
            done = self._call(change, deadline, by=self.detour)
            if done.request_id is None and self._is_still_in(change, deadline):
                raise _also(refused, "and the Identity Store API does not show the membership yet")
        except StillThere:
            raise
        except AccessDenied as error:
            raise _also(refused, error.detail, denied=error.action) from error
        except TargetError as error:
            raise _also(refused, f"by the Identity Store API: {error.detail}") from error
        return done

    def _is_still_in(self, change: RemoveMembers, deadline: float) -> bool:
        """Whether the first door shows a membership that the other did not find."""
        (member,) = change.members
        haste: Haste = {"urgent": True, "deadline": deadline}
        try:
            return self.center.is_member(change.principal, member, **haste)
        except Missing:
            return False

    # -- 409 ------------------------------------------------------------

    def _conflict(self, change: Change, error: Conflict, deadline: float) -> Ending:
        """Find out what is taken: AWS does not say (AWS SCIM developer guide, CreateUser)."""
        match change:
            case CreateUser():
                return self._user_exists(change, error, deadline)
            case CreateGroup():
                return self._group_exists(change, error, deadline)
            case UpdateUser() | EnableUser() | UpdateGroup():
                return self._name_taken(change, error, deadline)
            case _:
                return self._refused(change, error)

    def _user_exists(self, change: CreateUser, error: Conflict, deadline: float) -> Ending:
        key = Key(kind="user", id=change.user)
        ours = self.lost.found(key, change.external_id, deadline=deadline)
        if ours is not None:
            return self._ours(change, ours, error, deadline)
        name = str(change.attributes["userName"])
        other = self.center.find_user(user_name=name, deadline=deadline)
        if other is not None:
            return self._taken_by(
                change, other, f"a user with the userName {name!r}", error, deadline
            )
        return self._value_taken(change, error, deadline)

    def _group_exists(self, change: CreateGroup, error: Conflict, deadline: float) -> Ending:
        key = Key(kind="group", id=change.group)
        ours = self.lost.found(key, change.external_id, deadline=deadline)
        if ours is not None:
            return self._ours(change, ours, error, deadline)
        name = str(change.attributes["displayName"])
        other = self.center.find_group(display_name=name, deadline=deadline)
        if other is not None:
            return self._taken_by(change, other, f"a group named {name!r}", error, deadline)
        return self._refused(change, error)

    def _name_taken(
        self, change: UpdateUser | EnableUser | UpdateGroup, error: Conflict, deadline: float
    ) -> Ending:
        if isinstance(change, UpdateGroup):
            name = change.set.get("displayName")
            other = name and self.center.find_group(display_name=name, deadline=deadline)
            what = f"a group named {name!r}"
        else:
            name = change.set.get("userName")
            other = name and self.center.find_user(user_name=name, deadline=deadline)
            what = f"a user with the userName {name!r}"
        if other and other.id != change.principal:
            return self._taken_by(change, other, what, error, deadline)
        return self._value_taken(change, error, deadline)

    def _ours(
        self,
        change: CreateUser | CreateGroup,
        principal: Principal,
        error: Conflict,
        deadline: float,
    ) -> Ending:
        kind = _kind(change)
        with self.database.reading():
            owner = self.observations.linked_to(kind, principal.id)
        if owner is None:
            return Found(change=change, principal=principal)
        return self._taken_by(
            change, principal, "a principal with this externalId", error, deadline
        )

    def _taken_by(
        self,
        change: CreateUser | CreateGroup | UpdateUser | EnableUser | UpdateGroup,
        principal: Principal,
        what: str,
        error: Conflict,
        deadline: float,
    ) -> Ending:
        kind = _kind(change)
        with self.database.reading():
            owner = self.observations.linked_to(kind, principal.id)
            earlier = self._earlier_record(kind, owner, principal)
            holder = owner or earlier
            busy = holder is not None and self._has_pending_change(holder)
        if busy:
            raise TryLater(
                f"{self._place} has {what} whose own change is on its way", status=409
            ) from error
        if earlier is not None and isinstance(change, CreateUser | CreateGroup):
            if owner is None:
                return Found(change=change, principal=principal)
            return TakenUp(change=change, principal=principal, earlier=earlier)
        if (
            owner is None
            and isinstance(change, CreateUser | CreateGroup)
            and self._agrees(change, principal, deadline)
        ):
            return Adopted(change=change, principal=principal)
        whose = (
            "which the bridge did not create and is not linked to"
            if owner is None
            else "which is linked to somebody else in the directory"
        )
        return Declined(
            change=change,
            error=Conflict(
                f"{self._place} already has {what} (id {principal.id}), {whose}. Take "
                "it over with scim-bridge adopt, rename or delete it there, or push another value.",
                status=409,
                request_id=error.request_id,
            ),
        )

    def _agrees(
        self, change: CreateUser | CreateGroup, principal: Principal, deadline: float
    ) -> bool:
        """Whether a principal that nobody is linked to may be taken over within a request.

        A user must have the same primary e-mail address, a group no members: a name alone must
        not give anybody what somebody else holds.
        """
        named = "userName" if isinstance(change, CreateUser) else "displayName"
        if not self.inline.may_take(str(principal.attributes.get(named) or "")):
            return False
        if isinstance(change, CreateUser):
            email, theirs = _email(change), _primary(principal.attributes)
            return bool(email and theirs) and str(email).casefold() == str(theirs).casefold()
        return not self.center.members(principal.id, deadline=deadline)

    def _earlier_record(self, kind: Kind, owner: Key | None, principal: Principal) -> Key | None:
        """The deleted record that a principal is, or was created for by a call that was lost."""
        known = owner.id if owner is not None else self.lost.maker(kind, principal)
        table = tables.users if kind == "user" else tables.groups
        found: str | None = self.database.connection.scalar(
            select(table.c.id).where(table.c.id == known, table.c.deleted_at.is_not(None))
        )
        return None if found is None else Key(kind=kind, id=found)

    def _value_taken(self, change: Change, error: Conflict, deadline: float) -> Ending:
        """Most likely somebody holds the e-mail address; see whether they can be made to let go."""
        email = _email(change)
        if email is None:
            return self._refused(change, error)
        with self.database.reading():
            holders = [
                (target_id, self.observations.linked_to("user", target_id))
                for target_id in self.observations.holders_of_email(folded(email))
            ]
        for target_id, holder in holders:
            if holder is None or target_id == getattr(change, "principal", None):
                continue
            if self._has_let_go(holder, folded(email)):
                return self._with_freed_email(change, holder, target_id, deadline)
            if self._has_pending_change(holder):
                self._free_ahead(holder, target_id, folded(email), deadline)
                raise TryLater(
                    f"the e-mail address is held at {self._place} by somebody whose own change "
                    "is on its way",
                    status=409,
                ) from error
        return Declined(
            change=change,
            error=Conflict(
                f"{self._place} says that a value is taken: userName, e-mail address or "
                f"externalId ({error.detail})",
                status=409,
                request_id=error.request_id,
            ),
        )

    def _with_freed_email(
        self, change: Change, holder: Key, target_id: str, deadline: float
    ) -> Ending:
        try:
            self._clear_email(holder, target_id, deadline)
            return self._call(change, deadline)
        except Refused as error:
            return self._refused(change, _still_held(error, self._place))

    def _clear_email(self, holder: Key, target_id: str, deadline: float) -> None:
        """Free the address of somebody who has no use for it."""
        change = UpdateUser(user=holder.id, principal=target_id, set={}, remove=("emails",))
        done = self._call(change, deadline)
        with self.database.transaction():
            if done.principal is not None:
                self.observations.see("user", done.principal)
            owner = self.observations.linked_to("user", target_id)
            if owner is not None and self._is_active(owner):
                # They are back meanwhile, and may have been given an address that is cleared now.
                self.marks.mark(Intent(key=owner))
            record(
                self.database,
                action=Action.CALL,
                kind="user",
                resource_id=holder.id,
                facts={
                    "change": "UpdateUser",
                    "attributes": ["emails"],
                    "why": "the address is needed by somebody else; its holder has left",
                    **self.recorder.where,
                },
                target_request_id=done.request_id,
            )

    def _free_ahead(self, holder: Key, target_id: str, email_folded: str, deadline: float) -> None:
        """Clear an address its holder is about to change, since the holder may wait in turn.

        Two people who swap their addresses would otherwise wait for each other for ever. It is done
        under the holder's lease: else it might clear the address they have just been given.
        """
        lease = self.marks.claim(holder) if self._wants_another(holder, email_folded) else None
        if lease is None:
            return
        with self.database.reading():
            mark = self.marks.read(holder)
        try:
            if not mark.reread:
                self._clear_email(holder, target_id, deadline)
        finally:
            self.marks.postpone(
                lease, mark, delay=0.0, error="its e-mail address is needed by somebody else"
            )

    def _wants_another(self, user: Key, email_folded: str) -> bool:
        users = tables.users.c
        with self.database.reading() as connection:
            wanted = connection.scalar(select(users.email_folded).where(users.id == user.id))
        return wanted != email_folded

    def _has_let_go(self, user: Key, email_folded: str) -> bool:
        """Whether nothing will ever free the address of somebody who does not need it.

        They were deleted, or are inactive and have another address: only removals are sent of them.
        """
        users = tables.users.c
        with self.database.reading() as connection:
            row = connection.execute(
                select(users.deleted_at, users.active, users.email_folded).where(
                    users.id == user.id
                )
            ).one()
        gave_up = not row.active and row.email_folded != email_folded
        return row.deleted_at is not None or gave_up

    def _is_active(self, user: Key) -> bool:
        users = tables.users.c
        with self.database.reading() as connection:
            query = select(users.id).where(
                users.id == user.id, users.active, users.deleted_at.is_(None)
            )
            return connection.scalar(query) is not None

    @property
    def _place(self) -> str:
        """What the target is called in messages."""
        return self.center.circuit.whose

    def _has_pending_change(self, key: Key) -> bool:
        with self.database.reading():
            mark = self.marks.find(key)
            return mark is not None and mark.state == "pending"

    # -- 404 ------------------------------------------------------------

    def _missing(self, change: Change, error: Missing, deadline: float) -> Ending:
        """Look whether the principal is really gone: a new one may be unknown for a moment."""
        match change:
            case AddMembers() | RemoveMembers():
                return self._member_missing(change, error, deadline)
            case CreateUser() | CreateGroup():
                raise Unavailable(
                    f"{self._place} answered 404 to a creation: {error.detail}", status=404
                ) from error
            case UpdateGroup() | DeleteGroup():
                found = self.center.group(change.principal, deadline=deadline)
            case UpdateUser() | EnableUser() | DisableUser():
                urgent = isinstance(change, DisableUser)
                found = self.center.user(change.principal, urgent=urgent, deadline=deadline)
            case _:
                assert_never(change)
        if found is None:
            return Gone(change=change)
        raise _not_yet(error, self._place) from error

    def _member_missing(
        self, change: AddMembers | RemoveMembers, error: Missing, deadline: float
    ) -> Ending:
        haste: Haste = {"urgent": isinstance(change, RemoveMembers), "deadline": deadline}
        if self.center.group(change.principal, **haste) is None:
            return Gone(change=change)
        gone = frozenset(
            member for member in change.members if self.center.user(member, **haste) is None
        )
        if not gone:
            raise _not_yet(error, self._place) from error
        return MembersGone(change=change, members=gone)


def _kind(change: Change) -> Kind:
    return "user" if isinstance(change, CreateUser | UpdateUser | EnableUser) else "group"


def _name_is_taken(kind: Kind) -> Conflict:
    return Conflict(f"there is a {kind} of this name already", status=409)


def _not_yet(error: Missing, place: str) -> TryLater:
    return TryLater(
        f"{place} does not know yet what it shows: {error.detail}",
        status=error.status,
        request_id=error.request_id,
    )


def _also(refused: StillThere, why_not: str, *, denied: str | None = None) -> StillThere:
    """A refusal, with why the detour did not do either."""
    return StillThere(
        f"{refused.detail} ({why_not})",
        denied=denied,
        status=refused.status,
        request_id=refused.request_id,
    )


def _still_held(error: Refused, place: str) -> Conflict:
    return Conflict(
        f"the e-mail address is held at {place} by somebody who has left, and could not be "
        f"freed: {error.detail}",
        status=409,
        request_id=error.request_id,
    )


def _email(change: Change) -> str | None:
    return _primary(getattr(change, "attributes", None) or getattr(change, "set", None) or {})


def _primary(attributes: Attributes) -> str | None:
    emails = attributes.get("emails") or [{}]
    value: str | None = emails[0].get("value")
    return value
