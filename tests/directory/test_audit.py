"""`scim_bridge.directory.audit`: the audit trail as it is written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.audit import Action, canonical, personal_digest, record, record_members
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import audit, audit_personal

ADA = "ada@example.com"
SOME_TIME = 1_790_000_000.25


def rows(database: Database):
    with database.reading() as connection:
        return connection.execute(select(audit).order_by(audit.c.id)).mappings().all()


def personal_rows(database: Database):
    with database.reading() as connection:
        return connection.execute(select(audit_personal)).mappings().all()


def test_an_entry_says_who_did_what_when_to_what_and_in_which_requests(database):
    """Each change is kept with time, client, request id, resource and the target's request id."""
    with (
        acting(Actor(name="client:hr", request_id="request-1")),
        database.transaction(),
    ):
        record(
            database,
            action=Action.UPDATE,
            kind="user",
            resource_id="ada",
            facts={"attributes": ["title"]},
            target_request_id="aws-1",
            clock=lambda: SOME_TIME,
        )
    [row] = rows(database)
    assert {**row, "facts": json.loads(row["facts"])} == {
        "id": 1,
        "at": SOME_TIME,
        "actor": "client:hr",
        "action": "update",
        "kind": "user",
        "resource_id": "ada",
        "related_id": None,
        "request_id": "request-1",
        "target_request_id": "aws-1",
        "outcome": "ok",
        "facts": {"attributes": ["title"]},
        "personal_digest": None,
        "seal_id": None,
        "position": None,
    }


def test_an_operators_reason_is_kept_with_what_they_did(database):
    """Operator acts carry the operator's name and the reason they gave."""
    with (
        acting(Actor(name="operator:sam", reason="left today")),
        database.transaction(),
    ):
        record(database, action=Action.DEACTIVATE, kind="user", facts={"count": 1})
    [row] = rows(database)
    assert row["actor"] == "operator:sam"
    assert json.loads(row["facts"]) == {"count": 1, "reason": "left today"}


def test_what_is_about_a_person_is_only_in_the_personal_part(database):
    """The entry itself names nobody, so that erasing the personal part erases the person."""
    with database.transaction():
        record(
            database,
            action=Action.CREATE,
            kind="user",
            resource_id="ada",
            user_name=ADA,
            personal={"before": None, "after": {"userName": ADA, "title": "Countess"}},
        )
    [row], [personal] = rows(database), personal_rows(database)
    assert "ada@" not in str(dict(row))
    assert "Countess" not in str(dict(row))
    assert json.loads(personal["content"]) == {
        "userName": ADA,
        "before": None,
        "after": {"userName": ADA, "title": "Countess"},
    }


def test_the_digest_of_equal_personal_parts_differs_by_its_salt(database):
    """128 random bits each: a digest left after an erasure cannot be guessed back to a name."""
    with database.transaction():
        record(database, action=Action.CREATE, kind="user", user_name=ADA)
        record(database, action=Action.CREATE, kind="user", user_name=ADA)
    first, second = rows(database)
    salts = {personal["salt"] for personal in personal_rows(database)}
    assert first["personal_digest"] != second["personal_digest"]
    assert len(salts) == 2
    assert all(len(bytes.fromhex(salt)) == 16 for salt in salts)


def test_a_change_that_is_rolled_back_leaves_no_entry(database):
    """The entry is written in the change's transaction and shares its fate."""

    class Stop(Exception):
        pass

    def change_and_fail():
        with database.transaction():
            record(database, action=Action.CREATE, kind="user", user_name=ADA)
            raise Stop

    with pytest.raises(Stop):
        change_and_fail()
    assert rows(database) == []
    assert personal_rows(database) == []


def test_an_entry_outside_of_a_transaction_is_refused(database):
    """An entry that could be kept without its change would be a lie."""
    with pytest.raises(RuntimeError, match="not in a transaction"):
        record(database, action=Action.CREATE)


def test_each_member_of_a_change_has_an_entry_with_its_request(database):
    """A membership is a person's: one entry each, with the group as the related resource."""
    with (
        acting(Actor(name="client:hr", request_id="request-2")),
        database.transaction(),
    ):
        record_members(
            database,
            action=Action.MEMBER_REMOVED,
            group_id="engineers",
            members=["ada", "bob"],
            target_request_id="aws-2",
        )
    told = [
        (row["kind"], row["resource_id"], row["related_id"], row["request_id"])
        for row in rows(database)
    ]
    assert told == [
        ("user", "ada", "engineers", "request-2"),
        ("user", "bob", "engineers", "request-2"),
    ]
    assert {row["target_request_id"] for row in rows(database)} == {"aws-2"}


def test_a_change_of_no_members_leaves_no_entry(database):
    """Nothing happened, so nothing is recorded."""
    with database.transaction():
        record_members(database, action=Action.MEMBER_ADDED, group_id="engineers", members=[])
    assert rows(database) == []


JSON_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=40)
@given(document=st.dictionaries(st.text(), JSON_TREES, min_size=2))
def test_canonical_json_does_not_depend_on_the_order_of_keys(document):
    """Equal documents have one text, on one line, and the text gives the document back."""
    turned = dict(reversed(document.items()))
    assert canonical(document) == canonical(turned)
    assert json.loads(canonical(document)) == document
    assert "\n" not in canonical(document)


PARTS = st.tuples(
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.none() | st.text(),
    st.dictionaries(st.text(), JSON_TREES).map(canonical),
)


@settings(max_examples=40)
@given(parts=PARTS, others=PARTS, changed=st.integers(0, 2))
def test_the_personal_digest_is_of_all_three_parts(parts, others, changed):
    """Salt, name and content are digested: a change of any one is seen."""
    other = (*parts[:changed], others[changed], *parts[changed + 1 :])
    assert (personal_digest(*parts) == personal_digest(*other)) == (parts == other)
