"""Real clients, step by step: what each sends, and what it needs in order to go on.

What Identity Center holds after each is tested in ``tests/acceptance``.
"""

import json
from collections import Counter

import pytest

from conformance.expectation import disappointments, reached
from conformance.player import Player, scenarios
from conformance.result import Outcome
from conformance.suites.dialogues import Dialogues
from conformance.target import Answer, Target
from conformance.template import UnknownVariable, Variables, filled
from tests.conformance.bridge import bad, bridge, checked, checked_stock, told
from tests.conformance.conftest import SCIM, broken

DIALOGUES = scenarios("dialogues")


def test_every_client_has_a_dialogue_with_a_source():
    """Eleven of them, each with what it stands on."""
    assert len(DIALOGUES) == 11
    assert max(Counter(dialogue["client"] for dialogue in DIALOGUES).values()) == 1
    for dialogue in DIALOGUES:
        assert dialogue["source"]
        assert dialogue["confidence"] in {"documented", "inferred"}
        assert all(step["expect"]["status"] for step in dialogue["steps"])


def test_the_clients_get_through_twice_in_a_row(database):
    """Every step is answered as the client needs it, the optional ones too, in either order."""
    with bridge(database) as target:
        once = checked(Dialogues(), target, "c0ffee")
        player = Player(suite="dialogues", target=target, run="c0ffee", config={})
        again = [result for one in reversed(DIALOGUES) for result in player.play(one)]

    assert bad(once) == {}
    assert bad(again) == {}


def test_a_stock_server_is_told_what_clients_lack(stock):
    """A strict server refuses Entra ID's group, so the steps with the group are skipped."""
    results = checked_stock(Dialogues(), stock, "dialogue")

    clauses = {one.clause: one for one in results}
    refused = clauses["Microsoft Entra ID provisioning, no flag · create the group, empty"]
    assert refused.outcome is Outcome.failed
    assert "status 400 instead of 201" in refused.reason
    assert refused.exchanges[0].status == 400
    lacking = clauses["Microsoft Entra ID provisioning, no flag · rename the group"]
    assert lacking.outcome is Outcome.skipped
    assert lacking.reason.startswith("grp is not known")
    assert not lacking.exchanges
    assert len(told(results, Outcome.passed)) > 200


# -- The player ---------------------------------------------------------------


def played(*steps: dict, answer=(200, SCIM, '{"id": "7", "on": true}'), **scenario):
    """What these steps come to with a server that always answers so."""
    with broken(lambda *_: answer) as server, Target(server.url, None) as target:
        player = Player(suite="rfc", target=target, run="r1", config={"sort": {"supported": True}})
        results = list(player.play({"section": "RFC 7644 3", "steps": steps, **scenario}))
        return results, server.asked


def step(name: str, **more) -> dict:
    return {"name": name, "method": "GET", "path": f"/{name}", "expect": {"status": [200]}, **more}


def test_a_step_gets_what_an_earlier_one_has_caught():
    """Also into the path of its request."""
    _, asked = played(
        step("one", capture={"me": "id"}), step("two", path="/Users/${me}?x=${run}"), vars={}
    )

    assert asked == [("GET", "/one"), ("GET", "/Users/7")]


def test_a_step_that_cannot_be_taken_is_skipped_with_its_reason():
    """Something was not caught, is not announced, is not so here, or needs a token."""
    results, asked = played(
        step("one", path="/${nothing}"),
        step("two", needs=["sort.supported", "etag.supported"]),
        step("three", only_if=["run", "r2"]),
        step("four", anonymous=True),
    )

    assert asked == []
    assert [one.outcome for one in results] == [Outcome.skipped] * 4
    assert [one.reason for one in results] == [
        "nothing is not known: the step that gives it did not get so far",
        "the server does not announce etag.supported",
        "run is 'r1' here",
        "this run uses no token, so the server may ask for none",
    ]


def test_an_optional_step_only_warns():
    """A client can live with it."""
    results, _ = played(step("one", expect={"status": [201]}, optional=True))

    assert results[0].outcome is Outcome.warned
    assert results[0].reason.startswith("status 200 instead of 201")


def test_what_cannot_be_caught_fails():
    """Later steps would have nothing to go on with."""
    results, _ = played(step("one", capture={"me": "userName"}, capture_headers={"tag": "ETag"}))

    assert results[0].outcome is Outcome.failed
    assert results[0].reason == "the answer has no userName; the answer has no header ETag"


BODY = {
    "on": True,
    "n": 3,
    "name": "Ada",
    "none": None,
    "list": ["a", "b"],
    "members": [{"value": "1"}, {"value": "2"}],
    "urn:x:2.0:User": {"dept": "R"},
}


@pytest.mark.parametrize(
    ("path", "good", "wrong"),
    [
        ("on", True, 1),
        ("n", 3, 3.5),
        ("name", "Ada", "ada"),
        ("list", ["a", "b"], ["b", "a"]),
        ("list.1", "b", "a"),
        ("members.*.value", ["1", "2"], ["2", "1"]),
        ("urn:x:2.0:User.dept", "R", "S"),
        ("members.*.value", {"contains": ["2"]}, {"contains": ["3"]}),
        ("list", {"contains": ["b"]}, {"contains": ["c"]}),
        ("members.*.value", {"not_contains": ["3"]}, {"not_contains": ["1"]}),
        ("members.*.value", {"set": ["2", "1"]}, {"set": ["1"]}),
        ("members", {"length": 2}, {"length": 1}),
        ("none", {"empty": True}, {"exists": False}),
        ("absent", {"absent": True}, {"exists": True}),
        ("absent", {"empty": True}, "x"),
        ("on", {"type": "boolean"}, {"type": "integer"}),
        ("n", {"min": 3, "max": 3}, {"min": 4}),
        ("n", {"in": [1, 3]}, {"in": [1, 2]}),
        ("name", {"not": "Bo"}, {"not": "Ada"}),
        ("name", {"ieq": "ADA"}, {"ieq": "BO"}),
        ("name", {"regex": "^A"}, {"regex": "^B"}),
        ("members", {"no_nulls": True}, {"no_nulls": False}),
        ("", {"no_nulls": False}, {"no_nulls": True}),
    ],
)
def test_an_expectation_holds_or_does_not(path, good, wrong):
    """Each rule can fail."""
    answer = Answer(status=200, headers={}, text=json.dumps(BODY))

    assert list(disappointments({"json": {path: good}}, answer)) == []
    assert len(list(disappointments({"json": {path: wrong}}, answer))) == 1


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ({"status": [201, 204]}, "status 400 instead of 201 or 204"),
        ({"headers": {"Allow": "GET"}}, "the header Allow is None"),
        ({"headers": {"Content-Type": {"regex": "html"}}}, "the header Content-Type is"),
        ({"error": ["invalidPath", ""]}, "scimType 'invalidFilter' instead of invalidPath or none"),
        ({"json_on": {"400": {"detail": "x"}}}, "detail is "),
    ],
)
def test_an_answer_that_disappoints_is_told(expected, told):
    """In a sentence with what was wanted."""
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "400",
        "scimType": "invalidFilter",
    }
    answer = Answer(status=400, headers={"Content-Type": SCIM}, text=json.dumps(body))

    (reason,) = disappointments(expected, answer)

    assert reason.startswith(told)


def test_a_body_that_is_no_json_disappoints():
    """A 204 has none to look at."""
    html = Answer(status=200, headers={}, text="<h1>")

    assert list(disappointments({"json": {"id": "1"}}, html)) == ["the body is not JSON: '<h1>'"]
    assert (
        list(disappointments({"json": {"id": "1"}}, Answer(status=204, headers={}, text=""))) == []
    )


def test_a_template_is_filled_in():
    """A lone variable keeps its type, q: encodes, and a guid is made once."""
    variables = Variables(n=5, name="a b&c")

    assert filled({"${name}": ["${n}", "x${n}", "${q:name}", None]}, variables) == {
        "a b&c": [5, "x5", "a%20b%26c", None]
    }
    assert filled("${guid_a}", variables) == filled("${guid_a}", variables)
    with pytest.raises(UnknownVariable, match="other is not known"):
        filled("${other}", variables)


def test_a_path_that_leads_nowhere_reaches_nothing():
    """Neither through a text nor beyond a list."""
    assert reached(BODY, "name.first") == []
    assert reached(BODY, "list.5") == []
    assert reached(BODY, "members.*.display") == []
