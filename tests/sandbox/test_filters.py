"""The filter grammar: `attribute eq "value"`, at most two joined by `and`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.sandbox.filters import GROUP_FILTERS, USER_FILTERS, parse_filter
from scim_bridge.sandbox.refusals import Invalid


@given(value=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_every_printable_value_can_be_asked_for(value):
    """Values are JSON strings (RFC 7644 section 3.4.2.2), so any text can be quoted."""
    text = f"userName eq {json.dumps(value, ensure_ascii=False)}"
    assert parse_filter(text, allowed=USER_FILTERS) == {"userName": value}


def test_two_terms_may_come_in_either_order():
    """`id` and `members`, either order. [documented]"""
    expected = {"id": "G", "members": "U"}
    for text in ('id eq "G" and members eq "U"', 'members eq "U" and id eq "G"'):
        assert parse_filter(text, allowed=GROUP_FILTERS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        'userName co "a"',
        'userName sw "a"',
        'userName ne "a"',
        "userName pr",
        "userName eq ada",
        'userName eq "a',
        'userName eq ""',
        r'userName eq "\q"',
        "userName eq true",
        'userName EQ "a"',
        'USERNAME eq "a"',
        'not (userName eq "a")',
        '(userName eq "a")',
        'userName eq "a" or userName eq "b"',
        'userName eq "a" and externalId eq "b"',
        'userName eq "a" and userName eq "a"',
        'id eq "a" and manager eq "b" and id eq "c"',
        'id eq "a" AND manager eq "b"',
        'id eq "a"and manager eq "b"',
        'manager eq "b"',
        'emails.value eq "a@example.com"',
        'emails[type eq "work"]',
        "active eq true",
        'meta.lastModified eq "2024"',
        'displayName eq "Ada"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a"',
    ],
)
def test_any_other_filter_on_users_is_refused(text):
    """No other operator, no not, or, pr, and no other attribute. [documented; the case of names
    and operators is inferred]
    """
    with pytest.raises(Invalid):
        parse_filter(text, allowed=USER_FILTERS)


@pytest.mark.parametrize("text", ['userName eq "a"', 'members eq "U"', 'member eq "U"'])
def test_any_other_filter_on_groups_is_refused(text):
    """Groups have filters of their own. [documented]"""
    with pytest.raises(Invalid):
        parse_filter(text, allowed=GROUP_FILTERS)
