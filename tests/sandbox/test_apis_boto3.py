"""Every operation of the sandbox's APIs is driven by boto3, which knows nothing of this project.

Where moto implements the same operation, the same case runs on moto, an independent imitation of
AWS; what moto does otherwise is said at the case. The sections are those of the facts on Identity
Center (reference/identity-center.md).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from scim_bridge.sandbox.access import APPLICATION_ARN
from scim_bridge.sandbox.behaviour import IDENTITY_STORE_ID, INSTANCE_ARN, OWNER_ACCOUNT
from scim_bridge.sandbox.calls import OPERATIONS

NOBODY = "99999999-9999-4999-8999-999999999999"
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'
)
ENTERPRISE = "aws:identitystore:enterprise"
ADA = {
    "UserName": "ada",
    "Name": {"GivenName": "Ada", "FamilyName": "Lovelace", "HonorificPrefix": "Lady"},
    "DisplayName": "Ada Lovelace",
    "NickName": "Countess",
    "ProfileUrl": "https://example.com/ada",
    "Emails": [{"Value": "ada@example.com", "Type": "work", "Primary": True}],
    "Addresses": [{"StreetAddress": "St James's Square", "Locality": "London", "Type": "work"}],
    "PhoneNumbers": [{"Value": "+44 1", "Type": "work"}],
    "UserType": "Member",
    "Title": "Analyst",
    "PreferredLanguage": "en-GB",
    "Locale": "en-GB",
    "Timezone": "Europe/London",
}
NEWER = {
    "Roles": [{"Value": "author", "Type": "work", "Primary": True}],
    "Photos": [{"Value": "https://example.com/ada.png", "Type": "photo", "Primary": True}],
    "Website": "https://example.com",
    "Birthdate": "1815-12-10",
    "Extensions": {ENTERPRISE: {"department": "Engines", "manager": {"value": NOBODY}}},
}
NOT_IMPLEMENTED = "moto does not implement the operation"
SILENT = "moto passes over what is not there"

# How a case ends on moto where moto does otherwise.
OTHERWISE = (AssertionError, ClientError, NotImplementedError, KeyError, pytest.fail.Exception)
DRIVEN: set[str] = set()


@dataclass(frozen=True, kw_only=True)
class Place:
    """An Identity Center: the sandbox's, or moto's."""

    name: str
    apis: Any
    counted: Callable[[], dict[str, dict[str, int]]]
    account: str

    def permission_set(self, name: str = "Trial", **more: str) -> str:
        made = self.apis.sso.create_permission_set(**self.apis.instance, Name=name, **more)
        return made["PermissionSet"]["PermissionSetArn"]

    def assignment(self, permission_set: str, user_id: str) -> dict[str, str]:
        return {
            **self.apis.instance,
            "TargetId": self.account,
            "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": permission_set,
            "PrincipalType": "USER",
            "PrincipalId": user_id,
        }

    def assigned(self, permission_set: str, user_id: str) -> dict[str, str]:
        """What was asked for, once it is done."""
        asked = self.assignment(permission_set, user_id)
        begun = self.apis.sso.create_account_assignment(**asked)
        self.ended("AccountAssignmentCreation", begun)
        return asked

    def ended(self, kind: str, begun: dict[str, Any]) -> dict[str, Any]:
        """How something asynchronous ended, of which `begun` is the first answer."""
        name = "ProvisionPermissionSet" if kind == "PermissionSetProvisioning" else kind
        describe = {
            "AccountAssignmentCreation": self.apis.sso.describe_account_assignment_creation_status,
            "AccountAssignmentDeletion": self.apis.sso.describe_account_assignment_deletion_status,
            "PermissionSetProvisioning": self.apis.sso.describe_permission_set_provisioning_status,
        }[kind]
        request = {f"{name}RequestId": begun[f"{kind}Status"]["RequestId"]}
        status = describe(**self.apis.instance, **request)[f"{kind}Status"]
        while status["Status"] == "IN_PROGRESS":
            time.sleep(0.01)
            status = describe(**self.apis.instance, **request)[f"{kind}Status"]
        return status


@pytest.fixture(scope="module")
def apis_of_moto(connect):
    return connect()


@pytest.fixture(params=["sandbox", "moto"])
def place(request, sandbox, apis) -> Iterator[Place]:
    """Each in turn; both without anybody in them."""
    if request.param == "sandbox":
        sandbox.behave(assignment_seconds=0.02)
        yield Place(name="sandbox", apis=apis, counted=sandbox.calls, account=OWNER_ACCOUNT)
        return
    of_moto = request.getfixturevalue("apis_of_moto")
    with mock_aws():
        (instance,) = of_moto.sso.list_instances()["Instances"]
        ids = {
            "store_id": instance["IdentityStoreId"],
            "instance_arn": instance["InstanceArn"],
        }
        account = instance["OwnerAccountId"]
        yield Place(name="moto", apis=replace(of_moto, **ids), counted=dict, account=account)


def drives(*operations: str, moto: str | None = None) -> Callable[[Callable], Callable]:
    """Marks a case: which operations it drives, and why moto does otherwise, if it does.

    A reason that is none any more fails.
    """
    DRIVEN.update(operations)

    def keep(case: Callable[[Place], None]) -> Callable[[Place], None]:
        @wraps(case)
        def drive(place: Place) -> None:
            if place.name == "sandbox":
                case(place)
                counted = place.counted()
                assert [one for one in operations if "200" not in counted.get(one, {})] == []
            elif moto is None:
                case(place)
            else:
                with pytest.raises(OTHERWISE):
                    case(place)

        return drive

    return keep


@contextmanager
def refused(kind: str, **fields: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == kind
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert {name: response.get(name) for name in fields} == fields


def pages(client: Any, operation: str, items: str, size: int, **asked: Any) -> list[list[Any]]:
    """The pages of a list, as boto3's own paginator follows NextToken."""
    paginator = client.get_paginator(operation)
    found = paginator.paginate(**asked, PaginationConfig={"PageSize": size})
    return [page[items] for page in found]


def test_every_operation_is_driven():
    """A new operation of the sandbox needs a case here."""
    assert {f"{api}:{name}" for api, names in OPERATIONS.items() for name in names} == DRIVEN


# Users (3.2, 3.3)


@drives("identitystore:CreateUser", "identitystore:DescribeUser")
def test_a_user_is_made_and_described(place):
    """All attributes of the older API come back as they were sent (3.3). [documented]"""
    apis = place.apis
    made = apis.identitystore.create_user(**apis.store, **ADA)
    assert made["IdentityStoreId"] == apis.store_id
    found = apis.identitystore.describe_user(**apis.store, UserId=made["UserId"])
    assert {name: found[name] for name in ADA} == ADA


@drives(
    "identitystore:CreateUser",
    "identitystore:DescribeUser",
    "identitystore:ListUsers",
    moto="moto has none of the newer attributes",
)
def test_a_user_has_the_newer_attributes(place):
    """Extensions come only when they are asked for; stamps, ARN and revision do (3.3).
    [documented]
    """
    apis = place.apis
    user_id = apis.create_user(**{**ADA, **NEWER})
    asked = {**apis.store, "Extensions": [ENTERPRISE]}
    found = apis.identitystore.describe_user(**asked, UserId=user_id)
    assert {name: found[name] for name in NEWER} == NEWER
    assert (found["UserStatus"], found["Revision"]) == ("ENABLED", "1")
    assert found["UserArn"].endswith(user_id)
    assert found["CreatedAt"] == found["UpdatedAt"]
    assert "ExternalIds" not in found
    assert "Extensions" not in apis.identitystore.describe_user(**apis.store, UserId=user_id)
    (listed,) = apis.identitystore.list_users(**asked)["Users"]
    assert listed == {name: value for name, value in found.items() if name != "ResponseMetadata"}
    by_arn = apis.identitystore.describe_user(**apis.store, UserId=found["UserArn"])
    assert by_arn["UserId"] == user_id


@drives("identitystore:CreateUser")
def test_a_user_name_is_taken_once(place):
    """ConflictException, UNIQUENESS_CONSTRAINT_VIOLATION (3.6). [documented]"""
    place.apis.create_user("ada")
    with refused("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"):
        place.apis.create_user("ada")


@drives("identitystore:CreateUser", moto="moto looks at the user name only, and at its case")
def test_an_e_mail_is_taken_once_in_whatever_case(place):
    """E-mail addresses are unique (1.11); that case does not count is a switch. [inferred]"""
    place.apis.create_user("ada", Emails=[{"Value": "ada@example.com"}])
    with refused("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"):
        place.apis.create_user("bob", Emails=[{"Value": "ADA@example.com"}])
    with refused("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"):
        place.apis.create_user("Ada")


@drives("identitystore:CreateUser")
def test_a_user_needs_a_name_and_a_display_name(place):
    """Both are required with Identity Center, although the model has them optional (3.3).
    [documented]
    """
    for wrong in ({"DisplayName": ""}, {"Name": {"GivenName": "Ada"}}, {"Name": {}}):
        given = {**ADA, **wrong}
        if given["DisplayName"] == "":
            del given["DisplayName"]
        with refused("ValidationException"):
            place.apis.identitystore.create_user(**place.apis.store, **given)
    assert place.apis.create_user("ada")


@drives("identitystore:CreateUser", moto="moto holds no value to a pattern or a reserved name")
def test_a_user_s_values_are_held_to_the_model(place):
    """Patterns and lengths of the service model; "Administrator" and "AWSAdministrators" are
    reserved (CreateUser). [documented]
    """
    for wrong in (
        {"UserName": "a\tb"},
        {"UserName": "Administrator"},
        {"Emails": [{"Value": "a@example.com"}, {"Value": "b@example.com"}]},
        {"Title": "a\x01b"},
        {"Extensions": {ENTERPRISE: {"shoeSize": "7"}}},
    ):
        with refused("ValidationException"):
            place.apis.identitystore.create_user(**place.apis.store, **{**ADA, **wrong})
    assert place.apis.create_user("ada")


@drives("identitystore:ListUsers")
def test_users_are_listed_by_pages(place):
    """MaxResults and NextToken; every user once (3.2). [documented]"""
    apis = place.apis
    made = [apis.create_user(name) for name in ("ada", "bob", "carol")]
    found = pages(apis.identitystore, "list_users", "Users", 2, **apis.store)
    assert [len(page) for page in found] == [2, 1]
    assert {user["UserId"] for page in found for user in page} == set(made)


@drives("identitystore:ListUsers")
def test_a_user_is_found_by_the_deprecated_filter(place):
    """Filters has one entry, UserName, which is exact (3.2). [documented]"""
    apis = place.apis
    apis.create_user("ada")
    bob = apis.create_user("bob")
    for value, expected in (("bob", [bob]), ("bo", [])):
        wanted = [{"AttributePath": "UserName", "AttributeValue": value}]
        found = apis.identitystore.list_users(**apis.store, Filters=wanted)["Users"]
        assert [user["UserId"] for user in found] == expected


@drives("identitystore:GetUserId")
def test_a_user_s_id_is_found_by_a_unique_attribute(place):
    """userName and emails.value are the paths; nobody is a ResourceNotFoundException (3.5).
    [documented]
    """
    apis = place.apis
    user_id = apis.create_user(**ADA)

    def look(path: str, value: str) -> str:
        one = {"UniqueAttribute": {"AttributePath": path, "AttributeValue": value}}
        return apis.identitystore.get_user_id(**apis.store, AlternateIdentifier=one)["UserId"]

    assert look("userName", "ada") == look("emails.value", "ada@example.com") == user_id
    with refused("ResourceNotFoundException", ResourceType="USER"):
        look("userName", "bob")
    with refused("ValidationException"):
        look("displayName", "Ada Lovelace")


@drives("identitystore:UpdateUser", moto=NOT_IMPLEMENTED)
def test_a_user_is_updated_attribute_by_attribute(place):
    """Texts, parts of the name, whole lists and the extension; null removes (3.2). [documented
    paths; observed case; "add, replace, or remove"]
    """
    apis = place.apis
    user_id = apis.create_user(**{**ADA, **NEWER})
    apis.identitystore.update_user(
        **apis.store,
        UserId=user_id,
        Operations=[
            {"AttributePath": "displayName", "AttributeValue": "A. Lovelace"},
            {"AttributePath": "name.givenName", "AttributeValue": "Augusta"},
            {"AttributePath": "emails", "AttributeValue": [{"value": "new@example.com"}]},
            {"AttributePath": "title"},
            {"AttributePath": f"{ENTERPRISE}.department", "AttributeValue": "Notes"},
            {"AttributePath": f"{ENTERPRISE}.manager"},
        ],
    )
    asked = {**apis.store, "Extensions": [ENTERPRISE], "UserId": user_id}
    found = apis.identitystore.describe_user(**asked)
    assert (found["DisplayName"], found["Name"]["GivenName"]) == ("A. Lovelace", "Augusta")
    assert (found["Name"]["FamilyName"], found["Revision"]) == ("Lovelace", "2")
    assert found["Emails"] == [{"Value": "new@example.com"}]
    assert "Title" not in found
    assert found["Extensions"] == {ENTERPRISE: {"department": "Notes"}}


@drives("identitystore:UpdateUser", moto=NOT_IMPLEMENTED)
def test_an_update_is_done_whole_or_not_at_all(place):
    """A wrong path, a taken name or an old Revision changes nothing (3.2, 3.6). [documented]"""
    apis = place.apis
    apis.create_user("bob")
    user_id = apis.create_user(**ADA)
    first = {"AttributePath": "displayName", "AttributeValue": "Somebody"}

    def update(*more: dict[str, Any], **asked: str) -> None:
        apis.identitystore.update_user(
            **apis.store, UserId=user_id, Operations=[first, *more], **asked
        )

    for path in ("userStatus", "externalIds", "UserName", "shoeSize"):
        with refused("ValidationException"):
            update({"AttributePath": path, "AttributeValue": "x"})
    with refused("ValidationException"):
        update({"AttributePath": "userName"})
    with refused("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"):
        update({"AttributePath": "userName", "AttributeValue": "bob"})
    with refused("ConflictException", Reason="CONCURRENT_MODIFICATION"):
        update(Revision="7")
    found = apis.identitystore.describe_user(**apis.store, UserId=user_id)
    assert (found["DisplayName"], found["Revision"]) == ("Ada Lovelace", "1")
    update(Revision="1")
    found = apis.identitystore.describe_user(**apis.store, UserId=user_id)
    assert (found["DisplayName"], found["Revision"]) == ("Somebody", "2")


@drives("identitystore:DeleteUser", "identitystore:CreateUser")
def test_a_deleted_user_is_gone_and_the_name_is_free(place):
    """ResourceNotFoundException, ResourceType USER (3.6). [documented]"""
    apis = place.apis
    user_id = apis.create_user("ada")
    apis.identitystore.delete_user(**apis.store, UserId=user_id)
    with refused("ResourceNotFoundException", ResourceType="USER"):
        apis.identitystore.describe_user(**apis.store, UserId=user_id)
    assert apis.create_user("ada") != user_id


@drives("identitystore:DeleteUser", moto=f"{SILENT}, and has no Revision")
def test_nobody_cannot_be_deleted_nor_somebody_changed_since(place):
    """ResourceNotFoundException; an old Revision is CONCURRENT_MODIFICATION (3.2, 3.6).
    [documented]
    """
    apis = place.apis
    user_id = apis.create_user("ada")
    with refused("ResourceNotFoundException", ResourceType="USER", ResourceId=NOBODY):
        apis.identitystore.delete_user(**apis.store, UserId=NOBODY)
    with refused("ConflictException", Reason="CONCURRENT_MODIFICATION"):
        apis.identitystore.delete_user(**apis.store, UserId=user_id, Revision="2")
    apis.identitystore.delete_user(**apis.store, UserId=user_id, Revision="1")


# Groups (3.2, 3.3)


@drives("identitystore:CreateGroup", "identitystore:DescribeGroup")
def test_a_group_is_made_and_described(place):
    """DisplayName and Description (3.3); another of the name is a conflict (3.6). [documented]"""
    apis = place.apis
    group_id = apis.create_group("Engineers", Description="They build")
    found = apis.identitystore.describe_group(**apis.store, GroupId=group_id)
    assert (found["DisplayName"], found["Description"]) == ("Engineers", "They build")
    with refused("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"):
        apis.create_group("Engineers")
    with refused("ResourceNotFoundException", ResourceType="GROUP"):
        apis.identitystore.describe_group(**apis.store, GroupId=NOBODY)


@drives("identitystore:ListGroups")
def test_groups_are_listed_by_pages_and_by_name(place):
    """NextToken, and the deprecated filter on DisplayName (3.2). [documented]"""
    apis = place.apis
    made = [apis.create_group(name) for name in ("A", "B", "C")]
    found = pages(apis.identitystore, "list_groups", "Groups", 2, **apis.store)
    assert [len(page) for page in found] == [2, 1]
    assert {group["GroupId"] for page in found for group in page} == set(made)
    wanted = [{"AttributePath": "DisplayName", "AttributeValue": "B"}]
    (group,) = apis.identitystore.list_groups(**apis.store, Filters=wanted)["Groups"]
    assert group["GroupId"] == made[1]


@drives("identitystore:GetGroupId")
def test_a_group_s_id_is_found_by_its_name(place):
    """displayName is the path (3.5). [documented]"""
    apis = place.apis
    group_id = apis.create_group("Engineers")

    def look(value: str) -> str:
        one = {"UniqueAttribute": {"AttributePath": "displayName", "AttributeValue": value}}
        return apis.identitystore.get_group_id(**apis.store, AlternateIdentifier=one)["GroupId"]

    assert look("Engineers") == group_id
    with refused("ResourceNotFoundException", ResourceType="GROUP"):
        look("Pilots")


@drives("identitystore:UpdateGroup", moto=NOT_IMPLEMENTED)
def test_a_group_is_updated(place):
    """displayName and description, with the lock by Revision (3.2). [documented]"""
    apis = place.apis
    group_id = apis.create_group("Engineers", Description="They build")

    def update(path: str, value: str | None, **asked: str) -> None:
        operation = {"AttributePath": path, "AttributeValue": value}
        given = {name: one for name, one in operation.items() if one is not None}
        apis.identitystore.update_group(**apis.store, GroupId=group_id, Operations=[given], **asked)

    update("displayName", "Builders", Revision="1")
    update("description", None)
    with refused("ConflictException", Reason="CONCURRENT_MODIFICATION"):
        update("displayName", "Pilots", Revision="1")
    with refused("ValidationException"):
        update("members", "x")
    with refused("ValidationException"):
        update("displayName", None)
    found = apis.identitystore.describe_group(**apis.store, GroupId=group_id)
    assert (found["DisplayName"], found["Revision"]) == ("Builders", "3")
    assert "Description" not in found
    assert apis.create_group("Engineers") != group_id


@drives("identitystore:DeleteGroup")
def test_a_deleted_group_is_gone(place):
    """ResourceNotFoundException, ResourceType GROUP (3.6). [documented]"""
    apis = place.apis
    group_id = apis.create_group("Engineers")
    apis.identitystore.delete_group(**apis.store, GroupId=group_id)
    with refused("ResourceNotFoundException", ResourceType="GROUP"):
        apis.identitystore.describe_group(**apis.store, GroupId=group_id)
    assert apis.create_group("Engineers") != group_id


# Memberships (3.2)


@drives(
    "identitystore:CreateGroupMembership",
    "identitystore:DescribeGroupMembership",
    "identitystore:GetGroupMembershipId",
    "identitystore:IsMemberInGroups",
)
def test_a_membership_is_made_and_found(place):
    """One membership by its id, by its group and member, and by the question (3.2).
    [documented]
    """
    apis = place.apis
    user_id, group_id, other = apis.create_user(), apis.create_group(), apis.create_group("Other")
    member, store = {"UserId": user_id}, apis.identitystore
    made = apis.join(group_id, user_id)
    found = store.describe_group_membership(**apis.store, MembershipId=made)
    assert (found["GroupId"], found["MemberId"]) == (group_id, member)
    one = store.get_group_membership_id(**apis.store, GroupId=group_id, MemberId=member)
    assert one["MembershipId"] == made
    asked = store.is_member_in_groups(**apis.store, MemberId=member, GroupIds=[group_id, other])
    assert [result["MembershipExists"] for result in asked["Results"]] == [True, False]
    with refused("ResourceNotFoundException", ResourceType="GROUP_MEMBERSHIP"):
        store.get_group_membership_id(**apis.store, GroupId=other, MemberId=member)


@drives("identitystore:CreateGroupMembership")
def test_only_who_exists_joins_what_exists(place):
    """ResourceNotFoundException with the ResourceType that is missing (3.6). [documented]"""
    apis = place.apis
    user_id, group_id = apis.create_user(), apis.create_group()
    with refused("ResourceNotFoundException", ResourceType="USER"):
        apis.join(group_id, NOBODY)
    with refused("ResourceNotFoundException", ResourceType="GROUP"):
        apis.join(NOBODY, user_id)
    assert apis.join(group_id, user_id)


@drives("identitystore:CreateGroupMembership", moto="moto makes a second membership")
def test_nobody_joins_twice(place):
    """ConflictException, UNIQUENESS_CONSTRAINT_VIOLATION (3.6). [documented]"""
    user_id, group_id = place.apis.create_user(), place.apis.create_group()
    place.apis.join(group_id, user_id)
    with refused("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"):
        place.apis.join(group_id, user_id)


@drives("identitystore:ListGroupMemberships", "identitystore:ListGroupMembershipsForMember")
def test_memberships_are_listed_from_both_ends(place):
    """By group and by member, each by pages (3.2). [documented]"""
    apis = place.apis
    users = [apis.create_user(name) for name in ("ada", "bob", "carol")]
    groups = [apis.create_group(name) for name in ("A", "B", "C")]
    for user_id in users:
        apis.join(groups[0], user_id)
    for group_id in groups[1:]:
        apis.join(group_id, users[0])
    client = apis.identitystore
    of_group = pages(
        client, "list_group_memberships", "GroupMemberships", 2, **apis.store, GroupId=groups[0]
    )
    assert [len(page) for page in of_group] == [2, 1]
    assert {one["MemberId"]["UserId"] for page in of_group for one in page} == set(users)
    of_user = pages(
        client,
        "list_group_memberships_for_member",
        "GroupMemberships",
        2,
        **apis.store,
        MemberId={"UserId": users[0]},
    )
    assert [len(page) for page in of_user] == [2, 1]
    assert {one["GroupId"] for page in of_user for one in page} == set(groups)


@drives("identitystore:DeleteGroupMembership", "identitystore:ListGroupMemberships")
def test_who_left_is_no_member(place):
    """DeleteGroupMembership needs the MembershipId (3.2). [documented]"""
    apis = place.apis
    user_id, group_id = apis.create_user(), apis.create_group()
    made = apis.join(group_id, user_id)
    apis.identitystore.delete_group_membership(**apis.store, MembershipId=made)
    listed = apis.identitystore.list_group_memberships(**apis.store, GroupId=group_id)
    assert listed["GroupMemberships"] == []
    with refused("ResourceNotFoundException", ResourceType="GROUP_MEMBERSHIP"):
        apis.identitystore.describe_group_membership(**apis.store, MembershipId=made)
    assert apis.join(group_id, user_id) != made


@drives(
    "identitystore:DeleteUser",
    "identitystore:DeleteGroup",
    "identitystore:ListGroupMemberships",
    moto="moto keeps the memberships of the deleted",
)
def test_memberships_end_with_their_user_and_with_their_group(place):
    """Neither list has them any more, nor has their id a meaning (1.11). [documented for SCIM]"""
    apis = place.apis
    ada, bob = apis.create_user("ada"), apis.create_user("bob")
    kept, deleted = apis.create_group("kept"), apis.create_group("deleted")
    made = [apis.join(kept, ada), apis.join(deleted, bob)]
    apis.identitystore.delete_user(**apis.store, UserId=ada)
    apis.identitystore.delete_group(**apis.store, GroupId=deleted)
    listed = apis.identitystore.list_group_memberships(**apis.store, GroupId=kept)
    assert listed["GroupMemberships"] == []
    member = {"UserId": bob}
    listed = apis.identitystore.list_group_memberships_for_member(**apis.store, MemberId=member)
    assert listed["GroupMemberships"] == []
    for one in made:
        with refused("ResourceNotFoundException", ResourceType="GROUP_MEMBERSHIP"):
            apis.identitystore.describe_group_membership(**apis.store, MembershipId=one)
        with refused("ResourceNotFoundException", ResourceType="GROUP_MEMBERSHIP"):
            apis.identitystore.delete_group_membership(**apis.store, MembershipId=one)


# Instances and permission sets (4)


@drives("sso:ListInstances")
def test_the_instance_is_listed(place):
    """ARN, identity store, owner and status (4). [documented]"""
    (found,) = place.apis.sso.list_instances()["Instances"]
    assert found["InstanceArn"] == place.apis.instance_arn
    assert found["IdentityStoreId"] == place.apis.store_id
    assert (found["OwnerAccountId"], found["Status"]) == (place.account, "ACTIVE")


@drives("sso:DescribeInstance", moto=NOT_IMPLEMENTED)
def test_the_instance_is_described(place):
    """Another instance is a ResourceNotFoundException (4). [documented]"""
    found = place.apis.sso.describe_instance(InstanceArn=INSTANCE_ARN)
    assert (found["IdentityStoreId"], found["Status"]) == (IDENTITY_STORE_ID, "ACTIVE")
    with refused("ResourceNotFoundException"):
        place.apis.sso.describe_instance(InstanceArn=INSTANCE_ARN.replace("0123", "9999"))


@drives("sso:CreatePermissionSet", "sso:DescribePermissionSet", "sso:ListPermissionSets")
def test_a_permission_set_is_made_described_and_listed(place):
    """The list has ARNs only (4). [documented]"""
    apis = place.apis
    before = apis.sso.list_permission_sets(**apis.instance)["PermissionSets"]
    given = {"Description": "For a trial", "SessionDuration": "PT8H", "RelayState": "https://a.io"}
    made = [place.permission_set("Trial", **given), place.permission_set("Other")]
    asked = {**apis.instance, "PermissionSetArn": made[0]}
    found = apis.sso.describe_permission_set(**asked)["PermissionSet"]
    assert found | {"Name": "Trial", "PermissionSetArn": made[0], **given} == found
    listed = pages(apis.sso, "list_permission_sets", "PermissionSets", 1, **apis.instance)
    assert [one for page in listed for one in page] == [*before, *made]
    assert {len(page) for page in listed} == {1}


@drives(
    "sso:CreatePermissionSet", "sso:DescribePermissionSet", moto="moto takes a name twice, for 3600"
)
def test_a_permission_set_s_name_is_taken_once(place):
    """ConflictException (4); a session is one hour unless something else is asked for (API
    reference, CreatePermissionSet). [documented]
    """
    apis = place.apis
    made = place.permission_set("Trial")
    asked = {**apis.instance, "PermissionSetArn": made}
    found = apis.sso.describe_permission_set(**asked)["PermissionSet"]
    assert found["SessionDuration"] == "PT1H"
    with refused("ConflictException"):
        place.permission_set("Trial")


@drives("sso:DeletePermissionSet")
def test_a_deleted_permission_set_is_gone(place):
    """ResourceNotFoundException (4). [documented]"""
    apis = place.apis
    asked = {**apis.instance, "PermissionSetArn": place.permission_set()}
    apis.sso.delete_permission_set(**asked)
    with refused("ResourceNotFoundException"):
        apis.sso.describe_permission_set(**asked)
    with refused("ResourceNotFoundException"):
        apis.sso.delete_permission_set(**asked)


@drives("sso:DeletePermissionSet", moto="moto deletes what is assigned")
def test_a_permission_set_in_use_cannot_be_deleted(place):
    """ConflictException; after the last removal it can. [inferred]"""
    apis = place.apis
    permission_set = place.permission_set()
    asked = place.assigned(permission_set, apis.create_user())
    the_set = {**apis.instance, "PermissionSetArn": permission_set}
    with refused("ConflictException"):
        apis.sso.delete_permission_set(**the_set)
    begun = apis.sso.delete_account_assignment(**asked)
    place.ended("AccountAssignmentDeletion", begun)
    apis.sso.delete_permission_set(**the_set)


@drives("sso:ListManagedPoliciesInPermissionSet")
def test_managed_policies_are_listed(place):
    """Name and ARN of each (API reference, AttachedManagedPolicy). [documented]"""
    apis, arn = place.apis, "arn:aws:iam::aws:policy/AdministratorAccess"
    asked = {**apis.instance, "PermissionSetArn": _administrators(place, arn)}
    found = apis.sso.list_managed_policies_in_permission_set(**asked)
    assert found["AttachedManagedPolicies"] == [{"Name": "AdministratorAccess", "Arn": arn}]


def _administrators(place: Place, policy: str) -> str:
    """The sandbox has such a permission set, and moto has none."""
    apis = place.apis
    if place.name == "sandbox":
        return apis.sso.list_permission_sets(**apis.instance)["PermissionSets"][0]
    made = place.permission_set("AdministratorAccess")
    apis.sso.attach_managed_policy_to_permission_set(
        **apis.instance, PermissionSetArn=made, ManagedPolicyArn=policy
    )
    return made


@drives("sso:ListCustomerManagedPolicyReferencesInPermissionSet")
def test_a_permission_set_has_no_customer_managed_policies(place):
    """An empty list is a list (API reference). [documented]"""
    apis = place.apis
    asked = {**apis.instance, "PermissionSetArn": place.permission_set()}
    found = apis.sso.list_customer_managed_policy_references_in_permission_set(**asked)
    assert found["CustomerManagedPolicyReferences"] == []


@drives(
    "sso:GetInlinePolicyForPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
    "sso:DeleteInlinePolicyFromPermissionSet",
)
def test_an_inline_policy_is_put_read_and_deleted(place):
    """One for each permission set (5); none is an empty text. [observed by clients]"""
    apis = place.apis
    asked = {**apis.instance, "PermissionSetArn": place.permission_set()}

    def policy() -> str:
        return apis.sso.get_inline_policy_for_permission_set(**asked)["InlinePolicy"]

    assert policy() == ""
    apis.sso.put_inline_policy_to_permission_set(**asked, InlinePolicy=POLICY)
    assert policy() == POLICY
    apis.sso.delete_inline_policy_from_permission_set(**asked)
    assert policy() == ""


@drives("sso:PutInlinePolicyToPermissionSet", moto="moto takes every text for a policy")
def test_an_inline_policy_is_a_policy_and_not_too_long(place):
    """At most 10,240 characters that are not white space (5). [documented]"""
    apis = place.apis
    asked = {**apis.instance, "PermissionSetArn": place.permission_set()}
    for wrong in ("no policy", "{}", '{"Statement": []}', "[]"):
        with refused("ValidationException"):
            apis.sso.put_inline_policy_to_permission_set(**asked, InlinePolicy=wrong)
    room = 10_240 - len("".join(POLICY.split())) + len("Deny")
    fits = POLICY.replace("Deny", "x" * room) + " " * 100
    apis.sso.put_inline_policy_to_permission_set(**asked, InlinePolicy=fits)
    with refused("ServiceQuotaExceededException"):
        apis.sso.put_inline_policy_to_permission_set(
            **asked, InlinePolicy=fits.replace("xx", "xxx", 1)
        )


# Assignments (4)


@drives(
    "sso:CreateAccountAssignment",
    "sso:DescribeAccountAssignmentCreationStatus",
    "sso:ListAccountAssignments",
)
def test_an_assignment_is_made(place):
    """It is listed once its status is SUCCEEDED (4). [documented]"""
    apis = place.apis
    user_id, permission_set = apis.create_user(), place.permission_set()
    begun = apis.sso.create_account_assignment(**place.assignment(permission_set, user_id))
    ended = place.ended("AccountAssignmentCreation", begun)
    assert ended["Status"] == "SUCCEEDED"
    assert ended["RequestId"] == begun["AccountAssignmentCreationStatus"]["RequestId"]
    asked = place.assignment(permission_set, user_id).items() - apis.instance.items()
    assert ended.items() >= asked
    listed = apis.sso.list_account_assignments(
        **apis.instance, AccountId=place.account, PermissionSetArn=permission_set
    )
    row = {
        "AccountId": place.account,
        "PermissionSetArn": permission_set,
        "PrincipalType": "USER",
        "PrincipalId": user_id,
    }
    assert listed["AccountAssignments"] == [row]


@drives("sso:CreateAccountAssignment", moto="everything is done at once on moto")
def test_an_assignment_takes_a_while(place):
    """IN_PROGRESS first, then SUCCEEDED (4). [documented]"""
    apis = place.apis
    user_id, permission_set = apis.create_user(), place.permission_set()
    asked = place.assignment(permission_set, user_id)
    begun = apis.sso.create_account_assignment(**asked)
    status = begun["AccountAssignmentCreationStatus"]
    assert status["Status"] == "IN_PROGRESS"
    assert "FailureReason" not in status
    assert place.ended("AccountAssignmentCreation", begun)["Status"] == "SUCCEEDED"


@drives(
    "sso:DeleteAccountAssignment",
    "sso:DescribeAccountAssignmentDeletionStatus",
    "sso:ListAccountAssignments",
)
def test_an_assignment_is_removed(place):
    """Asynchronously, too; what is not assigned is a ResourceNotFoundException (4).
    [documented / the latter inferred]
    """
    apis = place.apis
    permission_set = place.permission_set()
    asked = place.assigned(permission_set, apis.create_user())
    begun = apis.sso.delete_account_assignment(**asked)
    assert place.ended("AccountAssignmentDeletion", begun)["Status"] == "SUCCEEDED"
    listed = apis.sso.list_account_assignments(
        **apis.instance, AccountId=place.account, PermissionSetArn=permission_set
    )
    assert listed["AccountAssignments"] == []
    with refused("ResourceNotFoundException"):
        apis.sso.delete_account_assignment(**asked)


@drives("sso:CreateAccountAssignment", moto="moto looks neither at principal, set nor account")
def test_only_who_exists_is_assigned_what_exists(place):
    """ResourceNotFoundException (4). [documented error / inferred that it comes at once]"""
    apis = place.apis
    user_id, permission_set = apis.create_user(), place.permission_set()
    asked = place.assignment(permission_set, user_id)
    for wrong in (
        {"PrincipalId": NOBODY},
        {"PrincipalType": "GROUP"},
        {"TargetId": "999999999999"},
        {"PermissionSetArn": permission_set[:-4] + "9999"},
    ):
        with refused("ResourceNotFoundException"):
            apis.sso.create_account_assignment(**{**asked, **wrong})
    apis.sso.create_account_assignment(**asked)


@drives("sso:ListAccountAssignmentCreationStatus", moto="it lists no requests")
def test_creations_are_listed_by_status_without_their_principal(place):
    """The status of one request alone says whose it is (4). [documented]"""
    apis = place.apis
    begun = apis.sso.create_account_assignment(
        **place.assignment(place.permission_set(), apis.create_user())
    )
    place.ended("AccountAssignmentCreation", begun)
    found = {
        status: apis.sso.list_account_assignment_creation_status(
            **apis.instance, Filter={"Status": status}
        )["AccountAssignmentsCreationStatus"]
        for status in ("IN_PROGRESS", "SUCCEEDED")
    }
    [shown] = found["SUCCEEDED"]
    assert shown.keys() == {"Status", "RequestId", "CreatedDate"}
    assert shown["RequestId"] == begun["AccountAssignmentCreationStatus"]["RequestId"]
    assert found["IN_PROGRESS"] == []


@drives("sso:DescribeAccountAssignmentCreationStatus")
def test_a_status_that_nobody_asked_for_is_not_found(place):
    """A request's id counts for its kind of change (4). [documented]"""
    apis = place.apis
    begun = apis.sso.create_account_assignment(
        **place.assignment(place.permission_set(), apis.create_user())
    )
    place.ended("AccountAssignmentCreation", begun)
    request_id = begun["AccountAssignmentCreationStatus"]["RequestId"]
    with refused("ResourceNotFoundException"):
        apis.sso.describe_account_assignment_creation_status(
            **apis.instance, AccountAssignmentCreationRequestId=NOBODY
        )
    with refused("ResourceNotFoundException"):
        apis.sso.describe_account_assignment_deletion_status(
            **apis.instance, AccountAssignmentDeletionRequestId=request_id
        )


@drives("sso:ListAccountAssignmentsForPrincipal")
def test_somebody_s_assignments_are_listed(place):
    """By pages, and of one account by Filter.AccountId (4). [documented]"""
    apis = place.apis
    ada, bob = apis.create_user("ada"), apis.create_user("bob")
    sets = [place.permission_set(name) for name in ("A", "B", "C")]
    for permission_set in sets:
        place.assigned(permission_set, ada)
    place.assigned(sets[0], bob)
    asked = {**apis.instance, "PrincipalType": "USER", "PrincipalId": ada}
    listed = pages(
        apis.sso, "list_account_assignments_for_principal", "AccountAssignments", 2, **asked
    )
    assert [len(page) for page in listed] == [2, 1]
    assert {one["PermissionSetArn"] for page in listed for one in page} == set(sets)
    assert {one["PrincipalId"] for page in listed for one in page} == {ada}
    elsewhere = apis.sso.list_account_assignments_for_principal(
        **asked, Filter={"AccountId": "222233334444"}
    )
    assert elsewhere["AccountAssignments"] == []


@drives(
    "sso:ProvisionPermissionSet",
    "sso:ListAccountsForProvisionedPermissionSet",
    "sso:ListPermissionSetsProvisionedToAccount",
)
def test_a_permission_set_is_provisioned_to_an_account(place):
    """Afterwards both lists have it (4). [documented]"""
    apis = place.apis
    asked = {**apis.instance, "PermissionSetArn": place.permission_set()}
    account = {**apis.instance, "AccountId": place.account}

    def found() -> tuple[list[str], list[str]]:
        accounts = apis.sso.list_accounts_for_provisioned_permission_set(**asked)
        sets = apis.sso.list_permission_sets_provisioned_to_account(**account)
        return accounts.get("AccountIds"), sets.get("PermissionSets")

    assert found() == ([], [])
    apis.sso.provision_permission_set(**asked, TargetType="AWS_ACCOUNT", TargetId=place.account)
    if place.name == "sandbox":
        time.sleep(0.03)
    assert found() == ([place.account], [asked["PermissionSetArn"]])


@drives(
    "sso:ProvisionPermissionSet",
    "sso:DescribePermissionSetProvisioningStatus",
    moto="moto provisions nothing by an assignment and has no status",
)
def test_a_changed_inline_policy_reaches_the_accounts_by_a_provisioning(place):
    """CreateAccountAssignment provisions by itself; a later change needs ProvisionPermissionSet
    (4). [documented]
    """
    apis = place.apis
    permission_set = place.permission_set()
    place.assigned(permission_set, apis.create_user())
    asked = {**apis.instance, "PermissionSetArn": permission_set}

    def accounts(status: str) -> list[str]:
        found = apis.sso.list_accounts_for_provisioned_permission_set(
            **asked, ProvisioningStatus=f"LATEST_PERMISSION_SET_{status}"
        )
        sets = apis.sso.list_permission_sets_provisioned_to_account(
            **apis.instance,
            AccountId=place.account,
            ProvisioningStatus=f"LATEST_PERMISSION_SET_{status}",
        )
        assert bool(found["AccountIds"]) == bool(sets["PermissionSets"])
        return found["AccountIds"]

    assert (accounts("PROVISIONED"), accounts("NOT_PROVISIONED")) == ([place.account], [])
    apis.sso.put_inline_policy_to_permission_set(**asked, InlinePolicy=POLICY)
    assert (accounts("PROVISIONED"), accounts("NOT_PROVISIONED")) == ([], [place.account])
    begun = apis.sso.provision_permission_set(**asked, TargetType="ALL_PROVISIONED_ACCOUNTS")
    assert place.ended("PermissionSetProvisioning", begun)["Status"] == "SUCCEEDED"
    assert (accounts("PROVISIONED"), accounts("NOT_PROVISIONED")) == ([place.account], [])
    with refused("ValidationException"):
        apis.sso.provision_permission_set(**asked, TargetType="AWS_ACCOUNT")


# Applications (4)


@drives("sso:ListApplications", moto=NOT_IMPLEMENTED)
def test_applications_are_listed(place):
    """At most 50 a page, and by account or provider (4). [documented]"""
    apis = place.apis
    (found,) = apis.sso.list_applications(**apis.instance)["Applications"]
    assert (found["ApplicationArn"], found["Status"]) == (APPLICATION_ARN, "ENABLED")
    for wanted, count in ((OWNER_ACCOUNT, 1), ("222233334444", 0)):
        asked = {**apis.instance, "Filter": {"ApplicationAccount": wanted}}
        assert len(apis.sso.list_applications(**asked)["Applications"]) == count


@drives(
    "sso:CreateApplicationAssignment",
    "sso:DeleteApplicationAssignment",
    "sso:ListApplicationAssignments",
    "sso:ListApplicationAssignmentsForPrincipal",
    moto=NOT_IMPLEMENTED,
)
def test_applications_are_assigned_at_once(place):
    """There is no status object (4). [documented]"""
    apis = place.apis
    group_id = apis.create_group()
    grant = {
        "ApplicationArn": APPLICATION_ARN,
        "PrincipalType": "GROUP",
        "PrincipalId": group_id,
    }
    principal = {"PrincipalType": "GROUP", "PrincipalId": group_id}

    def listed() -> list[Any]:
        by_application = apis.sso.list_application_assignments(ApplicationArn=APPLICATION_ARN)
        by_principal = apis.sso.list_application_assignments_for_principal(
            **apis.instance, **principal, Filter={"ApplicationArn": APPLICATION_ARN}
        )
        rows = by_application["ApplicationAssignments"]
        assert rows == by_principal["ApplicationAssignments"]
        return rows

    apis.sso.create_application_assignment(**grant)
    assert listed() == [grant]
    apis.sso.delete_application_assignment(**grant)
    assert listed() == []
    with refused("ResourceNotFoundException"):
        apis.sso.delete_application_assignment(**grant)
    with refused("ResourceNotFoundException"):
        apis.sso.create_application_assignment(**{**grant, "PrincipalId": NOBODY})
    with refused("ResourceNotFoundException"):
        apis.sso.create_application_assignment(
            **{**grant, "ApplicationArn": f"{APPLICATION_ARN[:-1]}9"}
        )


# Organizations and STS (4)


@drives("organizations:ListAccounts")
def test_accounts_are_listed(place):
    """The owner of the instance is among them; by pages (4). [documented]"""
    organizations = place.apis.organizations
    if place.name == "moto":
        organizations.create_organization(FeatureSet="ALL")
        organizations.create_account(AccountName="Sandbox", Email="sandbox@example.com")
    listed = pages(organizations, "list_accounts", "Accounts", 1)
    found = {account["Id"]: account for page in listed for account in page}
    assert place.account in found
    assert len(found) == len(listed) > 1
    assert {account["Status"] for account in found.values()} == {"ACTIVE"}
    for account in found.values():
        assert account["Arn"].endswith(account["Id"])
        assert {"Name", "Email", "JoinedMethod", "JoinedTimestamp"} <= account.keys()


@drives("sts:GetCallerIdentity")
def test_the_caller_is_told(place):
    """Account, ARN and id (STS API reference, GetCallerIdentity). [documented]"""
    found = place.apis.sts.get_caller_identity()
    assert found["Account"] == place.account
    assert f"::{place.account}:" in found["Arn"]
    assert found["UserId"]
