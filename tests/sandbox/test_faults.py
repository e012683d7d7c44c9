"""The sandbox misbehaves when it is told to, for as many calls as it is told, and not otherwise."""

import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.sandbox.faults import Throttle


def statuses(sandbox, *paths: str) -> list[int]:
    return [sandbox.get(path).status_code for path in paths]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_a_fault_answers_its_status_once(sandbox, status):
    """The operation's own errors are in SCIM form [observed by clients]; what stands before the
    service answers otherwise [inferred].
    """
    in_scim_form = status not in (401, 403, 502, 503, 504)
    sandbox.fault(operation="ListUsers", status=status)
    response = sandbox.get("/Users")
    assert response.status_code == status
    assert ("exceptionRequestId" in response.json()) is in_scim_form
    assert response.headers["x-amzn-RequestId"]
    assert sandbox.get("/Users").status_code == 200


def test_a_faulty_call_does_no_work(sandbox, person):
    """What is answered by a fault was not done."""
    sandbox.fault(operation="CreateUser", status=500)
    assert sandbox.post("/Users", person()).status_code == 500
    assert sandbox.state()["users"] == []


def test_a_fault_hits_its_operation_only(sandbox):
    """`operation` is a name, `*` all of them."""
    sandbox.fault(operation="ListGroups", status=500)
    assert statuses(sandbox, "/Users", "/Groups") == [200, 500]
    sandbox.fault(operation="*", status=500, times=2)
    assert statuses(sandbox, "/Users", "/Groups", "/Users") == [500, 500, 200]


def test_times_and_after_count_calls(sandbox):
    """`after` spares the first ones, `times` hits the next ones."""
    sandbox.fault(operation="ListUsers", status=429, times=2, after=1)
    assert statuses(sandbox, *["/Users"] * 4) == [200, 429, 429, 200]


@pytest.mark.parametrize("times", [None, -1])
def test_a_fault_can_be_for_ever_until_it_is_cleared(sandbox, times):
    """null and -1 are for ever; DELETE clears."""
    sandbox.fault(operation="*", status=500, times=times)
    assert statuses(sandbox, *["/Users"] * 3) == [500] * 3
    assert sandbox.control("DELETE", "faults").status_code == 204
    assert statuses(sandbox, "/Users") == [200]


def test_faults_hit_one_after_the_other(sandbox):
    """The first that is ordered hits first; while it spares, the next one may hit."""
    sandbox.fault(operation="*", status=500, after=1)
    sandbox.fault(operation="*", status=429)
    assert statuses(sandbox, *["/Users"] * 3) == [429, 500, 200]


def test_what_is_left_of_the_faults_is_shown(sandbox):
    """GET shows what each fault still spares and hits; used-up ones are gone."""
    sandbox.fault(operation="ListUsers", status=429, times=2, after=1)
    sandbox.fault(operation="ListGroups", status=429)
    statuses(sandbox, "/Users", "/Users", "/Groups")
    [left] = sandbox.control("GET", "faults").json()["faults"]
    assert (left["operation"], left["times"], left["after"]) == ("ListUsers", 1, 0)


def test_a_fault_can_hit_one_person(sandbox, person):
    """`match` is looked for in path, query and body."""
    ada, bob = sandbox.create_user("ada"), sandbox.create_user("bob")
    sandbox.fault(operation="*", status=500, times=None, match=bob["id"])
    assert statuses(sandbox, f"/Users/{ada['id']}", f"/Users/{bob['id']}") == [200, 500]
    sandbox.fault(operation="*", status=429, times=None, match='"carol"')
    assert sandbox.post("/Users", person("dave")).status_code == 201
    assert sandbox.post("/Users", person("carol")).status_code == 429
    assert statuses(sandbox, "/Users?filter=userName%20eq%20%22carol%22") == [429]


def test_a_dropped_answer_was_done_all_the_same(sandbox, person):
    """The work is done and counted, the connection closed without an answer."""
    sandbox.fault(operation="CreateUser", drop_answer=True)
    with pytest.raises(requests.ConnectionError):
        sandbox.post("/Users", person())
    assert [user["userName"] for user in sandbox.state()["users"]] == ["ada"]
    assert sandbox.calls() == {"CreateUser": {"201": 1}}
    assert sandbox.requests()[-1]["dropped"] is True
    assert sandbox.post("/Users", person()).status_code == 409


def test_a_dropped_answer_ignores_the_status(sandbox, person):
    """With drop_answer the work is done, whatever `status` says."""
    sandbox.fault(operation="CreateUser", drop_answer=True, status=401)
    with pytest.raises(requests.ConnectionError):
        sandbox.post("/Users", person())
    assert sandbox.calls() == {"CreateUser": {"201": 1}}


def test_an_empty_page_looks_like_nobody(sandbox):
    """A list answers an empty page without a next one; other operations do not feel it."""
    user = sandbox.create_user()
    sandbox.fault(operation="*", empty=True, times=2)
    assert sandbox.get(f"/Users/{user['id']}").json() == user
    assert sandbox.get("/Users").json()["totalResults"] == 0
    page = sandbox.get("/Users?cursor").json()
    assert (page["Resources"], "nextCursor" in page) == ([], False)
    assert len(sandbox.get("/Users").json()["Resources"]) == 1


def test_a_delayed_call_is_late_and_in_nobody_s_way(sandbox):
    """`delay` waits before the work, and others are served meanwhile."""
    sandbox.fault(operation="ListUsers", delay=0.2)
    began = time.monotonic()
    assert sandbox.get("/Users").status_code == 200
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    assert sandbox.get("/Users").status_code == 200
    assert time.monotonic() - began < 0.2


def test_a_fault_may_carry_retry_after(sandbox):
    """No Retry-After was ever reported from AWS [observed by clients]; a fault may add one."""
    sandbox.fault(operation="*", status=429)
    sandbox.fault(operation="*", status=429, retry_after=7)
    answers = [sandbox.get("/Users"), sandbox.get("/Users")]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, "7"]


def test_only_who_is_let_in_meets_a_fault(sandbox):
    """A fault is for authenticated calls, and is not used up by others; 401 and 403 answer as
    AWS would, before it looks at anybody.
    """
    url = f"{sandbox.server.scim_endpoint}/Users"
    sandbox.fault(operation="*", status=500)
    assert requests.get(url, timeout=10).status_code == 401
    sandbox.fault(operation="*", status=403)
    assert requests.get(url, timeout=10).status_code == 403
    assert statuses(sandbox, "/Users", "/Users") == [500, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"operation": ""},
        {"operation": "*", "status": 200},
        {"operation": "*", "status": "500"},
        {"operation": "*", "status": 600},
        {"operation": "*", "times": 0},
        {"operation": "*", "times": True},
        {"operation": "*", "after": -1},
        {"operation": "*", "after": None},
        {"operation": "*", "drop_answer": "yes"},
        {"operation": "*", "empty": 1},
        {"operation": "*", "delay": -1},
        {"operation": "*", "delay": "1"},
        {"operation": "*", "match": 7},
        {"operation": "*", "retry_after": 1.5},
        {"operation": "*", "stauts": 500},
        [],
        "x",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_and_named(sandbox, wrong):
    """A mistyped fault must not pass for none."""
    response = sandbox.control("POST", "faults", wrong)
    assert response.status_code == 400
    named = list(wrong)[-1] if isinstance(wrong, dict) and wrong else ""
    assert named in response.json()["error"]
    assert sandbox.control("GET", "faults").json() == {"faults": []}


# Throttle


def test_a_throttled_sandbox_answers_429(sandbox, person):
    """ThrottlingException is a 429. [documented]; calls beyond the rate do no work."""
    sandbox.behave(throttle=2)
    answers = [sandbox.post("/Users", person(f"user{number}")).status_code for number in range(3)]
    assert answers == [201, 201, 429]
    assert len(sandbox.state()["users"]) == 2
    sandbox.behave(throttle=None)
    assert statuses(sandbox, *["/Users"] * 5) == [200] * 5


def test_refused_callers_do_not_use_up_the_rate(sandbox):
    """The throttle counts authenticated calls."""
    sandbox.behave(throttle=1)
    url = f"{sandbox.server.scim_endpoint}/Users"
    assert [requests.get(url, timeout=10).status_code for _ in range(3)] == [401] * 3
    assert statuses(sandbox, "/Users", "/Users") == [200, 429]


@given(
    rate=st.floats(min_value=0.1, max_value=100),
    waits=st.lists(st.floats(min_value=0, max_value=3), max_size=60),
)
def test_no_more_than_the_rate_is_ever_admitted(rate, waits):
    """In t seconds at most a burst of one second's worth, and `rate` * t calls, get through."""
    now = 0.0
    throttle = Throttle(rate, clock=lambda: now)
    admitted = 0
    for wait in waits:
        now += wait
        admitted += throttle.admits()
    assert admitted <= max(1.0, rate) + rate * now + 1e-6


def test_the_rate_comes_back():
    """After a burst one call is admitted every 1/rate seconds."""
    now = 0.0
    throttle = Throttle(2, clock=lambda: now)
    assert [throttle.admits() for _ in range(3)] == [True, True, False]
    now = 0.5
    assert [throttle.admits() for _ in range(2)] == [True, False]
