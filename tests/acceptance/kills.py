"""What is left of a bridge that is killed in the middle of its work, when it is started again?

    python -m tests.acceptance.kills --rounds 20 [--seed N]

Each round plays one kind of work from several clients, kills the bridge with SIGKILL after a random
number of answers, starts it again, and compares: what was answered with the directory, and the
directory with Identity Center.
"""

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import requests

from tests.acceptance.installation import (
    Bridge,
    Installation,
    center,
    install,
    joining,
    leaving,
)
from tests.cli.operation import is_running, person, replacing, until

Victim = Literal["all", "parent"]

CLIENTS = 4
# How long one call may take; a lease of a killed bridge is waited for somewhat longer.
TIMEOUT = 2


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request of a client, and what must hold in the directory once it was answered 2xx."""

    method: str
    path: str
    body: Any
    kept: Callable[[dict[str, bool], dict[str, set[str]]], bool]


@dataclass(kw_only=True)
class Clients:
    """Clients that send until they are out of requests or the bridge is gone."""

    bridge: Bridge
    answered: list[Request] = field(default_factory=list)
    # Answers that a client should not have got.
    refused: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, requests: Sequence[Request]) -> None:
        for first in range(CLIENTS):
            thread = threading.Thread(target=self._send, args=(requests[first::CLIENTS],))
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _send(self, mine: Sequence[Request]) -> None:
        for one in mine:
            try:
                answer = self.bridge.send(one.method, one.path, one.body)
            except requests.RequestException:
                return
            if answer.ok:
                self.answered.append(one)
            else:
                self.refused.append(f"{one.method} {one.path}: {answer.status_code} {answer.text}")


@dataclass(frozen=True, kw_only=True)
class Survived:
    """How it went, for a person who watches."""

    answered: int
    killed_within: float
    settled_within: float

    def __str__(self) -> str:
        return (
            f"{self.answered} answered before the kill, all processes gone after "
            f"{self.killed_within:.1f} s, right {self.settled_within:.1f} s after the new start"
        )


def creations(people: int) -> list[Request]:
    """New people."""

    def create(name: str) -> Request:
        return Request(
            method="POST",
            path="/Users",
            body=person(name),
            kept=lambda active, _: active.get(name) is True,
        )

    return [create(f"new{number}@example.com") for number in range(people)]


def losses(ids: dict[str, str], groups: dict[str, str]) -> list[Request]:
    """Of every three people one is deactivated, one changes groups, and one is deleted."""
    found: list[Request] = []
    for place, (name, user) in enumerate(ids.items()):
        found += _losses_of(name, user, groups)[place % 3]
    return found


def _losses_of(name: str, user: str, groups: dict[str, str]) -> list[list[Request]]:
    def patch(path: str, body: Any, kept: Any) -> Request:
        return Request(method="PATCH", path=path, body=body, kept=kept)

    def members(group: str, operation: dict[str, Any], kept: Any) -> Request:
        body = {**replacing(), "Operations": [operation]}
        return patch(f"/Groups/{groups[group]}", body, kept)

    return [
        [patch(f"/Users/{user}", replacing(active=False), lambda active, _: not active[name])],
        [
            members("old", leaving(user), lambda _, groups: name not in groups["old"]),
            members("new", joining(user), lambda _, groups: name in groups["new"]),
        ],
        [
            Request(
                method="DELETE",
                path=f"/Users/{user}",
                body=None,
                kept=lambda active, _: name not in active,
            )
        ],
    ]


def survives(
    installation: Installation,
    work: Callable[[Bridge], Sequence[Request]],
    *,
    after: int,
    victim: Victim = "all",
) -> Survived:
    """Kill a bridge after so many answers and start it again. Raises `AssertionError` if anything
    that was answered is lost, or Identity Center does not come to hold what the directory says.
    """
    with installation.serving() as bridge:
        todo = work(bridge)
        clients, family = Clients(bridge=bridge), bridge.family()
        clients.start(todo)
        until(lambda: len(clients.answered) >= after, within=60)
        bridge.kill(whole=victim == "all")
        begun = time.monotonic()
        until(lambda: not any(map(is_running, family)), within=30)
        killed = time.monotonic() - begun
        clients.join()
    answered = list(clients.answered)
    assert not clients.refused, clients.refused[:3]
    assert after <= len(answered) < len(todo), "it was not killed in the middle"

    with installation.serving() as bridge:
        begun = time.monotonic()
        installation.settle(within=90)
        settled = time.monotonic() - begun
        active, groups = bridge.directory()
    lost = [one for one in answered if not one.kept(active, groups)]
    assert not lost, lost
    _agrees(installation, active, groups)
    return Survived(answered=len(answered), killed_within=killed, settled_within=settled)


def _agrees(
    installation: Installation, active: dict[str, bool], groups: dict[str, set[str]]
) -> None:
    """Identity Center holds each person once, and the access that the directory gives them."""
    names = [one["userName"] for one in installation.sandbox.state()["users"]]
    assert len(names) == len(set(names))
    there = installation.sandbox.active()
    # Whoever the directory no longer knows was deleted.
    assert there == {**dict.fromkeys(there, False), **active}
    effective = {
        group: {name for name in members if active[name]} for group, members in groups.items()
    }
    assert installation.sandbox.memberships() == effective


def creating(people: int = 200) -> Callable[[Bridge], Sequence[Request]]:
    return lambda _: creations(people)


def losing(people: int = 60) -> Callable[[Bridge], Sequence[Request]]:
    """People who have access, and the requests that take it away."""

    def work(bridge: Bridge) -> Sequence[Request]:
        ids = bridge.add_users(f"p{number:03}@example.com" for number in range(people))
        groups = {"old": bridge.add_group("old", *ids.values()), "new": bridge.add_group("new")}
        return losses(ids, groups)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")  # noqa: T201 - this is what a person who runs it looks at
    with tempfile.TemporaryDirectory() as name, center(Path(name), "sigv4") as sandbox:
        for number in range(1, options.rounds + 1):
            sandbox.reset()
            wait = chance.choice(["0", "5"])
            victim: Victim = chance.choice(["all", "parent"])
            kind, work, most = chance.choice(
                [("creations", creating(), 190), ("losses", losing(), 70)]
            )
            after = chance.randrange(1, most)
            installation = install(
                sandbox,
                Path(name) / f"round{number}",
                timeout=TIMEOUT,
                more=f"[delivery]\nwait = {wait}\n",
            )
            survived = survives(installation, work, after=after, victim=victim)
            print(f"{number}: {kind}, wait {wait}, {victim} killed: {survived}")  # noqa: T201


if __name__ == "__main__":
    main()
