"""Which calls does the Identity Store API have?

They are named as AWS names them, after the model ``identitystore`` of botocore. It shows everything
but cannot disable anybody, nor give an externalId.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, Unpack

from scim_bridge.errors import Missing, Unavailable
from scim_bridge.identity_center.api_payloads import (
    EXTENSION,
    IN_GROUPS,
    MEMBERSHIP,
    ExternalId,
    Membership,
    read,
    read_external_ids,
    read_member,
    read_store_group,
    read_store_user,
    store_group,
    store_operations,
    store_user,
)
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.exchange import Answer
from scim_bridge.identity_center.instance import Site
from scim_bridge.identity_center.json_api import JsonApi, TurnPage, Written
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.state import Attributes, Principal

# IsMemberInGroups takes so many groups at once.
GROUPS_PER_CALL = 100

T = TypeVar("T")


class IdentityStore:
    """The users, groups and memberships of one identity store.

    What is asked for by name or id and is not there is None; a write or a list that names what is
    not there raises `Missing`.
    """

    def __init__(self, api: JsonApi, site: Site) -> None:
        self._api = api
        self._site = site

    @property
    def circuit(self) -> Circuit:
        return self._api.circuit

    # -- Users ----------------------------------------------------------

    def list_users(
        self, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[Principal]:
        """Every user, with the enterprise extension."""
        asked = {"Extensions": [EXTENSION]}
        shown = self._pages("ListUsers", asked, "Users", turn_page=turn_page, **haste)
        return map(read_store_user, shown)

    def describe_user(self, user_id: str, **haste: Unpack[Haste]) -> Principal | None:
        shown = _or_none(lambda: self._described_user(user_id, haste))
        return None if shown is None else read_store_user(shown)

    def external_ids_of(self, user_id: str, **haste: Unpack[Haste]) -> tuple[ExternalId, ...]:
        """The externalIds of a user, with their issuers; none if the user is gone."""
        shown = _or_none(lambda: self._described_user(user_id, haste))
        return () if shown is None else read_external_ids(shown)

    def extension_of(self, user_id: str, **haste: Unpack[Haste]) -> Mapping[str, Any]:
        """The enterprise extension of a user, with its names as AWS spells them.

        :raises Missing: the user is gone.
        """
        extensions = self._described_user(user_id, haste).get("Extensions") or {}
        return extensions.get(EXTENSION) or {}

    def find_user_id(
        self,
        *,
        user_name: str | None = None,
        email: str | None = None,
        external_id: ExternalId | None = None,
        **haste: Unpack[Haste],
    ) -> str | None:
        """The user with this userName, primary e-mail or externalId. Give one of the three.

        Whether AWS looks at the case of a name is not documented.
        """
        asked = _alternate(external_id, {"userName": user_name, "emails.value": email})
        return _or_none(lambda: read_member(self._ask("GetUserId", asked, haste), "UserId"))

    def create_user(self, attributes: Attributes, **haste: Unpack[Haste]) -> Written:
        """Create a user, who is enabled and has no externalId."""
        answer = self._ask("CreateUser", store_user(attributes), haste)
        return Written(id=read_member(answer, "UserId"), request_id=answer.request_id)

    def update_user(
        self,
        user_id: str,
        set_: Attributes,
        remove: Iterable[str] = (),
        **haste: Unpack[Haste],
    ) -> Written:
        body = {"UserId": user_id, "Operations": _operations(set_, remove)}
        return self._written("UpdateUser", body, haste)

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Written:
        return self._written("DeleteUser", {"UserId": user_id}, haste)

    # -- Groups ---------------------------------------------------------

    def list_groups(
        self, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[Principal]:
        """Every group, without its members."""
        shown = self._pages("ListGroups", {}, "Groups", turn_page=turn_page, **haste)
        return map(read_store_group, shown)

    def describe_group(self, group_id: str, **haste: Unpack[Haste]) -> Principal | None:
        shown = _or_none(lambda: self._ask("DescribeGroup", {"GroupId": group_id}, haste))
        return None if shown is None else read_store_group(shown.body)

    def find_group_id(self, display_name: str, **haste: Unpack[Haste]) -> str | None:
        asked = _alternate(None, {"displayName": display_name})
        return _or_none(lambda: read_member(self._ask("GetGroupId", asked, haste), "GroupId"))

    def create_group(self, attributes: Attributes, **haste: Unpack[Haste]) -> Written:
        answer = self._ask("CreateGroup", store_group(attributes), haste)
        return Written(id=read_member(answer, "GroupId"), request_id=answer.request_id)

    def update_group(
        self,
        group_id: str,
        set_: Attributes,
        remove: Iterable[str] = (),
        **haste: Unpack[Haste],
    ) -> Written:
        body = {"GroupId": group_id, "Operations": _operations(set_, remove)}
        return self._written("UpdateGroup", body, haste)

    def delete_group(self, group_id: str, **haste: Unpack[Haste]) -> Written:
        return self._written("DeleteGroup", {"GroupId": group_id}, haste)

    # -- Memberships ----------------------------------------------------

    def list_memberships(
        self, group_id: str, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[Membership]:
        """Who is in a group."""
        return self._memberships(
            "ListGroupMemberships", {"GroupId": group_id}, turn_page=turn_page, **haste
        )

    def list_memberships_of(
        self, user_id: str, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[Membership]:
        """Which groups a user is in."""
        return self._memberships(
            "ListGroupMembershipsForMember", _member(user_id), turn_page=turn_page, **haste
        )

    def find_membership_id(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> str | None:
        asked = {"GroupId": group_id, **_member(user_id)}
        return _or_none(
            lambda: read_member(self._ask("GetGroupMembershipId", asked, haste), "MembershipId")
        )

    def create_membership(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> Written:
        """Put a user into a group.

        :raises Conflict: the user is in it.
        """
        answer = self._ask(
            "CreateGroupMembership", {"GroupId": group_id, **_member(user_id)}, haste
        )
        return Written(id=read_member(answer, "MembershipId"), request_id=answer.request_id)

    def delete_membership(self, membership_id: str, **haste: Unpack[Haste]) -> Written:
        return self._written("DeleteGroupMembership", {"MembershipId": membership_id}, haste)

    def is_member_in_groups(
        self, user_id: str, groups: Iterable[str], **haste: Unpack[Haste]
    ) -> frozenset[str]:
        """Those of the groups that the user is in."""
        held: set[str] = set()
        asked_for = list(dict.fromkeys(groups))
        for first in range(0, len(asked_for), GROUPS_PER_CALL):
            some = asked_for[first : first + GROUPS_PER_CALL]
            asked = {**_member(user_id), "GroupIds": some}
            held |= _held(self._ask("IsMemberInGroups", asked, haste), some)
        return frozenset(held)

    # -- How ------------------------------------------------------------

    def _described_user(self, user_id: str, haste: Haste) -> Mapping[str, Any]:
        asked = {"UserId": user_id, "Extensions": [EXTENSION]}
        return self._ask("DescribeUser", asked, haste).body or {}

    def _memberships(
        self,
        operation: str,
        body: Mapping[str, Any],
        *,
        turn_page: TurnPage | None,
        **haste: Unpack[Haste],
    ) -> Iterator[Membership]:
        shown = self._pages(operation, body, "GroupMemberships", turn_page=turn_page, **haste)
        return (read(MEMBERSHIP, one) for one in shown)

    def _ask(self, operation: str, body: Mapping[str, Any], haste: Haste) -> Answer:
        store = self._site.identity_store_id(**haste)
        return self._api.ask(operation, {"IdentityStoreId": store, **body}, **haste)

    def _written(self, operation: str, body: Mapping[str, Any], haste: Haste) -> Written:
        return Written(request_id=self._ask(operation, body, haste).request_id)

    def _pages(
        self,
        operation: str,
        body: Mapping[str, Any],
        key: str,
        *,
        turn_page: TurnPage | None,
        **haste: Unpack[Haste],
    ) -> Iterator[Any]:
        store = self._site.identity_store_id(**haste)
        asked = {"IdentityStoreId": store, **body}
        yield from self._api.pages(
            operation, asked, key, always_there=True, turn_page=turn_page, **haste
        )


def _or_none(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Missing:
        return None


def _member(user_id: str) -> dict[str, Any]:
    return {"MemberId": {"UserId": user_id}}


def _alternate(external_id: ExternalId | None, unique: Mapping[str, str | None]) -> dict[str, Any]:
    """How a principal is looked up by something else than its id."""
    by: list[dict[str, Any]] = [
        {"UniqueAttribute": {"AttributePath": path, "AttributeValue": value}}
        for path, value in unique.items()
        if value is not None
    ]
    if external_id is not None:
        by.append({"ExternalId": {"Issuer": external_id.issuer, "Id": external_id.id}})
    if len(by) != 1:
        raise ValueError("give exactly one of userName, e-mail and externalId")
    return {"AlternateIdentifier": by[0]}


def _operations(set_: Attributes, remove: Iterable[str]) -> list[dict[str, Any]]:
    operations = store_operations(set_, remove)
    if not operations:
        raise ValueError("an update without any change: AWS refuses it")
    return operations


def _held(answer: Answer, asked: Iterable[str]) -> set[str]:
    """The groups of a call that hold the user.

    :raises Unavailable: AWS left one out, so that it is not known.
    """
    results = {one["group"]: one["held"] for one in read(IN_GROUPS, answer.body)["results"]}
    if unknown := set(asked) - results.keys():
        raise Unavailable(
            f"IsMemberInGroups: {len(unknown)} of the groups are not answered for",
            status=answer.status,
            request_id=answer.request_id,
        )
    return {group for group, held in results.items() if held}
