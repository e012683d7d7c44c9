"""`scim_bridge.directory.trail`: the audit trail as it is read."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, event, insert

from scim_bridge.directory import trail as trail_module
from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.audit import Action, record, record_members
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import audit_personal, clients
from scim_bridge.directory.trail import Entry, Warned, describe, trail, warned
from tests.plans import steps

ADA = "Ada@example.com"
SOME_TIME = 1_790_000_000.0


def write(database: Database, action: Action, resource_id: str | None = None, **about: Any):
    with database.transaction():
        record(database, **{"action": action, "kind": "user", "resource_id": resource_id, **about})


def move(database: Database, action: Action, group_id: str, members: list[str], **about: Any):
    with database.transaction():
        record_members(database, action=action, group_id=group_id, members=members, **about)


def told(entries: Iterator[Entry]) -> list[tuple[str, str | None]]:
    return [(entry.action, entry.resource_id) for entry in entries]


def test_a_leavers_trail_shows_each_membership_with_the_call_that_ended_it(database):
    """The auditor's question: what did this person hold, and when and how was it taken away?"""
    write(database, Action.CREATE, "ada", user_name=ADA)
    write(database, Action.CREATE, "bob", user_name="bob@example.com")
    move(database, Action.MEMBER_ADDED, "engineers", ["ada", "bob"])
    write(database, Action.DEACTIVATE, "ada", user_name=ADA)
    for group, call in (("engineers", "aws-1"), ("admins", "aws-2")):
        move(database, Action.CALL, group, ["ada"], target_request_id=call)
    entries = list(trail(database, user_name=ADA))
    assert [entry.action for entry in entries] == [
        "create", "member-added", "deactivate", "call", "call",
    ]  # fmt: skip
    assert [(entry.related_id, entry.target_request_id) for entry in entries[-2:]] == [
        ("engineers", "aws-1"),
        ("admins", "aws-2"),
    ]


@pytest.mark.parametrize("name", ["ada@example.com", "ADA@EXAMPLE.COM", "lady.ada@example.com"])
def test_a_person_is_found_by_every_name_they_had_in_any_case(database, name):
    """userName is not case-sensitive (RFC 7643 section 4.1.1), and people change theirs."""
    write(database, Action.CREATE, "ada", user_name=ADA)
    write(database, Action.UPDATE, "ada", user_name="Lady.Ada@example.com")
    write(database, Action.DEACTIVATE, "ada")
    write(database, Action.CREATE, "bob", user_name="bob@example.com")
    found = told(trail(database, user_name=name))
    assert found == [("create", "ada"), ("update", "ada"), ("deactivate", "ada")]


def test_a_person_is_found_however_an_accent_is_written(database):
    """The trail tells names apart as the directory does: by their composed form."""
    write(database, Action.CREATE, "jose", user_name="Jose\u0301@example.com")
    assert told(trail(database, user_name="jos\u00e9@example.com")) == [("create", "jose")]


@pytest.mark.parametrize("name", ["old@example.com", "new@example.com"])
def test_a_returners_trail_spans_both_records(database, name):
    """Somebody who is hired again has a new id; their trail is still one, under either name."""
    write(database, Action.CREATE, "first", user_name="old@example.com")
    write(database, Action.DELETE, "first")
    write(database, Action.REHIRE, "second", related_id="first")
    write(database, Action.UPDATE, "second", user_name="new@example.com")
    found = told(trail(database, user_name=name))
    assert found == [
        ("create", "first"),
        ("delete", "first"),
        ("rehire", "second"),
        ("update", "second"),
    ]


def test_what_was_refused_under_a_name_is_in_its_trail(database):
    """A refused create has no resource; the name it was tried with finds it."""
    write(database, Action.REFUSED, None, user_name=ADA, outcome="refused")
    write(database, Action.REFUSED, None, user_name="bob@example.com", outcome="refused")
    [entry] = trail(database, user_name=ADA)
    assert entry.personal == {"userName": ADA}
    assert entry.outcome == "refused"


def test_an_unknown_name_has_an_empty_trail(database):
    """Entries without any name or resource belong to nobody in particular."""
    write(database, Action.RETRY, None, kind=None)
    write(database, Action.CREATE, "ada", user_name=ADA)
    assert list(trail(database, user_name="nobody@example.com")) == []


def test_the_trail_of_a_group_has_the_changes_of_its_members(database):
    """Memberships are recorded with the person; the group is found as the related resource."""
    write(database, Action.CREATE, "engineers", kind="group")
    move(database, Action.MEMBER_ADDED, "engineers", ["ada"])
    move(database, Action.MEMBER_ADDED, "admins", ["ada"])
    found = told(trail(database, resource_id="engineers"))
    assert found == [("create", "engineers"), ("member-added", "ada")]


def test_a_span_of_time_begins_at_its_first_moment_and_stops_before_its_last(database):
    """Neighbouring spans share no entry and leave none out."""
    for offset in range(5):
        write(
            database, Action.UPDATE, f"user-{offset}",
            clock=lambda at=SOME_TIME + offset: at,
        )  # fmt: skip
    found = told(trail(database, since=SOME_TIME + 1, until=SOME_TIME + 3))
    assert found == [("update", "user-1"), ("update", "user-2")]


@pytest.mark.parametrize(
    ("limit", "kept"), [(None, [0, 1, 2]), (5, [0, 1, 2]), (2, [1, 2]), (0, [])]
)
def test_a_limit_keeps_the_newest_entries_in_their_order(database, limit, kept):
    """What happened last is what is asked for; it is still told from first to last."""
    for number in range(3):
        write(database, Action.UPDATE, f"user-{number}")
    found = told(trail(database, limit=limit))
    assert found == [("update", f"user-{number}") for number in kept]


def test_a_limit_counts_only_the_entries_that_are_asked_for(database):
    """Other people's entries in between do not use it up."""
    for number in range(3):
        write(database, Action.UPDATE, "ada", facts={"number": number})
        write(database, Action.UPDATE, "bob")
    found = list(trail(database, resource_id="ada", limit=2))
    assert [entry.facts["number"] for entry in found] == [1, 2]


def test_a_long_trail_is_read_in_chunks_and_holds_no_transaction(database, monkeypatch):
    """Printing a trail takes as long as it takes; nobody else waits for it."""
    monkeypatch.setattr(trail_module, "CHUNK", 3)
    for number in range(8):
        write(database, Action.UPDATE, f"user-{number}")
    seen = []
    for entry in trail(database):
        assert not database.in_transaction
        seen.append(entry.resource_id)
        write(database, Action.UPDATE, "written-meanwhile")
    assert seen == [f"user-{number}" for number in range(8)]


def test_a_persons_trail_reads_only_their_rows(database):
    """No statement walks over the whole trail: each finds its rows by an index."""
    write(database, Action.CREATE, "ada", user_name=ADA)
    statements = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    assert len(list(trail(database, user_name=ADA))) == 1
    event.remove(database.engine, "before_cursor_execute", note)
    with database.reading() as connection:
        plans = [
            steps(connection, statement, parameters)
            for statement, parameters in statements
            if statement.startswith("SELECT")
        ]
    assert any("ix_audit_personal_user_name" in plan for plan in plans)
    assert [plan for plan in plans if re.search("SCAN audit|Seq Scan", plan)] == []


def test_an_erased_person_leaves_an_entry_that_says_so(database):
    """Erasure takes the personal part; that something happened, and when, stays."""
    write(database, Action.CREATE, "ada", user_name=ADA)
    with database.transaction() as connection:
        connection.execute(delete(audit_personal))
    [entry] = trail(database, resource_id="ada")
    assert (entry.personal, entry.erased) == (None, True)


def test_an_entry_without_a_personal_part_is_not_called_erased(database):
    """Most calls at the target never had one."""
    write(database, Action.CALL, "ada")
    [entry] = trail(database)
    assert (entry.personal, entry.erased) == (None, False)


def test_an_entry_is_json_with_its_time_in_utc(database):
    """``audit --json`` prints every field, before and after included."""
    with acting(Actor(name="client:hr", request_id="request-1")):
        write(
            database,
            Action.UPDATE,
            "ada",
            user_name=ADA,
            personal={"before": {"title": "a"}, "after": {"title": "b"}},
            facts={"attributes": ["title"]},
            clock=lambda: SOME_TIME,
        )
    [entry] = trail(database)
    assert json.loads(json.dumps(entry.as_dict())) == {
        "id": 1,
        "time": "2026-09-21T14:13:20+00:00",
        "actor": "client:hr",
        "action": "update",
        "kind": "user",
        "resource_id": "ada",
        "related_id": None,
        "request_id": "request-1",
        "target_request_id": None,
        "outcome": "ok",
        "facts": {"attributes": ["title"]},
        "personal": {"userName": ADA, "before": {"title": "a"}, "after": {"title": "b"}},
        "erased": False,
    }


def entry(action: str = "update", **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "id": 1,
        "time": datetime(2026, 11, 24, 3, 1, 5, tzinfo=UTC),
        "actor": "client:hr",
        "kind": "user",
        "resource_id": "ada",
        "related_id": None,
        "request_id": None,
        "target_request_id": None,
        "outcome": "ok",
        "facts": {},
        "personal": None,
        "erased": False,
    }
    return Entry(**{**given, "action": action, **fields})


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            entry("create", personal={"userName": ADA}, request_id="r1"),
            "client:hr created user Ada@example.com [request r1]",
        ),
        (
            entry("create", kind="group", personal={"after": {"displayName": "Engineers"}}),
            "client:hr created group Engineers",
        ),
        (
            entry("member-removed", related_id="engineers"),
            "client:hr removed a member: user ada from group engineers",
        ),
        (
            entry("member-added", related_id="engineers"),
            "client:hr added a member: user ada to group engineers",
        ),
        (
            entry(
                "call",
                actor="bridge",
                related_id="engineers",
                outcome="refused",
                facts={"operation": "PatchGroup", "status": 400},
                target_request_id="aws-1",
            ),
            "bridge called Identity Center for user ada in group engineers - refused "
            "[operation PatchGroup, status 400, target request aws-1]",
        ),
        (entry("rehire", related_id="old"), "client:hr took back user ada (before: old)"),
        (entry("link", related_id="old"), "client:hr linked user ada (with old)"),
        (
            entry("retry", actor="operator:sam", kind=None, resource_id=None),
            "operator:sam asked to try again",
        ),
        (entry("of-a-later-version"), "client:hr of-a-later-version user ada"),
    ],
)
def test_an_entry_reads_as_a_sentence(told, words):
    """``audit`` is read by people: time, who, what, to whom, and the ids to ask others about."""
    assert describe(told) == f"2026-11-24 03:01:05 UTC {words}"


@pytest.mark.parametrize("action", Action)
def test_every_action_has_words(action):
    """No entry shows a code where a verb belongs."""
    assert describe(entry(action)).endswith(" user ada")
    assert f"client:hr {action} user" not in describe(entry(action))


def test_a_name_cannot_break_out_of_its_line():
    """Names come from clients; no line break or escape sequence of theirs reaches a terminal."""
    line = describe(entry(personal={"userName": "eve\n\x1b[2Jadmin\u202e"}))
    assert line.endswith("user eve\\n\\x1b[2Jadmin\\u202e")


def test_what_each_client_was_warned_about_is_counted(database):
    """Since a time, with groups in a group apart, and nothing of what the bridge itself wrote.

    Nothing of a client that is revoked, and no password, which is sent with everybody.
    """
    with database.transaction() as connection:
        for name, revoked in (("entra", None), ("hr_1", None), ("hr_1", 5.0), ("old", 5.0)):
            client = {"id": f"{name}{revoked}", "name": name, "revoked_at": revoked}
            connection.execute(insert(clients).values(read_only=False, created=1, **client))
    for actor in ("client:entra", "client:entra", "client:hr_1", "client:old", "clientele"):
        with acting(Actor(name=actor)):
            write(database, Action.WARNING, "ada", facts={"dropped": ["password", "urn:x"]})
            write(database, Action.WARNING, "ada", facts={"dropped": ["Password"]})
    with acting(Actor(name="client:entra")):
        write(database, Action.WARNING, "crew", kind="group", outcome="not applied")
        write(database, Action.CREATE, "bob")

    assert warned(database, since=0) == (
        Warned(client="entra", warnings=3, about_nesting=1),
        Warned(client="hr_1", warnings=1, about_nesting=0),
    )
    assert warned(database, since=time.time() + 60) == ()
