"""Reading requests: bad input is answered with a SCIM error that says what is wrong."""

import json
from typing import Any

import pytest

from scim_bridge.scim.body import MAX_FILTER_LENGTH
from scim_bridge.scim.service import MAX_PROBLEMS
from scim_bridge.settings import Settings
from tests.scim.conftest import ENTERPRISE, Scim, assert_error, person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def nested(depth: int) -> bytes:
    return b'{"userName":' + b"[" * depth + b"]" * depth + b"}"


BROKEN = {
    "empty": b"",
    "cut off": b'{"userName": "ada',
    "trailing comma": b'{"userName": "ada",}',
    "not utf-8": b'{"userName": "\xff\xfe"}',
    "latin-1": b'{"userName": "Ad\xe9"}',
    "half a surrogate": b'{"userName": "\\ud800"}',
    "not a number": b'{"userName": NaN}',
    "nested": nested(100_000),
    "xml": b"<user/>",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/Users"), ("PUT", "/Users/x"), ("PATCH", "/Groups/x"), ("POST", "/Bulk")],
)
def test_a_body_that_is_not_json_is_refused(
    scim: Scim, method: str, path: str, body: bytes
) -> None:
    """RFC 7644, section 3.12: 400 invalidSyntax."""
    assert_error(scim.send(method, path, data=body), 400, "invalidSyntax")
    assert scim.writes == []


@pytest.mark.parametrize("body", [[], "ada", 7, None, True], ids=repr)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/Users"),
        ("PUT", "/Groups/x"),
        ("PATCH", "/Users/x"),
        ("POST", "/Bulk"),
        ("POST", "/Users/.search"),
    ],
)
def test_a_body_that_is_no_object_is_refused(
    scim: Scim, method: str, path: str, body: object
) -> None:
    """Valid JSON, and still not a SCIM message."""
    assert_error(scim.send(method, path, data=json.dumps(body).encode()), 400, "invalidSyntax")


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"userName": 7.5}, "userName"),
        ({"userName": ["ada", "bea"]}, "userName"),
        ({"name": "Ada Lovelace"}, "name"),
        ({"name": {"givenName": {"x": 1}, "familyName": "L"}}, "name.givenName"),
        ({"emails": "ada@example.com"}, "emails"),
        ({"emails": ["ada@example.com"]}, "emails"),
        ({"emails": [{"value": 7.5}]}, "emails"),
        ({"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]}, "emails"),
        ({"active": "maybe"}, "active"),
        ({"title": False}, "title"),
        ({ENTERPRISE: []}, ENTERPRISE),
        ({ENTERPRISE: {"department": 7.5}}, "department"),
        ({"titel": "Countess"}, "titel"),
        ({"schemas": [USER, f"{ENTERPRISE}s"]}, f"{ENTERPRISE}s"),
    ],
    ids=str,
)
def test_a_wrong_type_is_refused_by_its_name(
    scim: Scim, attributes: dict[str, Any], named: str
) -> None:
    """The detail says which attribute it is, by POST, PUT and Bulk alike."""
    user = scim.user("bob")
    body = person(**attributes)
    operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": body}

    for answer in (scim.post("/Users", body), scim.put(f"/Users/{user['id']}", body)):
        assert answer.json["status"] == "400"
        assert named in answer.json["detail"]
    (failed,) = scim.post("/Bulk", {"Operations": [operation]}).json["Operations"]
    assert failed["status"] == "400"
    assert len(scim.writes) == 1


def test_a_nul_character_is_refused_wherever_it_is(scim: Scim) -> None:
    """PostgreSQL cannot store it, and nobody means it."""
    group = scim.group()
    member = {"op": "add", "path": "members", "value": [{"value": "a\0b"}]}
    bulk = {"method": "POST", "path": "/Users", "bulkId": "1", "data": person(title="a\0b")}

    assert "title" in assert_error(scim.post("/Users", person(title="a\0b")), 400, "invalidValue")
    assert_error(scim.patch(f"/Groups/{group['id']}", member), 400, "invalidValue")
    assert_error(scim.post("/Bulk", {"Operations": [bulk]}), 400, "invalidValue")
    assert scim.user(title="a\\u0000b")["title"] == "a\\u0000b"


def test_every_wrong_type_is_named_at_once(scim: Scim) -> None:
    """One round trip tells everything."""
    body = person(title=7.5, emails=[{"value": 7.5}], active="maybe")

    detail = assert_error(scim.post("/Users", body), 400, "invalidValue")
    assert all(name in detail for name in ("title", "emails[0].value", "active"))


def test_of_many_problems_the_first_are_named(scim: Scim) -> None:
    """The answer stays shorter than the question, and still counts all of them."""
    body = person(emails=[{"value": 7.5}] * (MAX_PROBLEMS + 5))

    detail = assert_error(scim.post("/Users", body), 400, "invalidValue")
    assert "emails[19].value" in detail
    assert "emails[20].value" not in detail
    assert detail.endswith("and 5 more")


@pytest.mark.parametrize(
    ("operations", "scim_type"),
    [
        ([], "invalidValue"),
        ({"op": "add"}, "invalidValue"),
        ([{"op": "upsert", "path": "title", "value": "x"}], "invalidValue"),
        ([{"op": "remove"}], "noTarget"),
        ([{"op": "replace", "path": "titel", "value": "x"}], "invalidPath"),
        ([{"op": "replace", "path": "title[", "value": "x"}], "invalidPath"),
        ([{"op": "replace", "path": 'emails[value foo "x"]', "value": {}}], "invalidPath"),
        ([{"op": "replace", "path": "title"}], "invalidValue"),
        ([{"op": "replace", "path": "title", "value": {"x": 1}}], "invalidValue"),
        ([{"op": "replace", "value": "x"}], "invalidValue"),
        ([{"op": "replace", "value": {"actve": False}}], "invalidValue"),
        ([{"op": "replace", "path": "id", "value": "x"}], "mutability"),
        ([{"op": "replace", "path": "groups", "value": []}], "mutability"),
        ([{"op": "add", "path": "members", "value": [{"value": "x"}]}], "invalidPath"),
        ([7], "invalidValue"),
    ],
    ids=str,
)
def test_a_patch_that_cannot_be_meant_is_refused(
    scim: Scim, operations: Any, scim_type: str
) -> None:
    """RFC 7644, sections 3.5.2 and 3.12; a misspelt `active` is not dropped in silence."""
    user = scim.user()

    answer = scim.send("PATCH", f"/Users/{user['id']}", {"Operations": operations})

    assert_error(answer, 400, scim_type)
    assert scim.get(f"/Users/{user['id']}").json == user


def test_a_patch_is_done_wholly_or_not_at_all(scim: Scim) -> None:
    """RFC 7644, section 3.5.2: if one operation fails, the resource is as it was."""
    user = scim.user()

    answer = scim.patch(
        f"/Users/{user['id']}",
        {"op": "replace", "path": "title", "value": "Countess"},
        {"op": "replace", "path": "userName", "value": "other@example.com"},
    )

    assert_error(answer, 400, "mutability")
    assert scim.get(f"/Users/{user['id']}").json == user


def test_a_wrong_value_in_a_patch_is_named_in_words(scim: Scim) -> None:
    """No library's own report: what is wrong, and where."""
    user = scim.user()

    answer = scim.patch(f"/Users/{user['id']}", {"op": "add", "path": "active", "value": "maybe"})

    detail = assert_error(answer, 400, "invalidValue")
    assert detail == "active: must be true or false, not a string"


# -- Sizes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/Users"),
        ("PUT", "/Users/x"),
        ("PATCH", "/Groups/x"),
        ("POST", "/Bulk"),
        ("POST", "/.search"),
    ],
)
def test_a_body_that_is_too_large_is_413(small: Scim, method: str, path: str) -> None:
    """`[server] max_body`: never read further, and answered as a SCIM error."""
    body = json.dumps(person(title="x" * 2001)).encode()

    assert "2000" in assert_error(small.send(method, path, data=body), 413)
    assert small.writes == []


def test_a_body_of_just_the_size_is_taken(small: Scim) -> None:
    """The limit is the largest body that is taken."""
    body = json.dumps(person())
    fitting = body + " " * (2000 - len(body))

    assert small.send("POST", "/Users", data=fitting.encode()).status_code == 201


def test_five_megabytes_are_too_much(scim: Scim) -> None:
    """By default."""
    body = json.dumps(person(title="x" * 5_000_000)).encode()

    assert_error(scim.send("POST", "/Users", data=body), 413)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/html", "image/png"]
)
def test_another_media_type_is_415(scim: Scim, content_type: str) -> None:
    """RFC 7644, section 3.1, has SCIM's own and JSON's."""
    body = json.dumps(person()).encode()

    assert_error(scim.send("POST", "/Users", data=body, content_type=content_type), 415)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/scim+json; charset=utf-8", "APPLICATION/JSON", ""],
)
def test_json_is_taken_under_its_names(scim: Scim, content_type: str) -> None:
    """Google sends application/json; the answer is SCIM's media type for everybody."""
    body = json.dumps(person()).encode()

    answer = scim.send("POST", "/Users", data=body, content_type=content_type)
    assert (answer.status_code, answer.content_type) == (201, "application/scim+json")


# -- Filters and pages ----------------------------------------------------------------


def terms(number: int) -> str:
    return " or ".join(f'userName eq "u{one}"' for one in range(number))


FILTERS = {
    "no operator": "userName",
    "no value": "userName eq",
    "no quotes": "userName eq ada",
    "unknown attribute": 'titel eq "x"',
    "unknown operator": 'userName is "x"',
    "brackets": '(userName eq "x"',
    "wrong type": "active eq 7",
    "deep": "not (" * 100 + "active pr" + ")" * 100,
    "too long": terms(10_000),
    "nul": 'userName eq "\\u0000"',
    "empty": "",
}


@pytest.mark.parametrize("expression", FILTERS.values(), ids=FILTERS)
def test_a_filter_that_cannot_be_answered_is_refused(scim: Scim, expression: str) -> None:
    """RFC 7644, section 3.4.2.2: 400 invalidFilter, never an empty page."""
    scim.user()

    assert_error(scim.post("/Users/.search", {"filter": expression}), 400, "invalidFilter")


def test_a_filter_of_ten_thousand_terms_in_the_address_is_refused(scim: Scim) -> None:
    """It says how long it may be."""
    answer = scim.send("GET", f"/Users?filter={terms(10_000)}")

    assert str(MAX_FILTER_LENGTH) in assert_error(answer, 400, "invalidFilter")


@pytest.mark.parametrize(
    "query",
    [
        "startIndex=x",
        "count=x",
        "count=1.5",
        "sortBy=titel",
        "sortBy=x509Certificates",
        "sortBy=urn:ietf:params:scim:schemas:extension:scimbridge:2.0:User:provisioning.state",
        "sortOrder=up&sortBy=userName",
        "attributes=titel&excludedAttributes=title",
        "cursor=x",
    ],
)
def test_a_page_that_cannot_be_given_is_refused(scim: Scim, query: str) -> None:
    """A SCIM error, never a page of something else."""
    scim.user()

    answer = scim.get(f"/Users?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "start", "ids"),
    [
        ("count=2", 1, [0, 1]),
        ("startIndex=2&count=2", 2, [1, 2]),
        ("startIndex=0&count=1", 1, [0]),
        ("startIndex=-7&count=1", 1, [0]),
        ("startIndex=4", 4, []),
        ("startIndex=99999999999999999999", 99999999999999999999, []),
        ("count=0", 1, []),
        ("count=-1", 1, []),
        ("count=100000", 1, [0, 1, 2]),
    ],
)
def test_pages_are_cut_as_the_standard_says(
    scim: Scim, query: str, start: int, ids: list[int]
) -> None:
    """RFC 7644, section 3.4.2.4; itemsPerPage counts what is on this page."""
    for name in ("ada", "bob", "cia"):
        scim.user(name)

    page = scim.get(f"/Users?sortBy=userName&{query}").json

    names = ["ada@example.com", "bob@example.com", "cia@example.com"]
    assert [user["userName"] for user in page.get("Resources", [])] == [names[one] for one in ids]
    assert (page["totalResults"], page["startIndex"]) == (3, start)
    assert page["itemsPerPage"] == len(ids)


def test_a_page_has_at_most_as_many_as_announced(scim: Scim, settings: Settings) -> None:
    """`maxResults` of the configuration (RFC 7643, section 5)."""
    most = scim.get("/ServiceProviderConfig").json["filter"]["maxResults"]
    with scim.resources.operation():
        for number in range(most + 1):
            scim.user(f"u{number}")

    page = scim.get("/Users?count=100000").json
    assert (page["itemsPerPage"], page["totalResults"]) == (most, most + 1)


def test_attributes_are_chosen(scim: Scim) -> None:
    """RFC 7644, section 3.9: the id always comes along."""
    user = scim.user(title="Countess")
    path = f"/Users/{user['id']}"

    assert scim.get(f"{path}?attributes=title").json.keys() == {"schemas", "id", "title"}
    assert "title" not in scim.get(f"{path}?excludedAttributes=title").json
    listed = scim.get("/Users?attributes=userName").json["Resources"]
    assert [one.keys() for one in listed] == [{"schemas", "id", "userName"}]
    put = scim.put(f"{path}?attributes=title", person(title="Analyst")).json
    assert put.keys() == {"schemas", "id", "title"}


def test_a_search_spans_users_and_groups(scim: Scim) -> None:
    """RFC 7644, section 3.4.2.1: at the root."""
    scim.group("Ada's crew", scim.user(displayName="Ada")["id"])

    page = scim.post("/.search", {"filter": 'displayName sw "ada"'}).json
    assert {one["meta"]["resourceType"] for one in page["Resources"]} == {"User", "Group"}


def test_me_is_not_there(scim: Scim) -> None:
    """A client is no user (RFC 7644, section 3.11): 501."""
    assert_error(scim.get("/Me"), 501)
