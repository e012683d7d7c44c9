"""Each switch of the sandbox's behaviour, set each way, makes the difference that it names.

The sections are those of the facts on Identity Center (reference/identity-center.md); section 9 is
what AWS does not document.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from requests_aws4auth import AWS4Auth

from scim_bridge.sandbox import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    SIGNING_SERVICE,
    Behaviour,
    UnknownBehaviour,
    read_behaviour,
)
from scim_bridge.sandbox.access import APPLICATION_ARN
from scim_bridge.sandbox.behaviour import APIS, OWNER_ACCOUNT

NOBODY = "99999999-9999-4999-8999-999999999999"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
EXTENSION = "aws:identitystore:enterprise"

Observe = Callable[[Any, Any], object]
SWITCHES: dict[str, tuple[Observe, dict[Any, object]]] = {}


def switch(name: str, outcomes: dict[Any, object]) -> Callable[[Observe], Observe]:
    """What is observed of a sandbox with the switch at each of its values."""

    def keep(observe: Observe) -> Observe:
        SWITCHES[name] = (observe, outcomes)
        return observe

    return keep


def answer(ask: Callable[..., Any], *arguments: Any, **more: Any) -> str:
    """ "ok", or the error's name."""
    try:
        ask(*arguments, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


def assignment(user_id: str, number: int = 0) -> dict[str, str]:
    instance = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef"
    return {
        "InstanceArn": "arn:aws:sso:::instance/ssoins-0123456789abcdef",
        "TargetId": OWNER_ACCOUNT,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": f"{instance}/ps-{number + 1:016d}",
        "PrincipalType": "USER",
        "PrincipalId": user_id,
    }


def signed(sandbox, key=ACCESS_KEY, secret=SECRET_KEY, region=REGION, service=SIGNING_SERVICE):
    url = f"{sandbox.server.scim_endpoint}/Users"
    auth = AWS4Auth(key, secret, region, service)
    return requests.get(url, auth=auth, timeout=10).status_code


@switch("strict_disabled", {False: [200, 204], True: [400, 400]})
def _edits_of_a_disabled_user(sandbox, apis):
    """9: whether editing or group changes of a disabled user are refused over SCIM."""
    user, group = sandbox.create_user(active=False), sandbox.create_group()
    edit = {"op": "replace", "path": "title", "value": "x"}
    return [
        sandbox.patch(f"/Users/{user['id']}", edit).status_code,
        sandbox.add_members(group, user).status_code,
    ]


@switch("strict_removals", {False: [204, "ok"], True: [400, "ok"]})
def _taking_a_disabled_user_out_of_groups(sandbox, apis):
    """9: whether it is refused over SCIM. The Identity Store API takes it in any case."""
    user = sandbox.create_user(active=False)
    group, other = sandbox.create_group("one"), sandbox.create_group("two")
    for each in (group, other):
        sandbox.add_members(each, user)
    leaves = {"op": "remove", "path": "members", "value": [{"value": user["id"]}]}
    store = apis.identitystore
    shown = store.list_group_memberships(**apis.store, GroupId=other["id"])["GroupMemberships"]
    [held] = [one["MembershipId"] for one in shown]
    return [
        sandbox.patch(f"/Groups/{group['id']}", leaves).status_code,
        answer(store.delete_group_membership, **apis.store, MembershipId=held),
    ]


@switch("sigv4_on_scim", {True: 200, False: 401})
def _a_signature_at_the_scim_endpoint(sandbox, apis):
    """9, 1.1: SigV4 on the SCIM host."""
    assert sandbox.get("/Users").status_code == 200
    apis.create_user()
    return signed(sandbox)


@switch("add_existing_member", {"ok": 204, "409": 409})
def _adding_a_member_again(sandbox, apis):
    """9, 1.8: PATCH add of an existing member."""
    user, group = sandbox.create_user(), sandbox.create_group()
    sandbox.add_members(group, user)
    return sandbox.add_members(group, user).status_code


def _patch_members(sandbox, op: str, user_id: str) -> int:
    group = sandbox.create_group()
    operation = {"op": op, "path": "members", "value": [{"value": user_id}]}
    return sandbox.patch(f"/Groups/{group['id']}", operation).status_code


@switch("remove_non_member", {"ok": 204, "404": 404})
def _removing_somebody_who_is_no_member(sandbox, apis):
    """9, 1.8: PATCH remove of a non-member."""
    return _patch_members(sandbox, "remove", sandbox.create_user()["id"])


@switch("unknown_member", {"404": 404, "400": 400})
def _adding_nobody(sandbox, apis):
    """9, 1.8: an unknown user id."""
    return _patch_members(sandbox, "add", NOBODY)


@switch("member_filter_path", {False: (400, 1), True: (204, 0)})
def _removing_by_a_filter_in_the_path(sandbox, apis):
    """9, 1.8: the path form members[value eq "…"]."""
    user, group = sandbox.create_user(), sandbox.create_group()
    sandbox.add_members(group, user)
    operation = {"op": "remove", "path": f'members[value eq "{user["id"]}"]'}
    status = sandbox.patch(f"/Groups/{group['id']}", operation).status_code
    return status, len(sandbox.state()["memberships"])


@switch("case_sensitive_names", {False: [409, "ConflictException"], True: [201, "ok"]})
def _names_that_differ_in_case(sandbox, apis):
    """9, 1.11: case sensitivity of uniqueness, behind both doors; a deleted name is free again."""
    user = sandbox.create_user("Ada")
    sandbox.create_group("Pilots")
    body = {"userName": "ada", "displayName": "A", "name": {"givenName": "A", "familyName": "L"}}
    seen = [sandbox.post("/Users", body).status_code, answer(apis.create_group, "pilots")]
    sandbox.delete(f"/Users/{user['id']}")
    sandbox.create_user("Ada" if seen[0] == 201 else "ADA")
    return seen


@switch("unknown_attributes", {"refuse": 400, "ignore": 201})
def _attributes_that_nobody_has(sandbox, apis):
    """9, 1.5: whether unknown attributes are ignored or give 400."""
    return sandbox.post("/Groups", {"displayName": "A", "shoeSize": 7}).status_code


@switch("put_omitted_active", {"keep": False, "true": True})
def _put_without_active(sandbox, apis):
    """9, 1.6: PUT on omitted active."""
    user = sandbox.create_user(active=False)
    kept = ("userName", "name", "displayName")
    return sandbox.put(f"/Users/{user['id']}", {name: user[name] for name in kept}).json()["active"]


@switch("principal_listing_includes_inherited", {False: 0, True: 1})
def _assignments_by_a_group(sandbox, apis):
    """9, 4: ListAccountAssignmentsForPrincipal and group-inherited rows, and the applications'."""
    sandbox.behave(assignment_seconds=0)
    user_id, group_id = apis.create_user(), apis.create_group()
    apis.join(group_id, user_id)
    group = {"PrincipalType": "GROUP", "PrincipalId": group_id}
    apis.sso.create_account_assignment(**{**assignment(user_id), **group})
    apis.sso.create_application_assignment(ApplicationArn=APPLICATION_ARN, **group)
    asked = {**apis.instance, "PrincipalType": "USER", "PrincipalId": user_id}
    rows = apis.sso.list_account_assignments_for_principal(**asked)["AccountAssignments"]
    assert all(row.items() >= group.items() for row in rows)
    more = apis.sso.list_application_assignments_for_principal(**asked)["ApplicationAssignments"]
    assert len(more) == len(rows)
    return len(rows)


@switch(
    "create_existing_assignment", {"succeed": ["ok"] * 2, "conflict": ["ConflictException"] * 2}
)
def _assigning_what_is_assigned(sandbox, apis):
    """9, 4: behaviour of CreateAccountAssignment on an existing assignment."""
    sandbox.behave(assignment_seconds=0)
    user_id = apis.create_user()
    grant = {
        "ApplicationArn": APPLICATION_ARN,
        "PrincipalType": "USER",
        "PrincipalId": user_id,
    }
    for _ in range(2):
        seen = [
            answer(apis.sso.create_account_assignment, **assignment(user_id)),
            answer(apis.sso.create_application_assignment, **grant),
        ]
    state = sandbox.state()
    assert len(state["assignments"]) == len(state["applicationAssignments"]) == 1
    return seen


@switch(
    "update_user_null_removes",
    {True: ["ok", "ok", None], False: ["ValidationException"] * 2 + ["Analyst"]},
)
def _an_update_without_a_value(sandbox, apis):
    """9, 3.2: how to clear an attribute by UpdateUser (null vs absent)."""
    user_id = apis.create_user(Title="Analyst", NickName="Countess")
    asked = {**apis.store, "UserId": user_id}
    seen = [
        answer(apis.identitystore.update_user, **asked, Operations=[operation])
        for operation in (
            {"AttributePath": "title"},
            {"AttributePath": "nickName", "AttributeValue": None},
        )
    ]
    return [*seen, apis.identitystore.describe_user(**asked).get("Title")]


@switch("extension_key_case", {"camel": ["department"], "pascal": ["Department"]})
def _the_case_of_extension_keys(sandbox, apis):
    """9, 3.3: key case inside Extensions."""
    user = sandbox.create_user(**{ENTERPRISE: {"department": "Engines"}})
    asked = {**apis.store, "UserId": user["id"], "Extensions": [EXTENSION]}
    return list(apis.identitystore.describe_user(**asked)["Extensions"][EXTENSION])


@switch("assignment_seconds", {0: "SUCCEEDED", 1000: "IN_PROGRESS"})
def _how_long_an_assignment_takes(sandbox, apis):
    """4: an assignment is asynchronous."""
    begun = apis.sso.create_account_assignment(**assignment(apis.create_user()))
    request_id = begun["AccountAssignmentCreationStatus"]["RequestId"]
    status = apis.sso.describe_account_assignment_creation_status(
        **apis.instance, AccountAssignmentCreationRequestId=request_id
    )
    return status["AccountAssignmentCreationStatus"]["Status"]


@switch("outstanding_assignments", {1: ["ok", "ThrottlingException"], 2: ["ok", "ok"]})
def _creations_at_the_same_time(sandbox, apis):
    """5: so many outstanding asynchronous CreateAccountAssignment."""
    sandbox.behave(assignment_seconds=1000)
    user_id = apis.create_user()
    return [
        answer(apis.sso.create_account_assignment, **assignment(user_id, number))
        for number in range(2)
    ]


OVER_QUOTA = {100_000: [201, 201, "ok"], 1: [201, 400, "ServiceQuotaExceededException"]}


@switch("most_users", OVER_QUOTA)
def _users_beyond_the_quota(sandbox, apis):
    """5: users in the identity store; 3.6: the name of the error. SCIM's is not documented."""
    bodies = [
        {"userName": name, "name": {"givenName": name, "familyName": name}, "displayName": name}
        for name in ("ada", "bob")
    ]
    scim = [sandbox.post("/Users", body).status_code for body in bodies]
    return [*scim, answer(apis.create_user, "carol")]


@switch("most_groups", OVER_QUOTA)
def _groups_beyond_the_quota(sandbox, apis):
    """5: groups in the identity store."""
    names = ({"displayName": name} for name in ("Engineers", "Poets"))
    scim = [sandbox.post("/Groups", name).status_code for name in names]
    return [*scim, answer(apis.create_group, "Painters")]


@switch("latency", {0: ["answered"] * 2, 30: ["late"] * 2})
def _how_long_a_call_takes(sandbox, apis):
    """Not only what is let in takes its time."""
    patience = 0.05 if sandbox.control("GET", "behaviour").json()["latency"] else 20
    tokens = (sandbox.session.headers["Authorization"], "Bearer unknown")
    return [_in_time(sandbox, token, patience) for token in tokens]


def _in_time(sandbox, token: str, seconds: float) -> str:
    url = f"{sandbox.server.scim_endpoint}/Users"
    try:
        requests.get(url, headers={"Authorization": token}, timeout=seconds)
    except requests.ReadTimeout:
        return "late"
    return "answered"


@switch("page_size", {None: [3, 3, 3], 2: [2, 2, 2], 1: [1, 1, 1]})
def _a_page(sandbox, apis):
    """1.9, 3.2, 4: an answer may have fewer items than were asked for, and a NextToken."""
    for name in ("ada", "bob", "carol"):
        apis.create_user(name)
    users = apis.identitystore.list_users(**apis.store, MaxResults=100)
    sets = apis.sso.list_permission_sets(**apis.instance, MaxResults=100)
    scim = sandbox.get("/Users?cursor&count=100").json()
    assert ("NextToken" in users) == ("NextToken" in sets) == ("nextCursor" in scim)
    return [len(users["Users"]), len(sets["PermissionSets"]), len(scim["Resources"])]


def _calls(sandbox, apis) -> dict[str, list[str]]:
    """Two calls of each door, one after the other."""
    scim = [sandbox.get("/Users").status_code for _ in range(2)]
    return {
        "scim": ["ok" if status == 200 else str(status) for status in scim],
        "identitystore": [answer(apis.identitystore.list_users, **apis.store) for _ in range(2)],
        "sso": [answer(apis.sso.list_instances) for _ in range(2)],
        "organizations": [answer(apis.organizations.list_accounts) for _ in range(2)],
        "sts": [answer(apis.sts.get_caller_identity) for _ in range(2)],
    }


def _throttled(api: str | None = None, error: str = "") -> dict[str, list[str]]:
    free = {one: ["ok", "ok"] for one in (*APIS, "sts")}
    return free if api is None else {**free, api: ["ok", error]}


# One call in a hundred seconds: no machine is so slow that the second one gets through.
RARELY = 0.01
for name, api, error in (
    ("throttle", "scim", "429"),
    ("throttle_identitystore", "identitystore", "ThrottlingException"),
    ("throttle_sso", "sso", "ThrottlingException"),
    ("throttle_organizations", "organizations", "TooManyRequestsException"),
):
    # 3.6, 4: each API has its own pace and its own name for it.
    switch(name, {None: _throttled(), RARELY: _throttled(api, error)})(_calls)


@switch("signing_service", {SIGNING_SERVICE: [200, 403, "ok"], "scim": [403, 200, "ok"]})
def _signatures_for_two_services(sandbox, apis):
    """9, 1.1: for which name the SCIM host takes signatures; the APIs have theirs (3.1)."""
    seen = [signed(sandbox, service=service) for service in (SIGNING_SERVICE, "scim")]
    return [*seen, answer(apis.identitystore.list_users, **apis.store)]


def _key(sandbox, apis) -> list[object]:
    """Who signs as always, at the SCIM endpoint and at each API."""
    return [
        signed(sandbox),
        answer(apis.identitystore.list_users, **apis.store),
        answer(apis.sso.list_instances),
        answer(apis.organizations.list_accounts),
        answer(apis.sts.get_caller_identity),
    ]


KNOWN = [200, *["ok"] * 4]
switch(
    "access_key",
    {
        ACCESS_KEY: KNOWN,
        "other": [403, *["UnrecognizedClientException"] * 3, "InvalidClientTokenId"],
    },
)(_key)
switch(
    "secret_key",
    {
        SECRET_KEY: KNOWN,
        "other": [403, *["InvalidSignatureException"] * 3, "SignatureDoesNotMatch"],
    },
)(_key)
# Organizations and STS's global endpoint stay in us-east-1 (4).
switch(
    "region",
    {
        REGION: KNOWN,
        "eu-west-1": [403, *["InvalidSignatureException"] * 2, "ok", "ok"],
    },
)(_key)


@switch("bearer_token", {"sandbox-token": 200, "other": 401})
def _the_published_token(sandbox, apis):
    """1.1: the token is compared."""
    return sandbox.get("/Users").status_code


CASES = [(name, value) for name, (_, outcomes) in SWITCHES.items() for value in outcomes]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={value}" for name, value in CASES])
def test_a_switch_makes_its_difference(name, value, sandbox, apis):
    """9, and what else a switch says. [each is a supposition, which is why it is a switch]"""
    observe, outcomes = SWITCHES[name]
    sandbox.behave(**{name: value})
    assert observe(sandbox, apis) == outcomes[value]


def test_every_switch_is_tried_each_way():
    """Those with a choice by each of it, the others by their default and something else."""
    assert SWITCHES.keys() == asdict(Behaviour()).keys()
    for name, (_, outcomes) in SWITCHES.items():
        assert len(outcomes) >= 2, name
        for value in outcomes:
            Behaviour().changed({name: value})
    for name, default in asdict(Behaviour()).items():
        free = name in ("assignment_seconds", "outstanding_assignments")
        assert free or default in SWITCHES[name][1], name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("aws.toml", 'add_existing_member = "409"\nassignment_seconds = 1.5\n'),
        ("aws.json", '{"add_existing_member": "409", "assignment_seconds": 1.5}'),
    ],
)
def test_a_behaviour_is_read_from_a_file(name, text, tmp_path):
    """TOML, or JSON by the name; what is not said stays as it is."""
    (tmp_path / name).write_text(text)
    expected = Behaviour(add_existing_member="409", assignment_seconds=1.5)
    assert read_behaviour(tmp_path / name) == expected


@pytest.mark.parametrize("text", ["{", "[]", '{"shoe_size": 7}', '{"page_size": 0}'])
def test_a_file_that_is_no_behaviour_is_refused(text, tmp_path):
    """A mistyped switch must not pass for AWS's behaviour."""
    (tmp_path / "aws.json").write_text(text)
    with pytest.raises(UnknownBehaviour):
        read_behaviour(tmp_path / "aws.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": 1.5},
        {"page_size": True},
        {"assignment_seconds": -1},
        {"assignment_seconds": "1"},
        {"outstanding_assignments": 0},
        {"most_users": 0},
        {"latency": -0.1},
        {"throttle_sso": 0},
        {"extension_key_case": "snake"},
        {"sigv4_on_scim": None},
    ],
)
def test_a_switch_takes_only_its_values(wrong, sandbox):
    """The refusal names the switch, and nothing is changed."""
    refused = sandbox.control("POST", "behaviour", {"strict_disabled": True, **wrong})
    assert (refused.status_code, next(iter(wrong)) in refused.json()["error"]) == (400, True)
    assert sandbox.control("GET", "behaviour").json() == json.loads(json.dumps(asdict(Behaviour())))
