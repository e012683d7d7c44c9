"""The delivery table of design section 4, row by row, by the faults of the sandbox."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from scim_bridge.directory import database as directory_database
from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.errors import Conflict, DatabaseUnavailable, Refused
from scim_bridge.plan.policy import Switches
from scim_bridge.sync.preview import preview
from scim_bridge.sync.reconciler import Outcome
from tests.sync.conftest import Directory, Sandbox, eventually

Assemble = Callable[..., Directory]


def _email(address: str) -> list[dict[str, Any]]:
    return [{"value": address, "type": "work", "primary": True}]


# -- Applied within the wait -------------------------------------------------------------


def test_a_created_user_is_at_identity_center_when_the_client_is_answered(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Applied within the wait: 2xx, new state, nothing left to do."""
    user_id = directory.add_user("ada")

    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.mark_state("user", user_id) == "clear"
    assert sandbox.calls() == {"CreateUser": {"201": 1}}


def test_a_deactivated_user_is_disabled_there_and_out_of_every_group(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Disable first, then memberships; the directory keeps them (design, section 3)."""
    user_id = directory.add_user("ada")
    group_id = directory.add_group("engineers", user_id)
    directory.deliver()
    assert sandbox.members("engineers") == {"ada"}

    directory.change_user(user_id, active=False)

    assert not sandbox.is_active("ada")
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}
    assert directory.mark_state("group", group_id) == "clear"


def test_a_change_of_an_attribute_is_one_call(directory: Directory, sandbox: Sandbox) -> None:
    """An update that is applied within the wait costs the one PATCH it stands for."""
    user_id = directory.add_user("ada")
    sandbox.forget_calls()

    directory.change_user(user_id, displayName="Countess", title="Analyst")

    assert sandbox.user("ada")["displayName"] == "Countess"
    assert sandbox.user("ada")["title"] == "Analyst"
    assert sandbox.calls() == {"PatchUser": {"200": 1}}


def test_a_write_that_changes_nothing_makes_no_call(directory: Directory, sandbox: Sandbox) -> None:
    """Equal states plan nothing: the same document again costs nothing at Identity Center."""
    user_id = directory.add_user("ada", title="Analyst")
    sandbox.forget_calls()

    directory.change_user(user_id, title="Analyst")
    directory.deliver()

    assert sandbox.calls() == {}


def test_a_value_that_is_never_shown_is_sent_once(directory: Directory, sandbox: Sandbox) -> None:
    """AWS takes profileUrl and never answers it (AWS SCIM developer guide, GetUser)."""
    user_id = directory.add_user("ada", profileUrl="https://example.com/ada")
    sandbox.forget_calls()

    directory.change_user(user_id, title="Analyst")

    (request,) = sandbox.requests("PatchUser")
    assert [operation["path"] for operation in request["body"]["Operations"]] == ["title"]


# -- Refused for good --------------------------------------------------------------------


def test_a_refused_creation_is_undone_and_leaves_the_name_free(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Refused for good: 4xx with AWS's detail; what the write changed is undone."""
    sandbox.fault("CreateUser", status=400)

    with pytest.raises(Refused):
        directory.add_user("ada")

    assert directory.resources.find_user("ada").deleted_at is not None  # type: ignore[union-attr]
    directory.deliver()
    assert directory.states() == {"clear"}
    again = directory.add_user("ada")
    assert sandbox.user("ada")["externalId"] == again


def test_a_refusal_and_what_is_undone_for_it_are_in_the_audit_trail(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Both stand there, with AWS's id of the call (design, section 6)."""
    sandbox.fault("CreateUser", status=400)

    with pytest.raises(Refused):
        directory.add_user("ada")

    (refused,) = directory.audited("refused")
    undone = directory.audited("undo")
    (entry,) = sandbox.requests("CreateUser")
    assert refused.target_request_id == entry["request_id"]
    assert [row.resource_id for row in undone] == [refused.resource_id]


def test_a_refused_update_restores_the_document_as_a_new_version(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Undoing is a new version with a new ETag, and a mark (design, section 4)."""
    user_id = directory.add_user("ada", title="Analyst")
    sandbox.fault("PatchUser", status=400)

    with pytest.raises(Refused):
        directory.change_user(user_id, title="Countess")

    assert directory.document(user_id)["title"] == "Analyst"
    assert directory.resources.find_user("ada").version == 3  # type: ignore[union-attr]
    assert directory.mark_state("user", user_id) == "pending"
    directory.deliver()
    assert directory.states() == {"clear"}
    assert sandbox.user("ada")["title"] == "Analyst"


def test_a_refused_rename_of_a_group_is_undone_with_the_members_that_came_with_it(
    directory: Directory, sandbox: Sandbox
) -> None:
    """What this write changed is undone: the memberships row by row."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.make_group("taken")

    with pytest.raises(Conflict):
        directory.change_group(
            group_id, displayName="taken", members=[{"value": ada}, {"value": bob}]
        )

    directory.deliver()
    assert sandbox.groups() == {"engineers", "taken"}
    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}


def test_a_name_that_somebody_else_has_at_identity_center_is_a_conflict_that_says_so(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Any existing principal that is not ours is a 409, and is left alone."""
    theirs = sandbox.make_user("ada")

    with pytest.raises(Conflict, match=f"already has a user with the userName 'ada'.*{theirs}"):
        directory.add_user("ada")

    directory.deliver()
    assert sandbox.user("ada")["id"] == theirs
    assert sandbox.is_active("ada")
    assert directory.states() == {"clear"}


def test_a_group_name_that_is_taken_at_identity_center_is_a_conflict_that_says_so(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The same for a group, whose members stay untouched."""
    ada = directory.add_user("ada")
    sandbox.make_group("engineers", "ada")

    with pytest.raises(Conflict, match="already has a group named 'engineers'"):
        directory.add_group("engineers", ada)

    directory.deliver()
    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}


def test_a_refused_write_stays_when_the_one_before_had_not_arrived(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Undone only if the state before had been applied; else it is failed and answered 2xx."""
    user_id = directory.add_user("ada")
    sandbox.fault("PatchUser", status=500)
    directory.change_user(user_id, title="Analyst")
    sandbox.fault("PatchUser", status=400)

    directory.change_user(user_id, title="Countess")

    assert directory.document(user_id)["title"] == "Countess"
    assert directory.mark_state("user", user_id) == "failed"


# -- The door is closed ------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_door_is_nobodys_fault_and_everything_arrives_after_the_mend(
    directory: Directory, sandbox: Sandbox, status: int
) -> None:
    """2xx and pending; the circuit opens and names the cause; nothing becomes failed."""
    ada = directory.add_user("ada")
    sandbox.fault(status=status, times=-1)

    directory.change_user(ada, active=False)
    bob = directory.add_user("bob")

    assert sandbox.count("PatchUser") + sandbox.count("CreateUser") == 2
    assert directory.states() == {"pending"}
    shown = directory.overview()
    assert shown.door is not None
    assert shown.door.circuit == "open"
    assert f"refuses the bridge's credentials ({status}" in (shown.door.cause or "")
    assert "not asked at present" in (shown.last_error or "") or shown.last_error

    directory.deliver()
    assert directory.states() == {"pending"}

    sandbox.mend()
    directory.probe()
    directory.deliver()
    assert directory.states() == {"clear"}
    assert not sandbox.is_active("ada")
    assert sandbox.user("bob")["externalId"] == bob
    shown = directory.overview()
    assert shown.door is not None
    assert shown.door.circuit == "closed"


def test_what_waits_for_a_closed_door_comes_back_with_the_next_probe(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A leaver is disabled within 60 seconds of the mend: one probe a minute."""
    ada = directory.add_user("ada")
    sandbox.fault(status=403, times=-1)

    directory.change_user(ada, active=False)

    due_in = directory.mark_row("user", ada).next_attempt_at - directory.database.clock()
    assert 0 < due_in < 60


def test_a_whole_address_that_is_wrong_closes_the_door(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A 404 for a creation is about the address, and never a reason to fail the user."""
    sandbox.fault("CreateUser", status=404)

    user_id = directory.add_user("ada")

    assert directory.mark_state("user", user_id) == "pending"
    assert directory.overview().door.circuit == "open"  # type: ignore[union-attr]


# -- 404 for a linked principal ----------------------------------------------------------


def test_a_user_who_was_deleted_there_is_made_anew(directory: Directory, sandbox: Sandbox) -> None:
    """The link is dropped and audited, the principal created anew, groups and all."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    before = directory.principal("user", ada)
    sandbox.remove_user("ada")

    directory.change_user(ada, title="Analyst")
    directory.deliver()

    assert sandbox.user("ada")["title"] == "Analyst"
    assert directory.principal("user", ada) == sandbox.user("ada")["id"] != before
    assert sandbox.members("engineers") == {"ada"}
    assert [row.resource_id for row in directory.audited("link-dropped")] == [ada]
    assert directory.states() == {"clear"}


def test_a_principal_that_is_only_unknown_for_a_moment_keeps_its_link(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A 404 alone is not enough: a look-up must confirm that the principal is gone."""
    ada = directory.add_user("ada")
    before = directory.principal("user", ada)
    sandbox.fault("PatchUser", status=404)

    directory.change_user(ada, title="Analyst")
    assert directory.mark_state("user", ada) == "pending"
    directory.deliver()

    assert directory.principal("user", ada) == before
    assert sandbox.user("ada")["title"] == "Analyst"
    assert directory.audited("link-dropped") == []


def test_a_leaver_who_is_gone_there_is_not_made_anew(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A removal counts as done when there is nobody left to take anything from."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.remove_user("ada")

    directory.change_user(ada, active=False)
    directory.deliver()

    assert sandbox.names() == set()
    assert directory.states() == {"clear"}
    assert [row.resource_id for row in directory.audited("link-dropped")] == [ada]


def test_a_leaver_who_was_gone_is_made_anew_when_they_return(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Who is wanted there again, and is not there, is created."""
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.remove_user("ada")
    directory.change_user(ada, active=False)
    directory.deliver()

    directory.change_user(ada, active=True)
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}


def test_the_removal_of_somebody_who_is_gone_there_is_done(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A named member whose principal was deleted holds nothing any more."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada, bob)
    directory.deliver()
    sandbox.remove_user("ada")

    directory.change_members(group_id, remove=[ada, bob])
    directory.deliver()

    assert sandbox.members("engineers") == set()
    assert directory.mark_state("group", group_id) == "clear"


def test_naming_a_non_member_who_is_gone_there_is_done(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Asking about somebody who is not there is a 404 (AWS SCIM developer guide, ListGroups)."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers")
    sandbox.remove_user("ada")

    directory.change_members(group_id, remove=[ada])
    directory.deliver()

    assert directory.mark_state("group", group_id) == "clear"


def test_one_of_several_new_members_being_gone_does_not_keep_the_others_out(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Who is gone is made anew, and comes after."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers")
    sandbox.remove_user("ada")

    directory.change_members(group_id, add=[ada, bob])
    directory.deliver()

    assert sandbox.members("engineers") == {"ada", "bob"}
    assert directory.states() == {"clear"}


def test_a_group_that_was_deleted_there_is_made_anew_with_its_members(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The link is dropped and audited, the group created anew."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.remove_group("engineers")

    directory.change_members(group_id, add=[bob])
    directory.deliver()

    assert sandbox.members("engineers") == {"ada", "bob"}
    assert [row.resource_id for row in directory.audited("link-dropped")] == [group_id]
    assert directory.states() == {"clear"}


# -- Throttled, 5xx, timeout, circuit open, wait over ------------------------------------


def test_ten_throttle_answers_are_waited_out(directory: Directory, sandbox: Sandbox) -> None:
    """Every client is answered 2xx, and the worker finishes within the backoff."""
    sandbox.fault(status=429, times=10)

    user_id = directory.add_user("ada")
    assert directory.mark_state("user", user_id) == "pending"
    for _ in range(12):
        directory.deliver()

    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.states() == {"clear"}
    assert sandbox.count("CreateUser") == 11


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_identity_center_is_asked_again_later(
    directory: Directory, sandbox: Sandbox, status: int
) -> None:
    """5xx: 2xx, new state, pending, and the worker retries."""
    sandbox.fault("CreateUser", status=status)

    user_id = directory.add_user("ada")

    assert directory.mark_state("user", user_id) == "pending"
    assert directory.mark("user", user_id).attempts == 1
    directory.deliver()
    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.states() == {"clear"}


def test_five_failures_open_the_circuit_and_no_request_waits_any_more(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Circuit open: 2xx, pending, nothing is called."""
    sandbox.fault(status=503, times=-1)
    for number in range(5):
        directory.add_user(f"user{number}")
    sandbox.forget_calls()

    user_id = directory.add_user("ada")

    assert sandbox.calls() == {}
    assert directory.mark_state("user", user_id) == "pending"
    assert "did not answer 5 times" in (directory.overview().door.cause or "")  # type: ignore[union-attr]
    sandbox.mend()
    directory.probe()
    directory.deliver()
    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.states() == {"clear"}


def test_an_answer_that_does_not_come_in_time_leaves_the_rest_to_the_worker(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Timeout: 2xx and pending; a look before the next creation finds what was made."""
    directory = assemble(timeout=0.3)
    sandbox.fault("CreateUser", delay=0.6)

    user_id = directory.add_user("ada")
    assert directory.mark_state("user", user_id) == "pending"
    time.sleep(0.5)
    directory.deliver()

    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.states() == {"clear"}
    assert sandbox.count("CreateUser") == 1


def test_a_client_is_answered_when_the_wait_is_over(assemble: Assemble, sandbox: Sandbox) -> None:
    """The wait over: 2xx, pending, whatever Identity Center is at."""
    directory = assemble(wait=0.2)
    sandbox.fault("CreateUser", delay=1.0)
    begun = time.monotonic()

    user_id = directory.add_user("ada")

    assert time.monotonic() - begun < 0.8
    assert directory.mark_state("user", user_id) == "pending"

    # What is on its way arrives, and must not do so in another test.
    eventually(lambda: sandbox.names() == {"ada"})
    directory.deliver()
    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.states() == {"clear"}


def test_a_pause_that_identity_center_asks_for_does_not_keep_a_leaver_for_long(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Retry-After is honoured, but nobody keeps access for an hour because of one."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", status=429, retry_after=3600)

    directory.change_user(ada, active=False)

    due_in = directory.mark_row("user", ada).next_attempt_at - directory.database.clock()
    assert due_in <= 60


def test_pauses_between_tries_grow_and_those_of_a_removal_stay_short(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Backoff with jitter: at most ten seconds for a removal, a minute for anything else."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    sandbox.fault(status=429, times=-1)
    directory.change_user(ada, active=False)
    directory.change_user(bob, title="Analyst")
    with directory.database.transaction() as connection:
        connection.execute(tables.pending.update().values(attempts=9))

    directory.deliver()

    now = directory.database.clock()
    removal = directory.mark_row("user", ada).next_attempt_at - now
    update = directory.mark_row("user", bob).next_attempt_at - now
    assert 4 < removal <= 10
    assert 25 < update <= 60


# -- A lost answer -----------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_user_whose_creation_got_no_answer_is_found_and_linked(
    directory: Directory, sandbox: Sandbox, attempts: int
) -> None:
    """A principal that carries our externalId is a lost create, and is linked silently."""
    sandbox.fault("CreateUser", drop_answer=True)
    if attempts == 2:
        sandbox.fault("ListUsers", status=500)

    user_id = directory.add_user("ada", title="Analyst")
    for _ in range(attempts):
        directory.deliver()

    assert sandbox.names() == {"ada"}
    assert directory.principal("user", user_id) == sandbox.user("ada")["id"]
    assert directory.states() == {"clear"}
    assert sandbox.count("CreateUser") == 1
    assert directory.audited("refused") == []


def test_a_creation_that_was_not_found_at_first_is_linked_at_the_conflict(
    directory: Directory, sandbox: Sandbox
) -> None:
    """An empty answer proves nothing: the 409 of the second creation is looked into."""
    sandbox.fault("CreateUser", drop_answer=True)
    sandbox.fault("ListUsers", empty=True)

    user_id = directory.add_user("ada")
    directory.deliver()

    assert sandbox.names() == {"ada"}
    assert directory.principal("user", user_id) == sandbox.user("ada")["id"]
    assert directory.states() == {"clear"}


def test_a_group_whose_creation_got_no_answer_is_found_and_filled(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The same for a group; its members come after."""
    ada = directory.add_user("ada")
    sandbox.fault("CreateGroup", drop_answer=True)

    group_id = directory.add_group("engineers", ada)
    directory.deliver()

    assert directory.principal("group", group_id) == sandbox.group_id("engineers")
    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}
    assert sandbox.count("CreateGroup") == 1


def test_members_are_read_again_when_an_addition_got_no_answer(
    directory: Directory, sandbox: Sandbox
) -> None:
    """What was added is seen there, and not added twice."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers")
    directory.deliver()
    sandbox.fault("PatchGroup", drop_answer=True)

    directory.change_members(group_id, add=[ada])
    directory.deliver()
    directory.deliver()

    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}
    assert sandbox.count("PatchGroup") == 1


def test_a_removal_that_got_no_answer_is_done(directory: Directory, sandbox: Sandbox) -> None:
    """Nothing is failed, and nobody stays in."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.fault("PatchGroup", drop_answer=True)

    directory.change_members(group_id, remove=[ada])
    directory.deliver()

    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


def test_who_returns_after_a_removal_that_got_no_answer_is_let_in_again(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The group is read before the addition is planned, so that it is not taken for done."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.fault("PatchGroup", drop_answer=True)
    directory.change_members(group_id, remove=[ada])

    directory.change_members(group_id, add=[ada])
    directory.deliver()

    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}


@pytest.mark.parametrize(
    "change", [{"title": "Analyst"}, {"active": False}, {"active": False, "title": "Analyst"}]
)
def test_a_change_of_a_user_that_got_no_answer_is_done(
    directory: Directory, sandbox: Sandbox, change: dict[str, Any]
) -> None:
    """The user is read again, and nothing is failed."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", drop_answer=True)

    directory.change_user(ada, **change)
    assert directory.mark_state("user", ada) == "pending"
    directory.deliver()

    assert sandbox.is_active("ada") is change.get("active", True)
    assert directory.states() == {"clear"}
    assert sandbox.count("PatchUser") == 1


def test_an_empty_read_of_a_group_is_not_taken_for_nobody_being_in_it(
    directory: Directory, sandbox: Sandbox
) -> None:
    """An empty read of Identity Center never ends a removal (design, section 9)."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada, bob)
    directory.deliver()
    sandbox.fault("ListUsers", empty=True)

    directory.replace_group(group_id, "engineers", bob)
    directory.deliver()

    assert sandbox.members("engineers") == {"bob"}
    assert directory.states() == {"clear"}


def test_an_empty_read_after_a_lost_answer_does_not_end_a_removal(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The same where the group is read again since nobody knows how a call ended."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada, bob)
    directory.deliver()
    sandbox.fault("PatchGroup", status=500)
    directory.change_members(group_id, remove=[ada])
    sandbox.fault("ListUsers", empty=True)

    directory.deliver()

    assert sandbox.members("engineers") == {"bob"}
    assert directory.states() == {"clear"}


# -- The database is down ----------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is waited for only shortly."""
    for kind in ("SQLITE", "POSTGRESQL"):
        monkeypatch.setattr(directory_database, f"{kind}_BUSY_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
def test_nothing_changes_while_the_database_does_not_answer(
    assemble: Assemble, sandbox: Sandbox, database_url: str
) -> None:
    """The database down: the client is told to come back, and nothing was changed."""
    directory = assemble()
    locked = Database(database_url)
    with locked.transaction(), pytest.raises(DatabaseUnavailable):
        directory.add_user("ada")

    locked.close()
    assert sandbox.names() == set()
    assert directory.resources.find_user("ada") is None
    assert directory.add_user("ada") == sandbox.user("ada")["externalId"]


@pytest.mark.usefixtures("impatient")
def test_a_write_that_was_committed_is_not_denied_when_the_database_goes_away(
    assemble: Assemble, sandbox: Sandbox, database_url: str
) -> None:
    """After the commit the client gets 2xx: what was kept must not be said to be unchanged."""
    directory = assemble()
    locked = Database(database_url)
    held = locked.transaction()
    create = directory.center.apply

    def apply_and_lose_the_database(*args: Any, **kwargs: Any) -> Any:
        applied = create(*args, **kwargs)
        held.__enter__()
        return applied

    directory.center.apply = apply_and_lose_the_database  # type: ignore[method-assign]
    try:
        user_id = directory.add_user("ada")
    finally:
        held.__exit__(None, None, None)
        locked.close()

    directory.center.apply = create  # type: ignore[method-assign]
    assert sandbox.user("ada")["externalId"] == user_id
    assert directory.principal("user", user_id) is None
    directory.expire_leases()
    directory.deliver()
    assert directory.principal("user", user_id) == sandbox.user("ada")["id"]
    assert directory.states() == {"clear"}


# -- Taking access away is never undone and never given up -------------------------------


def test_a_deactivation_that_is_refused_again_and_again_stays_pending_and_urgent(
    directory: Directory, sandbox: Sandbox
) -> None:
    """It is retried until it is done, and the directory keeps it."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", status=400, times=4)

    directory.change_user(ada, active=False)
    for _ in range(3):
        mark = directory.mark("user", ada)
        assert (mark.state, mark.urgent) == ("pending", True)
        assert directory.mark_row("user", ada).revoking_since is not None
        directory.deliver()

    assert directory.document(ada)["active"] is False
    directory.deliver()
    assert not sandbox.is_active("ada")
    assert directory.states() == {"clear"}


def test_a_deactivation_with_a_refused_rename_is_answered_well(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The removal is done; what else the write said waits, since only removals are sent."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", status=400, match="displayName", times=-1)

    directory.change_user(ada, active=False, displayName="Gone")

    assert not sandbox.is_active("ada")
    assert directory.document(ada)["displayName"] == "Gone"
    assert directory.states() == {"clear"}


def test_a_removal_with_a_refused_rename_is_answered_well(
    directory: Directory, sandbox: Sandbox
) -> None:
    """2xx: the removal is done and stays, the rest is failed."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada, bob)
    directory.deliver()
    sandbox.fault("PatchGroup", status=400, match="displayName", times=-1)

    directory.change_group(group_id, displayName="refused", members=[{"value": bob}])

    assert sandbox.members("engineers") == {"bob"}
    assert directory.mark_state("group", group_id) == "failed"


def test_one_member_whose_removal_is_refused_does_not_keep_the_others_in(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Each removal is taken as far as it goes; the one that is refused is asked for again."""
    people = [directory.add_user(name) for name in ("ada", "bob", "cyd", "dan")]
    group_id = directory.add_group("engineers", *people)
    directory.deliver()
    sandbox.fault("PatchGroup", status=400, match=sandbox.user("bob")["id"], times=-1)

    directory.change_members(group_id, remove=people)

    assert sandbox.members("engineers") == {"bob"}
    mark = directory.mark("group", group_id)
    assert (mark.state, mark.urgent) == ("pending", True)
    sandbox.mend()
    directory.deliver()
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


def test_a_refused_removal_does_not_keep_new_members_out(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The rest of the plan goes on."""
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    sandbox.fault("PatchGroup", status=400, match='"remove"', times=-1)

    directory.change_members(group_id, remove=[ada], add=[bob])
    directory.deliver()

    assert sandbox.members("engineers") == {"ada", "bob"}
    assert directory.mark_state("group", group_id) == "pending"


def test_a_revocation_that_waits_for_long_is_an_alarm(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Alarmed after five minutes."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", status=500, times=-1)
    directory.change_user(ada, active=False)
    assert directory.overview().overdue == 0

    with directory.database.transaction() as connection:
        connection.execute(
            tables.pending.update().values(revoking_since=tables.pending.c.revoking_since - 301)
        )

    assert directory.overview().overdue == 1


# -- Left to the worker ------------------------------------------------------------------


def test_no_more_requests_wait_at_the_same_time_than_may(
    assemble: Assemble, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others leave it to the worker, so that a slow target leaves threads to answer with."""
    directory = assemble(at_once=1)
    waits, goes_on = threading.Event(), threading.Event()
    reconcile = directory.reconciler.reconcile

    def slow(*given: Any, **more: Any) -> Outcome:
        waits.set()
        assert goes_on.wait(30)
        return reconcile(*given, **more)

    monkeypatch.setattr(directory.reconciler, "reconcile", slow)
    first = threading.Thread(target=directory.add_user, args=("ada",))
    first.start()
    assert waits.wait(30)

    bob = directory.add_user("bob")
    assert directory.mark_state("user", bob) == "pending"

    goes_on.set()
    first.join(30)
    assert sandbox.names() == {"ada"}
    carol = directory.add_user("carol")
    assert directory.mark_state("user", carol) == "clear"
    directory.deliver()
    assert sandbox.names() == {"ada", "bob", "carol"}


def test_without_a_wait_nothing_is_called_in_the_request(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """`[delivery] wait = 0` leaves everything to the worker."""
    directory = assemble(wait=0)

    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    assert sandbox.calls() == {}
    directory.deliver()
    assert sandbox.members("engineers") == {"ada"}
    sandbox.forget_calls()
    directory.change_user(ada, active=False)

    assert sandbox.calls() == {}
    directory.deliver()
    assert not sandbox.is_active("ada")
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


def test_what_is_refused_late_is_failed_and_stays_in_the_directory(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """The client has been told 2xx: nothing is undone behind its back."""
    directory = assemble(wait=0)
    sandbox.fault("CreateUser", status=400)

    ada = directory.add_user("ada")
    directory.deliver()

    assert directory.mark_state("user", ada) == "failed"
    assert directory.resources.find_user("ada").deleted_at is None  # type: ignore[union-attr]
    assert "CreateUser" in (directory.overview().last_error or "")
    directory.deliver()
    assert sandbox.count("CreateUser") == 1


def test_what_failed_is_tried_again_on_the_next_write(assemble: Assemble, sandbox: Sandbox) -> None:
    """A write makes everything about the resource pending again."""
    directory = assemble(wait=0)
    sandbox.fault("CreateUser", status=400)
    ada = directory.add_user("ada")
    directory.deliver()

    directory.change_user(ada, title="Analyst")
    directory.deliver()

    assert sandbox.user("ada")["title"] == "Analyst"
    assert directory.states() == {"clear"}


def test_what_failed_is_tried_again_when_an_operator_says_so(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """`scim-bridge sync --retry`."""
    directory = assemble(wait=0)
    sandbox.fault("CreateUser", status=400)
    ada = directory.add_user("ada")
    directory.deliver()

    assert directory.decisions.retry() == 1
    directory.deliver()

    assert sandbox.user("ada")["externalId"] == ada
    assert directory.states() == {"clear"}


def test_a_member_who_is_refused_fails_the_group_and_the_others_get_in(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Of several members, the one whom the refusal is about is found out."""
    people = [directory.add_user(name) for name in ("ada", "bob", "cyd", "dan")]
    group_id = directory.add_group("engineers")
    sandbox.fault("PatchGroup", status=400, match=sandbox.user("cyd")["id"], times=-1)

    directory.change_members(group_id, add=people)
    directory.deliver()

    assert sandbox.members("engineers") == {"ada", "bob", "dan"}
    assert directory.mark_state("group", group_id) == "failed"


# -- Values that are withheld, and what is switched off ----------------------------------


def test_a_value_that_cannot_be_sent_is_audited_once_and_the_rest_arrives(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Kept in the directory and not sent, with an audit warning."""
    ada = directory.add_user("ada", title="R&D <lead>")

    directory.change_user(ada, nickName="Ada")

    assert "title" not in sandbox.user("ada")
    assert sandbox.user("ada")["nickName"] == "Ada"
    assert directory.document(ada)["title"] == "R&D <lead>"
    (warning,) = directory.audited("warning")
    assert '"attribute":"title"' in warning.facts
    assert directory.states() == {"clear"}


def test_roles_of_somebody_who_is_there_are_not_sent_and_that_is_audited(
    directory: Directory, sandbox: Sandbox
) -> None:
    """PatchUser cannot modify roles (AWS SCIM developer guide): no call, once a warning."""
    ada = directory.add_user("ada", roles=[{"value": "engineer"}])
    assert directory.audited("warning") == []
    sandbox.forget_calls()

    directory.change_user(ada, roles=[{"value": "manager"}])
    assert sandbox.calls() == {}
    directory.change_user(ada, title="Analyst")
    directory.change_user(ada, roles=[])

    assert sandbox.user("ada")["roles"][0]["value"] == "engineer"
    assert sandbox.user("ada")["title"] == "Analyst"
    warnings = directory.audited("warning")
    assert ['"attribute":"roles"' in row.facts for row in warnings] == [True, True]
    assert {row.outcome for row in warnings} == {"not sent"}
    assert not any("roles" in row.facts for row in directory.audited("call")[1:])
    assert directory.states() == {"clear"}


def test_roles_that_somebody_has_already_need_no_warning(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Hired again, or changed back: what Identity Center holds is what is wanted."""
    ada = directory.add_user("ada", roles=[{"value": "engineer"}])
    directory.delete_user(ada)

    new = directory.add_user("ada", roles=[{"value": "engineer"}])
    assert directory.audited("warning") == []
    directory.change_user(new, roles=[{"value": "manager"}])
    directory.change_user(new, roles=[{"value": "engineer"}])

    assert len(directory.audited("warning")) == 1


def test_switched_off_creations_are_suppressed_and_shown(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """`[users] create = false`: what is suppressed shows in the plan."""
    directory = assemble(switches=Switches(create=False))

    ada = directory.add_user("ada")

    assert sandbox.calls() == {}
    assert directory.mark_state("user", ada) == "suppressed"
    (planned,) = preview(directory.database, directory.marks, directory.planning)
    assert planned.changes == ()
    assert [type(change).__name__ for change in planned.suppressed] == ["CreateUser"]


def test_what_was_suppressed_is_done_once_it_is_switched_on(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """A changed setting takes effect with the next run, without a write to each person."""
    ada = assemble(switches=Switches(create=False)).add_user("ada")

    directory = assemble()
    directory.deliver()

    assert sandbox.user("ada")["externalId"] == ada
    assert directory.states() == {"clear"}


def test_switched_off_updates_keep_attributes_but_never_access(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """`[users] update = false` suppresses attributes; a leaver is disabled all the same."""
    directory = assemble(switches=Switches(update=False))
    ada = directory.add_user("ada")

    directory.change_user(ada, title="Analyst")
    assert directory.mark_state("user", ada) == "suppressed"
    assert "title" not in sandbox.user("ada")
    directory.change_user(ada, active=False)
    assert not sandbox.is_active("ada")
    directory.change_user(ada, active=True)

    assert sandbox.is_active("ada")
    assert "title" not in sandbox.user("ada")
    (planned,) = preview(directory.database, directory.marks, directory.planning)
    assert [type(change).__name__ for change in planned.suppressed] == ["UpdateUser"]


# -- E-mail addresses that are held ------------------------------------------------------


def test_an_address_held_by_a_deleted_person_is_cleared_first(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The address is freed at Identity Center, and that is audited."""
    ada = directory.add_user("ada", emails=_email("a@example.com"))
    directory.delete_user(ada)

    bob = directory.add_user("bob", emails=_email("a@example.com"))

    assert sandbox.user("bob")["externalId"] == bob
    assert sandbox.user("bob")["emails"][0]["value"] == "a@example.com"
    assert "emails" not in sandbox.user("ada")
    assert any(
        row.resource_id == ada and "address is needed" in row.facts
        for row in directory.audited("call")
    )
    assert directory.states() == {"clear"}


def test_an_address_that_cannot_be_cleared_is_a_conflict(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Where AWS refuses the edit of a disabled user, the client is told that a value is taken."""
    sandbox.behave(strict_disabled=True)
    ada = directory.add_user("ada", emails=_email("a@example.com"))
    directory.delete_user(ada)

    with pytest.raises(Conflict, match="e-mail"):
        directory.add_user("bob", emails=_email("a@example.com"))

    directory.deliver()
    assert sandbox.names() == {"ada"}
    assert directory.states() == {"clear"}


def test_an_address_that_a_leaver_gave_up_is_cleared_first(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Only removals are sent of who is inactive, so their address would stay taken for ever."""
    ada = directory.add_user("ada", emails=_email("a@example.com"))
    directory.change_user(ada, active=False, emails=_email("left@example.com"))

    bob = directory.add_user("bob", emails=_email("a@example.com"))

    assert sandbox.user("bob")["externalId"] == bob
    assert directory.states() == {"clear"}
    directory.change_user(ada, active=True)
    assert sandbox.user("ada")["emails"][0]["value"] == "left@example.com"


def test_an_address_that_the_directory_tells_apart_is_not_cleared(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A letter such as ß is no ss: the address of somebody else is left alone."""
    directory.delete_user(directory.add_user("ada", emails=_email("strasse@example.com")))
    sandbox.fault("CreateUser", status=409)

    with pytest.raises(Conflict):
        directory.add_user("bob", emails=_email("straße@example.com"))

    assert sandbox.user("ada")["emails"][0]["value"] == "strasse@example.com"


def test_an_address_that_a_pending_change_frees_comes_after_it(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The 409 is transient: the client gets 2xx, and the new person arrives."""
    ada = directory.add_user("ada", emails=_email("a@example.com"))
    sandbox.fault("PatchUser", status=500)
    directory.change_user(ada, emails=_email("ada@example.com"))

    bob = directory.add_user("bob", emails=_email("a@example.com"))

    assert directory.mark_state("user", bob) == "pending"
    directory.deliver()
    directory.deliver()
    assert sandbox.user("bob")["emails"][0]["value"] == "a@example.com"
    assert sandbox.user("ada")["emails"][0]["value"] == "ada@example.com"
    assert directory.states() == {"clear"}


def test_an_address_held_by_somebody_unknown_is_a_conflict(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Nothing is ever deleted or edited to solve a conflict with somebody the bridge knows not."""
    sandbox.make_user("other", emails=[{"value": "a@example.com", "primary": True}])

    with pytest.raises(Conflict, match="e-mail"):
        directory.add_user("bob", emails=_email("a@example.com"))

    assert sandbox.user("other")["emails"][0]["value"] == "a@example.com"


def test_two_people_swap_their_addresses(directory: Directory, sandbox: Sandbox) -> None:
    """Each holds what the other needs; in the end both have what the directory says."""
    ada = directory.add_user("ada", emails=_email("a@example.com"))
    bob = directory.add_user("bob", emails=_email("b@example.com"))

    directory.change_user(ada, emails=_email("c@example.com"))
    directory.change_user(bob, emails=_email("a@example.com"))
    directory.change_user(ada, emails=_email("b@example.com"))

    assert sandbox.user("ada")["emails"][0]["value"] == "b@example.com"
    assert sandbox.user("bob")["emails"][0]["value"] == "a@example.com"


# -- No call within a transaction --------------------------------------------------------


def test_no_transaction_is_open_during_a_call(directory: Directory, sandbox: Sandbox) -> None:
    """A slow Identity Center never keeps the database locked."""
    open_during_calls: list[bool] = []
    apply = directory.center.apply

    def looked(*args: Any, **kwargs: Any) -> Any:
        open_during_calls.append(directory.database.in_transaction)
        return apply(*args, **kwargs)

    directory.center.apply = looked  # type: ignore[method-assign]
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.change_user(ada, active=False)
    directory.deliver()

    assert open_during_calls
    assert not any(open_during_calls)
