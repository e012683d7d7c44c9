"""Every call is counted and remembered, in the order in which the work was done."""

from scim_bridge.sandbox.journal import REMEMBERED, Entry, Journal


def entry(**more) -> Entry:
    fields = {
        "time": "12:00:00",
        "operation": "CreateUser",
        "status": 201,
        "reason": None,
        "dropped": False,
        "method": "POST",
        "path": "/Users",
        "query": "",
        "body": {},
        "content_type": None,
        "auth": "bearer",
        "user_agent": None,
        "request_id": "r1",
    }
    return Entry(**{**fields, **more})


def test_calls_are_counted_by_operation_and_status(sandbox, person):
    """Names are AWS's, bare for SCIM; refusals count under their status."""
    sandbox.create_user("ada")
    sandbox.create_user("bob")
    sandbox.post("/Users", person("ada"))
    sandbox.get("/Users")
    assert sandbox.calls() == {"CreateUser": {"201": 2, "409": 1}, "ListUsers": {"200": 1}}


def test_clearing_the_counts_leaves_the_rest(sandbox):
    """DELETE resets the counts only."""
    sandbox.create_user()
    assert sandbox.control("DELETE", "calls").status_code == 204
    assert sandbox.calls() == {}
    assert len(sandbox.requests()) == len(sandbox.state()["users"]) == 1


def test_the_controls_are_not_counted(sandbox):
    """What is watched are the calls to AWS's interface."""
    sandbox.state()
    assert (sandbox.calls(), sandbox.requests()) == ({}, [])


def test_requests_are_remembered_as_they_were_sent(sandbox):
    """The query as written, the JSON, the User-Agent, the request id and the way of proof."""
    sandbox.session.headers["User-Agent"] = "probe/1"
    sandbox.create_user("ada")
    response = sandbox.get("/Users?cursor&filter=userName%20eq%20%22ada%22")
    created, listed = sandbox.requests()
    assert (created["operation"], created["status"], created["path"]) == (
        "CreateUser",
        201,
        "/Users",
    )
    assert created["body"]["userName"] == "ada"
    assert created["content_type"] == "application/json"
    assert listed["query"] == "cursor&filter=userName%20eq%20%22ada%22"
    assert (listed["method"], listed["body"], listed["auth"]) == ("GET", None, "bearer")
    assert listed["user_agent"] == "probe/1"
    assert listed["request_id"] == response.headers["x-amzn-RequestId"]


def test_the_reason_of_a_refusal_is_remembered(sandbox, person):
    """AWS's text does not say what was wrong; here a person can read it."""
    sandbox.create_user("ada", externalId="A1")
    sandbox.post("/Users", person("bob", externalId="A1"))
    assert sandbox.last_reason() == "externalId: is already used by another resource"
    sandbox.post("/Users", person("bob", title="a:b"))
    assert sandbox.last_reason() == "title: the character ':' is refused"


def test_only_the_last_requests_are_remembered_but_all_are_counted():
    """A long run does not fill the memory."""
    journal = Journal()
    for number in range(REMEMBERED + 1):
        journal.record(entry(request_id=str(number)))
    remembered = journal.requests()
    assert (len(remembered), remembered[0]["request_id"]) == (REMEMBERED, "1")
    assert journal.calls() == {"CreateUser": {"201": REMEMBERED + 1}}


def test_a_line_is_for_reading():
    """Time, operation, status, address, and why not."""
    listed = entry(operation="ListUsers", status=200, method="GET", query="cursor")
    assert listed.line() == "12:00:00 ListUsers 200 GET /Users?cursor"
    refused = entry(status=400, reason="title: is required")
    assert refused.line() == "12:00:00 CreateUser 400 POST /Users - title: is required"
    odd = entry(path="/Users/a\nb\ud800ü")
    assert odd.line() == r"12:00:00 CreateUser 201 POST /Users/a\nb\ud800ü"
    assert entry(dropped=True).line().endswith(" - the answer is dropped")
