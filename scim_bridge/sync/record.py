"""What a call at the target came to, written down: links, applied, observed and the audit trail."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from scim_bridge.directory.audit import Action, record, record_members
from scim_bridge.directory.database import Database
from scim_bridge.errors import Refused
from scim_bridge.identity_center.payloads import NEVER_SHOWN
from scim_bridge.plan.changes import (
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
    subject,
)
from scim_bridge.plan.state import NOTHING, Attributes, Principal
from scim_bridge.sync import at_which
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.neighbours import groups_of, reports_of
from scim_bridge.sync.observed import Applied, Link, Observations
from scim_bridge.sync.succession import take_up


@dataclass(frozen=True, kw_only=True)
class Done:
    """The target did it, and showed this (nothing, for a change of a group)."""

    change: Change
    principal: Principal | None
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was to be created is there already, and is ours: an earlier answer was lost."""

    change: CreateUser | CreateGroup
    principal: Principal


@dataclass(frozen=True, kw_only=True)
class TakenUp:
    """What was to be created is there already, as a deleted record of the same name."""

    change: CreateUser | CreateGroup
    principal: Principal
    earlier: Key


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What was to be created is there already, and nobody's: it is ours from now on."""

    change: CreateUser | CreateGroup
    principal: Principal


@dataclass(frozen=True, kw_only=True)
class Gone:
    """The principal is not there any more; nothing is left to take away from it."""

    change: Change


@dataclass(frozen=True, kw_only=True)
class MembersGone:
    """These people, by ids at the target, are not there any more."""

    change: AddMembers | RemoveMembers
    members: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Declined:
    """The target refuses the change for good."""

    change: Change
    error: Refused


Ending = Done | Found | TakenUp | Adopted | Gone | MembersGone | Declined


class Recorder:
    """Writes down how calls ended. Methods join the transaction they are called in."""

    def __init__(
        self, database: Database, marks: Marks, observations: Observations, held: HeldLosses
    ) -> None:
        self.database = database
        self.marks = marks
        self.observations = observations
        self.held = held
        # A call at one target is no evidence of another.
        self.where = at_which(marks.target)

    def write(self, ending: Ending) -> None:
        """Write down one ending."""
        match ending:
            case Done():
                self._done(ending)
            case Found():
                self.found(_key(ending.change), ending.principal)
            case TakenUp():
                self._taken_up(ending)
            case Adopted():
                self._adopted(_key(ending.change), ending.principal)
            case Gone():
                self._gone(_key(ending.change))
            case MembersGone():
                self._members_gone(ending)
            case Declined():
                self._declined(ending)
            case _:
                assert_never(ending)

    def begin(self, changes: Iterable[Change]) -> None:
        """Count values and members as applied before they are sent.

        If the answer is lost, it must still be known that they are the bridge's to take away. A
        value that did not arrive differs from its echo, and is sent again.
        """
        for change in changes:
            if isinstance(change, CreateUser | CreateGroup):
                self.observations.begin(_key(change), change.attributes)
            elif isinstance(change, UpdateUser | EnableUser | UpdateGroup):
                self._expect(_key(change), change.set)
            elif isinstance(change, AddMembers):
                self.observations.expect_members(change.principal, change.members)

    def _expect(self, key: Key, to_set: Attributes) -> None:
        last = self.observations.applied(key)
        self.observations.write(
            key,
            attributes=self._after(key, to_set, ()),
            echo={**self._echo(key), **to_set},
            active=last.active if last else True,
        )

    # -- The target did it ----------------------------------------------

    def _done(self, ending: Done) -> None:
        self.audit(ending)
        change, principal = ending.change, ending.principal
        match change:
            case CreateUser() | CreateGroup():
                self._created(change, _shown(principal, change))
            case UpdateUser() | EnableUser():
                self._updated(change, _shown(principal, change), active=True)
                self.held.release(change.user)
            case DisableUser():
                self._disabled(change, _shown(principal, change))
            case UpdateGroup():
                self._renamed(change)
            case AddMembers():
                self.observations.joined(change.principal, change.members)
            case RemoveMembers():
                self._removed(change)
            case DeleteGroup():
                self._deleted(change)
            case _:
                assert_never(change)

    def _created(self, change: CreateUser | CreateGroup, principal: Principal) -> None:
        key = _key(change)
        active = change.active if isinstance(change, CreateUser) else True
        self.observations.make_link(key, principal.id, created_here=True)
        self.observations.see(key.kind, principal)
        self.observations.write(
            key, attributes=change.attributes, echo=principal.attributes, active=active
        )
        self._linked(key)

    def _updated(
        self, change: UpdateUser | EnableUser, principal: Principal, *, active: bool
    ) -> None:
        key = _key(change)
        self.see(key, principal)
        # Only what was sent is echoed. What else the target shows may have been changed by hand.
        echo = {path: principal.attributes[path] for path in change.set
                if path in principal.attributes}  # fmt: skip
        self.observations.write(
            key,
            attributes=self._after(key, change.set, change.remove),
            echo=_changed(
                self._echo(key), echo, (*change.remove, *_silent(change, echo, principal))
            ),
            active=active,
        )

    def _disabled(self, change: DisableUser, principal: Principal) -> None:
        key = _key(change)
        self.observations.see("user", principal)
        self.observations.write(
            key,
            attributes=self._after(key, {}, ()),
            echo=self._echo(key),
            active=False,
        )
        self.held.release(change.user)

    def _renamed(self, change: UpdateGroup) -> None:
        key = _key(change)
        seen = self.observations.seen("group", change.principal)
        attributes = _changed(seen.attributes if seen else {}, change.set, change.remove)
        external_id = seen.external_id if seen else None
        self.observations.see(
            "group",
            Principal(id=change.principal, external_id=external_id, attributes=attributes),
        )
        self.observations.write(
            key,
            attributes=self._after(key, change.set, change.remove),
            echo=attributes,
            active=True,
        )

    def _removed(self, change: RemoveMembers) -> None:
        people = self.observations.resources("user", change.members)
        self.observations.left(change.principal, change.members)
        self.held.release_removals(
            {people.get(member, member) for member in change.members}, group=change.group
        )

    def _deleted(self, change: DeleteGroup) -> None:
        link = self.observations.link(_key(change))
        if link is not None:
            self.observations.drop_link(link)
            self.held.forget(link.key)

    def see(self, key: Key, principal: Principal) -> None:
        """Remember what a principal holds. Who is enabled again joins the groups that waited."""
        before = self.observations.seen(key.kind, principal.id)
        self.observations.see(key.kind, principal)
        if key.kind == "user" and principal.active and before is not None and not before.active:
            for group in groups_of(self.database, key.id):
                self.marks.mark(Intent(key=group))

    # -- It ended otherwise ---------------------------------------------

    def found(self, key: Key, principal: Principal) -> None:
        """Link what an earlier call, whose answer was lost, created."""
        self.observations.make_link(key, principal.id, created_here=True)
        self.observations.see(key.kind, principal)
        begun = self.observations.applied(key)
        self.observations.write(
            key,
            attributes={**_not_shown(begun), **principal.attributes},
            echo=principal.attributes,
            active=principal.active,
        )
        record(
            self.database,
            action=Action.LINK,
            kind=key.kind,
            resource_id=key.id,
            facts={
                "targetId": principal.id,
                "why": "created by a call whose answer was lost",
                **self.where,
            },
        )
        self._linked(key)

    def _taken_up(self, ending: TakenUp) -> None:
        """Move the link of a deleted record to the new one that was made beside it."""
        key = _key(ending.change)
        left = take_up(
            ending.earlier, key, marks=self.marks, observations=self.observations, held=self.held
        )
        if left is not None and left.take_away != NOTHING:
            self.marks.mark(
                Intent(
                    key=key,
                    urgent=True,
                    take_away=left.take_away,
                    reread=left.reread,
                    requests=left.requests,
                )
            )
        self.see(key, ending.principal)
        record(
            self.database,
            action=Action.REHIRE,
            kind=key.kind,
            resource_id=key.id,
            related_id=ending.earlier.id,
            facts={"targetId": ending.principal.id, **self.where},
        )
        self._linked(key)

    def _adopted(self, key: Key, principal: Principal) -> None:
        """Link what was there before. What it holds counts as applied; its externalId stays."""
        self.observations.make_link(key, principal.id, created_here=False)
        self.see(key, principal)
        self.observations.write(
            key,
            attributes=principal.attributes,
            echo=principal.attributes,
            active=principal.active,
        )
        record(
            self.database,
            action=Action.ADOPTED,
            kind=key.kind,
            resource_id=key.id,
            facts={"targetId": principal.id, "by": ["inline"], **self.where},
        )
        self._linked(key)

    def _gone(self, key: Key) -> None:
        link = self.observations.link(key)
        if link is not None:
            self.drop_link(link)

    def drop_link(self, link: Link) -> None:
        """Forget a principal that somebody deleted at the target."""
        self.observations.drop_link(link)
        self.held.forget(link.key)
        record(
            self.database,
            action=Action.LINK_DROPPED,
            kind=link.key.kind,
            resource_id=link.key.id,
            outcome="gone",
            facts={"targetId": link.target_id, **self.where},
        )

    def _members_gone(self, ending: MembersGone) -> None:
        self.observations.left(ending.change.principal, ending.members)
        for member in sorted(ending.members):
            key = self.observations.linked_to("user", member)
            if key is None:
                continue
            self._gone(key)
            self.marks.mark(Intent(key=key))

    def _declined(self, ending: Declined) -> None:
        key = _key(ending.change)
        record(
            self.database,
            action=Action.REFUSED,
            kind=key.kind,
            resource_id=key.id,
            outcome="refused",
            facts={
                "change": type(ending.change).__name__,
                "status": ending.error.status,
                **self.where,
            },
            personal={"detail": ending.error.detail},
            target_request_id=ending.error.request_id,
        )

    # -- What follows from a link ---------------------------------------

    def _linked(self, key: Key) -> None:
        """Mark those who waited for this principal: its groups, and whose manager it is."""
        if key.kind != "user":
            return
        for neighbour in (*groups_of(self.database, key.id), *reports_of(self.database, key.id)):
            self.marks.mark(Intent(key=neighbour))

    # -- The audit trail ------------------------------------------------

    def audit(self, ending: Done) -> None:
        """Name a call in the audit trail, also one whose outcome nobody may record any more."""
        change = ending.change
        if isinstance(change, AddMembers | RemoveMembers):
            people = self.observations.resources("user", change.members)
            record_members(
                self.database,
                action=Action.CALL,
                group_id=change.group,
                members=[people.get(member, member) for member in change.members],
                facts={"change": type(change).__name__, **self.where},
                target_request_id=ending.request_id,
            )
            return
        self._audit_call(change, request_id=ending.request_id)

    def audit_unanswered(self, change: Change, *, request_id: str | None) -> None:
        """Name a call that may have been done, though nobody can tell. Of members, only the group:
        such a call is made again and again.
        """
        self._audit_call(change, request_id=request_id, action=Action.UNANSWERED)

    def _audit_call(
        self, change: Change, *, request_id: str | None, action: Action = Action.CALL
    ) -> None:
        key = _key(change)
        record(
            self.database,
            action=action,
            kind=key.kind,
            resource_id=key.id,
            outcome="ok" if action is Action.CALL else "not known",
            facts={
                "change": type(change).__name__,
                "attributes": _attribute_names(change),
                **self.where,
            },
            target_request_id=request_id,
        )

    def _after(self, key: Key, to_set: Attributes, remove: tuple[str, ...]) -> dict[str, Any]:
        last = self.observations.applied(key)
        return _changed(last.attributes if last else {}, to_set, remove)

    def _echo(self, key: Key) -> Attributes:
        last = self.observations.applied(key)
        return last.echo if last else {}


def _silent(
    change: UpdateUser | EnableUser, echo: Attributes, principal: Principal
) -> frozenset[str]:
    """What has no echo: what was sent and is not shown, and what is never shown.

    The latter was expected when a call began whose answer was lost; no answer would tell.
    """
    return frozenset(change.set.keys() - echo | NEVER_SHOWN - principal.attributes.keys())


def _not_shown(begun: Applied | None) -> Attributes:
    """What a creation sent and a read does not show: it has arrived with the rest."""
    sent = begun.attributes if begun else {}
    return {path: sent[path] for path in NEVER_SHOWN if path in sent}


def _key(change: Change) -> Key:
    user = isinstance(change, CreateUser | UpdateUser | EnableUser | DisableUser)
    return Key(kind="user" if user else "group", id=subject(change))


def _shown(principal: Principal | None, change: Change) -> Principal:
    if principal is None:
        raise TypeError(f"a {type(change).__name__} is always answered with the principal")
    return principal


def _changed(attributes: Attributes, to_set: Attributes, remove: tuple[str, ...]) -> dict[str, Any]:
    return {path: value for path, value in {**attributes, **to_set}.items() if path not in remove}


def _attribute_names(change: Change) -> list[str]:
    match change:
        case CreateUser() | CreateGroup():
            return sorted(change.attributes)
        case UpdateUser() | UpdateGroup() | EnableUser():
            return sorted([*change.set, *change.remove])
        case DisableUser() | DeleteGroup() | AddMembers() | RemoveMembers():
            return []
        case _:
            assert_never(change)
