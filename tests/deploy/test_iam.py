"""The IAM policies allow what the bridge calls, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from scim_bridge.identity_center.api_operations import OPERATIONS, actions

IAM = Path(__file__).parents[2] / "deploy" / "iam"
# What the mission asks the bridge to be able to do at the Identity Store API.
MISSION = {
    f"identitystore:{operation}"
    for operation in (
        "CreateUser",
        "UpdateUser",
        "DeleteUser",
        "GetUserId",
        "CreateGroup",
        "CreateGroupMembership",
        "DeleteGroupMembership",
        "ListGroups",
        "ListGroupMemberships",
    )
}
MODES = {
    "scim-and-sso-admin": actions(write_via="scim"),
    "identity-store-only": actions(write_via="identity-store"),
    "with-session-cut": actions(write_via="scim", cut_sessions=True),
    "read-only-source": actions(write_via=None),
}


def statements(name: str) -> list[dict[str, Any]]:
    policy = json.loads((IAM / f"{name}.json").read_text(encoding="utf-8"))
    assert policy["Version"] == "2012-10-17"
    return policy["Statement"]


def allowed(name: str) -> list[str]:
    return [action for statement in statements(name) for action in statement["Action"]]


def test_there_is_one_policy_for_each_mode() -> None:
    assert {file.stem for file in IAM.glob("*.json")} == set(MODES)


@pytest.mark.parametrize("name", MODES)
def test_a_policy_allows_what_its_mode_calls_and_nothing_else(name: str) -> None:
    """Compared with the table that every call is looked up in (`JsonApi.ask`)."""
    assert sorted(allowed(name)) == sorted(MODES[name])


@pytest.mark.parametrize("name", MODES)
def test_a_policy_says_only_allow_and_fits_a_managed_policy(name: str) -> None:
    """IAM quotas: 6,144 characters without white space, and a Sid of letters and digits."""
    text = (IAM / f"{name}.json").read_text(encoding="utf-8")
    assert len(re.sub(r"\s", "", text)) <= 6144
    for statement in statements(name):
        assert statement["Effect"] == "Allow"
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert not any("*" in action for action in statement["Action"])


def test_the_mission_is_met_without_a_scim_endpoint() -> None:
    """Each action of the mission's list is allowed, and used, in identity-store mode."""
    assert set(allowed("identity-store-only")) >= MISSION


def test_with_scim_the_endpoint_takes_the_place_of_five_actions() -> None:
    """These writes go over the SCIM endpoint, so that a stolen key could not make them."""
    assert MISSION - set(allowed("scim-and-sso-admin")) == {
        "identitystore:CreateUser",
        "identitystore:UpdateUser",
        "identitystore:DeleteUser",
        "identitystore:CreateGroup",
        "identitystore:CreateGroupMembership",
    }


def test_a_source_is_only_read() -> None:
    """Nothing whose name says that it changes something."""
    for action in allowed("read-only-source"):
        assert re.match(r"\w+:(List|Describe|Get|Is)", action)


def test_the_guide_says_why_each_action_is_there() -> None:
    """JSON has no comments, so the README has a line for each action, and none for others."""
    readme = (IAM / "README.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(\w+:\w+)` \| \S.{9,} \|$", readme, re.MULTILINE)
    assert sorted(explained) == sorted(actions(write_via="identity-store", cut_sessions=True))


def test_every_operation_exists_at_the_service_it_is_said_to_belong_to() -> None:
    """botocore's service models; an IAM action is the prefix and the operation's name."""
    session = botocore.session.Session()
    models = {"identitystore": "identitystore", "sso": "sso-admin"}
    for operation in OPERATIONS.values():
        host = operation.service.host
        model = session.get_service_model(models.get(host, host))
        assert operation.name in model.operation_names
        assert model.signing_name == host
