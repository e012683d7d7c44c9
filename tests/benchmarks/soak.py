"""Does anything grow while the bridge is in use for long?

    python -m tests.benchmarks.soak [--minutes 60]

People come, change, join and leave at a steady pace. Memory, open files, connections and what is
pending are looked at now and then; the second half must not be above the first.
"""

import argparse
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.figures import Figure, say, tell
from tests.benchmarks.stand import Client, Stand, stand
from tests.cli.operation import person

RATE = 50
CLIENTS = 4
GROUPS = 10
# Of each client: so many people at a time, and a pause between two requests, in seconds.
PEOPLE = 50
PAUSE = 0.2
LOOKS = 60
# What memory may differ by chance, in MiB and as a share; and how many files.
SLACK_MIB, SLACK = 8.0, 0.05
SLACK_FILES = 8


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the processes of the bridge held at one moment."""

    seconds: float
    memory_mib: float
    files: int
    connections: int
    pending: int


class Load:
    """One client: it creates, renames, moves and deactivates its people, and reads them."""

    def __init__(self, client: Client, number: int, groups: Sequence[str]) -> None:
        self.client, self.number, self.groups = client, number, groups
        self.random = random.Random(number)
        self.people: list[str] = []
        self.made = 0

    def go_on(self, until: threading.Event) -> None:
        while not until.wait(PAUSE):
            self._once()

    def _once(self) -> None:
        if len(self.people) < PEOPLE:
            self._hire()
            return
        someone = self.random.choice(self.people)
        match self.random.randrange(6):
            case 0:
                self._leave(someone)
            case 1 | 2:
                self.client.join(self.random.choice(self.groups), someone)
            case 3:
                title = f"Engineer {self.random.randrange(1000)}"
                self.client.replace(f"/Users/{someone}", title=title)
            case 4:
                self.client.send("GET", f"/Users/{someone}")
            case _:
                self.client.find("/Users", "userName", f"w{self.number}-1@example.com")

    def _hire(self) -> None:
        self.made += 1
        name = f"w{self.number}-{self.made}@example.com"
        self.people.append(str(self.client.send("POST", "/Users", person(name)).json()["id"]))

    def _leave(self, someone: str) -> None:
        self.people.remove(someone)
        self.client.send("DELETE", f"/Users/{someone}")


def run(*, minutes: float) -> list[Figure]:
    with stand("--processes", "2", rate=RATE, behaviour={"latency": 0.02}) as here:
        client, ended = here.client(), threading.Event()
        groups = [
            str(client.send("POST", "/Groups", {"displayName": f"g{number}"}).json()["id"])
            for number in range(GROUPS)
        ]
        loads = [Load(client, number, groups) for number in range(CLIENTS)]
        clients = [threading.Thread(target=load.go_on, args=(ended,)) for load in loads]
        for one in clients:
            one.start()
        try:
            looks = _looks(here, seconds=minutes * 60)
        finally:
            ended.set()
            for one in clients:
                one.join()
        here.settle(within=120)
    return _figures(looks, client)


def _looks(here: Stand, *, seconds: float) -> list[Look]:
    began, looks = time.monotonic(), list[Look]()
    for number in range(1, LOOKS + 1):
        time.sleep(max(began + seconds * number / LOOKS - time.monotonic(), 0))
        looks.append(_look(here, time.monotonic() - began))
        if number % 6 == 0:
            say(
                "  " + ", ".join(f"{name} {value:.0f}" for name, value in asdict(looks[-1]).items())
            )
    return looks


def _look(here: Stand, seconds: float) -> Look:
    family = sorted(here.bridge.family())
    files = [one for pid in family for one in _files(pid)]
    return Look(
        seconds=seconds,
        memory_mib=sum(map(_memory, family)),
        files=len(files),
        connections=sum(one.startswith("socket:") for one in files),
        pending=here.pending(),
    )


def _files(pid: int) -> list[str]:
    """What a process has open; one that has just ended has nothing."""
    found: list[str] = []
    with suppress(OSError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(os.readlink(one))  # noqa: PTH115 - what it names is no path
    return found


def _memory(pid: int) -> float:
    """What a process holds alone and its share of what it has in common with others, in MiB."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def _figures(looks: Sequence[Look], client: Client) -> list[Figure]:
    # The first quarter warms up: every thread opens its connections, every module is loaded.
    quarter = len(looks) // 4
    early, late = looks[quarter : 2 * quarter], looks[-quarter:]

    def medians(name: str) -> tuple[float, float]:
        first, last = ([getattr(one, name) for one in part] for part in (early, late))
        return statistics.median(first), statistics.median(last)

    memory, memory_later = medians("memory_mib")
    files, files_later = medians("files")
    connections, connections_later = medians("connections")
    pending, pending_later = medians("pending")
    allowed = memory * (1 + SLACK) + SLACK_MIB
    return [
        Figure(name="requests", value=len(client.sent.seconds)),
        Figure(name="answers 429 or 5xx", value=client.sent.refused, bound="at most", target=0),
        Figure(name="memory, second quarter", value=memory, unit="MiB"),
        _bound("memory, last quarter", memory_later, allowed, unit="MiB"),
        Figure(name="open files, second quarter", value=files),
        _bound("open files, last quarter", files_later, files + SLACK_FILES),
        Figure(name="connections, second quarter", value=connections),
        _bound("connections, last quarter", connections_later, connections + SLACK_FILES),
        Figure(name="pending, second quarter", value=pending),
        _bound("pending, last quarter", pending_later, pending + CLIENTS * GROUPS),
    ]


def _bound(name: str, value: float, most: float, *, unit: str = "") -> Figure:
    return Figure(name=name, value=value, unit=unit, bound="at most", target=round(most, 1))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args(arguments)
    title = f"A mixed load for {given.minutes:g} minutes"
    return tell(title, run(minutes=given.minutes), given.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
