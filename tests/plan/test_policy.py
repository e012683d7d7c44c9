"""What the switches ``[users] create`` and ``update`` suppress."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.plan.changes import (
    REVOCATIONS,
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
from scim_bridge.plan.policy import Permitted, Switches, permitted
from tests.plan.worlds import law

CREATE = CreateUser(user="u1", external_id="u1", attributes={"userName": "ada"}, active=True)
UPDATE = UpdateUser(user="u2", principal="p2", set={"title": "Countess"}, remove=("locale",))
ENABLE = EnableUser(user="u3", principal="p3", set={})
ENABLE_WITH_EDITS = EnableUser(
    user="u4", principal="p4", set={"title": "Countess"}, remove=("locale",)
)
OTHERS = (
    DisableUser(user="u5", principal="p5"),
    RemoveMembers(group="g1", principal="q1", members=("p5",)),
    DeleteGroup(group="g2", principal="q2"),
    CreateGroup(group="g3", external_id="g3", attributes={"displayName": "Engineers"}),
    UpdateGroup(group="g4", principal="q4", set={"displayName": "Engines"}),
    AddMembers(group="g1", principal="q1", members=("p4",)),
)
EVERYTHING = (CREATE, UPDATE, ENABLE, ENABLE_WITH_EDITS, *OTHERS)

switches = st.builds(Switches, create=st.booleans(), update=st.booleans())


def test_nothing_is_switched_off_unless_an_operator_says_so():
    """``[users] create`` and ``update`` are true by default."""
    assert permitted(EVERYTHING, Switches()) == Permitted(changes=EVERYTHING, suppressed=())


def test_without_create_no_user_is_created():
    """Everything else goes on, edits of those who are there included."""
    assert permitted(EVERYTHING, Switches(create=False)) == Permitted(
        changes=(UPDATE, ENABLE, ENABLE_WITH_EDITS, *OTHERS), suppressed=(CREATE,)
    )


def test_without_update_no_user_is_edited_but_those_who_return_are_enabled():
    """The edits that an enabling carries are suppressed, and show as what they are."""
    enabled = EnableUser(user="u4", principal="p4", set={})
    edits = UpdateUser(user="u4", principal="p4", set={"title": "Countess"}, remove=("locale",))

    assert permitted(EVERYTHING, Switches(update=False)) == Permitted(
        changes=(CREATE, ENABLE, enabled, *OTHERS), suppressed=(UPDATE, edits)
    )


@pytest.mark.parametrize(
    ("to_set", "to_remove"), [({"title": "Countess"}, ()), ({}, ("locale",))], ids=["set", "remove"]
)
def test_without_update_an_enabling_loses_either_kind_of_edit(to_set, to_remove):
    """Setting and removing an attribute are both edits."""
    change = EnableUser(user="u", principal="p", set=to_set, remove=to_remove)

    assert permitted([change], Switches(update=False)) == Permitted(
        changes=(EnableUser(user="u", principal="p", set={}),),
        suppressed=(UpdateUser(user="u", principal="p", set=to_set, remove=to_remove),),
    )


@law
@given(st.lists(st.sampled_from(EVERYTHING)), switches)
def test_no_switch_leaves_access_standing(changes, switched):
    """Disabling, removals and deletions pass whatever is switched off (design, section 4)."""
    revocations = [change for change in changes if isinstance(change, REVOCATIONS)]

    allowed = permitted(changes, switched)

    assert [one for one in allowed.changes if isinstance(one, REVOCATIONS)] == revocations
    assert not any(isinstance(one, REVOCATIONS) for one in allowed.suppressed)


@law
@given(st.lists(st.sampled_from(EVERYTHING)), switches)
def test_what_is_suppressed_is_shown_and_the_rest_keeps_its_order(changes, switched):
    """Nothing vanishes: each change is made or shown in ``plan``, and the order is the plan's."""
    allowed = permitted(changes, switched)
    places = [EVERYTHING.index(change) for change in changes]
    edits_split = changes.count(ENABLE_WITH_EDITS) if not switched.update else 0

    about = [getattr(one, "user", None) or getattr(one, "group", "") for one in allowed.changes]
    wanted = [
        getattr(EVERYTHING[place], "user", None) or getattr(EVERYTHING[place], "group", "")
        for place in places
        if EVERYTHING[place] not in allowed.suppressed
    ]
    assert about == wanted
    assert len(allowed.changes) + len(allowed.suppressed) == len(changes) + edits_split
