"""Changing users by PATCH (RFC 7644, section 3.5.2): every form of a path, and what is refused."""

import json
from typing import Any

import pytest

from tests.scim.conftest import ENTERPRISE, Scim, assert_error

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
WORK = {"value": "w@example.com", "type": "work", "primary": True}
HOME = {"value": "h@example.com", "type": "home"}


def add(path: str | None, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def replace(path: str | None, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def remove(path: str | None) -> dict[str, Any]:
    return {"op": "remove", "path": path}


@pytest.fixture
def user(scim: Scim) -> dict[str, Any]:
    return scim.user(
        title="Countess",
        emails=[WORK, HOME],
        **{ENTERPRISE: {"department": "Analysis", "manager": {"value": "m"}}},
    )


def at(user: dict[str, Any], *path: str) -> Any:
    found: Any = user
    for name in path:
        found = (found or {}).get(name)
    return found


def without_primary(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry, where "not primary" is as good as nothing."""
    return {name: value for name, value in entry.items() if value is not False}


# -- Every form of a path ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "path", "value"),
    [
        (replace("title", "Analyst"), ["title"], "Analyst"),
        (replace("TITLE", "Analyst"), ["title"], "Analyst"),
        (add("nickName", "Ada"), ["nickName"], "Ada"),
        (remove("title"), ["title"], None),
        (replace("title", None), ["title"], None),
        (add("name.middleName", "King"), ["name", "middleName"], "King"),
        (add("name", {"middleName": "King"}), ["name", "givenName"], "Ada"),
        (replace("name", {"familyName": "King"}), ["name", "givenName"], "Ada"),
        (replace(f"{CORE}:title", "Analyst"), ["title"], "Analyst"),
        (replace(f"{CORE}:name.familyName", "King"), ["name", "familyName"], "King"),
        (replace(CORE, {"title": "Analyst"}), ["title"], "Analyst"),
        (replace(f"{ENTERPRISE}:department", "X"), [ENTERPRISE, "department"], "X"),
        (replace(f"{ENTERPRISE.upper()}:DEPARTMENT", "X"), [ENTERPRISE, "department"], "X"),
        (replace(f"{ENTERPRISE}:manager.value", "n"), [ENTERPRISE, "manager", "value"], "n"),
        (remove(f"{ENTERPRISE}:manager"), [ENTERPRISE, "manager"], None),
        (add(ENTERPRISE, {"costCenter": "7"}), [ENTERPRISE, "department"], "Analysis"),
        (remove(ENTERPRISE), [ENTERPRISE], None),
        (add(None, {"nickName": "Ada"}), ["nickName"], "Ada"),
        (add(None, {ENTERPRISE: {"costCenter": "7"}}), [ENTERPRISE, "costCenter"], "7"),
        (add(None, {f"{ENTERPRISE}:costCenter": "7"}), [ENTERPRISE, "costCenter"], "7"),
        (replace(None, {"name.familyName": "King"}), ["name", "familyName"], "King"),
    ],
    ids=str,
)
def test_every_form_of_a_path_is_understood(
    scim: Scim, user: dict[str, Any], operation: dict[str, Any], path: list[str], value: Any
) -> None:
    """Sections 3.5.2 and 3.10: attr, attr.sub, URN:attr, URN:attr.sub, the URN alone, no path."""
    answer = scim.patch(f"/Users/{user['id']}", operation)

    assert answer.status_code == 200, answer.text
    assert at(answer.json, *path) == value
    assert scim.get(f"/Users/{user['id']}").json == answer.json


@pytest.mark.parametrize(
    ("operation", "emails"),
    [
        (add("emails", {"value": "x@example.com"}), [WORK, HOME, {"value": "x@example.com"}]),
        (add("emails", [HOME]), [WORK, HOME]),
        (add("emails", [{**HOME, "primary": True}]), [{**WORK, "primary": False}, "home"]),
        (replace('emails[type eq "home"].primary', True), [{**WORK, "primary": False}, "home"]),
        (add('emails[type eq "home"]', {"primary": True}), [{**WORK, "primary": False}, "home"]),
        (
            add("emails", {"value": "x@example.com", "primary": True}),
            [{**WORK, "primary": False}, HOME, {"value": "x@example.com", "primary": True}],
        ),
        (
            replace('emails[type eq "home"].value', "x@example.com"),
            [WORK, {**HOME, "value": "x@example.com"}],
        ),
        (
            replace('emails[type ne "home" and value sw "W"].type', "other"),
            [{**WORK, "type": "other"}, HOME],
        ),
        (
            replace("emails.type", "other"),
            [{**WORK, "type": "other"}, {**HOME, "type": "other"}],
        ),
        (remove('emails[type eq "home"]'), [WORK]),
        (remove('emails[type eq "home"].type'), [WORK, {"value": HOME["value"]}]),
        (
            remove("emails.type"),
            [{"value": WORK["value"], "primary": True}, {"value": HOME["value"]}],
        ),
        (remove("emails"), []),
        (replace("emails", []), []),
        (replace("emails", [HOME]), [HOME]),
    ],
    ids=str,
)
def test_entries_are_chosen_and_one_is_primary(
    scim: Scim, user: dict[str, Any], operation: dict[str, Any], emails: list[Any]
) -> None:
    """Section 3.5.2: value filters, and a new primary that makes the others none."""
    answer = scim.patch(f"/Users/{user['id']}", operation)

    expected = [{**HOME, "primary": True} if one == "home" else one for one in emails]
    assert answer.status_code == 200, answer.text
    found = [without_primary(one) for one in answer.json.get("emails", [])]
    primaries = [one for one in answer.json.get("emails", []) if one.get("primary")]
    assert len(primaries) <= 1
    if operation["op"] == "add" and operation["value"] == [{**HOME, "primary": True}]:
        # An entry that differs in one part is another entry.
        assert without_primary(expected[0]) in found
        assert primaries == [{**HOME, "primary": True}]
        return
    assert found == [without_primary(one) for one in expected]


@pytest.mark.parametrize(
    "operations",
    [
        [add("title", "Countess")],
        [replace("title", "Countess")],
        [add("emails", [HOME])],
        [add("emails", [])],
        [add(None, {})],
        [remove("nickName")],
        [add("nickName", "Ada"), remove("nickName")],
        [replace(f"{ENTERPRISE}:department", "Analysis")],
    ],
    ids=str,
)
def test_what_is_there_already_is_no_change(
    scim: Scim, user: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    """Section 3.5.2.1: neither the version nor `lastModified` moves."""
    told = len(scim.writes)

    answer = scim.patch(f"/Users/{user['id']}", *operations)

    assert (answer.status_code, answer.json["meta"]) == (200, user["meta"])
    assert len(scim.writes) == told


# -- What is refused --------------------------------------------------------------------


REFUSED: list[tuple[dict[str, Any], str]] = [
    (replace("titel", "x"), "invalidPath"),
    (replace("name.titel", "x"), "invalidPath"),
    (replace("title.value", "x"), "invalidPath"),
    (replace("urn:x:y:z", "x"), "invalidPath"),
    (replace("emails[", "x"), "invalidPath"),
    (replace('emails[type eq "work"].titel', "x"), "invalidPath"),
    (replace("emails[type eq].value", "x"), "invalidPath"),
    (replace('emails[titel eq "x"].value', "x"), "invalidFilter"),
    (replace('title[value eq "x"]', "x"), "invalidFilter"),
    (replace('emails[value co "nothing"].display', "x"), "noTarget"),
    (replace('emails[type eq "x" and value co "y"].value', "x"), "noTarget"),
    (remove(None), "noTarget"),
    (replace("id", "x"), "mutability"),
    (remove("id"), "mutability"),
    (replace("meta.version", "x"), "mutability"),
    (add("groups", [{"value": "x"}]), "mutability"),
    (remove("groups"), "mutability"),
    (add(None, {"id": "x"}), "mutability"),
    (remove("userName"), "mutability"),
    (replace("userName", None), "mutability"),
    (remove("schemas"), "mutability"),
    (remove("name"), "mutability"),
    (remove("name.familyName"), "mutability"),
    (replace("title", 5.5), "invalidValue"),
    (replace("title", ["x", "y"]), "invalidValue"),
    (replace("name", "x"), "invalidValue"),
    (replace("emails", ["x@example.com"]), "invalidValue"),
    (replace("active", "perhaps"), "invalidValue"),
    (add("emails", None), "invalidValue"),
    (add(None, {"titel": "x"}), "invalidValue"),
    (replace("emails", [WORK, {**HOME, "primary": True}]), "invalidValue"),
    ({"op": "add", "path": "title"}, "invalidValue"),
    ({"op": "replace", "path": "title"}, "invalidValue"),
    ({"op": "move", "path": "title", "value": "x"}, "invalidValue"),
    ({"path": "title", "value": "x"}, "invalidValue"),
]


def test_what_cannot_be_done_is_refused_with_its_name_and_nothing_is_done(
    scim: Scim, user: dict[str, Any]
) -> None:
    """Section 3.12's names; the operations of a request are done all or none (section 3.5.2)."""
    path = f"/Users/{user['id']}"
    before = scim.get(path).json

    for operation, scim_type in REFUSED:
        answer = scim.patch(path, add("nickName", "Ada"), operation, replace("title", "Analyst"))

        assert (answer.status_code, answer.json.get("scimType")) == (400, scim_type), operation
        assert answer.json["detail"]
        assert scim.get(path).json == before, operation


def test_a_value_that_somebody_else_has_is_409(renaming: Scim) -> None:
    """Section 3.12, uniqueness: whatever its case, and nothing else of the request is done."""
    renaming.user("bob", emails=[{"value": "bob@example.com", "primary": True}])
    ada = renaming.user("ada", emails=[WORK])
    path = f"/Users/{ada['id']}"

    for taken in (
        replace("userName", "BOB@example.com"),
        replace('emails[type eq "work"].value', "BOB@example.com"),
    ):
        answer = renaming.patch(path, add("title", "Countess"), taken)
        assert_error(answer, 409, "uniqueness")
    assert renaming.get(path).json == ada


# -- Sorting (RFC 7644, section 3.4.2.3) --------------------------------------------------


@pytest.mark.parametrize(
    ("sort_by", "ascending"),
    [
        ("userName", ["ada", "bob", "cia"]),
        ("USERNAME", ["ada", "bob", "cia"]),
        (f"{CORE}:userName", ["ada", "bob", "cia"]),
        ("title", ["bob", "ada", "cia"]),
        ("name.givenName", ["ada", "bob", "cia"]),
        ("emails", ["bob", "ada", "cia"]),
        ("emails.value", ["bob", "ada", "cia"]),
        ("emails.type", ["ada", "bob", "cia"]),
        (f"{ENTERPRISE}:department", ["bob", "ada", "cia"]),
        (f"{ENTERPRISE}:manager.value", ["ada", "bob", "cia"]),
        ("groups.display", ["bob", "ada", "cia"]),
        ("meta.created", ["ada", "bob", "cia"]),
        ("meta.version", ["cia", "ada", "bob"]),
    ],
)
def test_users_are_sorted_by_any_attribute(scim: Scim, sort_by: str, ascending: list[str]) -> None:
    """The primary of several values, whatever the case; nobody without one comes before another."""
    emails = [{"value": "a@example.com"}, {"value": "Z@example.com", "type": "a", "primary": True}]
    ada = scim.user(
        "ada",
        title="zeta",
        emails=emails,
        **{ENTERPRISE: {"department": "b", "manager": {"value": "a"}}},
    )
    bob = scim.user(
        "bob",
        title="ALPHA",
        emails=[{"value": "m@example.com", "type": "b"}],
        **{ENTERPRISE: {"department": "A", "manager": {"value": "b"}}},
    )
    scim.user("cia")
    scim.group("Beta", ada["id"])
    scim.group("alpha", bob["id"])
    scim.group("Gamma", bob["id"])

    for order, expected in (("ascending", ascending), ("descending", ascending[::-1])):
        found = scim.post("/Users/.search", {"sortBy": sort_by, "sortOrder": order}).json
        names = [user["userName"].partition("@")[0] for user in found["Resources"]]
        assert names == expected, order


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_pages_cut_one_order_of_what_sorts_alike(scim: Scim, order: str) -> None:
    """Nobody is on two pages or on none, though all have the same title, or none."""
    for number in range(9):
        scim.user(f"u{number}", title="Same" if number % 2 else None)

    query = f"/Users?sortBy=title&sortOrder={order}&count=2&startIndex="
    pages = [scim.get(f"{query}{start}").json["Resources"] for start in (1, 3, 5, 7, 9)]

    found = [user for page in pages for user in page]
    assert len({user["id"] for user in found}) == 9
    titles = [user.get("title") for user in found]
    expected = ["Same"] * 4 + [None] * 5
    assert titles == (expected if order == "ascending" else expected[::-1])
    assert json.dumps(found) == json.dumps(
        scim.get(f"/Users?sortBy=title&sortOrder={order}").json["Resources"]
    )
