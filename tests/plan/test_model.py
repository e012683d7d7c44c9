"""The model target refuses what Identity Center would refuse, or the laws would prove nothing."""

import pytest

from scim_bridge.plan.changes import (
    AddMembers,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
)
from tests.plan.model import Account, Refusal, Target, Team

CROWD = tuple(f"p{number}" for number in range(101))


@pytest.fixture
def target():
    """Ada is active, Leo is disabled, Engineers has Ada, and there is a crowd."""
    users = {
        "ada": Account(external_id="u1", attributes={"userName": "ada"}, active=True),
        "leo": Account(external_id="u2", attributes={"userName": "leo"}, active=False),
    }
    users |= {
        name: Account(external_id=None, attributes={"userName": name}, active=True)
        for name in CROWD
    }
    group = Team(external_id="g1", attributes={"displayName": "Engineers"}, members={"ada"})
    return Target(users=users, groups={"eng": group})


def create_user(
    external_id: str = "u9", *, user_name: str = "new", **attributes: object
) -> CreateUser:
    return CreateUser(
        user="u9",
        external_id=external_id,
        attributes={"userName": user_name, **attributes},
        active=True,
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(create_user("u1"), id="an externalId that is taken"),
        pytest.param(create_user(user_name="ADA"), id="a userName that is taken"),
        pytest.param(create_user(title=""), id="an empty value"),
        pytest.param(create_user(active=True), id="active as an attribute"),
        pytest.param(
            CreateGroup(group="g9", external_id="g1", attributes={"displayName": "New"}),
            id="a group's externalId that is taken",
        ),
        pytest.param(
            CreateGroup(group="g9", external_id="g9", attributes={"displayName": "engineers"}),
            id="a displayName that is taken",
        ),
        pytest.param(DisableUser(user="u", principal="nobody"), id="disabling nobody"),
        pytest.param(EnableUser(user="u", principal="nobody", set={}), id="enabling nobody"),
        pytest.param(
            UpdateUser(user="u2", principal="leo", set={"title": "a"}),
            id="an edit of a disabled user",
        ),
        pytest.param(UpdateUser(user="u1", principal="ada", set={}), id="a PATCH of nothing"),
        pytest.param(
            UpdateUser(user="u1", principal="ada", set={"title": "a"}, remove=("title",)),
            id="set and removed at once",
        ),
        pytest.param(
            UpdateGroup(group="g1", principal="eng", set={}), id="a group PATCH of nothing"
        ),
        pytest.param(
            UpdateGroup(group="g", principal="none", set={"displayName": "a"}),
            id="an edit of no group",
        ),
        pytest.param(
            AddMembers(group="g1", principal="eng", members=("leo",)),
            id="an addition of a disabled user",
        ),
        pytest.param(
            AddMembers(group="g1", principal="eng", members=("ghost",)), id="an unknown member"
        ),
        pytest.param(
            RemoveMembers(group="g1", principal="eng", members=("ada", "ghost")),
            id="a removal of an unknown member",
        ),
        pytest.param(AddMembers(group="g1", principal="eng", members=CROWD), id="101 members"),
        pytest.param(RemoveMembers(group="g1", principal="eng", members=()), id="no members"),
        pytest.param(
            AddMembers(group="g1", principal="eng", members=("p1", "p1")), id="a member twice"
        ),
        pytest.param(DeleteGroup(group="g", principal="none"), id="a deletion of no group"),
    ],
)
def test_a_wrong_call_is_refused_and_changes_nothing(target, change):
    """Limits and refusals of the AWS SCIM developer guide, disabled users at their strictest."""
    before = target.snapshot()

    with pytest.raises(Refusal):
        target.apply(change)

    assert target.snapshot() == before


def test_a_disabled_user_may_be_enabled_edited_in_the_same_call_and_taken_out_of_groups(target):
    """Enabling and removals are never refused, however strict the target is."""
    target.groups["eng"].members.add("leo")

    target.apply(RemoveMembers(group="g1", principal="eng", members=("leo",)))
    target.apply(EnableUser(user="u2", principal="leo", set={"title": "Analyst"}))

    assert target.groups["eng"].members == {"ada"}
    assert target.users["leo"].active
    assert target.users["leo"].attributes == {"userName": "leo", "title": "Analyst"}
