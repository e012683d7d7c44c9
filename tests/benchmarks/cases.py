"""What is asked of the servers, and how long do they take?

The servers take turns, a few requests each, so that whatever else the machine does meets them all.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.benchmarks.connection import Request
from tests.benchmarks.population import (
    ENTERPRISE,
    Population,
    group,
    group_id,
    name_of,
    person,
    sized,
    user_id,
)
from tests.benchmarks.servers import Server

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PAGE = 100
# How many requests a server answers before it is another one's turn.
TURN = 5
# What is slow is asked less often: no server gets longer than this for one case, in seconds,
# but each is asked a few times.
SECONDS, LEAST = 6.0, 3
# What is not timed: a server has to have done everything once.
WARM = 2

# Who is measured besides those that are named here: every bridge.
Make = Callable[[Population, int], Request]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of request. `make` is given who is there and the number of the round."""

    name: str
    make: Make
    status: int = 200
    # What servers that are no bridge can be asked it, too.
    also: frozenset[str] = frozenset({"stock"})
    # How many rounds are meant; None: as many as are asked for.
    rounds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one server took for one case, in milliseconds."""

    median: float
    p95: float
    # The fastest: what it costs when nothing else runs on the machine.
    least: float
    count: int


def measure(servers: Sequence[Server], case: Case, rounds: int) -> dict[str, Figures]:
    """What each server took, by its name."""
    meant = min(rounds, case.rounds or rounds)
    clocks = {server.name: _Clock(server, case, meant) for server in servers}
    while waiting := [clock for clock in clocks.values() if not clock.done]:
        for clock in waiting:
            clock.turn()
    return {name: clock.figures() for name, clock in clocks.items()}


class _Clock:
    """The rounds of one case with one server."""

    def __init__(self, server: Server, case: Case, meant: int) -> None:
        self._server, self._case, self._meant = server, case, meant
        self._taken: list[float] = []
        self._round = 0
        self._end = time.monotonic() + SECONDS * 4

    @property
    def done(self) -> bool:
        spent = sum(self._taken) / 1000
        late = spent > SECONDS and len(self._taken) >= LEAST
        return late or len(self._taken) >= self._meant

    def turn(self) -> None:
        for _ in range(TURN):
            if self.done:
                return
            took = self._ask()
            if self._round > WARM:
                self._taken.append(took)

    def _ask(self) -> float:
        request = self._case.make(self._server.population, self._round)
        answer = self._server.send(request)
        self._round += 1
        if answer.status != self._case.status:
            raise RuntimeError(
                f"{self._server.name}, {self._case.name}: {answer.status} {answer.body[:500]!r}"
            )
        return answer.milliseconds

    def figures(self) -> Figures:
        taken = sorted(self._taken)
        return Figures(
            median=statistics.median(taken),
            least=taken[0],
            p95=taken[min(len(taken) - 1, int(len(taken) * 0.95))],
            count=len(taken),
        )


# -- Requests ---------------------------------------------------------------------


def get(path: str, **query: str | int) -> Request:
    return Request(method="GET", path=f"{path}?{urlencode(query)}" if query else path)


def _adding(size: int) -> Make:
    def make(population: Population, number: int) -> Request:
        spare = population.spares[number % len(population.spares)]
        operation = {"op": "add", "path": "members", "value": [{"value": user_id(spare)}]}
        body = {"schemas": [PATCH], "Operations": [operation]}
        return Request(method="PATCH", path=f"/Groups/{group_id(sized(size))}", body=body)

    return make


def _finding(endpoint: str, written: Callable[[Population, int], str], **query: str | int) -> Make:
    return lambda population, number: get(endpoint, filter=written(population, number), **query)


def largest(population: Population) -> int:
    """The largest group that the other servers have as well."""
    return min(population.sizes[-1], 10_000)


def whole(population: Population) -> str:
    return f"/Groups/{group_id(sized(largest(population)))}"


def smallest(population: Population) -> str:
    return f"/Groups/{group_id(sized(population.sizes[0]))}"


def someone(population: Population, number: int) -> int:
    """Somebody else in each round."""
    return number * 7919 % population.users


def last_page(population: Population) -> int:
    """The index at which the last but one page begins: page 99 of 100."""
    return max(1, population.users - 2 * PAGE + 1)


def new_person(population: Population, number: int) -> Request:
    document = person(10_000_000 + number)
    return Request(method="POST", path="/Users", body=document)


def new_group(population: Population, number: int) -> Request:
    body = group(f"new {number}", range(largest(population)))
    return Request(method="POST", path="/Groups", body=body)


def row(method: str) -> Make:
    return lambda _population, _number: Request(method=method, path="/row")


ALONE: frozenset[str] = frozenset()

# The filters that an index answers, each for somebody else in each round.
EQUAL: dict[str, Make] = {
    "userName": _finding(
        "/Users", lambda p, n: f'userName eq "{person(someone(p, n))["userName"]}"'
    ),
    "externalId": _finding("/Users", lambda p, n: f'externalId eq "external-{someone(p, n)}"'),
    "displayName": _finding(
        "/Users", lambda p, n: f'displayName eq "{" ".join(name_of(someone(p, n)))}"'
    ),
    "emails.value": _finding(
        "/Users", lambda p, n: f'emails.value eq "person{someone(p, n)}@example.com"'
    ),
    "members.value": _finding(
        "/Groups", lambda p, n: f'members.value eq "{user_id(p.team[n % len(p.team)])}"'
    ),
    "groups.value": _finding(
        "/Users", lambda _, n: f'groups.value eq "{group_id(f"busy {n % 20}")}"'
    ),
    "employeeNumber": _finding(
        "/Users", lambda p, n: f'{ENTERPRISE}:employeeNumber eq "E{someone(p, n):08}"'
    ),
}


def cases(sizes: Sequence[int]) -> Iterator[Case]:
    """Every case, for groups of these sizes. What makes the directory larger comes last."""
    yield Case(name="floor: read a row", make=row("GET"), also=frozenset({"floor"}))
    yield Case(name="floor: commit a row", make=row("POST"), status=201, also=frozenset({"floor"}))
    yield Case(name="GET user, 20 groups", make=lambda p, _: get(f"/Users/{user_id(p.busy)}"))
    for attribute, make in EQUAL.items():
        yield Case(name=f"{attribute} eq", make=make)
    contains = _finding("/Users", lambda *_: 'displayName co "quartz"', count=10)
    starts = _finding("/Users", lambda *_: 'displayName sw "Given1 "', count=10)
    yield Case(name="displayName co", make=contains)
    yield Case(name="displayName sw", make=starts)
    yield Case(name="list, first page", make=lambda *_: get("/Users", startIndex=1, count=PAGE))
    yield Case(
        name="list, page 99",
        make=lambda p, _: get("/Users", startIndex=last_page(p), count=PAGE),
    )
    yield Case(
        name="list sorted by userName",
        make=lambda p, _: get("/Users", sortBy="userName", startIndex=last_page(p), count=PAGE),
    )
    yield Case(name="GET group of 10", make=lambda p, _: get(smallest(p)))
    yield Case(
        name="GET group of 10 without members",
        make=lambda p, _: get(smallest(p), excludedAttributes="members"),
    )
    yield Case(name="GET group of 10,000", make=lambda p, _: get(whole(p)), rounds=30)
    yield Case(
        name="GET group of 10,000 without members",
        make=lambda p, _: get(whole(p), excludedAttributes="members"),
    )
    for size in sizes:
        yield Case(name=f"PATCH add 1 to {size}", make=_adding(size), status=204)
    yield Case(name="POST user", make=new_person, status=201)
    yield Case(name="POST group of 10,000", make=new_group, status=201, rounds=5)


def by_cursor(server: Server) -> Make:
    """The page at the end of a walk by cursors, as `last_page` by index."""
    cursor, pages = "", min(server.population.users // PAGE, 99) - 1
    for _ in range(max(pages, 1)):
        answer = server.send(get("/Users", cursor=cursor, count=PAGE)).json()
        if "nextCursor" not in answer:
            break
        cursor = answer["nextCursor"]
    return lambda *_: get("/Users", cursor=cursor, count=PAGE)
