"""The suite `tester`: scim2-tester's checks, over HTTP, with what each sent."""

import pytest

from conformance.result import Outcome
from conformance.suites.tester import Tester, clause
from conformance.target import Target
from tests.conformance.bridge import bridge
from tests.conformance.conftest import SCIM, broken, discovery


def test_a_stock_server_fails_what_it_lacks(stock):
    """Its /Schemas lacks the schemas of discovery, its PATCH is right; each has its section."""
    with Target(stock.url, stock.token) as target:
        results = list(Tester().run(target, "run"))
        target.clean()

    [failed] = [one for one in results if one.outcome is Outcome.failed]
    assert (failed.name, failed.clause) == ("core schemas validation", "RFC 7644 4")
    assert [(one.method, one.status) for one in failed.exchanges] == [("GET", 200)]
    assert failed.exchanges[0].url.endswith("/Schemas")
    assert {"RFC 7644 3.5.2.1", "RFC 7644 3.3"} <= {one.clause for one in results}
    assert {"User: object creation", "Group: object creation"} <= {one.name for one in results}
    assert stock.held() == 0


def test_the_bridge_passes_every_check(database):
    """Only its own extensions are left out: what they take, only the bridge knows."""
    with bridge(database) as target:
        results = list(Tester().run(target, "run"))
        left = target.clean()

    others = {one.name: one.reason for one in results if one.outcome is not Outcome.passed}
    assert left == []
    assert len(results) > 100
    assert set(others) == {
        f"{kind}: urn:ietf:params:scim:schemas:extension:scimbridge:2.0:{kind}"
        for kind in ("User", "Group")
    }


def test_each_result_has_its_own_requests(stock):
    """A check of many attributes tells for each what was sent for it, not for all."""
    with Target(stock.url, stock.token) as target:
        added = [one for one in Tester().run(target, "run") if "check add" in one.name]
        target.clean()

    assert len(added) > 20
    assert all(1 <= len(one.exchanges) <= 4 for one in added)
    assert all("PATCH" in {sent.method for sent in one.exchanges} for one in added)


@pytest.mark.parametrize(
    "answer",
    [
        lambda method, path: (500, "text/html", "<h1>Oops</h1>"),
        lambda method, path: discovery(path) or (200, SCIM, "[]"),
        lambda method, path: (200, SCIM, '{"schemas": 1, "Resources": 7}'),
    ],
    ids=["nothing but errors", "lists where objects are wanted", "nonsense"],
)
def test_a_broken_server_fails_and_breaks_nothing(answer):
    """Every failure is a result, and the suite comes to its end."""
    with broken(answer) as server, Target(server.url, "t") as target:
        results = list(Tester().run(target, "run"))

    failed = [one for one in results if one.outcome is Outcome.failed]
    assert failed
    assert all(one.reason for one in failed)


def test_a_section_is_read_from_a_description():
    """Both ways in which scim2-tester writes it; without one the tester itself is named."""
    quoted = ".. pull-quote:: :rfc:`RFC 7644 Section 3.5.2.2 - Remove <7644#section-3.5.2.2>`"

    assert clause(quoted) == "RFC 7644 3.5.2.2"
    assert clause(":rfc:`RFC 7644 <7644#section-3.4.1>`") == "RFC 7644 3.4.1"
    assert clause("Something else") == "scim2-tester"
