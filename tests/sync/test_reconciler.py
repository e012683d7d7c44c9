"""One pass: a resource is brought right under its lease, call by call."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from scim_bridge.directory import tables
from scim_bridge.directory.actor import Actor, acting
from scim_bridge.errors import Refused
from scim_bridge.sync.marks import LEASE_MARGIN, MOST_REQUESTS
from scim_bridge.sync.reconciler import MOST_ROUNDS, PAUSE
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]


def test_what_was_done_before_a_failure_is_not_done_again(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Each call is written down before the next one is made."""
    people = directory.hire(120)
    group_id = directory.add_group("crew")
    sandbox.fault("PatchGroup", status=429, after=1)
    directory.change_members(group_id, add=people)

    directory.deliver()
    assert len(sandbox.members("crew")) == 100
    directory.deliver()

    assert len(sandbox.members("crew")) == 120
    sizes = [len(r["body"]["Operations"][0]["value"]) for r in sandbox.requests("PatchGroup")]
    assert sizes == [100, 20, 20]


def test_a_creation_without_an_answer_of_somebody_who_left_meanwhile_is_disabled(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """A crash anywhere is healed by the next pass: the lost principal is found and disabled."""
    directory = assemble()
    sandbox.fault("CreateUser", drop_answer=True)
    ada = directory.add_user("ada")
    sandbox.fault("ListUsers", status=500)

    directory.delete_user(ada)
    directory.deliver()
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert directory.states() == {"clear"}


def test_a_refused_return_is_undone_and_the_person_stays_disabled(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Refused for good: the directory says again what Identity Center holds."""
    ada = directory.add_user("ada")
    directory.add_group("crew", ada)
    directory.deliver()
    directory.change_user(ada, active=False)
    sandbox.fault("PatchUser", status=400)

    with pytest.raises(Refused):
        directory.change_user(ada, active=True)
    directory.deliver()

    assert directory.document(ada)["active"] is False
    assert not sandbox.is_active("ada")
    assert sandbox.members("crew") == set()
    assert directory.states() == {"clear"}


def test_a_refused_rehire_is_undone_and_can_be_tried_again(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The name is free, and the principal is still the one of that name."""
    directory.delete_user(directory.add_user("ada"))
    principal = sandbox.user("ada")["id"]
    sandbox.fault("PatchUser", status=400)

    with pytest.raises(Refused):
        directory.add_user("ada")
    directory.deliver()
    assert not sandbox.is_active("ada")

    new = directory.add_user("ada")
    assert sandbox.is_active("ada")
    assert sandbox.user("ada")["id"] == principal == directory.principal("user", new)
    assert directory.states() == {"clear"}


def test_every_call_is_audited_with_the_id_aws_gave_it(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The trail leads from a change to AWS's own record of it (design, section 6)."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("crew", ada)
    directory.deliver()
    directory.change_user(ada, title="Analyst")
    directory.change_group(group_id, displayName="team")
    directory.delete_user(ada)
    directory.deliver()

    changing = [e["request_id"] for e in sandbox.journal() if e["method"] in ("POST", "PATCH")
                and not e["operation"].startswith("sso:List")]  # fmt: skip
    audited = [row.target_request_id for row in directory.audited("call")]
    assert sorted(audited) == sorted(changing)


def test_every_call_names_the_requests_it_goes_back_to(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Whoever delivers, and when: from AWS's record to the request and back (design, section 6)."""
    directory = assemble(wait=0)

    def requested(request_id: str, act: Callable[[], Any]) -> Any:
        with acting(Actor(name="client:okta", request_id=request_id)):
            return act()

    ada = requested("hired", lambda: directory.add_user("ada"))
    crew = requested("formed", lambda: directory.add_group("crew", ada))
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    requested("titled", lambda: directory.change_user(ada, title="Analyst"))
    requested("moved", lambda: directory.change_user(ada, title="Countess"))
    directory.deliver()
    requested("left", lambda: directory.delete_user(ada))
    requested("hired again", lambda: directory.add_user("ada", title="Poet"))
    directory.deliver()

    calls = [(row.related_id, json.loads(row.facts)) for row in directory.audited("call")]
    behind = [(facts["change"], group == crew, facts["for"]) for group, facts in calls]
    assert behind == [
        ("CreateUser", False, ["hired"]),
        ("CreateGroup", False, ["formed", "hired"]),
        ("AddMembers", True, ["formed", "hired"]),
        ("UpdateUser", False, ["titled", "moved"]),
        ("RemoveMembers", False, ["left", "hired again"]),
        ("UpdateUser", False, ["left", "hired again"]),
        ("RemoveMembers", True, ["left", "hired again"]),
    ]
    assert {row.request_id for row in directory.audited("call")} == {None}


def test_a_mark_names_the_last_requests_only(assemble: Assemble) -> None:
    """However many writes wait for a closed door; once they have arrived it names none."""
    directory = assemble(wait=0)
    ada = directory.add_user("ada")
    for number in range(MOST_REQUESTS + 5):
        with acting(Actor(name="client:okta", request_id=str(number))):
            directory.change_user(ada, title=f"title {number}")

    assert directory.mark("user", ada).requests == tuple(map(str, range(5, MOST_REQUESTS + 5)))
    directory.deliver()
    assert directory.mark("user", ada).requests == ()


# -- A pass ends ---------------------------------------------------------------------------


def test_a_target_that_keeps_showing_something_else_is_not_asked_without_end(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The pass ends, the mark stays and says why, and the next pass heals it."""
    ada = directory.add_user("ada")
    apply = directory.center.apply

    def still_active(change: Any, **haste: Any) -> Any:
        applied = apply(change, **haste)
        return replace(applied, principal=replace(applied.principal, active=True))

    directory.center.apply = still_active  # type: ignore[method-assign]
    directory.change_user(ada, active=False)

    row = directory.mark_row("user", ada)
    assert (row.state, row.urgent) == ("pending", True)
    assert "DisableUser: Identity Center takes it and shows something else" in row.last_error
    assert sandbox.count("PatchUser") == MOST_ROUNDS
    directory.center.apply = apply  # type: ignore[method-assign]
    directory.deliver()
    assert directory.states() == {"clear"}


# -- The lease holds for each call ---------------------------------------------------------


@pytest.fixture
def hours(directory: Directory) -> Callable[[], None]:
    """Before each call the lease holds for all of it; and each call takes nearly that long."""

    def passed() -> None:
        columns = tables.pending.c
        leased, now = columns.leased_until.is_not(None), directory.database.clock()
        with directory.database.transaction() as connection:
            untils = connection.scalars(select(columns.leased_until).where(leased)).all()
            connection.execute(
                tables.pending.update()
                .where(leased)
                .values(leased_until=columns.leased_until - LEASE_MARGIN)
            )
        assert untils
        assert all(until - now > directory.reconciler.call_seconds for until in untils)

    return passed


def test_the_lease_holds_for_each_of_a_run_of_refused_calls(
    directory: Directory, sandbox: Sandbox, hours: Callable[[], None]
) -> None:
    """Who is refused among several is found out by halves, which takes its time."""
    people = directory.hire(8)
    group_id = directory.add_group("crew")
    sandbox.fault("PatchGroup", status=400, times=-1)
    apply = directory.center.apply

    def slow(change: Any, **haste: Any) -> Any:
        hours()
        return apply(change, **haste)

    directory.center.apply = slow  # type: ignore[method-assign]
    directory.change_members(group_id, add=people)
    directory.deliver()

    assert sandbox.count("PatchGroup") == 15
    assert directory.mark_state("group", group_id) == "failed"


def test_the_lease_holds_for_each_question_after_a_member(
    directory: Directory, hours: Callable[[], None]
) -> None:
    """A few people who are named are asked about one by one."""
    people = directory.hire(3)
    group_id = directory.add_group("crew")
    is_member = directory.center.is_member

    def slow(*asked: Any, **haste: Any) -> bool:
        hours()
        return is_member(*asked, **haste)

    directory.center.is_member = slow  # type: ignore[method-assign]
    directory.change_members(group_id, remove=people)

    assert directory.mark_state("group", group_id) == "clear"


def test_the_lease_holds_for_each_page_of_a_group(
    directory: Directory, sandbox: Sandbox, hours: Callable[[], None]
) -> None:
    """Each page has its own time, so that a group of any size can be read."""
    people = directory.hire(101)
    group_id = directory.add_group("crew", *people)
    directory.deliver()
    sandbox.forget_calls()
    endpoint = directory.center._endpoint  # type: ignore[attr-defined]
    ask, deadlines = endpoint.transport.ask, []

    def slow(call: Any, **haste: Any) -> Any:
        if call.operation == "ListUsers":
            hours()
            deadlines.append(haste["deadline"])
        return ask(call, **haste)

    endpoint.transport.ask = slow  # type: ignore[method-assign]
    directory.replace_group(group_id, "crew", people[0])

    assert len(deadlines) == 2
    assert sandbox.members("crew") == {"person000"}


# -- What is written down ------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"drop_answer": True}, {"status": 500}])
def test_a_call_without_an_answer_is_in_the_trail(
    directory: Directory, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    """It may have been done, and who reads the trail must know of it."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", **fault)

    directory.change_user(ada, active=False)

    (lost,) = directory.audited("unanswered")
    assert (lost.outcome, lost.resource_id) == ("not known", ada)
    assert '"change":"DisableUser"' in lost.facts
    (call,) = sandbox.requests("PatchUser")
    assert lost.target_request_id == (call["request_id"] if "status" in fault else None)


def test_a_probe_whose_time_was_set_before_the_clock_jumped_is_not_waited_for(
    directory: Directory,
) -> None:
    """The clock that says when the next probe is may be set back by any time."""
    circuit = directory.center.circuit
    later = datetime.now(UTC) + timedelta(hours=1)
    circuit._standing = replace(circuit.standing, next_probe=later)

    assert directory.reconciler._until_next_probe() <= PAUSE
