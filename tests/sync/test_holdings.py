"""What people hold, now and at any moment before: read from rows that begin and end."""

import pytest
from sqlalchemy import insert, update

from scim_bridge.directory import tables
from scim_bridge.sync import TARGET
from scim_bridge.sync.explanation import Question, explain
from scim_bridge.sync.holdings import BY_HAND, STILL_THERE, holdings
from scim_bridge.sync.outstanding import Outstanding

ADMIN = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1111111111111111"
ACCOUNT = "111122223333"


@pytest.fixture
def rows(database):
    """Jane was created at 10 and put into engineers (admins of an account since 20) at 30."""

    def add(table, **values):
        with database.transaction() as connection:
            connection.execute(insert(table).values(**values))

    add(tables.permission_sets, target=TARGET, arn=ADMIN, name="Admin", description=None,
        session_seconds=3600, policies={}, at=1)  # fmt: skip
    _user(add, "jane", at=10)
    _group(add, "engineers")
    _grant(add, "group", "engineers", since=20)
    _member(add, "engineers", "jane", since=30)
    return add


def _user(add, name, *, at, active=True):
    add(tables.users, id=name, document={"userName": name}, user_name=name, user_name_folded=name,
        active=active, created=at, last_modified=at, version=1)  # fmt: skip
    _version(add, name, 1, at=at, active=active)


def _observed(add, principal, name, *, active=True):
    add(tables.observed, target=TARGET, kind="user", target_id=principal, external_id=None,
        attributes={"userName": name}, active=active, email_folded=None, at=1)  # fmt: skip


def _version(add, name, version, *, at, active):
    after = None if active is None else {"userName": name, "active": active}
    add(tables.history, kind="user", resource_id=name, version=version, at=at,
        actor="client:hr", before=None, after=after)  # fmt: skip


def _group(add, name):
    add(tables.groups, id=name, document={"displayName": name}, display_name=name.title(),
        display_name_folded=name, created=1, last_modified=1, version=1)  # fmt: skip


def _grant(add, kind, resource, *, since, until=None):
    add(tables.assignments, kind=kind, resource_id=resource, account_id=ACCOUNT,
        permission_set="Admin", permission_set_arn=ADMIN, origin="client:hr",
        valid_from=since, valid_to=until)  # fmt: skip


def _member(add, group, person, *, since, until=None):
    add(tables.memberships, group_id=group, member_id=person, origin="client:okta",
        valid_from=since, valid_to=until)  # fmt: skip


def test_access_through_a_group_names_the_group_and_who_gave_both(database, rows):
    """Since when: since the later of the membership and the group's assignment."""
    [one] = holdings(database, person="jane")

    assert (one.account, one.permission_set, one.permission_set_arn) == (ACCOUNT, "Admin", ADMIN)
    assert (one.group, one.origin, one.member_by) == ("Engineers", "client:hr", "client:okta")
    assert one.since == 30


@pytest.mark.parametrize(
    ("at", "held"), [(5, []), (15, []), (25, []), (35, ["Admin"]), (45, []), (55, ["Admin"])]
)
def test_every_moment_of_the_past_is_told_as_it_was(database, rows, at, held):
    """Before the membership nothing; nothing while inactive (40 to 50); then again."""
    _version(rows, "jane", 2, at=40, active=False)
    _version(rows, "jane", 3, at=50, active=True)

    assert [one.permission_set for one in holdings(database, at=at)] == held


def test_what_has_ended_is_not_held(database, rows):
    """A membership that ended ends the access through it; a direct assignment stands apart."""
    with database.transaction() as connection:
        connection.execute(update(tables.memberships).values(valid_to=60))
    _grant(rows, "user", "jane", since=50)

    [now] = holdings(database)

    assert (now.group, now.origin, now.since) == ("", "client:hr", 50)
    assert len(holdings(database, at=55)) == 2


def test_who_is_inactive_or_deleted_holds_nothing(database, rows):
    """A membership in the directory outlives a deactivation and gives nothing meanwhile."""
    with database.transaction() as connection:
        connection.execute(update(tables.users).values(active=False))

    assert holdings(database) == []


def test_what_somebody_gave_by_hand_is_shown_once_and_named_so(database, rows):
    """Seen at Identity Center and not in the directory; the same thing is not shown twice."""
    rows(tables.links, target=TARGET, kind="user", resource_id="jane", target_id="u-1", created=1,
         created_here=True)  # fmt: skip
    _observed(rows, "u-1", "jane")
    _grant(rows, "user", "jane", since=50)
    for account in (ACCOUNT, "222233334444"):
        rows(tables.observed_assignments, target=TARGET, kind="user", principal_id="u-1",
             account_id=account, permission_set=ADMIN, application="", at=70)  # fmt: skip

    found = {(one.account, one.origin) for one in holdings(database) if not one.group}

    assert found == {(ACCOUNT, "client:hr"), ("222233334444", BY_HAND)}


@pytest.mark.parametrize("enabled", [True, False])
def test_a_leaver_who_has_yet_to_be_disabled_still_holds_what_is_there(database, rows, enabled):
    """The directory has decided; Identity Center still gives it, and the auditor must see that."""
    rows(tables.links, target=TARGET, kind="user", resource_id="jane", target_id="u-1", created=1,
         created_here=True)  # fmt: skip
    _observed(rows, "u-1", "jane", active=enabled)
    rows(tables.observed_assignments, target=TARGET, kind="user", principal_id="u-1",
         account_id=ACCOUNT, permission_set=ADMIN, application="", at=70)  # fmt: skip
    with database.transaction() as connection:
        connection.execute(update(tables.users).values(active=False))

    assert [one.origin for one in holdings(database)] == [STILL_THERE] * enabled


def test_a_grant_that_the_brake_holds_is_told_with_its_set(database, rows):
    """Taken from the group in the directory, and kept by those whose loss is held alone."""
    _user(rows, "bob", at=10)
    _member(rows, "engineers", "bob", since=30)
    rows(tables.observed, target=TARGET, kind="group", target_id="g-1", external_id=None,
         attributes={"displayName": "Engineers"}, active=True, email_folded=None, at=1)  # fmt: skip
    for kind, resource, principal in (
        ("group", "engineers", "g-1"), ("user", "jane", "u-1"), ("user", "bob", "u-2"),
    ):  # fmt: skip
        rows(tables.links, target=TARGET, kind=kind, resource_id=resource, target_id=principal,
             created=1, created_here=True)  # fmt: skip
    for principal, name in (("u-1", "jane"), ("u-2", "bob")):
        _observed(rows, principal, name)
        rows(tables.observed_memberships, target=TARGET, group_id="g-1", member_id=principal, at=70)
    grant = {"target": TARGET, "kind": "group", "principal_id": "g-1", "account_id": ACCOUNT,
             "permission_set": ADMIN, "application": "", "at": 70}  # fmt: skip
    rows(tables.observed_assignments, **grant)
    rows(tables.applied_assignments, **grant)
    rows(tables.held, set_id="3f9a1c20", target=TARGET, category="assignment", person="jane",
         group_id="engineers", lost=f"{ACCOUNT}|{ADMIN}", since=1, state="held")  # fmt: skip
    with database.transaction() as connection:
        connection.execute(update(tables.assignments).values(valid_to=60))

    told = {one.user_name: one for one in holdings(database, account=ACCOUNT)}

    assert {one.origin for one in told.values()} == {STILL_THERE}
    assert told["jane"].loss == Outstanding(state="held", held_in="3f9a1c20")
    assert told["bob"].loss == Outstanding(state="pending")


def test_somebody_whom_the_directory_does_not_know_is_in_the_review(database, rows):
    """Made by hand at Identity Center, and given an account there."""
    _observed(rows, "u-9", "hand@example.com")
    rows(tables.observed_assignments, target=TARGET, kind="user", principal_id="u-9",
         account_id=ACCOUNT, permission_set=ADMIN, application="", at=70)  # fmt: skip

    found = {one.user_name: one.origin for one in holdings(database, account=ACCOUNT)}

    assert found["hand@example.com"] == BY_HAND


def test_what_a_deactivation_took_was_held_before(database, rows):
    """Given by hand, and taken away at 40: at 35 it was there."""
    _version(rows, "jane", 2, at=40, active=False)
    rows(tables.taken, target=TARGET, person="jane", account_id="222233334444",
         permission_set=ADMIN, at=40)  # fmt: skip

    assert {one.account for one in holdings(database, at=35)} == {ACCOUNT, "222233334444"}


def test_an_account_is_asked_who_reaches_it(database, rows):
    """The same rows, turned round."""
    assert [one.user_name for one in holdings(database, account=ACCOUNT)] == ["jane"]
    assert holdings(database, account="999999999999") == []


def test_the_reason_for_an_access_names_the_whole_way(database, rows):
    """From the person over the group to who gave what."""
    said = explain(database, "jane", Question(account=ACCOUNT, permission_set="Admin"))

    assert said[0] == "jane is active."
    assert "through group Engineers" in said[1]
    assert "by client hr" in said[1]
    assert "by client okta" in said[1]


def test_the_reason_against_an_access_names_what_is_missing(database, rows):
    """Who is out of the group that grants it, who never was in it, and what nobody grants."""
    with database.transaction() as connection:
        connection.execute(update(tables.memberships).values(valid_to=60))
    _user(rows, "bob", at=10)

    def why(person, **question):
        return " ".join(explain(database, person, Question(**question)))

    assert "was in it until 1970-01-01 00:01 UTC" in why("jane", account=ACCOUNT)
    assert "is not in it and never was" in why("bob", permission_set="Admin")
    assert "No group of the directory grants it" in why("bob", account="999999999999")
    assert "they are in no group" in why("bob")


def test_what_has_yet_to_arrive_is_part_of_the_reason(database, rows):
    """A held loss explains why an access is still there."""
    rows(tables.held, set_id="3f9a1c20", target=TARGET, category="disable", person="jane",
         since=1, state="held")  # fmt: skip

    assert any("set 3f9a1c20" in one for one in explain(database, "jane", Question()))
