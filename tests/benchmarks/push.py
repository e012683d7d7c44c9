"""An initial push as Entra ID makes one: how many calls does it cost at Identity Center?

Each user and group is looked up by a filter and created if missing; members are added one by one,
group after group. The least number of writes at Identity Center is one for each user, one for each
group, and one for each hundred members of a group.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.figures import Figure, say
from tests.benchmarks.stand import Client, Stand, is_write, over, stand, totals
from tests.cli.operation import person

MEMBERS_PER_CALL = 100


@dataclass(frozen=True, kw_only=True)
class Population:
    """Who is pushed: `memberships` are spread evenly over the groups."""

    users: int
    groups: int
    memberships: int

    def names(self) -> list[str]:
        return [f"p{number:06}@example.com" for number in range(self.users)]

    def sizes(self) -> list[int]:
        """How many members each group has."""
        each, more = divmod(self.memberships, self.groups)
        return [each + (number < more) for number in range(self.groups)]

    def groups_with_members(self) -> Iterator[tuple[str, list[int]]]:
        """The name of each group, and which of the users are in it."""
        start = 0
        for number, size in enumerate(self.sizes()):
            yield f"group-{number:04}", [(start + place) % self.users for place in range(size)]
            start += size

    @property
    def least_writes(self) -> int:
        calls = (math.ceil(size / MEMBERS_PER_CALL) for size in self.sizes())
        return self.users + self.groups + sum(calls)


def run(
    population: Population, *, rate: float, clients: int, processes: int, latency: float
) -> list[Figure]:
    """`latency` is the sandbox's, in milliseconds."""
    behaviour = {"latency": latency / 1000}
    with stand("--processes", str(processes), rate=rate, behaviour=behaviour) as here:
        first = _pushed(here, population, clients=clients)
        _check(here, population)
        here.sandbox.forget_calls()
        second = _pushed(here, population, clients=clients)
    return [*_figures(first, population), *_again(second)]


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What one push cost."""

    calls: dict[str, int]
    sending: float
    settling: float
    refused: int

    @property
    def writes(self) -> int:
        return sum(count for operation, count in self.calls.items() if is_write(operation))

    @property
    def reads(self) -> int:
        return sum(self.calls.values()) - self.writes


def _pushed(here: Stand, population: Population, *, clients: int) -> Pushed:
    client = here.client()
    began = time.monotonic()
    push(client, population, clients=clients)
    sending = time.monotonic() - began
    say(f"  sent after {sending:.1f} s, {here.pending()} pending")
    settling = here.settle(within=3600)
    return Pushed(
        calls=totals(here.sandbox.calls()),
        sending=sending,
        settling=settling,
        refused=client.sent.refused,
    )


def push(client: Client, population: Population, *, clients: int) -> None:
    """Send everybody, then every group and its members, one after the other."""
    ids = over(population.names(), lambda name: _sent_user(client, name), clients=clients)
    say(f"  {len(ids)} users sent")
    for name, members in population.groups_with_members():
        group = client.find("/Groups", "displayName", name) or _created(
            client, "/Groups", {"displayName": name}
        )
        over([ids[one] for one in members], lambda user: client.join(group, user), clients=clients)  # noqa: B023


def _sent_user(client: Client, name: str) -> str:
    body = person(name, emails=[{"value": name, "type": "work", "primary": True}])
    found = client.find("/Users", "userName", name)
    if found is None:
        return _created(client, "/Users", body)
    client.replace(f"/Users/{found}", active=True, name=body["name"])
    return found


def _created(client: Client, path: str, body: object) -> str:
    answer = client.send("POST", path, body)
    assert answer.ok, answer.text
    return str(answer.json()["id"])


def _check(here: Stand, population: Population) -> None:
    """Everybody is there, and in their groups."""
    state = here.sandbox.state()
    assert sum(one["active"] for one in state["users"]) == population.users
    assert len(state["memberships"]) == population.memberships
    assert len(state["groups"]) == population.groups


def _figures(pushed: Pushed, population: Population) -> list[Figure]:
    least = population.least_writes
    principals = population.users + population.groups
    return [
        *(Figure(name=f"calls: {name}", value=count) for name, count in pushed.calls.items()),
        Figure(name="lower bound of writes", value=least),
        Figure(name="writes", value=pushed.writes),
        Figure(
            name="writes / lower bound", value=pushed.writes / least, bound="at most", target=1.02
        ),
        Figure(name="reads", value=pushed.reads),
        Figure(
            name="reads per principal",
            value=pushed.reads / principals,
            bound="at most",
            target=1,
        ),
        Figure(name="time to send", value=pushed.sending, unit="s"),
        Figure(name="time until in sync", value=pushed.sending + pushed.settling, unit="s"),
        Figure(name="answers 429 or 5xx", value=pushed.refused, bound="at most", target=0),
    ]


def _again(pushed: Pushed) -> list[Figure]:
    return [
        Figure(name="second push: time to send", value=pushed.sending, unit="s"),
        Figure(name="second push: writes", value=pushed.writes, bound="at most", target=0),
        Figure(name="second push: reads", value=pushed.reads),
        Figure(
            name="second push: answers 429 or 5xx", value=pushed.refused, bound="at most", target=0
        ),
    ]
