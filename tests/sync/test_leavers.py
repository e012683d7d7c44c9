"""Leavers, returners, people hired again and groups that end: design section 3."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from scim_bridge.settings import Safety
from scim_bridge.sync.intents import EVERYTHING
from scim_bridge.sync.marks import Intent, Key
from scim_bridge.sync.reconciler import WAITS_FOR_GROUPS
from scim_bridge.sync.subjects import Naming
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
DAY = 86400.0


@pytest.fixture(params=[False, True], ids=["lenient", "strict"], autouse=True)
def strict_disabled(request: pytest.FixtureRequest, sandbox: Sandbox) -> bool:
    """Whether edits and additions of disabled users are refused: AWS leaves it open."""
    sandbox.behave(strict_disabled=request.param)
    return bool(request.param)


# -- Leaving -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deactivated", "deleted", "deprovisioned"])
def test_a_leaver_is_disabled_and_out_of_every_group_there_is(
    directory: Directory, sandbox: Sandbox, how: str
) -> None:
    """Disabled, never deleted; out of all groups Identity Center reports, known or not."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.add_group("known, joined by hand")
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    sandbox.make_group("unknown too", "ada")
    sandbox.join("known, joined by hand", "ada")

    match how:
        case "deactivated":
            directory.change_user(ada, active=False)
        case "deleted":
            directory.delete_user(ada)
        case _:
            directory.decisions.deprovision("ada")
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert sandbox.state()["memberships"] == []
    assert directory.states() == {"clear"}


def test_a_leaver_is_out_of_known_groups_whatever_identity_center_answers(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A deactivation marks all the person's groups: those given, and those they were seen in."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    directory.add_group("engineers", ada)
    seen = directory.add_group("joined by hand, and seen")
    directory.deliver()
    sandbox.join("joined by hand, and seen", "ada")
    directory.replace_group(seen, "joined by hand, and seen", ada, bob)
    directory.deliver()
    sandbox.fault("ListGroups", empty=True)

    directory.change_user(ada, active=False)
    directory.deliver()

    assert sandbox.members("engineers") == set()
    assert sandbox.members("joined by hand, and seen") == {"bob"}
    assert directory.states() == {"clear"}


def test_an_unknown_group_that_vanishes_does_not_keep_a_leaver_in_the_others(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Each group is left, whatever becomes of the one before."""
    ada = directory.add_user("ada")
    first = min(sandbox.make_group("one", "ada"), sandbox.make_group("two", "ada"))
    sandbox.fault("PatchGroup", status=404, match=first)
    sandbox.fault("GetGroup", status=404, match=first)
    sandbox.fault("ListGroups", empty=True, match=f'id eq "{first}"')

    directory.change_user(ada, active=False)
    directory.deliver()

    left = {membership["groupId"] for membership in sandbox.state()["memberships"]}
    assert left == {first}
    assert directory.states() == {"clear"}


def test_a_leaver_is_disabled_before_anything_else(directory: Directory, sandbox: Sandbox) -> None:
    """Disable first, then memberships."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    sandbox.forget_calls()

    directory.change_user(ada, active=False)

    (disabled,) = sandbox.requests("PatchUser")
    assert disabled["body"]["Operations"] == [{"op": "replace", "path": "active", "value": False}]
    everything = sandbox.journal()
    changes = [entry for entry in everything if entry["method"] == "PATCH"]
    assert changes[-3]["operation"] == "PatchUser"
    assert [entry["operation"] for entry in changes[-2:]] == ["PatchGroup", "PatchGroup"]


def test_each_membership_a_leaver_loses_is_audited_with_its_call(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The trail names each of them, also in groups the directory does not know."""
    ada = directory.add_user("ada")
    directory.deliver()
    unknown = sandbox.make_group("unknown", "ada")

    directory.change_user(ada, active=False)

    (call,) = [row for row in directory.audited("call") if "RemoveMembers" in row.facts]
    assert (call.resource_id, call.related_id) == (ada, unknown)
    assert call.target_request_id == sandbox.requests("PatchGroup")[-1]["request_id"]


def test_the_directory_keeps_the_memberships_of_who_is_inactive(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Deactivation never erases a membership: clients still read it back."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()

    directory.change_user(ada, active=False)

    assert directory.members(group_id) == {ada}
    assert sandbox.members("engineers") == set()


def test_only_removals_are_sent_of_who_is_inactive(directory: Directory, sandbox: Sandbox) -> None:
    """A mark with nothing but waiting changes is cleared, and nothing is called."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers")
    directory.deliver()
    directory.change_user(ada, active=False)
    directory.deliver()
    sandbox.forget_calls()

    directory.change_user(ada, title="Analyst")
    directory.change_members(group_id, add=[ada])
    directory.deliver()

    assert sandbox.calls() == {}
    assert directory.states() == {"clear"}
    directory.change_user(ada, active=True)
    directory.deliver()
    assert sandbox.user("ada")["title"] == "Analyst"
    assert sandbox.members("engineers") == {"ada"}


def test_who_is_created_inactive_is_created_disabled(
    directory: Directory, sandbox: Sandbox
) -> None:
    """And gets no group until they are activated."""
    ada = directory.add_user("ada", active=False)
    directory.add_group("engineers", ada)
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert sandbox.count("PatchUser") == 0
    assert sandbox.members("engineers") == set()
    directory.change_user(ada, active=True)
    directory.deliver()
    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}


def test_a_person_who_never_arrived_is_not_created_to_be_disabled_when_deleted(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Who is gone before the first delivery leaves no trace at Identity Center."""
    directory = assemble(wait=0)
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)

    directory.delete_user(ada)
    directory.deliver()

    assert sandbox.names() == set()
    assert directory.states() == {"clear"}


def test_an_operator_deprovisions_also_who_is_inactive_already(
    directory: Directory, sandbox: Sandbox
) -> None:
    """What somebody gave them by hand since is taken away as well."""
    ada = directory.add_user("ada")
    directory.change_user(ada, active=False)
    sandbox.behave(strict_disabled=False)
    sandbox.make_group("unknown", "ada")

    assert directory.decisions.deprovision("ada") == ada
    directory.deliver()

    assert sandbox.members("unknown") == set()
    assert directory.states() == {"clear"}


# -- Where SCIM refuses to take a disabled person out of groups --------------------------


def test_a_leaver_goes_by_the_other_door_where_scim_refuses(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """The removal goes through the Identity Store API: refused once for each group, then done.

    Also from a group the directory does not know; and each call is in the trail with its id.
    """
    directory = assemble(detour=True)
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    groups = [directory.add_group(name, ada, bob) for name in ("engineers", "analysts")]
    directory.deliver()
    unknown = sandbox.make_group("unknown", "ada", "bob")
    sandbox.behave(strict_removals=True)
    sandbox.forget_calls()

    directory.change_user(ada, active=False)
    directory.deliver()

    assert not sandbox.is_active("ada")
    for name in ("engineers", "analysts", "unknown"):
        assert sandbox.members(name) == {"bob"}
    calls = sandbox.calls()
    assert calls["PatchGroup"] == {"400": 3}
    assert calls["identitystore:DeleteGroupMembership"] == {"200": 3}
    assert directory.states() == {"clear"}
    deletions = sandbox.requests("identitystore:DeleteGroupMembership")
    trail = {
        row.target_request_id: (row.resource_id, row.related_id)
        for row in directory.audited("call")
        if "RemoveMembers" in row.facts
    }
    assert {one["request_id"] for one in deletions} <= trail.keys()
    named = {ids for ids in trail.values() if ada in ids}
    assert named == {(ada, group) for group in (*groups, unknown)}


def test_of_many_only_who_is_disabled_goes_by_the_other_door(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """One refusal tells: nobody is looked for by halves, nor asked for again."""
    directory = assemble(detour=True)
    people = directory.hire(12)
    group = directory.add_group("engineers", *people)
    directory.deliver()
    sandbox.fault("PatchGroup", status=503, times=-1)
    for leaver in people[:3]:
        directory.change_user(leaver, active=False)
    directory.change_members(group, remove=people[3:9])
    sandbox.mend()
    sandbox.behave(strict_removals=True)
    sandbox.forget_calls()

    directory.deliver()

    assert sandbox.members("engineers") == {f"person{number:03}" for number in (9, 10, 11)}
    calls = sandbox.calls()
    assert calls["PatchGroup"] == {"400": 1, "204": 1}
    assert calls["identitystore:DeleteGroupMembership"] == {"200": 3}
    assert directory.states() == {"clear"}


def test_what_may_not_go_by_the_other_door_stays_pending_and_says_why(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """IAM does not allow it: the action is named, others go, and it is done once allowed."""
    directory = assemble(detour=True)
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group = directory.add_group("engineers", ada, bob)
    directory.deliver()
    sandbox.behave(strict_removals=True)
    action = "identitystore:DeleteGroupMembership"
    sandbox.fault(action, error="AccessDeniedException", times=-1)

    directory.change_user(ada, active=False)
    directory.change_members(group, remove=[bob])
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}
    mark = directory.mark_row("group", group)
    assert (mark.state, mark.urgent, mark.denied) == ("pending", True, action)
    assert f"Allow {action}" in mark.last_error
    assert directory.overview().denied == [action]

    sandbox.mend()
    directory.make_everything_due()
    directory.deliver()
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


def test_without_another_door_a_refused_removal_says_what_would_open_it(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A bearer token alone opens the SCIM endpoint only: it stays pending and is asked again."""
    ada = directory.add_user("ada")
    group = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.behave(strict_removals=True)

    directory.change_user(ada, active=False)
    directory.deliver()

    mark = directory.mark_row("group", group)
    assert (mark.state, mark.urgent) == ("pending", True)
    assert "set identity_center.region" in mark.last_error
    assert sandbox.members("engineers") == {"ada"}


def test_without_aws_credentials_a_refused_removal_asks_for_them(
    assemble: Assemble, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token goes on working, so the door of the bridge is not closed."""
    directory = assemble(detour=True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    ada = directory.add_user("ada")
    group = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.behave(strict_removals=True)

    directory.change_user(ada, active=False)
    directory.deliver()

    mark = directory.mark_row("group", group)
    assert mark.state == "pending"
    assert "there are no AWS credentials" in mark.last_error
    assert directory.center.circuit.state == "closed"
    assert directory.mark_state("user", directory.add_user("bob")) == "clear"


def test_a_membership_that_the_other_door_does_not_find_is_not_taken_for_gone(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """AWS promises no read after a write: what SCIM shows is still there."""
    directory = assemble(detour=True)
    ada = directory.add_user("ada")
    group = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.behave(strict_removals=True)
    sandbox.fault("identitystore:GetGroupMembershipId", error="ResourceNotFoundException", times=-1)

    directory.change_user(ada, active=False)
    directory.deliver()

    assert sandbox.members("engineers") == {"ada"}
    assert directory.mark_state("group", group) == "pending"
    sandbox.mend()
    directory.make_everything_due()
    directory.deliver()
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


# -- Returning ---------------------------------------------------------------------------


def test_who_returns_in_time_gets_everything_back(assemble: Assemble, sandbox: Sandbox) -> None:
    """A reactivation within `restore_within` restores the memberships."""
    now = time.time()
    directory = assemble(restore_within=30 * DAY, clock=lambda: now)
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    directory.change_user(ada, active=False)

    now += 29 * DAY
    directory.change_user(ada, active=True)
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}
    assert directory.members(group_id) == {ada}
    assert directory.states() == {"clear"}


def test_who_returns_too_late_returns_to_nothing(assemble: Assemble, sandbox: Sandbox) -> None:
    """After that the membership rows are ended, and that is audited."""
    now = time.time()
    directory = assemble(restore_within=30 * DAY, clock=lambda: now)
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    directory.change_user(ada, active=False)

    now += 31 * DAY
    directory.change_user(ada, active=True)
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == set()
    assert directory.members(group_id) == set()
    (ended,) = directory.audited("member-removed")
    assert (ended.resource_id, ended.related_id) == (ada, group_id)
    assert directory.states() == {"clear"}


def test_a_return_enables_and_updates_in_one_call(directory: Directory, sandbox: Sandbox) -> None:
    """Nobody acts under the attributes of an old job, even for a moment."""
    ada = directory.add_user("ada", title="Analyst")
    directory.change_user(ada, active=False)
    sandbox.forget_calls()

    directory.change_user(ada, active=True, title="Countess")

    assert sandbox.user("ada")["title"] == "Countess"
    assert sandbox.calls() == {"PatchUser": {"200": 1}}


def test_a_return_before_the_leaving_has_arrived_costs_nothing(
    directory: Directory, sandbox: Sandbox
) -> None:
    """What the client took back is not done, also not the part that nobody sees."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    sandbox.fault(status=503, times=-1)
    directory.change_user(ada, active=False)

    directory.change_user(ada, active=True)
    sandbox.mend()
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}
    assert sandbox.members("unknown") == {"ada"}
    assert directory.states() == {"clear"}
    assert directory.mark_row("user", ada).revoking_since is None


def test_an_operator_reactivates(directory: Directory, sandbox: Sandbox) -> None:
    """`scim-bridge reactivate USER`."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    directory.decisions.deprovision("ada")
    directory.deliver()

    assert directory.decisions.reactivate("ada") == ada
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}


# -- Hired again -------------------------------------------------------------------------


def test_who_is_hired_again_is_the_same_user_at_identity_center(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A new SCIM id, the same principal, enabled, with the externalId it has."""
    old = directory.add_user("ada", title="Analyst")
    directory.add_group("engineers", old)
    directory.deliver()
    principal = sandbox.user("ada")["id"]
    directory.delete_user(old)
    assert not sandbox.is_active("ada")

    new = directory.add_user("Ada", title="Countess")

    shown = sandbox.user("Ada")
    assert new != old
    assert (shown["id"], shown["externalId"]) == (principal, old)
    assert shown["active"] is True
    assert shown["title"] == "Countess"
    assert sandbox.members("engineers") == set()
    assert directory.principal("user", new) == principal
    assert directory.principal("user", old) is None
    assert directory.states() == {"clear"}
    (rehired,) = directory.audited("rehire")
    assert (rehired.resource_id, rehired.related_id) == (new, old)


def test_who_is_hired_again_can_leave_and_return_again(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The link follows from record to record."""
    for _ in range(3):
        user_id = directory.add_user("ada")
        assert sandbox.is_active("ada")
        directory.delete_user(user_id)
        assert not sandbox.is_active("ada")

    assert sandbox.names() == {"ada"}
    assert directory.states() == {"clear"}


@pytest.mark.parametrize("way", ["active", "activated later", "there and back"])
def test_what_was_to_be_taken_from_the_earlier_record_still_goes(
    directory: Directory, sandbox: Sandbox, way: str
) -> None:
    """Who is hired again keeps nothing of before, whether the bridge gave it or not.

    Their activation takes back what their own deactivation said, and not what that record lost.
    """
    old = directory.add_user("ada")
    directory.add_group("engineers", old)
    kept = directory.add_group("kept", old)
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    sandbox.fault(status=503, times=-1)
    directory.delete_user(old)
    assert sandbox.is_active("ada")

    new = directory.add_user("ada", active=way != "activated later")
    directory.change_members(kept, add=[new])
    if way == "there and back":
        directory.change_user(new, active=False)
    if way != "active":
        directory.change_user(new, active=True)
    sandbox.mend()
    directory.probe()
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == set()
    assert sandbox.members("unknown") == set()
    assert sandbox.members("kept") == {"ada"}
    assert directory.states() == {"clear"}


def test_old_access_goes_before_who_is_hired_again_is_enabled(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Revoke before grant."""
    old = directory.add_user("ada")
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    sandbox.fault("PatchGroup", status=503, times=1)
    directory.delete_user(old)
    assert not sandbox.is_active("ada")
    assert sandbox.members("unknown") == {"ada"}

    directory.add_user("ada")

    changes = [entry for entry in sandbox.journal() if entry["method"] == "PATCH"]
    assert [entry["operation"] for entry in changes[-2:]] == ["PatchGroup", "PatchUser"]
    assert sandbox.members("unknown") == set()
    assert sandbox.is_active("ada")


@pytest.mark.parametrize("seen", [True, False])
def test_old_groups_let_go_before_who_is_hired_again_is_enabled(
    directory: Directory, sandbox: Sandbox, seen: bool
) -> None:
    """Also groups of the directory, which lose people under their own leases."""
    old = directory.add_user("ada")
    crew = directory.add_group("crew", old)
    directory.deliver()
    sandbox.fault("PatchGroup", status=503, times=1)
    directory.delete_user(old)
    assert not sandbox.is_active("ada")
    assert sandbox.members("crew") == {"ada"}
    if not seen:
        # As if she had come by hand: only what is to be taken away names her.
        with directory.database.transaction():
            principal = str(directory.principal("user", old))
            directory.observations.left(str(directory.principal("group", crew)), [principal])
            directory.marks.mark(
                Intent(key=Key(kind="user", id=old), urgent=True, take_away=EVERYTHING)
            )

    new = directory.add_user("ada")

    changes = [entry for entry in sandbox.journal() if entry["method"] == "PATCH"]
    assert [entry["operation"] for entry in changes[-2:]] == ["PatchGroup", "PatchUser"]
    assert sandbox.members("crew") == set()
    assert sandbox.is_active("ada")
    assert directory.mark_state("user", new) == "clear"


def test_who_is_hired_again_waits_for_old_groups_but_not_for_good(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A group that lets nobody go keeps nobody from work for ever; it is asked on and on."""
    old = directory.add_user("ada")
    crew = directory.add_group("crew", old)
    directory.deliver()
    sandbox.fault("PatchGroup", status=400, times=-1)
    directory.delete_user(old)

    new = directory.add_user("ada")
    assert not sandbox.is_active("ada")
    assert "groups they had before" in (directory.mark_row("user", new).last_error or "")
    for _ in range(WAITS_FOR_GROUPS):
        directory.deliver()

    assert sandbox.is_active("ada")
    assert directory.mark_state("group", crew) == "pending"
    sandbox.mend()
    directory.deliver()
    assert sandbox.members("crew") == set()
    assert directory.states() == {"clear"}


def test_who_is_hired_again_while_the_brake_held_the_leaving_keeps_nothing_of_before(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Nobody has to decide on it any more, and what she was to lose goes."""
    directory = assemble(safety=Safety())
    people = directory.hire(20)
    for user_id in people[:5]:
        directory.change_user(user_id, active=False)
    old = people[5]
    directory.add_group("engineers", old)
    kept = directory.add_group("kept", old)
    directory.deliver()
    sandbox.make_group("unknown", "person005")
    directory.delete_user(old)
    assert directory.mark_state("user", old) == "held"
    directory.deliver()
    assert sandbox.members("engineers") == {"person005"}

    new = directory.add_user("person005")
    directory.change_members(kept, add=[new])
    directory.deliver()

    assert sandbox.is_active("person005")
    assert sandbox.members("engineers") == sandbox.members("unknown") == set()
    assert sandbox.members("kept") == {"person005"}
    assert directory.overview().held_sets == []
    assert directory.states() == {"clear"}


def test_a_live_record_of_an_inactive_person_is_no_rehire(
    directory: Directory, sandbox: Sandbox
) -> None:
    """POST of a live inactive user is a 409."""
    ada = directory.add_user("ada")
    directory.change_user(ada, active=False)

    with pytest.raises(Exception, match="userName is already taken"):
        directory.add_user("ada")

    assert not sandbox.is_active("ada")


# -- Memberships that nobody gave through the bridge -------------------------------------


@pytest.fixture
def joined_by_hand(directory: Directory, sandbox: Sandbox) -> tuple[str, str, str]:
    """A group with ada, whom the bridge put there; bob and a stranger came by hand."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.make_user("stranger")
    sandbox.join("engineers", "bob", "stranger")
    return group_id, ada, bob


def test_what_nobody_named_stays(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """What somebody added by hand stays and is drift."""
    group_id, ada, _ = joined_by_hand

    directory.change_members(group_id, remove=[ada])
    directory.change_group(group_id, displayName="builders")
    directory.deliver()

    assert sandbox.members("builders") == {"bob", "stranger"}


def test_naming_a_member_takes_out_who_came_by_hand(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """The removal of a named member, in the directory or not."""
    group_id, _, bob = joined_by_hand

    directory.change_members(group_id, remove=[bob])

    assert sandbox.members("engineers") == {"ada", "stranger"}
    assert directory.mark_state("group", group_id) == "clear"


def test_a_replacement_takes_out_everybody_linked_who_came_by_hand(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """A PUT or whole replace takes out linked people only."""
    group_id, ada, _ = joined_by_hand

    directory.replace_group(group_id, "engineers", ada)

    assert sandbox.members("engineers") == {"ada", "stranger"}
    assert directory.mark_state("group", group_id) == "clear"


def test_a_replacement_by_nobody_takes_out_everybody_linked(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """Who is not known to the bridge is not the client's to take out."""
    group_id, _, _ = joined_by_hand

    directory.change_members(group_id, replace=[])

    assert sandbox.members("engineers") == {"stranger"}
    assert directory.mark_state("group", group_id) == "clear"


def test_a_deactivation_takes_out_who_came_by_hand(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """All that Identity Center reports, also what the bridge never made."""
    _, _, bob = joined_by_hand

    directory.change_user(bob, active=False)
    directory.deliver()

    assert sandbox.members("engineers") == {"ada", "stranger"}
    assert directory.states() == {"clear"}


# -- Groups that end ---------------------------------------------------------------------


def test_a_deleted_group_is_emptied_and_stays(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """Everybody goes, also who is not linked: its assignments stay for the day it returns."""
    group_id, _, _ = joined_by_hand
    principal = sandbox.group_id("engineers")

    directory.delete_group(group_id)

    assert sandbox.members("engineers") == set()
    assert sandbox.group_id("engineers") == principal
    assert directory.states() == {"clear"}


def test_a_group_that_comes_back_is_taken_up_again(directory: Directory, sandbox: Sandbox) -> None:
    """A later POST of the name has the same principal, and only the new members."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    old = directory.add_group("engineers", ada)
    directory.deliver()
    principal = sandbox.group_id("engineers")
    directory.delete_group(old)

    new = directory.add_group("Engineers", bob)
    directory.deliver()

    assert sandbox.group_id("Engineers") == principal
    assert sandbox.members("Engineers") == {"bob"}
    assert directory.principal("group", new) == principal
    assert directory.states() == {"clear"}


def test_a_group_that_comes_back_before_it_was_emptied_keeps_no_earlier_member(
    directory: Directory, sandbox: Sandbox, joined_by_hand: tuple[str, str, str]
) -> None:
    """What was to be taken from the earlier record is still to be taken."""
    group_id, ada, _ = joined_by_hand
    sandbox.fault("PatchGroup", status=503)
    directory.delete_group(group_id)

    directory.add_group("engineers", ada)
    directory.deliver()

    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}


def test_a_group_created_here_is_removed_if_the_operator_says_so(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """`[groups] delete = "remove"`: a later POST of the name makes a new group."""
    directory = assemble(naming=Naming(when_deleted="remove"))
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()

    directory.delete_group(group_id)
    directory.deliver()

    assert sandbox.groups() == set()
    assert directory.states() == {"clear"}
    new = directory.add_group("engineers", ada)
    directory.deliver()
    assert sandbox.members("engineers") == {"ada"}
    assert directory.principal("group", new) == sandbox.group_id("engineers")


def test_a_group_that_was_not_created_here_is_only_emptied(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """The bridge deletes only groups it created."""
    directory = assemble(naming=Naming(when_deleted="remove"))
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    directory.disown("group", group_id)

    directory.delete_group(group_id)

    assert sandbox.groups() == {"engineers"}
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


# -- Who comes after whom ----------------------------------------------------------------


def _manager(user_id: str) -> dict[str, Any]:
    return {ENTERPRISE: {"manager": {"value": user_id}}}


def test_a_manager_is_sent_as_a_principal_once_there_is_one(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """`manager` is the linked principal's id, and comes after."""
    directory = assemble()
    sandbox.fault("CreateUser", status=503)
    boss = directory.add_user("boss")

    report = directory.add_user("report", **_manager(boss))
    assert "manager" not in sandbox.user("report").get(ENTERPRISE, {})
    directory.deliver()

    assert sandbox.user("report")[ENTERPRISE]["manager"]["value"] == sandbox.user("boss")["id"]
    assert directory.principal("user", report) == sandbox.user("report")["id"]
    assert directory.states() == {"clear"}


def test_who_is_their_own_manager_comes_to_rest(directory: Directory, sandbox: Sandbox) -> None:
    """A circle of one is sent as it is."""
    boss = directory.add_user("boss")

    directory.change_user(boss, **_manager(boss))

    assert sandbox.user("boss")[ENTERPRISE]["manager"]["value"] == sandbox.user("boss")["id"]
    assert directory.states() == {"clear"}


def test_members_who_are_not_linked_yet_join_after_they_are(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A link marks the groups that waited for it."""
    sandbox.fault("CreateUser", status=503)
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    assert sandbox.members("engineers") == set()

    directory.deliver()

    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}
