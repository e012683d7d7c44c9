"""Nested groups: Identity Center holds the people of inner groups in the outer ones, and no others.

Identity Center has no nested groups (AWS SCIM developer guide, limitations), so ``[groups] nested =
"flatten"`` puts the people themselves there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import EnterpriseUser, Group, InvalidValueException, User
from sqlalchemy import update

from scim_bridge.directory import tables
from scim_bridge.directory.ways import Nesting
from scim_bridge.plan.drift import Difference
from scim_bridge.settings import Safety
from scim_bridge.sync.acceptance import Acceptance
from scim_bridge.sync.cuts import reach
from scim_bridge.sync.explanation import Question, explain
from scim_bridge.sync.held import Loss
from scim_bridge.sync.holdings import holdings
from scim_bridge.sync.rejection import NestedAgain
from tests.sync.conftest import GROUP, TARGET, USER, Directory, Sandbox, _given
from tests.sync.watching import watching

PEOPLE = ("ann", "bob", "cy")
GROUPS = ("red", "blue", "green", "grey")


@pytest.fixture
def flat(assemble: Callable[..., Directory]) -> Directory:
    """A directory that flattens nested groups."""
    return flattening(assemble())


def flattening(directory: Directory) -> Directory:
    directory.resources.nested = "flatten"
    return directory


@dataclass(frozen=True, kw_only=True)
class Nest:
    """Two people in "inner", which is in "middle", which is in "outer"; one of them in "middle"."""

    ann: str
    bob: str
    inner: str
    middle: str
    outer: str


@pytest.fixture
def nest(flat: Directory, sandbox: Sandbox) -> Nest:
    ann, bob = flat.add_user("ann"), flat.add_user("bob")
    inner = flat.add_group("inner", ann, bob)
    middle = flat.add_group("middle", inner, bob)
    outer = flat.add_group("outer", middle)
    flat.deliver()
    assert held(sandbox) == {"inner": {"ann", "bob"}, "middle": {"ann", "bob"},
                             "outer": {"ann", "bob"}}  # fmt: skip
    return Nest(ann=ann, bob=bob, inner=inner, middle=middle, outer=outer)


def held(sandbox: Sandbox) -> dict[str, set[str]]:
    return {group: sandbox.members(group) for group in sorted(sandbox.groups())}


# -- What takes access away, within the request -----------------------------------------------


def test_who_leaves_an_inner_group_loses_every_outer_one_that_nothing_else_gives(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """Within the request, like any removal; who is in one of them otherwise stays there."""
    flat.change_members(nest.inner, remove=[nest.ann, nest.bob])

    assert held(sandbox) == {"inner": set(), "middle": {"bob"}, "outer": {"bob"}}


def test_a_group_that_is_taken_out_takes_its_people_along(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """Also people of whom the bridge does not know that it put them there."""
    flat.disconnect(nest.outer, nest.ann)

    flat.change_members(nest.middle, remove=[nest.inner])

    assert held(sandbox) == {"inner": {"ann", "bob"}, "middle": {"bob"}, "outer": {"bob"}}


def test_a_put_without_the_inner_group_takes_it_out(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """RFC 7644, section 3.5.1: what a PUT leaves out is gone."""
    flat.replace_group(nest.middle, "middle", nest.ann)

    assert held(sandbox) == {"inner": {"ann", "bob"}, "middle": {"ann"}, "outer": {"ann"}}


def test_the_deletion_of_an_inner_group_takes_its_people_out_of_the_outer_ones(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """And a group of that name that comes later is in no group."""
    flat.delete_group(nest.inner)

    assert held(sandbox) == {"inner": set(), "middle": {"bob"}, "outer": {"bob"}}

    flat.add_group("inner", nest.ann)
    flat.deliver()

    assert held(sandbox) == {"inner": {"ann"}, "middle": {"bob"}, "outer": {"bob"}}


def test_the_deletion_of_a_group_between_takes_everybody_out(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """Those in it, and those in the groups in it."""
    flat.delete_group(nest.middle)

    assert held(sandbox) == {"inner": {"ann", "bob"}, "middle": set(), "outer": set()}


def test_a_leaver_loses_the_outer_groups_too_and_has_them_again_on_return(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """A deactivation takes effect within the request; a rehire under a new id is in no group."""
    flat.change_user(nest.ann, active=False)
    assert held(sandbox) == {"inner": {"bob"}, "middle": {"bob"}, "outer": {"bob"}}

    flat.change_user(nest.ann, active=True)
    flat.deliver()
    assert held(sandbox)["outer"] == {"ann", "bob"}

    flat.delete_user(nest.ann)
    assert held(sandbox) == {"inner": {"bob"}, "middle": {"bob"}, "outer": {"bob"}}

    ann = flat.add_user("ann")
    flat.deliver()
    assert held(sandbox) == {"inner": {"bob"}, "middle": {"bob"}, "outer": {"bob"}}
    flat.change_members(nest.inner, add=[ann])
    flat.deliver()
    assert held(sandbox)["outer"] == {"ann", "bob"}


def test_who_returns_too_late_is_in_no_outer_group_either(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    """``[deprovision] restore_within = 0``: the membership ends with the return."""
    flat = flattening(assemble(restore_within=0.0))
    ann = flat.add_user("ann")
    flat.add_group("outer", flat.add_group("inner", ann))
    flat.deliver()

    flat.change_user(ann, active=False)
    flat.change_user(ann, active=True)
    flat.deliver()

    assert held(sandbox) == {"inner": set(), "outer": set()}


def test_a_removal_is_undone_by_nothing_but_a_new_word(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """What comes back to the inner group comes back to the outer ones."""
    flat.change_members(nest.inner, remove=[nest.ann])
    flat.change_members(nest.inner, add=[nest.ann])
    flat.deliver()

    assert held(sandbox)["outer"] == {"ann", "bob"}
    assert flat.states() == {"clear"}


# -- The brake and the operator ---------------------------------------------------------------


@pytest.fixture
def many(assemble: Callable[..., Directory], sandbox: Sandbox) -> Directory:
    """Thirty people in "outer" through "inner", behind a brake that lets twenty go."""
    flat = flattening(assemble(safety=Safety(max_removals=20)))
    crew = flat.hire(30)
    flat.add_group("outer", flat.add_group("inner", *crew))
    flat.deliver()
    assert len(sandbox.members("outer")) == 30
    return flat


def losses(flat: Directory) -> list[Loss]:
    with flat.database.reading():
        return list(flat.held.losses())


def group_named(flat: Directory, name: str) -> str:
    with flat.database.reading() as connection:
        row = connection.execute(
            tables.groups.select().where(tables.groups.c.display_name == name)
        ).one()
    return str(row.id)


def test_losses_through_a_nesting_count_for_the_brake(many: Directory, sandbox: Sandbox) -> None:
    """The end of a nesting is held like removals of its people, until the client reverses it."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")

    flat.change_members(outer, remove=[inner])
    flat.deliver()
    assert len(sandbox.members("outer")) == 10
    assert len(losses(flat)) == 10

    flat.change_members(outer, add=[inner])
    flat.deliver()
    assert len(sandbox.members("outer")) == 30
    assert losses(flat) == []


def test_an_operator_who_rejects_gives_the_inner_group_back_and_no_more(
    many: Directory, sandbox: Sandbox
) -> None:
    """Nobody gets a membership of the outer group that would outlive that of the inner one."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    flat.change_members(inner, replace=[])
    flat.deliver()
    assert {loss.group for loss in losses(flat)} == {inner, outer}
    (set_id,) = {loss.set_id for loss in losses(flat)}

    flat.decisions.reject(set_id)
    flat.deliver()

    assert len(flat.members(inner)) == 10
    assert flat.members(outer) == {inner}
    assert len(sandbox.members("inner")) == len(sandbox.members("outer")) == 10


def test_a_rejection_gives_nobody_what_an_inner_group_gives_though_they_had_it_once(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    """Whichever loss was held first."""
    flat = flattening(assemble(safety=Safety(max_removals=20)))
    crew = flat.hire(30)
    inner, outer = flat.add_group("inner", *crew), flat.add_group("outer", *crew)
    flat.change_members(outer, add=[inner])
    flat.change_members(outer, remove=crew)
    flat.deliver()
    flat.change_members(inner, replace=[])
    flat.deliver()

    for set_id in {loss.set_id for loss in losses(flat)}:
        flat.decisions.reject(set_id)
    flat.deliver()

    assert flat.members(outer) == {inner}
    assert len(sandbox.members("inner")) == len(sandbox.members("outer")) == 10


def test_a_rejected_end_of_a_nesting_is_undone_as_a_nesting(
    many: Directory, sandbox: Sandbox
) -> None:
    """Also for those who had lost the outer group; and who leaves the inner one leaves both."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    flat.change_members(outer, remove=[inner])
    flat.deliver()
    (set_id,) = {loss.set_id for loss in losses(flat)}

    rejection = flat.decisions.reject(set_id)
    flat.deliver()

    assert (len(rejection.given_back), rejection.left) == (10, ())
    assert rejection.nested_again == (
        NestedAgain(nesting=Nesting(outer=outer, inner=inner), people=30),
    )
    assert flat.members(outer) == {inner}
    assert len(sandbox.members("outer")) == 30
    assert (flat.states(), losses(flat)) == ({"clear"}, [])

    # The brake counts nobody twice within an hour.
    leaver = min(flat.members(inner) - {loss.person for loss in rejection.given_back})
    flat.change_members(inner, remove=[leaver])
    assert flat.document(leaver)["userName"] not in sandbox.members("outer")


def test_what_a_deleted_inner_group_gave_stays_held_and_the_rest_is_given_back(
    many: Directory, sandbox: Sandbox
) -> None:
    """Nobody keeps it unseen, and nobody loses it though an operator decided that they keep it."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    team = flat.add_group("team", *flat.members(inner))
    flat.deliver()
    flat.change_members(team, replace=[])
    flat.delete_group(inner)
    flat.deliver()
    (set_id,) = {loss.set_id for loss in losses(flat)}

    rejection = flat.decisions.reject(set_id)
    flat.deliver()

    assert {loss.group for loss in rejection.given_back} == {team}
    assert {(one.loss.group, one.why) for one in rejection.left} == {
        (inner, "group 'inner' was deleted: create it again first"),
        (outer, "they were in it through group 'inner', which was deleted"),
    }
    assert {loss.group for loss in losses(flat)} == {inner, outer}
    assert (len(flat.members(team)), flat.members(outer)) == (10, set())
    assert [len(sandbox.members(one)) for one in ("team", "inner", "outer")] == [10, 10, 10]
    told = [(row.related_id, row.outcome) for row in flat.audited("rejected")]
    assert sorted(told) == sorted([(team, "ok"), (inner, "still held"), (outer, "still held")] * 10)

    flat.decisions.approve(set_id)
    flat.deliver()
    assert [len(sandbox.members(one)) for one in ("team", "inner", "outer")] == [10, 0, 0]


def test_of_two_held_sets_the_one_of_the_inner_group_is_to_be_decided_first(
    many: Directory, sandbox: Sandbox
) -> None:
    """Rejected the other way round, nobody gets a membership that would outlive the inner one."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    flat.change_members(inner, replace=[])
    flat.deliver()
    (first,) = {loss.set_id for loss in losses(flat)}
    with flat.database.transaction() as connection:
        of_inner = tables.held.update().where(tables.held.c.group_id == inner)
        connection.execute(of_inner.values(set_id="second"))

    rejection = flat.decisions.reject(first)
    flat.deliver()
    assert rejection.given_back == ()
    assert {one.why for one in rejection.left} == {
        "they were in it through group 'inner', and their loss of that is held in set second: "
        "decide on it first"
    }
    assert (len(losses(flat)), flat.members(outer)) == (20, {inner})
    assert len(sandbox.members("outer")) == 10

    assert flat.decisions.reject("second").left == ()
    flat.deliver()
    assert (len(flat.members(inner)), flat.members(outer)) == (10, {inner})
    assert losses(flat) == []


def test_a_rejection_does_not_put_a_group_back_for_what_came_by_hand_long_after(
    many: Directory, sandbox: Sandbox
) -> None:
    """The end of the nesting is not what those people are about to lose now."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    flat.change_members(outer, remove=[inner])
    flat.deliver()
    flat.decisions.approve(losses(flat)[0].set_id)
    flat.deliver()
    assert sandbox.members("outer") == set()
    with flat.database.transaction() as connection:
        for table in (tables.memberships, tables.nestings):
            began, ended = table.c.valid_from - 900, table.c.valid_to - 900
            connection.execute(update(table).values(valid_from=began, valid_to=ended))
    sandbox.join("outer", *sandbox.members("inner"))
    flat.change_members(outer, remove=sorted(flat.members(inner)))
    flat.deliver()

    rejection = flat.decisions.reject(losses(flat)[0].set_id)
    flat.deliver()

    assert rejection.nested_again == ()
    assert flat.members(outer) == {loss.person for loss in rejection.given_back}
    assert len(sandbox.members("outer")) == len(rejection.given_back) == 10


def test_a_rejection_does_not_put_a_group_back_for_what_came_by_hand_while_others_are_held(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    """A set of later losses does not decide on the end of a nesting, which another set holds."""
    flat = flattening(assemble(safety=Safety(max_removals=20)))
    crew, others = flat.hire(30), flat.hire(21, prefix="other")
    inner, team = flat.add_group("inner", *crew), flat.add_group("team", *others)
    outer = flat.add_group("outer", inner)
    flat.deliver()
    flat.change_members(outer, remove=[inner])
    flat.deliver()
    (first,) = {loss.set_id for loss in losses(flat)}
    lost = min(sandbox.members("inner") - sandbox.members("outer"))
    with flat.database.transaction() as connection:
        for table, column in ((tables.losses, "at"), (tables.held, "since")):
            connection.execute(update(table).values({column: table.c[column] - 7200}))
    sandbox.join("outer", lost)
    ids = {str(flat.document(one)["userName"]): one for one in crew}
    flat.change_members(team, remove=others)
    flat.change_members(outer, remove=[ids[lost]])
    flat.deliver()
    (later,) = {loss.set_id for loss in losses(flat) if loss.person == ids[lost]}
    assert later != first

    rejection = flat.decisions.reject(later)
    flat.deliver()

    assert rejection.nested_again == ()
    assert flat.members(outer) == {ids[lost]}
    assert len(sandbox.members("outer")) == 11


def test_who_had_a_group_in_two_ways_has_it_in_both_again(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    """One PUT may end both; with the membership alone, whoever joins the inner one is left out."""
    flat = flattening(assemble(safety=Safety(max_removals=20)))
    crew = flat.hire(30)
    inner = flat.add_group("inner", *crew)
    outer = flat.add_group("outer", inner, *crew)
    flat.deliver()
    flat.replace_group(outer, "outer")
    flat.deliver()
    lost = losses(flat)

    rejection = flat.decisions.reject(lost[0].set_id)
    flat.deliver()

    assert rejection.left == ()
    assert flat.members(outer) == {inner, *(loss.person for loss in lost)}
    assert len(sandbox.members("outer")) == 30


def test_a_group_taken_up_again_gets_its_inner_group_back_with_its_people(
    many: Directory, sandbox: Sandbox
) -> None:
    """The held losses of a deleted outer group are those of the one that is made anew."""
    flat = many
    inner = group_named(flat, "inner")
    flat.delete_group(group_named(flat, "outer"))
    flat.deliver()
    outer = flat.add_group("outer")
    flat.deliver()

    rejection = flat.decisions.reject(losses(flat)[0].set_id)
    flat.deliver()

    assert rejection.left == ()
    assert flat.members(outer) == {inner}
    assert len(sandbox.members("outer")) == 30


def test_who_is_hired_again_before_a_decision_has_the_outer_group_through_the_inner_one(
    many: Directory, sandbox: Sandbox
) -> None:
    """As the earlier record had it; no membership of the outer one that nobody ever gave."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    flat.change_members(outer, remove=[inner])
    flat.deliver()
    old = losses(flat)[0].person
    name = str(flat.document(old)["userName"])
    sandbox.fault("*", status=503, times=-1)
    flat.delete_user(old)
    new = flat.add_user(name)
    sandbox.mend()
    flat.probe()
    flat.make_everything_due()
    flat.deliver()
    assert {loss.group for loss in losses(flat) if loss.person == new} == {inner, outer}

    rejection = flat.decisions.reject(losses(flat)[0].set_id)
    flat.deliver()

    assert rejection.left == ()
    assert flat.members(outer) == {inner}
    assert new in flat.members(inner)
    assert name in sandbox.members("outer")


@pytest.mark.parametrize(("obstacle", "why"), [("skip", 'nested is "skip"'), ("circle", "by now")])
def test_a_nesting_that_may_not_be_again_leaves_its_people_held(
    many: Directory, sandbox: Sandbox, obstacle: str, why: str
) -> None:
    """By the setting, or since the client has meanwhile put the outer group into the inner one."""
    flat = many
    inner, outer = group_named(flat, "inner"), group_named(flat, "outer")
    flat.change_members(outer, remove=[inner])
    if obstacle == "skip":
        flat.resources.nested = "skip"
    else:
        flat.change_members(inner, add=[outer])
    flat.deliver()

    rejection = flat.decisions.reject(losses(flat)[0].set_id)
    flat.deliver()

    assert (len(rejection.left), len(losses(flat))) == (10, 10)
    assert all(why in one.why for one in rejection.left)
    assert (flat.members(outer), len(sandbox.members("outer"))) == (set(), 10)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_what_was_added_by_hand_to_both_groups_is_accepted_in_the_inner_one(
    assemble: Callable[..., Directory], sandbox: Sandbox, names: tuple[str, str]
) -> None:
    """Whichever of the two is looked at first, who leaves the inner one leaves the outer one."""
    flat = flattening(assemble())
    watched = watching(flat, sandbox, on_managed="accept")
    ann = flat.add_user("ann")
    inner = flat.add_group(names[0])
    outer = flat.add_group(names[1], inner)
    flat.deliver()
    watched.extract()
    for name in names:
        sandbox.join(name, "ann")
    watched.extract()
    assert flat.members(inner) == {ann}
    assert flat.members(outer) == {inner}

    flat.change_members(inner, remove=[ann])
    flat.deliver()
    assert sandbox.members(names[1]) == set()


def test_what_was_added_by_hand_to_an_outer_group_waits_for_an_inner_one_that_is_being_delivered(
    flat: Directory, sandbox: Sandbox
) -> None:
    """The inner one's turn comes after that, and who is taken over there needs no row of theirs."""
    watched = watching(flat, sandbox, on_managed="accept")
    ann, bob = flat.add_user("ann"), flat.add_user("bob")
    inner = flat.add_group("inner")
    outer = flat.add_group("outer", inner)
    flat.deliver()
    watched.extract()
    sandbox.join("inner", "ann")
    sandbox.join("outer", "ann", "bob")
    sandbox.fault("PatchGroup", status=503)
    flat.change_group(inner, displayName="core")

    watched.extract()
    assert flat.members(outer) == {inner, bob}
    assert sandbox.members("outer") == {"ann", "bob"}

    sandbox.mend()
    flat.make_everything_due()
    flat.deliver()
    watched.extract()
    assert (flat.members(inner), flat.members(outer)) == ({ann}, {inner, bob})
    assert watched.found() == []


def test_what_was_accepted_before_the_inner_group_was_joined_is_a_membership_of_its_own(
    flat: Directory, sandbox: Sandbox
) -> None:
    """Nothing tells a person put into both from one whom the outer group was meant for all along.

    So it is theirs, and an operator sees both reasons.
    """
    watched = watching(flat, sandbox, on_managed="accept")
    ann = flat.add_user("ann")
    inner = flat.add_group("inner")
    outer = flat.add_group("outer", inner)
    flat.deliver()
    for name in ("outer", "inner"):
        sandbox.join(name, "ann")
        watched.extract()

    assert flat.members(outer) == {inner, ann}
    found = holdings(flat.database, person=ann)
    assert [(one.through, one.member_by) for one in found if one.group == "outer"] == [
        ("", "adopted"),
        ("inner", "adopted"),
    ]


# -- What an operator is told -----------------------------------------------------------------


def test_the_reason_names_the_inner_group(flat: Directory, nest: Nest) -> None:
    """`explain USER` and the access report, now and at a moment in the past."""
    said = " ".join(explain(flat.database, nest.ann, Question()))
    assert "Group outer" in said
    assert "put into group inner, which is in it" in said

    before = flat.database.clock()
    with flat.database.transaction() as connection:
        for table in (tables.memberships, tables.nestings, tables.history):
            column = table.c.at if table is tables.history else table.c.valid_from
            connection.execute(update(table).values({column: before - 10}))
    flat.change_members(nest.outer, remove=[nest.middle])

    def through(at: float | None) -> set[tuple[str, str]]:
        found = holdings(flat.database, person=nest.ann, at=at)
        return {(one.group, one.through) for one in found}

    assert through(None) == {("inner", ""), ("middle", "inner")}
    assert through(before - 5) == {("inner", ""), ("middle", "inner"), ("outer", "inner")}


def test_sessions_through_an_outer_group_are_reckoned_with(flat: Directory, nest: Nest) -> None:
    """A leaver's sessions may run on permission sets that an outer group grants."""
    arn = "arn:aws:sso:::permissionSet/ssoins-1/ps-1"
    with flat.database.transaction() as connection:
        connection.execute(
            tables.assignments.insert().values(
                kind="group", resource_id=nest.outer, account_id="111122223333",
                permission_set=arn, permission_set_arn=arn, origin="client:hr", valid_from=1,
            )
        )  # fmt: skip

    assert set(reach(flat.database, TARGET, nest.ann).sessions) == {arn}


def test_somebody_taken_out_by_hand_is_not_accepted_where_an_inner_group_puts_them(
    flat: Directory, nest: Nest, sandbox: Sandbox
) -> None:
    """No row of theirs could end; what was taken out by hand is for a repair."""
    acceptance = Acceptance(flat.resources, flat.observations, flat.entitlements)
    principal = str(flat.principal("user", nest.ann))
    difference = Difference(kind="group", id=nest.outer, what="member-removed", name=principal)

    with flat.database.transaction():
        assert acceptance.accept(difference) is False


def test_adoption_gives_nobody_a_membership_that_an_inner_group_gives(
    flat: Directory, sandbox: Sandbox
) -> None:
    """It would outlive that of the inner group: who leaves that one loses the outer one, too."""
    watched = watching(flat, sandbox)
    sandbox.make_user("ann")
    for group in ("inner", "outer"):
        sandbox.make_group(group, "ann")
    # The directory has them already, and nothing of it was delivered yet.
    ann = flat.resources.create(USER, User[EnterpriseUser].model_validate(_given("ann"))).id
    ids = {}
    for name, member in (("inner", ann), ("outer", None)):
        stated = {"displayName": name, "members": [{"value": member or ids["inner"]}]}
        ids[name] = flat.resources.create(GROUP, Group.model_validate(stated)).id

    watched.extract()
    watched.parts.adoption.adopt(watched.parts.adoption.proposal())
    flat.deliver()
    assert flat.members(str(ids["outer"])) == {ids["inner"]}
    assert held(sandbox) == {"inner": {"ann"}, "outer": {"ann"}}

    flat.change_members(str(ids["inner"]), remove=[str(ann)])
    assert held(sandbox) == {"inner": set(), "outer": set()}


def test_adoption_takes_people_over_in_inner_groups_first(
    flat: Directory, sandbox: Sandbox
) -> None:
    """In the other order an outer group gives a membership that the inner one makes needless."""
    watched = watching(flat, sandbox)
    sandbox.make_user("ann")
    inner = None
    ids: list[str] = []
    for name in ("inner", "middle", "outer", "outermost"):
        sandbox.make_group(name, "ann")
        stated = {"displayName": name, "members": [{"value": inner}] if inner else []}
        inner = str(flat.resources.create(GROUP, Group.model_validate(stated)).id)
        ids.append(inner)

    watched.extract()
    watched.parts.adoption.adopt(watched.parts.adoption.proposal())

    ann = flat.resources.find_user("ann")
    assert ann is not None
    assert [flat.members(each) for each in ids] == [{ann.id}, *({each} for each in ids[:-1])]


# -- The law ----------------------------------------------------------------------------------


@dataclass
class Model:
    """Who is where, in plain Python."""

    people: dict[str, set[str]] = field(default_factory=lambda: {group: set() for group in GROUPS})
    inner: dict[str, set[str]] = field(default_factory=lambda: {group: set() for group in GROUPS})
    away: set[str] = field(default_factory=set)

    def reached(self, group: str) -> set[str]:
        """A group and all that are in it."""
        found, ahead = set(), [group]
        while ahead:
            one = ahead.pop()
            if one not in found:
                found.add(one)
                ahead += self.inner[one]
        return found

    def members(self, group: str) -> set[str]:
        return {one for each in self.reached(group) for one in self.people[each]} - self.away


person, group = st.sampled_from(PEOPLE), st.sampled_from(GROUPS)
anything = st.frozensets(person | group, max_size=3)
CHANGES = st.one_of(
    st.tuples(st.just("add"), group, anything),
    st.tuples(st.just("add"), group, st.frozensets(group, min_size=1, max_size=2)),
    st.tuples(st.just("remove"), group, anything),
    st.tuples(st.just("replace"), group, anything),
    st.tuples(st.just("delete"), group, st.just(frozenset())),
    st.tuples(st.just("leave"), person, st.just(frozenset())),
    st.tuples(st.just("return"), person, st.just(frozenset())),
)


@pytest.fixture
def named(flat: Directory) -> dict[str, str]:
    """The ids of people and groups that are all there."""
    ids = {name: flat.add_user(name) for name in PEOPLE}
    ids |= {name: flat.add_group(name) for name in GROUPS}
    flat.deliver()
    return ids


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(CHANGES, min_size=4, max_size=9))
def test_after_every_change_identity_center_holds_exactly_whom_the_graph_reaches(
    flat: Directory,
    sandbox: Sandbox,
    named: dict[str, str],
    changes: list[tuple[str, str, frozenset[str]]],
) -> None:
    """What is to be taken away is gone before the answer, the rest after the worker's passes."""
    model = Model()
    _begin_again(flat, named)
    for what, who, others in changes:
        before = {each: model.members(each) for each in GROUPS}
        _change(flat, named, model, what, who, others)
        wanted = {each: model.members(each) for each in GROUPS}
        at_once = held(sandbox)
        assert all(at_once[each] <= wanted[each] for each in GROUPS if wanted[each] <= before[each])
        flat.deliver()
        assert held(sandbox) == wanted
        with flat.database.reading():
            found = {each: flat.planning.subjects.effective_members(named[each]) for each in GROUPS}
        assert found == {each: {named[one] for one in wanted[each]} for each in GROUPS}


def _begin_again(flat: Directory, named: dict[str, str]) -> None:
    for each in GROUPS:
        flat.change_members(named[each], replace=[])
    for each in PEOPLE:
        flat.change_user(named[each], active=True)
    flat.deliver()


def _change(
    flat: Directory,
    named: dict[str, str],
    model: Model,
    what: str,
    who: str,
    others: frozenset[str],
) -> None:
    """One client's word, to the directory and to the model."""
    match what:
        case "leave" | "return":
            flat.change_user(named[who], active=what == "return")
            model.away = model.away - {who} if what == "return" else model.away | {who}
        case "delete":
            flat.delete_group(named[who])
            named[who] = flat.add_group(who)
            model.people[who], model.inner[who] = set(), set()
            for inner in model.inner.values():
                inner.discard(who)
        case _:
            _change_members(flat, named, model, what, who, others)


def _change_members(
    flat: Directory,
    named: dict[str, str],
    model: Model,
    what: str,
    who: str,
    others: frozenset[str],
) -> None:
    ids = [named[each] for each in sorted(others)]
    joining = set() if what == "remove" else {each for each in others if each in GROUPS}
    if any(who in model.reached(each) for each in joining):
        with pytest.raises(InvalidValueException, match="this group, or holds it"):
            flat.change_members(named[who], **{what: ids})
        return
    flat.change_members(named[who], **{what: ids})
    for held_there, kind in ((model.people, PEOPLE), (model.inner, GROUPS)):
        meant = {each for each in others if each in kind}
        if what == "add":
            held_there[who] |= meant
        elif what == "remove":
            held_there[who] -= meant
        else:
            held_there[who] = meant
