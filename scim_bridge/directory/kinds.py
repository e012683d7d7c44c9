"""What is stored of a user, and what of a group: the two kinds of resources."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scim2_models import ResourceType
from sqlalchemy import Table

from scim_bridge.directory.documents import Document, group_columns, user_columns
from scim_bridge.directory.tables import groups, users
from scim_bridge.directory.write import Kind as KindName


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """A kind of resource and where it is stored."""

    name: KindName
    # The name of the SCIM resource type.
    type_name: str
    table: Table
    # The columns that a document fills.
    columns: Callable[[Document], dict[str, Any]]
    # The attributes that are unique among live resources, by the column and the index that say so.
    unique: Mapping[str, str]
    unique_indexes: Mapping[str, str]
    # The attribute that memberships fill.
    filled: str


USER = Kind(
    name="user",
    type_name="User",
    table=users,
    columns=user_columns,
    unique=MappingProxyType({"user_name_folded": "userName", "email_folded": "emails.value"}),
    unique_indexes=MappingProxyType(
        {"uq_users_user_name": "userName", "uq_users_email": "emails.value"}
    ),
    filled="groups",
)
GROUP = Kind(
    name="group",
    type_name="Group",
    table=groups,
    columns=group_columns,
    unique=MappingProxyType({"display_name_folded": "displayName"}),
    unique_indexes=MappingProxyType({"uq_groups_display_name": "displayName"}),
    filled="members",
)

_BY_TYPE = {kind.type_name: kind for kind in (USER, GROUP)}
_BY_NAME: dict[KindName, Kind] = {kind.name: kind for kind in (USER, GROUP)}


def kind_of(resource_type: ResourceType) -> Kind:
    """The kind of a resource type that the directory stores."""
    return _BY_TYPE[str(resource_type.name)]


def kind_named(name: KindName) -> Kind:
    return _BY_NAME[name]
