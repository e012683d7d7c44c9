"""Sensible requests: made from a server's schemas, they are what that server takes."""

import random

import pytest

from conformance.evaluation import parsed
from conformance.suites.fuzz import discovered, made
from conformance.target import Target
from conformance.traffic import Asked, Traffic


@pytest.fixture(scope="module")
def kinds(stock):
    """Users with the enterprise extension, and groups."""
    with Target(stock.url, stock.token) as target:
        return discovered(target)


@pytest.fixture
def traffic(kinds):
    return Traffic(kinds, random.Random(1))


def test_most_sensible_requests_are_taken(stock, kinds, traffic):
    """A stock server takes nine of ten; what it refuses are filters that match no value."""
    with Target(stock.url, stock.token) as target:
        made(target, kinds, traffic, "sensible")
        statuses = []
        for method, path in [
            *(("POST", "/Users"), ("POST", "/Groups"), ("PATCH", "/Users/{id}")),
            *(("PUT", "/Groups/{id}"), ("GET", "/Users"), ("POST", "/Users/.search")),
        ] * 8:
            asked = traffic.request(method, path)
            # Versions are of other resources more often than not.
            answer = target.send(asked.method, asked.path, asked.body)
            traffic.learn(asked, answer.status, answer.json)
            statuses.append(answer.status)
        assert target.clean() == []

    assert sum(status < 300 for status in statuses) > len(statuses) * 0.75, statuses


def test_a_filter_is_always_one(kinds, traffic):
    """RFC 7644 3.4.2.2: our own reading of filters takes each."""
    filters = {traffic.filter(kind) for kind in kinds for _ in range(200)}

    assert len(filters) > 200
    assert all(parsed(one) for one in filters)
    assert any("[" in one for one in filters)
    assert any(" and " in one for one in filters)


def test_what_was_given_is_used_again(traffic):
    """An id, its version and a cursor; what is gone is not."""
    [first, second] = [
        Asked(method="POST", path="/Users", body={}),
        Asked(method="POST", path="/Users/.search", body={"count": 2}),
    ]
    traffic.learn(first, 201, {"id": "7", "meta": {"version": 'W/"3"'}})
    traffic.learn(second, 200, {"nextCursor": "more"})

    asked = [traffic.request("PATCH", "/Users/{id}") for _ in range(40)]
    searched = [traffic.request("POST", "/Users/.search").body for _ in range(20)]
    assert {one.path for one in asked} == {"/Users/7"}
    assert 'W/"3"' in {one.headers.get("If-Match") for one in asked}
    assert {"count": 2, "cursor": "more"} in searched
    traffic.learn(Asked(method="DELETE", path="/Users/7"), 204, None)
    assert traffic.request("GET", "/Users/{id}").path.startswith("/Users/nobody")
