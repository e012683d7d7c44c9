"""What the bridge announces: its resource types, schemas and capabilities."""

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Mutability,
    Pagination,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    Returned,
    Schema,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models import EnterpriseUser as CoreEnterpriseUser
from scim2_models import Group as CoreGroup
from scim2_models import User as CoreUser
from scim2_models.resources.enterprise_user import Manager as CoreManager
from scim2_models.resources.group import GroupMember
from scim2_models.resources.resource import AnyExtension
from scim2_models.resources.user import Email as CoreEmail

from scim_bridge.directory.entitlements import GROUP_EXTENSION, USER_EXTENSION
from scim_bridge.scim.dialect import TOLERANT
from scim_bridge.settings import Settings

# The most resources on one page.
MAX_RESULTS = 200
# How long a cursor is good for, in seconds. Nothing is kept for it, so it may be long.
CURSOR_TIMEOUT = 24 * 3600
# The most operations in one Bulk request.
MAX_OPERATIONS = 1000


def _truth(value: Any) -> Any:
    """Read `active`. Only true, false and their spellings count, and an empty string is no value.

    Anything else ("yes", 1) is left to fail: nobody is enabled or disabled by a guess.
    """
    match value:
        case bool() | None:
            return value
        case str() if value.strip().lower() in {"true", "false", ""}:
            return {"true": True, "false": False, "": None}[value.strip().lower()]
        case _:
            raise PydanticCustomError("not_boolean", "must be true or false")


class Email(CoreEmail):
    # Kept as it was sent. The library's type would write the domain in lower case, and a client
    # that reads back another spelling than its own sends the change again for ever.
    value: str | None = None
    """E-mail address of the user. The primary one is unique among users."""


class User(CoreUser[AnyExtension]):
    """A person."""

    emails: list[Email] | None = None  # type: ignore[assignment]
    """E-mail addresses of the user. At most one is primary; if given, it is unique."""

    # Neither it nor the names are marked as required here: the check before the commit names
    # everything that is missing, the library's only the first.
    user_name: Annotated[str | None, Uniqueness.server] = None
    """The name the user signs in with. Unique, whatever its case."""

    active: Annotated[bool | None, BeforeValidator(_truth)] = None
    """Whether the user may sign in. True when a new user comes without it; afterwards only an
    explicit value changes it."""


class Manager(CoreManager):
    # Required in the library; no client sends both, and some send an empty manager.
    value: Annotated[str | None, CaseExact.true] = None
    """The id of the user who is the manager."""

    ref: Annotated[Reference["User"] | None, CaseExact.true] = Field(  # type: ignore[assignment,type-arg]
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The URI of the manager."""


class EnterpriseUser(CoreEnterpriseUser):
    """What a company knows of a person."""

    manager: Manager | None = None
    """The user's manager."""


class Member(GroupMember):
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(  # type: ignore[assignment,type-arg]
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The URI of the member."""

    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])
    """The kind of member. Identity Center has no groups in groups."""


class Group(CoreGroup):
    """A group of people."""

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The name of the group. Unique, whatever its case."""

    members: list[Member] | None = None  # type: ignore[assignment]
    """The people in the group."""


class AccountAssignment(ComplexAttribute):
    """A permission set in an AWS account."""

    # What the examples are announced as, suggested values, is what suites of tests then send. There
    # is one of each: scim2-tester adds the whole extension and its parts, and expects one entry.
    account_id: Annotated[str | None, Required.true, CaseExact.true] = Field(
        None, examples=["111122223333"]
    )
    """The twelve digits of the account."""

    permission_set: Annotated[str | None, Required.true, CaseExact.true] = Field(
        None, examples=["ReadOnlyAccess"]
    )
    """The name or the ARN of the permission set."""


class EntitledApplication(ComplexAttribute):
    """An application of Identity Center."""

    value: Annotated[str | None, Required.true, CaseExact.true] = Field(None, examples=["Kiro"])
    """The name or the ARN of the application."""


class ProvisioningState(StrEnum):
    """How far something has come."""

    applied = "applied"
    pending = "pending"
    held = "held"
    failed = "failed"


class ProvisioningStatus(ComplexAttribute):
    """How a resource stands at Identity Center."""

    state: Annotated[ProvisioningState | None, Mutability.read_only] = None
    """Whether Identity Center has all of it; if not, whether it is on its way, waits for an
    operator's decision, or was refused."""

    detail: Annotated[str | None, Mutability.read_only] = None
    """What is waited for, or why it was refused."""

    identity_center_id: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    """The id of the user or group at Identity Center."""

    since: Annotated[datetime | None, Mutability.read_only] = None
    """Since when it stands so."""


class GroupEntitlements(Extension):
    """What a group grants its members."""

    __schema__ = URN(GROUP_EXTENSION)

    description: str | None = None
    """What the group is for."""

    account_assignments: list[AccountAssignment] | None = None
    """The permission sets the group has in AWS accounts."""

    applications: list[EntitledApplication] | None = None
    """The applications the group may use."""

    provisioning: Annotated[ProvisioningStatus | None, Mutability.read_only, Returned.request] = (
        None
    )
    """How the group stands at Identity Center."""


class UserEntitlements(Extension):
    """What a user is granted directly, beside what groups grant."""

    __schema__ = URN(USER_EXTENSION)

    account_assignments: list[AccountAssignment] | None = None
    """The permission sets the user has in AWS accounts."""

    applications: list[EntitledApplication] | None = None
    """The applications the user may use."""

    provisioning: Annotated[ProvisioningStatus | None, Mutability.read_only, Returned.request] = (
        None
    )
    """How the user stands at Identity Center."""


# What is stored and served: the resources with their extensions.
FullUser = User[EnterpriseUser | UserEntitlements]
FullGroup = Group[GroupEntitlements]  # type: ignore[type-arg]


class Provider(ScimProvider):
    """The bridge as a SCIM service."""

    def __init__(self, settings: Settings) -> None:
        self._user_names_change = settings.users.username_changes == "allow"
        self._groups_nest = settings.groups.nested == "flatten"
        super().__init__(
            models=[User, Group, EnterpriseUser, GroupEntitlements, UserEntitlements],
            resource_types=[
                ResourceType.from_resource(FullUser),
                ResourceType.from_resource(FullGroup),
            ],
            config=_configuration(settings),
            # Of those who ask for nothing else. A request is read in its client's dialect.
            policy=TOLERANT.policy,
        )

    @property
    def user(self) -> ResourceType:
        return self.resource_types[0]

    @property
    def group(self) -> ResourceType:
        return self.resource_types[1]

    @property
    def directory_models(self) -> dict[str, type[Resource[Any]]]:
        """The models of what is stored, by the names of their resource types."""
        return {"User": FullUser, "Group": FullGroup}

    @cached_property
    def schemas(self) -> tuple[Schema, ...]:
        """What `/Schemas` announces, with what the bridge itself sees to."""
        user, group, *others = (schema.model_copy(deep=True) for schema in super().schemas)
        _announce_user(user, user_names_change=self._user_names_change)
        # Accepted, since many clients send it, and ignored: a person's name is the person's.
        group["members"]["display"].mutability = Mutability.read_only
        if self._groups_nest:
            _announce_nested_groups(group)
        # Everything that is served is described, also what describes it (RFC 7643, section 8.7.2).
        described = (ServiceProviderConfig, ResourceType, Schema)
        return user, group, *others, *(model.to_schema() for model in described)


def _announce_user(schema: Schema, *, user_names_change: bool) -> None:
    """Announce what Identity Center requires of a user (AWS SCIM developer guide, CreateUser).

    `active` is announced as required since a user always has a value; RFC 7643, section 7, has no
    word for "you may leave it out, but you cannot take it away".
    """
    name = schema["name"]
    for attribute in (
        schema["userName"],
        schema["active"],
        name,
        name["givenName"],
        name["familyName"],
    ):
        attribute.required = Required.true
    if not user_names_change:
        schema["userName"].mutability = Mutability.immutable


def _announce_nested_groups(schema: Schema) -> None:
    """Announce that a member may be a group (RFC 7643, section 4.2). Otherwise none is kept."""
    members = schema["members"]
    members.description = "The people in the group, and the groups whose people are in it."
    members["$ref"].reference_types = ["User", "Group"]
    members["type"].canonical_values = ["User", "Group"]
    members["type"].description = "The kind of member."


def _configuration(settings: Settings) -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(
            supported=True,
            max_operations=MAX_OPERATIONS,
            max_payload_size=settings.server.max_body,
        ),
        filter=Filter(supported=True, max_results=MAX_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        pagination=Pagination(
            cursor=True,
            index=True,
            default_pagination_method=Pagination.DefaultPaginationMethod.index,
            default_page_size=MAX_RESULTS,
            max_page_size=MAX_RESULTS,
            cursor_timeout=CURSOR_TIMEOUT,
        ),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token made by the operator with `scim-bridge client add`.",
                spec_uri=Reference("https://www.rfc-editor.org/rfc/rfc6750"),
                primary=True,
            )
        ],
    )
