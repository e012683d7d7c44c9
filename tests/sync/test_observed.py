"""What the bridge knows of a target: links, what it applied there, what it last saw there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.directory.database import Database
from scim_bridge.plan.state import Principal
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Applied, Observations, as_sent

ADA = Key(kind="user", id="ada")

_paths = st.sampled_from(["title", "profileUrl", "displayName", "emails"])
_values = st.sampled_from(["a", "b", "c"])
_attributes = st.dictionaries(_paths, _values)


def _applied(attributes: dict[str, Any], echo: dict[str, Any]) -> Applied:
    return Applied(attributes=attributes, echo=echo, active=True)


@given(_attributes)
def test_what_was_never_written_is_as_it_is_seen(seen: dict[str, str]) -> None:
    """Without anything applied there is nothing to translate."""
    assert as_sent(seen, None) == seen


@given(_attributes, _attributes)
def test_what_stands_as_it_was_echoed_is_what_was_sent(
    sent: dict[str, str], echo: dict[str, str]
) -> None:
    """However a target rewrites or hides an attribute, sending it again is not planned."""
    shown = {"locale": "en", **echo}

    read = as_sent(shown, _applied(sent, echo))

    assert {path: read[path] for path in sent} == sent
    assert read["locale"] == "en"


@given(_attributes, _attributes, _paths, _values)
def test_what_somebody_changed_since_is_seen(
    sent: dict[str, str], echo: dict[str, str], path: str, value: str
) -> None:
    """A value that differs from the echo is drift, and never hidden."""
    shown = {**echo, path: value}

    read = as_sent(shown, _applied(sent, echo))

    if value != echo.get(path):
        assert read[path] == value


@given(_attributes, _attributes)
def test_nothing_is_lost_that_is_seen(sent: dict[str, str], seen: dict[str, str]) -> None:
    """Every attribute that is shown is in the comparison."""
    assert as_sent(seen, _applied(sent, seen)).keys() == seen.keys() | sent.keys()


@pytest.fixture
def observations(database: Database) -> Observations:
    return Observations(database, "target")


def test_a_principal_belongs_to_one_resource(
    observations: Observations, database: Database
) -> None:
    """`links` is unique on target and target id (design, section 4)."""
    with database.transaction():
        observations.make_link(ADA, "P1", created_here=True)

    with pytest.raises(Exception, match=r"(?i)unique"), database.transaction():
        observations.make_link(Key(kind="user", id="bob"), "P1", created_here=True)


def test_a_link_moves_with_what_was_applied(observations: Observations, database: Database) -> None:
    """A rehire: the same principal, as it was last written."""
    new = Key(kind="user", id="new")
    with database.transaction():
        observations.make_link(ADA, "P1", created_here=True)
        observations.write(ADA, attributes={"title": "A"}, echo={"title": "a"}, active=False)
        observations.move_link(ADA, new)

        assert observations.link(ADA) is None
        assert observations.applied(ADA) is None
        assert observations.linked_to("user", "P1") == new
        assert observations.applied(new) == Applied(
            attributes={"title": "A"}, echo={"title": "a"}, active=False
        )


def test_a_dropped_link_is_forgotten_with_everything_seen(
    observations: Observations, database: Database
) -> None:
    """But not what was applied: the person was known there."""
    with database.transaction():
        observations.make_link(ADA, "P1", created_here=True)
        observations.see("user", Principal(id="P1", external_id="ada", attributes={}))
        observations.write(ADA, attributes={}, echo={}, active=True)
        observations.joined("G1", ["P1", "P2"])
        link = observations.link(ADA)
        assert link is not None
        observations.drop_link(link)

        assert observations.link(ADA) is None
        assert observations.seen("user", "P1") is None
        assert observations.members("G1") == (frozenset({"P2"}), frozenset({"P2"}))
        assert observations.applied(ADA) is not None


def test_who_is_seen_in_a_group_was_not_put_there_by_the_bridge(
    observations: Observations, database: Database
) -> None:
    """Applied and observed are two things."""
    with database.transaction():
        observations.joined("G1", ["P1"])
        observations.see_members("G1", ["P1", "P2"])

        assert observations.members("G1") == (frozenset({"P1"}), frozenset({"P1", "P2"}))
        assert observations.groups_of("P2") == {"G1"}


def test_who_is_no_longer_seen_in_a_group_is_no_longer_given(
    observations: Observations, database: Database
) -> None:
    """Else a later addition by hand would be taken for the bridge's own."""
    with database.transaction():
        observations.joined("G1", ["P1", "P2"])
        observations.see_members("G1", ["P2"])
        observations.see_members("G1", ["P1", "P2"])

        assert observations.members("G1") == (frozenset({"P2"}), frozenset({"P1", "P2"}))


def test_the_holder_of_an_address_is_found_in_any_case(
    observations: Observations, database: Database
) -> None:
    """AWS compares addresses without their case."""
    with database.transaction():
        emails = [{"value": "Ada@Example.com"}]
        principal = Principal(id="P1", external_id=None, attributes={"emails": emails})
        observations.see("user", principal)

        assert observations.holders_of_email("ada@example.com") == ["P1"]


def test_many_ids_are_looked_up_in_several_statements(
    observations: Observations, database: Database
) -> None:
    """A database limits the variables of one statement."""
    members = [f"P{n}" for n in range(6_000)]
    with database.transaction():
        observations.make_link(ADA, "P5999", created_here=True)
        observations.joined("G1", members)

        assert len(observations.members("G1")[1]) == 6_000
        assert observations.resources("user", members) == {"P5999": "ada"}
        assert observations.disabled(members) == frozenset()
        observations.left("G1", members)
        assert observations.members("G1") == (frozenset(), frozenset())
