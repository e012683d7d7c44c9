"""A bulk push where five calls a second are taken, and somebody who leaves in the middle of it.

The bridge is not told the quota: it is at its default pace, and has two processes that answer and
one that delivers.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.figures import Figure, say
from tests.benchmarks.push import Population, push
from tests.benchmarks.stand import Client, Stand, stand
from tests.cli.operation import person

QUOTA = 5
RATE = 10
LEAVER = "leaver@example.com"
# The pace may be searched for so long, in seconds.
SEARCHING = 30


@dataclass(kw_only=True)
class Leaver:
    """Somebody who leaves in the middle of the push."""

    id: str
    # When their deactivation was answered, and how long Identity Center had them afterwards.
    answered: float = 0.0
    seconds: float = field(default=-1.0)

    def leave(self, here: Stand, client: Client, *, after: int) -> None:
        while len(here.sandbox.state()["users"]) < after:
            time.sleep(0.5)
        say(f"  the leaver leaves, {here.pending()} pending")
        began = time.monotonic()
        client.replace(f"/Users/{self.id}", active=False)
        self.answered = time.monotonic() - began
        while here.sandbox.active()[LEAVER]:
            time.sleep(0.05)
        self.seconds = time.monotonic() - began


def run(*, users: int = 500, clients: int = 12) -> list[Figure]:
    population = Population(users=users, groups=5, memberships=users)
    with stand("--processes", "2", rate=RATE) as here:
        client, urgent = here.client(), here.client()
        leaver = Leaver(id=str(client.send("POST", "/Users", person(LEAVER)).json()["id"]))
        here.settle(within=60)
        here.sandbox.behave(throttle=QUOTA)
        here.sandbox.forget_calls()
        seen = len(here.sandbox.requests())
        leaving = threading.Thread(
            target=leaver.leave, args=(here, urgent), kwargs={"after": users // 2}
        )
        leaving.start()
        began = time.monotonic()
        push(client, population, clients=clients)
        sending = time.monotonic() - began
        leaving.join()
        here.settle(within=3600)
        took = time.monotonic() - began
        calls = here.sandbox.requests()[seen:]
    refused = client.sent.refused + urgent.sent.refused
    return [
        Figure(name="answers to clients 429 or 5xx", value=refused, bound="at most", target=0),
        *_throttled(calls),
        Figure(name="time to send", value=sending, unit="s"),
        Figure(name="time until in sync", value=took, unit="s"),
        Figure(name="deprovision answered", value=leaver.answered, unit="s"),
        Figure(
            name="deprovision at Identity Center",
            value=leaver.seconds,
            unit="s",
            bound="at most",
            target=5,
        ),
    ]


def _throttled(calls: list[dict[str, Any]]) -> list[Figure]:
    """How many of the calls to the SCIM endpoint were throttled, once the pace was found."""
    scim = [one for one in calls if ":" not in one["operation"]]
    began = _second(scim[0])
    late = [one for one in scim if _second(one) - began > SEARCHING]
    throttled = sum(one["status"] == 429 for one in late)
    seconds = _second(scim[-1]) - began - SEARCHING
    return [
        Figure(name="calls", value=len(scim)),
        Figure(name="calls throttled in all", value=sum(one["status"] == 429 for one in scim)),
        Figure(name=f"calls after {SEARCHING} s, per second", value=len(late) / seconds),
        Figure(
            name=f"calls throttled after {SEARCHING} s",
            value=100 * throttled / len(late),
            unit="%",
            bound="at most",
            target=5,
        ),
    ]


def _second(call: dict[str, Any]) -> int:
    hours, minutes, seconds = map(int, call["time"].split(":"))
    return hours * 3600 + minutes * 60 + seconds
