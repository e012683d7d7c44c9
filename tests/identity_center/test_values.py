"""Which strings Identity Center takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from scim_bridge.identity_center.values import (
    EXTERNAL_ID,
    GROUP_NAME,
    TEXT,
    URL,
    USER_NAME,
    Taken,
    external_id_is_sendable,
)


@pytest.mark.parametrize("character", [*"<>;:%", "\x00", "\x7f", "\u2028", "\ud800", "\ue000"])
def test_characters_that_aws_refuses_are_refused(character: str) -> None:
    """Okta's note on `< > ; : %`; the Identity Store API's pattern for the other kinds."""
    with pytest.raises(ValidationError):
        TEXT(f"a{character}b")


@pytest.mark.parametrize(
    "text", ["Zoë Åström-O'Brien", "名前", "a\tb\nc", "1 & (2) | €", "x\u3000y"]
)
def test_letters_symbols_and_the_white_space_aws_lists_are_taken(text: str) -> None:
    """The Identity Store API's pattern: letters, marks, symbols, numbers, punctuation, spaces."""
    assert TEXT(text) == text


@pytest.mark.parametrize(
    ("rule", "longest"), [(TEXT, 1024), (USER_NAME, 128), (EXTERNAL_ID, 256), (GROUP_NAME, 1024)]
)
def test_lengths_are_those_of_the_identity_store_api(rule: Taken, longest: int) -> None:
    """UserName 128, ExternalId.Id 256, everything else 1024 characters, and never none."""
    assert rule.takes("x" * longest)
    assert not rule.takes("x" * (longest + 1))
    assert not rule.takes("")


@pytest.mark.parametrize("rule", [USER_NAME, EXTERNAL_ID])
def test_names_and_ids_hold_no_white_space(rule: Taken) -> None:
    """AWS SCIM developer guide, CreateUser: userName without white space."""
    assert not rule.takes("a b")
    assert rule.takes("a.b+c@example.com")


@pytest.mark.parametrize("name", ["Administrator", "administrator", "AWSAdministrators"])
def test_reserved_names_are_refused_for_users_and_groups(name: str) -> None:
    """Identity Store API, CreateUser and CreateGroup: reserved names."""
    assert not USER_NAME.takes(name)
    assert not GROUP_NAME.takes(name)
    assert TEXT.takes(name)


def test_a_profile_url_may_have_its_colon() -> None:
    """AWS's own CreateUser example sends one; the other refused characters stay refused."""
    assert URL.takes("https://people.example.com/ada")
    assert not URL.takes("https://people.example.com/ada%20l")


def test_everything_wrong_is_said_at_once() -> None:
    """One message names length and characters, not only the first."""
    with pytest.raises(ValidationError) as caught:
        USER_NAME("a b;" * 40)
    assert "128" in str(caught.value)
    assert "' ' ';'" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "sendable"),
    [
        ("2819c223-7f76-453a-919d-413861904646", True),
        ("00u1a2b3c4", True),
        ("f:2819c223:ada", False),
        ("with space", False),
        ("", False),
        ("x" * 257, False),
    ],
)
def test_an_external_id_is_sendable_or_not(value: str, sendable: bool) -> None:
    """A colon in externalId was refused (observed with Keycloak's ids)."""
    assert external_id_is_sendable(value) is sendable


@given(st.uuids())
def test_every_id_of_the_bridge_is_sendable(value: object) -> None:
    """The bridge's own ids are UUIDs, so that they can always be sent."""
    assert external_id_is_sendable(str(value))
