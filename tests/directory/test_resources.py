"""What a write to the directory changes, what it does not, and who is told of it."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from scim2_models import (
    EnterpriseUser,
    Group,
    InvalidCursorException,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    ResponseParameters,
    UniquenessException,
    User,
)
from sqlalchemy import event, select, update

from scim_bridge.directory import actor, history, memberships
from scim_bridge.directory.actor import Actor
from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.tables import groups, metadata, users
from scim_bridge.directory.versions import shown
from scim_bridge.directory.write import Write
from scim_bridge.errors import OperatorError
from tests.conftest import RowsRead
from tests.directory.population import (
    ENTERPRISE,
    GROUP,
    USER,
    add_group,
    add_user,
    everyone,
    request,
)

Person = User[EnterpriseUser]
DAY = 24 * 3600.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[Write]:
    """What the directory told of its writes, in order."""
    return []


@pytest.fixture
def directory(database: Database, clock: Clock, told: list[Write]) -> Resources:
    return Resources(database, written=told.append, clock=clock)


def versions(directory: Resources, *ids: str) -> list[int]:
    """The versions of users and groups, as SCIM shows them."""
    found = {}
    with directory.database.reading() as connection:
        for table in (users, groups):
            found.update(connection.execute(select(table.c.id, shown(table))).all())
    return [found[each] for each in ids]


def change(directory: Resources, person: Any, **attributes: Any) -> Any:
    """Update a user, read afresh."""
    current = directory.get(USER, person.id)
    document = {**current.model_dump(), **attributes}
    return directory.update(USER, Person.model_validate(document))


def members(directory: Resources, group: Any) -> list[str]:
    return [each.value for each in directory.get(GROUP, group.id).members or ()]  # type: ignore[attr-defined]


def groups_of(directory: Resources, person: Any) -> list[str]:
    return [each.display for each in directory.get(USER, person.id).groups or ()]  # type: ignore[attr-defined]


# -- What is stored ------------------------------------------------------------------


def test_a_password_is_never_stored(directory: Resources, told: list[Write]) -> None:
    """`password` is never returned (RFC 7643 §4.1.1), so nothing keeps it."""
    person = add_user(directory, "ada", password="secret-word")
    change(directory, person, password="another-word", title="Boss")
    with directory.database.reading() as connection:
        dump = str([connection.execute(table.select()).all() for table in metadata.sorted_tables])
    assert "ada" in dump
    assert "word" not in dump
    assert "word" not in str(told)


def test_a_user_shows_the_groups_it_is_in(directory: Resources) -> None:
    """`groups` comes from memberships (RFC 7643 §4.1.2), with relative references."""
    person = add_user(directory, "ada")
    group = add_group(directory, "Admins", person.id)
    (held,) = directory.get(USER, person.id).groups  # type: ignore[attr-defined]
    assert (held.value, held.ref, held.display, held.type) == (
        group.id,
        f"Groups/{group.id}",
        "Admins",
        "direct",
    )
    (member,) = directory.get(GROUP, group.id).members  # type: ignore[attr-defined]
    assert (member.value, member.ref, member.type) == (person.id, f"Users/{person.id}", "User")


def test_what_the_response_leaves_out_is_not_read(
    directory: Resources, rows_read: RowsRead
) -> None:
    """Excluding `members` costs no query of memberships (RFC 7644 §3.9)."""
    people = [add_user(directory, f"u{n}").id for n in range(5)]
    group = add_group(directory, "Admins", *people)
    rows_read.count = 0
    without: Any = ResponseParameters[Group](excluded_attributes="members")
    assert directory.get(GROUP, group.id, response_parameters=without).members is None  # type: ignore[attr-defined]
    assert rows_read.count == 1


def test_a_search_reads_only_the_rows_of_its_page(
    directory: Resources, rows_read: RowsRead
) -> None:
    """One row for the total, one for each resource, one for each of its memberships."""
    people = [add_user(directory, f"u{n:02}") for n in range(30)]
    for name in ("A", "B"):
        add_group(directory, name, *(person.id for person in people))
    search = request(Person, filter='userName co "u"', sort_by="userName", start_index=11, count=5)
    rows_read.count = 0
    page = directory.search([USER], search)
    assert [each.user_name for each in page.resources] == [f"u{n}" for n in range(10, 15)]  # type: ignore[attr-defined]
    assert page.total == 30
    assert rows_read.count == 1 + 5 + 5 * 2


def test_a_search_takes_the_same_number_of_queries_for_any_page(directory: Resources) -> None:
    """Memberships of a page are one query, never one a row."""
    people = [add_user(directory, f"u{n}").id for n in range(9)]
    add_group(directory, "Admins", *people)
    statements = []
    with directory.reading():
        for count in (1, 8):
            seen: list[str] = []
            event.listen(
                directory.database.engine,
                "before_cursor_execute",
                lambda *given, seen=seen: seen.append(given[2]),
            )
            directory.search([USER], request(Person, count=count))
            statements.append(len(seen))
    assert statements == [4, 4]


def test_a_page_beyond_any_number_is_empty(directory: Resources) -> None:
    """A `startIndex` or `count` that no database can count to is no server error."""
    add_user(directory, "ada")
    page = directory.search([USER], request(Person, start_index=10**30, count=10**30))
    assert (page.total, page.resources) == (1, [])


@pytest.mark.parametrize(
    "position",
    ["x", {}, {"d": "up", "k": None, "i": "1"}, {"d": "next", "k": [], "i": "1"}, {"d": "next"}],
)
def test_a_position_that_no_page_gave_is_refused(directory: Resources, position: Any) -> None:
    """RFC 9865 §2.1, `invalidCursor`."""
    with pytest.raises(InvalidCursorException):
        directory.search([USER], request(Person, cursor="", count=1), position=position)


def test_a_string_with_a_nul_is_refused(directory: Resources) -> None:
    """No database stores one; the client is told which attribute holds it."""
    with pytest.raises(InvalidValueException, match="title"):
        add_user(directory, "ada", title="a\0b")


# -- Uniqueness ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "taken"),
    [
        ("userName", {"userName": "ÉVA"}),
        ("emails.value", {"userName": "b", "emails": [{"value": "EVA@a.example"}]}),
        (
            "emails.value",
            {
                "userName": "b",
                "emails": [{"value": "b@a.example"}, {"value": "eva@a.example", "primary": True}],
            },
        ),
    ],
)
def test_a_taken_value_is_refused_by_the_name_of_its_attribute(
    directory: Resources, attribute: str, taken: dict[str, Any]
) -> None:
    """409 `uniqueness` names the attribute and nothing of whom the value belongs to."""
    other = add_user(directory, "éva", emails=[{"value": "eva@a.example"}])
    with pytest.raises(UniquenessException) as refusal:
        add_user(directory, **taken)
    assert attribute in refusal.value.detail
    for private in (other.id, "eva@", "éva"):
        assert private not in refusal.value.detail.lower()
    third = add_user(directory, "third")
    with pytest.raises(UniquenessException, match=attribute):
        change(directory, third, **taken)


def test_a_second_email_may_be_shared(directory: Resources) -> None:
    """Only the primary e-mail is unique: it is the one Identity Center holds."""
    add_user(directory, "ada", emails=[{"value": "ada@a.example"}, {"value": "all@a.example"}])
    add_user(directory, "bob", emails=[{"value": "bob@a.example"}, {"value": "all@a.example"}])


def test_a_group_name_is_unique_whatever_its_case(directory: Resources) -> None:
    """Identity Center has one group of a name."""
    add_group(directory, "Admins")
    with pytest.raises(UniquenessException, match="displayName"):
        add_group(directory, "ADMINS")


def test_a_deleted_resource_frees_its_values(directory: Resources) -> None:
    """A rehire is a new resource with a new id; so is a group that is made again."""
    person = add_user(directory, "ada", emails=[{"value": "ada@a.example"}])
    group = add_group(directory, "Admins")
    directory.delete(USER, person.id)
    directory.delete(GROUP, group.id)
    assert add_user(directory, "ada", emails=[{"value": "ada@a.example"}]).id != person.id
    assert add_group(directory, "Admins").id != group.id


# -- Versions --------------------------------------------------------------------------


def test_a_change_that_changes_nothing_writes_nothing(
    directory: Resources, told: list[Write]
) -> None:
    """The version stays, and nobody is told."""
    person = add_user(directory, "ada", title="Boss")
    group = add_group(directory, "Admins", person.id)
    before = versions(directory, person.id, group.id)
    told.clear()
    directory.update(USER, directory.get(USER, person.id))
    directory.update(GROUP, directory.get(GROUP, group.id))
    directory.change_members(group.id, add=[person.id])
    assert versions(directory, person.id, group.id) == before
    assert told == []
    assert len(history.versions(directory.database, "group", group.id)) == 1


def test_who_joins_and_leaves_groups_costs_no_write_of_the_person(directory: Resources) -> None:
    """The memberships count themselves; each beginning and each end is another version."""
    ada = add_user(directory, "ada")
    group = add_group(directory, "Admins", ada.id)
    seen = [versions(directory, ada.id)]
    for change_ in ({"remove": [ada.id]}, {"add": [ada.id]}):
        directory.change_members(group.id, **change_)
        seen.append(versions(directory, ada.id))
    assert seen == [[2], [3], [4]]
    with directory.database.reading() as connection:
        assert connection.scalar(select(users.c.version)) == 1


def test_an_outdated_version_is_refused(directory: Resources, told: list[Write]) -> None:
    """412 for every write of a document, and nothing is written (RFC 7644 §3.14)."""
    person = add_user(directory, "ada")
    group = add_group(directory, "Admins")
    old = group.meta.version
    directory.change_members(group.id, add=[person.id])
    told.clear()
    for write in (
        lambda: directory.update(GROUP, group, expected_version=old),
        lambda: directory.delete(GROUP, group.id, expected_version=old),
    ):
        with pytest.raises(PreconditionFailedException):
            write()
    assert told == []
    assert members(directory, group) == [person.id]


def test_versions_cover_memberships(directory: Resources, clock: Clock) -> None:
    """A group's change of members changes the group, and its members' `groups`."""
    ada, bob = add_user(directory, "ada"), add_user(directory, "bob")
    group = add_group(directory, "Admins", ada.id)
    before = versions(directory, ada.id, bob.id, group.id)
    clock.now += 60
    directory.change_members(group.id, add=[bob.id])
    assert versions(directory, ada.id, bob.id, group.id) == [
        before[0],
        before[1] + 1,
        before[2] + 1,
    ]
    assert directory.get(GROUP, group.id).meta.last_modified.timestamp() == clock.now  # type: ignore[union-attr]
    assert directory.get(USER, bob.id).meta.last_modified == bob.meta.last_modified  # type: ignore[union-attr]


def test_renaming_a_group_changes_what_its_members_show(directory: Resources) -> None:
    """`groups.display` is part of a user, so its version rises too."""
    ada, bob = add_user(directory, "ada"), add_user(directory, "bob")
    group = add_group(directory, "Admins", ada.id)
    before = versions(directory, ada.id, bob.id)
    renamed = directory.get(GROUP, group.id)
    renamed.display_name = "Owners"  # type: ignore[attr-defined]
    directory.update(GROUP, renamed)
    assert versions(directory, ada.id, bob.id) == [before[0] + 1, before[1]]
    assert groups_of(directory, ada) == ["Owners"]


# -- Members ---------------------------------------------------------------------------


def test_a_member_must_be_a_live_user(directory: Resources) -> None:
    """The refusal names the id, and nothing is changed."""
    ada, gone = add_user(directory, "ada"), add_user(directory, "gone")
    directory.delete(USER, gone.id)
    group = add_group(directory, "Admins")
    for stranger in ("no-such-id", gone.id):
        with pytest.raises(InvalidValueException, match=stranger):
            directory.change_members(group.id, add=[ada.id, stranger])
        with pytest.raises(InvalidValueException, match=stranger):
            add_group(directory, "Others", stranger)
    assert members(directory, group) == []
    assert len(everyone(directory, GROUP)) == 1


def test_a_change_of_members_is_told_by_name(directory: Resources, told: list[Write]) -> None:
    """Who came, who went, and whom the client named for removal, member or not."""
    ada, bob, cy = (add_user(directory, name).id for name in ("ada", "bob", "cy"))
    group = add_group(directory, "Admins", ada)
    told.clear()
    version = directory.change_members(group.id, add=[bob], remove=[ada, cy])
    (write,) = told
    assert (write.kind, write.id, write.action) == ("group", group.id, "update")
    assert (write.added, write.removed, write.named) == ((bob,), (ada,), (ada, cy))
    assert (write.version_before, write.version, write.replaced) == (1, version, False)
    assert write.before == write.after


def test_the_removal_of_somebody_who_is_no_member_is_told(
    directory: Resources, told: list[Write]
) -> None:
    """Identity Center may hold a membership that the directory does not: the intent counts."""
    ada = add_user(directory, "ada").id
    group = add_group(directory, "Admins")
    told.clear()
    assert directory.change_members(group.id, remove=[ada]) == 1
    (write,) = told
    assert (write.named, write.removed, write.version, write.version_before) == ((ada,), (), 1, 1)
    assert len(history.versions(directory.database, "group", group.id)) == 1


def test_a_whole_list_replaces_the_members(directory: Resources, told: list[Write]) -> None:
    """Only what differs begins and ends; the write tells that the list was stated as a whole."""
    ada, bob, cy = (add_user(directory, name).id for name in ("ada", "bob", "cy"))
    group = add_group(directory, "Admins", ada, bob)
    told.clear()
    directory.change_members(group.id, replace=[bob, cy])
    assert members(directory, group) == [bob, cy]
    current: Any = directory.get(GROUP, group.id)
    current.members = None
    directory.update(GROUP, current, members="replaced")
    assert members(directory, group) == []
    assert [(each.added, each.removed, each.replaced) for each in told] == [
        ((cy,), (ada,), True),
        ((), (bob, cy), True),
    ]


def test_a_rename_keeps_the_members_when_told_so(directory: Resources, told: list[Write]) -> None:
    """A PATCH of another attribute need not read the members to keep them."""
    ada = add_user(directory, "ada").id
    group = add_group(directory, "Admins", ada)
    told.clear()
    directory.update(GROUP, Group(id=group.id, display_name="Owners"), members="kept", named=[ada])
    assert members(directory, group) == [ada]
    (write,) = told
    assert (write.added, write.removed, write.replaced, write.named) == ((), (), False, (ada,))


def test_adding_a_member_costs_the_same_in_any_group(
    directory: Resources, rows_read: RowsRead
) -> None:
    """A PATCH of members never loads the group: the rows read and written do not grow."""
    people = [add_user(directory, f"u{n}").id for n in range(60)]
    small = add_group(directory, "Small", people[0])
    large = add_group(directory, "Large", *people[:50])
    costs = []
    for group in (small, large):
        rows_read.count = 0
        directory.change_members(group.id, add=[people[55]], remove=[people[0]])
        costs.append(rows_read.count)
    assert costs[0] == costs[1] < 12


def test_a_membership_has_the_origin_of_who_gave_it(directory: Resources) -> None:
    """And a removal ends it whoever gave it."""
    ada = add_user(directory, "ada").id
    with actor.acting(Actor(name="client:okta")):
        group = add_group(directory, "Admins", ada)
    with actor.acting(Actor(name="client:entra")):
        directory.change_members(group.id, add=[ada])
    assert memberships.last_origin(directory.database, group.id, ada) == "client:okta"
    with actor.acting(Actor(name="client:entra")):
        directory.change_members(group.id, remove=[ada])
    assert members(directory, group) == []


def test_a_person_twice_in_a_request_is_one_member(directory: Resources) -> None:
    """A repeated entry is the same member."""
    ada = add_user(directory, "ada").id
    group = add_group(directory, "Admins", ada, ada)
    directory.change_members(group.id, add=[ada, ada])
    assert members(directory, group) == [ada]


# -- Leaving and returning ---------------------------------------------------------------


def test_a_deletion_ends_the_record_and_keeps_it(
    directory: Resources, told: list[Write], clock: Clock
) -> None:
    """Gone from SCIM and from its groups; the row and its history stay."""
    ada = add_user(directory, "ada")
    group = add_group(directory, "Admins", ada.id)
    before = versions(directory, group.id)
    told.clear()
    clock.now += 60
    directory.delete(USER, ada.id)
    with pytest.raises(NotFoundException):
        directory.get(USER, ada.id)
    with pytest.raises(NotFoundException):
        directory.delete(USER, ada.id)
    assert members(directory, group) == []
    assert versions(directory, group.id) == [before[0] + 1]
    (write,) = told
    assert (write.action, write.after, write.left) == ("delete", None, (group.id,))
    assert write.before is not None
    found = directory.find_user("ADA")
    assert found is not None
    assert (found.id, found.deleted_at) == (ada.id, clock.now)
    assert [
        each.after is None for each in history.versions(directory.database, "user", ada.id)
    ] == [
        False,
        True,
    ]


def test_a_deleted_group_has_no_members_left(directory: Resources, told: list[Write]) -> None:
    """Its members' `groups` and versions change with it."""
    ada = add_user(directory, "ada")
    group = add_group(directory, "Admins", ada.id)
    before = versions(directory, ada.id)
    told.clear()
    directory.delete(GROUP, group.id)
    assert groups_of(directory, ada) == []
    assert versions(directory, ada.id) == [before[0] + 1]
    assert told[0].removed == (ada.id,)


def test_a_user_is_found_live_first_then_by_the_latest_deletion(
    directory: Resources, clock: Clock
) -> None:
    """The command line names people by userName."""
    assert directory.find_user("ada") is None
    ids = []
    for _ in range(2):
        ids.append(add_user(directory, "ada").id)
        clock.now += 1
        directory.delete(USER, ids[-1])
    assert directory.find_user("ada").id == ids[-1]  # type: ignore[union-attr]
    live = add_user(directory, "ada").id
    assert directory.find_user("ada").id == live  # type: ignore[union-attr]


def leave_and_return(directory: Resources, clock: Clock, person: Any, *, after: float) -> None:
    change(directory, person, active=False)
    clock.now += after
    change(directory, person, active=True)


def test_a_deactivation_keeps_the_memberships(directory: Resources, clock: Clock) -> None:
    """It only stops them from being effective: clients read them back as they pushed them."""
    ada = add_user(directory, "ada")
    add_group(directory, "Admins", ada.id)
    change(directory, ada, active=False)
    assert groups_of(directory, ada) == ["Admins"]
    found = directory.find_user("ada")
    assert found is not None
    assert (found.active, found.deactivated_at) == (False, clock.now)


@pytest.mark.parametrize(("days", "kept"), [(30, ["Admins"]), (31, [])])
def test_a_return_in_time_restores_the_memberships(
    directory: Resources, told: list[Write], clock: Clock, days: int, kept: list[str]
) -> None:
    """Within `restore_within` they are effective again; later they end, and are told."""
    ada = add_user(directory, "ada")
    group = add_group(directory, "Admins", ada.id)
    before = versions(directory, group.id)
    leave_and_return(directory, clock, ada, after=days * DAY)
    assert groups_of(directory, ada) == kept
    assert told[-1].left == (() if kept else (group.id,))
    assert versions(directory, group.id) == [before[0] + (not kept)]
    assert directory.find_user("ada").deactivated_at is None  # type: ignore[union-attr]


def test_nothing_is_restored_when_that_is_turned_off(database: Database, clock: Clock) -> None:
    """`restore_within = 0` is never, even at once."""
    directory = Resources(database, clock=clock, restore_within=0)
    ada = add_user(directory, "ada")
    add_group(directory, "Admins", ada.id)
    leave_and_return(directory, clock, ada, after=0)
    assert groups_of(directory, ada) == []


def test_what_was_given_for_the_return_is_kept(directory: Resources, clock: Clock) -> None:
    """A membership given since the deactivation is not one that the deactivation stopped."""
    ada = add_user(directory, "ada")
    add_group(directory, "Before", ada.id)
    change(directory, ada, active=False)
    clock.now += 300 * DAY
    add_group(directory, "For the return", ada.id)
    clock.now += 1
    change(directory, ada, active=True)
    assert groups_of(directory, ada) == ["For the return"]


def test_a_person_created_inactive_keeps_what_was_prepared(
    directory: Resources, clock: Clock
) -> None:
    """A joiner who starts in two months was never deactivated."""
    ada = add_user(directory, "ada", active=False)
    add_group(directory, "Admins", ada.id)
    clock.now += 60 * DAY
    change(directory, ada, active=True)
    assert groups_of(directory, ada) == ["Admins"]


def test_a_user_without_active_counts_as_active(directory: Resources) -> None:
    """Only false makes inactive."""
    ada = add_user(directory, "ada")
    assert directory.find_user("ada").active  # type: ignore[union-attr]
    assert directory.set_active(ada.id, active=True) is None


def test_an_operator_deactivates_and_reactivates(
    directory: Resources, told: list[Write], clock: Clock
) -> None:
    """With history in the operator's name, like any write."""
    ada = add_user(directory, "ada")
    with actor.acting(Actor(name="operator:root", reason="left")):
        write = directory.set_active(ada.id, active=False)
    assert write is told[-1]
    assert not directory.find_user("ada").active  # type: ignore[union-attr]
    assert history.versions(directory.database, "user", ada.id)[-1].actor == "operator:root"
    assert directory.set_active(ada.id, active=True) is not None


def test_a_membership_is_given_back_with_its_origin(
    directory: Resources, told: list[Write]
) -> None:
    """An operator who rejects a removal restores what the client had given."""
    ada = add_user(directory, "ada").id
    with actor.acting(Actor(name="client:okta")):
        group = add_group(directory, "Admins", ada)
        directory.change_members(group.id, remove=[ada])
    with actor.acting(Actor(name="operator:root")):
        write = directory.reopen_membership(group.id, ada)
    assert write.added == (ada,)
    assert members(directory, group) == [ada]
    assert memberships.last_origin(directory.database, group.id, ada) == "client:okta"


def test_a_membership_of_somebody_deleted_cannot_be_given_back(directory: Resources) -> None:
    """The refusal says what to do."""
    ada = add_user(directory, "ada").id
    group = add_group(directory, "Admins", ada)
    directory.delete(USER, ada)
    with pytest.raises(OperatorError, match="create it again"):
        directory.reopen_membership(group.id, ada)


def test_a_rejected_deactivation_costs_nothing(directory: Resources, clock: Clock) -> None:
    """It never took effect, however long it was held."""
    ada = add_user(directory, "ada")
    add_group(directory, "Admins", ada.id)
    change(directory, ada, active=False)
    clock.now += 90 * DAY
    assert directory.reinstate(ada.id) == ()
    assert directory.find_user("ada").active  # type: ignore[union-attr]
    assert groups_of(directory, ada) == ["Admins"]


def test_a_rejected_deletion_brings_the_person_back(
    directory: Resources, told: list[Write], clock: Clock
) -> None:
    """Under the same id, active, with the memberships that the deletion ended and their origins."""
    ada = add_user(directory, "ada")
    with actor.acting(Actor(name="client:okta")):
        group = add_group(directory, "Admins", ada.id)
        gone, former = add_group(directory, "Gone", ada.id), add_group(directory, "Former", ada.id)
        directory.change_members(former.id, remove=[ada.id])
        clock.now += 1
        directory.delete(USER, ada.id)
        directory.delete(GROUP, gone.id)
    assert directory.reinstate(ada.id) == (group.id,)
    assert told[-1].action == "create"
    assert groups_of(directory, ada) == ["Admins"]
    assert memberships.last_origin(directory.database, group.id, ada.id) == "client:okta"


def test_a_rejected_deletion_does_not_take_a_name(directory: Resources) -> None:
    """Somebody else may have it by now; the operator is told."""
    ada = add_user(directory, "ada")
    directory.delete(USER, ada.id)
    add_user(directory, "ada")
    with pytest.raises(OperatorError, match="userName"):
        directory.reinstate(ada.id)


# -- Undoing -----------------------------------------------------------------------------


def test_a_refused_creation_is_ended(directory: Resources, told: list[Write]) -> None:
    """The record is gone for SCIM, and its name is free."""
    ada = add_user(directory, "ada")
    undone = directory.undo(told[-1])
    assert undone is told[-1]
    assert (undone.action, undone.undo, undone.after) == ("delete", True, None)
    with pytest.raises(NotFoundException):
        directory.get(USER, ada.id)
    add_user(directory, "ada")


def test_a_refused_update_is_taken_back_as_a_new_version(
    directory: Resources, told: list[Write]
) -> None:
    """The earlier document, with a new ETag."""
    ada = add_user(directory, "ada", title="Boss")
    changed = change(directory, ada, title="Clerk")
    undone = directory.undo(told[-1])
    assert undone is not None
    assert undone.undo
    current: Any = directory.get(USER, ada.id)
    assert current.title == "Boss"
    assert current.meta.version not in (ada.meta.version, changed.meta.version)
    assert len(history.versions(directory.database, "user", ada.id)) == 3


def test_a_newer_write_is_not_rolled_back(directory: Resources, told: list[Write]) -> None:
    """What was written since is nobody's to undo (design: "rollback over a newer write")."""
    ada = add_user(directory, "ada", title="Boss")
    created = told[-1]
    change(directory, ada, title="Clerk")
    refused = told[-1]
    change(directory, ada, nickName="Addie")
    assert directory.undo(refused) is None
    assert directory.undo(created) is None
    assert directory.get(USER, ada.id).title == "Clerk"  # type: ignore[attr-defined]


def test_a_change_of_groups_is_no_newer_write_of_the_document(
    directory: Resources, told: list[Write]
) -> None:
    """It raises a user's version, but the document is still the one the refused write made."""
    ada = add_user(directory, "ada", title="Boss")
    change(directory, ada, title="Clerk")
    refused = told[-1]
    add_group(directory, "Admins", ada.id)
    assert directory.undo(refused) is not None
    assert directory.get(USER, ada.id).title == "Boss"  # type: ignore[attr-defined]
    assert groups_of(directory, ada) == ["Admins"]


def test_an_undo_does_not_take_a_name_from_somebody_else(
    directory: Resources, told: list[Write]
) -> None:
    """The earlier name may be taken by now: then the write stays."""
    ada = add_user(directory, "ada")
    change(directory, ada, userName="ada2")
    refused = told[-1]
    add_user(directory, "ada")
    assert directory.undo(refused) is None
    assert directory.get(USER, ada.id).user_name == "ada2"  # type: ignore[attr-defined]


def test_taking_access_away_is_never_undone(directory: Resources, told: list[Write]) -> None:
    """Deactivations, deletions and removals of members stay (design 4)."""
    ada, bob = add_user(directory, "ada"), add_user(directory, "bob")
    group = add_group(directory, "Admins", ada.id, bob.id)
    for take_away in (
        lambda: directory.change_members(group.id, remove=[bob.id]),
        lambda: change(directory, ada, active=False, title="Gone"),
        lambda: directory.delete(USER, ada.id),
    ):
        take_away()
        assert directory.undo(told[-1]) is None


def test_memberships_are_undone_row_by_row(directory: Resources, told: list[Write]) -> None:
    """Those that the write began and that still are; those it ended do not come back."""
    ada, bob, cy, dee = (add_user(directory, name).id for name in ("ada", "bob", "cy", "dee"))
    group = add_group(directory, "Admins", dee)
    directory.change_members(group.id, add=[ada, bob, cy], remove=[dee])
    refused = told[-1]
    directory.change_members(group.id, remove=[ada, bob])
    directory.change_members(group.id, add=[bob])
    undone = directory.undo(refused)
    assert undone is not None
    assert (undone.removed, undone.added, undone.undo) == ((cy,), (), True)
    assert members(directory, group) == [bob]
    assert directory.undo(refused) is None


def test_undoing_members_keeps_a_newer_name(directory: Resources, told: list[Write]) -> None:
    """A write that touched only members says nothing of the document."""
    ada = add_user(directory, "ada").id
    group = add_group(directory, "Admins")
    directory.change_members(group.id, add=[ada])
    refused = told[-1]
    directory.update(GROUP, Group(id=group.id, display_name="Owners"), members="kept")
    assert directory.undo(refused) is not None
    assert directory.get(GROUP, group.id).display_name == "Owners"  # type: ignore[attr-defined]
    assert members(directory, group) == []


def test_a_refused_return_is_undone(directory: Resources, told: list[Write], clock: Clock) -> None:
    """The person is inactive again, and what they lost by returning late stays lost."""
    ada = add_user(directory, "ada")
    add_group(directory, "Admins", ada.id)
    leave_and_return(directory, clock, ada, after=31 * DAY)
    assert directory.undo(told[-1]) is not None
    assert not directory.find_user("ada").active  # type: ignore[union-attr]
    assert groups_of(directory, ada) == []


# -- Transactions --------------------------------------------------------------------------


def test_what_the_listener_raises_undoes_the_write(database: Database) -> None:
    """Whoever must act on a change is told in its transaction: neither is without the other."""

    def fail(_write: Write) -> None:
        raise RuntimeError

    directory = Resources(database, written=fail)
    with pytest.raises(RuntimeError):
        add_user(directory, "ada")
    assert everyone(directory) == []


def test_a_failed_write_changes_nothing(directory: Resources, told: list[Write]) -> None:
    """A group whose members are refused leaves no group behind."""
    told.clear()
    with pytest.raises(InvalidValueException), directory.operation():
        add_group(directory, "Admins", "no-such-id")
    assert everyone(directory, GROUP) == []


def in_threads(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Do something in several threads at once; returns what they raised."""
    raised: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_concurrent_writers_lose_nothing(database: Database) -> None:
    """Each waits for the other: no lost update, no "database is locked" (design 4, Writes)."""
    directory = Resources(database)
    ids = [add_user(directory, f"u{n}").id for n in range(16)]
    group = add_group(directory, "Admins")

    def work(number: int) -> None:
        for each in random.Random(number).sample(ids[number * 4 : number * 4 + 4], 4):
            with directory.operation():
                shared: Any = directory.get(USER, ids[0])
                shared.title = str(int(shared.title or 0) + 1)
                directory.update(USER, shared)
            directory.change_members(group.id, add=[each])
            directory.search([USER], request(Person, filter="title pr"))

    assert in_threads(4, work) == []
    assert directory.get(USER, ids[0]).title == "16"  # type: ignore[attr-defined]
    assert sorted(members(directory, group)) == sorted(ids)
    assert versions(directory, group.id) == [17]


def test_of_two_who_create_the_same_name_one_is_refused(database: Database) -> None:
    """Both see a free name first; only one gets it."""
    directory = Resources(database)
    raised = in_threads(6, lambda _: add_user(directory, "ada"))
    assert [type(error) for error in raised] == [UniquenessException] * 5


def test_the_databases_own_refusal_is_translated(
    directory: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a database where two writers meet, the unique index decides, and says which attribute."""
    monkeypatch.setattr("scim_bridge.directory.uniqueness.refuse_taken", lambda *_arguments: None)
    add_user(directory, "ada", emails=[{"value": "ada@a.example"}])
    bob = add_user(directory, "bob")
    with pytest.raises(UniquenessException, match="userName"):
        change(directory, bob, userName="ada")
    with pytest.raises(UniquenessException, match=r"emails\.value"):
        change(directory, bob, emails=[{"value": "ada@a.example"}])
    add_group(directory, "Admins")
    group = add_group(directory, "Others")
    group.display_name = "admins"
    with pytest.raises(UniquenessException, match="displayName"):
        directory.update(GROUP, group)


def test_the_manager_is_kept_apart(directory: Resources) -> None:
    """Who waits for a manager's principal is found without reading documents."""
    boss = add_user(directory, "boss")
    manager = {"manager": {"value": boss.id, "$ref": f"Users/{boss.id}"}}
    ada = add_user(directory, "ada", **{ENTERPRISE: manager})
    with directory.database.reading() as connection:
        query = select(users.c.id).where(users.c.manager_id == boss.id)
        assert list(connection.scalars(query)) == [ada.id]


def test_a_rule_gives_apart_from_clients(directory: Resources) -> None:
    """A client cannot end what a rule gives, and its own membership stands beside it."""
    ada = add_user(directory, "ada").id
    group = add_group(directory, "Admins")
    database = directory.database
    memberships.add(database, group.id, [ada], "rule:everyone", at=1.0)
    assert memberships.add(database, group.id, [ada], "client:okta", at=2.0).added == (ada,)
    assert members(directory, group) == [ada]
    ended = memberships.remove(database, group.id, [ada], at=3.0)
    assert (ended.removed, ended.kept) == ((), (ada,))
    assert members(directory, group) == [ada]


def test_many_members_take_several_statements(
    directory: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database limits the variables of a statement; no list of members is too long."""
    monkeypatch.setattr(memberships, "_CHUNK", 3)
    people = [add_user(directory, f"u{n}").id for n in range(8)]
    group = add_group(directory, "Admins", *people)
    assert members(directory, group) == people
    directory.change_members(group.id, remove=people[:7])
    assert members(directory, group) == people[7:]
    assert len(everyone(directory)) == 8


def test_an_inactive_row_stays_inactive_when_its_document_says_so(directory: Resources) -> None:
    """An update of an inactive person keeps the date of the deactivation."""
    ada = add_user(directory, "ada")
    change(directory, ada, active=False)
    with directory.database.transaction() as connection:
        connection.execute(update(users).values(deactivated_at=5.0))
    change(directory, ada, title="Gone")
    assert directory.find_user("ada").deactivated_at == 5.0  # type: ignore[union-attr]
