"""The clients of AWS's APIs: each request and each answer is held to botocore's service models."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
import requests
import responses
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.errors import (
    AccessDenied,
    Conflict,
    DoorClosed,
    Missing,
    QuotaExceeded,
    Refused,
    SettingsError,
    TargetError,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.api_operations import OPERATIONS
from scim_bridge.identity_center.api_payloads import (
    Account,
    AccountAssignment,
    Application,
    ApplicationAssignment,
    AssignmentStatus,
    ExternalId,
    Identity,
    Instance,
    Membership,
    PermissionSet,
    ProvisioningStatus,
    read_store_user,
    store_operations,
    store_user,
)
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.credentials import Keys
from scim_bridge.identity_center.payloads import ENTERPRISE, read_user, user_body
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant
from scim_bridge.plan.state import Principal
from tests.identity_center.models import operation_model, problems_of, sample

STORE = "d-1234567890"
INSTANCE = "arn:aws:sso:::instance/ssoins-1234567890abcdef"
SET = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1234567890abcdef"
APP = "arn:aws:sso::111122223333:application/ssoins-1234567890abcdef/apl-1234567890abcdef"
USER = "11111111-1111-4111-8111-111111111111"
GROUP = "22222222-2222-4222-8222-222222222222"
ONE = "33333333-3333-4333-8333-333333333333"
GRANT = AccountGrant(account="111122223333", permission_set=SET)
USE = ApplicationGrant(application=APP)
NAMES = {"userName": "ada", "displayName": "Ada", "name.givenName": "A", "name.familyName": "L"}

Settings = Callable[..., Any]
Ask = Callable[[Apis], Any]


class Aws:
    """An AWS that answers every JSON call with a sample of its model, unless told otherwise."""

    def __init__(self, wire: responses.RequestsMock) -> None:
        self.wire = wire
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.requests: list[requests.PreparedRequest] = []
        self.answers: dict[str, list[Any]] = {}
        wire.add_callback(responses.POST, re.compile(".*"), self._answer)

    def say(self, operation: str, *answers: Any) -> None:
        """What to answer to the next calls: a body, or (status, headers, body)."""
        self.answers[operation] = list(answers)

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        target = request.headers["X-Amz-Target"]
        operation, body = operation_model(target), json.loads(request.body)
        assert problems_of(operation, body) == ""
        assert request.headers["Content-Type"] == "application/x-amz-json-1.1"
        self.asked.append((operation.name, body))
        self.requests.append(request)
        told = self.answers.get(operation.name)
        answer = told.pop(0) if told else sample(operation.output_shape)
        status, headers, shown = answer if isinstance(answer, tuple) else (200, {}, answer)
        return status, {"x-amzn-RequestId": "r-1", **headers}, json.dumps(shown)


@pytest.fixture(name="aws")
def _aws() -> Iterator[Aws]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        yield Aws(wire)


@pytest.fixture(name="apis")
def _apis(settings: Settings) -> Apis:
    return connect_apis(settings(identity_store_id=STORE, instance_arn=INSTANCE))


def error(name: str, *, status: int = 400, **members: Any) -> tuple[int, dict[str, str], Any]:
    return status, {}, {"__type": f"com.amazonaws#{name}", "Message": "as AWS says", **members}


# --- Every method against the models ------------------------------------------------------------

PERMISSION_SET = PermissionSet(
    arn="the PermissionSetArn",
    name="the Name",
    description="the Description",
    session_seconds=8 * 3600 + 30 * 60,
)
FOUND = Instance(
    arn="the InstanceArn",
    identity_store_id="the IdentityStoreId",
    owner="111122223333",
    name="the Name",
    status="ACTIVE",
    primary_region="the PrimaryRegion",
)
STATUS = AssignmentStatus(
    request_id="the RequestId",
    state="SUCCEEDED",
    failure_reason="the FailureReason",
    principal="the PrincipalId",
)
LISTED = AssignmentStatus(request_id="the RequestId", state="SUCCEEDED")
ASSIGNMENT = AccountAssignment(
    kind="group",
    principal="the PrincipalId",
    grant=AccountGrant(account="111122223333", permission_set="the PermissionSetArn"),
)
APPLICATION_ASSIGNMENT = ApplicationAssignment(
    kind="group",
    principal="the PrincipalId",
    grant=ApplicationGrant(application="the ApplicationArn"),
)
MEMBERSHIP = Membership(id="the MembershipId", group="the GroupId", user="the UserId")
# What is called, and what it makes of the sample of its answer. None: written, and no id.
CALLS: dict[str, tuple[Ask, Any]] = {
    "ListUsers": (lambda a: [one.id for one in a.identity_store.list_users()], ["the UserId"]),
    "DescribeUser": (lambda a: a.identity_store.describe_user(USER).external_id, "the Id"),
    "DescribeUser for its externalIds": (
        lambda a: a.identity_store.external_ids_of(USER),
        (ExternalId(issuer="the Issuer", id="the Id"),),
    ),
    "GetUserId by name": (lambda a: a.identity_store.find_user_id(user_name="ada"), "the UserId"),
    "GetUserId by e-mail": (
        lambda a: a.identity_store.find_user_id(email="ada@example.com"),
        "the UserId",
    ),
    "GetUserId by externalId": (
        lambda a: a.identity_store.find_user_id(external_id=ExternalId(issuer="i", id="x")),
        "the UserId",
    ),
    "CreateUser": (lambda a: a.identity_store.create_user(NAMES).id, "the UserId"),
    "UpdateUser": (
        lambda a: a.identity_store.update_user(USER, {"title": "Countess"}, ["nickName"]).id,
        None,
    ),
    "DeleteUser": (lambda a: a.identity_store.delete_user(USER).id, None),
    "ListGroups": (
        lambda a: [one.attributes for one in a.identity_store.list_groups()],
        [{"displayName": "the DisplayName", "description": "the Description"}],
    ),
    "DescribeGroup": (lambda a: a.identity_store.describe_group(GROUP).id, "the GroupId"),
    "GetGroupId": (lambda a: a.identity_store.find_group_id("admins"), "the GroupId"),
    "CreateGroup": (
        lambda a: a.identity_store.create_group({"displayName": "x", "description": "y"}).id,
        "the GroupId",
    ),
    "UpdateGroup": (
        lambda a: a.identity_store.update_group(GROUP, {"displayName": "x"}, ["description"]).id,
        None,
    ),
    "DeleteGroup": (lambda a: a.identity_store.delete_group(GROUP).id, None),
    "ListGroupMemberships": (
        lambda a: list(a.identity_store.list_memberships(GROUP)),
        [MEMBERSHIP],
    ),
    "ListGroupMembershipsForMember": (
        lambda a: list(a.identity_store.list_memberships_of(USER)),
        [MEMBERSHIP],
    ),
    "GetGroupMembershipId": (
        lambda a: a.identity_store.find_membership_id(GROUP, USER),
        "the MembershipId",
    ),
    "CreateGroupMembership": (
        lambda a: a.identity_store.create_membership(GROUP, USER).id,
        "the MembershipId",
    ),
    "DeleteGroupMembership": (lambda a: a.identity_store.delete_membership(ONE).id, None),
    "IsMemberInGroups": (
        lambda a: a.identity_store.is_member_in_groups(USER, ["the GroupId"]),
        frozenset({"the GroupId"}),
    ),
    "ListInstances": (lambda a: a.site.instances(), (FOUND,)),
    "DescribeInstance": (lambda a: a.sso_admin.describe_instance(), FOUND),
    "ListPermissionSets": (
        lambda a: list(a.sso_admin.list_permission_sets()),
        ["the PermissionSets"],
    ),
    "DescribePermissionSet": (
        lambda a: a.sso_admin.describe_permission_set(SET),
        PERMISSION_SET,
    ),
    "CreateAccountAssignment": (
        lambda a: a.sso_admin.create_account_assignment("user", USER, GRANT),
        STATUS,
    ),
    "DeleteAccountAssignment": (
        lambda a: a.sso_admin.delete_account_assignment("group", GROUP, GRANT),
        STATUS,
    ),
    "DescribeAccountAssignmentCreationStatus": (
        lambda a: a.sso_admin.creation_status(ONE),
        STATUS,
    ),
    "ListAccountAssignmentCreationStatus": (
        lambda a: list(a.sso_admin.creations_under_way()),
        [LISTED],
    ),
    "DescribeAccountAssignmentDeletionStatus": (
        lambda a: a.sso_admin.deletion_status(ONE),
        STATUS,
    ),
    "ListAccountAssignmentsForPrincipal": (
        lambda a: list(a.sso_admin.assignments_of("user", USER)),
        [ASSIGNMENT],
    ),
    "ListAccountAssignmentsForPrincipal in one account": (
        lambda a: list(a.sso_admin.assignments_of("user", USER, account="111122223333")),
        [ASSIGNMENT],
    ),
    "ListAccountAssignments": (
        lambda a: list(a.sso_admin.assignments("111122223333", SET)),
        [ASSIGNMENT],
    ),
    "ListAccountsForProvisionedPermissionSet": (
        lambda a: list(a.sso_admin.accounts_of(SET)),
        ["111122223333"],
    ),
    "ListPermissionSetsProvisionedToAccount": (
        lambda a: list(a.sso_admin.permission_sets_of("111122223333")),
        ["the PermissionSets"],
    ),
    "ListApplications": (
        lambda a: list(a.sso_admin.list_applications()),
        [
            Application(
                arn="the ApplicationArn", name="the Name", account="111122223333", enabled=False
            )
        ],
    ),
    "CreateApplicationAssignment": (
        lambda a: a.sso_admin.create_application_assignment("user", USER, USE).id,
        None,
    ),
    "DeleteApplicationAssignment": (
        lambda a: a.sso_admin.delete_application_assignment("user", USER, USE).id,
        None,
    ),
    "ListApplicationAssignmentsForPrincipal": (
        lambda a: list(a.sso_admin.application_assignments_of("user", USER)),
        [APPLICATION_ASSIGNMENT],
    ),
    "ListApplicationAssignments": (
        lambda a: list(a.sso_admin.application_assignments(APP)),
        [APPLICATION_ASSIGNMENT],
    ),
    "GetInlinePolicyForPermissionSet": (
        lambda a: a.sso_admin.get_inline_policy(SET),
        "the InlinePolicy",
    ),
    "PutInlinePolicyToPermissionSet": (
        lambda a: a.sso_admin.put_inline_policy(SET, "{}").id,
        None,
    ),
    "DeleteInlinePolicyFromPermissionSet": (
        lambda a: a.sso_admin.delete_inline_policy(SET).id,
        None,
    ),
    "ProvisionPermissionSet": (
        lambda a: a.sso_admin.provision_permission_set(SET).state,
        "SUCCEEDED",
    ),
    "ProvisionPermissionSet to one account": (
        lambda a: a.sso_admin.provision_permission_set(SET, account="111122223333").state,
        "SUCCEEDED",
    ),
    "DescribePermissionSetProvisioningStatus": (
        lambda a: a.sso_admin.provisioning_status(ONE),
        ProvisioningStatus(
            request_id="the RequestId", state="SUCCEEDED", failure_reason="the FailureReason"
        ),
    ),
    "ListManagedPoliciesInPermissionSet": (
        lambda a: list(a.sso_admin.policy_names(SET)),
        ["the Name", "the Paththe Name"],
    ),
    "ListAccounts": (
        lambda a: list(a.organizations.accounts()),
        [Account(id="111122223333", name="the Name", status="CLOSED")],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_request_and_its_answer_are_as_the_model_says(name: str, apis: Apis, aws: Aws) -> None:
    """botocore's service models; the request is checked by botocore's own validator (`Aws`)."""
    ask, made = CALLS[name]
    assert ask(apis) == made
    assert aws.operations[0] == name.split(" ")[0]


def test_no_operation_of_the_table_goes_untested() -> None:
    """The table is what the IAM policies are made from."""
    tested = {name.split(" ")[0] for name in CALLS}
    with_others = {"ListCustomerManagedPolicyReferencesInPermissionSet", "GetCallerIdentity"}
    assert tested | with_others == set(OPERATIONS)


def test_an_operation_outside_the_table_is_not_sent(apis: Apis, aws: Aws) -> None:
    """So that a policy made from the table cannot lack an action."""
    with pytest.raises(ValueError, match="DeletePermissionSet"):
        apis.sso_admin._api.ask("DeletePermissionSet", {})
    assert aws.asked == []


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_that_says_nothing_is_not_taken_for_one_that_says_no(
    name: str, apis: Apis, aws: Aws
) -> None:
    """A 200 of a proxy: never an empty list, a free name, no policy, or access taken away."""
    ask, _ = CALLS[name]
    aws.wire.reset()
    aws.wire.post(re.compile(".*"), body="<html>", content_type="text/html")
    with pytest.raises(Unavailable):
        ask(apis)


def test_an_empty_object_is_no_list_of_users(apis: Apis, aws: Aws) -> None:
    """``Users`` is required in the model; ``AccountAssignments`` is not, and may be left out."""
    aws.say("ListUsers", {})
    aws.say("ListAccountAssignmentsForPrincipal", {})
    with pytest.raises(Unavailable, match="Users"):
        list(apis.identity_store.list_users())
    assert list(apis.sso_admin.assignments_of("user", USER)) == []


# --- Attributes ---------------------------------------------------------------------------------

TEXT = st.text("abcÄß 日本", min_size=1, max_size=9).filter(str.strip)
PLAIN = ("displayName", "nickName", "title", "userType", "locale", "timezone", "name.middleName")
POST = tuple(f"{ENTERPRISE}:{name}" for name in ("employeeNumber", "costCenter", "department"))
ATTRIBUTES = st.fixed_dictionaries(
    {"userName": st.text("abc", min_size=1, max_size=9), "name.givenName": TEXT},
    optional={
        **dict.fromkeys((*PLAIN, *POST), TEXT),
        f"{ENTERPRISE}:manager": st.fixed_dictionaries({"value": TEXT}),
        "emails": TEXT.map(lambda value: [{"value": value, "type": "work", "primary": True}]),
        "phoneNumbers": TEXT.map(lambda value: [{"value": value, "primary": True}]),
        "addresses": TEXT.map(lambda value: [{"streetAddress": value, "primary": True}]),
    },
)


@given(attributes=ATTRIBUTES)
def test_a_user_is_written_as_the_model_says_and_read_back_as_over_scim(
    attributes: dict[str, Any],
) -> None:
    """CreateUser takes it, and both doors show the same principal afterwards."""
    body = {"IdentityStoreId": STORE, **store_user(attributes)}
    assert problems_of(operation_model("AWSIdentityStore.CreateUser"), body) == ""
    external = {"ExternalIds": [{"Issuer": "scim", "Id": "e-1"}], "UserStatus": "DISABLED"}
    over_api = read_store_user({**body, "UserId": USER, **external})
    over_scim = read_user({"id": USER, **user_body(attributes, active=False, external_id="e-1")})
    assert over_api == over_scim
    assert over_api.attributes == attributes


@given(attributes=ATTRIBUTES, removed=st.sets(st.sampled_from([*PLAIN, *POST, "emails"])))
def test_an_update_is_as_the_model_says(attributes: dict[str, Any], removed: set[str]) -> None:
    """One operation for each path; null removes (seen in Terraform's provider for AWS)."""
    operations = store_operations(attributes, sorted(removed))
    body = {"IdentityStoreId": STORE, "UserId": USER, "Operations": operations}
    assert problems_of(operation_model("AWSIdentityStore.UpdateUser"), body) == ""
    paths = [operation["AttributePath"] for operation in operations]
    assert len(paths) == len(attributes) + len(removed)
    assert not any(path.startswith("urn:") for path in paths)


def test_paths_of_an_update_are_those_of_the_identity_store() -> None:
    """The extension has a name of its own there; values keep their names."""
    emails = [{"value": "a@example.com", "primary": True}]
    operations = store_operations(
        {"emails": emails, f"{ENTERPRISE}:department": "R&D"}, [f"{ENTERPRISE}:division"]
    )
    assert operations == [
        {"AttributePath": "emails", "AttributeValue": emails},
        {"AttributePath": "aws:identitystore:enterprise.department", "AttributeValue": "R&D"},
        {"AttributePath": "aws:identitystore:enterprise.division", "AttributeValue": None},
    ]


def test_the_extension_is_read_in_any_case() -> None:
    """AWS documents the extension as a free document; public clients differ on its case."""
    shown = {
        "UserId": USER,
        "UserName": "ada",
        "Extensions": {
            "aws:identitystore:enterprise": {
                "Department": "R&D",
                "COSTCENTER": "7",
                "Manager": {"Value": "m-1"},
            }
        },
    }
    assert read_store_user(shown).attributes == {
        "userName": "ada",
        f"{ENTERPRISE}:department": "R&D",
        f"{ENTERPRISE}:costCenter": "7",
        f"{ENTERPRISE}:manager": {"value": "m-1"},
    }


@pytest.mark.parametrize(
    ("status", "active"), [("ENABLED", True), ("DISABLED", False), (None, True)]
)
def test_the_status_tells_who_is_active(status: str | None, active: bool) -> None:
    """``UserStatus`` is optional in the model; over SCIM, too, who shows none is active."""
    shown = {"UserId": USER, **({"UserStatus": status} if status else {})}
    assert read_store_user(shown).active is active


def test_null_is_the_same_as_not_there() -> None:
    """moto shows members that have no value as null; AWS leaves them out."""
    shown = {"UserId": USER, "UserName": "ada", "ExternalIds": None, "Extensions": None}
    assert read_store_user({**shown, "UserStatus": None, "Emails": None}) == Principal(
        id=USER, external_id=None, attributes={"userName": "ada"}
    )
    with pytest.raises(Unavailable, match="UserId"):
        read_store_user({"UserId": None})


def test_an_unknown_status_is_not_guessed() -> None:
    """Neither as enabled nor as disabled."""
    with pytest.raises(Unavailable, match="UserStatus"):
        read_store_user({"UserId": USER, "UserStatus": "SUSPENDED"})


def test_an_update_of_nothing_is_a_defect(apis: Apis, aws: Aws) -> None:
    """AWS wants at least one operation (model: 1 to 100)."""
    with pytest.raises(ValueError, match="without any change"):
        apis.identity_store.update_user(USER, {})
    with pytest.raises(ValueError, match="exactly one"):
        apis.identity_store.find_user_id(user_name="ada", email="ada@example.com")
    assert aws.asked == []


# --- Lists --------------------------------------------------------------------------------------


def user(number: int) -> Any:
    return {"UserId": str(number), "UserName": f"user{number}"}


def test_a_list_is_read_to_its_end_as_it_is_taken(apis: Apis, aws: Aws) -> None:
    """A page may be empty and be followed by others. ``turn_page`` is asked before each but one."""
    aws.say(
        "ListUsers",
        {"Users": [user(1), user(2)], "NextToken": "a"},
        {"Users": [], "NextToken": "b"},
        {"Users": [user(3)], "NextToken": None},
    )
    turned: list[int] = []

    def turn() -> float:
        turned.append(len(aws.asked))
        return float("inf")

    users = apis.identity_store.list_users(turn_page=turn)
    assert [next(users).id, next(users).id] == ["1", "2"]
    assert len(aws.asked) == 1
    assert [one.id for one in users] == ["3"]
    assert turned == [1, 2]
    assert [body.get("NextToken") for _, body in aws.asked] == [None, "a", "b"]
    assert all(body["MaxResults"] == 100 for _, body in aws.asked)


def test_the_deadline_of_a_page_is_the_one_it_was_given(apis: Apis, aws: Aws) -> None:
    """A lease that was not renewed ends the list by an error, never by a shorter list."""
    aws.say("ListUsers", {"Users": [user(1)], "NextToken": "a"}, {"Users": []})
    users = apis.identity_store.list_users(turn_page=lambda: 0.0)
    assert next(users).id == "1"
    with pytest.raises(Throttled):
        next(users)
    assert len(aws.asked) == 1


def test_a_list_that_turns_in_a_circle_is_an_error(apis: Apis, aws: Aws) -> None:
    """Not an endless loop, and not a list that seems complete."""
    page = {"Groups": [], "NextToken": "again"}
    aws.say("ListGroups", page, page, page)
    with pytest.raises(Unavailable, match="comes back"):
        list(apis.identity_store.list_groups())
    assert len(aws.asked) == 2


def test_a_page_that_fails_ends_the_list_by_an_error(apis: Apis, aws: Aws) -> None:
    """Half of the users are never taken for all."""
    failed = error("InternalServerException", status=500)
    aws.say("ListUsers", {"Users": [user(1)], "NextToken": "a"}, failed)
    with pytest.raises(Unavailable):
        list(apis.identity_store.list_users())


def test_membership_is_asked_for_a_hundred_groups_at_a_time(apis: Apis, aws: Aws) -> None:
    """IsMemberInGroups takes 1 to 100 groups; one that is not answered for is not a no."""
    groups = [f"g{number}" for number in range(150)]

    def answer(some: list[str]) -> dict[str, Any]:
        held = [{"GroupId": one, "MembershipExists": one.endswith("7")} for one in some]
        return {"Results": held}

    aws.say("IsMemberInGroups", answer(groups[:100]), answer(groups[100:]))
    held = apis.identity_store.is_member_in_groups(USER, groups)
    assert held == {one for one in groups if one.endswith("7")}
    assert [len(body["GroupIds"]) for _, body in aws.asked] == [100, 50]
    aws.say("IsMemberInGroups", answer(["g0"]))
    with pytest.raises(Unavailable, match="1 of the groups"):
        apis.identity_store.is_member_in_groups(USER, ["g0", "g1"])


# --- Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error("ValidationException"), Refused),
        (error("SerializationException"), Refused),
        (error("UnknownOperationException"), Refused),
        (error("AccessDeniedException"), AccessDenied),
        (error("AccessDeniedException", status=403), AccessDenied),
        (error("AccessDeniedException", Reason="KMS_ACCESS_DENIED"), DoorClosed),
        (error("ValidationException", Reason="KMS_KEY_NOT_FOUND"), DoorClosed),
        (error("UnrecognizedClientException"), DoorClosed),
        (error("InvalidSignatureException"), DoorClosed),
        (error("ExpiredTokenException"), DoorClosed),
        ((403, {}, {"message": "Forbidden"}), DoorClosed),
        ((404, {}, {}), DoorClosed),
        ((301, {}, {}), DoorClosed),
        (error("ResourceNotFoundException", ResourceType="USER"), Missing),
        (error("ResourceNotFoundException"), Missing),
        (error("ResourceNotFoundException", ResourceType="IDENTITY_STORE"), DoorClosed),
        (error("ConflictException"), Conflict),
        (error("ServiceQuotaExceededException"), QuotaExceeded),
        (error("ThrottlingException"), Throttled),
        (error("ThrottlingException", Reason="KMS_THROTTLING"), Throttled),
        (error("TooManyRequestsException"), Throttled),
        ((429, {}, {}), Throttled),
        (error("InternalServerException", status=500), Unavailable),
        (error("InternalServerException"), Unavailable),
        ((503, {}, {}), Unavailable),
        ((408, {}, {}), Unavailable),
    ],
    ids=str,
)
def test_an_error_is_translated(answer: Any, expected: type, apis: Apis, aws: Aws) -> None:
    """botocore's models of the errors, and what AWS's gateway answers before a service does."""
    aws.say("DeleteUser", answer)
    with pytest.raises(TargetError) as raised:
        apis.identity_store.delete_user(USER)
    assert type(raised.value) is expected
    assert raised.value.status == answer[0]
    assert raised.value.request_id == "r-1"
    assert USER not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (error("ThrottlingException", RetryAfterSeconds=7), 7.0),
        ((400, {"Retry-After": "5"}, {"__type": "ThrottlingException"}), 5.0),
        (error("ThrottlingException"), None),
    ],
)
def test_a_throttle_says_when_to_come_back(
    answer: Any, seconds: float | None, apis: Apis, aws: Aws
) -> None:
    """``RetryAfterSeconds`` of the Identity Store API, or the header."""
    aws.say("ListGroups", answer)
    with pytest.raises(Throttled) as raised:
        list(apis.identity_store.list_groups())
    assert raised.value.retry_after == seconds


def test_a_denial_names_the_action_and_closes_no_door(apis: Apis, aws: Aws) -> None:
    """Who may not delete assignments may still read: other operations go on."""
    aws.say("DeleteAccountAssignment", *[error("AccessDeniedException") for _ in range(9)])
    for _ in range(9):
        with pytest.raises(AccessDenied, match="sso:DeleteAccountAssignment") as raised:
            apis.sso_admin.delete_account_assignment("user", USER, GRANT)
    assert raised.value.operation == "DeleteAccountAssignment"
    assert raised.value.action == "sso:DeleteAccountAssignment"
    assert apis.sso_admin.circuit.state == "closed"
    assert list(apis.sso_admin.list_permission_sets()) == ["the PermissionSets"]


def test_a_refused_key_closes_one_door_and_says_so(settings: Settings, aws: Aws) -> None:
    """Each API has its own circuit; a change of it is told with the door's name."""
    told: list[tuple[str, str]] = []
    apis = connect_apis(
        settings(identity_store_id=STORE, instance_arn=INSTANCE),
        on_change=lambda door, standing: told.append((door, standing.state)),
    )
    aws.say("ListUsers", error("InvalidSignatureException"))
    with pytest.raises(DoorClosed, match="clock"):
        list(apis.identity_store.list_users())
    assert told == [("identity-store", "open")]
    assert apis.identity_store.circuit.state == "open"
    assert apis.sso_admin.circuit.state == "closed"


@pytest.mark.parametrize("reason", ["UNIQUENESS_CONSTRAINT_VIOLATION", "CONCURRENT_MODIFICATION"])
def test_a_conflict_carries_its_reason(reason: str, apis: Apis, aws: Aws) -> None:
    """A name that is taken and a write at the same time are not the same."""
    aws.say("CreateUser", error("ConflictException", Reason=reason))
    with pytest.raises(Conflict) as raised:
        apis.identity_store.create_user(NAMES)
    assert raised.value.reason == reason


NOT_THERE: dict[str, Ask] = {
    "DescribeUser": lambda a: a.identity_store.describe_user(USER),
    "DescribeGroup": lambda a: a.identity_store.describe_group(GROUP),
    "GetUserId": lambda a: a.identity_store.find_user_id(user_name="ada"),
    "GetGroupId": lambda a: a.identity_store.find_group_id("admins"),
    "GetGroupMembershipId": lambda a: a.identity_store.find_membership_id(GROUP, USER),
}


@pytest.mark.parametrize("operation", NOT_THERE)
def test_what_is_not_there_is_none_but_not_in_a_wrong_store(
    operation: str, apis: Apis, aws: Aws
) -> None:
    """With a wrong identity store everybody would seem gone."""
    aws.say(
        operation,
        error("ResourceNotFoundException", ResourceType="USER"),
        error("ResourceNotFoundException", ResourceType="IDENTITY_STORE"),
    )
    assert NOT_THERE[operation](apis) is None
    with pytest.raises(DoorClosed, match="identity_store_id"):
        NOT_THERE[operation](apis)


@pytest.mark.parametrize(
    ("shown", "policy"), [({"InlinePolicy": ""}, None), ({}, None), ({"InlinePolicy": "x"}, "x")]
)
def test_no_inline_policy_is_none(shown: Any, policy: str | None, apis: Apis, aws: Aws) -> None:
    """AWS shows an empty one where there is none."""
    aws.say("GetInlinePolicyForPermissionSet", shown)
    assert apis.sso_admin.get_inline_policy(SET) == policy


@pytest.mark.parametrize(
    ("duration", "seconds"), [("PT1H", 3600), ("PT12H", 43200), ("PT90M", 5400), ("PT7200S", 7200)]
)
def test_a_session_duration_is_read(duration: str, seconds: int, apis: Apis, aws: Aws) -> None:
    """ISO 8601."""
    shown = {"PermissionSetArn": SET, "Name": "Admin", "SessionDuration": duration}
    aws.say("DescribePermissionSet", {"PermissionSet": shown})
    assert apis.sso_admin.describe_permission_set(SET).session_seconds == seconds


@pytest.mark.parametrize("duration", ["PT", "1H", "P1D", "forever"])
def test_a_session_duration_is_never_guessed(duration: str, apis: Apis, aws: Aws) -> None:
    """It says until when a leaver's sessions may live."""
    shown = {"PermissionSetArn": SET, "Name": "Admin", "SessionDuration": duration}
    aws.say("DescribePermissionSet", {"PermissionSet": shown})
    with pytest.raises(Unavailable, match="PermissionSet"):
        apis.sso_admin.describe_permission_set(SET)


# --- Where and as whom --------------------------------------------------------------------------


def instance(number: int) -> Any:
    return {"InstanceArn": f"{INSTANCE[:-1]}{number}", "IdentityStoreId": f"{STORE[:-1]}{number}"}


def test_the_instance_is_found_once_and_only_if_need_be(settings: Settings, aws: Aws) -> None:
    """ListInstances, for both APIs together."""
    aws.say("ListInstances", {"Instances": [instance(1)]})
    apis = connect_apis(settings())
    list(apis.identity_store.list_users())
    list(apis.sso_admin.list_permission_sets())
    assert aws.operations == ["ListInstances", "ListUsers", "ListPermissionSets"]
    assert aws.asked[1][1]["IdentityStoreId"] == instance(1)["IdentityStoreId"]
    assert aws.asked[2][1]["InstanceArn"] == instance(1)["InstanceArn"]


def test_of_several_instances_the_named_one_is_taken(settings: Settings, aws: Aws) -> None:
    """``instance_arn`` alone tells its identity store."""
    aws.say("ListInstances", {"Instances": [instance(1), instance(2)]})
    apis = connect_apis(settings(instance_arn=instance(2)["InstanceArn"]))
    assert apis.site.identity_store_id() == instance(2)["IdentityStoreId"]


@pytest.mark.parametrize(
    ("shown", "named", "words"),
    [
        ([], {}, "no instance of Identity Center in us-east-1"),
        ([instance(1), instance(2)], {}, "2 instances of Identity Center in us-east-1"),
        ([instance(1)], {"instance_arn": INSTANCE}, "ssoins-1234567890abcdef in us-east-1"),
    ],
)
def test_no_or_several_instances_name_the_region(
    shown: Any, named: Any, words: str, settings: Settings, aws: Aws
) -> None:
    """An empty list means a wrong region or account. It is asked again next time."""
    apis = connect_apis(settings(**named))
    for _ in range(2):
        aws.say("ListInstances", {"Instances": shown})
        with pytest.raises(DoorClosed, match=words):
            list(apis.identity_store.list_users())
    assert aws.operations == ["ListInstances"] * 2


BOTO3 = ("identitystore", "sso-admin", "organizations")


def scope(request: requests.PreparedRequest) -> str:
    header: str = request.headers["Authorization"]
    return header.split("/", 2)[2].split(",")[0]


@pytest.mark.parametrize(
    ("region", "organizations"),
    [
        ("eu-west-1", "us-east-1"),
        ("us-gov-west-1", "us-gov-west-1"),
        ("cn-north-1", "cn-northwest-1"),
    ],
)
def test_hosts_and_signatures_are_those_of_botocore(
    region: str, organizations: str, settings: Settings, aws: Aws
) -> None:
    """Also with a bearer token at the SCIM endpoint. Organizations has one region a partition."""
    apis = connect_apis(
        settings(region=region, auth="bearer", identity_store_id=STORE, instance_arn=INSTANCE)
    )
    list(apis.identity_store.list_users())
    list(apis.sso_admin.list_permission_sets())
    list(apis.organizations.accounts())
    clients = (boto3.client(name, region_name=region) for name in BOTO3)
    assert [one.url for one in aws.requests] == [f"{one.meta.endpoint_url}/" for one in clients]
    assert [scope(one) for one in aws.requests] == [
        f"{region}/identitystore/aws4_request",
        f"{region}/sso/aws4_request",
        f"{organizations}/organizations/aws4_request",
    ]


def test_a_signature_is_the_one_botocore_makes(apis: Apis, aws: Aws) -> None:
    """An independent implementation agrees, over body, content type and target."""
    list(apis.identity_store.list_users())
    (ours,) = aws.requests
    authorization = ours.headers["Authorization"]
    signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"content-type", "host", "x-amz-target"} <= set(signed)
    theirs = AWSRequest("POST", ours.url, data=ours.body)
    for name in set(signed) - {"host"}:
        theirs.headers[name] = ours.headers[name]
    theirs.context["timestamp"] = ours.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials("sandbox", "sandbox-secret"), "identitystore", "us-east-1")
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert authorization.endswith(f"Signature={signer.signature(text, theirs)}")


def test_all_doors_share_one_chain_of_credentials(
    settings: Settings, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role is assumed once, not once for each API."""
    keys = Keys(settings())
    chain = Mock(wraps=keys._resolved)
    monkeypatch.setattr(keys, "_resolved", chain)
    apis = connect_apis(settings(identity_store_id=STORE, instance_arn=INSTANCE), keys=keys)
    list(apis.identity_store.list_users())
    list(apis.sso_admin.list_permission_sets())
    list(apis.organizations.accounts())
    assert chain.call_count == 1


def test_the_shared_quota_is_kept_at_aws_only(settings: Settings) -> None:
    """SSO Admin: 20 calls a second for everybody in the account (User Guide, quotas)."""
    for address, rate in ((None, 20.0), ("http://127.0.0.1:9", 100_000.0)):
        apis = connect_apis(settings(endpoint_url=address))
        assert apis.sso_admin._api._transport._pacer.rate == rate
        assert apis.identity_store._api._transport._pacer.rate == 100_000.0


def test_one_address_can_stand_for_all(settings: Settings, aws: Aws) -> None:
    """``endpoint_url``; the signature stays that of the service."""
    apis = connect_apis(
        settings(
            endpoint_url="http://127.0.0.1:9/aws/", identity_store_id=STORE, instance_arn=INSTANCE
        )
    )
    list(apis.identity_store.list_users())
    list(apis.organizations.accounts())
    assert {one.url for one in aws.requests} == {"http://127.0.0.1:9/aws/"}
    assert [scope(one).split("/")[1] for one in aws.requests] == ["identitystore", "organizations"]


def test_without_a_region_nothing_can_be_signed(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"identity_center\.region"):
        connect_apis(settings(region=None))


CALLER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:sts::111122223333:assumed-role/bridge/i-1</Arn>
    <UserId>AROA:i-1</UserId>
    <Account>111122223333</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
  <Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The token is invalid</Message>
</Error><RequestId>r-1</RequestId></ErrorResponse>"""


@pytest.fixture(name="sts")
def _sts() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        yield wire


def test_the_caller_is_known(apis: Apis, sts: responses.RequestsMock) -> None:
    """AWS STS API reference, GetCallerIdentity: a form goes in, XML comes out."""
    sts.post("https://sts.us-east-1.amazonaws.com/", body=CALLER)
    assert apis.caller.identity() == Identity(
        account="111122223333",
        arn="arn:aws:sts::111122223333:assumed-role/bridge/i-1",
        user_id="AROA:i-1",
    )
    assert sts.calls[0].request.body == b"Action=GetCallerIdentity&Version=2011-06-15"
    assert scope(sts.calls[0].request) == "us-east-1/sts/aws4_request"


def test_an_unknown_caller_is_a_closed_door(apis: Apis, sts: responses.RequestsMock) -> None:
    """STS answers 403 with the reason in XML."""
    sts.post("https://sts.us-east-1.amazonaws.com/", body=REFUSED, status=403)
    with pytest.raises(DoorClosed, match=r"InvalidClientTokenId: The token is invalid"):
        apis.caller.identity()


def test_an_answer_that_is_no_xml_is_not_taken_for_somebody(
    apis: Apis, sts: responses.RequestsMock
) -> None:
    sts.post("https://sts.us-east-1.amazonaws.com/", body="<html>hello</html>")
    with pytest.raises(Unavailable, match="Account"):
        apis.caller.identity()
