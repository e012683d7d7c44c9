"""Bad input at a bridge as it is served: a SCIM error at once, and nothing changed."""

import json
import time
from collections.abc import Iterator

import pytest
import requests

from tests.acceptance.installation import BULK, ERROR, PATCH, Center, install
from tests.cli.operation import person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
LONGEST = 20.0

TERMS = " or ".join(f'userName eq "user{number}"' for number in range(10_000))
NESTED = "(" * 10_000 + 'userName eq "jane"' + ")" * 10_000
LARGE = b'{"userName": "' + b"x" * 5_000_000 + b'"}'


def _json(body) -> bytes:
    return json.dumps(body).encode()


def _patch(*operations) -> bytes:
    return _json({"schemas": [PATCH], "Operations": list(operations)})


def _search(filter_) -> bytes:
    return _json({"schemas": [SEARCH], "filter": filter_})


def _chunks() -> Iterator[bytes]:
    """A body that does not say beforehand how long it is."""
    for start in range(0, len(LARGE), 65536):
        yield LARGE[start : start + 65536]


BAD = [
    # broken JSON
    ("POST", "/Users", b'{"userName": "jane"', 400, "JSON"),
    ("POST", "/Users", b"", 400, ""),
    ("POST", "/Users", b"\xff\xfe\x00", 400, ""),
    ("POST", "/Users", b"[1, 2, 3]", 400, "object"),
    ("POST", "/Users", b"null", 400, "object"),
    ("POST", "/Users", b"[" * 200_000, 400, ""),
    ("PUT", "/Users/{id}", b"not JSON at all", 400, "JSON"),
    ("PATCH", "/Users/{id}", b'{"schemas": [', 400, "JSON"),
    ("POST", "/Bulk", b"{", 400, "JSON"),
    ("POST", "/Users", b'{"userName": "a", "userName": "b"}', 400, "twice"),
    ("POST", "/Users", b'{"userName": "a\\ud800b"}', 400, "JSON"),
    ("POST", "/Users", _json(person("a\0b@example.com")), 400, "userName"),
    ("POST", "/Users/.search", b"{", 400, "JSON"),
    # wrong types
    ("POST", "/Users", _json(person("x@example.com", active="perhaps")), 400, "active"),
    ("POST", "/Users", _json({**person("x@example.com"), "name": "Jane"}), 400, "name"),
    ("POST", "/Users", _json({**person("x@example.com"), "userName": {"a": 1}}), 400, "userName"),
    ("POST", "/Users", _json({**person("x@example.com"), "emails": "a@b.c"}), 400, "emails"),
    ("POST", "/Users", _json({"schemas": [USER]}), 400, "userName"),
    ("POST", "/Groups", _json({"displayName": ["staff", "crew"]}), 400, "displayName"),
    ("POST", "/Groups", _json({"displayName": "staff", "members": [{"value": 7}]}), 400, ""),
    ("POST", "/Groups", _json({"displayName": "g", "members": [{"value": "?"}]}), 400, "member"),
    ("PATCH", "/Users/{id}", _patch({"op": "jump", "path": "title"}), 400, "op"),
    ("PATCH", "/Users/{id}", _patch({"op": "replace", "path": "active", "value": [1]}), 400, ""),
    ("PATCH", "/Users/{id}", _patch({"op": "replace", "path": "a[b", "value": 1}), 400, ""),
    ("PATCH", "/Users/{id}", _json({"schemas": [PATCH], "Operations": {}}), 400, "Operations"),
    ("POST", "/Bulk", _json({"schemas": [BULK], "Operations": 7}), 400, "Operations"),
    # too much of something
    ("PATCH", "/Users/{id}", _patch(*[{"op": "remove", "path": "title"}] * 20_000), 413, "20000"),
    ("POST", "/Bulk", _json({"schemas": [BULK], "Operations": [{}] * 20_000}), 413, "20000"),
    ("POST", "/Users", _json({**person("x@example.com"), "roles": [{"value": "r"}] * 20_000}), 400,
     "roles"),
    ("POST", "/Users", _json({f"a{number}": 1 for number in range(20_000)}), 400, "a0"),
    ("POST", "/Groups", _json({"displayName": "g", "members": [{"value": str(number)} for number in
     range(20_000)]}), 400, "user"),
    # large bodies, with a Content-Length and without
    ("POST", "/Users", LARGE, 413, "4194304"),
    ("POST", "/Users", _chunks, 413, "4194304"),
    ("PATCH", "/Groups/{id}", LARGE, 413, "4194304"),
    ("PUT", "/Users/{id}", _chunks, 413, "4194304"),
    ("POST", "/Users/.search", LARGE, 413, "4194304"),
    # filters
    ("GET", f"/Users?filter={TERMS}", None, 414, "/.search"),
    ("POST", "/Users/.search", _search(TERMS), 400, "filter"),
    ("POST", "/.search", _search(TERMS), 400, "filter"),
    ("POST", "/Users/.search", _search(NESTED), 400, "filter"),
    ("POST", "/Users/.search", _search("not " * 50_000), 400, "filter"),
    ("GET", '/Users?filter=userName ee "jane"', None, 400, ""),
    ("GET", "/Users?count=many", None, 400, "count"),
    ("GET", "/Users?sortBy=a[b", None, 400, ""),
    # what is not there
    ("GET", "/Users/nobody", None, 404, "nobody"),
    ("GET", "/Robots", None, 404, ""),
    ("DELETE", "/Users", None, 405, ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def served(sigv4_center: Center, tmp_path_factory):
    """A bridge with one user in it, whose id is {id}."""
    installation = install(sigv4_center, tmp_path_factory.mktemp("bad") / "bridge")
    with installation.serving() as bridge:
        jane = bridge.add_user("jane@example.com")
        bridge.add_group("staff", jane)
        bridge.arrive()
        yield installation, bridge, jane
    sigv4_center.reset()


@pytest.fixture(scope="module")
def tokens(served):
    """A token that has ended, and one that may only read."""
    installation, _, _ = served
    # 0.00001 days are 0.9 seconds.
    expired = installation.json_of("client", "add", "expired", "--expires", "0.00001")
    time.sleep(1)
    reporting = installation.json_of("client", "add", "reporting", "--read-only")
    return {"expired": expired["token"], "reporting": reporting["token"]}


def _everything(served):
    installation, bridge, _ = served
    users = bridge.sent("GET", "/Users")["Resources"]
    return users, bridge.sent("GET", "/Groups")["Resources"], installation.sandbox.state()


def _is_refused(answer: requests.Response, status: int) -> str:
    """The detail of an answer that is a SCIM error (RFC 7644, section 3.12)."""
    assert answer.headers["Content-Type"].startswith("application/scim+json"), answer.text[:500]
    error = answer.json()
    assert (answer.status_code, error["schemas"]) == (status, [ERROR]), answer.text[:500]
    assert error["status"] == str(status)
    assert error["detail"]
    return error["detail"]


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), BAD)
def test_bad_input_is_a_scim_error_at_once(method, path, body, status, words, served):
    """The error says what is wrong, comes within two seconds, and nothing is changed."""
    _, bridge, jane = served
    before = _everything(served)
    begun = time.monotonic()
    answer = requests.request(
        method,
        f"{bridge.url}/scim/v2{path.replace('{id}', jane)}",
        data=body() if callable(body) else body,
        headers={
            "Authorization": f"Bearer {bridge.token}",
            "Content-Type": "application/scim+json",
        },
        timeout=30,
    )
    took = time.monotonic() - begun
    detail = _is_refused(answer, status)
    assert words in detail
    assert len(detail) < 1000
    assert took < LONGEST, took
    assert _everything(served) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/Users"), ("POST", "/Users"), ("PATCH", "/Users/{id}"), ("DELETE", "/Users/{id}")],
)
def test_tokens_that_are_not_good_are_refused(method, path, served, tokens):
    """None, one nobody gave out, or one that has ended: 401. One that only reads: 403 on writes."""
    _, bridge, jane = served
    before = _everything(served)

    def send(headers):
        address = f"{bridge.url}/scim/v2{path.replace('{id}', jane)}"
        body = person("x@example.com") if method == "POST" else {"schemas": [PATCH]}
        return requests.request(method, address, json=body, headers=headers, timeout=30)

    for headers in (
        {},
        {"Authorization": "Basic amFuZTpwYXNz"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer scb_unknown"},
        {"Authorization": f"Bearer {tokens['expired']}"},
    ):
        answer = send(headers)
        _is_refused(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    answer = send({"Authorization": f"Bearer {tokens['reporting']}"})
    if method == "GET":
        assert answer.status_code == 200
    else:
        assert "read" in _is_refused(answer, 403)
    assert _everything(served) == before
