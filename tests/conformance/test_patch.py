"""The suite of PATCH cases: its cases are sound, the bridge passes, a server that errs does not.

RFC 7644, section 3.5.2.
"""

import json
import re
from collections import Counter

import pytest

from conformance.cases import data
from conformance.difference import difference
from conformance.result import Outcome
from conformance.suites.patch import Patches
from conformance.target import Target
from conformance.template import filled
from tests.conformance.bridge import bad, bridge, checked, checked_stock, told
from tests.conformance.conftest import SCIM, broken

CONTENT = data("patches.json")
CASES = CONTENT["cases"]
SECTION = re.compile(r"RFC \d{4} \d+(\.\d+)*")
# What a bridge does otherwise where the RFC leaves it open.
CHOSEN = {"user: schemas is missing | body"}


def test_there_are_many_cases_each_with_its_section_and_a_name_of_its_own():
    """Each has a state to begin with, something to send, and an end."""
    assert len(CASES) >= 250
    assert max(Counter(case["name"] for case in CASES).values()) == 1
    for case in CASES:
        assert SECTION.fullmatch(case["section"]), case
        assert case["resource"] in {"User", "Group"}, case
        assert case["before"] in CONTENT["states"], case
        assert len(case.keys() & {"operations", "body", "raw"}) == 1, case
        assert case.keys() & {"after", "error"}, case


def test_the_bridge_does_what_the_cases_say(database):
    """Over HTTP on SQLite, what clients send beyond the RFC too."""
    with bridge(database) as target:
        results = checked(Patches(), target)

    assert {name: why for name, why in bad(results).items() if name not in CHOSEN} == {}


def test_a_stock_server_is_told_what_it_does_wrong(stock):
    """scim2-server 0.8.3 keeps a member that is named twice, and lets userName be empty."""
    results = checked_stock(Patches(), stock, "patching")

    assert told(results, Outcome.failed).keys() == {
        "a member twice in one operation",
        "members replaced, one named twice",
        "replace userName by an empty text",
    }
    assert all(one.exchanges and one.reason for one in results if one.outcome is not Outcome.passed)


def test_a_server_that_says_yes_and_does_nothing_fails():
    """The worst answer to a PATCH: 204, and nothing has changed."""
    name = "patch.run.0@example.com"
    there = json.dumps(
        filled(CONTENT["states"][CASES[0]["before"]], {"u": name, "w": "run.0"}) | {"id": "1"}
    )

    def answer(method: str, path: str) -> tuple[int, str, str]:
        return {"POST": (201, SCIM, there), "GET": (200, SCIM, there)}.get(method, (204, SCIM, ""))

    with broken(answer) as server, Target(server.url, None) as target:
        result = next(Patches().run(target, "run"))

    assert result.outcome is Outcome.failed
    assert result.reason == 'nickname is null; wanted: "ivi"'


def test_a_server_that_keeps_nothing_fails():
    """A case that cannot begin is told as such."""
    with (
        broken(lambda *_: (201, SCIM, '{"id": "1"}')) as server,
        Target(server.url, None) as target,
    ):
        result = next(Patches().run(target, "run"))

    assert result.outcome is Outcome.failed
    assert result.reason.startswith("the server did not keep what was created: active is null")


@pytest.mark.parametrize(
    ("wanted", "found", "differs"),
    [
        ({"title": "a"}, {"TITLE": "a", "id": "1", "meta": {}}, False),
        ({"title": "a"}, {"title": "A"}, True),
        ({"title": None, "emails": []}, {}, False),
        ({"active": True}, {"active": "true"}, True),
        ({"ims": [{"value": "a"}, {"type": "b"}]}, {"ims": [{"type": "b"}, {"value": "a"}]}, False),
        ({"emails": [{"value": "a"}]}, {"emails": [{"value": "a"}, {"value": "a"}]}, True),
        ({"emails": [{"value": "a"}]}, {"emails": [{"value": "a", "primary": False}]}, False),
        ({"emails": [{"value": "a"}]}, {"emails": [{"value": "a", "primary": True}]}, True),
        ({"members": [{"value": "1"}]}, {"members": [{"value": "1", "display": "x"}]}, False),
        ({"roles": [{"value": "1"}]}, {"roles": [{"value": "1", "display": "x"}]}, True),
        ({"name": {"givenName": "a"}}, {"name": {"givenName": "a", "formatted": "a b"}}, False),
    ],
)  # fmt: skip
def test_only_what_means_something_is_a_difference(wanted, found, differs):
    """RFC 7643 sections 2.1, 2.4 and 2.5."""
    assert bool(difference(wanted, found)) is differs
