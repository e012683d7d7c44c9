"""Answers made of stored text: byte for byte what the SCIM library makes of models."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import ResponseParameters
from scim2_server.utils import parametrize

from scim_bridge.directory import texts
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import GROUP_EXTENSION, USER_EXTENSION
from scim_bridge.scim.provider import FullGroup, FullUser
from scim_bridge.settings import Safety, Settings
from tests.directory.population import ENTERPRISE, fill, names, users
from tests.scim.conftest import Scim, person, serve

SEARCHES = (
    "",
    "excludedAttributes=members",
    "excludedAttributes=groups",
    "excludedAttributes=Groups,MEMBERS",
    "excludedAttributes=displayName",
    "attributes=displayName,members,groups",
    "sortBy=displayName&sortOrder=descending",
    "startIndex=2&count=1",
    "startIndex=9",
    "count=0",
    "filter=" + quote("active eq true or members pr"),
)


def _both(scim: Scim, path: str, **headers: str) -> tuple[Any, Any]:
    """What is answered, by the fast way and by the library's."""
    fast = scim.get(path, headers=headers)
    with mock.patch.object(texts, "suffice", return_value=False):
        slow = scim.get(path, headers=headers)
    return _told(fast), _told(slow)


def _told(answer: Any) -> Any:
    ignored = {"X-Request-Id", "Date"}
    headers = {name: value for name, value in answer.headers.items() if name not in ignored}
    return answer.status_code, headers, answer.data


def _same(scim: Scim, searches: Sequence[str] = SEARCHES) -> None:
    """Ask for everything there is, all at once and one by one, both ways."""
    listed = scim.get("/").json.get("Resources", [])
    paths = [
        f"{endpoint}?{search}" for endpoint in ("/Users", "/Groups", "/") for search in searches
    ]
    for one in listed:
        path = f"/{one['meta']['resourceType']}s/{one['id']}"
        paths += [path, *(f"{path}?{search}" for search in searches if "excluded" in search)]
        fast, slow = _both(scim, path, **{"If-None-Match": one["meta"]["version"]})
        assert fast == slow, path
    for path in paths:
        fast, slow = _both(scim, path)
        assert fast == slow, path


@contextmanager
def _fresh(migrated_file: Path) -> Iterator[Scim]:
    """An endpoint on a fresh copy of a migrated file, which nests groups."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{shutil.copy(migrated_file, folder)}")
        try:
            scim = serve(database, Settings(safety=Safety(protected=())), entitlements=True)
            scim.resources.nested = "flatten"
            yield scim
        finally:
            database.close()


@settings(max_examples=8)
@given(
    people=st.lists(users, min_size=1, max_size=3),
    teams=st.lists(st.tuples(names, st.lists(st.integers(0, 5), max_size=3)), max_size=3),
    searches=st.lists(st.sampled_from(SEARCHES), min_size=2, max_size=2, unique=True),
)
def test_stored_text_is_shown_as_the_library_shows_it(migrated_file, people, teams, searches):
    """Both ways give the same bytes for the same request (RFC 7644, sections 3.4 and 3.9)."""
    with _fresh(migrated_file) as scim:
        fill(scim.resources, people, teams)
        _same(scim, searches)


def test_what_is_granted_and_referred_to_is_shown_as_the_library_shows_it(migrated_file):
    """Grants, what is left of them, descriptions, references and groups in groups."""
    with _fresh(migrated_file) as scim:
        grants = {"applications": [{"value": "Kiro"}]}
        ada = scim.user("ada", **{USER_EXTENSION: grants}, password="secret", nickName="Äda")
        manager = {"manager": {"value": ada["id"], "$ref": f"../Users/{ada['id']}"}}
        bob = scim.user("bob", **{ENTERPRISE: manager, USER_EXTENSION: grants})
        scim.patch(f"/Users/{bob['id']}", {"op": "remove", "path": USER_EXTENSION})
        inner = scim.group("Inner", ada["id"], bob["id"])
        outer = scim.group('Outer "Ö"', bob["id"], inner["id"])
        described = {"description": "who is on call", **grants}
        scim.patch(f"/Groups/{outer['id']}", {"op": "add", "value": {GROUP_EXTENSION: described}})
        _same(scim)
        assert "secret" not in scim.get("/").text
        scim.patch(f"/Groups/{outer['id']}", {"op": "remove", "path": GROUP_EXTENSION})
        scim.delete(f"/Groups/{inner['id']}")
        _same(scim)


def test_pages_by_cursor_are_the_same_both_ways(scim: Scim) -> None:
    """A cursor is never the same twice; what it leads to is (RFC 9865)."""
    for who in ("ada", "bob", "eve"):
        scim.user(who)
    cursor = scim.get("/Users?cursor=&count=1").json["nextCursor"]
    fast = scim.get(f"/Users?cursor={cursor}&count=1").json
    with mock.patch.object(texts, "suffice", return_value=False):
        slow = scim.get(f"/Users?cursor={cursor}&count=1").json
    for page in (fast, slow):
        assert page.pop("nextCursor")
        assert page.pop("previousCursor")
    assert list(fast) == list(slow)
    assert fast == slow


LOOK_UPS = (
    ("/Users", 'userName eq "ADA@example.com"'),
    ("/Users", 'externalId eq "e-\u00d6"'),
    ("/Users", 'displayName sw "\u00f6"'),
    ("/Users", 'displayName sw "Ada"'),
    ("/Users", 'displayName co "d"'),
    ("/Users", 'displayName co ""'),
    ("/Users", 'emails eq "ADA@example.com"'),
    ("/Users", 'emails.value co "@example"'),
    ("/Users", f'{ENTERPRISE}:employeeNumber eq "7"'),
    ("/Users", 'groups.value eq "{crew}"'),
    ("/Users", 'meta.resourceType eq "User"'),
    ("/Users", 'id co "-"'),
    ("/Users", 'active eq "True"'),
    ("/Groups", 'members.value eq "{ada}"'),
    ("/Groups", 'members eq "{ada}"'),
    ("/Groups", 'displayName eq "crew"'),
)


def test_what_clients_look_up_is_found_as_the_library_finds_it(scim: Scim) -> None:
    """The statements that are kept mean what any filter means (RFC 7644, section 3.4.2.2)."""
    for number, who in enumerate(("ada", "bob", "eve")):
        emails = [{"value": f"{who}@example.com"}, {"value": f"{who}@elsewhere.example"}]
        more = {"displayName": ("Ada", "\u00d6da", "dad")[number], "externalId": "e-\u00d6"}
        last = scim.user(who, emails=emails, **more, **{ENTERPRISE: {"employeeNumber": "7"}})
    known = {"ada": last["id"], "crew": scim.group("Crew", last["id"])["id"]}
    for endpoint, written in LOOK_UPS:
        for name, id_ in known.items():
            written = written.replace(f"{{{name}}}", id_)
        for paging in ("", "&count=1", "&startIndex=2&count=1", "&startIndex=9"):
            fast, slow = _both(scim, f"{endpoint}?filter={quote(written)}{paging}")
            assert fast == slow, (written, paging)


def test_a_walk_by_cursors_meets_everybody_there_and_back(scim: Scim) -> None:
    """Each page once, whatever stands at its ends (RFC 9865, section 2)."""
    for who in ("ada", "bob", "eve", "joe", "kim"):
        scim.user(who)
    query = "/Users?count=2&filter=" + quote('userName co "@example"')
    pages, cursor = [], ""
    while cursor is not None:
        pages.append(scim.get(f"{query}&cursor={cursor}").json)
        cursor = pages[-1].get("nextCursor")
    back, cursor = [pages[-1]], pages[-1]["previousCursor"]
    while cursor is not None:
        back.append(scim.get(f"{query}&cursor={cursor}").json)
        cursor = back[-1].get("previousCursor")

    met = [[one["userName"] for one in page["Resources"]] for page in pages]
    assert {name for page in met for name in page} == {
        f"{who}@example.com" for who in ("ada", "bob", "eve", "joe", "kim")
    }
    assert [len(page) for page in met] == [2, 2, 1]
    # Backwards the pages are counted from where one stands.
    assert [[one["userName"] for one in page["Resources"]] for page in back] == met[::-1]
    assert all(page["totalResults"] == 5 for page in (*pages, *back))
    assert all("nextCursor" in page for page in back[1:])


@pytest.mark.parametrize("model", [FullUser, FullGroup])
def test_only_what_leaves_out_memberships_is_made_of_text(model):
    """Anything else that is selected is left to the library."""
    suffice = [{}, {"excludedAttributes": "Members"}, {"excludedAttributes": "groups,members"}]
    beyond = [{"attributes": "id"}, {"excludedAttributes": "members,displayName"}]
    read = parametrize(ResponseParameters, model).model_validate
    assert all(texts.suffice(read(one)) for one in suffice if model is FullGroup or one == {})
    assert not any(texts.suffice(read(one)) for one in beyond if model is FullGroup)


def test_a_person_is_read_without_a_model(scim: Scim) -> None:
    """The usual person is sent as stored: the library is not asked."""
    ada = scim.post("/Users", person("ada")).json
    with mock.patch.object(type(scim.resources), "get", side_effect=AssertionError):
        assert scim.get(f"/Users/{ada['id']}").json == ada
