"""Which bodies are read at all: strict JSON, and no more than can be read in good time."""

import json
from typing import Any

import pytest
from scim2_models import (
    InvalidFilterException,
    InvalidPathException,
    InvalidValueException,
    PayloadTooLargeException,
    SCIMException,
)

from scim_bridge.scim.body import (
    MAX_FILTER_LENGTH,
    MAX_QUALIFIED,
    MAX_REMOVED,
    MAX_SELECTED,
    MAX_VALUES,
    decoded,
    each_once,
    refuse_excess,
)
from scim_bridge.scim.provider import MAX_OPERATIONS
from tests.scim.conftest import Scim, assert_error, person

ID = "00000000-0000-4000-8000-000000000000"
LONG = "emails[" + " or ".join(['value eq "x"'] * 2_000) + "].value"

QUALIFIED = [f"urn:x:{number}" for number in range(MAX_QUALIFIED + 1)]


def operations(*, number: int = MAX_OPERATIONS, **each: Any) -> dict[str, Any]:
    return {"Operations": [each] * number}


# -- Names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"userName": "eve", "active": false, "active": true}',
        b'{"userName": "eve", "active": false, "Active": true}',
        b'{"userName": "eve", "name": {"givenName": "A", "GIVENNAME": "B"}}',
    ],
)
def test_an_attribute_that_is_given_twice_is_refused(scim: Scim, body: bytes) -> None:
    """Names have no case (RFC 7643, section 2.1), and nobody can know which one is meant."""
    assert "twice" in assert_error(scim.send("POST", "/Users", data=body), 400, "invalidSyntax")
    assert scim.writes == []


def test_a_deactivation_that_is_also_none_is_refused(scim: Scim) -> None:
    """Answered with 2xx, it would leave somebody active whom the client believes disabled."""
    user = scim.user()
    body = b'{"Operations": [{"op": "replace", "path": "active", "value": false, "value": true}]}'

    answer = scim.send("PATCH", f"/Users/{user['id']}", data=body)

    assert "value" in assert_error(answer, 400, "invalidSyntax")


def test_the_same_name_in_two_objects_is_no_matter() -> None:
    """Each entry of a list has its own attributes."""
    body = {"emails": [{"value": "a"}, {"value": "b"}], "name": {"value": "c"}}

    assert decoded(json.dumps(body).encode()) == body


# -- Sizes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "refusal"),
    [
        (operations(number=MAX_OPERATIONS + 1), PayloadTooLargeException),
        ({"operations": [7] * (MAX_OPERATIONS + 1)}, PayloadTooLargeException),
        (operations(number=2, data=operations(number=1001)), PayloadTooLargeException),
        ({"Filter": "x" * (MAX_FILTER_LENGTH + 1)}, InvalidFilterException),
        ({"sortBy": "x" * (MAX_FILTER_LENGTH + 1)}, InvalidPathException),
        ({"attributes": "a," * MAX_FILTER_LENGTH}, InvalidPathException),
        ({"attributes": ["title"] * (MAX_VALUES + 1)}, InvalidValueException),
        (operations(number=1, op="add", path=LONG), InvalidPathException),
        (operations(number=1, op="add", value={LONG: "x"}), InvalidPathException),
        (operations(op="remove", path=f'emails[value eq "{"x" * 100}"]'), InvalidPathException),
        ({"emails": [{"value": "x"}] * (MAX_VALUES + 1)}, InvalidValueException),
        ({name: {} for name in QUALIFIED}, InvalidValueException),
        (
            operations(number=1, op="add", value=dict.fromkeys(QUALIFIED, "x")),
            InvalidValueException,
        ),
        (
            operations(number=1, Op="Remove", path="members", value=[{}] * (MAX_REMOVED + 1)),
            InvalidValueException,
        ),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_what_would_take_too_long_to_read_is_refused(
    payload: dict[str, Any], refusal: type[SCIMException]
) -> None:
    """Four megabytes of a filter, of paths or of operations kept a server busy for a minute."""
    with pytest.raises(refusal, match=r"at most|more than"):
        refuse_excess(payload)


@pytest.mark.parametrize(
    "payload",
    [
        operations(op="remove", path=f'members[value eq "{ID}"]'),
        operations(method="PATCH", path=f"/Users/{ID}", data=operations(number=5, path="title")),
        operations(number=1, op="remove", path="members", value=[{"value": ID}] * MAX_REMOVED),
        operations(number=1, op="replace", path="members", value=[{"value": ID}] * 50_000),
        {"members": [{"value": ID}] * 50_000},
        {"filter": "x" * MAX_FILTER_LENGTH},
    ],
    ids=lambda payload: json.dumps(payload)[:60],
)
def test_what_clients_send_is_not_too_much(payload: dict[str, Any]) -> None:
    """Large groups and full Bulk requests stay far from every limit."""
    refuse_excess(payload)


def test_too_many_operations_are_told_by_number(scim: Scim) -> None:
    """A SCIM error that says what to send instead, and nothing is changed."""
    user = scim.user()
    one = {"op": "replace", "path": "title", "value": "x"}

    answer = scim.patch(f"/Users/{user['id']}", *[one] * (MAX_OPERATIONS + 1))

    assert str(MAX_OPERATIONS) in assert_error(answer, 413)
    assert scim.get(f"/Users/{user['id']}").json == user


def test_a_user_has_not_a_thousand_addresses(scim: Scim) -> None:
    """Named with its attribute."""
    emails = [{"value": f"{number}@example.com"} for number in range(MAX_VALUES + 1)]

    answer = scim.post("/Users", person(emails=emails))

    assert "emails" in assert_error(answer, 400, "invalidValue")


def test_a_name_that_is_selected_again_is_looked_for_once() -> None:
    """RFC 7644, section 3.9: a selection is a set. What is no text is left to be refused."""
    assert each_once({"attributes": "title,Title,userName, title", "count": "1"}) == {
        "attributes": "title,userName",
        "count": "1",
    }
    assert each_once({"excludedAttributes": ["title", "title"], "attributes": [1, 1]}) == {
        "excludedAttributes": ["title"],
        "attributes": [1, 1],
    }


def test_more_names_than_there_are_attributes_are_refused() -> None:
    """Each is looked for in each resource of a page (RFC 7644, section 3.9)."""
    names = [f"title.x{number}" for number in range(MAX_SELECTED + 1)]
    assert each_once({"attributes": names[1:]}) == {"attributes": names[1:]}
    for selected in (names, ",".join(names)):
        with pytest.raises(InvalidValueException, match="attributes names 301 attributes"):
            each_once({"attributes": selected})
