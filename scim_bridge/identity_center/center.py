"""What does Identity Center hold, and what becomes of a change to it?"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack, assert_never

from scim_bridge.errors import Missing, Unavailable
from scim_bridge.identity_center.apis import connect_apis
from scim_bridge.identity_center.circuit import Circuit, Standing
from scim_bridge.identity_center.contract import Applied, Center
from scim_bridge.identity_center.credentials import Keys
from scim_bridge.identity_center.doors import DoorName, ScimDoor
from scim_bridge.identity_center.exchange import Answer
from scim_bridge.identity_center.pace import PaceKeeper
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.payloads import (
    ONLY_AT_CREATION,
    group_body,
    member_operation,
    patch_body,
    patch_operations,
    read_group,
    read_user,
    user_body,
)
from scim_bridge.identity_center.scim_endpoint import ScimEndpoint, both, equals
from scim_bridge.identity_center.store_center import StoreCenter
from scim_bridge.identity_center.transport import Haste, Transport
from scim_bridge.plan.changes import (
    MEMBERS_PER_CALL,
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
from scim_bridge.plan.state import EVERYTHING, Attributes, Principal
from scim_bridge.settings import IdentityCenter

__all__ = ["Applied", "Center", "ScimCenter", "connect"]


class ScimCenter:
    """An Identity Center over its SCIM endpoint. See `Center` for what is promised."""

    abilities = EVERYTHING

    def __init__(self, endpoint: ScimEndpoint) -> None:
        self._endpoint = endpoint

    @property
    def circuit(self) -> Circuit:
        """Whether the door is open, for status and alarms."""
        return self._endpoint.transport.circuit

    def check(self, *, deadline: float | None = None) -> None:
        """Make a harmless call, to see that address and credentials are right."""
        self._endpoint.service_provider_config(deadline=deadline)

    def apply(self, change: Change, *, deadline: float | None = None) -> Applied:
        """Make the one call that a change stands for.

        Deleting a group that is gone is done. `ONLY_AT_CREATION` attributes of an existing user are
        left out, since Identity Center would refuse the whole call for them.

        :raises ValueError: more members than one call takes, or none: a defect of the caller.
        :raises Unavailable: also when the answer was lost: the change may have been made.
        """
        haste: Haste = {"urgent": isinstance(change, REVOCATIONS), "deadline": deadline}
        match change:
            case CreateUser():
                return self._create_user(change, haste)
            case CreateGroup():
                return self._create_group(change, haste)
            case DisableUser():
                return self._patch_user(change.principal, _active(value=False), haste)
            case EnableUser():
                operations = [*_active(value=True), *_user_edits(change.set, change.remove)]
                return self._patch_user(change.principal, operations, haste)
            case UpdateUser():
                operations = _user_edits(change.set, change.remove)
                return self._patch_user(change.principal, operations, haste)
            case UpdateGroup():
                operations = patch_operations(change.set, change.remove)
                return self._patch_group(change.principal, operations, haste)
            case AddMembers():
                operations = [member_operation("add", _at_most(change.members))]
                return self._patch_group(change.principal, operations, haste)
            case RemoveMembers():
                operations = [member_operation("remove", _at_most(change.members))]
                return self._patch_group(change.principal, operations, haste)
            case DeleteGroup():
                return self._delete_group(change.principal, haste)
            case _:
                assert_never(change)

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Applied:
        """Delete a user for good: only for an erasure on request. Done when they are gone already.

        AWS does not undo it, and assignments of the user stay behind (AWS SCIM developer guide,
        DeleteUser), so they are taken away before.
        """
        try:
            return Applied(request_id=self._endpoint.delete_user(user_id, **haste).request_id)
        except Missing as missing:
            if self.user(user_id, **haste) is not None:
                raise
            return Applied(request_id=missing.request_id)

    def user(self, user_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The user with this id. None: it is gone, which a list has confirmed."""
        try:
            return read_user(_body(self._endpoint.get_user(user_id, **haste)))
        except Missing:
            # A wrong address answers 404 as well; a list tells the two apart.
            listed = self._endpoint.list_users(equals("id", user_id), **haste)
            return next(map(read_user, listed), None)

    def group(self, group_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The group with this id. None: it is gone, which a list has confirmed."""
        try:
            return read_group(_body(self._endpoint.get_group(group_id, **haste)))
        except Missing:
            listed = self._endpoint.list_groups(equals("id", group_id), **haste)
            return next(map(read_group, listed), None)

    def find_user(
        self,
        *,
        external_id: str | None = None,
        user_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The user with this externalId, or with this userName in any case. Give one of the two."""
        asked, matches = _sought("userName", external_id=external_id, name=user_name)
        listed = self._endpoint.list_users(asked, **haste)
        return next(filter(matches, map(read_user, listed)), None)

    def find_group(
        self,
        *,
        external_id: str | None = None,
        display_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The group with this externalId, or with this displayName in any case. Give one."""
        asked, matches = _sought("displayName", external_id=external_id, name=display_name)
        listed = self._endpoint.list_groups(asked, **haste)
        return next(filter(matches, map(read_group, listed)), None)

    def members(
        self,
        group_id: str,
        *,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> frozenset[str]:
        """The ids of all users in a group. A group's own body never names them.

        ``turn_page`` is called before each page but the first, and gives that page its deadline.

        :raises Missing: the group is gone, and Identity Center says so; it may also show no one.
        """
        asked = equals("groups.value", group_id)
        listed = self._endpoint.list_users(
            asked, names_principal=True, turn_page=turn_page, **haste
        )
        return frozenset(read_user(user).id for user in listed)

    def groups_of(self, user_id: str, **haste: Unpack[Haste]) -> frozenset[str]:
        """The ids of all groups a user is in; none if the user is gone."""
        asked = equals("members.value", user_id)
        try:
            listed = self._endpoint.list_groups(asked, names_principal=True, **haste)
            return frozenset(read_group(group).id for group in listed)
        except Missing:
            if self.user(user_id, **haste) is not None:
                raise
            return frozenset()

    def is_member(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> bool:
        """Whether a user is in a group.

        :raises Missing: the user is gone.
        """
        asked = both(equals("id", group_id), equals("members", user_id))
        listed = self._endpoint.list_groups(asked, names_principal=True, **haste)
        return any(read_group(group).id == group_id for group in listed)

    def _create_user(self, change: CreateUser, haste: Haste) -> Applied:
        body = user_body(change.attributes, active=change.active, external_id=change.external_id)
        answer = self._endpoint.create_user(body, **haste)
        principal = _shown(answer, read_user) or self.find_user(
            external_id=change.external_id, **haste
        )
        return _applied(answer, principal)

    def _create_group(self, change: CreateGroup, haste: Haste) -> Applied:
        body = group_body(change.attributes, external_id=change.external_id)
        answer = self._endpoint.create_group(body, **haste)
        principal = _shown(answer, read_group) or self.find_group(
            external_id=change.external_id, **haste
        )
        return _applied(answer, principal)

    def _patch_user(
        self, user_id: str, operations: Iterable[Mapping[str, Any]], haste: Haste
    ) -> Applied:
        body = patch_body(operations)
        if not body["Operations"]:
            return Applied(principal=self.user(user_id, **haste))
        answer = self._endpoint.patch_user(user_id, body, **haste)
        return _applied(answer, _shown(answer, read_user) or self.user(user_id, **haste))

    def _patch_group(
        self, group_id: str, operations: Iterable[Mapping[str, Any]], haste: Haste
    ) -> Applied:
        answer = self._endpoint.patch_group(group_id, patch_body(operations), **haste)
        return Applied(request_id=answer.request_id)

    def _delete_group(self, group_id: str, haste: Haste) -> Applied:
        try:
            return Applied(request_id=self._endpoint.delete_group(group_id, **haste).request_id)
        except Missing as missing:
            if self.group(group_id, **haste) is not None:
                raise
            return Applied(request_id=missing.request_id)


def connect(
    settings: IdentityCenter,
    *,
    on_change: Callable[[Standing], None] | None = None,
    works_elsewhere: Callable[[float], bool] = lambda _: False,
    keys: Keys | None = None,
    keeper: Callable[[str], PaceKeeper | None] = lambda _: None,
) -> Center:
    """An Identity Center as the settings name it. One object serves all threads of a process.

    ``on_change`` and ``works_elsewhere`` are the circuit's (see `Circuit`), ``keys`` are
    credentials to share with other doors. ``keeper`` keeps the pace of a door, by its name; without
    one each process has its own. Nothing is called yet.

    :raises SettingsError: the settings do not say where it is.
    """
    if settings.write_via == "identity-store":
        return _over_identity_store(settings, on_change, works_elsewhere, keys, keeper)
    door = ScimDoor(settings, keys)
    transport = Transport(
        settings,
        door=door,
        pacer=Pacer(settings.calls_per_second, keeper=keeper(door.name)),
        circuit=Circuit(on_change=on_change, works_elsewhere=works_elsewhere),
    )
    return ScimCenter(ScimEndpoint(transport))


def _over_identity_store(
    settings: IdentityCenter,
    on_change: Callable[[Standing], None] | None,
    works_elsewhere: Callable[[float], bool],
    keys: Keys | None,
    keeper: Callable[[str], PaceKeeper | None],
) -> StoreCenter:
    def told(door: DoorName, standing: Standing) -> None:
        if on_change is not None and door == "identity-store":
            on_change(standing)

    def heard(door: DoorName, seconds: float) -> bool:
        return door == "identity-store" and works_elsewhere(seconds)

    apis = connect_apis(settings, on_change=told, works_elsewhere=heard, keys=keys, keeper=keeper)
    return StoreCenter(apis.identity_store)


def _active(*, value: bool) -> list[dict[str, Any]]:
    return patch_operations({"active": value})


def _user_edits(set_: Attributes, remove: Iterable[str]) -> list[dict[str, Any]]:
    kept = {path: value for path, value in set_.items() if path not in ONLY_AT_CREATION}
    return patch_operations(kept, [path for path in remove if path not in ONLY_AT_CREATION])


def _at_most(members: tuple[str, ...]) -> tuple[str, ...]:
    """The members of one call. None at all would mean everybody to some servers."""
    if not 1 <= len(members) <= MEMBERS_PER_CALL:
        raise ValueError(
            f"{len(members)} membership changes in one call: 1 to {MEMBERS_PER_CALL} are allowed"
        )
    return members


def _shown(answer: Answer, read: Callable[[Mapping[str, Any]], Principal]) -> Principal | None:
    """The principal an answer shows, if it does: a 2xx without an id has been seen."""
    return read(answer.body) if answer.body and answer.body.get("id") else None


def _applied(answer: Answer, principal: Principal | None) -> Applied:
    if principal is None:
        raise Unavailable(
            "Identity Center says that the call was done, but shows no principal yet",
            status=answer.status,
            request_id=answer.request_id,
        )
    return Applied(principal=principal, request_id=answer.request_id)


def _body(answer: Answer) -> Mapping[str, Any]:
    if answer.body is None:
        raise Unavailable(
            f"the answer cannot be read ({answer.content_type})",
            status=answer.status,
            request_id=answer.request_id,
        )
    return answer.body


def _sought(
    name_attribute: str, *, external_id: str | None, name: str | None
) -> tuple[str, Callable[[Principal], bool]]:
    """The filter that finds one principal, and the test of what it finds.

    Whether AWS compares names with their case is not documented, so the answer is compared again.
    """
    if external_id is not None and name is None:
        return equals("externalId", external_id), lambda found: found.external_id == external_id
    if name is not None and external_id is None:
        return equals(name_attribute, name), lambda found: _same(found, name_attribute, name)
    raise ValueError("give either the externalId or the name")


def _same(found: Principal, attribute: str, name: str) -> bool:
    held = found.attributes.get(attribute)
    return isinstance(held, str) and held.casefold() == name.casefold()
