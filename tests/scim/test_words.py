"""What a client is told about a value that does not fit, in the words of SCIM and JSON."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from scim2_models import InvalidValueException

from scim_bridge.scim.words import problem
from tests.scim.conftest import ENTERPRISE, Scim, assert_error, person


@pytest.mark.parametrize(
    ("attributes", "detail"),
    [
        ({"active": "maybe"}, "active: must be true or false, not a string"),
        ({"userName": 7.5}, "userName: must be a string, not a number"),
        ({"name": "Ada"}, "name: must be an object, not a string"),
        ({"emails": "a"}, "emails: must be a list, not a string"),
        ({"emails": [{"value": None, "primary": 7}]}, "emails[0].primary: must be true or false"),
        ({"emails": [{"value": "a@b.c", "type": 7}]}, "emails[0].type: must be 'work', 'home'"),
        ({"profileUrl": 7}, "profileUrl: must be a string, not a number"),
        ({ENTERPRISE: {"manager": 7}}, f"{ENTERPRISE}:manager: must be an object, not a number"),
        ({"titel": "Countess"}, "titel: there is no such attribute"),
        ({"name": None}, "name.givenName: Identity Center requires a value"),
    ],
)
def test_a_body_that_does_not_fit_is_told_by_attribute(
    scim: Scim, attributes: dict[str, Any], detail: str
) -> None:
    """RFC 7644, section 3.12: the detail is for people, who do not know what the bridge is of."""
    answer = scim.post("/Users", {**person(), **attributes})

    assert answer.status_code == 400
    assert answer.json["detail"].startswith(detail)


def test_a_group_without_a_name_is_told(scim: Scim) -> None:
    """The attribute is named (RFC 7643, section 4.2)."""
    assert assert_error(scim.post("/Groups", {}), 400, "invalidValue") == "displayName is required"


def test_a_patch_is_told_in_the_names_that_were_sent(scim: Scim) -> None:
    """userName, not the name that a field has in Python."""
    path = f"/Users/{scim.user()['id']}"

    answer = scim.patch(path, {"op": "replace", "path": "userName", "value": 7.5})
    without = scim.patch(path, {"path": "active", "value": False})

    assert assert_error(answer, 400, "invalidValue") == "userName: must be a string, not a number"
    assert "op: is required" in assert_error(without, 400, "invalidValue")


def test_a_query_is_told_as_a_body_is(scim: Scim) -> None:
    """GET and POST .search have the same words (RFC 7644, section 3.4.2)."""
    number = "count: must be a whole number, not a string"
    assert assert_error(scim.get("/Users?count=x"), 400, "invalidValue") == number
    assert assert_error(scim.post("/Users/.search", {"count": "x"}), 400, "invalidValue") == number
    unknown = scim.get('/Users?filter=nick eq "x"')
    assert assert_error(unknown, 400, "invalidFilter") == "there is no attribute nick"


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        ('userName = "a = b"', ": use eq"),
        ('title eq "==" and userName != "x"', ": use ne"),
        ("", ": it is empty. Leave it out instead"),
        ("userName eq", ""),
    ],
)
def test_a_filter_that_is_none_is_told_with_its_remedy(scim: Scim, asked: str, remedy: str) -> None:
    """RFC 7644, section 3.12: 400 invalidFilter."""
    told = assert_error(scim.get(f"/Users?filter={quote(asked)}"), 400, "invalidFilter")

    assert re.sub(r"^invalid syntax at column \d+", "", told) == remedy


@pytest.mark.parametrize(
    ("change", "refusal", "told"),
    [
        (
            {"path": 'phoneNumbers[type eq "wrok"].value', "value": "1"},
            "noTarget",
            "no value of phoneNumbers matches the path filter",
        ),
        (
            {"path": "/name/givenName", "value": "A"},
            "invalidPath",
            "invalid syntax at column 1: write name.givenName, without a slash",
        ),
        (
            {"path": "favouriteColour", "value": "red"},
            "invalidPath",
            "favouriteColour: there is no such attribute",
        ),
        (
            {"value": {"name": {"favouriteColour": "red"}}},
            "invalidValue",
            "name.favouriteColour: there is no such attribute",
        ),
        (
            {"path": "manager", "value": "7"},
            "invalidPath",
            f"manager: there is no such attribute; a user's is {ENTERPRISE}:manager",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_told_in_the_names_of_the_schema(
    scim: Scim, change: dict[str, Any], refusal: str, told: str
) -> None:
    """RFC 7644, sections 3.5.2 and 3.12."""
    answer = scim.patch(f"/Users/{scim.user()['id']}", {"op": "replace", **change})

    assert assert_error(answer, 400, refusal) == told


def test_only_an_expression_is_told_of_quotes() -> None:
    """A value that reads like a filter is none."""
    error = InvalidValueException(detail="no").as_pydantic_error()
    found = {"type": error.type, "msg": "no", "loc": (), "input": "a eq 'b'", "ctx": error.context}

    assert problem(found).detail == "no"


@pytest.mark.parametrize(
    "asked", ['password eq "x"', "password pr", "not (password pr)", 'title pr or password eq "x"']
)
def test_nothing_is_found_by_a_password(scim: Scim, asked: str) -> None:
    """What is never returned is not told by filters either (RFC 7644, section 7.5.2)."""
    scim.user()

    assert "password" in assert_error(scim.get(f"/Users?filter={asked}"), 400, "invalidFilter")
    search = scim.post("/.search", {"filter": asked})
    assert "password" in assert_error(search, 400, "invalidFilter")
