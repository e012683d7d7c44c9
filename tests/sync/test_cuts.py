"""`[deprovision] cut_sessions`: a leaver's running sessions end at once, and only theirs."""

import json
import time
from dataclasses import dataclass

import boto3
import pytest
import requests

from scim_bridge.directory.trail import trail
from scim_bridge.plan.session_policy import SID
from scim_bridge.sandbox import SandboxServer
from scim_bridge.sandbox.behaviour import INSTANCE_ARN
from scim_bridge.sync.cuts import TRY_AGAIN_AFTER, sessions_until, uncut
from scim_bridge.sync.marks import Key
from scim_bridge.sync.pause import pause
from tests.cli.operation import Client, client_of, in_front_of

ACCOUNT = "222233334444"


class Aws:
    """An administrator with boto3, and what they see in the sandbox."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.sso = boto3.client(
            "sso-admin",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox-secret",
        )
        self.sets = {
            self.sso.describe_permission_set(InstanceArn=INSTANCE_ARN, PermissionSetArn=arn)[
                "PermissionSet"
            ]["Name"]: arn
            for arn in self.sso.list_permission_sets(InstanceArn=INSTANCE_ARN)["PermissionSets"]
        }

    def assign(self, user_id: str, name: str) -> None:
        self.sso.create_account_assignment(
            InstanceArn=INSTANCE_ARN,
            TargetId=ACCOUNT,
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=self.sets[name],
            PrincipalType="USER",
            PrincipalId=user_id,
        )

    def state(self) -> dict:
        return requests.get(f"{self.server.url}/_sandbox/state", timeout=10).json()

    def policy(self, name: str) -> dict:
        found = self.sso.get_inline_policy_for_permission_set(
            InstanceArn=INSTANCE_ARN, PermissionSetArn=self.sets[name]
        )
        return json.loads(found["InlinePolicy"] or "{}")

    def denied(self, name: str) -> list[str]:
        for one in self.policy(name).get("Statement", ()):
            if one.get("Sid") == SID:
                return one["Condition"]["StringEquals"]["identitystore:UserId"]
        return []


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with SandboxServer() as server:
        yield Aws(server)


@dataclass(kw_only=True)
class Leaver(Client):
    """The client, and the person it is about."""

    jane: str
    principal: str


@pytest.fixture
def client(aws, tmp_path):
    """A bridge that cuts sessions; jane has ReadOnlyAccess in an account, as it was seen."""
    more = "[deprovision]\ncut_sessions = true\nrestore_within = '30d'\n"
    file = in_front_of(aws.server, tmp_path, more=more, auth="sigv4")
    with client_of(file) as connected:
        jane = connected.add_user("jane@example.com")
        principal = connected.bridge.center.find_user(user_name="jane@example.com").id
        client = Leaver(**vars(connected), jane=jane, principal=principal)
        aws.assign(client.principal, "ReadOnlyAccess")
        client.bridge.worker().run_once()
        until_assigned(client)
        yield client


def until_assigned(client) -> None:
    """Read Identity Center until the assignment, which takes a moment, has been seen."""
    for _ in range(50):
        client.bridge.watch.schedule.read_now()
        with client.bridge.database.reading():
            holder = client.bridge.entitlements.holder(Key(kind="user", id=client.jane))
            if client.bridge.entitlements.grants.observed(holder):
                return
    raise AssertionError("the assignment was not seen")


def test_a_leaver_is_denied_in_what_they_could_reach_and_nowhere_else(client, aws):
    """The documented Deny, provisioned; what the person could not reach stays as it was."""
    client.patch(f"/Users/{client.jane}", active=False)
    client.bridge.cuts.bring()

    assert aws.denied("ReadOnlyAccess") == [client.principal]
    assert aws.policy("AdministratorAccess") == {}


def test_the_denial_ends_when_the_person_returns(client, aws):
    """And what somebody else wrote into the policy stands before, meanwhile and after."""
    own = {"Version": "2012-10-17", "Statement": [
        {"Sid": "Mine", "Effect": "Deny", "Action": "iam:*", "Resource": "*"}]}  # fmt: skip
    aws.sso.put_inline_policy_to_permission_set(
        InstanceArn=INSTANCE_ARN,
        PermissionSetArn=aws.sets["ReadOnlyAccess"],
        InlinePolicy=json.dumps(own),
    )
    client.patch(f"/Users/{client.jane}", active=False)
    client.bridge.cuts.bring()
    assert [one["Sid"] for one in aws.policy("ReadOnlyAccess")["Statement"]] == ["Mine", SID]

    client.patch(f"/Users/{client.jane}", active=True)
    client.bridge.cuts.bring()

    assert aws.policy("ReadOnlyAccess") == own


def test_every_deprovision_says_until_when_sessions_may_live(client):
    """In the audit trail, whether they are cut or not."""
    client.patch(f"/Users/{client.jane}", active=False)

    entries = list(trail(client.bridge.database, user_name="jane@example.com"))
    [said] = [one for one in entries if one.action == "sessions"]
    assert said.facts["cut at once"] is True
    assert "sessions may live until" in said.facts


def test_the_report_says_until_when_sessions_may_live_unless_they_are_cut(client):
    """Until they are cut, and not after the person has returned."""
    assert sessions_until(client.bridge.database, client.jane) is None
    client.patch(f"/Users/{client.jane}", active=False)
    assert sessions_until(client.bridge.database, client.jane) is not None

    client.bridge.cuts.bring()

    assert sessions_until(client.bridge.database, client.jane) is None


def test_a_policy_that_cannot_be_read_is_left_alone_and_told(client, aws):
    """A failed cut counts for the alert."""
    requests.post(
        f"{aws.server.url}/_sandbox/faults",
        json={"operation": "sso:PutInlinePolicyToPermissionSet", "error": "AccessDeniedException",
              "times": 1},
        timeout=10,
    )  # fmt: skip
    client.patch(f"/Users/{client.jane}", active=False)
    client.bridge.cuts.bring()
    assert uncut(client.bridge.database, "identity-center") == 1

    client.bridge.cuts.clock = lambda: time.monotonic() + TRY_AGAIN_AFTER
    client.bridge.cuts.bring()

    assert uncut(client.bridge.database, "identity-center") == 0
    assert aws.denied("ReadOnlyAccess") == [client.principal]


def test_a_leaver_whom_the_brake_holds_keeps_their_sessions(aws, tmp_path):
    """A mass leaving by mistake must lock nobody out before an operator has looked at it."""
    more = "[deprovision]\ncut_sessions = true\n"
    file = in_front_of(aws.server, tmp_path, more=more, auth="sigv4")
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        people = [client.add_user(f"p{number}@example.com") for number in range(7)]
        principals = {one["id"] for one in aws.state()["users"]}
        for principal in principals:
            aws.assign(principal, "ReadOnlyAccess")
        client.bridge.worker().run_once()
        client.bridge.watch.schedule.read_now()

        for person in people:
            client.patch(f"/Users/{person}", active=False)
        client.bridge.cuts.bring()

        active = {one["id"] for one in aws.state()["users"] if one["active"]}
        assert len(active) == 2
        assert set(aws.denied("ReadOnlyAccess")) == principals - active


def test_somebody_hired_again_is_not_denied_for_their_earlier_leaving(client, aws):
    """The record is a new one, and the same user at Identity Center (design, section 3)."""
    client.send("DELETE", f"/Users/{client.jane}")
    client.bridge.cuts.bring()
    assert aws.denied("ReadOnlyAccess") == [client.principal]

    client.add_user("jane@example.com")
    client.bridge.cuts.bring()

    assert aws.denied("ReadOnlyAccess") == []


def test_nothing_is_cut_while_delivery_is_paused(client, aws):
    """A pause is a pause, for the sessions too."""
    pause(client.bridge.database, "maintenance")
    client.patch(f"/Users/{client.jane}", active=False)
    client.bridge.cuts.bring()

    assert aws.policy("ReadOnlyAccess") == {}
