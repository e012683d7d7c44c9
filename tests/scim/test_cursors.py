"""Paging by cursor (RFC 9865): announced, stable while others write, and the caller's own."""

import base64
import itertools
import json
import time
from typing import Any

import pytest
from scim2_server.cursor import VERSION, Cursors

from scim_bridge.scim import credentials
from scim_bridge.scim.provider import CURSOR_TIMEOUT
from scim_bridge.settings import Settings
from tests.scim.conftest import Scim, assert_error, serve

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def page(scim: Scim, cursor: str = "", *, status: int = 200, **query: Any) -> Any:
    """A page of the users, by GET."""
    answer = scim.http.get(
        "/scim/v2/Users",
        query_string={"cursor": cursor, "count": 3, **query},
        headers={"Authorization": f"Bearer {scim.token}"},
    )
    assert answer.status_code == status, answer.text
    return answer.json


def names(found: Any) -> list[str]:
    return [user["userName"].removesuffix("@example.com") for user in found["Resources"]]


@pytest.fixture
def crowd(scim: Scim) -> list[str]:
    """The names of ten users; every third has no title."""
    everybody = [f"u{number}" for number in range(10)]
    for number, name in enumerate(everybody):
        title = None if number % 3 == 2 else f"T{number % 2}"
        scim.user(name, title=title)
    return everybody


def test_both_ways_to_page_are_announced(scim: Scim) -> None:
    """RFC 9865, section 4. Pages by number are the default, as section 2.4 recommends."""
    config = scim.get("/ServiceProviderConfig").json

    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": config["filter"]["maxResults"],
        "maxPageSize": config["filter"]["maxResults"],
        "cursorTimeout": CURSOR_TIMEOUT,
    }
    assert "startIndex" in scim.get("/Users").json


@pytest.mark.parametrize(
    ("sort_by", "order"),
    [(None, ""), ("title", "ascending"), ("title", "descending"), ("userName", "descending")],
)
def test_pages_are_whole_while_others_write(
    scim: Scim, crowd: list[str], sort_by: str | None, order: str
) -> None:
    """Whoever was there all along comes exactly once, in the order of one single page.

    Between two pages somebody comes, somebody leaves and somebody's other attributes change.
    """
    sorting = {} if sort_by is None else {"sortBy": sort_by, "sortOrder": order}
    leavers = iter(["u1", "u4", "u8"])
    left: set[str] = set()
    seen: list[str] = []

    cursor = ""
    for turn in itertools.count():
        found = page(scim, cursor, **sorting)
        seen += names(found)
        cursor = found.get("nextCursor", "")
        if not cursor:
            break
        scim.user(f"new{turn}", title="T1")
        if (leaver := next(leavers, None)) is not None:
            left.add(leaver)
            scim.delete(f"/Users/{id_of(scim, leaver)}")
        scim.patch(
            f"/Users/{id_of(scim, 'u0')}",
            {"op": "replace", "path": "nickName", "value": f"N{turn}"},
        )

    staying = [name for name in crowd if name not in left]
    assert len(seen) == len(set(seen))
    assert set(staying) <= set(seen)
    whole = names(page(scim, count=100, **sorting))
    assert [name for name in seen if name in staying] == [one for one in whole if one in staying]


def id_of(scim: Scim, name: str) -> str:
    found = scim.get(f'/Users?filter=userName eq "{name}@example.com"').json["Resources"]
    return str(found[0]["id"])


def test_a_post_pages_as_a_get_does_and_back_again(scim: Scim, crowd: list[str]) -> None:
    """RFC 9865, section 2.2: the cursor is in the body, and one is good for both."""

    def post(cursor: str) -> Any:
        body = {"schemas": [SEARCH], "cursor": cursor, "count": 4, "sortBy": "userName"}
        return scim.post("/Users/.search", body).json

    first = post("")
    second = page(scim, first["nextCursor"], count=4, sortBy="userName")
    third = post(second["nextCursor"])

    assert [*names(first), *names(second), *names(third)] == crowd
    assert "previousCursor" not in first
    assert "nextCursor" not in third
    assert names(post(second["previousCursor"])) == names(first)
    assert (first["totalResults"], third["itemsPerPage"]) == (10, 2)
    assert "startIndex" not in first


def test_the_root_is_paged_over_all_types(scim: Scim, crowd: list[str]) -> None:
    """RFC 7644, section 3.4.2.1."""
    scim.group("Crew")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = scim.get(f"/?count=4&cursor={cursor}").json
        seen += [one["id"] for one in found["Resources"]]
        cursor = found.get("nextCursor")

    assert len(seen) == len(set(seen)) == len(crowd) + 1


@pytest.mark.parametrize(
    ("changed", "scim_type"),
    [
        ({"filter": "title pr"}, "invalidCursor"),
        ({"sortBy": "userName"}, "invalidCursor"),
        ({"attributes": "userName"}, "invalidCursor"),
        ({"count": 4}, "invalidCount"),
        ({"startIndex": 1}, "invalidValue"),
    ],
)
def test_a_cursor_is_good_for_its_own_query_only(
    scim: Scim, crowd: list[str], changed: dict[str, Any], scim_type: str
) -> None:
    """RFC 9865, section 2.1: and never answered with a page of something else."""
    cursor = page(scim)["nextCursor"]

    assert page(scim, cursor, status=400, **changed)["scimType"] == scim_type
    assert names(page(scim, cursor)) == names(page(scim, cursor))


def test_what_is_no_cursor_is_refused(scim: Scim) -> None:
    """RFC 9865, section 2.1: invalidCursor."""
    for cursor in ("x", "é", "AAAA", "=", "A" * 200, "../..", "null"):
        assert page(scim, cursor, status=400)["scimType"] == "invalidCursor"


def test_a_cursor_of_another_client_is_refused(scim: Scim, crowd: list[str]) -> None:
    """RFC 9865, section 5.2: nobody learns or guesses somebody else's place."""
    cursor = page(scim)["nextCursor"]
    other = credentials.add(scim.database, "other").token

    answer = scim.get(f"/Users?count=3&cursor={cursor}", token=other)
    assert_error(answer, 400, "invalidCursor")


def test_an_old_cursor_has_expired(
    scim: Scim, crowd: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9865, section 2.1: expiredCursor, after the time that is announced."""
    cursor = page(scim)["nextCursor"]
    now = time.time()

    monkeypatch.setattr("scim2_server.cursor.time.time", lambda: now + CURSOR_TIMEOUT - 60)
    assert len(names(page(scim, cursor))) == 3
    monkeypatch.setattr("scim2_server.cursor.time.time", lambda: now + CURSOR_TIMEOUT + 60)
    assert page(scim, cursor, status=400)["scimType"] == "expiredCursor"


def test_a_cursor_survives_a_restart(scim: Scim, crowd: list[str], settings: Settings) -> None:
    """Another process of the same bridge can read it: nothing is kept in the first."""
    cursor = page(scim)["nextCursor"]
    again = serve(scim.database, settings, client="another")

    answer = again.get(f"/Users?count=3&cursor={cursor}", token=scim.token)
    assert answer.status_code == 200
    assert names(answer.json) == names(page(scim, cursor))


def test_no_count_and_a_huge_count_are_the_largest_page(scim: Scim, crowd: list[str]) -> None:
    """RFC 9865, section 4: `maxPageSize`; a negative count is 0 (RFC 7644, section 3.4.2.4)."""
    assert len(names(scim.get("/Users?cursor=").json)) == 10
    assert len(names(page(scim, count=10**25))) == 10
    for count in (0, -5):
        empty = page(scim, count=count)
        assert (empty["totalResults"], empty["Resources"]) == (10, [])
        assert "nextCursor" not in empty


@pytest.mark.parametrize(
    "forged",
    [
        b"xx",
        b"[]",
        b"{}",
        b"[" * 100_000,
        {"t": "x"},
        {"p": None},
        {"p": ["x"]},
        {"p": {"d": "next", "k": 10**30, "i": "x"}},
        {"p": {"d": "next", "k": None, "i": "\ud800"}},
        {"p": {"d": "next", "k": None, "i": "\0"}},
    ],
    ids=lambda forged: str(forged)[:40],
)
def test_what_a_client_seals_itself_is_refused(
    scim: Scim, crowd: list[str], forged: bytes | dict[str, Any]
) -> None:
    """RFC 9865, section 2.1: the key comes from the client's token, so it can seal anything."""
    cursor = page(scim)["nextCursor"]
    sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    salt, nonce = sealed[1:17], sealed[17:29]
    aead = Cursors(scim.token)._aead(salt)
    content = forged
    if isinstance(forged, dict):
        given = json.loads(aead.decrypt(nonce, sealed[29:], VERSION))
        content = json.dumps({**given, **forged}).encode()
    again = VERSION + salt + nonce + aead.encrypt(nonce, content, VERSION)

    refused = page(scim, base64.urlsafe_b64encode(again).decode(), status=400)

    assert refused["scimType"] == "invalidCursor"


def test_who_follows_the_directory_reads_only_what_changed_since(
    scim: Scim, crowd: list[str]
) -> None:
    """RFC 7644, section 3.4.2.2, with cursors: the whole directory once, then what is newer."""

    def read(**query: Any) -> list[dict[str, Any]]:
        found = page(scim, **query)
        seen = list(found["Resources"])
        while "nextCursor" in found:
            found = page(scim, found["nextCursor"], **query)
            seen += found["Resources"]
        return seen

    everybody = read()
    mark = max(one["meta"]["lastModified"] for one in everybody)
    assert len(everybody) == len(crowd)
    for one in everybody[2:6]:
        scim.patch(f"/Users/{one['id']}", {"op": "replace", "path": "active", "value": False})

    changed = read(filter=f'meta.lastModified gt "{mark}"')

    assert sorted(one["id"] for one in changed) == sorted(one["id"] for one in everybody[2:6])
    assert {one["active"] for one in changed} == {False}
