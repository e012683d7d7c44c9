"""Which calls IAM allows, found out by calls that change nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from scim_bridge.errors import DoorClosed
from scim_bridge.identity_center import permissions
from scim_bridge.identity_center.api_operations import OPERATIONS, STS, actions
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.clock import ahead
from scim_bridge.identity_center.permissions import Trial, tried
from scim_bridge.sandbox.behaviour import OWNER_ACCOUNT

EVERYTHING = actions(write_via="identity-store", cut_sessions=True)


@pytest.fixture(name="apis")
def _apis(settings: Callable[..., Any], sandbox: Any) -> Apis:
    return connect_apis(settings(endpoint_url=sandbox.server.url))


def trials(apis: Apis) -> dict[str, Trial]:
    return {trial.action: trial for trial in tried(apis, EVERYTHING, account=OWNER_ACCOUNT)}


def test_there_is_a_trial_for_every_call_of_the_bridge() -> None:
    """Each action of `api_operations` is tried, or said to leave a trace."""
    asked = {name for name, operation in OPERATIONS.items() if operation.service is not STS}
    assert permissions._CALLS.keys() | permissions._NOT_HARMLESS == asked
    assert not permissions._CALLS.keys() & permissions._NOT_HARMLESS


def test_everything_is_allowed_and_nothing_changed(apis: Apis, sandbox: Any) -> None:
    """AWS answers that nobody is there; who may not ask is answered otherwise."""
    before = sandbox.control("GET", "state")
    found = trials(apis)
    untried = {action for action, trial in found.items() if trial.verdict != "allowed"}
    assert untried == {"identitystore:CreateUser", "identitystore:CreateGroup"}
    assert found.keys() == EVERYTHING
    assert sandbox.calls.keys() == EVERYTHING - untried
    assert all(found[action].is_expected for action in untried)
    assert sandbox.control("GET", "state") == before


@pytest.mark.parametrize(
    "action",
    [
        "sso:DeleteAccountAssignment",
        "identitystore:UpdateGroup",
        "organizations:ListAccounts",
        "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    ],
)
def test_an_action_that_iam_denies_is_named(action: str, apis: Apis, sandbox: Any) -> None:
    """Only this one: the others go on."""
    sandbox.fault(action, error="AccessDeniedException", times=-1)
    found = trials(apis)
    assert {name for name, trial in found.items() if trial.verdict == "denied"} == {action}


def test_what_depends_on_a_denied_operation_is_not_blamed(apis: Apis, sandbox: Any) -> None:
    """The policies of permission sets cannot be asked for where none can be listed."""
    sandbox.fault("sso:ListPermissionSets", error="AccessDeniedException", times=-1)
    found = trials(apis)
    assert found["sso:ListPermissionSets"].verdict == "denied"
    trial = found["sso:ListManagedPoliciesInPermissionSet"]
    assert (trial.verdict, trial.said) == ("untried", "needs sso:ListPermissionSets")


def test_a_closed_door_is_no_missing_permission(apis: Apis, sandbox: Any) -> None:
    """With a wrong key nothing gets through: no action is to blame."""
    sandbox.behave(secret_key="another")
    with pytest.raises(DoorClosed):
        trials(apis)


def test_a_throttled_trial_tells_nothing(apis: Apis, sandbox: Any) -> None:
    """Neither allowed nor denied: it was not answered."""
    sandbox.fault("identitystore:DescribeGroup", error="ThrottlingException", times=-1)
    assert trials(apis)["identitystore:DescribeGroup"].verdict == "untried"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Tue, 24 Nov 2026 13:00:00 GMT", 9.5),
        ("Tue, 24 Nov 2026 13:00:20 GMT", -10.5),
        (None, None),
        ("soon", None),
    ],
)
def test_a_clock_is_compared_with_the_date_of_an_answer(
    date: str | None, expected: float | None
) -> None:
    """RFC 9110 section 6.6.1: whole seconds, so that half a second is added."""
    # 2026-11-24 13:00:10
    assert ahead(date, now=1795525210.0) == expected


def test_a_refusal_tells_the_time_too(apis: Apis, sandbox: Any) -> None:
    """A clock that is wrong makes AWS refuse; just then it must be known."""
    sandbox.behave(secret_key="another")
    with pytest.raises(DoorClosed):
        apis.caller.identity()
    assert apis.caller.ahead is not None
    assert abs(apis.caller.ahead) < 60
