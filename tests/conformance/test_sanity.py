"""The suite `sanity`: scim-sanity's probe, with what each check sent."""

from scim_sanity.probe.report import ProbeResult

from conformance.result import Exchange, Outcome
from conformance.suites.sanity import Sanity, allowed, shared
from conformance.target import Target
from tests.conformance.conftest import SCIM, broken, discovery


def test_a_stock_server_is_probed(stock):
    """Nothing fails; what scim-sanity dislikes and the RFCs allow is a warning."""
    with Target(stock.url, stock.token) as target:
        results = list(Sanity().run(target, "run"))
        target.clean()

    outcomes = {one.name: one.outcome for one in results}
    assert outcomes["POST /Users"] is Outcome.passed
    # RFC 7644 3.5.2: 200 with the resource, or 204.
    assert outcomes["PATCH /Users/{id}"] is Outcome.warned
    assert outcomes["The life of a resource of type Agent"] is Outcome.skipped
    assert Outcome.failed not in outcomes.values()
    assert stock.held() == 0


def test_each_result_has_the_request_it_speaks_of(stock):
    """Method and path are those in the check's name."""
    with Target(stock.url, stock.token) as target:
        results = [one for one in Sanity().run(target, "run") if one.name.split()[0] == "PATCH"]
        target.clean()

    assert len(results) == 4
    assert all([one.method for one in result.exchanges] == ["PATCH"] for result in results)
    assert [one.exchanges[0].url.split("/")[-2] for one in results] == ["Users"] + ["Groups"] * 3


def test_a_server_that_only_breaks_fails():
    """A 500 in discovery and in lists is a failure each, with the request."""

    def answer(method, path):
        if path in {"/ServiceProviderConfig", "/Schemas"}:
            return 500, "text/html", "<h1>Oops</h1>"
        return discovery(path) or (404, SCIM, "{}")

    with broken(answer) as server, Target(server.url, "t") as target:
        results = {one.name: one for one in Sanity().run(target, "run")}

    assert results["GET /Schemas"].outcome is Outcome.failed
    assert results["GET /Schemas"].exchanges[0].status == 500
    assert results["GET /Users (ListResponse)"].outcome is Outcome.failed


def test_a_failure_is_excused_only_where_the_rfcs_allow_it():
    """204 to a PATCH is; 500 to a PATCH and 204 to a PUT are not."""

    def failing(name, message):
        return ProbeResult(name, ProbeResult.FAIL, message=message)

    assert "3.5.2" in allowed(failing("PATCH /Users/{id}", "Expected HTTP 200, got 204"))
    assert allowed(failing("PATCH /Groups/{id} add member", "Expected 200, got 404"))
    assert not allowed(failing("PATCH /Users/{id}", "Expected HTTP 200, got 500"))
    assert not allowed(failing("PUT /Users/{id}", "Expected HTTP 200, got 204"))


def test_two_results_of_one_request_share_it():
    """A warning beside a passed check speaks of the same request."""
    sent = [
        Exchange(method=method, url="u", sent="", status=200, headers={}, received="", seconds=0.0)
        for method in ("POST", "GET")
    ]
    names = ["POST /Users", "POST /Users", "GET /Users/{id}"]
    found = [ProbeResult(name, ProbeResult.PASS) for name in names]

    assert [share for _, share in shared(found, tuple(sent))] == [
        (sent[0],),
        (sent[0],),
        (sent[1],),
    ]
