"""Identity Center takes calls and does not answer them; then it does again."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.benchmarks.figures import Figure, say
from tests.benchmarks.stand import Client, Stand, over, quantile, stand
from tests.cli.operation import person

# Of the bridge, by default.
THREADS = 8
WORKER_THREADS = 4
CLIENTS = 4
NORMAL = 200
LEAVERS = 50
# Who is not answered within so many seconds waited for Identity Center, as [delivery] wait allows,
# and not only for the machine.
WAITING = 4.0


def run(*, users: int, rate: float, seconds: float) -> list[Figure]:
    """`seconds`: how long it is down at least, while `users` people are created."""
    with stand(rate=rate) as here:
        normal = here.client()
        ids = over(range(LEAVERS), lambda number: _add(normal, f"l{number}"), clients=CLIENTS)
        normal.sent.seconds.clear()
        _write_normally(normal, range(NORMAL))
        here.settle(within=120)
        struck = _strike(here)
        down = _Down(here, began=struck.began)
        down.push(users, seconds=seconds)
        down.leave(ids)
        pending = here.pending()
        here.sandbox.mend()
        drained = _drain(here)
        # Once more: what else the machine does may have changed meanwhile.
        _write_normally(normal, range(NORMAL, 2 * NORMAL))
    return [
        *_writes(normal, down.client),
        Figure(
            name="requests that waited at the same time",
            value=struck.waiting,
            bound="at most",
            target=THREADS / 2,
        ),
        Figure(name="answered 429 or 5xx", value=down.client.sent.refused + struck.refused,
               bound="at most", target=0),
        Figure(name="pending at the end", value=pending, bound="at least", target=users),
        *drained.figures(rate),
    ]  # fmt: skip


def _write_normally(client: Client, numbers: Iterable[int]) -> None:
    over(numbers, lambda number: _add(client, f"n{number}"), clients=CLIENTS)


@dataclass(frozen=True, kw_only=True)
class Struck:
    """What became of the requests that met the outage first."""

    began: float
    waiting: int
    refused: int


def _strike(here: Stand) -> Struck:
    """Let Identity Center go silent, and send it twice as many writes at once as there are threads,
    until the circuit is open.
    """
    here.sandbox.fault("*", delay=30, status=503, times=None)
    began = time.monotonic()
    client, numbers, spans = here.client(), count(), list[tuple[float, float]]()

    def write() -> None:
        while here.bridge.ready()["circuit"] == "closed":
            sent = time.monotonic()
            _add(client, f"s{next(numbers)}")
            spans.append((sent, time.monotonic()))

    writers = [threading.Thread(target=write) for _ in range(2 * THREADS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    say(f"  the circuit opened after {time.monotonic() - began:.1f} s, {len(spans)} writes")
    return Struck(began=began, waiting=_at_once(spans), refused=client.sent.refused)


def _at_once(spans: list[tuple[float, float]]) -> int:
    """The most requests that were waiting at the same time.

    What others take, who do not wait, is the machine's: by so much a request may be sent before one
    that waits has ended, or be answered after another one began to.
    """
    others = quantile([end - sent for sent, end in spans if end - sent <= WAITING], 0.99)
    waited = [(sent + others, end - others) for sent, end in spans if end - sent > WAITING]
    return max((sum(a <= began < b for a, b in waited) for began, _ in waited), default=0)


class _Down:
    """What clients do while Identity Center is down."""

    def __init__(self, here: Stand, *, began: float) -> None:
        self.here, self.began = here, began
        self.client = here.client()

    def push(self, users: int, *, seconds: float) -> None:
        over(range(users), lambda number: _add(self.client, f"p{number:05}"), clients=CLIENTS)
        say(f"  {users} people created after {time.monotonic() - self.began:.0f} s")
        for number in count():
            if time.monotonic() - self.began > seconds:
                break
            self.client.replace("/Users/" + _add(self.client, f"q{number}"), title="Engineer")

    def leave(self, ids: list[str]) -> None:
        over(
            ids,
            lambda user: self.client.replace(f"/Users/{user}", active=False),
            clients=CLIENTS,
        )


@dataclass(frozen=True, kw_only=True)
class Drained:
    """How what was pending reached Identity Center."""

    probed: float
    disabled: float
    done: float
    created_before: int
    busiest: int
    calls: int

    def figures(self, rate: float) -> Iterator[Figure]:
        yield Figure(name="first answer after the mend", value=self.probed, unit="s")
        yield Figure(name=f"{LEAVERS} leavers disabled, after the first answer",
                     value=self.disabled, unit="s")  # fmt: skip
        yield Figure(
            name="creations before all of them but those under way",
            value=self.created_before,
            bound="at most",
            target=THREADS,
        )
        yield Figure(name="in sync, after the first answer", value=self.done, unit="s")
        yield Figure(
            name="calls in the busiest second",
            value=self.busiest,
            bound="at most",
            # What was sent at the end of one second may arrive in the next.
            target=rate * 1.2,
        )
        yield Figure(
            name="calls a second, of the pace",
            value=100 * self.calls / self.done / rate,
            unit="%",
            bound="at least",
            target=70,
        )


def _drain(here: Stand) -> Drained:
    here.sandbox.forget_calls()
    mended = time.monotonic()
    while not any("200" in one or "201" in one for one in here.sandbox.calls().values()):
        time.sleep(0.1)
    answered = time.monotonic()
    while any(here.sandbox.active().get(f"l{number}", False) for number in range(LEAVERS)):
        time.sleep(0.1)
    disabled = time.monotonic()
    say(f"  answered after {answered - mended:.1f} s, {here.pending()} pending")
    here.settle(within=3600)
    done = time.monotonic() - answered
    calls = _answered(here)
    places = [place for place, one in enumerate(calls) if one["operation"] == "PatchUser"]
    # Whose call hung at the mend is tried again when that has ended.
    last = places[-1 - WORKER_THREADS]
    return Drained(
        probed=answered - mended,
        disabled=disabled - answered,
        done=done,
        created_before=sum(one["operation"] == "CreateUser" for one in calls[:last]),
        busiest=max(Counter(one["time"] for one in calls).values()),
        calls=len(calls),
    )


def _answered(here: Stand) -> list[dict[str, Any]]:
    """The calls that were answered since they were forgotten, in their order.

    Only those at the door that was closed: the others have a pace of their own.
    """
    answered = {"200", "201", "204"}
    calls = here.sandbox.calls().items()
    number = sum(one[status] for _, one in calls for status in answered & one.keys())
    found = [one for one in here.sandbox.requests() if str(one["status"]) in answered]
    return [one for one in found[-number:] if ":" not in one["operation"]]


def _writes(normal: Client, down: Client) -> Iterator[Figure]:
    usual, slow = (quantile(one.sent.seconds, 0.95) for one in (normal, down))
    yield Figure(name="p95 of a write, normally", value=1000 * usual, unit="ms")
    yield Figure(name="p95 of a write, circuit open", value=1000 * slow, unit="ms")
    yield Figure(
        name="slower by", value=1000 * (slow - usual), unit="ms", bound="at most", target=50
    )


def _add(client: Client, name: str) -> str:
    answer = client.send("POST", "/Users", person(name))
    return str(answer.json()["id"])
