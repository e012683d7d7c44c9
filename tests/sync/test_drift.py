"""What somebody did by hand at Identity Center (boto3): found, put right, taken over or left."""

from typing import Any

import pytest

from scim_bridge.directory import tables
from tests.sync.conftest import GROUP, Directory, Sandbox
from tests.sync.watching import Watched, watching

WRITES = (
    "CreateUser",
    "PutUser",
    "PatchUser",
    "DeleteUser",
    "CreateGroup",
    "PatchGroup",
    "DeleteGroup",
    "sso:CreateAccountAssignment",
    "sso:DeleteAccountAssignment",
)


@pytest.fixture
def watched(directory: Directory, sandbox: Sandbox) -> Watched:
    return watching(directory, sandbox)


def staffed(watched: Watched, people: int = 4) -> dict[str, str]:
    """People with titles, and a group of them all but the last; delivered and read."""
    directory = watched.directory
    names = [f"person{number}" for number in range(people)]
    ids = {name: directory.add_user(name, title="Clerk") for name in names}
    ids["Staff"] = directory.add_group("Staff", *(ids[name] for name in names[:-1]))
    directory.deliver()
    watched.extract()
    assert watched.found() == []
    return ids


def twice(watched: Watched) -> None:
    """What has disappeared counts after the second reading."""
    watched.extract()
    watched.extract()


def calls(watched: Watched) -> dict[str, int]:
    """The writes that were made at Identity Center, but not by hand."""
    counts = {operation: watched.sandbox.count(operation) for operation in WRITES}
    return {operation: count for operation, count in counts.items() if count}


def titles(watched: Watched) -> list[Any]:
    users = sorted(watched.sandbox.state()["users"], key=lambda user: user["userName"])
    return [user.get("title") for user in users]


def test_what_nobody_touched_is_no_drift(watched):
    staffed(watched)
    watched.extract()
    assert watched.found() == []


def test_nothing_is_found_before_the_first_reading(watched):
    directory = watched.directory
    directory.add_user("ada")
    with directory.database.transaction() as connection:
        connection.execute(tables.observed.update().values(active=False))
    assert watched.found() == []
    watched.sandbox.fault("identitystore:ListUsers", times=None, status=500)
    watched.extract()
    assert watched.found() == []


def test_a_changed_value_is_found_and_put_right(watched):
    staffed(watched)
    watched.hand.edit("person1", "title", "King")
    watched.extract()
    (one,) = watched.parts.drift.found()
    assert (one.what, one.attributes) == ("changed", ("title",))
    watched.sandbox.forget_calls()
    watched.repair()
    assert calls(watched) == {"PatchUser": 1}
    assert titles(watched) == ["Clerk"] * 4
    assert watched.found() == []


def test_a_value_that_was_added_by_hand_is_taken_out_again(watched):
    staffed(watched)
    watched.hand.edit("person1", "nickName", "Boss")
    watched.extract()
    assert watched.found() == [("person1", "changed")]
    watched.repair()
    assert "nickName" not in watched.sandbox.user("person1")
    watched.extract()
    assert watched.found() == []


def test_a_hand_edit_stays_known_after_another_write(watched):
    """What a later call echoes beside what it sent is not the bridge's."""
    ids = staffed(watched)
    watched.hand.edit("person1", "nickName", "Boss")
    watched.extract()
    watched.directory.change_user(ids["person1"], display_name="One")
    watched.directory.deliver()
    assert watched.found() == [("person1", "changed")]


def test_who_was_disabled_and_who_was_enabled_by_hand_is_put_right(watched):
    ids = staffed(watched)
    watched.directory.change_user(ids["person3"], active=False)
    watched.directory.deliver()
    watched.sandbox._by_hand(
        "PATCH",
        f"Users/{watched.sandbox.user('person0')['id']}",
        _active(False),
    )
    watched.sandbox._by_hand(
        "PATCH", f"Users/{watched.sandbox.user('person3')['id']}", _active(True)
    )
    watched.extract()
    assert watched.found() == [("person0", "disabled"), ("person3", "enabled")]
    watched.repair()
    assert watched.sandbox.is_active("person0")
    assert not watched.sandbox.is_active("person3")
    watched.extract()
    assert watched.found() == []


def _active(value: bool) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": value}],
    }


def test_members_added_and_removed_by_hand_are_put_right(watched):
    staffed(watched)
    watched.hand.leave("Staff", "person0")
    watched.hand.join("Staff", "person3")
    twice(watched)
    assert watched.found() == [("Staff", "member-added"), ("Staff", "member-removed")]
    watched.sandbox.forget_calls()
    watched.repair()
    assert watched.sandbox.members("Staff") == {"person0", "person1", "person2"}
    assert calls(watched) == {"PatchGroup": 2}
    twice(watched)
    assert watched.found() == []


def test_a_stranger_in_a_group_of_the_directory_is_taken_out(watched):
    staffed(watched)
    watched.sandbox.make_user("stranger")
    watched.hand.join("Staff", "stranger")
    watched.extract()
    assert watched.found() == [("Staff", "member-added")]
    watched.repair()
    assert "stranger" not in watched.sandbox.members("Staff")
    assert "stranger" in watched.sandbox.names()


def test_who_was_deleted_by_hand_is_made_anew_with_the_groups(watched):
    staffed(watched)
    watched.hand.delete_user("person0")
    twice(watched)
    assert watched.found() == [("person0", "deleted")]
    watched.repair()
    assert watched.sandbox.members("Staff") == {"person0", "person1", "person2"}
    twice(watched)
    assert watched.found() == []


def test_exactly_six_edits_are_found_and_exactly_they_are_put_right(watched):
    """Must show 4: three users, two memberships and one assignment."""
    ids = staffed(watched, people=6)
    watched.sandbox.behave(assignment_seconds=0)
    arn = watched.hand.permission_set("ReadOnly")
    watched.extract_all()
    for number in range(3):
        watched.hand.edit(f"person{number}", "title", f"King {number}")
    watched.hand.leave("Staff", "person3")
    watched.hand.join("Staff", "person5")
    principal = str(watched.directory.principal("group", ids["Staff"]))
    watched.hand.assign("group", principal, "111122223333", arn)
    watched.extract_all()
    watched.extract_all()
    assert watched.found() == [
        ("Staff", "assignment-added"),
        ("Staff", "member-added"),
        ("Staff", "member-removed"),
        ("person0", "changed"),
        ("person1", "changed"),
        ("person2", "changed"),
    ]
    watched.sandbox.forget_calls()
    watched.repair()
    assert calls(watched) == {"PatchUser": 3, "PatchGroup": 2, "sso:DeleteAccountAssignment": 1}
    watched.extract_all()
    watched.extract_all()
    assert watched.found() == []
    watched.sandbox.forget_calls()
    watched.repair()
    assert calls(watched) == {}


def test_an_assignment_that_was_taken_away_by_hand_is_given_again(watched):
    ids = staffed(watched)
    directory = watched.directory
    watched.sandbox.behave(assignment_seconds=0)
    arn = watched.hand.permission_set("ReadOnly")
    watched.extract_all()
    principal = str(directory.principal("group", ids["Staff"]))
    watched.hand.assign("group", principal, "111122223333", arn)
    watched.extract_all()
    adopt_grants(watched)
    watched.hand.unassign("group", principal, "111122223333", arn)
    watched.extract_all()
    watched.extract_all()
    assert watched.found() == [("Staff", "assignment-removed")]
    watched.sandbox.forget_calls()
    watched.repair()
    assert calls(watched) == {"sso:CreateAccountAssignment": 1}
    assert watched.found() == []


def adopt_grants(watched: Watched) -> None:
    """Take over the assignments that were made by hand."""
    watched.parts.drift.accept(watched.parts.drift.found())
    assert watched.found() == []


# --- What is done about it ------------------------------------------------------------------------


def test_a_report_is_made_once(watched):
    staffed(watched)
    watched.hand.edit("person1", "title", "King")
    for _ in range(3):
        watched.extract()
    (entry,) = watched.directory.audited("drift")
    assert (entry.kind, entry.outcome) == ("user", "found")
    assert "King" not in entry.facts
    assert watched.directory.states() == {"clear"}


def test_with_repair_every_reading_puts_right_what_it_finds(directory, sandbox):
    watched = watching(directory, sandbox, on_managed="repair")
    staffed(watched)
    watched.hand.edit("person1", "title", "King")
    watched.extract()
    watched.directory.deliver()
    assert titles(watched) == ["Clerk"] * 4
    assert [entry.outcome for entry in directory.audited("repaired")] == ["on its way"]


def test_what_is_changed_back_three_times_a_day_is_contested_and_left(directory, sandbox):
    watched = watching(directory, sandbox, on_managed="repair")
    staffed(watched)
    for _ in range(5):
        watched.hand.edit("person1", "title", "King")
        watched.extract()
        watched.directory.deliver()
    assert titles(watched)[1] == "King"
    assert len(directory.audited("repaired")) == 3
    assert len(directory.audited("contested")) == 1
    states = watched.parts.drift.states(watched.parts.drift.found())
    assert [one.state for one in states] == ["contested"]
    with directory.database.transaction() as connection:
        connection.execute(tables.repairs.update().values(at=tables.repairs.c.at - 86_401))
    watched.extract()
    watched.directory.deliver()
    assert titles(watched)[1] == "Clerk"


def test_with_accept_the_directory_takes_it_over_without_a_call(directory, sandbox):
    watched = watching(directory, sandbox, on_managed="accept")
    ids = staffed(watched)
    watched.hand.edit("person1", "title", "King")
    watched.hand.edit("person1", "emails", [{"value": "king@example.com", "primary": True}])
    watched.hand.leave("Staff", "person0")
    watched.hand.join("Staff", "person3")
    watched.sandbox.forget_calls()
    for _ in range(2):
        watched.extract()
        directory.deliver()
    assert calls(watched) == {}
    assert watched.found() == []
    document = directory.document(ids["person1"])
    assert document["title"] == "King"
    assert document["emails"][0]["value"] == "king@example.com"
    assert directory.members(ids["Staff"]) == {ids[f"person{n}"] for n in (1, 2, 3)}
    assert _origin(directory, ids["Staff"], ids["person3"]) == "adopted"
    assert len(directory.audited("accepted")) == 3
    twice(watched)
    assert watched.found() == []


def test_what_was_accepted_any_client_may_take_away(directory, sandbox):
    watched = watching(directory, sandbox, on_managed="accept")
    ids = staffed(watched)
    watched.hand.join("Staff", "person3")
    watched.extract()
    directory.replace_group(ids["Staff"], "Staff", ids["person1"])
    directory.deliver()
    assert watched.sandbox.members("Staff") == {"person1"}


def test_accept_never_applies_to_active(directory, sandbox):
    watched = watching(directory, sandbox, on_managed="accept")
    ids = staffed(watched)
    watched.sandbox._by_hand(
        "PATCH", f"Users/{watched.sandbox.user('person0')['id']}", _active(False)
    )
    watched.extract()
    assert watched.found() == [("person0", "disabled")]
    assert directory.document(ids["person0"]).get("active") is not False


def test_access_of_somebody_inactive_is_never_accepted(directory, sandbox):
    watched = watching(directory, sandbox, on_managed="accept")
    ids = staffed(watched)
    directory.change_user(ids["person3"], active=False)
    directory.deliver()
    watched.hand.join("Staff", "person3")
    watched.extract()
    assert watched.found() == [("Staff", "member-added")]
    assert ids["person3"] not in {
        str(member.value)
        for member in directory.resources.get(GROUP, ids["Staff"]).members or ()  # type: ignore[attr-defined]
    }


def _origin(directory: Directory, group: str, member: str) -> str:
    rows = tables.memberships.c
    with directory.database.reading() as connection:
        return str(
            connection.scalar(
                tables.memberships.select()
                .with_only_columns(rows.origin)
                .where(rows.group_id == group, rows.member_id == member, rows.valid_to.is_(None))
            )
        )
