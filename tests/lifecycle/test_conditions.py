"""A rule's condition means what the same filter means in the API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import ScimFilter

from scim_bridge.directory.documents import document_of
from scim_bridge.lifecycle.conditions import condition
from scim_bridge.scim.provider import FullUser
from tests.cli.operation import ENTERPRISE

TEXTS = st.sampled_from(["Sales", "sales", "Vertrieb Süd", "a", ""])
KINDS = st.sampled_from(["work", "home"])

USERS = st.fixed_dictionaries(
    {"userName": st.sampled_from(["ada@example.com", "bob"]), "active": st.booleans()},
    optional={
        "title": TEXTS,
        "externalId": TEXTS,
        "name": st.fixed_dictionaries({}, optional={"givenName": TEXTS, "familyName": TEXTS}),
        "addresses": st.lists(st.fixed_dictionaries({"type": KINDS, "locality": TEXTS})),
        "emails": st.lists(
            st.fixed_dictionaries({"value": TEXTS.filter(bool)}, optional={"type": KINDS})
        ),
        ENTERPRISE: st.fixed_dictionaries({}, optional={"department": TEXTS, "costCenter": TEXTS}),
    },
)

_TEXTUAL = st.tuples(
    st.sampled_from(
        [
            "userName",
            "title",
            "externalId",
            "name.familyName",
            "emails",
            "emails.type",
            "addresses.locality",
            f"{ENTERPRISE}:department",
        ]
    ),
    st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "le"]),
    st.sampled_from(["Sales", "süd", "a", "work"]),
).map(lambda parts: f'{parts[0]} {parts[1]} "{parts[2]}"')
_OTHERS = st.sampled_from(
    [
        "active eq true",
        "active ne false",
        "title pr",
        "addresses pr",
        "name pr",
        f"{ENTERPRISE}:department pr",
        "title eq null",
        'addresses[type eq "work" and locality eq "sales"]',
        'emails[not (type eq "home")]',
    ]
)
FILTERS = st.recursive(
    _TEXTUAL | _OTHERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=4,
)


@given(USERS, FILTERS)
def test_it_holds_for_whom_the_library_finds(user, text):
    """RFC 7644, section 3.4.2.2: the same parser, and the same answer for any user."""
    resource = FullUser.model_validate(user)
    expected = ScimFilter[FullUser](text).match(resource)
    assert condition(text, FullUser).holds(document_of(resource)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("userName eq", "no SCIM filter"),
        ('department eq "x"', "department"),
        ("groups pr", "cannot depend on it"),
        ('meta.created gt "2026-01-01T00:00:00Z"', "cannot depend on it"),
        ('x509Certificates.value eq "aGk="', "cannot be compared by a rule"),
        ('active gt "x"', "active"),
    ],
)
def test_what_cannot_be_asked_is_refused(text, said):
    """Also what rules give themselves: they would chase their own tail."""
    with pytest.raises(ValueError, match=said):
        condition(text, FullUser)


def test_it_tells_what_it_looks_at():
    """So that the trail can name the attribute whose change mattered."""
    text = f'title pr and ({ENTERPRISE}:department eq "x" or not (addresses[type eq "work"]))'
    looked_at = condition(text, FullUser).attributes
    assert list(map(str, looked_at)) == ["title", f"{ENTERPRISE}:department", "addresses"]
