"""What of a SCIM document Identity Center gets to hold, and how it is read back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.payloads import (
    ENTERPRISE,
    GROUP,
    PATCH_OP,
    USER,
    Problem,
    group_body,
    member_operation,
    patch_body,
    patch_operations,
    problems_of_group,
    problems_of_user,
    project_group,
    project_user,
    read_group,
    read_user,
    split_name,
    user_body,
)
from scim_bridge.identity_center.values import TEXT, URL

ADDRESS = {
    "formatted": "1 Analytical Way, London",
    "streetAddress": "1 Analytical Way",
    "locality": "London",
    "region": "Greater London",
    "postalCode": "N1 1AA",
    "country": "GB",
    "type": "work",
    "primary": True,
}
# Every attribute that the AWS SCIM developer guide lists as supported, with one value.
HELD: dict[str, Any] = {
    "userName": "ada@example.com",
    "name.formatted": "Countess Augusta Ada King Lovelace FRS",
    "name.familyName": "Lovelace",
    "name.givenName": "Ada",
    "name.middleName": "King",
    "name.honorificPrefix": "Countess",
    "name.honorificSuffix": "FRS",
    "displayName": "Ada Lovelace",
    "nickName": "Ada",
    "profileUrl": "https://people.example.com/ada",
    "title": "Analyst",
    "userType": "Employee",
    "preferredLanguage": "en-GB",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
    "addresses": [ADDRESS],
    "phoneNumbers": [{"value": "+44 20 7946 0000", "type": "work", "primary": True}],
    "roles": [{"value": "engineer", "type": "job", "primary": True}],
    f"{ENTERPRISE}:employeeNumber": "701984",
    f"{ENTERPRISE}:costCenter": "4130",
    f"{ENTERPRISE}:organization": "Engines",
    f"{ENTERPRISE}:division": "Difference",
    f"{ENTERPRISE}:department": "Analysis",
    f"{ENTERPRISE}:manager": {"value": "9067-manager"},
}
# The same person as a client wrote it, with what Identity Center has no place for.
DOCUMENT: dict[str, Any] = {
    "schemas": [USER, ENTERPRISE],
    "id": "2819c223-7f76-453a-919d-413861904646",
    "externalId": "hr:1",
    "meta": {"resourceType": "User", "version": 'W/"1"'},
    "active": True,
    "userName": "ada@example.com",
    "name": {
        "formatted": "Countess Augusta Ada King Lovelace FRS",
        "familyName": "Lovelace",
        "givenName": "Ada",
        "middleName": "King",
        "honorificPrefix": "Countess",
        "honorificSuffix": "FRS",
    },
    "displayName": "Ada Lovelace",
    "nickName": "Ada",
    "profileUrl": "https://people.example.com/ada",
    "title": "Analyst",
    "userType": "Employee",
    "preferredLanguage": "en-GB",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "password": "secret",
    "emails": [
        {"value": "ada@home.example", "type": "home"},
        {"value": "ada@example.com", "type": "work", "primary": True, "display": "Ada"},
    ],
    "addresses": [{**ADDRESS, "display": "office"}],
    "phoneNumbers": [
        {"value": "+44 20 7946 0000", "type": "work", "display": "desk"},
        {"value": "+44 7700 900000", "type": "mobile"},
    ],
    "ims": [{"value": "ada", "type": "xmpp"}],
    "photos": [{"value": "https://people.example.com/ada.png"}],
    "groups": [{"value": "1"}],
    "entitlements": [{"value": "x"}],
    "roles": [{"value": "engineer", "type": "job", "display": "Engineer"}],
    "x509Certificates": [{"value": "MII"}],
    ENTERPRISE: {
        "employeeNumber": "701984",
        "costCenter": "4130",
        "organization": "Engines",
        "division": "Difference",
        "department": "Analysis",
        "manager": {"value": "bridge-id", "$ref": "../Users/bridge-id", "displayName": "Boss"},
    },
}
PERSON = {
    "userName": "ada",
    "displayName": "Ada Lovelace",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
}


def attributes_of(document: dict[str, Any], *, manager: str | None = None) -> dict[str, Any]:
    return project_user(document, manager=manager).attributes


def withheld(document: dict[str, Any]) -> list[str]:
    return [problem.path for problem in project_user(document, manager=None).withheld]


def blocking(document: dict[str, Any]) -> list[str]:
    return [problem.path for problem in problems_of_user(document)]


def test_every_attribute_that_identity_center_holds_is_projected() -> None:
    """AWS SCIM developer guide, "Limitations" and CreateUser: all supported ones, no others."""
    projection = project_user(DOCUMENT, manager="9067-manager")
    assert projection.attributes == HELD
    assert projection.withheld == ()
    assert problems_of_user(DOCUMENT) == ()


@pytest.mark.parametrize("path", HELD)
def test_every_attribute_is_read_back_as_it_was_sent(path: str) -> None:
    """What CreateUser is sent for an attribute reads back as the same flat attribute."""
    body = user_body({path: HELD[path]}, active=True)
    assert read_user({"id": "1", **body}).attributes == {path: HELD[path]}


def test_a_projection_is_the_same_when_projected_again() -> None:
    """Nothing is added to what Identity Center holds already."""
    body = user_body(HELD, active=True)
    assert attributes_of(body, manager="9067-manager") == HELD


@pytest.mark.parametrize(
    ("emails", "sent"),
    [
        ([], None),
        ([{"value": "a@x"}], {"value": "a@x", "primary": True}),
        ([{"value": "a@x", "primary": False}], {"value": "a@x", "primary": True}),
        (
            [{"value": "a@x", "type": "home"}, {"value": "b@x", "type": "work"}],
            {"value": "a@x", "type": "home", "primary": True},
        ),
        (
            [{"value": "a@x"}, {"value": "b@x", "primary": True}],
            {"value": "b@x", "primary": True},
        ),
        ([{"value": "", "primary": True}, {"value": "b@x"}], {"value": "b@x", "primary": True}),
        ([{"type": "work", "primary": True}], None),
    ],
)
def test_one_e_mail_is_sent(emails: list[dict[str, Any]], sent: dict[str, Any] | None) -> None:
    """AWS SCIM developer guide, CreateUser: one e-mail, marked as primary; of several, the primary.

    Without a primary one it is the first.
    """
    expected = {} if sent is None else {"emails": [sent]}
    projected = attributes_of({**PERSON, "emails": emails})
    assert {path: projected[path] for path in projected if path == "emails"} == expected


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"displayName": "D", "name": {"formatted": "F F F"}}, "D"),
        ({"name": {"formatted": "Dr Ada L", "givenName": "Ada", "familyName": "L"}}, "Dr Ada L"),
        ({"name": {"givenName": "Ada", "familyName": "Lovelace"}}, "Ada Lovelace"),
        ({"displayName": "", "name": {"formatted": ""}}, "ada"),
        ({"name": {"formatted": "L; Ada", "givenName": "Ada", "familyName": "L"}}, "Ada L"),
    ],
)
def test_a_missing_display_name_is_filled_in(given: dict[str, Any], sent: str) -> None:
    """displayName is required: it is the formatted name, else both names, else userName.

    Nothing is filled in that Identity Center would refuse.
    """
    assert attributes_of({"userName": "ada", **given})["displayName"] == sent


def test_names_are_split_from_a_formatted_name_of_two_words() -> None:
    """Given and family name are required; "Ada Lovelace" leaves no doubt."""
    sent = attributes_of({"userName": "ada", "name": {"formatted": "Ada Lovelace"}})
    assert sent["name.givenName"] == "Ada"
    assert sent["name.familyName"] == "Lovelace"
    assert problems_of_user({"userName": "ada", "name": {"formatted": "Ada Lovelace"}}) == ()


@pytest.mark.parametrize("formatted", ["Ada", "Ada King Lovelace", "Lovelace, Ada", ""])
def test_any_other_formatted_name_is_not_split(formatted: str) -> None:
    """Guessing would put a wrong name into AWS: the client is told what is missing instead."""
    assert split_name(formatted) is None
    document = {"userName": "ada", "name": {"formatted": formatted}}
    assert blocking(document) == ["name.givenName", "name.familyName"]


def test_a_given_name_of_its_own_wins_over_the_formatted_one() -> None:
    """Only what is missing is filled in."""
    name = {"formatted": "Ada Lovelace", "givenName": "Augusta"}
    sent = attributes_of({"userName": "ada", "name": name})
    assert (sent["name.givenName"], sent["name.familyName"]) == ("Augusta", "Lovelace")


def test_all_problems_are_named_at_once() -> None:
    """One answer tells the client everything that stands in the way, each with its path."""
    document = {
        "userName": "ada lovelace",
        "displayName": "Ada <L>",
        "name": {"givenName": "A;da"},
        "emails": [{"value": "ada%example.com"}],
    }
    assert sorted(blocking(document)) == [
        "displayName",
        "emails.value",
        "name.familyName",
        "name.givenName",
        "userName",
    ]


def test_a_problem_says_what_is_wrong() -> None:
    """The reason names the characters, so that somebody can mend it."""
    (problem,) = problems_of_user({**PERSON, "userName": "a:b c"})
    assert str(problem) == "userName: Identity Center does not take the characters ' ' ':'"
    (missing,) = problems_of_user({**PERSON, "userName": " "})
    assert missing == Problem(path="userName", reason="Identity Center requires a value")


def test_only_the_e_mail_that_would_be_sent_can_stand_in_the_way() -> None:
    """A second e-mail stays in the directory, whatever it holds."""
    emails = [{"value": "a;b@x"}, {"value": "ok@x", "primary": True}]
    assert problems_of_user({**PERSON, "emails": emails}) == ()


def test_a_filled_in_display_name_is_no_problem_of_its_own() -> None:
    """The client is not asked to mend a name that it did not send."""
    document = {"userName": "a;da", "name": {"givenName": "A;da", "familyName": "L"}}
    assert sorted(blocking(document)) == ["name.givenName", "userName"]


@pytest.mark.parametrize(
    ("extra", "paths"),
    [
        ({"title": "R&D; Lead"}, ["title"]),
        ({"title": "x" * 1025}, ["title"]),
        ({"preferredLanguage": "da, en-gb;q=0.8"}, ["preferredLanguage"]),
        ({"profileUrl": "https://x/a%20b"}, ["profileUrl"]),
        ({"nickName": "A<3"}, ["nickName"]),
        ({"phoneNumbers": [{"value": "tel:+1-555"}]}, ["phoneNumbers.value"]),
        ({"roles": [{"value": "a:b"}]}, ["roles.value"]),
        ({"addresses": [{"region": "50%", "locality": "L"}]}, ["addresses.region"]),
        ({"emails": [{"value": "a@x", "type": "a:b"}]}, ["emails.type"]),
        ({ENTERPRISE: {"department": "R:D"}}, [f"{ENTERPRISE}:department"]),
        ({"title": 7}, ["title"]),
        ({ENTERPRISE: "x", "addresses": "y", "phoneNumbers": ["z"]}, []),
    ],
)
def test_other_values_that_aws_refuses_are_withheld(
    extra: dict[str, Any], paths: list[str]
) -> None:
    """They stay in the directory and do not stop the write; the audit trail names them."""
    document = {**PERSON, **extra}
    assert withheld(document) == paths
    assert problems_of_user(document) == ()
    assert "userName" in attributes_of(document)
    for path in paths:
        assert path not in attributes_of(document)


def test_a_withheld_part_does_not_take_the_rest_with_it() -> None:
    """The other parts of an address are sent; a phone number without its number is not."""
    address = {"region": "50%", "locality": "London", "type": "work"}
    phone = {"value": "tel:1", "type": "work"}
    sent = attributes_of({**PERSON, "addresses": [address], "phoneNumbers": [phone]})
    assert sent["addresses"] == [{"locality": "London", "type": "work", "primary": True}]
    assert "phoneNumbers" not in sent


def test_a_manager_is_sent_by_principal_id_or_not_at_all() -> None:
    """The directory's own id of the manager means nothing to Identity Center."""
    path = f"{ENTERPRISE}:manager"
    assert attributes_of(DOCUMENT, manager="9067")[path] == {"value": "9067"}
    assert path not in attributes_of(DOCUMENT)
    assert path not in attributes_of({**PERSON, ENTERPRISE: {"manager": {"value": "x"}}})
    assert attributes_of(PERSON, manager="9067")[path] == {"value": "9067"}


def test_group_names_are_checked() -> None:
    """Identity Store API, CreateGroup: a name is required, and two are reserved."""
    assert problems_of_group({"displayName": "Engineers"}) == ()
    assert [one.path for one in problems_of_group({})] == ["displayName"]
    assert [one.path for one in problems_of_group({"displayName": "Administrator"})] == [
        "displayName"
    ]
    assert [one.path for one in problems_of_group({"displayName": "a:b"})] == ["displayName"]


def test_a_group_is_projected_without_its_members() -> None:
    """Members go by PATCH, and `description` is unknown to AWS's SCIM endpoint."""
    document = {"id": "1", "displayName": "Engineers", "members": [{"value": "1"}]}
    assert project_group({**document, "description": "x"}) == {"displayName": "Engineers"}


def test_the_body_of_create_user_nests_the_attributes() -> None:
    """The wire form of CreateUser; `active` is always sent, and as a boolean."""
    attributes = {
        "userName": "ada",
        "name.givenName": "Ada",
        "name.familyName": "Lovelace",
        f"{ENTERPRISE}:department": "Analysis",
    }
    assert user_body(attributes, active=False, external_id="e1") == {
        "schemas": [USER, ENTERPRISE],
        "externalId": "e1",
        "userName": "ada",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        ENTERPRISE: {"department": "Analysis"},
        "active": False,
    }
    assert user_body({"userName": "ada"}, active=True) == {
        "schemas": [USER],
        "userName": "ada",
        "active": True,
    }


def test_the_body_of_create_group() -> None:
    """The wire form of CreateGroup, without members."""
    assert group_body({"displayName": "E"}, external_id="e1") == {
        "schemas": [GROUP],
        "externalId": "e1",
        "displayName": "E",
    }


def test_a_patch_has_one_operation_for_each_path() -> None:
    """Explicit `path`, `op` in lower case, real booleans, and `remove` without a value."""
    operations = patch_operations({"active": True, "title": "Boss"}, ["nickName"])
    assert patch_body(operations) == {
        "schemas": [PATCH_OP],
        "Operations": [
            {"op": "replace", "path": "active", "value": True},
            {"op": "replace", "path": "title", "value": "Boss"},
            {"op": "remove", "path": "nickName"},
        ],
    }


def test_members_are_named_in_the_value() -> None:
    """AWS SCIM developer guide, PatchGroup: add and remove members by name."""
    assert member_operation("remove", ["u1", "u2"]) == {
        "op": "remove",
        "path": "members",
        "value": [{"value": "u1"}, {"value": "u2"}],
    }


def test_a_user_is_read_with_its_id_and_external_id() -> None:
    """AWS SCIM developer guide, GetUser: unset attributes are absent."""
    principal = read_user(
        {
            "id": "9067",
            "externalId": "e1",
            "meta": {"resourceType": "User"},
            "schemas": [USER],
            "userName": "ada",
            "active": False,
            "emails": [],
            "name": None,
            "newThing": {"x": 1},
        }
    )
    assert (principal.id, principal.external_id, principal.active) == ("9067", "e1", False)
    assert principal.attributes == {"userName": "ada"}


def test_an_active_that_is_not_shown_is_true() -> None:
    """Nobody is taken for disabled because an attribute is missing."""
    assert read_user({"id": "1", "userName": "a"}).active is True


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 7}, {"id": "1", "active": "perhaps"}])
def test_what_cannot_be_read_is_no_principal(body: dict[str, Any]) -> None:
    """A wrong id or `active` would be acted on: better no answer than a wrong one."""
    with pytest.raises(Unavailable, match="cannot be read"):
        read_user(body)


def test_values_that_others_wrote_are_read_whatever_they_hold() -> None:
    """The console is held to fewer limits; what is read is not checked against those of sending."""
    shown = {"id": "1", "title": "R;D", "emails": [{"value": "a@x"}], "phoneNumbers": [{}]}
    assert read_user(shown).attributes == {
        "title": "R;D",
        "emails": [{"value": "a@x", "primary": True}],
    }


def test_a_group_is_read_without_members() -> None:
    """AWS SCIM developer guide, ListGroups: `members` is empty whoever is in the group."""
    group = read_group({"id": "g1", "displayName": "E", "members": [], "externalId": "e1"})
    assert (group.id, group.external_id, group.active) == ("g1", "e1", True)
    assert group.attributes == {"displayName": "E"}


# --- Laws ---------------------------------------------------------------------------------------

anything = st.text(max_size=12)
sendable = anything.filter(TEXT.takes).filter(str.strip)
values = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "value": anything,
            "type": anything,
            "display": anything,
            "primary": st.booleans(),
            "region": anything,
            "ref": anything,
        },
    ),
    max_size=3,
)
SINGLE = [path for path in HELD if isinstance(HELD[path], str) and "." not in path]
documents = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(SINGLE, st.one_of(anything, st.none(), st.integers())),
        **dict.fromkeys(["emails", "addresses", "phoneNumbers", "roles"], values),
        "name": st.dictionaries(
            st.sampled_from(["formatted", "givenName", "familyName", "middleName", "other"]),
            anything,
        ),
        ENTERPRISE: st.dictionaries(
            st.sampled_from(["department", "division", "manager", "other"]), anything
        ),
        "password": anything,
        "photos": values,
    },
)
held = st.fixed_dictionaries(
    {},
    optional={
        **{path: sendable for path in HELD if isinstance(HELD[path], str)},
        f"{ENTERPRISE}:manager": st.fixed_dictionaries({"value": sendable}),
        **{
            path: st.lists(
                st.fixed_dictionaries(
                    {"value": sendable, "primary": st.just(True)}, optional={"type": sendable}
                ),
                min_size=1,
                max_size=1,
            )
            for path in ("emails", "phoneNumbers", "roles")
        },
        "addresses": st.lists(
            st.fixed_dictionaries(
                {"locality": sendable, "primary": st.just(True)},
                optional={"region": sendable, "type": sendable},
            ),
            min_size=1,
            max_size=1,
        ),
    },
)


@given(attributes=held, active=st.booleans(), external_id=st.none() | sendable)
def test_nesting_then_reading_is_the_identity(
    attributes: dict[str, Any], active: bool, external_id: str | None
) -> None:
    """What Identity Center holds survives the way to the wire and back, so no drift is made up."""
    body = {"id": "1", **user_body(attributes, active=active, external_id=external_id)}
    principal = read_user(body)
    assert principal.attributes == attributes
    assert (principal.active, principal.external_id) == (active, external_id)


@given(document=documents, manager=st.none() | st.just("m1"))
def test_a_projection_holds_nothing_that_aws_refuses_by_form(
    document: dict[str, Any], manager: str | None
) -> None:
    """Never an empty string, never two values, never an attribute that is not supported."""
    attributes = attributes_of(document, manager=manager)
    assert attributes.keys() <= HELD.keys()
    for path, value in attributes.items():
        match value:
            case str():
                assert value.strip()
            case dict():
                assert value == {"value": manager}
            case _:
                (one,) = value
                assert one["primary"] is True
                assert one.keys() <= HELD[path][0].keys()
                assert all(part is True or part.strip() for part in one.values())


@given(document=documents.map(lambda document: {**document, **PERSON}))
def test_a_document_without_problems_gives_values_that_aws_takes(document: dict[str, Any]) -> None:
    """What blocks is named, and what does not block is withheld: nothing else is left."""
    document = {**document, "emails": [] if blocking(document) else document.get("emails")}
    assert problems_of_user(document) == ()
    for path, value in attributes_of(document).items():
        parts = [value] if isinstance(value, str) else list(value[0].values())
        rule = URL if path == "profileUrl" else TEXT
        assert all(part is True or rule.takes(part) for part in parts)


@given(document=documents)
def test_every_required_name_is_sent_or_named_as_a_problem(document: dict[str, Any]) -> None:
    """AWS SCIM developer guide, CreateUser: four names are required and never empty."""
    problems = {problem.path for problem in problems_of_user(document)}
    attributes = attributes_of(document)
    for path in ("userName", "displayName", "name.givenName", "name.familyName"):
        assert path in attributes or problems
