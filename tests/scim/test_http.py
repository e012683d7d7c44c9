"""SCIM over HTTP: methods, addresses, locations, media types and query parameters (RFC 7644)."""

import pytest

from tests.scim.conftest import Scim, assert_error, person

CONFIG = "/ServiceProviderConfig"
USER_SCHEMA = "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


# -- What can be done where -----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("", "GET HEAD OPTIONS"),
        ("/", "GET HEAD OPTIONS"),
        ("/Users", "GET HEAD OPTIONS POST"),
        ("/groups/", "GET HEAD OPTIONS POST"),
        ("/Users/some-id", "DELETE GET HEAD OPTIONS PATCH PUT"),
        ("/.search", "OPTIONS POST"),
        ("/Users/.search", "OPTIONS POST"),
        ("/Groups/.search/", "OPTIONS POST"),
        ("/Bulk", "OPTIONS POST"),
        ("/Schemas", "GET HEAD OPTIONS"),
        (USER_SCHEMA, "GET HEAD OPTIONS"),
        ("/ResourceTypes/User", "GET HEAD OPTIONS"),
        (CONFIG, "GET HEAD OPTIONS"),
        ("/Me", "DELETE GET HEAD OPTIONS PATCH POST PUT"),
    ],
)
def test_every_other_method_is_405_with_those_that_are_allowed(
    scim: Scim, path: str, methods: str
) -> None:
    """RFC 9110, sections 9.3.7 and 15.5.6; RFC 7644, section 4, for what is only discovered."""
    allowed = methods.split()
    everything = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"}

    options = scim.send("OPTIONS", path)
    assert (options.status_code, options.data, options.content_type) == (204, b"", None)
    assert options.headers["Allow"].split(", ") == allowed
    for method in everything.difference(allowed):
        answer = scim.send(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
        assert answer.status_code == 405, method
        assert answer.headers["Allow"].split(", ") == allowed
        assert answer.content_type == "application/scim+json"


@pytest.mark.parametrize("path", ["/nowhere", "/Nowhere/1", "/Users/a/b", "/Me/x", "/Bulk/1"])
def test_where_nothing_is_no_method_is_allowed(scim: Scim, path: str) -> None:
    """404 and not 405, which would say that there is something."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
        assert_error(scim.send(method, path), 404)


def test_options_tells_nothing_without_a_token(scim: Scim) -> None:
    """No browser calls this server, so nothing has to be told before authentication."""
    for path in ("/Users", "/nowhere", "/Me", "/Schemas", "/Bulk"):
        answer = scim.http.options(f"/scim/v2{path}")

        assert_error(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert "Allow" not in answer.headers


def test_me_is_501_for_every_method_and_says_why(scim: Scim) -> None:
    """RFC 7644, section 3.11: a token stands for an identity provider, not for a user."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert "client" in assert_error(scim.send(method, "/Me", {}), 501)
        assert scim.http.open("/scim/v2/Me", method=method).status_code == 401


def test_discovery_has_no_filter_and_no_nulls(scim: Scim) -> None:
    """RFC 7644, section 4, and RFC 7643, section 2.5."""
    for path in ("/Schemas", "/ResourceTypes", CONFIG, USER_SCHEMA):
        assert_error(scim.get(f"{path}?filter=id%20pr"), 403)
        assert "null" not in scim.get(path).text


# -- Where a resource is --------------------------------------------------------------


def test_every_answer_with_a_resource_says_where_it_is(scim: Scim) -> None:
    """RFC 7644, sections 3.3, 3.4.1 and 3.5; RFC 7643, section 3.1 (Content-Location)."""
    created = scim.post("/Users", person())
    path = f"/Users/{created.json['id']}"
    answers = [
        created,
        scim.get(path),
        scim.put(path, person(title="Countess")),
        scim.patch(path, {"op": "replace", "path": "title", "value": "Analyst"}),
    ]

    for answer in answers:
        location = answer.json["meta"]["location"]
        assert answer.headers["Location"] == answer.headers["Content-Location"] == location
        assert answer.headers["ETag"] == answer.json["meta"]["version"]


@pytest.mark.parametrize(
    ("method", "query", "kept"),
    [
        ("POST", "attributes=title", {"title"}),
        ("POST", f"attributes={ENTERPRISE}:department", {ENTERPRISE}),
        ("POST", f"attributes={ENTERPRISE.upper()}:DEPARTMENT,TITLE", {ENTERPRISE, "title"}),
        ("PUT", f"attributes={ENTERPRISE}", {ENTERPRISE}),
        ("PATCH", f"attributes={ENTERPRISE}:manager.value", {ENTERPRISE}),
        ("PATCH", "attributes=name.givenName&attributes=title", {"name", "title"}),
    ],
)
def test_writes_answer_with_the_attributes_asked_for(
    scim: Scim, method: str, query: str, kept: set[str]
) -> None:
    """RFC 7644, section 3.9, for every answer with a resource; what is always returned stays."""
    body = person(title="Countess") | {
        ENTERPRISE: {"department": "Analysis", "manager": {"value": "x"}}
    }
    path = "/Users" if method == "POST" else f"/Users/{scim.user(**body)['id']}"
    patch = {"Operations": [{"op": "add", "path": "nickName", "value": "Ada"}]}

    answer = scim.send(method, f"{path}?{query}", patch if method == "PATCH" else body)

    assert answer.json.keys() == {"schemas", "id"} | kept
    if "department" in query.lower():
        assert answer.json[ENTERPRISE] == {"department": "Analysis"}
    if "manager" in query:
        assert answer.json[ENTERPRISE] == {"manager": {"value": "x"}}


def test_a_post_answers_without_what_is_excluded(scim: Scim) -> None:
    """RFC 7644, section 3.9: but for what is always returned."""
    answer = scim.post("/Users?excludedAttributes=id,NAME,meta.version,userName", person()).json

    assert answer.keys() == {"schemas", "id", "meta", "active"}
    assert "version" not in answer["meta"]


# -- Query parameters -----------------------------------------------------------------


def test_the_case_of_a_parameter_does_not_matter(scim: Scim) -> None:
    """A "Filter" that were ignored would find everybody."""
    scim.user("ada", title="Countess")
    scim.user("bob")

    assert scim.get("/Users?Filter=title%20pr").json["totalResults"] == 1
    assert scim.get("/Users?COUNT=1").json["itemsPerPage"] == 1


def test_a_parameter_given_twice_is_refused(scim: Scim) -> None:
    """Nobody can know which one is meant. Lists of attributes are one list."""
    scim.user("ada", title="Countess")

    assert_error(scim.get("/Users?count=1&count=2"), 400, "invalidValue")
    found = scim.get("/Users?attributes=title&attributes=userName").json["Resources"]
    assert found[0].keys() == {"schemas", "id", "title", "userName"}


def test_nobody_is_told_406(scim: Scim) -> None:
    """RFC 7644, section 3.8: SCIM is JSON, whatever a client says it accepts."""
    for accept in ("text/html", "application/xml", "*/*", "nonsense"):
        answer = scim.get("/Users", headers={"Accept": accept})

        assert (answer.status_code, answer.content_type) == (200, "application/scim+json")
