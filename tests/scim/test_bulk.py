"""Many operations in one request (RFC 7644, section 3.7)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import BulkOperation

from scim_bridge.directory.audit import Action
from scim_bridge.directory.trail import trail
from scim_bridge.errors import DatabaseUnavailable
from scim_bridge.scim import credentials
from scim_bridge.scim.bulk import Plan, Step
from scim_bridge.scim.provider import Group, Member
from tests.scim.conftest import ENTERPRISE, Scim, assert_error, person

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
NOBODY = {"method": "DELETE", "path": "/Users/nobody"}


def bulk(scim: Scim, *operations: Any, **more: Any) -> list[dict[str, Any]]:
    """The results of operations, one for each that was done."""
    answer = scim.post("/Bulk", {"schemas": [BULK], "Operations": list(operations), **more})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json["Operations"]
    return results


def post(bulk_id: str, path: str, data: Any) -> dict[str, Any]:
    return {"method": "POST", "bulkId": bulk_id, "path": path, "data": data}


def patch(path: str, *operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"method": "PATCH", "path": path, "data": {"Operations": list(operations)}, **more}


def statuses(results: list[dict[str, Any]]) -> list[str]:
    return [result["status"] for result in results]


def managed(who: str, manager: str) -> dict[str, Any]:
    return person(who, **{ENTERPRISE: {"manager": {"value": manager}}})


def id_of(result: dict[str, Any]) -> str:
    return str(result["location"].rpartition("/")[2])


# -- References -------------------------------------------------------------------------


def test_an_operation_refers_to_what_a_later_one_creates(scim: Scim) -> None:
    """Section 3.7.2, in data, in a path, in a PATCH value and in the filter of a PATCH path."""
    crew = scim.group("Crew", scim.user("old")["id"])["id"]

    results = bulk(
        scim,
        post("g", "/Groups", {"displayName": "New", "members": [{"value": "bulkId:ada"}]}),
        patch("/Users/bulkId:ada", {"op": "add", "path": "title", "value": "Countess"}),
        patch(
            f"/Groups/{crew}",
            {"op": "add", "path": "members", "value": [{"value": "bulkId:ada"}]},
            {"op": "add", "path": "members", "value": [{"value": "bulkId:bob"}]},
        ),
        patch(f"/Groups/{crew}", {"op": "remove", "path": 'members[value eq "bulkId:bob"]'}),
        post("ada", "/Users", person("ada")),
        post("bob", "/Users", person("bob")),
    )

    assert statuses(results) == ["201", "200", "200", "200", "201", "201"]
    ada, bob = id_of(results[4]), id_of(results[5])
    assert scim.members(id_of(results[0])) == {ada}
    assert scim.get(f"/Users/{ada}").json["title"] == "Countess"
    assert ada in scim.members(crew)
    assert bob not in scim.members(crew)


def test_two_people_who_refer_to_each_other_are_created(scim: Scim) -> None:
    """Section 3.7.1: a circle of managers, and somebody who is their own."""
    results = bulk(
        scim,
        post("a", "/Users", managed("ada", "bulkId:b")),
        post("b", "/Users", managed("bob", "bulkId:c")),
        post("c", "/Users", managed("cia", "bulkId:a")),
        post("s", "/Users", managed("solo", "bulkId:s")),
        patch("/Users/bulkId:a", {"op": "add", "path": "title", "value": "Countess"}),
    )

    assert statuses(results) == ["201", "201", "201", "201", "200"]
    users = [scim.get(f"/Users/{id_of(result)}").json for result in results[:4]]
    managers = [user[ENTERPRISE]["manager"]["value"] for user in users]
    assert managers == [users[1]["id"], users[2]["id"], users[0]["id"], users[3]["id"]]
    versions = [user["meta"]["version"] for user in users[1:]]
    assert versions == [result["version"] for result in results[1:4]]


def test_a_circle_is_made_wholly_or_not_at_all(scim: Scim) -> None:
    """What fails has its own error, and what needed it a 409 that names it."""
    scim.user("bob")

    results = bulk(
        scim,
        post("a", "/Users", managed("ada", "bulkId:b")),
        post("b", "/Users", managed("bob", "bulkId:a")),
        post("c", "/Users", person("cia")),
        post("g", "/Groups", {"displayName": "Crew", "members": [{"value": "bulkId:a"}]}),
    )

    assert statuses(results) == ["409", "409", "201", "409"]
    assert results[1]["response"]["scimType"] == "uniqueness"
    assert "bulkId b" in results[0]["response"]["detail"]
    assert "bulkId a" in results[3]["response"]["detail"]
    assert scim.get("/Users").json["totalResults"] == 2
    assert scim.get("/Groups").json["totalResults"] == 0


def test_the_groups_of_the_standard_s_circle_are_created(scim: Scim) -> None:
    """Section 3.7.1's own example: Group A has Group B, and Group B has Group A."""
    results = bulk(
        scim,
        post(
            "q",
            "/Groups",
            {"displayName": "A", "members": [{"type": "Group", "value": "bulkId:y"}]},
        ),
        post(
            "y",
            "/Groups",
            {"displayName": "B", "members": [{"type": "Group", "value": "bulkId:q"}]},
        ),
    )

    assert statuses(results) == ["201", "201"]
    assert {one["displayName"] for one in scim.get("/Groups").json["Resources"]} == {"A", "B"}


def test_a_circle_obeys_what_its_client_may(scim: Scim) -> None:
    """A read-only token creates nothing in a circle either."""
    reader = credentials.add(scim.database, "reader", read_only=True).token
    circle = [
        post("a", "/Users", managed("ada", "bulkId:b")),
        post("b", "/Users", managed("bob", "bulkId:a")),
    ]

    answer = scim.post("/Bulk", {"Operations": circle}, token=reader)
    assert answer.json["Operations"][0]["status"] == "403"
    assert scim.get("/Users").json["totalResults"] == 0


@pytest.mark.parametrize(
    "operation",
    [
        post("g", "/Groups", {"displayName": "Crew", "members": [{"value": "bulkId:nobody"}]}),
        patch("/Users/bulkId:nobody", {"op": "remove", "path": "title"}),
        {"method": "DELETE", "path": "/Users/bulkId:nobody"},
    ],
    ids=lambda operation: operation["method"],
)
def test_a_reference_to_nothing_is_409(scim: Scim, operation: dict[str, Any]) -> None:
    """Section 3.7.2; nothing is done without it."""
    (result,) = bulk(scim, operation)

    assert result["status"] == result["response"]["status"] == "409"
    assert "bulkId nobody" in result["response"]["detail"]


def test_long_chains_and_large_circles_are_resolved(scim: Scim) -> None:
    """However far one reference leads to the next."""
    chain = [post(f"c{n}", "/Users", managed(f"c{n}", f"bulkId:c{n + 1}")) for n in range(60)]
    ring = [post(f"r{n}", "/Users", managed(f"r{n}", f"bulkId:r{(n + 1) % 60}")) for n in range(60)]

    results = bulk(scim, *chain, *ring, post("c60", "/Users", person("c60")))

    assert set(statuses(results)) == {"201"}


def reachable(start: int, references: list[set[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(references[start])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += references[one]
    return found


@given(
    st.integers(1, 9).flatmap(
        lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)
    )
)
def test_each_step_comes_after_what_it_refers_to(references: list[set[int]]) -> None:
    """Every operation is in one step; a circle is whoever reaches each other, and nobody else."""
    operations: list[Any] = [
        BulkOperation[Group](
            method=BulkOperation.Method.post,
            bulk_id=str(number),
            path="/Groups",
            data=Group(members=[Member(value=f"bulkId:{one}") for one in sorted(named)]),
        )
        for number, named in enumerate(references)
    ]
    plan = Plan(operations, None)

    steps = [step for step in plan.steps if isinstance(step, Step)]
    done: set[int] = set()
    for step in steps:
        together = set(step.circle) or {step.index}
        assert done.isdisjoint(together)
        needed = set().union(*(references[one] for one in together))
        assert needed <= done | (together if step.circle else set())
        if step.circle:
            assert together == {step.index} | {
                one
                for one in reachable(step.index, references)
                if step.index in reachable(one, references)
            }
        done |= together
    assert done == set(range(len(references)))


# -- Failures ---------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "done"), [(None, 5), (0, 1), (1, 1), (2, 3), (3, 5)])
def test_the_request_ends_at_the_number_of_errors_its_client_accepts(
    scim: Scim, most: int | None, done: int
) -> None:
    """Section 3.7, `failOnErrors`: what comes after is not done, and has no result."""
    more = {} if most is None else {"failOnErrors": most}

    results = bulk(
        scim,
        NOBODY,
        post("a", "/Users", person("ada")),
        NOBODY,
        post("b", "/Users", person("bob")),
        NOBODY,
        **more,
    )

    assert statuses(results) == ["404", "201", "404", "201", "404"][:done]
    assert scim.get("/Users").json["totalResults"] == statuses(results).count("201")


@pytest.mark.parametrize(
    ("operation", "status", "detail"),
    [
        ({"method": "GET", "path": "/Users"}, "400", "method: must be"),
        ({"path": "/Users"}, "400", "method is required"),
        ({"method": "POST", "bulkId": "x"}, "400", "path is required"),
        ({"method": "POST", "path": "/Users", "data": {}}, "400", "bulkId is required"),
        ({"method": "POST", "path": "/Users", "bulkId": "x"}, "400", "data is required"),
        ({"method": "PUT", "path": "/Users", "data": person()}, "405", "method"),
        (post("x", "/Nowhere", {}), "404", "Nowhere"),
        (post("x", "/Me", person()), "400", "resource"),
        (post("x", "/Bulk", {}), "400", "resource"),
        (
            post("x", "/Users", {"userName": 5.5, "active": "maybe"}),
            "400",
            "data.userName: must be a string, not a number; "
            "data.active: must be true or false, not a string",
        ),
        (patch("/Users/x", {"op": "add", "path": "titel", "value": 1}), "400", "titel"),
        ("text", "400", "must be an object, not a string"),
        (None, "400", "must be an object, not null"),
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_done_fails_alone_and_in_words(
    scim: Scim, operation: Any, status: str, detail: str
) -> None:
    """Section 3.7.3: in the words a single request is answered with."""
    results = bulk(scim, operation, post("ada", "/Users", person()))

    assert statuses(results) == [status, "201"]
    assert results[0]["response"]["status"] == status
    assert detail in results[0]["response"]["detail"]
    assert "Input should" not in results[0]["response"]["detail"]


@pytest.mark.parametrize("body", [{}, {"Operations": []}, {"Operations": {}}, {"Operations": None}])
def test_a_request_without_operations_is_refused(scim: Scim, body: dict[str, Any]) -> None:
    """Section 3.7: they are required."""
    assert_error(scim.post("/Bulk", body), 400, "invalidValue")


def test_a_method_may_be_spelt_in_any_case(scim: Scim) -> None:
    """RFC 7643, section 2.2: values are not case-sensitive unless something says so."""
    (result,) = bulk(scim, {**post("a", "/Users", person()), "method": "post"})

    assert (result["status"], result["method"], result["bulkId"]) == ("201", "POST", "a")


def test_versions_are_preconditions_of_each_operation(scim: Scim) -> None:
    """Section 3.7, `version`; a result has the version it made, and where it is."""
    user = scim.user("ada")
    path, first = f"/Users/{user['id']}", user["meta"]["version"]
    title = {"op": "add", "path": "title", "value": "Countess"}

    results = bulk(
        scim,
        {"method": "PUT", "path": path, "data": person(), "version": 'W/"99"'},
        patch(path, title, version=first),
        patch(path, {**title, "value": "Analyst"}, version=first),
        {"method": "DELETE", "path": path, "version": first},
        {"method": "DELETE", "path": path, "version": 'W/"2"'},
    )

    assert statuses(results) == ["412", "200", "412", "412", "204"]
    assert {result["location"] for result in results} == {user["meta"]["location"]}
    assert results[1]["version"] == 'W/"2"'


def test_two_creations_of_one_bulk_id_are_not_both_made(scim: Scim) -> None:
    """Nobody could know which one is meant."""
    results = bulk(scim, post("a", "/Users", person("ada")), post("a", "/Users", person("bob")))

    assert statuses(results) == ["201", "400"]


def test_more_operations_than_announced_are_413(scim: Scim) -> None:
    """Section 3.7.4, `maxOperations`."""
    most = scim.get("/ServiceProviderConfig").json["bulk"]["maxOperations"]

    detail = assert_error(scim.post("/Bulk", {"Operations": [NOBODY] * (most + 1)}), 413)
    assert str(most) in detail


@pytest.mark.parametrize("fails_at", ["begin", "commit"])
def test_a_circle_that_the_database_fails_leaves_the_other_operations_their_results(
    scim: Scim, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    """Section 3.7.3: what was done before is told, and nothing of the circle was."""
    real, outermost = scim.resources.operation, []

    @contextmanager
    def failing() -> Iterator[None]:
        if not scim.database.in_transaction:
            outermost.append(fails_at)
        fails = len(outermost) == 2 and not scim.database.in_transaction
        if fails and fails_at == "begin":
            raise DatabaseUnavailable("locked")
        with real():
            yield
            if fails:
                raise DatabaseUnavailable("locked")

    monkeypatch.setattr(scim.resources, "operation", failing)
    results = bulk(
        scim,
        post("a", "/Users", person("ada")),
        post("m", "/Users", managed("bob", "bulkId:n")),
        post("n", "/Users", managed("cia", "bulkId:m")),
        post("o", "/Users", managed("dan", "bulkId:m")),
    )

    assert statuses(results) == ["201", "503", "503", "409"]
    assert [one["userName"] for one in scim.get("/Users").json["Resources"]] == ["ada@example.com"]


def test_what_an_operation_of_a_circle_drops_is_named_once(scim: Scim) -> None:
    """Each is created and then completed; that is one change to whoever reads the audit trail."""
    foreign = {"urn:scim:schemas:extension:acme:1.0": {"badge": "7"}}
    results = bulk(
        scim,
        post("m", "/Users", {**managed("bob", "bulkId:n"), **foreign}),
        post("n", "/Users", {**managed("cia", "bulkId:m"), **foreign}),
    )

    assert statuses(results) == ["201", "201"]
    warned = [entry for entry in trail(scim.database) if entry.action == Action.WARNING]
    assert len(warned) == 2
    assert len({entry.resource_id for entry in warned}) == 2
