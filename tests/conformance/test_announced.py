"""What a server announces decides which checks make sense."""

from conformance.announced import NAMES_STAY, renames
from conformance.cases import data
from conformance.player import scenarios
from conformance.result import Outcome
from conformance.suites.rfc import Rfc
from conformance.target import Target
from tests.conformance.bridge import bridge, checked, told
from tests.conformance.conftest import broken


def test_where_user_names_stay_a_check_that_renames_is_skipped_and_nothing_fails(database):
    """The bridge's default: userName is immutable (RFC 7643 7), and /Schemas says so."""
    with bridge(database, names="refuse") as target:
        assert renames(target) is False
        results = checked(Rfc(), target)

    assert told(results, Outcome.failed) == {}
    assert [name for name, why in told(results, Outcome.skipped).items() if why == NAMES_STAY] == [
        "PUT with a userName that is taken is refused"
    ]


def test_where_user_names_change_nothing_is_skipped_for_it(database):
    """Nor where a server says nothing of its schemas."""
    with bridge(database) as target:
        assert renames(target) is True
    with (
        broken(lambda *_: (200, "text/html", "<h1>Welcome</h1>")) as server,
        Target(server.url, None) as target,
    ):
        assert renames(target) is True


def test_what_is_marked_sends_another_user_name_or_looks_for_one():
    """Nothing else may be skipped for it."""
    cases = [case for case in data("patches.json")["cases"] if case.get("renames")]
    folders = ("dialogues", "data/rfc")
    steps = [
        step
        for folder in folders
        for scenario in scenarios(folder)
        for step in scenario["steps"]
        if step.get("renames")
    ]

    assert len(cases) == 9
    assert all("userName" in str(case["operations"]) for case in cases)
    assert len(steps) == 8
    assert all("userName" in str(step) for step in steps)
