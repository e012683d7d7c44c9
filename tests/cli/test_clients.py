"""`scim-bridge client`: what an operator types and a script reads."""

from datetime import datetime, timedelta

import pytest

from scim_bridge.directory.trail import trail
from scim_bridge.scim.credentials import Client, Rejection, authenticate


def test_a_new_client_gets_a_token_that_works(json_of, database):
    """`client add --json` gives the token once, and it is accepted."""
    issued = json_of("client", "add", "okta")

    assert issued["name"] == "okta"
    assert (issued["read_only"], issued["expires"]) == (False, None)
    assert authenticate(database, issued["token"]) == Client(name="okta", read_only=False)


def test_scope_and_end_are_as_asked(json_of, database):
    """--read-only and --expires are kept with the token."""
    issued = json_of("client", "add", "reports", "--read-only", "--expires", "90")
    lasts = datetime.fromisoformat(issued["expires"]) - datetime.fromisoformat(issued["created"])

    assert lasts == timedelta(days=90)
    assert authenticate(database, issued["token"]) == Client(name="reports", read_only=True)


def test_a_client_may_be_allowed_to_set_entitlements(run, json_of, database):
    """--entitlements is kept with the client, also for its next token, and shown."""
    json_of("client", "add", "okta", "--entitlements")
    token = json_of("client", "rotate", "okta")["token"]

    allowed = Client(name="okta", read_only=False, entitlements=True)
    assert authenticate(database, token) == allowed
    assert json_of("client", "list")[0]["entitlements"] is True
    assert "entitlements" in run("client", "list").stdout


def test_a_client_that_only_reads_sets_no_entitlements(run):
    """--read-only and --entitlements exclude each other."""
    result = run("client", "add", "okta", "--read-only", "--entitlements", expect=2)

    assert "exclude each other" in result.stderr


def test_a_client_may_be_held_to_the_standard(run, json_of, database):
    """--dialect is kept with the client and shown; a client is tolerant unless it is told."""
    assert json_of("client", "add", "okta")["dialect"] == "tolerant"
    issued = json_of("client", "add", "suite", "--dialect", "strict")

    strict = Client(name="suite", read_only=False, dialect="strict")
    assert authenticate(database, issued["token"]) == strict
    assert [one["dialect"] for one in json_of("client", "list")] == ["tolerant", "strict"]
    assert " strict " in run("client", "list").stdout
    assert "--dialect" in run("client", "add", "x", "--dialect", "loose", expect=2).stderr


def test_the_token_alone_is_on_stdout(run, database):
    """Without --json the token can be piped on; what it is goes to stderr."""
    result = run("client", "add", "okta", "--expires", "1")
    token = result.stdout.removesuffix("\n")

    assert authenticate(database, token) == Client(name="okta", read_only=False)
    assert "The token of client okta (read and write, ends 20" in result.stderr
    assert token not in result.stderr


def test_rotation_keeps_the_earlier_token_for_the_overlap(json_of, database):
    """`client rotate` leaves two live tokens, unless --overlap 0 ends the earlier one at once."""
    first = json_of("client", "add", "okta")["token"]
    second = json_of("client", "rotate", "okta", "--overlap", "12h")["token"]

    assert isinstance(authenticate(database, first), Client)
    assert isinstance(authenticate(database, second), Client)

    third = json_of("client", "rotate", "okta", "--overlap", "0")["token"]

    assert authenticate(database, first) is Rejection.EXPIRED
    assert authenticate(database, second) is Rejection.EXPIRED
    assert isinstance(authenticate(database, third), Client)


def test_a_revoked_client_is_refused(run, json_of, database):
    """`client revoke` ends every token at once."""
    token = json_of("client", "add", "okta")["token"]
    run("client", "revoke", "okta")

    assert authenticate(database, token) is Rejection.REVOKED


def test_the_list_shows_each_token_and_none_in_full(run, json_of):
    """`client list` shows state and ends; a token cannot be read from it."""
    token = json_of("client", "add", "okta")["token"]
    json_of("client", "rotate", "okta")
    run("client", "add", "old")
    run("client", "revoke", "old")
    listed = json_of("client", "list")
    said = run("client", "list", "--revoked").stdout

    assert [line.split()[0] for line in said.splitlines()] == ["client", "okta", "okta", "old"]
    assert " revoked " in said
    assert token not in said
    assert [(one["name"], len(one["tokens"])) for one in listed] == [("okta", 2), ("old", 1)]
    assert listed[1]["revoked"] is not None


def test_the_list_leaves_out_who_was_revoked_and_says_so(run):
    """Each run of `conformance` leaves one, whose acts stay in the audit trail under its name."""
    run("client", "add", "old")
    run("client", "revoke", "old")
    nobody = run("client", "list")
    run("client", "add", "okta")
    listed = run("client", "list")

    assert "There is no client." in nobody.stdout
    assert "old" not in nobody.stdout
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["client", "okta"]
    assert "1 revoked" in listed.stderr
    assert "client list --revoked" in listed.stderr
    assert "old" in run("audit").stdout


@pytest.mark.parametrize("days", ["0", "-1", "soon"])
def test_a_token_cannot_end_before_it_begins(days, run):
    """--expires takes a positive number of days."""
    assert "--expires" in run("client", "add", "okta", "--expires", days, expect=2).stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "operator"),
    [
        (("--operator", "grace"), {"SCIM_BRIDGE_OPERATOR": "joan"}, "grace"),
        ((), {"SCIM_BRIDGE_OPERATOR": "joan"}, "joan"),
        ((), {}, "ada"),
    ],
)
def test_who_did_it_and_why_is_in_the_trail(arguments, variables, operator, run, database):
    """The operator is named by option, else by variable, else by login; the reason is kept."""
    run("client", "add", "okta", "--reason", "new tenant", *arguments, **variables)
    [entry] = trail(database)

    assert (entry.actor, entry.action) == (f"operator:{operator}", "client-added")
    assert (entry.facts["name"], entry.facts["reason"]) == ("okta", "new tenant")
