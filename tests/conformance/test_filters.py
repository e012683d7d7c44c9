"""The suite of filters: its cases are sound, the bridge passes, a server that errs does not.

RFC 7644, section 3.4.2.2.
"""

import json
import re
from collections import Counter
from itertools import islice
from urllib.parse import parse_qs, urlsplit

from conformance.cases import data
from conformance.result import Outcome
from conformance.suites.filters import Filters
from conformance.target import Target
from tests.conformance.bridge import RUN, bad, bridge, checked, checked_stock, told
from tests.conformance.conftest import SCIM, broken
from tests.scim.conftest import person

CASES = data("filters.json")
SECTION = re.compile(r"RFC \d{4} \d+(\.\d+)*")


def test_there_are_many_cases_each_with_its_section_and_a_name_of_its_own():
    """What is expected is one of: these people, a refusal, or no server error."""
    assert len(CASES) >= 250
    assert max(Counter(case["name"] for case in CASES).values()) == 1
    assert max(Counter((case["endpoint"], case["filter"]) for case in CASES).values()) == 1
    keys = {kind.capitalize(): set(group) for kind, group in data("population.json").items()}
    for case in CASES:
        assert SECTION.fullmatch(case["section"]), case
        assert case["endpoint"] in keys, case
        assert ("matches" in case) != ("valid" in case), case
        assert set(case.get("matches", ())) <= keys[case["endpoint"]], case


def test_the_bridge_finds_and_refuses_as_the_cases_say(database):
    """By GET and POST, on SQLite. A NUL in a text may be refused: PostgreSQL has none."""
    with bridge(database) as target:
        results = checked(Filters(), target)

    assert told(results, Outcome.failed) == {}
    assert [name for name in bad(results) if "u0000" not in name] == []


def test_other_people_do_not_disturb(database, monkeypatch):
    """If there are more than a page of them, a filter is asked again for the population only."""
    monkeypatch.setattr("conformance.suites.filters.PAGE", 7)
    with bridge(database) as target:
        for n in range(3):
            body = {**person(f"other{n}"), "title": "Engineer", "userType": "Employee"}
            assert target.send("POST", "/Users", body).status == 201
        results = list(islice(Filters().run(target, RUN), 60))

    assert told(results, Outcome.failed) == {}
    urls = next(one.exchanges for one in results if one.name == "Users: active eq true")
    asked = [parse_qs(urlsplit(one.url).query)["filter"][0] for one in urls]
    assert asked == ["active eq true", f'(active eq true) and userName co "-{RUN}"']


def test_a_stock_server_is_checked_to_the_end(stock):
    """It finds all that is meant."""
    assert told(checked_stock(Filters(), stock, RUN), Outcome.failed) == {}


def test_a_server_that_finds_everybody_fails():
    """The worst answer to a filter: all people."""
    made = []

    def answer(method: str, path: str) -> tuple[int, str, str]:
        if method == "POST" and not path.endswith(".search"):
            made.append({"id": str(len(made))})
            return 201, SCIM, json.dumps(made[-1])
        return 200, SCIM, json.dumps({"totalResults": len(made), "Resources": made})

    with broken(answer) as server, Target(server.url, None) as target:
        results = list(islice(Filters().run(target, RUN), 90))

    failed = told(results, Outcome.failed)
    assert 'Users: userName eq "nobody.here"' in failed
    assert "wanted: 400 invalidFilter" in failed["Users: userName"]


def test_a_server_without_people_fails_once():
    """There is nobody to search, and the reason is told."""
    with (
        broken(lambda *_: (500, "text/html", "<h1>Oops</h1>")) as server,
        Target(server.url, None) as target,
    ):
        (result,) = Filters().run(target, RUN)

    assert result.outcome is Outcome.failed
    assert "ada was not made: 500" in result.reason
    assert result.exchanges
