"""Clients and their tokens: what is issued, what is accepted, and what is kept."""

import re

import pytest
from sqlalchemy import select

from scim_bridge.directory import migration
from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import client_tokens
from scim_bridge.directory.trail import trail
from scim_bridge.errors import OperatorError
from scim_bridge.scim import credentials
from scim_bridge.scim.credentials import Client, Rejection, authenticate

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock():
    """The time, as the test tells it."""
    return Clock()


@pytest.fixture
def database(tmp_path):
    """An empty directory."""
    database = Database(f"sqlite:///{tmp_path}/bridge.db")
    migration.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def add(database, clock):
    """Register a client."""

    def add(name: str = "okta", **options):
        return credentials.add(database, name, clock=clock, **options)

    return add


@pytest.fixture
def rotate(database, clock):
    """Give a client a new token, some time later."""

    def rotate(name: str = "okta", **options):
        clock.advance(1)
        return credentials.rotate(database, name, clock=clock, **options)

    return rotate


@pytest.fixture
def accepted(database, clock):
    """Whether a token is accepted now."""

    def accepted(token) -> bool:
        return isinstance(authenticate(database, token.token, clock=clock), Client)

    return accepted


def test_a_token_is_random_and_can_be_recognised(add):
    """A token has a prefix that scanners know, and 256 random bits."""
    first, second = add("okta").token, add("entra").token

    assert re.fullmatch(r"scb_[A-Za-z0-9_-]{43}", first)
    assert first != second


def test_a_token_is_kept_as_its_digest(database, add):
    """Whoever reads the database cannot call in a client's name."""
    token = add().token

    raw = database.path.read_bytes() + database.path.with_name("bridge.db-wal").read_bytes()
    assert token.encode() not in raw
    assert token.removeprefix("scb_").encode() not in raw


def test_a_token_is_not_in_its_repr(add):
    """A token does not get into a log or a traceback with the object that carries it."""
    issued = add()

    assert issued.token not in repr(issued)


def test_a_token_names_its_client(database, clock, add):
    """A live token is its client, with its scope."""
    okta, reports = add("okta"), add("reports", read_only=True)

    assert authenticate(database, okta.token, clock=clock) == Client(name="okta", read_only=False)
    assert authenticate(database, reports.token, clock=clock) == Client(
        name="reports", read_only=True
    )


@pytest.mark.parametrize(
    "token", ["", "scb_", "scb_" + "A" * 43, "Bearer", "ñ" * 100_000, "\udc80"]
)
def test_what_was_never_issued_is_unknown(token, database, clock, add):
    """Whatever else arrives is nobody."""
    add()

    assert authenticate(database, token, clock=clock) is Rejection.UNKNOWN


def test_a_digest_is_no_token(database, clock, add):
    """What is in the database does not open the door."""
    add()
    with database.reading() as connection:
        digest = connection.scalar(select(client_tokens.c.digest))

    assert authenticate(database, digest, clock=clock) is Rejection.UNKNOWN


def test_a_token_ends_when_it_should(database, clock, add, accepted):
    """At its end a token is expired, not a moment later."""
    issued = add(expires_days=1)

    clock.advance(DAY - 1)
    assert accepted(issued)

    clock.advance(1)
    assert authenticate(database, issued.token, clock=clock) is Rejection.EXPIRED


def test_a_rotation_leaves_both_tokens_for_the_overlap(clock, add, rotate, accepted):
    """The client has a day to take up its new token."""
    first = add()
    second = rotate()

    assert accepted(first)
    assert accepted(second)

    clock.advance(DAY)
    assert not accepted(first)
    assert accepted(second)


def test_a_rotation_never_makes_a_token_live_longer(clock, add, rotate, accepted):
    """A token that ends before the overlap does ends when it was to end."""
    first = add(expires_days=0.5)
    rotate(overlap=7 * DAY)

    clock.advance(0.5 * DAY)
    assert not accepted(first)


def test_a_third_live_token_is_refused(clock, add, rotate, accepted):
    """At most two tokens are live; the operator chooses to wait or to end both."""
    first = add()
    second = rotate()
    with pytest.raises(OperatorError, match=re.escape("--overlap 0")):
        rotate()

    assert accepted(first)
    assert accepted(second)

    third = rotate(overlap=0)
    assert [accepted(token) for token in (first, second, third)] == [False, False, True]


def test_a_rotation_after_the_overlap_is_ordinary(clock, add, rotate, accepted):
    """A token that has ended does not count."""
    add()
    second = rotate()
    clock.advance(DAY)
    third = rotate()

    assert accepted(second)
    assert accepted(third)


def test_a_new_token_lives_as_long_as_the_last_was_meant_to(clock, add, rotate):
    """A rotation keeps the lifetime that was once chosen, unless another is."""
    add(expires_days=90)
    clock.advance(80 * DAY)
    second = rotate()
    clock.advance(2 * DAY)
    third = rotate(overlap=HOUR, expires_days=7)

    assert second.expires == second.created + 90 * DAY
    assert third.expires == third.created + 7 * DAY


def test_a_client_whose_token_has_ended_can_get_a_new_one(clock, add, rotate, accepted):
    """Rotation is the way back after an expiry."""
    add(expires_days=1)
    clock.advance(2 * DAY)

    assert accepted(rotate())


def test_a_revoked_client_is_refused_at_once(database, clock, add, rotate):
    """All tokens of a client end with it, the older and the newer."""
    tokens = [add(), rotate()]
    credentials.revoke(database, "okta", clock=clock)

    for token in tokens:
        assert authenticate(database, token.token, clock=clock) is Rejection.REVOKED


def test_the_name_of_a_revoked_client_is_free(database, clock, add, accepted):
    """A new client of the name gets a token of its own; the old ones stay refused."""
    old = add()
    credentials.revoke(database, "okta", clock=clock)
    clock.advance(1)
    new = add()

    assert accepted(new)
    assert not accepted(old)
    assert [one.revoked is None for one in credentials.registrations(database)] == [False, True]


def test_a_name_is_taken_once(add):
    """Two clients of one name could not be told apart in the audit trail."""
    add()
    with pytest.raises(OperatorError, match="scim-bridge client rotate okta"):
        add()


@pytest.mark.parametrize("name", ["", "two words", "-x", "a/b", "ä", "x" * 65, "okta\n"])
def test_a_name_is_plain(name, add):
    """A name stands in logs, in the trail and on command lines."""
    with pytest.raises(OperatorError, match="cannot be named"):
        add(name)


def test_who_is_not_there_cannot_be_rotated_or_revoked(database, rotate):
    """The error names the command that lists the clients."""
    with pytest.raises(OperatorError, match="scim-bridge client list"):
        rotate()
    with pytest.raises(OperatorError, match="scim-bridge client list"):
        credentials.revoke(database, "okta")


def test_the_last_use_is_noted_at_most_once_a_minute(database, clock, add, accepted):
    """A busy client costs one write a minute, not one a request."""
    issued = add()

    def last_used() -> float | None:
        return credentials.registrations(database)[0].tokens[0].last_used

    assert last_used() is None
    used = clock.now
    assert accepted(issued)
    clock.advance(MINUTE - 1)
    assert accepted(issued)
    assert last_used() == used
    clock.advance(1)
    assert accepted(issued)
    assert last_used() == used + MINUTE


def test_a_refused_token_is_not_noted_as_used(database, clock, add):
    """Only what was accepted counts as use."""
    issued = add(expires_days=1)
    clock.advance(2 * DAY)
    authenticate(database, issued.token, clock=clock)

    assert credentials.registrations(database)[0].tokens[0].last_used is None


def test_a_locked_database_does_not_keep_a_client_out(database, add, clock, monkeypatch):
    """A token can be read while somebody else writes; noting its use can wait."""
    issued = add()
    monkeypatch.setattr("scim_bridge.directory.database.SQLITE_BUSY_SECONDS", 0)
    impatient = Database(database.url)
    with database.transaction():
        client = authenticate(impatient, issued.token, clock=clock)
    impatient.close()

    assert client == Client(name="okta", read_only=False)
    assert credentials.registrations(database)[0].tokens[0].last_used is None


def test_every_act_is_in_the_trail_without_the_token(database, clock, add, rotate):
    """Adding, rotating and revoking are audited, with the client's name and the token's end."""
    tokens = [add(expires_days=90).token, rotate().token]
    credentials.revoke(database, "okta", clock=clock)
    entries = list(trail(database))

    assert [entry.action for entry in entries] == [
        Action.CLIENT_ADDED,
        Action.CLIENT_ROTATED,
        Action.CLIENT_REVOKED,
    ]
    assert {(entry.kind, entry.facts["name"]) for entry in entries} == {("client", "okta")}
    assert entries[0].facts["expires"] == 1_800_000_000.0 + 90 * DAY
    assert not any(token in str(entry) for token in tokens for entry in entries)


def test_a_failed_act_leaves_nothing(database, add):
    """A client that cannot be added is neither there nor in the trail."""
    add()
    with pytest.raises(OperatorError):
        add()

    assert len(credentials.registrations(database)) == 1
    assert len(list(trail(database))) == 1


def test_a_client_keeps_its_dialect(database, clock, add, rotate):
    """Tolerant unless it is told to be strict, and with the next token as well."""
    tokens = [add("okta"), add("hr", dialect="strict"), rotate("hr", overlap=0)]
    dialects = [authenticate(database, one.token, clock=clock) for one in (tokens[0], tokens[2])]

    assert [one.dialect for one in tokens] == ["tolerant", "strict", "strict"]
    assert [client.dialect for client in dialects] == ["tolerant", "strict"]
    listed = {one.name: one.dialect for one in credentials.registrations(database)}
    assert listed == {"okta": "tolerant", "hr": "strict"}
