"""What do AWS's APIs show of users, groups and access, and how are attributes written to them?

Members are named as in botocore's service models ``identitystore``, ``sso-admin``,
``organizations`` and ``sts``. Users and groups become the same values as over SCIM.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load, validate

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.exchange import Answer
from scim_bridge.identity_center.payloads import ENTERPRISE, nested, read_group, read_user
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant
from scim_bridge.plan.state import Attributes, Kind, Principal

# The only extension of the Identity Store API. It is not shown unless asked for.
EXTENSION = "aws:identitystore:enterprise"
# AWS's default, where a permission set names no duration.
SHORTEST_SESSION = 3600

AsyncState = Literal["IN_PROGRESS", "SUCCEEDED", "FAILED"]
PRINCIPAL_TYPES: Mapping[Kind, str] = {"user": "USER", "group": "GROUP"}


@dataclass(frozen=True, kw_only=True)
class ExternalId:
    """An externalId, with who gave it: AWS names the issuer, which a look-up needs."""

    issuer: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Membership:
    """One user in one group, by the ids at Identity Center."""

    id: str
    group: str
    user: str


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance of Identity Center."""

    arn: str
    identity_store_id: str
    # The AWS account that owns it.
    owner: str | None = None
    name: str | None = None
    # "ACTIVE", or on its way there.
    status: str | None = None
    primary_region: str | None = None


@dataclass(frozen=True, kw_only=True)
class PermissionSet:
    """What a permission set is called, and how long a session with it may live."""

    arn: str
    name: str
    description: str | None = None
    session_seconds: int = SHORTEST_SESSION


@dataclass(frozen=True, kw_only=True)
class AssignmentStatus:
    """How far AWS is with the creation or deletion of an account assignment."""

    # What to ask for the status with.
    request_id: str
    state: AsyncState
    failure_reason: str | None = None
    # Whose assignment it is. A list of requests does not say it.
    principal: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProvisioningStatus:
    """How far AWS is with bringing a permission set to its accounts."""

    request_id: str
    state: AsyncState
    failure_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class AccountAssignment:
    """Who holds a permission set in an account."""

    kind: Kind
    principal: str
    grant: AccountGrant


@dataclass(frozen=True, kw_only=True)
class ApplicationAssignment:
    """Who may use an application."""

    kind: Kind
    principal: str
    grant: ApplicationGrant


@dataclass(frozen=True, kw_only=True)
class Application:
    """An application that people can be assigned to."""

    arn: str
    name: str | None = None
    # The AWS account it lives in.
    account: str | None = None
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Account:
    """An AWS account of the organization."""

    # Twelve digits.
    id: str
    name: str | None = None
    # "ACTIVE", "SUSPENDED", "PENDING_CLOSURE" and so on.
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """As whom AWS knows the bridge."""

    account: str
    arn: str
    user_id: str


# --- What is shown ------------------------------------------------------------------------------


def _given(name: str) -> fields.String:
    """A member that must be there, although AWS's models call nearly all optional."""
    return fields.String(required=True, data_key=name, validate=validate.Length(min=1))


def _perhaps(name: str) -> fields.String:
    return fields.String(load_default=None, data_key=name)


class _KindField(fields.String):
    """USER or GROUP."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        for kind, named in PRINCIPAL_TYPES.items():
            if value == named:
                return kind
        raise ValidationError("neither USER nor GROUP")


class _SecondsField(fields.Field[int]):
    """An ISO 8601 duration as AWS writes session durations: "PT8H", "PT1H30M"."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", str(value))
        if not found or not any(found.groups()):
            raise ValidationError(f"not a duration: {value!r:.40}")
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds


class _Shown(Schema):
    """What AWS adds over time is left out. Null is the same as not there."""

    class Meta:
        unknown = EXCLUDE

    made: ClassVar[Callable[..., Any]] = dict

    @pre_load
    def _without_nulls(self, shown: Any, **_: Any) -> Any:
        if not isinstance(shown, Mapping):
            return shown
        return {name: value for name, value in shown.items() if value is not None}

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return type(self).made(**data)


class _ExternalIdSchema(_Shown):
    made = ExternalId
    issuer = _given("Issuer")
    id = _given("Id")


class _UserSchema(_Shown):
    """What of a user is named otherwise than over SCIM."""

    id = _given("UserId")
    external_ids = fields.List(
        fields.Nested(_ExternalIdSchema), load_default=list, data_key="ExternalIds"
    )
    status = fields.String(
        load_default="ENABLED",
        data_key="UserStatus",
        validate=validate.OneOf(["ENABLED", "DISABLED"]),
    )
    extensions = fields.Dict(load_default=dict, data_key="Extensions")


class _GroupSchema(_Shown):
    id = _given("GroupId")
    external_ids = fields.List(
        fields.Nested(_ExternalIdSchema), load_default=list, data_key="ExternalIds"
    )
    description = _perhaps("Description")


class _MemberSchema(_Shown):
    user = _given("UserId")

    @staticmethod
    def made(*, user: str) -> str:
        return user


class _MembershipSchema(_Shown):
    made = Membership
    id = _given("MembershipId")
    group = _given("GroupId")
    user = fields.Nested(_MemberSchema, required=True, data_key="MemberId")


class _InGroupSchema(_Shown):
    """One answer of IsMemberInGroups."""

    group = _given("GroupId")
    held = fields.Boolean(required=True, data_key="MembershipExists")


class _InGroupsSchema(_Shown):
    results = fields.List(fields.Nested(_InGroupSchema), required=True, data_key="Results")


class _InstanceSchema(_Shown):
    made = Instance
    arn = _given("InstanceArn")
    identity_store_id = _given("IdentityStoreId")
    owner = _perhaps("OwnerAccountId")
    name = _perhaps("Name")
    status = _perhaps("Status")
    primary_region = _perhaps("PrimaryRegion")


class _PermissionSetSchema(_Shown):
    made = PermissionSet
    arn = _given("PermissionSetArn")
    name = _given("Name")
    description = _perhaps("Description")
    session_seconds = _SecondsField(load_default=SHORTEST_SESSION, data_key="SessionDuration")


class _DescribedPermissionSet(_Shown):
    described = fields.Nested(_PermissionSetSchema, required=True, data_key="PermissionSet")


class _StatusSchema(_Shown):
    request_id = _given("RequestId")
    state = fields.String(
        required=True,
        data_key="Status",
        validate=validate.OneOf(["IN_PROGRESS", "SUCCEEDED", "FAILED"]),
    )
    failure_reason = _perhaps("FailureReason")


class _AssignmentStatusSchema(_StatusSchema):
    principal = _perhaps("PrincipalId")


class _AccountAssignmentSchema(_Shown):
    kind = _KindField(required=True, data_key="PrincipalType")
    principal = _given("PrincipalId")
    account = _given("AccountId")
    permission_set = _given("PermissionSetArn")

    @staticmethod
    def made(*, account: str, permission_set: str, **who: Any) -> AccountAssignment:
        grant = AccountGrant(account=account, permission_set=permission_set)
        return AccountAssignment(grant=grant, **who)


class _ApplicationAssignmentSchema(_Shown):
    kind = _KindField(required=True, data_key="PrincipalType")
    principal = _given("PrincipalId")
    application = _given("ApplicationArn")

    @staticmethod
    def made(*, application: str, **who: Any) -> ApplicationAssignment:
        return ApplicationAssignment(grant=ApplicationGrant(application=application), **who)


class _ApplicationSchema(_Shown):
    arn = _given("ApplicationArn")
    name = _perhaps("Name")
    account = _perhaps("ApplicationAccount")
    status = _perhaps("Status")

    @staticmethod
    def made(*, status: str | None, **rest: Any) -> Application:
        return Application(enabled=status != "DISABLED", **rest)


class _ManagedPolicySchema(_Shown):
    name = _given("Name")

    @staticmethod
    def made(*, name: str) -> str:
        return name


class _CustomerPolicySchema(_Shown):
    name = _given("Name")
    path = fields.String(load_default="/", data_key="Path")

    @staticmethod
    def made(*, name: str, path: str) -> str:
        return f"{path}{name}"


class _AccountSchema(_Shown):
    id = _given("Id")
    name = _perhaps("Name")
    # The older member, and the one that takes its place.
    status = _perhaps("Status")
    state = _perhaps("State")

    @staticmethod
    def made(*, status: str | None, state: str | None, **rest: Any) -> Account:
        return Account(status=state or status, **rest)


class _IdentitySchema(_Shown):
    made = Identity
    account = _given("Account")
    arn = _given("Arn")
    user_id = _given("UserId")


_USER, _GROUP = _UserSchema(), _GroupSchema()
_STATUS = _StatusSchema()
_ASSIGNMENT_STATUS = _AssignmentStatusSchema()
_DESCRIBED = _DescribedPermissionSet()

MEMBERSHIP = _MembershipSchema()
IN_GROUPS = _InGroupsSchema()
INSTANCE = _InstanceSchema()
ACCOUNT_ASSIGNMENT = _AccountAssignmentSchema()
APPLICATION_ASSIGNMENT = _ApplicationAssignmentSchema()
APPLICATION = _ApplicationSchema()
MANAGED_POLICY = _ManagedPolicySchema()
CUSTOMER_POLICY = _CustomerPolicySchema()
ACCOUNT = _AccountSchema()
IDENTITY = _IdentitySchema()


def read(schema: Schema, shown: Any) -> Any:
    """A value that AWS shows.

    :raises Unavailable: it cannot be read.
    """
    try:
        return schema.load(shown)
    except ValidationError as error:
        raise Unavailable(f"an answer of AWS cannot be read: {_told(error)}") from error


def read_word(shown: Any) -> str:
    """An id or ARN that stands in a list by itself.

    :raises Unavailable: it is none.
    """
    if not isinstance(shown, str) or not shown:
        raise Unavailable("an answer of AWS cannot be read: a list holds what is no id")
    return shown


def read_member(answer: Answer, name: str) -> str:
    """One member of an answer that is nothing but an id.

    :raises Unavailable: it is not there.
    """
    shown = (answer.body or {}).get(name)
    if not isinstance(shown, str) or not shown:
        raise Unavailable(
            f"an answer of AWS holds no {name}",
            status=answer.status,
            request_id=answer.request_id,
        )
    return shown


def read_store_user(shown: Any) -> Principal:
    """A user of the Identity Store API, as the SCIM endpoint would show it.

    Of several externalIds it is the first one. ``UserStatus`` is optional in AWS's model; who
    has none counts as enabled, as over SCIM.
    """
    head = read(_USER, shown)
    document = {
        **_scim_named(shown),
        "id": head["id"],
        "externalId": _first(head["external_ids"]),
        "active": head["status"] == "ENABLED",
        ENTERPRISE: _enterprise(head["extensions"].get(EXTENSION)),
    }
    return read_user(document)


def read_store_group(shown: Any) -> Principal:
    """A group of the Identity Store API; its description is what SCIM has no place for."""
    head = read(_GROUP, shown)
    group = read_group(
        {**_scim_named(shown), "id": head["id"], "externalId": _first(head["external_ids"])}
    )
    described = {"description": head["description"]} if head["description"] else {}
    return Principal(
        id=group.id, external_id=group.external_id, attributes={**group.attributes, **described}
    )


def read_external_ids(shown: Any) -> tuple[ExternalId, ...]:
    return tuple(read(_USER, shown)["external_ids"])


def read_permission_set(shown: Any) -> PermissionSet:
    described: PermissionSet = read(_DESCRIBED, shown)["described"]
    return described


def read_assignment_status(answer: Answer, member: str) -> AssignmentStatus:
    return read_assignment_progress((answer.body or {}).get(member))


def read_assignment_progress(shown: Any) -> AssignmentStatus:
    return AssignmentStatus(**read(_ASSIGNMENT_STATUS, shown))


def read_provisioning_status(answer: Answer) -> ProvisioningStatus:
    shown = (answer.body or {}).get("PermissionSetProvisioningStatus")
    return ProvisioningStatus(**read(_STATUS, shown))


# --- What is sent -------------------------------------------------------------------------------


def store_user(attributes: Attributes) -> dict[str, Any]:
    """The attributes of CreateUser. An enterprise extension is a free document in camelCase."""
    body = nested(attributes)
    extension = body.pop(ENTERPRISE, None)
    extensions = {"Extensions": {EXTENSION: extension}} if extension else {}
    return {**cast("dict[str, Any]", _store_named(body)), **extensions}


def store_group(attributes: Attributes) -> dict[str, Any]:
    """The attributes of CreateGroup."""
    return cast("dict[str, Any]", _store_named(dict(attributes)))


def store_operations(set_: Attributes, remove: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The operations of UpdateUser and UpdateGroup: one for each path; null removes.

    Paths and the keys within values are in camelCase (as Terraform's provider for AWS sends them).
    """
    return [
        *({"AttributePath": _store_path(path), "AttributeValue": set_[path]} for path in set_),
        *({"AttributePath": _store_path(path), "AttributeValue": None} for path in remove),
    ]


# --- Shapes -------------------------------------------------------------------------------------

_ENTERPRISE_NAMES = {
    name.casefold(): name
    for name in (
        "employeeNumber",
        "costCenter",
        "organization",
        "division",
        "department",
        "manager",
        "value",
    )
}


def _scim_named(shown: Any) -> Any:
    """The same names as in SCIM, whose first letter is small: GivenName, givenName."""
    match shown:
        case Mapping():
            return {name[:1].lower() + name[1:]: _scim_named(shown[name]) for name in shown}
        case list():
            return [_scim_named(one) for one in shown]
        case _:
            return shown


def _store_named(body: Any) -> Any:
    """The inverse of `_scim_named`."""
    match body:
        case Mapping():
            return {name[:1].upper() + name[1:]: _store_named(body[name]) for name in body}
        case list():
            return [_store_named(one) for one in body]
        case _:
            return body


def _enterprise(extension: Any) -> dict[str, Any] | None:
    """The extension as in SCIM. AWS does not document the case of its names."""
    if not isinstance(extension, Mapping):
        return None
    named = _cased(extension)
    manager = named.get("manager")
    if isinstance(manager, str):
        named["manager"] = {"value": manager}
    return named


def _cased(extension: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _ENTERPRISE_NAMES.get(name.casefold(), name): (
            _cased(value) if isinstance(value, Mapping) else value
        )
        for name, value in extension.items()
    }


def _store_path(path: str) -> str:
    if path.startswith(f"{ENTERPRISE}:"):
        return f"{EXTENSION}.{path.removeprefix(f'{ENTERPRISE}:')}"
    return path


def _first(external_ids: list[ExternalId]) -> str | None:
    return external_ids[0].id if external_ids else None


def _told(error: ValidationError) -> str:
    """Which members, without their values: they may be somebody's name."""
    messages = error.messages
    return ", ".join(sorted(messages)) if isinstance(messages, dict) else "it is no object"
