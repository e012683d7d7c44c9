"""SCIM over HTTP: who gets in, what is answered whatever fails, and under which address."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import g
from sqlalchemy import select
from werkzeug.test import TestResponse

from scim_bridge.directory import actor
from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import history
from scim_bridge.errors import DatabaseUnavailable
from scim_bridge.scim import credentials
from scim_bridge.scim.server import MAX_IGNORED, PREFIX
from scim_bridge.settings import Server, Settings
from tests.scim.conftest import PATCH_OP, Scim, assert_error, person, serve

WRITES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/Users", person("eve")),
    ("PUT", "/Users/{id}", person("ada")),
    ("PATCH", "/Users/{id}", {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}),
    ("DELETE", "/Users/{id}", None),
    ("POST", "/Groups", {"displayName": "Crew"}),
]


# -- Tokens ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic b2t0YTpzZWNyZXQ=",
        "Bearer scb_nobody-has-this",
        "Bearer \u00fcml\u00e4ut",
        "Digest username=okta",
    ],
    ids=repr,
)
def test_nobody_gets_in_without_a_known_bearer_token(scim: Scim, authorization: str | None) -> None:
    """RFC 7644, section 2, and RFC 6750, section 3: 401 with a challenge, on every path."""
    scim.user()
    headers = {} if authorization is None else {"Authorization": authorization}

    for method, path in (
        ("GET", "/Users"),
        ("POST", "/Users"),
        ("GET", "/Schemas"),
        ("POST", "/Bulk"),
        ("GET", "/nowhere"),
    ):
        answer = scim.http.open(f"/scim/v2{path}", method=method, headers=headers, json={})
        assert_error(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="SCIM"')
    assert len(scim.writes) == 1


def test_a_refused_token_is_told_from_a_missing_one(scim: Scim) -> None:
    """RFC 6750, section 3.1: `invalid_token` only if there was one."""
    missing = scim.http.get("/scim/v2/Users")
    refused = scim.get("/Users", token="scb_wrong")

    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="SCIM"'
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="SCIM", error="invalid_token"'


def test_an_expired_and_a_revoked_token_are_refused(scim: Scim) -> None:
    """A token ends when it was said to, and at once when it is revoked."""
    expired = credentials.add(scim.database, "old", expires_days=1, clock=lambda: 0.0).token
    revoked = credentials.add(scim.database, "gone").token
    credentials.revoke(scim.database, "gone")

    for token in (expired, revoked):
        assert "expired or revoked" in assert_error(scim.post("/Users", person(), token=token), 401)
    assert scim.writes == []


def test_the_scheme_is_not_case_sensitive(scim: Scim) -> None:
    """RFC 9110, section 11.1."""
    answer = scim.http.get("/scim/v2/Users", headers={"Authorization": f"bearer {scim.token}"})

    assert answer.status_code == 200


@pytest.fixture
def reader(scim: Scim) -> str:
    """The token of a client that may only read."""
    return credentials.add(scim.database, "auditor", read_only=True).token


def test_a_read_only_token_reads_and_searches(scim: Scim, reader: str) -> None:
    """A search by POST is a read (RFC 7644, section 3.4.3)."""
    user = scim.user()

    for answer in (
        scim.get(f"/Users/{user['id']}", token=reader),
        scim.get("/Users", token=reader),
        scim.get("/Schemas", token=reader),
        scim.post("/Users/.search", {"filter": 'userName sw "ada"'}, token=reader),
        scim.post("/.search", {}, token=reader),
    ):
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: str(value)[:20])
def test_a_read_only_token_writes_nothing(
    scim: Scim, reader: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """403 that says why, and nothing changes."""
    user = scim.user()
    before = len(scim.writes)

    answer = scim.send(method, path.format(id=user["id"]), body, token=reader)

    assert "auditor may only read" in assert_error(answer, 403)
    assert len(scim.writes) == before


def test_a_read_only_token_writes_nothing_in_bulk(scim: Scim, reader: str) -> None:
    """Every operation of a Bulk request is allowed or refused by itself."""
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": person()},
        {"method": "DELETE", "path": "/Users/x"},
        {
            "method": "PATCH",
            "path": "/Groups/x",
            "data": {"Operations": [{"op": "remove", "path": "members"}]},
        },
    ]

    answer = scim.post("/Bulk", {"Operations": operations}, token=reader)

    assert [one["status"] for one in answer.json["Operations"]] == ["403"] * 3
    assert scim.writes == []


# -- Who did it -------------------------------------------------------------------


def test_a_change_is_attributed_to_the_client_and_its_request(scim: Scim) -> None:
    """History and audit name the client and the id of the request."""
    answer = scim.post("/Users", person(), headers={"X-Request-Id": "req-42"})

    with scim.database.reading() as connection:
        row = connection.execute(select(history)).one()
    assert (row.actor, row.request_id) == ("client:okta", "req-42")
    assert answer.headers["X-Request-Id"] == "req-42"


@pytest.mark.parametrize("offered", [None, "a b", "x" * 200, "<script>", "\u00e9"], ids=repr)
def test_a_request_without_a_sane_id_gets_one(scim: Scim, offered: str | None) -> None:
    """What a stranger writes there must be harmless in a log."""
    headers = {} if offered is None else {"X-Request-Id": offered}

    first = scim.get("/Users", headers=headers).headers["X-Request-Id"]
    second = scim.get("/Users", headers=headers).headers["X-Request-Id"]

    assert len(first) == 36
    assert offered not in (first, second)
    assert first != second


def test_nobody_is_acting_after_a_request(scim: Scim) -> None:
    """The next piece of work on this thread is not attributed to the last client."""
    scim.user()
    assert_error(scim.get("/Users/nobody"), 404)

    assert actor.current() == actor.BRIDGE


# -- Errors are SCIM errors -----------------------------------------------------------


@pytest.mark.parametrize("path", ["/Users", "/", ""])
def test_an_unknown_method_is_a_scim_error_too(scim: Scim, path: str) -> None:
    """No route ever sees it, and still the client can read the answer."""
    answer = scim.send("BREW", path)

    assert_error(answer, 405)


@pytest.mark.parametrize("path", ["/", "/Users", "/scim/v2x"])
def test_a_wrong_address_is_told_the_right_one(scim: Scim, path: str) -> None:
    """A client that was given the wrong address gets no HTML either."""
    assert PREFIX in assert_error(scim.http.get(path), 404)


class Broken(io.BytesIO):
    """A body that ends with an error of the HTTP server, as gunicorn's does at a wrong chunk."""

    def read(self, _size: int | None = None) -> bytes:
        raise RuntimeError("Invalid chunk size")


def streamed(scim: Scim, stream: io.BytesIO) -> TestResponse:
    return scim.http.post(
        "/scim/v2/Users",
        headers={"Authorization": f"Bearer {scim.token}", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True},
    )


def test_a_body_that_breaks_off_is_the_sender_s_mistake(scim: Scim) -> None:
    """400: the server has not failed."""
    assert_error(streamed(scim, Broken()), 400, "invalidSyntax")


def test_a_body_without_a_length_is_limited_too(scim: Scim) -> None:
    """And taken in to its end: a connection that is closed before loses the answer."""
    stream = io.BytesIO(b" " * 5_000_000)

    assert_error(streamed(scim, stream), 413)
    assert stream.tell() == 5_000_000


def test_a_body_that_does_not_end_is_not_taken_in_for_ever(scim: Scim) -> None:
    """Somewhere the patience ends."""
    stream = io.BytesIO(b" " * (5_000_000 + 2 * MAX_IGNORED))

    assert_error(streamed(scim, stream), 413)
    assert stream.tell() < 5_000_000 + MAX_IGNORED


@pytest.mark.parametrize(
    "path", ["/nowhere", "/Users/a/b/c", "//Users", "/Users/nobody", "/Schemas/urn:x"]
)
def test_what_is_not_there_is_404(scim: Scim, path: str) -> None:
    """RFC 7644, section 3.12."""
    assert_error(scim.get(path), 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/Groups/%2F", "/Groups//", "/Schemas/%2F", "//"])
def test_a_resource_with_a_slash_for_an_id_is_not_all_of_them(
    scim: Scim, method: str, path: str
) -> None:
    """RFC 7644, section 3.2: what follows an endpoint is an id, and nobody has that one."""
    answer = scim.send(method, path, {"displayName": "Crew"})

    assert answer.status_code == 404
    assert scim.get("/Groups").json["totalResults"] == 0


@pytest.mark.parametrize("path", ["", "/", "/Users/", "/Users?", "/Users/?&"])
def test_slashes_and_an_empty_query_are_harmless(scim: Scim, path: str) -> None:
    """Never a redirect: a client would follow it with a GET."""
    scim.user()

    answer = scim.get(path)
    assert (answer.status_code, answer.json["totalResults"]) == (200, 1)


def test_a_write_with_a_final_slash_is_done(scim: Scim) -> None:
    """Microsoft's own tests send it."""
    assert scim.post("/Users/", person()).status_code == 201


def test_head_is_answered_like_get_without_a_body(scim: Scim) -> None:
    """RFC 9110, section 9.3.2."""
    user = scim.user()

    answer = scim.send("HEAD", f"/Users/{user['id']}")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"] == user["meta"]["version"]


def test_a_failure_nobody_expected_is_told_without_its_detail(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 says nothing of the inside; its request id leads to the log."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a secret of the inside")

    monkeypatch.setattr(scim.resources, "stored", broken)

    answer = scim.get("/Users/x")
    detail = assert_error(answer, 500)
    assert "secret" not in answer.text
    assert "request id" in detail
    assert answer.headers["X-Request-Id"]


def unavailable(*_: object, **__: object) -> None:
    raise DatabaseUnavailable("the database does not answer: password=hunter2")


@pytest.mark.parametrize(
    ("attribute", "send"),
    [
        ("stored", lambda scim: scim.get("/Users/x")),
        ("search_texts", lambda scim: scim.get("/Users")),
        ("insert", lambda scim: scim.post("/Users", person())),
        ("operation", lambda scim: scim.post("/Users", person())),
    ],
    ids=["get", "search", "create", "begin"],
)
def test_a_database_that_is_away_is_503(
    scim: Scim, monkeypatch: pytest.MonkeyPatch, attribute: str, send: Callable[[Scim], Any]
) -> None:
    """The delivery table: 503 with Retry-After; the client sends it again."""
    monkeypatch.setattr(scim.resources, attribute, unavailable)

    answer = send(scim)

    assert "hunter2" not in assert_error(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_database_that_is_away_when_the_token_is_looked_up_is_503(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a 401: the client must not think that its token has ended."""
    monkeypatch.setattr(Database, "reading", unavailable)

    answer = scim.get("/Users")
    assert_error(answer, 503)


# -- Addresses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "public_url", ["https://scim.example.com", "https://scim.example.com/scim/v2/"]
)
def test_locations_are_below_the_public_address(
    database: Database, settings: Settings, public_url: str
) -> None:
    """`[server] public_url`: right behind TLS termination, whatever the Host header says."""
    scim = serve(database, replace(settings, server=Server(public_url=public_url)))
    base = "https://scim.example.com/scim/v2"

    created = scim.post("/Users", person(), headers={"Host": "10.0.0.7:8080"})
    user = created.json
    group = scim.group("Crew", user["id"])

    assert created.headers["Location"] == f"{base}/Users/{user['id']}"
    assert created.json["meta"]["location"] == created.headers["Content-Location"]
    assert group["members"][0]["$ref"] == f"{base}/Users/{user['id']}"
    assert scim.get("/ResourceTypes/User").json["meta"]["location"] == f"{base}/ResourceTypes/User"


def test_locations_are_below_the_address_that_was_called(scim: Scim) -> None:
    """Without a public address, the client's own."""
    created = scim.post("/Users", person(), headers={"Host": "bridge.test:8080"})

    expected = f"http://bridge.test:8080/scim/v2/Users/{created.json['id']}"
    assert created.headers["Location"] == expected


def test_each_request_stands_alone(scim: Scim) -> None:
    """Nothing of one request, such as who called, is left for the next."""
    scim.user()

    with scim.app.app_context():
        assert not hasattr(g, "client")
    assert_error(scim.http.get("/scim/v2/Users"), 401)


def test_a_patch_needs_no_schemas(scim: Scim) -> None:
    """Clients leave them out; the endpoint says what it is."""
    user = scim.user()
    body = {"Operations": [{"op": "replace", "path": "title", "value": "Countess"}]}

    assert scim.send("PATCH", f"/Users/{user['id']}", body).status_code == 200
    assert PATCH_OP not in body
