"""The brake: how many people may lose access within an hour, and what ends a held loss."""

from collections.abc import Callable

import pytest

from scim_bridge.directory import tables
from scim_bridge.errors import OperatorError
from scim_bridge.settings import Safety
from scim_bridge.sync.overview import HeldSet
from scim_bridge.sync.subjects import Naming
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]


@pytest.fixture
def braked(assemble: Assemble) -> Directory:
    """A bridge with the brake as it is when nobody sets anything."""
    return assemble(safety=Safety())


def _active(sandbox: Sandbox) -> int:
    return sum(user["active"] for user in sandbox.state()["users"])


def _held(directory: Directory) -> HeldSet:
    (held,) = directory.overview().held_sets
    return held


def _an_hour_passes(directory: Directory) -> None:
    with directory.database.transaction() as connection:
        for table, column in ((tables.losses, "at"), (tables.held, "since")):
            connection.execute(table.update().values({column: table.c[column] - 3601}))


def _filled(directory: Directory, members: list[str], name: str = "everyone") -> str:
    group_id = directory.add_group(name, *members)
    directory.deliver()
    return group_id


def _brake_on_five_leavers(directory: Directory) -> list[str]:
    """Twenty people, of whom five have left within the hour: the next is held."""
    people = directory.hire(20)
    for user_id in people[:5]:
        directory.change_user(user_id, active=False)
    return people[5:]


def _joined_by_hand(directory: Directory, sandbox: Sandbox, people: list[str]) -> None:
    """A known group that person005 joined by hand; the bridge has seen them there."""
    group_id = _filled(directory, [], "joined by hand")
    sandbox.join("joined by hand", "person005")
    sandbox.fault("PatchGroup", status=500)
    directory.change_members(group_id, add=people[19:])
    directory.deliver()
    directory.deliver()


# -- How many ----------------------------------------------------------------------------


def test_of_200_active_people_20_are_disabled_and_the_21st_is_held(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Ten percent of the people active when the hour began (design, section 9)."""
    people = braked.hire(200)

    for user_id in people[:20]:
        braked.change_user(user_id, active=False)
    assert _active(sandbox) == 180
    assert braked.overview().held_sets == []
    braked.change_user(people[20], active=False)

    assert _active(sandbox) == 180
    assert sandbox.is_active("person020")
    assert braked.mark_state("user", people[20]) == "held"
    assert (_held(braked).category, _held(braked).people) == ("disable", 1)
    assert braked.document(people[20])["active"] is False


def test_of_20_active_people_five_are_disabled_and_the_sixth_is_held(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Never before five: a small company must be able to let somebody go."""
    people = braked.hire(20)

    for user_id in people[:6]:
        braked.change_user(user_id, active=False)

    assert _active(sandbox) == 15
    assert braked.mark_state("user", people[5]) == "held"


def test_replacing_90_members_among_200_people_by_nobody_holds_those_beyond_60(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Thirty percent of the people may lose a membership; other changes go on."""
    people = braked.hire(200)
    group_id = _filled(braked, people[:90])
    assert len(sandbox.members("everyone")) == 90

    braked.replace_group(group_id, "renamed")

    assert len(sandbox.members("renamed")) == 30
    assert braked.mark_state("group", group_id) == "held"
    assert (_held(braked).category, _held(braked).people) == ("removal", 30)
    assert braked.members(group_id) == set()


def test_a_percentage_of_many_is_limited_by_a_number(assemble: Assemble, sandbox: Sandbox) -> None:
    """The smaller of the two counts."""
    braked = assemble(safety=Safety(max_deprovision_percent=100, max_deprovisions=6))
    people = braked.hire(20)

    for user_id in people[:7]:
        braked.change_user(user_id, active=False)

    assert _active(sandbox) == 14


def test_deletions_and_deactivations_count_together(braked: Directory, sandbox: Sandbox) -> None:
    """Whoever can no longer sign in counts, whatever the client called it."""
    people = braked.hire(20)
    for user_id in people[:3]:
        braked.change_user(user_id, active=False)

    for user_id in people[3:6]:
        braked.delete_user(user_id)

    assert _active(sandbox) == 15
    assert braked.mark_state("user", people[5]) == "held"


def test_each_person_counts_once(braked: Directory, sandbox: Sandbox) -> None:
    """Leaving twice, or several groups, is one person's loss."""
    people = braked.hire(20)
    for _ in range(3):
        braked.change_user(people[0], active=False)
        braked.change_user(people[0], active=True)
    for user_id in people[:5]:
        braked.change_user(user_id, active=False)
    assert _active(sandbox) == 15

    braked.change_user(people[0], active=True)
    braked.change_user(people[0], active=False)

    assert _active(sandbox) == 15
    assert braked.overview().held_sets == []


def test_one_person_in_many_groups_loses_them_all_as_one(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Twenty people who move out of two groups each are twenty, and pass."""
    people = braked.hire(21)
    one, two = _filled(braked, people, "one"), _filled(braked, people, "two")

    braked.change_members(one, remove=people[:20])
    braked.change_members(two, remove=people[:20])
    assert sandbox.members("one") == sandbox.members("two") == {"person020"}
    braked.change_members(one, remove=people[20:])

    assert sandbox.members("one") == {"person020"}
    assert _held(braked).people == 1


def test_a_leaver_counts_as_a_leaver_and_not_for_each_group(
    braked: Directory, sandbox: Sandbox
) -> None:
    """The memberships of who is disabled go with them."""
    people = braked.hire(22)
    group_id = _filled(braked, people)

    for user_id in people[:2]:
        braked.change_user(user_id, active=False)
    braked.change_members(group_id, remove=people[2:])

    assert sandbox.members("everyone") == set()
    assert braked.overview().held_sets == []


def test_the_hour_slides(braked: Directory, sandbox: Sandbox) -> None:
    """Who left more than an hour ago no longer counts."""
    left = _brake_on_five_leavers(braked)
    _an_hour_passes(braked)

    braked.change_user(left[0], active=False)

    assert _active(sandbox) == 14


def test_without_the_brake_nobody_is_held(assemble: Assemble, sandbox: Sandbox) -> None:
    """`[safety] brake = false`."""
    unbraked = assemble(safety=Safety(brake=False))
    people = unbraked.hire(10)

    for user_id in people:
        unbraked.change_user(user_id, active=False)

    assert _active(sandbox) == 0
    assert unbraked.overview().held_sets == []


# -- What is held stays held -------------------------------------------------------------


def test_what_is_held_is_sticky_over_time(braked: Directory, sandbox: Sandbox) -> None:
    """Only an operator or the client ends it, never time."""
    (person, *_) = _brake_on_five_leavers(braked)
    braked.change_user(person, active=False)
    _an_hour_passes(braked)

    braked.change_user(person, title="Analyst")
    braked.make_everything_due()
    braked.deliver()

    assert _active(sandbox) == 15
    assert braked.mark_state("user", person) == "held"
    assert _held(braked).people == 1


def test_who_is_held_keeps_every_membership(braked: Directory, sandbox: Sandbox) -> None:
    """Also what was given by hand, and in groups the directory does not know."""
    people = braked.hire(20)
    _filled(braked, people)
    sandbox.make_group("unknown", "person005")

    for user_id in people[:6]:
        braked.change_user(user_id, active=False)
    braked.deliver()

    assert "person005" in sandbox.members("everyone")
    assert len(sandbox.members("everyone")) == 15
    assert sandbox.members("unknown") == {"person005"}


def test_a_group_is_not_deleted_over_the_heads_of_who_is_held_in_it(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Emptying a group by deleting it counts like any other removal."""
    people = braked.hire(22)
    group_id = _filled(braked, people)

    braked.delete_group(group_id)

    assert len(sandbox.members("everyone")) == 2
    assert braked.mark_state("group", group_id) == "held"


def test_what_is_held_of_a_deleted_group_is_held_of_the_group_that_takes_it_up(
    braked: Directory, sandbox: Sandbox
) -> None:
    """A later POST of the name does not free it, and does not strand it."""
    people = braked.hire(22)
    braked.delete_group(_filled(braked, people))
    _an_hour_passes(braked)

    new = braked.add_group("everyone")
    braked.deliver()
    assert len(sandbox.members("everyone")) == 2

    braked.decisions.approve(_held(braked).id)
    braked.deliver()
    assert sandbox.members("everyone") == set()
    assert braked.mark_state("group", new) == "clear"
    assert braked.overview().held_sets == []


def test_other_changes_go_on(braked: Directory, sandbox: Sandbox) -> None:
    """The client gets 2xx, and who is not leaving is not stopped."""
    (person, other, *_) = _brake_on_five_leavers(braked)
    braked.change_user(person, active=False)

    braked.change_user(other, title="Analyst")
    braked.add_user("new")

    assert sandbox.user("person006")["title"] == "Analyst"
    assert sandbox.is_active("new")


def test_new_members_come_while_removals_are_held(braked: Directory, sandbox: Sandbox) -> None:
    """And what was to be taken away by the replacement is known when it is approved."""
    people = braked.hire(22)
    new = braked.add_user("new")
    group_id = _filled(braked, [])
    sandbox.join("everyone", *(f"person{n:03}" for n in range(22)))
    assert len(people) == 22

    braked.replace_group(group_id, "everyone", new)
    braked.deliver()
    assert len(sandbox.members("everyone")) == 3
    braked.decisions.approve(_held(braked).id)
    braked.deliver()

    assert sandbox.members("everyone") == {"new"}
    assert braked.states() == {"clear"}


def test_what_is_held_is_audited(braked: Directory) -> None:
    """An auditor sees why a leaver kept access."""
    (person, *_) = _brake_on_five_leavers(braked)

    braked.change_user(person, active=False)
    braked.deliver()

    (entry,) = braked.audited("held")
    assert (entry.resource_id, entry.kind) == (person, "user")
    assert _held(braked).id in entry.facts


# -- Approval ----------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", [False, True])
def test_an_approved_leaver_leaves_altogether(
    braked: Directory, sandbox: Sandbox, deleted: bool
) -> None:
    """Disabled, and out of every group, known or not."""
    people = braked.hire(20)
    _filled(braked, people)
    sandbox.make_group("unknown", "person005")
    for user_id in people[:5]:
        braked.change_user(user_id, active=False)
    if deleted:
        braked.delete_user(people[5])
    else:
        braked.change_user(people[5], active=False)

    (loss,) = braked.decisions.approve(_held(braked).id)
    braked.deliver()

    assert loss.person == people[5]
    assert not sandbox.is_active("person005")
    assert len(sandbox.members("everyone")) == 14
    assert sandbox.members("unknown") == set()
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}
    assert [row.resource_id for row in braked.audited("approved")] == [people[5]]


def test_an_approved_leaver_leaves_known_groups_whatever_identity_center_answers(
    braked: Directory, sandbox: Sandbox
) -> None:
    """An empty list of their groups is not taken for no groups: the groups look again."""
    people = braked.hire(20)
    _filled(braked, people)
    for user_id in people[:6]:
        braked.change_user(user_id, active=False)
    braked.deliver()
    sandbox.fault("ListGroups", empty=True, times=-1)

    braked.decisions.approve(_held(braked).id)
    braked.deliver()

    assert len(sandbox.members("everyone")) == 14
    assert braked.states() == {"clear"}


def test_approved_removals_are_made(braked: Directory, sandbox: Sandbox) -> None:
    """And do not count: the next person is judged as before."""
    people = braked.hire(22)
    group_id = _filled(braked, people)
    braked.change_members(group_id, replace=[])
    assert len(sandbox.members("everyone")) == 2

    assert len(braked.decisions.approve(_held(braked).id)) == 2
    braked.deliver()

    assert sandbox.members("everyone") == set()
    assert braked.states() == {"clear"}
    assert braked.overview().held_sets == []


def test_an_approval_is_used_up_by_the_loss_it_was_for(braked: Directory, sandbox: Sandbox) -> None:
    """Who returns and leaves again is judged again."""
    (person, *_) = _brake_on_five_leavers(braked)
    braked.change_user(person, active=False)
    braked.decisions.approve(_held(braked).id)
    braked.deliver()
    braked.change_user(person, active=True)

    braked.change_user(person, active=False)

    assert sandbox.is_active("person005")
    assert braked.mark_state("user", person) == "held"


# -- Rejection ---------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", [False, True])
def test_a_rejected_leaver_stays_with_everything(
    braked: Directory, sandbox: Sandbox, deleted: bool
) -> None:
    """The directory is given its state back: active, memberships and all."""
    people = braked.hire(20)
    group_id = _filled(braked, people)
    _joined_by_hand(braked, sandbox, people)
    sandbox.make_group("unknown", "person005")
    for user_id in people[:5]:
        braked.change_user(user_id, active=False)
    if deleted:
        braked.delete_user(people[5])
    else:
        braked.change_user(people[5], active=False)

    braked.decisions.reject(_held(braked).id)
    braked.deliver()

    assert sandbox.is_active("person005")
    assert "person005" in sandbox.members("everyone")
    assert sandbox.members("joined by hand") == {"person005", "person019"}
    assert sandbox.members("unknown") == {"person005"}
    assert braked.document(people[5])["active"] is not False
    assert people[5] in braked.members(group_id)
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}
    assert [row.resource_id for row in braked.audited("rejected")] == [people[5]]


def test_rejected_removals_are_given_back(braked: Directory, sandbox: Sandbox) -> None:
    """Who was to go stays, at Identity Center and in the directory."""
    people = braked.hire(22)
    group_id = _filled(braked, people)
    braked.change_members(group_id, replace=[])

    braked.decisions.reject(_held(braked).id)
    braked.deliver()

    assert len(sandbox.members("everyone")) == 2
    assert len(braked.members(group_id)) == 2
    assert braked.states() == {"clear"}
    assert braked.overview().held_sets == []


def test_who_cannot_come_back_stays_held_and_the_others_are_given_back(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Somebody else has their e-mail by now: the operator is told so, for them alone."""
    second, *_ = _brake_on_five_leavers(braked)
    emails = [{"value": "shop@corp.example", "primary": True}]
    first = braked.add_user("predecessor", emails=emails)
    braked.delete_user(first)
    braked.delete_user(second)
    braked.add_user("successor", emails=emails)
    braked.deliver()
    set_id = _held(braked).id

    rejection = braked.decisions.reject(set_id)
    braked.deliver()

    assert [loss.person for loss in rejection.given_back] == [second]
    ((left, why),) = [(one.loss.person, one.why) for one in rejection.left]
    assert (left, "by somebody else" in why) == (first, True)
    assert braked.document(second)["active"] is True
    assert (_held(braked).id, _held(braked).people) == (set_id, 1)
    told = {row.resource_id: row.outcome for row in braked.audited("rejected")}
    assert told == {first: "still held", second: "ok"}


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_removal_of_people_the_directory_does_not_know_can_be_decided(
    braked: Directory, sandbox: Sandbox, decision: str
) -> None:
    """A deletion takes out everybody; who came by hand stays if an operator says so."""
    braked.hire(5)
    group_id = _filled(braked, [])
    names = [f"stranger{n:02}" for n in range(22)]
    for name in names:
        sandbox.make_user(name)
    sandbox.join("everyone", *names)
    braked.delete_group(group_id)
    assert len(sandbox.members("everyone")) == 2

    getattr(braked.decisions, decision)(_held(braked).id)
    braked.deliver()

    assert len(sandbox.members("everyone")) == (2 if decision == "reject" else 0)
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}


def test_a_set_that_is_not_there_cannot_be_decided(braked: Directory) -> None:
    """The command says so, and what to do."""
    with pytest.raises(OperatorError, match="no held set 'nonsense'"):
        braked.decisions.approve("nonsense")
    with pytest.raises(OperatorError, match="no held set 'nonsense'"):
        braked.decisions.reject("nonsense")


# -- The client's own reversal -----------------------------------------------------------


def test_a_reactivation_ends_a_held_deactivation(braked: Directory, sandbox: Sandbox) -> None:
    """The client's own reversal ends it; nothing is left to decide."""
    people = braked.hire(20)
    _filled(braked, people)
    _joined_by_hand(braked, sandbox, people)
    sandbox.make_group("unknown", "person005")
    for user_id in people[:6]:
        braked.change_user(user_id, active=False)
    braked.deliver()

    braked.change_user(people[5], active=True)
    braked.deliver()

    assert sandbox.is_active("person005")
    assert "person005" in sandbox.members("everyone")
    assert sandbox.members("joined by hand") == {"person005", "person019"}
    assert sandbox.members("unknown") == {"person005"}
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}


def test_a_new_creation_ends_a_held_deletion(braked: Directory, sandbox: Sandbox) -> None:
    """Hired again: enabled as before, but without the memberships of before."""
    people = braked.hire(20)
    _filled(braked, people)
    for user_id in people[:5]:
        braked.change_user(user_id, active=False)
    braked.delete_user(people[5])
    braked.deliver()
    sandbox.fault("ListGroups", empty=True, times=-1)

    new = braked.add_user("person005")
    braked.deliver()

    assert sandbox.is_active("person005")
    assert braked.principal("user", new) == sandbox.user("person005")["id"]
    assert "person005" not in sandbox.members("everyone")
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}


def test_an_addition_ends_a_held_removal(braked: Directory, sandbox: Sandbox) -> None:
    """Who is a member again is not to be removed."""
    people = braked.hire(22)
    group_id = _filled(braked, people)
    braked.change_members(group_id, replace=[])

    braked.replace_group(group_id, "everyone", *people)
    braked.deliver()

    assert len(sandbox.members("everyone")) == 22
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}


def test_what_is_gone_at_identity_center_is_not_held_any_more(
    braked: Directory, sandbox: Sandbox
) -> None:
    """Nobody is asked about a loss that somebody else has brought about."""
    people = braked.hire(22)
    group_id = _filled(braked, people)
    braked.change_members(group_id, replace=[])
    assert _held(braked).people == 2

    sandbox.remove_group("everyone")
    braked.change_group(group_id, displayName="nobody")
    braked.deliver()

    assert sandbox.members("nobody") == set()
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}


def test_a_group_that_is_removed_leaves_no_approval_behind(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """An approval is for one loss, and a deletion is the loss of everybody in the group."""
    braked = assemble(safety=Safety(), naming=Naming(when_deleted="remove"))
    group_id = _filled(braked, braked.hire(22))
    braked.delete_group(group_id)

    braked.decisions.approve(_held(braked).id)
    braked.deliver()

    assert sandbox.state()["groups"] == []
    with braked.database.reading() as connection:
        assert connection.execute(tables.held.select()).all() == []


# -- An operator's own deprovision -------------------------------------------------------


def test_an_operator_who_deprovisions_passes_the_brake(braked: Directory, sandbox: Sandbox) -> None:
    """`scim-bridge deprovision USER` passes, also for somebody who is held."""
    people = braked.hire(20)
    _filled(braked, people)
    for user_id in people[:6]:
        braked.change_user(user_id, active=False)

    braked.decisions.deprovision("person005")
    braked.decisions.deprovision("person006")
    braked.deliver()

    assert not sandbox.is_active("person005")
    assert not sandbox.is_active("person006")
    assert len(sandbox.members("everyone")) == 13
    assert braked.overview().held_sets == []
    assert braked.states() == {"clear"}
