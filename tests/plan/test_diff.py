"""Which changes bring a target from what it holds to what it should hold, case by case."""

import pytest

from scim_bridge.plan.changes import (
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
)
from scim_bridge.plan.diff import diff_group, diff_user, surplus
from scim_bridge.plan.state import NOTHING, Group, GroupState, TakeAway, User, UserState
from tests.plan.model import Account, Target, Team
from tests.plan.worlds import GroupRecord, PersonRecord, World

DEPARTMENT = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"

# -- How cases are written -------------------------------------------------


def active(**attributes: object) -> UserState:
    return UserState(attributes=attributes, active=True)


def inactive(**attributes: object) -> UserState:
    return UserState(attributes=attributes, active=False)


def group(*members: str, name: str = "Engineers") -> GroupState:
    return GroupState(attributes={"displayName": name}, members=frozenset(members))


def create(attributes: dict[str, object], *, active: bool = True) -> CreateUser:
    return CreateUser(user="u", external_id="x", attributes=attributes, active=active)


def disable() -> DisableUser:
    return DisableUser(user="u", principal="p")


def update(*remove: str, **to_set: object) -> UpdateUser:
    return UpdateUser(user="u", principal="p", set=to_set, remove=remove)


def enable(*remove: str, **to_set: object) -> EnableUser:
    return EnableUser(user="u", principal="p", set=to_set, remove=remove)


def add(*members: str) -> AddMembers:
    return AddMembers(group="g", principal="q", members=members)


def remove(*members: str) -> RemoveMembers:
    return RemoveMembers(group="g", principal="q", members=members)


def rename(name: str) -> UpdateGroup:
    return UpdateGroup(group="g", principal="q", set={"displayName": name})


def assert_plan(subject: User | Group, *expected: Change) -> None:
    """The one comparison: exactly these changes, in this order."""
    changes = diff_user(subject) if isinstance(subject, User) else diff_group(subject)
    assert "\n".join(map(str, changes)) == "\n".join(map(str, expected))
    assert changes == expected


# -- Users -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "applied", "expected"),
    [
        pytest.param(None, None, [], id="nothing wanted, nothing made"),
        pytest.param(None, active(a=1), [], id="deleted, and gone there: not made anew"),
        pytest.param(
            active(userName="ada", title="T"),
            None,
            [create({"userName": "ada", "title": "T"})],
            id="a joiner",
        ),
        pytest.param(
            inactive(userName="ada"),
            None,
            [create({"userName": "ada"}, active=False)],
            id="created inactive: created disabled",
        ),
        pytest.param(
            active(userName="ada"),
            active(userName="ada"),
            [create({"userName": "ada"})],
            id="deleted there by hand, and wanted: created anew",
        ),
        pytest.param(
            inactive(userName="ada"),
            active(userName="ada"),
            [],
            id="deleted there by hand, and not to have access: not created anew",
        ),
    ],
)
def test_a_user_without_a_link_is_created_if_wanted(desired, applied, expected):
    """Created with all attributes in one call; a leaver who is gone stays gone (section 4)."""
    assert_plan(User(id="u", external_id="x", desired=desired, applied=applied), *expected)


@pytest.mark.parametrize(
    ("desired", "applied", "observed", "expected"),
    [
        # The states.
        pytest.param(active(a=1), active(a=1), active(a=1), [], id="as it should be"),
        pytest.param(inactive(a=1), active(a=1), active(a=1), [disable()], id="a leaver"),
        pytest.param(inactive(a=1), inactive(a=1), inactive(a=1), [], id="one who has left"),
        pytest.param(active(a=1), inactive(a=1), inactive(a=1), [enable()], id="a returner"),
        pytest.param(None, active(a=1), active(a=2), [], id="nothing wanted, nothing changed"),
        pytest.param(
            inactive(a=1), inactive(a=1), active(a=1), [disable()], id="enabled there by hand"
        ),
        pytest.param(
            active(a=1), active(a=1), inactive(a=1), [enable()], id="disabled there by hand"
        ),
        # What waits while a person is inactive.
        pytest.param(
            inactive(a=2, b=1), active(a=1), active(a=1), [disable()], id="a leaver's edits wait"
        ),
        pytest.param(inactive(a=2), inactive(a=1), inactive(a=1), [], id="and go on waiting"),
        pytest.param(
            active(a=2, b=1),
            inactive(a=1, c=1),
            inactive(a=1, c=1),
            [enable("c", a=2, b=1)],
            id="and come with the enabling, in one call",
        ),
        # Attributes: add what is desired and not observed.
        pytest.param(active(a=2), active(a=1), active(a=1), [update(a=2)], id="a changed value"),
        pytest.param(active(a=1, b=1), active(a=1), active(a=1), [update(b=1)], id="a new value"),
        pytest.param(
            active(a=1), active(a=1), active(a=9), [update(a=1)], id="changed there by hand"
        ),
        pytest.param(active(a=1), active(a=1), active(), [update(a=1)], id="cleared there by hand"),
        pytest.param(active(a=1), None, active(a=9), [update(a=1)], id="adopted with other values"),
        pytest.param(active(a=1), None, active(a=1), [], id="adopted as it should be"),
        pytest.param(
            active(emails=[{"value": "b@x"}]),
            active(emails=[{"value": "a@x"}]),
            active(emails=[{"value": "a@x"}]),
            [update(emails=[{"value": "b@x"}])],
            id="a list is one value",
        ),
        # Attributes: take away what is observed, was applied and is no longer desired.
        pytest.param(active(), active(a=1), active(a=1), [update("a")], id="a removed value"),
        pytest.param(
            active(), active(a=1), active(a=9), [update("a")], id="removed, and changed by hand"
        ),
        pytest.param(active(), active(a=1), active(), [], id="removed there by hand as well"),
        pytest.param(active(), active(), active(a=1), [], id="added by hand: drift, and stays"),
        pytest.param(active(), None, active(a=1), [], id="never applied: stays"),
        pytest.param(
            active(b=2),
            active(c=1, a=1, b=1),
            active(c=1, a=1, b=1, d=1),
            [update("a", "c", b=2)],
            id="all of it in one call, sorted",
        ),
    ],
)
def test_a_linked_user_is_brought_right_in_one_call(desired, applied, observed, expected):
    """The three-way difference of attributes and of active (design, section 3)."""
    user = User(
        id="u",
        external_id="x",
        desired=desired,
        applied=applied,
        principal="p",
        observed=observed,
    )

    assert_plan(user, *expected)


# -- Groups ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "take_away", "expected"),
    [
        pytest.param(None, NOTHING, [], id="deleted before it was made"),
        pytest.param(None, TakeAway(everyone=True), [], id="deleted, and gone there"),
        pytest.param(
            group(),
            NOTHING,
            [CreateGroup(group="g", external_id="x", attributes={"displayName": "Engineers"})],
            id="a new group",
        ),
        pytest.param(
            group("a", "b"),
            NOTHING,
            [CreateGroup(group="g", external_id="x", attributes={"displayName": "Engineers"})],
            id="a new group's members wait for its id",
        ),
    ],
)
def test_a_group_without_a_link_is_created_empty_if_wanted(desired, take_away, expected):
    """Members are added in the pass after, by name, at most a hundred a call."""
    assert_plan(
        Group(id="g", external_id="x", desired=desired, take_away=take_away, created_here=False),
        *expected,
    )


@pytest.mark.parametrize(
    ("desired", "applied", "observed", "take_away", "expected"),
    [
        # Nobody's words: the three-way difference.
        pytest.param(group("a"), group("a"), group("a"), NOTHING, [], id="as it should be"),
        pytest.param(group("a"), group(), group(), NOTHING, [add("a")], id="a new member"),
        pytest.param(
            group(), group("a"), group("a"), NOTHING, [remove("a")], id="no longer wanted"
        ),
        pytest.param(group(), group(), group("a"), NOTHING, [], id="added by hand: stays"),
        pytest.param(group(), None, group("a"), NOTHING, [], id="never applied: stays"),
        pytest.param(group(), group("a"), group(), NOTHING, [], id="removed by hand as well"),
        pytest.param(
            group("a"), group("a"), group(), NOTHING, [add("a")], id="removed by hand, but wanted"
        ),
        pytest.param(
            group("a"), group(), group("a"), NOTHING, [], id="wanted, and there by hand already"
        ),
        # By name.
        pytest.param(
            group(),
            group(),
            group("a", "b"),
            TakeAway(named=frozenset("a")),
            [remove("a")],
            id="a member removed by name, added by hand",
        ),
        pytest.param(
            group(), group(), group(), TakeAway(named=frozenset("a")), [], id="named, not there"
        ),
        pytest.param(
            group("a"),
            group("a"),
            group("a"),
            TakeAway(named=frozenset("a")),
            [],
            id="named, and wanted again since",
        ),
        pytest.param(
            group(),
            group(),
            group("stranger"),
            TakeAway(named=frozenset({"a"})),
            [],
            id="named somebody else",
        ),
        # The member list replaced as a whole.
        pytest.param(
            group("a"),
            group("a"),
            group("a", "b", "stranger"),
            TakeAway(linked=True),
            [remove("b")],
            id="replaced: linked people go, strangers stay",
        ),
        pytest.param(
            group("c"),
            group("a"),
            group("a", "b", "stranger"),
            TakeAway(linked=True),
            [remove("a", "b"), add("c")],
            id="replaced by another",
        ),
        pytest.param(
            group("c"),
            group(),
            group("a", "stranger"),
            TakeAway(linked=True, named=frozenset({"stranger"})),
            [remove("a", "stranger"), add("c")],
            id="replaced, and one named besides",
        ),
        # Taken up again after a DELETE that was not done yet.
        pytest.param(
            group("a"),
            group("a"),
            group("a", "b", "stranger"),
            TakeAway(everyone=True),
            [remove("b", "stranger")],
            id="deleted and made again: only who is wanted stays",
        ),
        # Order, and the group's own attributes.
        pytest.param(
            group("b", name="Engines"),
            group("a"),
            group("a"),
            NOTHING,
            [remove("a"), rename("Engines"), add("b")],
            id="out first, then the name, then in",
        ),
        pytest.param(
            group(name="Engines"), group(), group(), NOTHING, [rename("Engines")], id="renamed"
        ),
        pytest.param(
            group(), None, group(name="By hand"), NOTHING, [rename("Engineers")], id="adopted"
        ),
    ],
)
def test_a_linked_group_is_brought_right(desired, applied, observed, take_away, expected):
    """Out goes what was applied and is not desired, and what a client's words name (section 3)."""
    subject = Group(
        id="g",
        external_id="x",
        desired=desired,
        applied=applied,
        principal="q",
        observed=observed,
        take_away=take_away,
        linked=frozenset("abc"),
        created_here=True,
    )

    assert_plan(subject, *expected)


def test_an_attribute_of_a_group_that_was_applied_and_is_not_wanted_is_removed():
    """Groups follow the same three-way difference as users."""
    held = GroupState(attributes={"displayName": "Engineers", "ours": 1, "by hand": 1})
    applied = GroupState(attributes={"displayName": "Engineers", "ours": 1})
    subject = Group(
        id="g",
        external_id="x",
        desired=group(),
        applied=applied,
        principal="q",
        observed=held,
        created_here=True,
    )

    assert_plan(subject, UpdateGroup(group="g", principal="q", set={}, remove=("ours",)))


DELETE = DeleteGroup(group="g", principal="q")


@pytest.mark.parametrize(
    ("when_deleted", "created_here", "take_away", "expected"),
    [
        pytest.param(
            "empty",
            True,
            TakeAway(everyone=True),
            [remove("a", "stranger")],
            id="everybody goes, the empty group stays",
        ),
        pytest.param("remove", True, TakeAway(everyone=True), [DELETE], id="deleted if so set"),
        pytest.param(
            "remove",
            False,
            TakeAway(everyone=True),
            [remove("a", "stranger")],
            id="but only if the bridge created it",
        ),
        pytest.param("empty", True, NOTHING, [remove("a")], id="done once: drift stays"),
    ],
)
def test_a_deleted_group_loses_everybody(when_deleted, created_here, take_away, expected):
    """``[groups] delete``; the name and the group stay for the day it is taken up again."""
    subject = Group(
        id="g",
        external_id="x",
        desired=None,
        applied=group("a"),
        principal="q",
        observed=group("a", "stranger"),
        take_away=take_away,
        linked=frozenset("abc"),
        when_deleted=when_deleted,
        created_here=created_here,
    )

    assert_plan(subject, *expected)


def test_a_deleted_group_that_is_empty_is_done():
    """Nothing is sent for it again."""
    subject = Group(
        id="g",
        external_id="x",
        desired=None,
        applied=group(),
        principal="q",
        observed=group(),
        take_away=TakeAway(everyone=True),
        created_here=True,
    )

    assert_plan(subject)


def test_a_group_without_a_link_has_no_surplus():
    """Nobody is counted as losing what is not there."""
    subject = Group(
        id="g", external_id="x", desired=None, take_away=TakeAway(everyone=True), created_here=False
    )

    assert surplus(subject) == frozenset()


# -- Runs ------------------------------------------------------------------


def two_hundred_and_fifty() -> World:
    """A group that is there, and 250 linked people who should be in it and are not yet."""
    people = [
        PersonRecord(
            id=f"u{number:03}",
            desired=active(userName=f"u{number:03}"),
            applied=active(userName=f"u{number:03}"),
            principal=f"p{number:03}",
        )
        for number in range(250)
    ]
    target = Target(
        users={
            str(person.principal): Account(
                external_id=person.id, attributes={"userName": person.id}, active=True
            )
            for person in people
        },
        groups={"q": Team(external_id="g", attributes={"displayName": "Engineers"})},
    )
    engineers = GroupRecord(
        id="g",
        attributes={"displayName": "Engineers"},
        members=frozenset(person.id for person in people),
        applied=group(),
        principal="q",
    )
    return World(target=target, people=people, groups=[engineers])


def test_250_linked_members_are_three_calls_and_none_the_second_time():
    """At most 100 a call (AWS SCIM developer guide, PatchGroup), and a second run is empty."""
    world = two_hundred_and_fifty()

    first = world.plan()
    world.make(first)

    sizes = [len(change.members) for change in first if isinstance(change, AddMembers)]
    assert sizes == [100, 100, 50]
    assert len(first) == 3
    assert len(world.target.groups["q"].members) == 250
    assert world.plan() == ()


def test_a_joiner_is_created_first_and_enters_the_group_in_the_pass_after():
    """A person who has no principal yet cannot be named in a call."""
    world = World(
        people=[PersonRecord(id="ada", desired=active(userName="ada"))],
        groups=[
            GroupRecord(
                id="eng", attributes={"displayName": "Engineers"}, members=frozenset({"ada"})
            )
        ],
    )

    first, second = world.converge()

    assert [type(change) for change in first] == [CreateUser, CreateGroup]
    assert second == (AddMembers(group="eng", principal="new-eng", members=("new-ada",)),)


def test_a_leaver_is_disabled_then_taken_out_and_gets_it_all_back_on_return():
    """A deactivation erases no membership, so a returner needs no second push (section 3)."""
    world = World(
        people=[PersonRecord(id="ada", desired=active(userName="ada"))],
        groups=[
            GroupRecord(
                id="eng", attributes={"displayName": "Engineers"}, members=frozenset({"ada"})
            )
        ],
    )
    world.converge()
    world.target.groups["by-hand"] = Team(
        external_id=None, attributes={"displayName": "By hand"}, members={"new-ada"}
    )
    [ada] = world.people
    before = world.target.snapshot()

    ada.desired = inactive(userName="ada", title="Countess")
    [leaving] = world.converge()
    ada.desired = active(userName="ada", title="Countess")
    [returning] = world.converge()

    assert leaving == (
        DisableUser(user="ada", principal="new-ada"),
        RemoveMembers(group="eng", principal="new-eng", members=("new-ada",)),
    )
    assert returning == (
        EnableUser(user="ada", principal="new-ada", set={"title": "Countess"}),
        AddMembers(group="eng", principal="new-eng", members=("new-ada",)),
    )
    world.target.users["new-ada"].attributes.pop("title")
    assert world.target.snapshot() == before


def test_a_mover_leaves_the_old_group_before_entering_the_new():
    """Revoke before grant, over all groups of one plan (design, section 8)."""
    world = World(
        people=[PersonRecord(id="ada", desired=active(userName="ada"))],
        groups=[
            GroupRecord(id="a-new", attributes={"displayName": "New"}),
            GroupRecord(id="z-old", attributes={"displayName": "Old"}, members=frozenset({"ada"})),
        ],
    )
    world.converge()
    new, old = world.groups

    old.members, new.members = frozenset(), frozenset({"ada"})
    [moving] = world.converge()

    assert moving == (
        RemoveMembers(group="z-old", principal="new-z-old", members=("new-ada",)),
        AddMembers(group="a-new", principal="new-a-new", members=("new-ada",)),
    )


# -- Where nobody can be disabled (the Identity Store API) -----------------


@pytest.mark.parametrize(
    ("desired", "principal", "observed", "expected"),
    [
        (active(title="a"), None, None, (create({"title": "a"}),)),
        (inactive(title="a"), None, None, ()),
        (inactive(title="b"), "p", active(title="a"), ()),
        (inactive(), "p", inactive(), ()),
        (active(title="b"), "p", inactive(title="a"), (update(title="b"),)),
        (active(title="a"), "p", inactive(title="a"), ()),
        (active(title="b"), "p", active(title="a"), (update(title="b"),)),
    ],
)
def test_who_cannot_be_disabled_is_neither_disabled_nor_enabled(
    desired: UserState,
    principal: str | None,
    observed: UserState | None,
    expected: tuple[Change, ...],
) -> None:
    """Else the same change would be planned for ever; nobody is created before they are active."""
    user = User(
        id="u",
        external_id="x",
        desired=desired,
        principal=principal,
        observed=observed,
        can_be_disabled=False,
    )
    assert diff_user(user) == expected


def test_a_door_for_single_members_gets_single_members() -> None:
    """CreateGroupMembership names one (botocore's model): one change is one call."""
    team = Group(
        id="g",
        external_id="x",
        desired=group("a", "b"),
        applied=group("c", "d"),
        principal="q",
        observed=group("c", "d"),
        created_here=True,
        members_per_call=1,
    )
    assert diff_group(team) == (remove("c"), remove("d"), add("a"), add("b"))
