"""Access over plain SCIM: what groups grant, what leavers lose, what AWS does to assignments."""

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import requests

from scim_bridge.sandbox.behaviour import INSTANCE_ARN
from scim_bridge.sync.holdings import BY_HAND
from tests.acceptance.installation import Bridge, Center, Installation, command, joining, leaving
from tests.cli.operation import until

GROUP = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:Group"
PRODUCTION, SANDBOX = "333344445555", "222233334444"
JANE = "jane@example.com"


class Hand:
    """Somebody who changes Identity Center behind the bridge's back, with boto3."""

    def __init__(self, sandbox: Center) -> None:
        self.sandbox = sandbox
        self.sso = boto3.client(
            "sso-admin",
            endpoint_url=sandbox.url,
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox-secret",
        )

    def named(self, name: str) -> str:
        """The ARN of a permission set."""
        sets = self.sandbox.state()["permissionSets"]
        return next(one["arn"] for one in sets if one["name"] == name)

    def assign(self, user_id: str, name: str, account: str) -> None:
        self.sso.create_account_assignment(
            InstanceArn=INSTANCE_ARN,
            TargetId=account,
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=self.named(name),
            PrincipalType="USER",
            PrincipalId=user_id,
        )
        until(lambda: any(one["principalId"] == user_id for one in self.assignments()))

    def assignments(self) -> list[dict[str, Any]]:
        return self.sandbox.state()["assignments"]


def entitled_client(installation: Installation, bridge: Bridge) -> None:
    """Let the bridge's client say what groups grant."""
    added = command(installation.folder, "client", "add", "idp", "--entitlements", "--json")
    bridge.token = json.loads(added.stdout)["token"]


def granting(bridge: Bridge, name: str, *grants: tuple[str, str]) -> str:
    """A new group that grants permission sets in accounts."""
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", GROUP],
        "displayName": name,
        GROUP: {
            "accountAssignments": [
                {"accountId": account, "permissionSet": permission_set}
                for permission_set, account in grants
            ]
        },
    }
    return str(bridge.sent("POST", "/Groups", body)["id"])


def provisioning(bridge: Bridge, group: str) -> dict[str, Any]:
    asked = f"{GROUP}:provisioning"
    answer = bridge.sent("GET", f"/Groups/{group}?attributes={asked}")
    return answer[GROUP]["provisioning"]


def now() -> str:
    return datetime.now(UTC).isoformat()


def held(installation: Installation, at: str | None = None) -> set[tuple[str, str]]:
    """What `access` says Jane holds by the directory: permission sets and accounts."""
    found = holdings(installation, at)
    known = [one for one in found if one["permissionSet"] and one["since"]]
    return {(one["permissionSet"], one["account"]) for one in known}


def holdings(installation: Installation, at: str | None = None) -> list[dict[str, Any]]:
    return installation.json_of("access", JANE, *(("--at", at) if at else ()))["holdings"]


def test_a_leaver_ends_without_any_access_and_returns_to_what_is_theirs(installed, sandbox):
    """Must show 1: a group with two assignments, a member who moves, leaves with an assignment
    that somebody gave by hand, and returns. `access --at` tells the truth for each moment.
    """
    installation, hand = installed(), Hand(sandbox)
    installation.run("extract")
    with installation.serving() as bridge:
        entitled_client(installation, bridge)
        jane = bridge.add_user(JANE)
        admins = granting(
            bridge, "admins", ("ReadOnlyAccess", PRODUCTION), ("AdministratorAccess", SANDBOX)
        )
        before = now()
        assert bridge.change(f"/Groups/{admins}", joining(jane)).ok
        installation.settle()
        group = next(one["id"] for one in sandbox.state()["groups"])
        assert {
            (one["permissionSetArn"], one["accountId"]) for one in hand.assignments()
            if one["principalId"] == group
        } == {(hand.named("ReadOnlyAccess"), PRODUCTION),
              (hand.named("AdministratorAccess"), SANDBOX)}  # fmt: skip
        principal = sandbox.user(JANE)["id"]
        hand.assign(principal, "Billing", PRODUCTION)
        member = now()

        bridge.patch(f"/Users/{jane}", active=False)
        installation.settle()
        assert sandbox.user(JANE)["active"] is False
        assert sandbox.members("admins") == set()
        assert [one for one in hand.assignments() if one["principalId"] == principal] == []
        assert len(hand.assignments()) == 2
        assert bridge.sent("GET", f"/Users/{jane}")["userName"] == JANE
        gone = now()

        bridge.patch(f"/Users/{jane}", active=True)
        installation.settle()
        assert sandbox.members("admins") == {JANE}
        assert sandbox.user(JANE)["active"] is True

        assert bridge.change(f"/Groups/{admins}", leaving(jane)).ok
        installation.settle()
    through_admins = {("ReadOnlyAccess", PRODUCTION), ("AdministratorAccess", SANDBOX)}
    assert held(installation, before) == set()
    assert held(installation, member) == through_admins
    # Since when it was there, nobody but the hand can tell.
    [by_hand] = [one for one in holdings(installation, member) if one["since"] is None]
    assert (by_hand["permissionSet"], by_hand["origin"]) == ("Billing", BY_HAND)
    assert held(installation, gone) == set()
    assert held(installation) == set()


def test_slow_failing_and_conflicting_assignments_are_told_apart_and_none_is_lost(
    installed, sandbox
):
    """Must show 2, with a few seconds for 30: the slow one keeps nobody waiting, the failed one
    says why and is tried again when it is asked for, the conflicting one arrives.
    """
    installation, hand = installed(), Hand(sandbox)
    installation.run("extract")
    for fault in (
        {"permissionSet": "AdministratorAccess", "seconds": 6},
        {"permissionSet": "Billing", "fail": "the role cannot be made", "times": 1},
        {"permissionSet": "ReadOnlyAccess", "conflicts": 2},
    ):
        assert requests.post(f"{sandbox.url}/_sandbox/assignment-faults", json=fault, timeout=10).ok
    with installation.serving() as bridge:
        entitled_client(installation, bridge)
        slow = granting(bridge, "slow", ("AdministratorAccess", SANDBOX))
        failing = granting(bridge, "failing", ("Billing", SANDBOX))
        conflicting = granting(bridge, "conflicting", ("ReadOnlyAccess", SANDBOX))

        until(lambda: provisioning(bridge, conflicting)["state"] == "applied", within=30)
        until(lambda: provisioning(bridge, failing)["state"] == "failed", within=30)
        assert "the role cannot be made" in provisioning(bridge, failing)["detail"]
        until(lambda: provisioning(bridge, slow)["state"] == "applied", within=40)
        # Its exit code says whether AWS is done by then: the served bridge may be the one who asks.
        assert "Tried again: 1." in installation.run("sync", "--retry", expect=None)
        until(lambda: provisioning(bridge, failing)["state"] == "applied", within=30)
    assert len(hand.assignments()) == 3
    created = sandbox.calls()["sso:CreateAccountAssignment"]
    # One for each, two conflicts, and the failed one once more.
    assert sum(created.values()) == 6
