"""What is assigned at Identity Center after each write, and what of it was never lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from sqlalchemy import select

from scim_bridge.directory import tables
from scim_bridge.directory.database import now
from scim_bridge.directory.write import Write
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant
from scim_bridge.plan.state import Kind
from scim_bridge.sandbox.access import APPLICATION_ARN
from scim_bridge.sandbox.behaviour import ACCESS_KEY, INSTANCE_ARN, SECRET_KEY
from scim_bridge.settings import Safety
from scim_bridge.sync.grants import columns
from scim_bridge.sync.marks import Key
from scim_bridge.sync.provisioning import Provisioning, provisioning
from scim_bridge.sync.subjects import Naming
from tests.sync.conftest import Directory, Sandbox, eventually

SANDBOX, PRODUCTION = "222233334444", "333344445555"
READ = (SANDBOX, "ReadOnlyAccess")
BILLING = (SANDBOX, "Billing")
ADMIN = (PRODUCTION, "AdministratorAccess")
WIKI = ApplicationGrant(application=APPLICATION_ARN)
DOCUMENT: dict[str, Any] = {"active": True}


class Entitling:
    """A client that says what users and groups are entitled to."""

    def __init__(self, directory: Directory, sandbox: Sandbox) -> None:
        self.directory, self.sandbox = directory, sandbox

    def grant(self, kind: Kind, resource_id: str, *wanted: tuple[str, str] | Grant) -> None:
        grants = tuple(map(self.named, wanted))
        with self.directory.database.transaction() as connection:
            for grant in grants:
                connection.execute(
                    tables.assignments.insert().values(
                        kind=kind,
                        resource_id=resource_id,
                        **columns(grant),
                        origin="client:test",
                        valid_from=now(),
                    )
                )
            self.written(kind, resource_id, granted=grants)

    def revoke(self, kind: Kind, resource_id: str, *unwanted: tuple[str, str] | Grant) -> None:
        grants = tuple(map(self.named, unwanted))
        rows = tables.assignments.c
        with self.directory.database.transaction() as connection:
            for grant in grants:
                of_it = [rows[name] == value for name, value in columns(grant).items()]
                connection.execute(
                    tables.assignments.update()
                    .where(rows.resource_id == resource_id, rows.valid_to.is_(None), *of_it)
                    .values(valid_to=now())
                )
            self.written(kind, resource_id, revoked=grants)

    def written(self, kind: Kind, resource_id: str, **grants: tuple[Grant, ...]) -> None:
        self.directory.access_intents.written(
            Write(
                kind=kind,
                id=resource_id,
                action="update",
                before=DOCUMENT,
                after=DOCUMENT,
                version=2,
                version_before=1,
                **grants,
            )
        )

    def named(self, wanted: tuple[str, str] | Grant) -> Grant:
        if isinstance(wanted, tuple):
            account, name = wanted
            return AccountGrant(account=account, permission_set=self.sandbox.permission_set(name))
        return wanted


class ByHand:
    """Somebody who assigns in the console, behind the bridge's back."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.api = boto3.client(
            "sso-admin",
            endpoint_url=sandbox.server.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def assign(self, name: str, wanted: tuple[str, str]) -> None:
        self.api.create_account_assignment(
            InstanceArn=INSTANCE_ARN,
            TargetId=wanted[0],
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=self.sandbox.permission_set(wanted[1]),
            PrincipalType="USER",
            PrincipalId=self.sandbox.user(name)["id"],
        )

    def give_application(self, name: str) -> None:
        self.api.create_application_assignment(
            ApplicationArn=APPLICATION_ARN,
            PrincipalType="USER",
            PrincipalId=self.sandbox.user(name)["id"],
        )


@pytest.fixture(autouse=True)
def _at_once(sandbox: Sandbox) -> None:
    """What is assigned is there when it is first looked for."""
    sandbox.behave(assignment_seconds=0)


@pytest.fixture
def client(directory: Directory, sandbox: Sandbox) -> Entitling:
    return Entitling(directory, sandbox)


@pytest.fixture
def by_hand(sandbox: Sandbox) -> ByHand:
    return ByHand(sandbox)


def standing(directory: Directory, kind: Kind, resource_id: str) -> Provisioning:
    return provisioning(directory.database, Key(kind=kind, id=resource_id))


def access_state(directory: Directory, kind: Kind, resource_id: str) -> str:
    return directory.access_marks.read(Key(kind=kind, id=resource_id)).state


def called(directory: Directory, change: str) -> list[tuple[str, str]]:
    """How calls of a kind ended, by the audit trail, each with AWS's request id."""
    return [
        (row.outcome, row.target_request_id)
        for action in ("call", "unanswered", "refused")
        for row in directory.audited(action)
        if f'"{change}"' in row.facts
    ]


@contextmanager
def working(directory: Directory) -> Iterator[None]:
    """The worker, as it runs beside everything."""
    thread = threading.Thread(target=directory.worker.run)
    thread.start()
    try:
        yield
    finally:
        directory.worker.stop()
        thread.join()


# -- Giving and taking --------------------------------------------------


def test_a_group_gets_what_it_is_entitled_to_and_loses_what_it_is_not(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """Asynchronous at AWS, and followed to its end; each call is in the audit trail twice: as it
    was taken up, and as it ended (SSO Admin API, CreateAccountAssignment).
    """
    group = directory.add_group("Engineers")
    client.grant("group", group, READ, ADMIN)
    directory.deliver()
    assert sandbox.assigned("Engineers") == {READ, ADMIN}
    assert standing(directory, "group", group).state == "applied"
    outcomes = called(directory, "CreateAssignment")
    assert sorted(outcome for outcome, _ in outcomes) == ["begun", "begun", "ok", "ok"]
    assert len({request_id for _, request_id in outcomes}) == 2

    client.revoke("group", group, ADMIN)
    directory.deliver()
    assert sandbox.assigned("Engineers") == {READ}
    assert sandbox.count("sso:CreateAccountAssignment") == 2
    assert sandbox.count("sso:DeleteAccountAssignment") == 1


def test_who_has_no_principal_yet_gets_it_as_soon_as_there_is_one(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    directory = assemble(wait=0.0)
    ada = directory.add_user("ada")
    Entitling(directory, sandbox).grant("user", ada, READ)
    lease = directory.access_marks.claim(Key(kind="user", id=ada))
    assert lease is not None
    assert "waits for the user" in str(directory.access.reconcile(lease).error)
    directory.deliver()
    assert sandbox.assigned("ada") == {READ}


def test_applications_are_given_and_taken_at_once(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    ada = directory.add_user("ada")
    client.grant("user", ada, WIKI)
    directory.deliver()
    assert len(sandbox.state()["applicationAssignments"]) == 1
    client.revoke("user", ada, WIKI)
    directory.deliver()
    assert sandbox.state()["applicationAssignments"] == []
    assert access_state(directory, "user", ada) == "clear"


def test_a_name_that_no_extraction_has_shown_waits_for_one(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    ada = directory.add_user("ada")
    unknown = AccountGrant(account=SANDBOX, permission_set="ReadOnlyAccess")
    client.grant("user", ada, unknown)
    directory.deliver()
    assert "waits for the next extraction" in str(standing(directory, "user", ada).detail)
    arn = sandbox.permission_set("ReadOnlyAccess")
    with directory.database.transaction() as connection:
        connection.execute(
            tables.permission_sets.insert().values(
                target="identity-center", arn=arn, name="ReadOnlyAccess", session_seconds=3600,
                policies={}, at=now(),
            )
        )  # fmt: skip
    directory.deliver()
    assert sandbox.assigned("ada") == {READ}


def test_what_is_removed_by_name_goes_whoever_gave_it(
    directory: Directory, sandbox: Sandbox, client: Entitling, by_hand: ByHand
) -> None:
    """What nobody names stays: it is drift, not the bridge's to take."""
    ada = directory.add_user("ada")
    by_hand.assign("ada", READ)
    by_hand.assign("ada", ADMIN)
    with directory.database.transaction():
        holder = directory.entitlements.holder(Key(kind="user", id=ada))
        assert holder is not None
        directory.entitlements.grants.see(holder, [client.named(READ), client.named(ADMIN)])
    client.revoke("user", ada, ADMIN)
    directory.deliver()
    assert sandbox.assigned("ada") == {READ}


# -- Slow, failing, conflicting ----------------------------------------


def test_an_assignment_that_takes_long_keeps_nobody_waiting(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """No thread waits for AWS: the slow one is followed, the others are long done."""
    sandbox.assignment_fault(permissionSet="AdministratorAccess", seconds=3600)
    slow, fast = directory.add_group("Slow"), directory.add_group("Fast")
    client.grant("group", slow, ADMIN)
    with working(directory):
        eventually(lambda: bool(sandbox.state()["inProgress"]))
        client.grant("group", fast, READ)
        eventually(lambda: access_state(directory, "group", fast) == "clear")
    assert sandbox.assigned("Fast") == {READ}
    assert standing(directory, "group", slow).state == "pending"
    assert "not yet given" in str(standing(directory, "group", slow).detail)
    assert sandbox.count("sso:CreateAccountAssignment") == 2


def test_a_failed_creation_is_told_with_aws_s_reason_and_tried_again_on_demand(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """Only the one that failed: what else the group is entitled to is given meanwhile."""
    sandbox.assignment_fault(permissionSet="Billing", fail="The account is suspended.", times=1)
    sandbox.assignment_fault(permissionSet="ReadOnlyAccess", seconds=0.7)
    group = directory.add_group("Engineers")
    client.grant("group", group, READ, BILLING)
    directory.deliver()
    assert sandbox.assigned("Engineers") == {READ}
    failed = standing(directory, "group", group)
    assert failed.state == "failed"
    assert "The account is suspended." in str(failed.detail)
    assert sandbox.count("sso:CreateAccountAssignment") == 2
    assert directory.decisions.retry() == 1
    directory.deliver()
    assert sandbox.assigned("Engineers") == {READ, BILLING}


def test_a_conflict_is_tried_again_until_it_is_none(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """SSO Admin API, ConflictException: an earlier write has not spread yet."""
    sandbox.assignment_fault(permissionSet="ReadOnlyAccess", conflicts=2)
    group = directory.add_group("Engineers")
    client.grant("group", group, READ)
    directory.deliver()
    assert sandbox.assigned("Engineers") == {READ}
    assert sandbox.calls()["sso:CreateAccountAssignment"] == {"400": 2, "200": 1}
    assert standing(directory, "group", group).state == "applied"


def test_what_is_there_already_is_found_by_the_conflict(
    directory: Directory, sandbox: Sandbox, client: Entitling, by_hand: ByHand
) -> None:
    """AWS may answer so to a creation of what exists; nobody knows for certain (reference 4)."""
    sandbox.behave(create_existing_assignment="conflict", assignment_seconds=0)
    ada = directory.add_user("ada")
    by_hand.assign("ada", READ)
    client.grant("user", ada, READ)
    directory.deliver()
    assert access_state(directory, "user", ada) == "clear"
    client.revoke("user", ada, READ)
    directory.deliver()
    assert sandbox.assigned("ada") == set()


def test_at_most_ten_are_outstanding_and_none_is_lost(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """AWS takes ten asynchronous creations at once, over all principals and processes."""
    sandbox.assignment_fault(operation="create", seconds=0.3)
    groups = [directory.add_group(f"Group {number}") for number in range(7)]
    for group in groups:
        client.grant("group", group, READ, ADMIN)
    directory.deliver()
    assert all(sandbox.assigned(f"Group {n}") == {READ, ADMIN} for n in range(7))
    # A refusal would mean that an eleventh had been asked for.
    assert sandbox.calls()["sso:CreateAccountAssignment"] == {"200": 14}


# -- Lost answers and lost processes -----------------------------------


def test_a_lost_answer_to_a_creation_leaves_exactly_one_assignment(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """What the principal holds is read before anything is asked for again."""
    sandbox.fault("sso:CreateAccountAssignment", drop_answer=True)
    ada = directory.add_user("ada")
    client.grant("user", ada, READ)
    directory.deliver()
    assert [outcome for outcome, _ in called(directory, "CreateAssignment")] == ["not known"]
    directory.deliver()
    assert sandbox.assigned("ada") == {READ}
    assert standing(directory, "user", ada).state == "applied"
    client.revoke("user", ada, READ)
    directory.deliver()
    assert sandbox.assigned("ada") == set()


def test_a_lost_answer_to_a_creation_that_nobody_wants_any_more_is_waited_for(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """A leaver must not get, a moment after they left, what was under way for them."""
    sandbox.assignment_fault(permissionSet="AdministratorAccess", operation="create", seconds=1.0)
    sandbox.fault("sso:CreateAccountAssignment", drop_answer=True)
    ada = directory.add_user("ada")
    client.grant("user", ada, ADMIN)
    directory.deliver()
    directory.change_user(ada, active=False)
    directory.deliver()
    assert sandbox.assigned("ada") == set()
    assert sandbox.count("sso:DeleteAccountAssignment") == 1
    assert access_state(directory, "user", ada) == "clear"


def test_a_lost_answer_to_a_deletion_is_asked_for_again(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    ada = directory.add_user("ada")
    client.grant("user", ada, READ)
    directory.deliver()
    sandbox.fault("sso:DeleteAccountAssignment", drop_answer=True)
    client.revoke("user", ada, READ)
    directory.deliver()
    directory.deliver()
    assert sandbox.assigned("ada") == set()
    assert access_state(directory, "user", ada) == "clear"


def test_what_was_under_way_when_the_bridge_died_is_followed_by_the_next_one(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    before = assemble()
    client = Entitling(before, sandbox)
    sandbox.assignment_fault(operation="create", seconds=0.3)
    ada = before.add_user("ada")
    client.grant("user", ada, READ)
    lease = before.access_marks.claim(Key(kind="user", id=ada))
    assert lease is not None
    assert before.access.reconcile(lease).under_way
    # It dies in its next pass, with the lease in its hand.
    before.make_everything_due()
    assert before.access_marks.claim(Key(kind="user", id=ada)) is not None
    before.expire_leases()
    after = assemble()
    after.deliver()
    assert sandbox.assigned("ada") == {READ}
    assert access_state(after, "user", ada) == "clear"
    assert sandbox.count("sso:CreateAccountAssignment") == 1


# -- Leavers ------------------------------------------------------------


def test_a_leaver_loses_everything_also_what_nobody_gave_through_the_bridge(
    directory: Directory, sandbox: Sandbox, client: Entitling, by_hand: ByHand
) -> None:
    """What was given by hand is kept in mind, so that an operator can give it again. A return
    brings back what the person is entitled to, and no more.
    """
    ada = directory.add_user("ada")
    client.grant("user", ada, READ)
    directory.deliver()
    by_hand.assign("ada", ADMIN)
    by_hand.give_application("ada")
    directory.change_user(ada, active=False)
    directory.deliver()
    assert not sandbox.is_active("ada")
    assert sandbox.assigned("ada") == set()
    assert sandbox.state()["applicationAssignments"] == []
    with directory.database.reading() as connection:
        taken = connection.execute(select(tables.taken)).all()
    assert {(row.person, row.account_id, row.application) for row in taken} == {
        (ada, PRODUCTION, ""),
        (ada, "", APPLICATION_ARN),
    }
    directory.change_user(ada, active=True)
    directory.deliver()
    assert sandbox.assigned("ada") == {READ}


@pytest.mark.parametrize("status", [429, 500])
def test_a_look_that_does_not_come_through_drops_nothing_of_a_leaver(
    directory: Directory, sandbox: Sandbox, by_hand: ByHand, status: int
) -> None:
    """What nobody gave through the bridge is known only once AWS has shown it."""
    ada = directory.add_user("ada")
    directory.deliver()
    by_hand.assign("ada", ADMIN)
    sandbox.fault("sso:ListAccountAssignmentsForPrincipal", status=status, times=2)
    directory.change_user(ada, active=False)

    def gone() -> bool:
        directory.deliver()
        return sandbox.assigned("ada") == set()

    eventually(gone)
    assert access_state(directory, "user", ada) == "clear"


def test_a_group_s_assignments_stay_when_a_member_leaves(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """A list for a person may show what they have through groups; that is not theirs to lose."""
    sandbox.behave(principal_listing_includes_inherited=True, assignment_seconds=0)
    ada = directory.add_user("ada")
    group = directory.add_group("Engineers", ada)
    client.grant("group", group, ADMIN)
    directory.deliver()
    directory.change_user(ada, active=False)
    directory.deliver()
    assert sandbox.assigned("Engineers") == {ADMIN}
    assert sandbox.count("sso:DeleteAccountAssignment") == 0


def test_a_deletion_that_is_denied_is_reported_and_done_once_it_is_allowed(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    """The disable and the memberships do not wait for it, and the door stays open."""
    ada = directory.add_user("ada")
    directory.add_group("Engineers", ada)
    client.grant("user", ada, READ)
    directory.deliver()
    sandbox.fault("sso:DeleteAccountAssignment", error="AccessDeniedException", times=-1)
    directory.change_user(ada, active=False)
    directory.deliver()
    assert not sandbox.is_active("ada")
    assert sandbox.members("Engineers") == set()
    shown = directory.overview()
    assert shown.denied == ["sso:DeleteAccountAssignment"]
    assert "DeleteAccountAssignment is not allowed" in (shown.last_error or "")
    assert shown.access_door is None
    sandbox.mend()
    directory.deliver()
    assert sandbox.assigned("ada") == set()
    assert directory.overview().denied == []
    assert directory.overview().in_sync


def test_a_leaver_whose_assignments_may_not_be_listed_loses_those_that_are_known(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    client.grant("user", ada, READ)
    directory.deliver()
    sandbox.fault("sso:ListAccountAssignmentsForPrincipal", error="AccessDeniedException", times=-1)
    for person in (ada, bob):
        directory.change_user(person, active=False)
    directory.deliver()
    assert not sandbox.is_active("ada")
    assert not sandbox.is_active("bob")
    assert sandbox.assigned("ada") == set()
    # Whether that was all nobody can tell.
    assert access_state(directory, "user", bob) == "pending"
    assert directory.overview().denied == ["sso:ListAccountAssignmentsForPrincipal"]


def test_a_list_that_is_empty_by_mistake_leaves_no_access_standing(
    directory: Directory, sandbox: Sandbox, client: Entitling, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = directory.add_user("ada")
    client.grant("user", ada, READ)
    directory.deliver()
    door = directory.access.sso_admin
    assert door is not None
    monkeypatch.setattr(door, "assignments_of", lambda *_, **__: iter(()))
    directory.change_user(ada, active=False)
    directory.deliver()
    assert sandbox.assigned("ada") == set()


def test_a_failed_deletion_is_asked_for_again_for_ever(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    ada = directory.add_user("ada")
    client.grant("user", ada, READ)
    directory.deliver()
    sandbox.assignment_fault(operation="delete", fail="Internal failure", times=2)
    client.revoke("user", ada, READ)
    for _ in range(2):
        directory.deliver()
        assert sandbox.assigned("ada") == {READ}
    directory.deliver()
    assert sandbox.assigned("ada") == set()
    assert [outcome for outcome, _ in called(directory, "DeleteAssignment")].count("refused") == 2


def test_somebody_hired_again_keeps_nothing_of_what_they_had(
    assemble: Callable[..., Directory], sandbox: Sandbox, by_hand: ByHand
) -> None:
    """The new record takes over what was still to be taken from the earlier one."""
    directory = assemble()
    ada = directory.add_user("ada")
    by_hand.assign("ada", ADMIN)
    directory.delete_user(ada)
    again = directory.add_user("ada")
    assert again != ada
    Entitling(directory, sandbox).grant("user", again, READ)
    directory.deliver()
    assert sandbox.is_active("ada")
    assert sandbox.assigned("ada") == {READ}


# -- Groups that go -----------------------------------------------------


def test_a_group_is_deleted_after_its_assignments(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    """[groups] delete = "remove": none is left without a holder."""
    directory = assemble(naming=Naming(when_deleted="remove"))
    group = directory.add_group("Engineers", directory.add_user("ada"))
    Entitling(directory, sandbox).grant("group", group, READ, ADMIN)
    directory.deliver()
    sandbox.assignment_fault(operation="delete", seconds=0.3)
    directory.delete_group(group)
    assert sandbox.groups() == {"Engineers"}
    assert sandbox.members("Engineers") == set()
    directory.deliver()
    directory.deliver()
    assert sandbox.groups() == set()
    assert sandbox.state()["assignments"] == []
    done = [entry["operation"] for entry in sandbox.journal()]
    last = max(place for place, each in enumerate(done) if each == "sso:DeleteAccountAssignment")
    assert done.index("DeleteGroup") > last


def test_a_group_that_stays_empty_loses_only_what_the_bridge_gave(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    group = directory.add_group("Engineers")
    client.grant("group", group, READ)
    directory.deliver()
    directory.delete_group(group)
    directory.deliver()
    assert sandbox.groups() == {"Engineers"}
    assert sandbox.assigned("Engineers") == set()
    assert sandbox.count("sso:ListAccountAssignmentsForPrincipal") == 0


# -- The brake ----------------------------------------------------------


@pytest.fixture
def braked(assemble: Callable[..., Directory]) -> Directory:
    return assemble(safety=Safety(max_removals=20))


@pytest.fixture
def crowd(braked: Directory, sandbox: Sandbox) -> str:
    """A group of 21 people that is entitled to something."""
    group = braked.add_group("Crowd", *braked.hire(21))
    Entitling(braked, sandbox).grant("group", group, READ)
    braked.deliver()
    assert sandbox.assigned("Crowd") == {READ}
    return group


def test_too_many_people_who_would_lose_an_assignment_are_held_and_pass_when_approved(
    braked: Directory, sandbox: Sandbox, crowd: str
) -> None:
    """All of a group's members or none: an assignment cannot be taken from some of them."""
    Entitling(braked, sandbox).revoke("group", crowd, READ)
    braked.deliver()
    assert sandbox.assigned("Crowd") == {READ}
    (held,) = braked.overview().held_sets
    assert (held.category, held.people) == ("assignment", 21)
    assert standing(braked, "group", crowd).state == "held"
    assert len(braked.decisions.approve(held.id)) == 21
    braked.deliver()
    assert sandbox.assigned("Crowd") == set()
    assert braked.overview().held_sets == []


def test_a_rejected_loss_of_an_assignment_is_undone_in_the_directory(
    braked: Directory, sandbox: Sandbox, crowd: str
) -> None:
    Entitling(braked, sandbox).revoke("group", crowd, READ)
    braked.deliver()
    (held,) = braked.overview().held_sets
    braked.decisions.reject(held.id)
    braked.deliver()
    assert sandbox.assigned("Crowd") == {READ}
    assert standing(braked, "group", crowd).state == "applied"
    with braked.database.reading():
        wanted = braked.entitlements.wanted(Key(kind="group", id=crowd))
    assert len(wanted.grants) == 1


def test_what_a_deleted_group_was_to_lose_cannot_be_given_back_and_stays_held(
    braked: Directory, sandbox: Sandbox, crowd: str
) -> None:
    """The operator is told why."""
    Entitling(braked, sandbox).revoke("group", crowd, READ)
    braked.deliver()
    (held,) = braked.overview().held_sets
    braked.delete_group(crowd)
    braked.deliver()

    rejection = braked.decisions.reject(held.id)
    braked.deliver()

    assert (rejection.given_back, len(rejection.left)) == ((), 21)
    assert {one.why for one in rejection.left} == {
        "group 'Crowd' was deleted: create it again first"
    }
    assert held.id in {each.id for each in braked.overview().held_sets}
    assert sandbox.assigned("Crowd") == {READ}


def test_a_client_that_gives_again_what_is_held_ends_the_holding(
    braked: Directory, sandbox: Sandbox, crowd: str
) -> None:
    client = Entitling(braked, sandbox)
    client.revoke("group", crowd, READ)
    braked.deliver()
    client.grant("group", crowd, READ)
    braked.deliver()
    assert braked.overview().held_sets == []
    assert sandbox.assigned("Crowd") == {READ}
    assert sandbox.count("sso:DeleteAccountAssignment") == 0


def test_a_leaver_who_is_held_keeps_their_assignments_until_it_is_decided(
    braked: Directory, sandbox: Sandbox
) -> None:
    people = braked.hire(6)
    Entitling(braked, sandbox).grant("user", people[-1], READ)
    braked.deliver()
    for person in people:
        braked.change_user(person, active=False)
    braked.deliver()
    (held,) = braked.overview().held_sets
    (loss,) = braked.decisions.approve(held.id)
    name = braked.document(loss.person)["userName"]
    braked.deliver()
    assert not sandbox.is_active(name)
    assert sandbox.state()["assignments"] == []
    assert braked.overview().in_sync


# -- The door -----------------------------------------------------------


def test_a_closed_door_is_shown_beside_the_other_and_keeps_no_leaver_enabled(
    directory: Directory, sandbox: Sandbox, client: Entitling
) -> None:
    ada = directory.add_user("ada")
    client.grant("user", ada, READ)
    directory.deliver()
    sandbox.fault("sso:*", status=500, times=-1)
    directory.change_user(ada, active=False)
    for _ in range(5):
        directory.deliver()
    assert not sandbox.is_active("ada")
    shown = directory.overview()
    assert shown.access_door is not None
    assert shown.access_door.circuit == "open"
    assert shown.door is None
    assert shown.states["pending"] == 1


def test_nothing_is_asked_where_nobody_is_entitled_or_leaves(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Without assignments no right to the SSO Admin API is needed, until somebody leaves."""
    ada = directory.add_user("ada")
    group = directory.add_group("Engineers", ada)
    directory.change_user(ada, title="Analyst")
    directory.change_members(group, remove=[ada])
    directory.delete_group(group)
    directory.deliver()
    assert [each for each in sandbox.calls() if each.startswith("sso:")] == []
