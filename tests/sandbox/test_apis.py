"""The sandbox's APIs: who is let in, what they can be told to do wrong, and what ties them to SCIM.

What each operation does is in test_apis_boto3.py. The sections are those of the facts on Identity
Center (reference/identity-center.md).
"""

import json

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError

from scim_bridge.sandbox import (
    ACCESS_KEY,
    BEARER_TOKEN,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    REGION,
    SECRET_KEY,
)
from scim_bridge.sandbox.access import APPLICATION_ARN
from scim_bridge.sandbox.behaviour import OWNER_ACCOUNT, SCIM_ISSUER

JSON = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded"
# A request that each API answers: X-Amz-Target (3.1, 4), or a form for STS.
ASKED = {
    "identitystore": (
        "AWSIdentityStore.ListUsers",
        json.dumps({"IdentityStoreId": IDENTITY_STORE_ID}),
    ),
    "sso": ("SWBExternalService.ListInstances", "{}"),
    "organizations": ("AWSOrganizationsV20161128.ListAccounts", ""),
    "sts": (None, "Action=GetCallerIdentity&Version=2011-06-15"),
}
ADMINISTRATORS = f"{INSTANCE_ARN.replace(':instance/', ':permissionSet/')}/ps-{1:016d}"
READERS = f"{INSTANCE_ARN.replace(':instance/', ':permissionSet/')}/ps-{2:016d}"


def post(sandbox, target, body, sign=None, **headers) -> requests.Response:
    """A POST to the root as boto3 makes it, signed or with headers of any kind."""
    kind = FORM if target is None else JSON
    given = {"Content-Type": kind, **({"X-Amz-Target": target} if target else {}), **headers}
    url = f"{sandbox.server.url}/"
    if sign is not None:
        request = AWSRequest(method="POST", url=url, data=body, headers=given)
        scope = {"key": ACCESS_KEY, "secret": SECRET_KEY, "region": REGION, **sign}
        credentials = Credentials(scope["key"], scope["secret"])
        SigV4Auth(credentials, scope["service"], scope["region"]).add_auth(request)
        given = dict(request.headers.items())
    return requests.post(url, data=body, headers=given, timeout=10)


def kind(response: requests.Response) -> str:
    """The error's name, in either protocol."""
    if response.headers["Content-Type"] == "text/xml":
        return response.text.partition("<Code>")[2].partition("</Code>")[0]
    return response.json()["__type"]


def code(caught) -> str:
    return caught.value.response["Error"]["Code"]


def assignment(principal_id, permission_set=ADMINISTRATORS, **more) -> dict:
    return {
        "InstanceArn": INSTANCE_ARN,
        "TargetId": OWNER_ACCOUNT,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": permission_set,
        "PrincipalType": "USER",
        "PrincipalId": principal_id,
        **more,
    }


def creation(apis, principal_id, *arguments, **more) -> dict:
    """The status of a new creation, as it is answered at once."""
    begun = apis.sso.create_account_assignment(**assignment(principal_id, *arguments, **more))
    return begun["AccountAssignmentCreationStatus"]


def status(apis, request_id) -> dict:
    return apis.sso.describe_account_assignment_creation_status(
        InstanceArn=INSTANCE_ARN, AccountAssignmentCreationRequestId=request_id
    )["AccountAssignmentCreationStatus"]


@pytest.fixture
def slow(sandbox):
    """Orders what becomes of assignments."""

    def order(**fault):
        answer = sandbox.control("POST", "assignment-faults", fault)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return order


# Who is let in (3.1, 4)


@pytest.mark.parametrize("api", ASKED)
def test_a_right_signature_is_let_in_and_answered_in_its_protocol(api, sandbox):
    """JSON 1.1 (3.1), XML by STS (query protocol). [documented]"""
    response = post(sandbox, *ASKED[api], sign={"service": api})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == ("text/xml" if api == "sts" else JSON)
    assert response.headers["x-amzn-RequestId"]


WRONG = {
    "another service": ({"service": "execute-api"}, "InvalidSignatureException"),
    "another region": ({"region": "eu-north-1"}, "InvalidSignatureException"),
    "another key": ({"key": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException"),
    "another secret": ({"secret": "another"}, "InvalidSignatureException"),
}
OF_STS = {
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "IncompleteSignatureException": "IncompleteSignature",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
}


def refused_as(response, api, error) -> bool:
    """JSON APIs refuse with 400, STS with 403 and names of its own. [observed by clients]"""
    expected = (403, OF_STS[error], "text/xml") if api == "sts" else (400, error, JSON)
    found = response.status_code, kind(response), response.headers["Content-Type"]
    assert found == expected
    return True


@pytest.mark.parametrize("api", ASKED)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_signature_is_refused(wrong, api, sandbox):
    """Each API takes signatures for itself, in its region (3.1, 4). [documented]"""
    scope, error = WRONG[wrong]
    response = post(sandbox, *ASKED[api], sign={"service": api, **scope})
    assert refused_as(response, api, error)
    assert sandbox.last_reason()


@pytest.mark.parametrize("api", ["identitystore", "sso", "organizations"])
def test_a_signature_for_one_api_counts_for_no_other(api, sandbox):
    """The service is part of the credential scope (AWS SigV4). [documented]"""
    for other in ASKED.keys() - {api}:
        response = post(sandbox, *ASKED[api], sign={"service": other})
        assert refused_as(response, api, "InvalidSignatureException")


@pytest.mark.parametrize("api", ASKED)
def test_without_a_signature_nobody_is_let_in(api, sandbox):
    """The bearer token is for SCIM only (1.1); half a signature is none. [documented]"""
    missing, half = "MissingAuthenticationTokenException", "IncompleteSignatureException"
    token = {"Authorization": f"Bearer {BEARER_TOKEN}"}
    assert refused_as(post(sandbox, *ASKED[api]), api, missing)
    assert refused_as(post(sandbox, *ASKED[api], **token), api, missing)
    incomplete = {"Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}"}
    assert refused_as(post(sandbox, *ASKED[api], **incomplete), api, half)


def test_sts_is_in_every_region(sandbox):
    """Regional endpoints and the global one (STS user guide). [documented]"""
    sandbox.behave(region="eu-west-1")
    for region in ("eu-west-1", "us-east-1"):
        assert post(sandbox, *ASKED["sts"], sign={"service": "sts", "region": region}).ok


# What is no request (3.6)


@pytest.mark.parametrize(
    ("target", "body", "error"),
    [
        ("AWSIdentityStore.ListUsers", "[]", "SerializationException"),
        ("AWSIdentityStore.ListUsers", "{", "SerializationException"),
        ("AWSIdentityStore.ListUsers", '{"IdentityStoreId": 7}', "SerializationException"),
        ("AWSIdentityStore.ListUsers", "{}", "ValidationException"),
        ("AWSIdentityStore.ListUsers", '{"IdentityStoreId": "x y"}', "ValidationException"),
        ("AWSIdentityStore.ListPeople", "{}", "UnknownOperationException"),
        ("SWBExternalService.ListTrustedTokenIssuers", "{}", "ValidationException"),
        ("SWBExternalService.ListInstances", '{"MaxResults": 101}', "ValidationException"),
        ("SWBExternalService.ListInstances", '{"maxResults": 1}', "ValidationException"),
        ("AWSOrganizationsV20161128.DescribeOrganization", "{}", "ValidationException"),
        ("AWSOrganizationsV20161128.ListAccounts", '{"MaxResults": 21}', "ValidationException"),
        (None, "Action=AssumeRole&Version=2011-06-15", "ValidationException"),
        (None, "Version=2011-06-15", "UnknownOperationException"),
    ],
)
def test_what_is_no_request_is_refused(target, body, error, sandbox):
    """What the service models do not have, and what the sandbox does not. [documented / the
    latter the sandbox's own]
    """
    services = {"AWSIdentityStore": "identitystore", "SWBExternalService": "sso"}
    service = "sts" if target is None else services.get(target.split(".")[0], "organizations")
    response = post(sandbox, target, body, sign={"service": service})
    assert (response.status_code, kind(response)) == (400, error), response.text


def test_another_media_type_is_no_request(sandbox):
    """JSON 1.1 has its own (3.1). [documented]"""
    target, body = ASKED["identitystore"]
    plain = {"Content-Type": "application/json"}
    response = post(sandbox, target, body, sign={"service": "identitystore"}, **plain)
    assert kind(response) == "SerializationException"


# Pages (3.2, 4)


def test_pages_go_on_where_the_last_one_ended(sandbox, apis):
    """What goes away or comes between two pages moves nobody. [inferred]"""
    sandbox.behave(page_size=2)
    users = [apis.create_user(f"user{number}") for number in range(5)]
    first = apis.identitystore.list_users(**apis.store)
    apis.identitystore.delete_user(**apis.store, UserId=users[0])
    last = apis.create_user("last")
    found = [user["UserId"] for user in first["Users"]]
    token = first["NextToken"]
    while token:
        page = apis.identitystore.list_users(**apis.store, NextToken=token, MaxResults=100)
        found += [user["UserId"] for user in page["Users"]]
        token = page.get("NextToken")
    assert found == [*users, last]


def test_a_token_counts_for_its_own_list(sandbox, apis):
    """Another list's token, and one that nobody gave out, are ValidationExceptions. [inferred]"""
    sandbox.behave(page_size=1)
    groups = [apis.create_group(name) for name in ("A", "B")]
    for name in ("ada", "bob"):
        apis.join(groups[0], apis.create_user(name))
    asked = {**apis.store, "GroupId": groups[0]}
    token = apis.identitystore.list_group_memberships(**asked)["NextToken"]
    for wrong in ({"GroupId": groups[1], "NextToken": token}, {"NextToken": "bm90aGluZw=="}):
        with pytest.raises(ClientError) as caught:
            apis.identitystore.list_group_memberships(**{**asked, **wrong})
        assert code(caught) == "ValidationException"


# Faults (3.6, 4)


@pytest.mark.parametrize(
    ("operation", "fault", "error", "answered"),
    [
        ("identitystore:ListUsers", {"status": 429}, "ThrottlingException", 429),
        ("identitystore:ListUsers", {"status": 500}, "InternalServerException", 500),
        ("identitystore:ListUsers", {"status": 403}, "AccessDeniedException", 403),
        ("identitystore:ListUsers", {"error": "ThrottlingException"}, "ThrottlingException", 400),
        ("sso:ListInstances", {"error": "AccessDeniedException"}, "AccessDeniedException", 400),
        ("sso:ListInstances", {"error": "InternalServerException"}, "InternalServerException", 500),
        ("sso:ListInstances", {"status": 409}, "ConflictException", 409),
        ("sso:ListInstances", {"status": 404}, "ResourceNotFoundException", 404),
        ("organizations:ListAccounts", {"status": 429}, "TooManyRequestsException", 429),
        ("organizations:ListAccounts", {"status": 500}, "ServiceException", 500),
        ("sts:GetCallerIdentity", {"status": 403}, "AccessDenied", 403),
        ("sts:GetCallerIdentity", {"error": "ExpiredToken"}, "ExpiredToken", 400),
    ],
)
def test_a_fault_answers_an_error_of_the_api_once(operation, fault, error, answered, sandbox, apis):
    """Errors are named as each service names them (3.6, 4). [documented]"""
    asks = {
        "identitystore:ListUsers": lambda: apis.identitystore.list_users(**apis.store),
        "sso:ListInstances": apis.sso.list_instances,
        "organizations:ListAccounts": apis.organizations.list_accounts,
        "sts:GetCallerIdentity": apis.sts.get_caller_identity,
    }
    sandbox.fault(operation=operation, **fault)
    with pytest.raises(ClientError) as caught:
        asks[operation]()
    assert code(caught) == error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == answered
    asks[operation]()
    assert sandbox.calls()[operation] == {str(answered): 1, "200": 1}


def test_a_fault_carries_the_fields_of_the_error(sandbox, apis):
    """Reason and RetryAfterSeconds (3.6); a denial names the action. [documented]"""
    sandbox.fault(
        operation="*", error="ThrottlingException", reason="KMS_THROTTLING", retry_after=7
    )
    with pytest.raises(ClientError) as caught:
        apis.identitystore.list_users(**apis.store)
    found = caught.value.response
    assert (found["Reason"], found["RetryAfterSeconds"]) == ("KMS_THROTTLING", 7)
    sandbox.fault(operation="sso:DeleteAccountAssignment", error="AccessDeniedException")
    with pytest.raises(ClientError, match="sso:DeleteAccountAssignment"):
        apis.sso.delete_account_assignment(**assignment(apis.create_user()))


def test_a_faulty_call_of_an_api_does_no_work(sandbox, apis):
    """What is answered by a fault was not done; other APIs do not feel it (`sso:*`)."""
    sandbox.fault(operation="sso:*", error="AccessDeniedException", times=None)
    user_id = apis.create_user()
    with pytest.raises(ClientError):
        apis.sso.create_account_assignment(**assignment(user_id))
    with pytest.raises(ClientError):
        apis.sso.list_instances()
    apis.organizations.list_accounts()
    state = sandbox.state()
    assert (len(state["users"]), state["assignments"], state["inProgress"]) == (1, [], [])


def test_a_dropped_answer_of_an_api_was_done_all_the_same(sandbox, apis):
    """A lost answer shows as a conflict at the next try (5). [documented advice]"""
    sandbox.fault(operation="identitystore:CreateUser", drop_answer=True)
    with pytest.raises(HTTPClientError):
        apis.create_user("ada")
    assert [user["userName"] for user in sandbox.state()["users"]] == ["ada"]
    with pytest.raises(ClientError) as caught:
        apis.create_user("ada")
    assert code(caught) == "ConflictException"
    user_id = sandbox.state()["users"][0]["id"]
    sandbox.behave(assignment_seconds=1000)
    sandbox.fault(operation="sso:CreateAccountAssignment", drop_answer=True)
    with pytest.raises(HTTPClientError):
        creation(apis, user_id)
    assert [one["operation"] for one in sandbox.state()["inProgress"]] == ["create"]


def test_an_empty_list_of_an_api_looks_like_nobody(sandbox, apis):
    """`empty` is an empty page without a NextToken, of lists only, as often as it is ordered."""
    sandbox.behave(page_size=1, assignment_seconds=0)
    user_id, group_id = apis.create_user("ada"), apis.create_group("A")
    apis.create_user("bob")
    apis.join(group_id, user_id)
    creation(apis, user_id)
    lists = [
        lambda: apis.identitystore.list_users(**apis.store)["Users"],
        lambda: apis.identitystore.list_groups(**apis.store)["Groups"],
        lambda: apis.identitystore.list_group_memberships(**apis.store, GroupId=group_id)[
            "GroupMemberships"
        ],
        lambda: apis.sso.list_permission_sets(InstanceArn=INSTANCE_ARN)["PermissionSets"],
        lambda: apis.sso.list_account_assignments(
            InstanceArn=INSTANCE_ARN, AccountId=OWNER_ACCOUNT, PermissionSetArn=ADMINISTRATORS
        )["AccountAssignments"],
        lambda: apis.organizations.list_accounts()["Accounts"],
    ]
    sandbox.fault(operation="*", empty=True, times=len(lists))
    found = apis.identitystore.describe_user(**apis.store, UserId=user_id)
    assert found["UserName"] == "ada"
    assert [ask() for ask in lists] == [[]] * len(lists)
    assert [len(ask()) for ask in lists] == [1] * len(lists)
    sandbox.fault(operation="identitystore:ListUsers", empty=True)
    assert "NextToken" not in apis.identitystore.list_users(**apis.store)


def test_a_throttled_api_says_when_to_come_back(sandbox, apis):
    """RetryAfterSeconds in the Identity Store, no such field in SSO Admin (3.6, 4). [documented]"""
    sandbox.behave(throttle_identitystore=0.01, throttle_sso=0.01)
    apis.identitystore.list_users(**apis.store)
    apis.sso.list_instances()
    with pytest.raises(ClientError) as caught:
        apis.create_user()
    assert caught.value.response["RetryAfterSeconds"] == 1
    with pytest.raises(ClientError) as caught:
        apis.sso.list_instances()
    assert "RetryAfterSeconds" not in caught.value.response
    assert sandbox.state()["users"] == []


# Assignments that go wrong (4)


def test_ten_creations_may_be_outstanding_and_no_more(sandbox, apis):
    """At most 10 asynchronous CreateAccountAssignment (5); removals do not count. [documented in
    the 2022 copy / inferred: ThrottlingException]
    """
    sandbox.behave(assignment_seconds=0)
    users = [apis.create_user(f"user{number}") for number in range(11)]
    creation(apis, users[0], READERS)
    sandbox.behave(assignment_seconds=1000)
    apis.sso.delete_account_assignment(**assignment(users[0], READERS))
    for user_id in users[:10]:
        creation(apis, user_id)
    with pytest.raises(ClientError) as caught:
        creation(apis, users[10])
    assert code(caught) == "ThrottlingException"
    assert len(sandbox.state()["inProgress"]) == 11


def test_an_assignment_under_way_can_be_neither_made_nor_removed_again(sandbox, apis):
    """ConflictException: an earlier write has not propagated (4). [documented]"""
    sandbox.behave(assignment_seconds=1000)
    user_id = apis.create_user()
    creation(apis, user_id)
    for change in (apis.sso.create_account_assignment, apis.sso.delete_account_assignment):
        with pytest.raises(ClientError) as caught:
            change(**assignment(user_id))
        assert code(caught) == "ConflictException"
    assert creation(apis, user_id, READERS)["Status"] == "IN_PROGRESS"


def test_an_assignment_is_as_slow_as_it_is_told(apis, slow):
    """Only what the fault is for: here one permission set, by its name, and one creation."""
    slow(permissionSet="AdministratorAccess", seconds=1000, times=1)
    slow(seconds=0)
    ada, bob = apis.create_user("ada"), apis.create_user("bob")
    begun = [creation(apis, ada), creation(apis, ada, READERS), creation(apis, bob)]
    now = [status(apis, one["RequestId"])["Status"] for one in begun]
    assert now == ["IN_PROGRESS", "SUCCEEDED", "SUCCEEDED"]


def test_an_assignment_fails_as_it_is_told(sandbox, apis, slow):
    """FAILED with a FailureReason, and nothing was assigned (4). [documented]"""
    sandbox.behave(assignment_seconds=0)
    user_id = apis.create_user()
    slow(permissionSet=ADMINISTRATORS, operation="create", fail="Role limit", times=1)
    begun = creation(apis, user_id)
    assert (begun["Status"], begun.get("FailureReason")) == ("IN_PROGRESS", None)
    ended = status(apis, begun["RequestId"])
    assert (ended["Status"], ended["FailureReason"]) == ("FAILED", "Role limit")
    assert sandbox.state()["assignments"] == []
    assert status(apis, creation(apis, user_id)["RequestId"])["Status"] == "SUCCEEDED"


def test_a_removal_that_fails_leaves_the_assignment(sandbox, apis, slow):
    """The access is still there, and so is the record of it."""
    sandbox.behave(assignment_seconds=0)
    user_id = apis.create_user()
    creation(apis, user_id)
    slow(principalId=user_id, operation="delete", fail="Access denied", times=1)
    begun = apis.sso.delete_account_assignment(**assignment(user_id))
    request_id = begun["AccountAssignmentDeletionStatus"]["RequestId"]
    ended = apis.sso.describe_account_assignment_deletion_status(
        InstanceArn=INSTANCE_ARN, AccountAssignmentDeletionRequestId=request_id
    )["AccountAssignmentDeletionStatus"]
    assert (ended["Status"], ended["FailureReason"]) == ("FAILED", "Access denied")
    assert [one["principalId"] for one in sandbox.state()["assignments"]] == [user_id]


def test_an_assignment_conflicts_as_often_as_it_is_told(sandbox, apis, slow):
    """First so many ConflictExceptions, then what else the fault says (4)."""
    sandbox.behave(assignment_seconds=0)
    user_id = apis.create_user()
    slow(accountId=OWNER_ACCOUNT, conflicts=2, fail="At last", times=1)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            creation(apis, user_id)
        assert code(caught) == "ConflictException"
    assert status(apis, creation(apis, user_id)["RequestId"])["FailureReason"] == "At last"
    assert status(apis, creation(apis, user_id)["RequestId"])["Status"] == "SUCCEEDED"
    slow(conflicts=1)
    with pytest.raises(ClientError):
        creation(apis, user_id, READERS)
    assert creation(apis, user_id, READERS)
    assert sandbox.control("GET", "assignment-faults").json() == {"faults": []}


def test_a_refused_change_uses_no_fault_up(sandbox, apis, slow):
    """What AWS does not begin cannot go wrong later."""
    sandbox.behave(assignment_seconds=1000, outstanding_assignments=1)
    ada, bob = apis.create_user("ada"), apis.create_user("bob")
    creation(apis, ada)
    ordered = slow(fail="Role limit", times=1)
    for refused in (
        lambda: creation(apis, ada),
        lambda: creation(apis, bob),
        lambda: apis.sso.delete_account_assignment(**assignment(bob)),
    ):
        with pytest.raises(ClientError):
            refused()
    assert sandbox.control("GET", "assignment-faults").json() == {"faults": [ordered]}


def test_a_provisioning_fails_as_it_is_told(sandbox, apis, slow):
    """FAILED, and the accounts keep what they had (4). [documented]"""
    sandbox.behave(assignment_seconds=0)
    slow(operation="provision", fail="Role limit", times=1)
    asked = {"InstanceArn": INSTANCE_ARN, "PermissionSetArn": READERS}
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": OWNER_ACCOUNT}
    seen = []
    for _ in range(2):
        begun = apis.sso.provision_permission_set(**asked, **target)
        request_id = begun["PermissionSetProvisioningStatus"]["RequestId"]
        ended = apis.sso.describe_permission_set_provisioning_status(
            InstanceArn=INSTANCE_ARN, ProvisionPermissionSetRequestId=request_id
        )["PermissionSetProvisioningStatus"]
        accounts = apis.sso.list_accounts_for_provisioned_permission_set(**asked)["AccountIds"]
        seen.append((ended["Status"], accounts))
    assert seen == [("FAILED", []), ("SUCCEEDED", [OWNER_ACCOUNT])]


def test_assignment_faults_are_cleared_by_delete_and_by_reset(sandbox, slow):
    """As other faults are."""
    for clear in (("DELETE", "assignment-faults"), ("POST", "reset")):
        slow(seconds=1)
        assert sandbox.control(*clear).status_code == 204
        assert sandbox.control("GET", "assignment-faults").json() == {"faults": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"permissionset": "Billing"},
        {"permissionSet": ""},
        {"operation": "update"},
        {"seconds": -1},
        {"seconds": True},
        {"fail": 7},
        {"conflicts": -1},
        {"conflicts": None},
        {"times": 0},
        [],
    ],
)
def test_an_assignment_fault_that_makes_no_sense_is_refused_and_named(wrong, sandbox):
    """A mistyped fault must not pass for none."""
    response = sandbox.control("POST", "assignment-faults", wrong)
    assert response.status_code == 400
    assert all(name in response.json()["error"] for name in wrong)


# One state behind all doors


def test_somebody_made_by_scim_is_seen_and_changed_by_the_identity_store(sandbox, apis):
    """ExternalIds with an Issuer, UserStatus, all attributes (3.3, 3.5); none of them is lost by
    an UpdateUser. [documented]
    """
    made = sandbox.create_user(
        "ada",
        externalId="A1",
        active=False,
        title="Analyst",
        emails=[{"value": "ada@example.com", "type": "work", "primary": True}],
        roles=[{"value": "author"}],
    )
    group = sandbox.create_group("Engineers", externalId="g1")
    sandbox.add_members(group, made)
    asked = {**apis.store, "UserId": made["id"]}
    apis.identitystore.update_user(
        **asked, Operations=[{"AttributePath": "nickName", "AttributeValue": "Countess"}]
    )
    found = apis.identitystore.describe_user(**asked)
    external = {"Issuer": SCIM_ISSUER, "Id": "A1"}
    assert (found["UserStatus"], found["ExternalIds"]) == ("DISABLED", [external])
    look = apis.identitystore.get_user_id
    assert look(**apis.store, AlternateIdentifier={"ExternalId": external})["UserId"] == made["id"]
    with pytest.raises(ClientError) as caught:
        look(**apis.store, AlternateIdentifier={"ExternalId": {**external, "Issuer": "other"}})
    assert code(caught) == "ResourceNotFoundException"
    (listed,) = apis.identitystore.list_groups(**apis.store)["Groups"]
    assert listed["ExternalIds"] == [{"Issuer": SCIM_ISSUER, "Id": "g1"}]
    over_scim = sandbox.get(f"/Users/{made['id']}").json()
    assert over_scim == {**made, "nickName": "Countess", "meta": over_scim["meta"]}


def test_somebody_made_by_the_identity_store_is_seen_by_scim(sandbox, apis):
    """Without what SCIM does not have; who leaves over SCIM has left (3.3). [inferred]"""
    user_id = apis.create_user(
        "ada", Website="https://example.com", Emails=[{"Value": "ada@example.com"}]
    )
    group_id = apis.create_group("Engineers", Description="They build")
    membership_id = apis.join(group_id, user_id)
    found = sandbox.get(f"/Users/{user_id}").json()
    assert (found["userName"], found["active"]) == ("ada", True)
    assert (found["emails"], "website" in found) == ([{"value": "ada@example.com"}], False)
    assert "description" not in sandbox.get(f"/Groups/{group_id}").json()
    leave = {"op": "remove", "path": "members", "value": [{"value": user_id}]}
    assert sandbox.patch(f"/Groups/{group_id}", leave).status_code == 204
    with pytest.raises(ClientError) as caught:
        apis.identitystore.delete_group_membership(**apis.store, MembershipId=membership_id)
    assert code(caught) == "ResourceNotFoundException"
    edit = {"op": "replace", "path": "title", "value": "Analyst"}
    assert sandbox.patch(f"/Users/{user_id}", edit).status_code == 200, sandbox.last_reason()
    kept = apis.identitystore.describe_user(**apis.store, UserId=user_id)
    assert (kept["Title"], kept["Website"]) == ("Analyst", "https://example.com")


@pytest.mark.parametrize("kind", ["USER", "GROUP"])
@pytest.mark.parametrize("door", ["scim", "api"])
def test_assignments_outlive_their_principal_until_they_are_removed(door, kind, sandbox, apis):
    """DeleteAccountAssignment takes a principal that is gone: so orphans are cleaned up (4).
    [documented procedure / inferred]
    """
    sandbox.behave(assignment_seconds=0)
    user, group = apis.create_user(), apis.create_group()
    apis.join(group, user)
    principal_id = user if kind == "USER" else group
    principal = {"PrincipalType": kind, "PrincipalId": principal_id}
    creation(apis, principal_id, PrincipalType=kind)
    grant = {"ApplicationArn": APPLICATION_ARN, **principal}
    apis.sso.create_application_assignment(**grant)
    if door == "scim":
        path = "Users" if kind == "USER" else "Groups"
        assert sandbox.delete(f"/{path}/{principal_id}").status_code == 204
    elif kind == "USER":
        apis.identitystore.delete_user(**apis.store, UserId=user)
    else:
        apis.identitystore.delete_group(**apis.store, GroupId=group)

    asked = {"InstanceArn": INSTANCE_ARN, **principal}
    left = apis.sso.list_account_assignments_for_principal(**asked)["AccountAssignments"]
    assert [one["PrincipalId"] for one in left] == [principal_id]
    state = sandbox.state()
    assert state["memberships"] == []
    assert [one["principalId"] for one in state["assignments"]] == [principal_id]
    with pytest.raises(ClientError) as caught:
        creation(apis, principal_id, READERS, PrincipalType=kind)
    assert code(caught) == "ResourceNotFoundException"
    apis.sso.delete_account_assignment(**assignment(principal_id, PrincipalType=kind))
    apis.sso.delete_application_assignment(**grant)
    state = sandbox.state()
    assert (state["assignments"], state["applicationAssignments"]) == ([], [])


def test_calls_of_all_apis_are_counted_by_their_action(sandbox, apis):
    """As IAM names them (6)."""
    apis.create_user()
    apis.sso.list_instances()
    apis.organizations.list_accounts()
    apis.sts.get_caller_identity()
    with pytest.raises(ClientError):
        apis.create_user()
    assert sandbox.calls() == {
        "identitystore:CreateUser": {"200": 1, "400": 1},
        "sso:ListInstances": {"200": 1},
        "organizations:ListAccounts": {"200": 1},
        "sts:GetCallerIdentity": {"200": 1},
    }


def test_the_front_page_explains_the_apis(sandbox):
    """Fixed ids, every operation, and how assignments are made to go wrong."""
    page = requests.get(sandbox.server.url, timeout=10).text
    fixed = (INSTANCE_ARN, IDENTITY_STORE_ID, OWNER_ACCOUNT, APPLICATION_ARN, "ReadOnlyAccess")
    for word in (*fixed, "/_sandbox/assignment-faults", "IsMemberInGroups", "ListAccounts"):
        assert word in page
