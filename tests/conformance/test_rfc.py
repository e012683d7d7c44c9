"""The suite of the RFCs: its steps are sound, the bridge passes, a server that errs does not."""

import re
from collections import Counter

from conformance.cursors import CHECKS
from conformance.player import scenarios
from conformance.result import Outcome
from conformance.suites.rfc import Rfc
from conformance.target import Target
from tests.conformance.bridge import RUN, bad, bridge, checked, checked_stock, told
from tests.conformance.conftest import broken

SCENARIOS = scenarios("data/rfc")
SECTION = re.compile(r"RFC \d{4} \d+(\.\d+)*")
# Identity Center demands more of a user than the RFC (see its reference).
CHOSEN = {"a userName alone is enough"}


def test_each_step_has_its_section_and_a_name_of_its_own():
    """And a status that it is content with."""
    steps = [(scenario, step) for scenario in SCENARIOS for step in scenario["steps"]]
    names = [step["name"] for _, step in steps] + [name for name, *_ in CHECKS]

    assert len(names) > 250
    assert max(Counter(names).values()) == 1
    for scenario, step in steps:
        assert SECTION.fullmatch(step.get("section", scenario["section"])), step
        assert step["expect"]["status"], step


def test_the_bridge_does_what_the_rfcs_say(database):
    """Over HTTP on SQLite, and every feature that the suite knows is announced."""
    with bridge(database) as target:
        results = checked(Rfc(), target)

    assert {name: why for name, why in bad(results).items() if name not in CHOSEN} == {}
    announced = "the server does not announce"
    unannounced = told(results, Outcome.skipped)
    assert [name for name, why in unannounced.items() if why.startswith(announced)] == []


def test_a_stock_server_is_told_what_it_does_wrong(stock):
    """scim2-server 0.8.3 takes no attributes of a POST, and announces no cursors by default."""
    results = checked_stock(Rfc(), stock, RUN)

    assert told(results, Outcome.failed).keys() == {
        "an answer to POST leaves out what is excluded",
        "an answer to POST has what is asked for",
    }
    assert (
        "the server does not announce pagination.cursor" in told(results, Outcome.skipped).values()
    )


def test_a_server_that_is_none_fails_without_an_end():
    """Whatever it answers, each step comes to something."""
    with (
        broken(lambda *_: (200, "text/html", "<h1>Welcome</h1>")) as server,
        Target(server.url, None) as target,
    ):
        results = list(Rfc().run(target, RUN))

    assert len(results) == Rfc().number()
    assert not any(one.outcome is Outcome.passed and "is made" in one.name for one in results)
    assert told(results, Outcome.failed)["a user is made"].startswith("status 200 instead of 201")
