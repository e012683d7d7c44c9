"""The calls of the SCIM endpoint: their wire form, and lists page by page."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.errors import DoorClosed, Missing, Throttled, Unavailable
from scim_bridge.identity_center import scim_endpoint
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.scim_endpoint import ScimEndpoint, _query, both, equals
from scim_bridge.identity_center.transport import Transport
from scim_bridge.settings import IdentityCenter

BASE = "https://scim.us-east-1.amazonaws.com/tenant/scim/v2"


@pytest.fixture(name="wire")
def _wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as wire:
        yield wire


@pytest.fixture(name="endpoint")
def _endpoint(settings: Callable[..., IdentityCenter]) -> ScimEndpoint:
    transport = Transport(settings(scim_endpoint=BASE), pacer=Pacer(1e6), circuit=Circuit())
    return ScimEndpoint(transport)


def page(*ids: str, cursor: str | None = None) -> dict[str, Any]:
    """A page of a list in cursor mode: no totalResults (AWS SCIM developer guide, ListUsers)."""
    body: dict[str, Any] = {"itemsPerPage": len(ids), "Resources": [{"id": one} for one in ids]}
    return body if cursor is None else {**body, "nextCursor": cursor}


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        (lambda it: it.create_user({"a": 1}), "POST", "/Users"),
        (lambda it: it.get_user("u/1"), "GET", "/Users/u%2F1"),
        (lambda it: it.patch_user("u1", {"a": 1}), "PATCH", "/Users/u1"),
        (lambda it: it.create_group({"a": 1}), "POST", "/Groups"),
        (lambda it: it.get_group("g1"), "GET", "/Groups/g1"),
        (lambda it: it.patch_group("g1", {"a": 1}), "PATCH", "/Groups/g1"),
        (lambda it: it.delete_group("g1"), "DELETE", "/Groups/g1"),
        (lambda it: it.service_provider_config(), "GET", "/ServiceProviderConfig"),
    ],
)
def test_each_call_has_its_method_and_path(
    endpoint: ScimEndpoint,
    wire: responses.RequestsMock,
    call: Callable[[ScimEndpoint], Any],
    method: str,
    path: str,
) -> None:
    """AWS SCIM developer guide, supported API operations."""
    wire.add(method, BASE + path, json={"id": "1"})
    assert call(endpoint).body == {"id": "1"}
    request = wire.calls[0].request
    assert request.url == BASE + path
    if method in ("POST", "PATCH"):
        assert json.loads(request.body) == {"a": 1}
    else:
        assert request.body is None


def test_the_first_page_is_asked_for_by_the_bare_key(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """`?cursor`, without an equals sign (AWS SCIM developer guide, ListUsers)."""
    wire.get(f"{BASE}/Users", json=page())
    assert list(endpoint.list_users()) == []
    assert wire.calls[0].request.url == f"{BASE}/Users?cursor"


def test_pages_that_are_not_full_are_no_end(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """Only a missing nextCursor ends a list; a page may even be empty.

    The filter is the same on every page, and the cursor is quoted.
    """
    wire.get(f"{BASE}/Groups", json=page("g1", "g2", cursor="a+b/c=="))
    wire.get(f"{BASE}/Groups", json=page(cursor="d"))
    wire.get(f"{BASE}/Groups", json=page("g3"))
    asked = 'displayName eq "A B"'
    assert [group["id"] for group in endpoint.list_groups(asked)] == ["g1", "g2", "g3"]
    quoted = "filter=displayName%20eq%20%22A%20B%22"
    assert [str(call.request.url).removeprefix(f"{BASE}/Groups?") for call in wire.calls] == [
        f"cursor&{quoted}",
        f"cursor=a%2Bb%2Fc%3D%3D&{quoted}",
        f"cursor=d&{quoted}",
    ]


def test_a_list_that_turns_in_circles_ends_with_an_error(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """Neither endless nor taken for complete."""
    wire.get(f"{BASE}/Users", json=page("u1", cursor="x"))
    with pytest.raises(Unavailable, match="comes back"):
        list(endpoint.list_users())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>ok</html>",
        "[]",
        "{}",
        '{"Resources": null}',
        '{"Resources": {}}',
        '{"Resources": ["u1"]}',
        '{"Resources": [], "nextCursor": 7}',
        '{"itemsPerPage": 1}',
    ],
)
def test_what_is_no_list_is_never_taken_for_an_empty_one(
    endpoint: ScimEndpoint, wire: responses.RequestsMock, body: str
) -> None:
    """An unreadable answer must not look as if everybody had left."""
    wire.get(f"{BASE}/Users", body=body)
    with pytest.raises(Unavailable, match="no list"):
        list(endpoint.list_users())


def test_an_empty_list_may_leave_its_resources_out(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """RFC 7644 section 3.4.2: Resources is required only if there are any."""
    wire.get(f"{BASE}/Users", json={"totalResults": 0})
    assert list(endpoint.list_users()) == []


def test_a_list_without_an_end_fails(
    endpoint: ScimEndpoint, wire: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages a defect shows, the caller is not kept for ever."""
    monkeypatch.setattr(scim_endpoint, "MOST_PAGES", 3)
    for number in range(5):
        wire.get(f"{BASE}/Users", json=page(f"u{number}", cursor=f"c{number}"))
    wire.assert_all_requests_are_fired = False

    with pytest.raises(Unavailable, match="does not end after 3 pages"):
        list(endpoint.list_users())


def test_each_page_but_the_first_has_the_time_it_is_given(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """So that a long list does not have to come within the time of one call."""
    wire.get(f"{BASE}/Users", json=page("u1", cursor="a"))
    wire.get(f"{BASE}/Users", json=page("u2", cursor="b"))
    deadlines = iter([time.monotonic() + 60, time.monotonic() - 1])

    listed = endpoint.list_users(turn_page=lambda: next(deadlines))

    assert [next(listed)["id"], next(listed)["id"]] == ["u1", "u2"]
    with pytest.raises(Throttled):
        next(listed)


def test_a_list_that_fails_on_a_later_page_fails(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """A partial read raises."""
    wire.get(f"{BASE}/Users", json=page("u1", cursor="x"))
    wire.get(f"{BASE}/Users", status=500)
    with pytest.raises(Unavailable):
        list(endpoint.list_users())


def test_a_404_of_a_list_is_about_the_principal_it_names_or_about_the_address(
    endpoint: ScimEndpoint, wire: responses.RequestsMock
) -> None:
    """ListGroups answers 404 for an unknown member; no other list does."""
    wire.get(f"{BASE}/Groups", status=404)
    with pytest.raises(Missing):
        list(endpoint.list_groups(equals("members.value", "u1"), names_principal=True))
    with pytest.raises(DoorClosed):
        list(endpoint.list_groups(equals("displayName", "x")))


def test_filters_are_joined() -> None:
    """At most two, joined by `and`."""
    assert both(equals("id", "g"), equals("members", "u")) == 'id eq "g" and members eq "u"'


@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_filter_value_survives_quoting(value: str) -> None:
    """Quotes and backslashes are escaped; the query holds no + and no raw space."""
    query = _query(equals("userName", value), cursor="")
    assert "+" not in query
    assert " " not in query
    filter_ = unquote(urlsplit(f"http://x/?{query}").query.removeprefix("cursor&filter="))
    quoted = filter_.removeprefix('userName eq "').removesuffix('"')
    assert quoted.replace('\\"', '"').replace("\\\\", "\\") == value or "\\" in value


def test_a_value_with_quotes_and_backslashes() -> None:
    """AWS's grammar: values in double quotes, escaped by a backslash."""
    assert equals("userName", 'a"b\\c') == 'userName eq "a\\"b\\\\c"'


def test_a_lone_surrogate_does_not_break_a_query() -> None:
    """It can be no one's name; the answer is compared again in any case."""
    assert "%22%3F%22" in _query(equals("userName", "\ud800"), cursor="")
