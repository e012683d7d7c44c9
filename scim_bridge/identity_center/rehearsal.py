"""Which calls would be made? An Identity Center that is asked, and never changed.

Reads go to the real one; changes are only noted, and reads after them show what they would have
come to. So the very code that delivers can be run to see what it would call.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Unpack, assert_never

from scim_bridge.errors import Conflict, Missing
from scim_bridge.identity_center.api_payloads import (
    AccountAssignment,
    ApplicationAssignment,
    AssignmentStatus,
)
from scim_bridge.identity_center.center import Applied, Center
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.instance import Site
from scim_bridge.identity_center.json_api import JsonApi, TurnPage, Written
from scim_bridge.identity_center.payloads import NEVER_SHOWN, ONLY_AT_CREATION
from scim_bridge.identity_center.sso_admin import SsoAdmin
from scim_bridge.identity_center.transport import Haste
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
)
from scim_bridge.plan.grants import (
    AccessChange,
    AccountGrant,
    ApplicationGrant,
    CreateApplicationAssignment,
    CreateAssignment,
    DeleteApplicationAssignment,
    DeleteAssignment,
    Grant,
    is_revocation,
)
from scim_bridge.plan.state import Abilities, Attributes, Kind, Principal


@dataclass(kw_only=True)
class _Shadow:
    """What the noted changes would have made of Identity Center."""

    users: dict[str, Principal] = field(default_factory=dict)
    groups: dict[str, Principal] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    # By group and member: True, who joined; False, who left.
    moves: dict[tuple[str, str], bool] = field(default_factory=dict)


class RehearsedCenter:
    """Stands where a `Center` stands, and keeps to what that promises."""

    def __init__(self, center: Center, calls: list[Change | AccessChange]) -> None:
        self._center = center
        self._shadow = _Shadow()
        self._numbers = itertools.count(1)
        # The changes that would have been made, in their order; each is one call.
        self._calls = calls

    @property
    def abilities(self) -> Abilities:
        return self._center.abilities

    @property
    def circuit(self) -> Circuit:
        return self._center.circuit

    def check(self, *, deadline: float | None = None) -> None:
        self._center.check(deadline=deadline)

    # -- Changes --------------------------------------------------------

    def apply(self, change: Change, *, deadline: float | None = None) -> Applied:
        """Note a change, and show what it would have come to.

        :raises Conflict: a name or externalId that is there already.
        """
        haste: Haste = {"deadline": deadline}
        applied = self._imagined(change, haste)
        if _is_a_call(change):
            self._calls.append(change)
        return applied

    def _imagined(self, change: Change, haste: Haste) -> Applied:
        match change:
            case CreateUser():
                self._refuse_present(
                    self.find_user(external_id=change.external_id, **haste)
                    or self.find_user(user_name=str(change.attributes["userName"]), **haste)
                )
                return self._created(self._shadow.users, change, active=change.active)
            case CreateGroup():
                self._refuse_present(
                    self.find_group(external_id=change.external_id, **haste)
                    or self.find_group(display_name=str(change.attributes["displayName"]), **haste)
                )
                return self._created(self._shadow.groups, change, active=True)
            case DisableUser():
                return self._edited(change.principal, haste, active=False)
            case EnableUser():
                return self._edited(
                    change.principal, haste, active=True, to_set=change.set, remove=change.remove
                )
            case UpdateUser():
                return self._edited(
                    change.principal, haste, to_set=change.set, remove=change.remove
                )
            case UpdateGroup():
                return self._renamed(change, haste)
            case AddMembers() | RemoveMembers():
                joins = isinstance(change, AddMembers)
                moved = {(change.principal, member): joins for member in change.members}
                self._shadow.moves.update(moved)
                return Applied()
            case DeleteGroup():
                self._shadow.gone.add(change.principal)
                return Applied()
            case _:
                assert_never(change)

    def _created(
        self, kept: dict[str, Principal], change: CreateUser | CreateGroup, *, active: bool
    ) -> Applied:
        principal = Principal(
            id=f"new-{next(self._numbers)}",
            external_id=change.external_id,
            attributes=_shown(change.attributes),
            active=active,
        )
        kept[principal.id] = principal
        return Applied(principal=principal)

    def _edited(
        self,
        user_id: str,
        haste: Haste,
        *,
        active: bool | None = None,
        to_set: Attributes | None = None,
        remove: tuple[str, ...] = (),
    ) -> Applied:
        user = self.user(user_id, **haste)
        if user is None:
            raise Missing(f"there is no user {user_id}")
        kept = {key: value for key, value in user.attributes.items() if key not in remove}
        edited = replace(
            user,
            attributes={**kept, **_editable(_shown(to_set or {}))},
            active=user.active if active is None else active,
        )
        self._shadow.users[user_id] = edited
        return Applied(principal=edited)

    def _renamed(self, change: UpdateGroup, haste: Haste) -> Applied:
        group = self.group(change.principal, **haste)
        if group is None:
            raise Missing(f"there is no group {change.principal}")
        kept = {key: value for key, value in group.attributes.items() if key not in change.remove}
        self._shadow.groups[group.id] = replace(group, attributes={**kept, **change.set})
        return Applied()

    def _refuse_present(self, principal: Principal | None) -> None:
        if principal is not None:
            raise Conflict("it is there already", status=409)

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Applied:
        raise NotImplementedError("nobody is purged in a rehearsal")

    # -- Reads ----------------------------------------------------------

    def user(self, user_id: str, **haste: Unpack[Haste]) -> Principal | None:
        shadow = self._shadow.users.get(user_id)
        return shadow or (None if _is_new(user_id) else self._center.user(user_id, **haste))

    def group(self, group_id: str, **haste: Unpack[Haste]) -> Principal | None:
        if group_id in self._shadow.gone:
            return None
        shadow = self._shadow.groups.get(group_id)
        return shadow or (None if _is_new(group_id) else self._center.group(group_id, **haste))

    def find_user(
        self,
        *,
        external_id: str | None = None,
        user_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        found = _sought(self._shadow.users, "userName", external_id, user_name)
        if found is not None:
            return found
        real = self._center.find_user(external_id=external_id, user_name=user_name, **haste)
        return None if real is None or real.id in self._shadow.users else real

    def find_group(
        self,
        *,
        external_id: str | None = None,
        display_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        found = _sought(self._shadow.groups, "displayName", external_id, display_name)
        if found is not None:
            return None if found.id in self._shadow.gone else found
        real = self._center.find_group(external_id=external_id, display_name=display_name, **haste)
        known = real is None or real.id in self._shadow.groups or real.id in self._shadow.gone
        return None if known else real

    def members(
        self,
        group_id: str,
        *,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> frozenset[str]:
        real = frozenset[str]()
        if not _is_new(group_id):
            real = self._center.members(group_id, turn_page=turn_page, **haste)
        moved = {member: joins for (group, member), joins in self._moves(group=group_id)}
        return frozenset({*real, *(one for one in moved if moved[one])}) - {
            one for one in moved if not moved[one]
        }

    def groups_of(self, user_id: str, **haste: Unpack[Haste]) -> frozenset[str]:
        real = frozenset[str]()
        if not _is_new(user_id):
            real = self._center.groups_of(user_id, **haste)
        moved = {group: joins for (group, member), joins in self._moves(member=user_id)}
        left = {one for one in moved if not moved[one]} | self._shadow.gone
        return frozenset({*real, *(one for one in moved if moved[one])}) - left

    def is_member(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> bool:
        moved = self._shadow.moves.get((group_id, user_id))
        if moved is not None or _is_new(group_id) or _is_new(user_id):
            return bool(moved)
        return self._center.is_member(group_id, user_id, **haste)

    def _moves(
        self, *, group: str | None = None, member: str | None = None
    ) -> list[tuple[tuple[str, str], bool]]:
        return [
            move
            for move in self._shadow.moves.items()
            if group in (None, move[0][0]) and member in (None, move[0][1])
        ]


class RehearsedSsoAdmin(SsoAdmin):
    """The SSO Admin API, whose assignments are only noted: each is done at once."""

    def __init__(self, api: JsonApi, site: Site, calls: list[Change | AccessChange]) -> None:
        super().__init__(api, site)
        self._calls = calls
        # By principal: True, what it was given; False, what was taken.
        self._moves: dict[tuple[Kind, str], dict[Grant, bool]] = {}

    def create_account_assignment(
        self, kind: Kind, principal: str, grant: AccountGrant, **haste: Unpack[Haste]
    ) -> AssignmentStatus:
        self._note(CreateAssignment(kind=kind, subject="", principal=principal, grant=grant))
        return _DONE

    def delete_account_assignment(
        self, kind: Kind, principal: str, grant: AccountGrant, **haste: Unpack[Haste]
    ) -> AssignmentStatus:
        self._note(DeleteAssignment(kind=kind, subject="", principal=principal, grant=grant))
        return _DONE

    def create_application_assignment(
        self, kind: Kind, principal: str, grant: ApplicationGrant, **haste: Unpack[Haste]
    ) -> Written:
        change = CreateApplicationAssignment(
            kind=kind, subject="", principal=principal, grant=grant
        )
        self._note(change)
        return Written()

    def delete_application_assignment(
        self, kind: Kind, principal: str, grant: ApplicationGrant, **haste: Unpack[Haste]
    ) -> Written:
        change = DeleteApplicationAssignment(
            kind=kind, subject="", principal=principal, grant=grant
        )
        self._note(change)
        return Written()

    def _note(self, change: AccessChange) -> None:
        self._calls.append(change)
        moves = self._moves.setdefault((change.kind, change.principal), {})
        moves[change.grant] = not is_revocation(change)

    def assignments_of(
        self,
        kind: Kind,
        principal: str,
        *,
        account: str | None = None,
        turn_page: TurnPage | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[AccountAssignment]:
        moves = self._moves.get((kind, principal), {})
        if not _is_new(principal):
            real = super().assignments_of(
                kind, principal, account=account, turn_page=turn_page, **haste
            )
            yield from (one for one in real if one.grant not in moves)
        for grant, given in moves.items():
            fits = isinstance(grant, AccountGrant) and account in (None, grant.account)
            if given and fits and isinstance(grant, AccountGrant):
                yield AccountAssignment(kind=kind, principal=principal, grant=grant)

    def application_assignments_of(
        self,
        kind: Kind,
        principal: str,
        *,
        turn_page: TurnPage | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[ApplicationAssignment]:
        moves = self._moves.get((kind, principal), {})
        if not _is_new(principal):
            real = super().application_assignments_of(kind, principal, turn_page=turn_page, **haste)
            yield from (one for one in real if one.grant not in moves)
        for grant, given in moves.items():
            if given and isinstance(grant, ApplicationGrant):
                yield ApplicationAssignment(kind=kind, principal=principal, grant=grant)


_DONE = AssignmentStatus(request_id="rehearsed", state="SUCCEEDED")


def _is_a_call(change: Change) -> bool:
    """Whether a change takes a call: an update of nothing that can be updated takes none."""
    if isinstance(change, UpdateUser):
        return bool({*change.set, *change.remove} - ONLY_AT_CREATION)
    return True


def _is_new(principal: str) -> bool:
    return principal.startswith("new-")


def _shown(attributes: Attributes) -> dict[str, Any]:
    return {path: value for path, value in attributes.items() if path not in NEVER_SHOWN}


def _editable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {path: value for path, value in attributes.items() if path not in ONLY_AT_CREATION}


def _sought(
    kept: Mapping[str, Principal], attribute: str, external_id: str | None, name: str | None
) -> Principal | None:
    for principal in kept.values():
        held = str(principal.attributes.get(attribute, ""))
        if external_id is not None and principal.external_id == external_id:
            return principal
        if name is not None and held.casefold() == name.casefold():
            return principal
    return None
