"""What does Identity Center hold, and what becomes of a change, without its SCIM endpoint?

Everything goes over the Identity Store API, for organisations that allow IAM roles only. It has no
field for UserStatus and none for externalIds (botocore's model ``identitystore``), so nobody is
disabled or enabled here, and a principal is known by its name alone until it has an id.
"""

from collections.abc import Callable, Iterable
from typing import Unpack, assert_never

from scim_bridge.errors import Conflict, Missing, TargetError, TryLater, Unavailable
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.contract import Applied
from scim_bridge.identity_center.identity_store import IdentityStore
from scim_bridge.identity_center.json_api import Written
from scim_bridge.identity_center.payloads import ONLY_AT_CREATION
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
from scim_bridge.plan.state import Abilities, Principal

# The API has one call for each membership, and shows no externalId it could set.
ABILITIES = Abilities(disables=False, external_ids=False, members_per_call=1)

# The same for people.
LIMITS = (
    "nobody is disabled: who leaves loses every membership and assignment, and can still sign in "
    "to a portal that shows nothing; who is disabled by other means is not enabled; users are "
    "created once they are active, and get no externalId"
)


class StoreCenter:
    """An Identity Center over the Identity Store API. See `Center` for what is promised."""

    abilities = ABILITIES

    def __init__(self, store: IdentityStore) -> None:
        self._store = store

    @property
    def circuit(self) -> Circuit:
        return self._store.circuit

    def check(self, *, deadline: float | None = None) -> None:
        """See that address, store and credentials are right: read a first page of groups."""
        next(iter(self._store.list_groups(deadline=deadline)), None)

    def apply(self, change: Change, *, deadline: float | None = None) -> Applied:
        haste: Haste = {"urgent": isinstance(change, REVOCATIONS), "deadline": deadline}
        match change:
            case CreateUser():
                return self._create_user(change, haste)
            case CreateGroup():
                return self._create_group(change, haste)
            case UpdateUser():
                return self._update_user(change, haste)
            case UpdateGroup():
                written = self._store.update_group(
                    change.principal, change.set, change.remove, **haste
                )
                return Applied(request_id=written.request_id)
            case AddMembers():
                return self._join(change.principal, _the_one(change.members), haste)
            case RemoveMembers():
                return self._leave(change.principal, _the_one(change.members), haste)
            case DeleteGroup():
                return _done(lambda: self._store.delete_group(change.principal, **haste))
            case DisableUser() | EnableUser():
                raise ValueError(f"{type(change).__name__}: the Identity Store API cannot do that")
            case _:
                assert_never(change)

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Applied:
        return _done(lambda: self._store.delete_user(user_id, **haste))

    def user(self, user_id: str, **haste: Unpack[Haste]) -> Principal | None:
        return self._store.describe_user(user_id, **haste)

    def group(self, group_id: str, **haste: Unpack[Haste]) -> Principal | None:
        return self._store.describe_group(group_id, **haste)

    def find_user(
        self,
        *,
        external_id: str | None = None,
        user_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The user with this userName. None has an externalId that this door gave."""
        name = _name_of(external_id, user_name)
        found = name and self._store.find_user_id(user_name=name, **haste)
        return self._store.describe_user(found, **haste) if found else None

    def find_group(
        self,
        *,
        external_id: str | None = None,
        display_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The group with this displayName. None has an externalId that this door gave."""
        name = _name_of(external_id, display_name)
        found = name and self._store.find_group_id(name, **haste)
        return self._store.describe_group(found, **haste) if found else None

    def members(
        self,
        group_id: str,
        *,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> frozenset[str]:
        listed = self._store.list_memberships(group_id, turn_page=turn_page, **haste)
        return frozenset(membership.user for membership in listed)

    def groups_of(self, user_id: str, **haste: Unpack[Haste]) -> frozenset[str]:
        try:
            listed = self._store.list_memberships_of(user_id, **haste)
            return frozenset(membership.group for membership in listed)
        except Missing:
            return frozenset()

    def is_member(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> bool:
        return group_id in self._store.is_member_in_groups(user_id, [group_id], **haste)

    # -- Changes --------------------------------------------------------

    def _create_user(self, change: CreateUser, haste: Haste) -> Applied:
        if not change.active:
            raise ValueError("the Identity Store API cannot create anybody disabled")
        written = self._store.create_user(change.attributes, **haste)
        return _made(written, change, lambda id_: self._store.describe_user(id_, **haste))

    def _create_group(self, change: CreateGroup, haste: Haste) -> Applied:
        written = self._store.create_group(change.attributes, **haste)
        return _made(written, change, lambda id_: self._store.describe_group(id_, **haste))

    def _update_user(self, change: UpdateUser, haste: Haste) -> Applied:
        set_ = {path: change.set[path] for path in _changeable(change.set)}
        remove = _changeable(change.remove)
        request_id = None
        if set_ or remove:
            written = self._store.update_user(change.principal, set_, remove, **haste)
            request_id = written.request_id
        return Applied(
            principal=self._as_shown(change.principal, request_id, haste), request_id=request_id
        )

    def _as_shown(self, user_id: str, request_id: str | None, haste: Haste) -> Principal:
        """The user after a change that was done.

        :raises Unavailable: AWS does not show them, and names the change for the audit trail.
        """
        why = "it shows no user yet"
        try:
            principal = self._store.describe_user(user_id, **haste)
        except TargetError as error:
            principal, why = None, error.detail
        if principal is None:
            raise Unavailable(
                f"Identity Center says that the call was done, but {why}", request_id=request_id
            )
        return principal

    def _join(self, group_id: str, user_id: str, haste: Haste) -> Applied:
        try:
            written = self._store.create_membership(group_id, user_id, **haste)
        except Conflict as error:
            if error.reason == "CONCURRENT_MODIFICATION":
                raise TryLater(
                    error.detail, status=error.status, request_id=error.request_id
                ) from error
            # They are in it: by an earlier call whose answer was lost, or by hand.
            return Applied(request_id=error.request_id)
        return Applied(request_id=written.request_id)

    def _leave(self, group_id: str, user_id: str, haste: Haste) -> Applied:
        membership = self._store.find_membership_id(group_id, user_id, **haste)
        if membership is None:
            return Applied()
        return _done(lambda: self._store.delete_membership(membership, **haste))


def _done(delete: Callable[[], Written]) -> Applied:
    """A removal, which is done also when there is nothing left to remove."""
    try:
        return Applied(request_id=delete().request_id)
    except Missing as missing:
        return Applied(request_id=missing.request_id)


def _made(
    written: Written,
    change: CreateUser | CreateGroup,
    describe: Callable[[str], Principal | None],
) -> Applied:
    """What a creation made. Its id is known, so it must not be lost when it cannot be read yet."""
    made_id = str(written.id)
    as_sent = Principal(id=made_id, external_id=None, attributes=change.attributes)
    try:
        principal = describe(made_id) or as_sent
    except TargetError:
        principal = as_sent
    return Applied(principal=principal, request_id=written.request_id)


def _the_one(members: tuple[str, ...]) -> str:
    if len(members) != ABILITIES.members_per_call:
        raise ValueError(f"{len(members)} membership changes in one call: 1 is allowed")
    return members[0]


def _changeable(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if path not in ONLY_AT_CREATION]


def _name_of(external_id: str | None, name: str | None) -> str | None:
    if (external_id is None) == (name is None):
        raise ValueError("give either the externalId or the name")
    return name
