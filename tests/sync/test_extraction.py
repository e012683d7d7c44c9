"""Reading Identity Center completely (the sandbox, by its APIs), and what of it is believed."""

from dataclasses import replace

import pytest

from scim_bridge.directory import tables
from scim_bridge.settings import Extraction as ExtractionSettings
from scim_bridge.sync.extraction import is_suspicious
from scim_bridge.sync.freshness import freshness
from tests.sync.conftest import Directory, Sandbox
from tests.sync.watching import PEOPLE, Watched, watching


@pytest.fixture
def watched(directory: Directory, sandbox: Sandbox) -> Watched:
    return watching(directory, sandbox)


def staffed(watched: Watched, people: int = 4) -> dict[str, str]:
    """People and a group of them all, delivered."""
    directory = watched.directory
    ids = {name: directory.add_user(name) for name in (f"person{n}" for n in range(people))}
    ids["Staff"] = directory.add_group("Staff", *ids.values())
    directory.deliver()
    assert directory.states() == {"clear"}
    return ids


def known(watched: Watched, table: str) -> int:
    with watched.directory.database.reading() as connection:
        return len(connection.execute(getattr(tables, table).select()).all())


@pytest.mark.parametrize(
    ("known_before", "found", "suspicious"),
    [(2, 0, False), (3, 0, True), (9, 1, False), (10, 4, True), (10, 5, False), (0, 0, False)],
)
def test_a_list_that_shows_too_little_is_not_believed(known_before, found, suspicious):
    assert is_suspicious(known=known_before, found=found) is suspicious


def test_what_the_bridge_wrote_is_read_back_as_it_is_known(watched):
    """Nothing is news: both doors show the same."""
    staffed(watched)
    watched.sandbox.forget_calls()
    results = watched.extract(*PEOPLE)
    assert {kind: one.counts for kind, one in results.items()} == {
        "users": {"found": 4, "changed": 0, "gone": 0, "missing": 0},
        "groups": {"found": 1, "changed": 0, "gone": 0, "missing": 0},
        "memberships": {"found": 4, "changed": 0, "gone": 0, "missing": 0},
    }
    assert watched.found() == []
    assert watched.sandbox.count("identitystore:ListUsers") == 1


def test_principals_and_memberships_that_nobody_knows_are_seen(watched):
    watched.sandbox.make_user("stranger")
    watched.sandbox.make_group("Strangers", "stranger")
    watched.extract()
    assert known(watched, "observed") == 2
    assert known(watched, "observed_memberships") == 1
    kinds = [(one.kind, one.name) for one in watched.parts.drift.unmanaged()]
    assert kinds == [("group", "Strangers"), ("user", "stranger")]


def test_a_long_list_is_read_to_its_end(watched):
    """Identity Store API: 100 a page at most, here 3."""
    watched.sandbox.behave(page_size=3)
    for number in range(8):
        watched.sandbox.make_user(f"person{number}")
    assert watched.extract("users")["users"].counts["found"] == 8


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"empty": True}, {"after": 1, "status": 500}, {"drop_answer": True}]
)
def test_a_failing_or_empty_answer_never_costs_anybody_anything(watched, fault):
    """Must show 5: nobody is disabled, nothing is removed, and it is said."""
    ids = staffed(watched)
    watched.sandbox.behave(page_size=2)
    watched.extract_all()
    watched.sandbox.forget_calls()
    for operation in ("ListUsers", "ListGroups", "ListGroupMemberships"):
        watched.sandbox.fault(f"identitystore:{operation}", times=None, **fault)
    for _ in range(3):
        results = watched.extract()
        assert {one.ending for one in results.values()} <= {"failed", "empty", "ok"}
        assert results["users"].ending in ("failed", "empty")
        assert results["users"].reason
    watched.directory.deliver()
    watched.sandbox.mend()
    assert not any(
        watched.sandbox.count(operation)
        for operation in ("PutUser", "PatchUser", "PatchGroup", "DeleteUser", "DeleteGroup")
    )
    assert all(watched.sandbox.is_active(name) for name in ids if name != "Staff")
    assert watched.sandbox.members("Staff") == ids.keys() - {"Staff"}
    assert watched.found() == []


def test_half_of_the_people_missing_is_reported_and_not_believed(watched):
    names = [f"person{number:02}" for number in range(12)]
    for name in names:
        watched.sandbox.make_user(name)
    watched.extract("users")
    for name in names[:7]:
        watched.hand.delete_user(name)
    result = watched.extract("users")["users"]
    assert result.ending == "empty"
    assert "only 5 of 12 users" in str(result.reason)
    assert known(watched, "observed") == 12
    watched.extract("users", believe=True)
    assert watched.extract("users", believe=True)["users"].counts["gone"] == 7
    assert known(watched, "observed") == 5


def test_a_disappearance_counts_after_two_readings_and_a_direct_look(watched):
    ids = staffed(watched)
    watched.extract()
    watched.hand.delete_user("person1")
    first = watched.extract("users")["users"].counts
    assert (first["missing"], first["gone"]) == (1, 0)
    assert watched.directory.principal("user", ids["person1"]) is not None
    second = watched.extract("users")["users"].counts
    assert (second["missing"], second["gone"]) == (0, 1)
    assert watched.directory.principal("user", ids["person1"]) is None
    assert watched.found() == [("person1", "deleted")]
    assert len(watched.directory.audited("link-dropped")) == 1


def test_who_is_still_there_at_a_direct_look_is_not_gone(watched):
    """A list that leaves somebody out, twice: DescribeUser shows them."""
    ids = staffed(watched, people=1)
    watched.extract()
    watched.sandbox.fault("identitystore:ListUsers", times=None, empty=True)
    for _ in range(3):
        assert watched.extract("users")["users"].counts == {
            "found": 0, "changed": 0, "gone": 0, "missing": 1,
        }  # fmt: skip
    assert watched.directory.principal("user", ids["person0"]) is not None
    watched.sandbox.mend()
    watched.extract("users")
    assert known(watched, "disappearances") == 0


def test_a_membership_that_is_still_there_at_a_direct_look_is_not_gone(watched):
    """IsMemberInGroups."""
    staffed(watched, people=2)
    watched.extract()
    watched.sandbox.fault("identitystore:ListGroupMemberships", times=None, empty=True)
    for _ in range(3):
        assert watched.extract("memberships")["memberships"].counts["gone"] == 0
    assert watched.found() == []


def test_what_was_applied_within_the_margin_is_not_overwritten(directory, sandbox):
    """60 s: what Identity Center shows may be older than what was applied just before."""
    watched = watching(directory, sandbox, margin=60.0)
    staffed(watched, people=3)
    watched.hand.edit("person0", "title", "Impostor")
    watched.hand.leave("Staff", "person1")
    for _ in range(2):
        watched.extract()
    assert watched.found() == []
    watched.age_everything(30.0)
    watched.extract()
    assert watched.found() == []
    watched.age_everything(31.0)
    for _ in range(2):
        watched.extract()
    assert watched.found() == [("Staff", "member-removed"), ("person0", "changed")]


def test_a_reading_does_not_bring_back_what_was_taken_away_meanwhile(watched):
    """The list was read before, and is written after."""
    ids = staffed(watched, people=3)
    watched.extract()
    old = watched.parts.extraction.reader.memberships([watched.sandbox.group_id("Staff")])
    since = watched.directory.database.clock()
    watched.directory.change_members(ids["Staff"], remove=[ids["person0"]])
    watched.directory.deliver()
    sightings = watched.parts.extraction.sightings
    sightings.see_members(old, missing=(), gone=(), since=since)
    assert watched.found() == []


def test_a_reading_is_journalled_with_what_it_found(watched):
    staffed(watched)
    watched.extract()
    users = freshness(watched.directory.database, ExtractionSettings())[0]
    assert (users.kind, users.outcome, users.counts["found"]) == ("users", "ok", 4)
    assert users.age is not None
    assert not users.is_stale
    assert not users.is_due


def test_a_failed_reading_says_why_and_is_due_again_soon(watched):
    watched.extract()
    watched.sandbox.fault("identitystore:ListUsers", times=None, status=500)
    watched.extract("users")
    with watched.directory.database.transaction() as connection:
        connection.execute(tables.runs.update().values(started=tables.runs.c.started - 301))
    users = freshness(watched.directory.database, ExtractionSettings())[0]
    assert users.outcome == "failed"
    assert users.reason
    assert users.is_due
    assert users.age is not None


def test_what_was_not_read_for_two_intervals_is_stale(watched):
    watched.extract("users")
    users = freshness(watched.directory.database, ExtractionSettings(interval=600))[0]
    assert users.age is not None
    assert not users.is_stale
    assert replace(users, age=1201.0).is_stale
    assert replace(users, age=None, first=1201.0).is_stale
    assert not replace(users, age=1201.0, interval=0).is_stale


def test_what_failed_is_tried_again_after_a_reading(watched):
    staffed(watched)
    with watched.directory.database.transaction() as connection:
        connection.execute(tables.pending.update().values(state="failed"))
    watched.extract("users")
    assert watched.directory.states() == {"pending"}


def test_the_catalogue_is_read(watched):
    arn = watched.hand.permission_set("ReadOnly")
    assert watched.extract("catalogue")["catalogue"].ending == "ok"
    with watched.directory.database.reading() as connection:
        rows = connection.execute(tables.permission_sets.select()).all()
        accounts = connection.execute(tables.accounts.select()).all()
    (row,) = [row for row in rows if row.arn == arn]
    assert row.name == "ReadOnly"
    assert row.policies == {"managed": [], "customer_managed": [], "inline": False}
    assert accounts
    watched.extract("catalogue")
    assert known(watched, "permission_sets") == len(rows)


def test_direct_assignments_are_read_of_users_and_of_groups(watched):
    """What a user has through a group is the group's (principal_listing_includes_inherited)."""
    watched.sandbox.behave(principal_listing_includes_inherited=True, assignment_seconds=0)
    watched.sandbox.make_user("ada")
    watched.sandbox.make_group("Staff", "ada")
    arn = watched.hand.permission_set("ReadOnly")
    group = watched.sandbox.group_id("Staff")
    watched.hand.assign("group", group, "111122223333", arn)
    watched.extract_all()
    with watched.directory.database.reading() as connection:
        (row,) = connection.execute(tables.observed_assignments.select()).all()
    assert (row.kind, row.principal_id, row.permission_set) == ("group", group, arn)
    kinds = [one.kind for one in watched.parts.drift.unmanaged()]
    assert kinds == ["assignment", "group", "user"]


def test_what_iam_hides_of_the_catalogue_is_said_and_the_rest_is_written(watched):
    """Organizations belongs to another account often."""
    watched.sandbox.fault("organizations:ListAccounts", times=None, error="AccessDeniedException")
    result = watched.extract("catalogue")["catalogue"]
    assert result.ending == "partial"
    assert "organizations:ListAccounts" in str(result.reason)
    assert known(watched, "permission_sets") > 0


def test_an_assignment_of_somebody_who_is_gone_is_found_and_listed(watched):
    """AWS keeps the assignments of a principal that was deleted."""
    watched.sandbox.behave(assignment_seconds=0)
    watched.sandbox.make_user("ada")
    arn = watched.hand.permission_set("ReadOnly")
    watched.hand.assign("user", watched.sandbox.user("ada")["id"], "111122223333", arn)
    watched.hand.delete_user("ada")
    watched.sandbox.make_user("bob")
    watched.extract_all()
    names = [one.name for one in watched.parts.drift.unmanaged()]
    assert names == ["orphan: its user is gone", "bob"]


def test_progress_is_told(watched):
    staffed(watched)
    told: list[tuple[str, int, int]] = []
    watched.extract(*PEOPLE, report=lambda *step: told.append(step))
    assert ("users", 4, 0) in told
    assert ("memberships", 1, 1) in told


def test_reading_takes_half_of_the_pace(watched):
    """Calls that take access away find the other half free."""
    assert watched.parts.extraction.reader._pacer.rate == watched.calls_per_second / 2
