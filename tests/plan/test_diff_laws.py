"""What is true of every plan, whatever the directory and the target hold."""

from dataclasses import replace
from math import ceil
from random import Random
from typing import assert_never

from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.plan.changes import (
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
    subject,
)
from scim_bridge.plan.diff import diff_group, diff_user, surplus
from scim_bridge.plan.state import Attributes, Group, GroupState, User
from tests.plan.worlds import (
    GroupRecord,
    World,
    group_states,
    is_ours_to_take,
    law,
    outcome,
    some_of,
    take_aways,
    user_states,
    worlds,
)

# -- Towards the desired state ---------------------------------------------

PEOPLE = ("ada", "bob", "cem")


@law
@given(user_states("u"), st.none() | user_states("u"))
def test_equal_states_of_a_user_plan_nothing(state, applied):
    """A second run is empty: nothing is sent for a user who is as desired (design, section 3)."""
    user = User(
        id="u",
        external_id="u",
        desired=state,
        applied=applied,
        principal="p",
        observed=state,
    )

    assert diff_user(user) == ()


@law
@given(group_states("g", PEOPLE), st.none() | group_states("g", PEOPLE), take_aways(PEOPLE))
def test_equal_states_of_a_group_plan_nothing(state, applied, take_away):
    """Whoever is wanted is never taken out, whatever a client's earlier words were."""
    group = Group(
        id="g",
        external_id="g",
        desired=state,
        applied=applied,
        principal="p",
        observed=state,
        take_away=take_away,
        linked=frozenset(PEOPLE),
        created_here=True,
    )

    assert diff_group(group) == ()


@law
@given(worlds())
def test_applying_plans_until_nothing_differs_gives_the_desired_state(world):
    """Desired is added, what the bridge put there and no longer wants goes, the rest stays."""
    wanted = outcome(world)

    world.converge()

    assert world.target.snapshot() == wanted


@law
@given(worlds())
def test_two_passes_are_enough(world):
    """Only members of what was just created wait for a second pass, when its id is known."""
    plans = world.converge()

    assert len(plans) <= 2
    assert all(isinstance(change, AddMembers) for change in (plans[1] if len(plans) > 1 else ()))


@law
@given(worlds(), st.data())
def test_stopping_after_any_prefix_and_planning_again_gives_the_same(world, data):
    """A crash between two calls is healed by the next pass (design, section 3)."""
    wanted = outcome(world)
    plan = world.plan()

    world.make(plan[: data.draw(st.integers(0, len(plan)))])
    world.converge()

    assert world.target.snapshot() == wanted


@law
@given(worlds(), st.data())
def test_a_lost_answer_does_not_change_the_outcome(world, data):
    """A call that was made without the bridge's knowing is seen, and not made again or undone."""
    wanted = outcome(world)
    plan = world.plan()
    done = data.draw(st.integers(0, len(plan)))

    world.make(plan[:done])
    for change in plan[done : done + 1]:
        world.lose_the_answer(change)
    world.converge()

    assert world.target.snapshot() == wanted


# -- Nothing that was not asked for ----------------------------------------


@law
@given(worlds())
def test_every_call_changes_something(world):
    """The fewest calls: none of a plan could be left out (design, section 1)."""
    while plan := world.plan():
        for change in plan:
            before = world.target.snapshot()
            world.make([change])
            assert world.target.snapshot() != before, change


@law
@given(worlds())
def test_no_principal_without_a_link_is_changed(world):
    """What the bridge is not linked to belongs to somebody else."""
    linked = {person.id: person.principal for person in world.people if person.principal}
    linked |= {group.id: group.principal for group in world.groups if group.principal}

    for change in world.plan():
        if isinstance(change, CreateUser | CreateGroup):
            assert subject(change) not in linked
        else:
            assert change.principal == linked[subject(change)]


@law
@given(worlds())
def test_only_the_delete_of_a_group_takes_out_members_without_a_link(world):
    """People whom the directory does not know stay in a group, unless the group itself goes."""
    links = world.links()

    for change, group in _removals(world):
        strangers = set(change.members) - links.keys()
        assert not strangers or group.take_away.everyone


@law
@given(worlds())
def test_members_who_were_never_applied_go_only_by_a_clients_own_words(world):
    """Not applied and yet removed: DELETE, a whole replace, or by name (design, section 3)."""
    for change, group in _removals(world):
        for member in change.members:
            assert is_ours_to_take(world, group, member)


@law
@given(worlds())
def test_nobody_who_should_be_in_a_group_is_taken_out(world):
    """A removal never names a person whose membership is effective."""
    for change, group in _removals(world):
        wanted = {person.principal for person in world.effective(group)}
        assert group.attributes is None or not wanted & set(change.members)


@law
@given(worlds())
def test_attributes_that_were_never_applied_stay(world):
    """A value that somebody set by hand, and the directory does not have, is drift."""
    applied = {person.id: person.applied for person in world.people}

    for change in world.plan():
        if isinstance(change, UpdateUser | EnableUser):
            given_by_us = applied[change.user]
            ours = set(given_by_us.attributes) if given_by_us else set()
            assert set(change.remove) <= ours


@law
@given(worlds())
def test_groups_the_bridge_did_not_create_are_never_deleted(world):
    """``[groups] delete = "remove"`` deletes a group only if the bridge created it."""
    by_id = {group.id: group for group in world.groups}

    for change in world.plan():
        if isinstance(change, DeleteGroup):
            group = by_id[change.group]
            assert group.created_here
            assert group.when_deleted == "remove"
            assert group.attributes is None


@law
@given(worlds())
def test_while_a_person_is_inactive_only_access_is_taken_away(world):
    """No edit, no enabling and no addition; at most they are created disabled, with nothing."""
    idle = {one.id: one for one in world.people if one.desired and not one.desired.active}
    principals = {person.principal for person in idle.values() if person.principal}

    for plan in world.converge():
        for change in plan:
            match change:
                case CreateUser() if change.user in idle:
                    assert not change.active
                case UpdateUser() | EnableUser():
                    assert change.user not in idle
                case AddMembers():
                    assert not principals & set(change.members)
                case _:
                    pass


# -- Order and size --------------------------------------------------------


@law
@given(worlds())
def test_revocations_come_before_grants(world):
    """What takes access away goes first, so that a call that fails leaves nobody with more."""
    for plan in world.converge():
        revoking = [isinstance(change, REVOCATIONS) for change in plan]
        ranks = [ORDER.index(type(change)) for change in plan]

        assert revoking == sorted(revoking, reverse=True)
        assert ranks == sorted(ranks)


@law
@given(worlds(), st.randoms(use_true_random=False))
def test_shuffling_the_inputs_does_not_change_the_plan(world, random):
    """A dry run prints the same plan that a real run applies, whatever order rows come in."""
    plan = world.plan()

    assert _shuffled(world, random).plan() == plan


@law
@given(worlds())
def test_a_change_refers_only_to_principals_that_are_there_at_that_point(world):
    """Nothing is sent to, and nobody named by, an id that is yet to be made or was deleted."""
    while plan := world.plan():
        for change in plan:
            there = {*world.target.users, *world.target.groups}
            assert _principals(change) <= there
            world.make([change])


@law
@given(st.integers(0, 450), st.integers(0, 450))
def test_members_go_in_as_few_calls_as_can_be(joining, leaving):
    """At most 100 a call, and no call with less than it could take (AWS SCIM guide, PatchGroup)."""
    leavers = frozenset(f"l{number}" for number in range(leaving))
    group = Group(
        id="g",
        external_id="g",
        desired=GroupState(attributes={}, members=frozenset(f"j{n}" for n in range(joining))),
        applied=GroupState(attributes={}, members=leavers),
        principal="p",
        observed=GroupState(attributes={}, members=leavers),
        created_here=True,
    )

    changes = diff_group(group)

    removals = [change.members for change in changes if isinstance(change, RemoveMembers)]
    additions = [change.members for change in changes if isinstance(change, AddMembers)]
    assert len(removals) == ceil(leaving / 100)
    assert len(additions) == ceil(joining / 100)
    assert max(map(len, removals + additions), default=0) <= 100
    assert [m for some in removals for m in some] == sorted(leavers)


@law
@given(
    group_states("g", PEOPLE),
    group_states("g", PEOPLE),
    group_states("g", PEOPLE),
    take_aways(PEOPLE),
    some_of(PEOPLE),
)
def test_the_surplus_is_what_the_plan_takes_out(desired, applied, observed, take_away, linked):
    """What the brake counts as losses is exactly what the calls would take away."""
    group = Group(
        id="g",
        external_id="g",
        desired=desired,
        applied=applied,
        principal="p",
        observed=observed,
        take_away=take_away,
        linked=linked,
        created_here=True,
    )

    removed = {
        member
        for change in diff_group(group)
        if isinstance(change, RemoveMembers)
        for member in change.members
    }

    assert surplus(group) == removed


# -- Reading plans ---------------------------------------------------------


def _removals(world: World) -> list[tuple[RemoveMembers, GroupRecord]]:
    by_id = {group.id: group for group in world.groups}
    return [
        (change, by_id[change.group])
        for change in world.plan()
        if isinstance(change, RemoveMembers)
    ]


def _principals(change: Change) -> set[str]:
    match change:
        case CreateUser() | CreateGroup():
            return set()
        case AddMembers() | RemoveMembers():
            return {change.principal, *change.members}
        case DisableUser() | UpdateUser() | EnableUser() | UpdateGroup() | DeleteGroup():
            return {change.principal}
        case _:
            assert_never(change)


def _shuffled(world: World, random: Random) -> World:
    """The same world, with everything that has an order in another one."""

    def mixed(attributes: Attributes) -> dict[str, object]:
        pairs = list(attributes.items())
        random.shuffle(pairs)
        return dict(pairs)

    other = world.copy()
    random.shuffle(other.people)
    random.shuffle(other.groups)
    for person in other.people:
        if person.desired is not None:
            person.desired = replace(person.desired, attributes=mixed(person.desired.attributes))
    for account in other.target.users.values():
        account.attributes = mixed(account.attributes)
    for team in other.target.groups.values():
        members = sorted(team.members)
        random.shuffle(members)
        team.members = set(members)
    return other
