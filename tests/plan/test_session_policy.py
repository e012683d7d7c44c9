"""The inline policy that ends sessions: only the bridge's own statement comes and goes."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.plan.session_policy import (
    MOST_CHARACTERS,
    SID,
    UnreadablePolicy,
    denied,
    with_denial,
)

OTHER = {"Sid": "KeepOut", "Effect": "Deny", "Action": "iam:*", "Resource": "*"}
IDS = st.lists(st.uuids().map(str), unique=True, max_size=400)
POLICIES = st.sampled_from([None, json.dumps({"Version": "2012-10-17", "Statement": [OTHER]})])


def test_the_denial_is_the_documented_one():
    """IAM Identity Center user guide: Deny everything where identitystore:UserId is the user's."""
    policy = with_denial(None, ["user-1"])

    [statement] = json.loads(policy.document)["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"] == {"StringEquals": {"identitystore:UserId": ["user-1"]}}


def test_a_policy_of_one_statement_without_a_list_is_kept():
    """The IAM grammar allows it."""
    present = json.dumps({"Version": "2012-10-17", "Statement": OTHER})

    assert json.loads(with_denial(present, ["u"]).document)["Statement"][0] == OTHER


@pytest.mark.parametrize("present", ["nonsense", "[]", '{"Statement": ["text"]}', '{"Version": 1}'])
def test_what_is_no_policy_is_not_replaced(present):
    """Somebody else's policy must not be lost since it could not be read."""
    with pytest.raises(UnreadablePolicy):
        with_denial(present, ["user-1"])


@given(present=POLICIES, ids=IDS)
def test_what_else_stands_there_is_never_touched(present, ids):
    """Whoever is put in: the other statements stay, and taking everybody out restores them."""
    policy = with_denial(present, ids)
    others = [] if present is None else [OTHER]

    statements = json.loads(policy.document)["Statement"] if policy.document else []
    assert [one for one in statements if one["Sid"] != SID] == others
    gone = with_denial(policy.document, [])
    assert (json.loads(gone.document)["Statement"] if gone.document else []) == others


@given(present=POLICIES, ids=IDS)
def test_as_many_are_placed_as_fit_and_the_rest_is_named(present, ids):
    """Nobody is left out silently, and the policy is never too long for AWS."""
    policy = with_denial(present, ids)

    assert [*policy.placed, *policy.left_out] == ids
    assert len(policy.document or "") <= MOST_CHARACTERS
    assert list(denied(policy.document)) == list(policy.placed)
    assert len(ids) < 240 or policy.left_out or len(ids) <= len(policy.placed)


def test_an_empty_policy_has_room_for_some_250_people():
    """The capacity that the documentation states."""
    policy = with_denial(None, [str(uuid.uuid4()) for _ in range(400)])

    assert 240 <= len(policy.placed) <= 265
