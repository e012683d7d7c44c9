"""What does the Identity Store API answer? (`AWSIdentityStore`; reference 3)

It is another door to the same users, groups and memberships that the SCIM endpoint has. Names
differ in their first letter (`userName`, `UserName`), and some attributes are behind one door only:
UserStatus and ExternalIds are set by SCIM, Photos, Website, Birthdate and Description here.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any, TypeVar

from scim_bridge.sandbox import models
from scim_bridge.sandbox.api_refusals import (
    CONCURRENT,
    UNIQUENESS,
    ApiRefused,
    conflict,
    invalid,
    not_found,
)
from scim_bridge.sandbox.behaviour import IDENTITY_STORE_ID, SCIM_ISSUER, Behaviour
from scim_bridge.sandbox.pages import paged
from scim_bridge.sandbox.refusals import Duplicate, NotFound, OverQuota
from scim_bridge.sandbox.rules import RESERVED_NAMES
from scim_bridge.sandbox.state import (
    Group,
    IdentityStore,
    Kept,
    Membership,
    Principal,
    User,
)
from scim_bridge.sandbox.users import ENTERPRISE

Asked = Mapping[str, Any]
Given = dict[str, Any]
Item = TypeVar("Item")

EXTENSION = "aws:identitystore:enterprise"

_API = "identitystore"
_MOST = 100
_EXTENSION_KEYS = (
    "employeeNumber",
    "costCenter",
    "organization",
    "division",
    "department",
    "manager",
)
# The Identity Store names are optional in the model, but required for IAM Identity Center.
_REQUIRED = ("userName", "name", "displayName")


class IdentityStoreApi:
    """The operations, by the name that AWS gives them."""

    def __init__(self, store: IdentityStore, behaviour: Behaviour) -> None:
        self._store, self._behaviour = store, behaviour

    def perform(self, operation: str, asked: Asked) -> Given:
        """Do one of OPERATIONS with valid input; raises ApiRefused, and has changed nothing."""
        self._check_store(asked)
        try:
            return _OPERATIONS[operation](self, asked)
        except Duplicate as error:
            raise conflict("Duplicate value for a unique attribute.", Reason=UNIQUENESS) from error
        except OverQuota as error:
            raise ApiRefused("ServiceQuotaExceededException", error.reason) from error

    # Users

    def _create_user(self, asked: Asked) -> Given:
        attributes = _attributes(asked)
        _check_user(attributes)
        user = self._store.add_user(*_parted(attributes))
        return self._user_ids(user)

    def _update_user(self, asked: Asked) -> Given:
        user = self._user(asked["UserId"])
        _check_revision(user, asked)
        attributes = deepcopy({**user.attributes, **user.extra})
        for operation in asked["Operations"]:
            self._apply(operation, attributes)
        _check_user(attributes)
        user = self._store.change_user(user, *_parted(attributes))
        return self._user_ids(user)

    def _apply(self, operation: Asked, attributes: Given) -> None:
        path, value = operation["AttributePath"], operation.get("AttributeValue")
        if value is None and not self._behaviour.update_user_null_removes:
            raise invalid(f"AttributeValue of {path} must not be null")
        first, *rest = path.removeprefix(EXTENSION).strip(".").split(".")
        if path.startswith(EXTENSION):
            steps = [ENTERPRISE, *([first] if first else []), *rest]
        else:
            steps = [first, *rest]
            if (
                _upper(first) not in _user_members()
                or first != _lower(first)
                or first == "extensions"
            ):
                raise invalid(f"AttributePath {path} is not supported")
        _put(attributes, steps, _lowered(value))

    def _delete_user(self, asked: Asked) -> Given:
        user = self._user(asked["UserId"])
        _check_revision(user, asked)
        self._store.delete_user(user.id)
        return {}

    def _describe_user(self, asked: Asked) -> Given:
        return self._shown_user(self._user(asked["UserId"]), asked)

    def _list_users(self, asked: Asked) -> Given:
        found = _filtered(self._store.users(), asked, "UserName", self._fold)
        shown, token = self._page(found, asked)
        return {"Users": [self._shown_user(user, asked) for user in shown], **token}

    def _get_user_id(self, asked: Asked) -> Given:
        paths = {"userName": "userName", "emails.value": "emails"}
        found = self._store.user_with(*_lookup(asked, paths))
        if found is None:
            raise not_found("USER not found.", ResourceType="USER")
        return self._user_ids(found)

    def _shown_user(self, user: User, asked: Asked) -> Given:
        own = {**user.attributes, **user.extra}
        enterprise, external_id, active = (
            own.pop(name, None) for name in (ENTERPRISE, "externalId", "active")
        )
        shown = {
            **self._user_ids(user),
            **_uppered(own),
            **_stamps(user),
            "UserStatus": "ENABLED" if active else "DISABLED",
            **_external_ids(external_id),
        }
        if enterprise and EXTENSION in asked.get("Extensions", []):
            shown["Extensions"] = {EXTENSION: self._extension(enterprise)}
        return shown

    def _extension(self, enterprise: Given) -> Given:
        given: Given = (
            enterprise if self._behaviour.extension_key_case == "camel" else _uppered(enterprise)
        )
        return given

    # Groups

    def _create_group(self, asked: Asked) -> Given:
        attributes = _attributes(asked)
        _check_group(attributes)
        return self._group_ids(self._store.add_group(*_parted(attributes)))

    def _update_group(self, asked: Asked) -> Given:
        group = self._group(asked["GroupId"])
        _check_revision(group, asked)
        attributes = {**group.attributes, **group.extra}
        for operation in asked["Operations"]:
            if operation["AttributePath"] not in ("displayName", "description"):
                raise invalid(f"AttributePath {operation['AttributePath']} is not supported")
            _put(attributes, [operation["AttributePath"]], operation.get("AttributeValue"))
        _check_group(attributes)
        return self._group_ids(self._store.change_group(group, *_parted(attributes)))

    def _delete_group(self, asked: Asked) -> Given:
        group = self._group(asked["GroupId"])
        _check_revision(group, asked)
        self._store.delete_group(group.id)
        return {}

    def _describe_group(self, asked: Asked) -> Given:
        return self._shown_group(self._group(asked["GroupId"]))

    def _list_groups(self, asked: Asked) -> Given:
        found = _filtered(self._store.groups(), asked, "DisplayName", self._fold)
        shown, token = self._page(found, asked)
        return {"Groups": [self._shown_group(group) for group in shown], **token}

    def _get_group_id(self, asked: Asked) -> Given:
        found = self._store.group_with(*_lookup(asked, {"displayName": "displayName"}))
        if found is None:
            raise not_found("GROUP not found.", ResourceType="GROUP")
        return self._group_ids(found)

    def _shown_group(self, group: Group) -> Given:
        own = {**group.attributes, **group.extra}
        external_id = own.pop("externalId", None)
        return {
            **self._group_ids(group),
            **_uppered(own),
            **_stamps(group),
            **_external_ids(external_id),
        }

    # Memberships

    def _create_membership(self, asked: Asked) -> Given:
        group, user = self._group(asked["GroupId"]), self._user(asked["MemberId"]["UserId"])
        if self._store.membership_of(group.id, user.id) is not None:
            raise conflict("Member and Group relationship already exists.", Reason=UNIQUENESS)
        made = self._store.join(group.id, user.id)
        return _membership_ids(made)

    def _delete_membership(self, asked: Asked) -> Given:
        held = self._membership(asked["MembershipId"])
        self._store.leave(held.group_id, held.user_id)
        return {}

    def _describe_membership(self, asked: Asked) -> Given:
        return _shown_membership(self._membership(asked["MembershipId"]))

    def _get_membership_id(self, asked: Asked) -> Given:
        group, user = self._group(asked["GroupId"]), self._user(asked["MemberId"]["UserId"])
        held = self._store.membership_of(group.id, user.id)
        if held is None:
            raise _no_membership(None)
        return _membership_ids(held)

    def _list_memberships(self, asked: Asked) -> Given:
        return self._memberships(self._store.members_of(self._group(asked["GroupId"]).id), asked)

    def _list_memberships_of(self, asked: Asked) -> Given:
        user = self._user(asked["MemberId"]["UserId"])
        return self._memberships(self._store.memberships_of(user.id), asked)

    def _memberships(self, found: Iterable[Membership], asked: Asked) -> Given:
        shown, token = self._page(found, asked)
        return {"GroupMemberships": [_shown_membership(one) for one in shown], **token}

    def _is_member(self, asked: Asked) -> Given:
        """A group that does not exist has no members. [inferred]"""
        user = self._user(asked["MemberId"]["UserId"])
        results = [
            {
                "GroupId": group_id,
                "MemberId": {"UserId": user.id},
                "MembershipExists": self._store.membership_of(_plain(group_id), user.id)
                is not None,
            }
            for group_id in asked["GroupIds"]
        ]
        return {"Results": results}

    # What several of them need

    def _check_store(self, asked: Asked) -> None:
        named = asked.get("IdentityStoreId", IDENTITY_STORE_ID)
        if _plain(named) != IDENTITY_STORE_ID:
            raise not_found(
                "IDENTITY_STORE not found.", ResourceType="IDENTITY_STORE", ResourceId=named
            )

    def _user(self, user_id: str) -> User:
        try:
            return self._store.user(_plain(user_id))
        except NotFound as error:
            raise not_found("USER not found.", ResourceType="USER", ResourceId=user_id) from error

    def _group(self, group_id: str) -> Group:
        try:
            return self._store.group(_plain(group_id))
        except NotFound as error:
            raise not_found(
                "GROUP not found.", ResourceType="GROUP", ResourceId=group_id
            ) from error

    def _membership(self, membership_id: str) -> Membership:
        held = self._store.membership(_plain(membership_id))
        if held is None:
            raise _no_membership(membership_id)
        return held

    def _fold(self, value: str) -> str:
        return value if self._behaviour.case_sensitive_names else value.casefold()

    def _page(self, found: Iterable[Any], asked: Asked) -> tuple[list[Any], dict[str, str]]:
        return paged(
            found,
            asked,
            key=lambda one: int(one.sequence),
            most=_MOST,
            page_size=self._behaviour.page_size,
        )

    def _user_ids(self, user: User) -> Given:
        return {
            "IdentityStoreId": IDENTITY_STORE_ID,
            "UserId": user.id,
            "UserArn": f"arn:aws:identitystore:::user/{user.id}",
            "Revision": str(user.revision),
        }

    def _group_ids(self, group: Group) -> Given:
        return {
            "IdentityStoreId": IDENTITY_STORE_ID,
            "GroupId": group.id,
            "GroupArn": f"arn:aws:identitystore:::group/{group.id}",
            "Revision": str(group.revision),
        }


_OPERATIONS: dict[str, Callable[[IdentityStoreApi, Asked], Given]] = {
    "CreateUser": IdentityStoreApi._create_user,
    "UpdateUser": IdentityStoreApi._update_user,
    "DeleteUser": IdentityStoreApi._delete_user,
    "DescribeUser": IdentityStoreApi._describe_user,
    "ListUsers": IdentityStoreApi._list_users,
    "GetUserId": IdentityStoreApi._get_user_id,
    "CreateGroup": IdentityStoreApi._create_group,
    "UpdateGroup": IdentityStoreApi._update_group,
    "DeleteGroup": IdentityStoreApi._delete_group,
    "DescribeGroup": IdentityStoreApi._describe_group,
    "ListGroups": IdentityStoreApi._list_groups,
    "GetGroupId": IdentityStoreApi._get_group_id,
    "CreateGroupMembership": IdentityStoreApi._create_membership,
    "DeleteGroupMembership": IdentityStoreApi._delete_membership,
    "DescribeGroupMembership": IdentityStoreApi._describe_membership,
    "GetGroupMembershipId": IdentityStoreApi._get_membership_id,
    "ListGroupMemberships": IdentityStoreApi._list_memberships,
    "ListGroupMembershipsForMember": IdentityStoreApi._list_memberships_of,
    "IsMemberInGroups": IdentityStoreApi._is_member,
}
OPERATIONS = tuple(_OPERATIONS)


def _filtered(
    found: Iterable[Kept], asked: Asked, name: str, fold: Callable[[str], str]
) -> list[Kept]:
    """What the one filter leaves that AWS takes, which is deprecated there."""
    kept = list(found)
    for wanted in asked.get("Filters", []):
        if wanted["AttributePath"] != name:
            raise invalid(f"Filters: the AttributePath must be {name}")
        value = fold(wanted["AttributeValue"])
        kept = [one for one in kept if fold(one.attributes[_lower(name)]) == value]
    return kept


def _lookup(asked: Asked, paths: Mapping[str, str]) -> tuple[str, str]:
    """Of which unique value which one is asked for."""
    match asked["AlternateIdentifier"]:
        case {"ExternalId": {"Issuer": issuer, "Id": external_id}}:
            # Another issuer's id is nobody's; no name of a value has a space.
            return ("externalId" if issuer == SCIM_ISSUER else "no externalId"), external_id
        case {"UniqueAttribute": {"AttributePath": path, "AttributeValue": str(value)}}:
            if path in paths:
                return paths[path], value
            raise invalid(f"AttributePath must be {' or '.join(paths)}, not {path}")
        case _:
            raise invalid("AttributeValue must be a string")


def _attributes(asked: Asked) -> Given:
    """The attributes of a new user or group, as the state names them."""
    own: Given = _lowered({name: asked[name] for name in asked if name != "IdentityStoreId"})
    extensions = asked.get("Extensions", {})
    own.pop("extensions", None)
    if unknown := sorted(extensions.keys() - {EXTENSION}):
        raise invalid(f"Extensions: {unknown[0]} is not supported")
    if EXTENSION in extensions:
        own[ENTERPRISE] = _lowered(extensions[EXTENSION])
    return {name: value for name, value in own.items() if value is not None}


def _parted(attributes: Given) -> tuple[Given, Given]:
    """What the SCIM endpoint shows, and what only this API does."""
    here = ("photos", "website", "birthdate", "description")
    extra = {name: value for name, value in attributes.items() if name in here}
    return {name: value for name, value in attributes.items() if name not in here}, extra


def _check_user(attributes: Given) -> None:
    """Hold what a user would be to what CreateUser takes; raises ApiRefused."""
    for name in _REQUIRED:
        if not attributes.get(name):
            raise invalid(f"{_upper(name)} is required")
    for name in ("givenName", "familyName"):
        if not isinstance(attributes["name"], dict) or not attributes["name"].get(name):
            raise invalid(f"Name.{_upper(name)} is required")
    _check_reserved(attributes["userName"])
    elsewhere = ("externalId", "active", ENTERPRISE)
    own = _uppered({name: attributes[name] for name in attributes if name not in elsewhere})
    models.check_input(_API, "CreateUser", {"IdentityStoreId": IDENTITY_STORE_ID, **own})
    _check_extension(attributes.get(ENTERPRISE, {}))


def _check_group(attributes: Given) -> None:
    if not attributes.get("displayName"):
        raise invalid("DisplayName is required")
    _check_reserved(attributes["displayName"])
    own = _uppered({name: value for name, value in attributes.items() if name != "externalId"})
    models.check_input(_API, "CreateGroup", {"IdentityStoreId": IDENTITY_STORE_ID, **own})


def _check_reserved(name: object) -> None:
    if str(name).casefold() in {one.casefold() for one in RESERVED_NAMES}:
        raise invalid(f"{name} is a reserved name")


def _check_extension(enterprise: object) -> None:
    """A free document at AWS; that its members are those of SCIM is assumed (reference 3.3)."""
    if not isinstance(enterprise, dict):
        raise invalid(f"{EXTENSION} must be an object")
    for name, value in enterprise.items():
        text = value.get("value") if name == "manager" and isinstance(value, dict) else value
        if name not in _EXTENSION_KEYS:
            raise invalid(f"{EXTENSION}.{name} is not supported")
        if not isinstance(text, str) or not text:
            raise invalid(f"{EXTENSION}.{name} must be a text")


def _check_revision(held: Principal, asked: Asked) -> None:
    if asked.get("Revision") not in (None, str(held.revision)):
        raise conflict("The resource has changed since.", Reason=CONCURRENT)


def _put(attributes: Given, steps: list[str], value: object) -> None:
    """Set what the steps lead to, or take it away (None); an object that is empty then goes."""
    first, *rest = steps
    if rest:
        inner = attributes.setdefault(first, {})
        if not isinstance(inner, dict):
            raise invalid(f"{first} has no members that can be set one by one")
        _put(inner, rest, value)
        value = inner or None
    if value is None:
        attributes.pop(first, None)
    else:
        attributes[first] = value


def _user_members() -> Mapping[str, Any]:
    members: Mapping[str, Any] = models.operation(_API, "CreateUser").input_shape.members
    return {name: shape for name, shape in members.items() if name != "IdentityStoreId"}


def _external_ids(external_id: str | None) -> Given:
    if external_id is None:
        return {}
    return {"ExternalIds": [{"Issuer": SCIM_ISSUER, "Id": external_id}]}


def _stamps(held: Principal) -> Given:
    return {
        "CreatedAt": _seconds(held.created),
        "CreatedBy": held.created_by,
        "UpdatedAt": _seconds(held.last_modified),
        "UpdatedBy": held.updated_by,
    }


def _membership_ids(held: Membership) -> Given:
    return {
        "IdentityStoreId": IDENTITY_STORE_ID,
        "MembershipId": held.id,
        "MembershipArn": f"arn:aws:identitystore:::membership/{held.id}",
    }


def _shown_membership(held: Membership) -> Given:
    return {
        **_membership_ids(held),
        "GroupId": held.group_id,
        "MemberId": {"UserId": held.user_id},
        "CreatedAt": _seconds(held.created),
        "UpdatedAt": _seconds(held.created),
    }


def _no_membership(membership_id: str | None) -> ApiRefused:
    return not_found(
        "GROUP_MEMBERSHIP not found.",
        ResourceType="GROUP_MEMBERSHIP",
        ResourceId=membership_id,
    )


def _plain(named: str) -> str:
    """The id of what may be named by its ARN."""
    return named.rsplit("/", 1)[-1]


def _seconds(moment: datetime) -> float:
    """A timestamp as the JSON protocol has it."""
    return round(moment.timestamp(), 3)


def _uppered(value: Any) -> Any:
    return _renamed(value, _upper)


def _lowered(value: Any) -> Any:
    return _renamed(value, _lower)


def _renamed(value: Any, name: Callable[[str], str]) -> Any:
    match value:
        case dict():
            return {name(key): _renamed(inner, name) for key, inner in value.items()}
        case list():
            return [_renamed(inner, name) for inner in value]
        case _:
            return value


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
