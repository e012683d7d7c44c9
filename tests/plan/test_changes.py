"""The classes of change and the order they go in."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.plan.changes import (
    MEMBERS_PER_CALL,
    ORDER,
    REVOCATIONS,
    AddMembers,
    Change,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
    in_order,
    subject,
)
from tests.plan.worlds import law

# One of each, in the order of a plan.
ONE_OF_EACH = (
    DisableUser(user="u1", principal="p1"),
    RemoveMembers(group="g1", principal="q1", members=("p1",)),
    DeleteGroup(group="g2", principal="q2"),
    CreateUser(user="u3", external_id="u3", attributes={"userName": "ada"}, active=True),
    CreateGroup(group="g4", external_id="g4", attributes={"displayName": "Engineers"}),
    UpdateUser(user="u5", principal="p5", set={"title": "Countess"}),
    UpdateGroup(group="g6", principal="q6", set={"displayName": "Engines"}),
    EnableUser(user="u7", principal="p7", set={}),
    AddMembers(group="g8", principal="q8", members=("p7",)),
)


def test_every_class_of_change_has_its_place_once():
    """A class that is missing from the order could not be planned."""
    assert set(ORDER) == set(get_args(Change))
    assert len(ORDER) == len(set(ORDER))


def test_the_classes_that_take_access_away_come_first():
    """Revoke before grant (design, section 8)."""
    assert set(ORDER[: len(REVOCATIONS)]) == set(REVOCATIONS)
    assert set(REVOCATIONS) == {DisableUser, RemoveMembers, DeleteGroup}
    assert ORDER[0] is DisableUser


def test_a_call_takes_a_hundred_members():
    """AWS SCIM developer guide, PatchGroup: at most 100 membership changes in one request."""
    assert MEMBERS_PER_CALL == 100


@law
@given(st.permutations(ONE_OF_EACH))
def test_changes_in_any_order_come_out_as_disable_remove_delete_create_update_enable_add(changes):
    """Design, section 8; a person is enabled with new attributes before they are let in."""
    assert in_order(changes) == ONE_OF_EACH


@law
@given(
    st.permutations(
        [
            DisableUser(user="u1", principal="p9"),
            DisableUser(user="u2", principal="p1"),
            AddMembers(group="g1", principal="q9", members=("a", "b")),
            AddMembers(group="g1", principal="q9", members=("c",)),
            AddMembers(group="g2", principal="q1", members=("a",)),
        ]
    )
)
def test_changes_of_one_class_go_by_resource_and_then_by_member(changes):
    """The same plan every time, so that a dry run can be compared with another."""
    assert [(subject(change), getattr(change, "members", ())) for change in in_order(changes)] == [
        ("u1", ()),
        ("u2", ()),
        ("g1", ("a", "b")),
        ("g1", ("c",)),
        ("g2", ("a",)),
    ]


@pytest.mark.parametrize(
    ("change", "resource"),
    list(zip(ONE_OF_EACH, ["u1", "g1", "g2", "u3", "g4", "u5", "g6", "u7", "g8"], strict=True)),
    ids=[type(change).__name__ for change in ONE_OF_EACH],
)
def test_a_change_is_about_one_resource_of_the_directory(change, resource):
    """A change of members is about the group, never about those who join or leave."""
    assert subject(change) == resource
