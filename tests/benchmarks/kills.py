"""Is anything that was answered lost or doubled, when a bridge is killed over and over under load?

    python -m tests.benchmarks.kills [--kills 50] [--database URL] [--seed N]

Several writers create people, change them, move them between shared groups, deactivate and delete
them, without a pause. All processes of the bridge are killed with SIGKILL at a random moment and
started again, also in the middle of what the kill before left to be healed. After each start the
directory is compared with what was answered; at the end so is Identity Center, once in sync. A
writer whose request got no answer sends it again, as a client does.

`--database` is an empty database, such as postgresql+psycopg://…; otherwise an SQLite file is made.
"""

import argparse
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.acceptance.installation import (
    Bridge,
    Center,
    Installation,
    center,
    install,
    joining,
    leaving,
)
from tests.cli.operation import PATCH, is_running, person, replacing, until

WRITERS = 8
GROUPS = ("red", "green", "blue", "grey")
# How long a bridge lives under load, in seconds, at least and at most.
LIVES = (0.2, 4.0)
# How long one call may take; a lease of a killed bridge is waited for somewhat longer.
TIMEOUT = 2
SETTLES_WITHIN = 300

Directory = tuple[dict[str, bool], dict[str, set[str]]]


@dataclass(kw_only=True)
class Person:
    """Somebody as the answers to one writer say they are."""

    name: str
    id: str
    active: bool = True
    groups: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Load:
    """The writers, and what they were answered."""

    groups: dict[str, str]
    seed: int
    people: dict[str, Person] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    # Whose last write got no answer: it may have been done or not.
    unsure: set[str] = field(default_factory=set)
    acknowledged: int = 0
    unanswered: int = 0
    # Answers that a client should not have got.
    refused: list[str] = field(default_factory=list)
    bridge: Bridge | None = None
    _running: threading.Event = field(default_factory=threading.Event)
    # Nothing new is begun any more.
    _over: bool = False
    _idle: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # -- The writers' life ----------------------------------------------

    def start(self) -> None:
        """Have the writers wait for a bridge."""
        for number in range(WRITERS):
            threading.Thread(target=self._write, args=(number,), daemon=True).start()
        self._await_all()

    def let_run(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self._running.set()

    def stop(self) -> None:
        """Have every writer wait, each after the answer, or none, to what it is at."""
        self._running.clear()
        self._await_all()

    def finish(self, bridge: Bridge) -> None:
        """Have whoever got no answer send it once more, and end."""
        self._over = True
        self.let_run(bridge)
        self._await_all()

    def _await_all(self) -> None:
        for _ in range(WRITERS):
            assert self._idle.acquire(timeout=120), "a writer is lost"

    def _write(self, number: int) -> None:
        chance, mine, created = random.Random(f"{self.seed}/{number}"), list[Person](), 0
        undone: tuple[Any, ...] | None = None
        while undone is not None or not self._over:
            if not self._running.is_set():
                self._idle.release()
                self._running.wait()
                continue
            if undone is None:
                undone = self._chosen(chance, mine, f"w{number}p{created}@example.com")
                created += undone[0] == "create"
            if self._attempt(mine, *undone):
                undone = None
            else:
                # Killed: nothing is sent until the next bridge runs.
                until(lambda: not self._running.is_set(), within=60)
        self._idle.release()

    def _chosen(self, chance: random.Random, mine: list[Person], new: str) -> tuple[Any, ...]:
        if not mine or chance.random() < 0.3:
            return "create", new
        one = chance.choice(mine)
        kind = chance.choices(("move", "switch", "rename", "delete"), (6, 2, 2, 1))[0]
        return kind, one, chance.choice(GROUPS), chance.randrange(10**6)

    # -- One write ------------------------------------------------------

    def _attempt(self, mine: list[Person], kind: str, *what: Any) -> bool:
        """Send one write, and write down what its answer says. False: there was no answer."""
        name = what[0] if kind == "create" else what[0].name
        with self._lock:
            self.unsure.add(name)
        try:
            answer = self._create(what[0]) if kind == "create" else self._sent(kind, *what)
        except requests.RequestException:
            with self._lock:
                self.unanswered += 1
            return False
        with self._lock:
            self.unsure.discard(name)
            if not answer.ok:
                self.refused.append(f"{kind} {name}: {answer.status_code} {answer.text[:200]}")
                return True
            self.acknowledged += 1
            self._believe(mine, answer, kind, *what)
        return True

    def _create(self, name: str) -> requests.Response:
        answer = self.bridge.send("POST", "/Users", person(name))
        if answer.status_code != requests.codes.conflict:
            return answer
        # The attempt before was done after all.
        return self.bridge.send("GET", "/Users", params={"filter": f'userName eq "{name}"'})

    def _sent(self, kind: str, one: Person, group: str, number: int) -> requests.Response:
        path = f"/Users/{one.id}"
        match kind:
            case "switch":
                return self.bridge.send("PATCH", path, replacing(active=not one.active))
            case "rename":
                return self.bridge.send("PATCH", path, replacing(title=f"Engineer {number}"))
            case "delete":
                answer = self.bridge.send("DELETE", path)
                if answer.status_code == requests.codes.not_found:
                    answer.status_code = requests.codes.no_content
                return answer
        change = leaving(one.id) if group in one.groups else joining(one.id)
        body = {"schemas": [PATCH], "Operations": [change]}
        return self.bridge.send("PATCH", f"/Groups/{self.groups[group]}", body)

    def _believe(
        self, mine: list[Person], answer: requests.Response, kind: str, *what: Any
    ) -> None:
        if kind == "create":
            found = answer.json()
            one = Person(name=what[0], id=found.get("id") or found["Resources"][0]["id"])
            mine.append(one)
            self.people[one.name] = one
            return
        one, group, _ = what
        match kind:
            case "switch":
                one.active = not one.active
            case "move":
                one.groups ^= {group}
            case "delete":
                mine.remove(one)
                del self.people[one.name]
                self.deleted.add(one.name)

    # -- What must hold -------------------------------------------------

    def expected(self) -> Directory:
        active = {name: one.active for name, one in self.people.items()}
        members = {
            group: {name for name, one in self.people.items() if group in one.groups}
            for group in GROUPS
        }
        return active, members


@dataclass(kw_only=True)
class Wrong:
    """What was answered and is not so."""

    directory: list[str] = field(default_factory=list)
    center: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.directory or self.center or self.doubled)


def differences(expected: Directory, found: Directory, *, unsure: set[str]) -> Iterator[str]:
    """What is not as it was answered, apart from people of whom it is not known."""
    for name in sorted((expected[0].keys() | found[0].keys()) - unsure):
        if expected[0].get(name) != found[0].get(name):
            yield f"{name}: active {found[0].get(name)} instead of {expected[0].get(name)}"
    for group, members in expected[1].items():
        for name in sorted((members ^ found[1].get(group, set())) - unsure):
            yield f"{name} {'is not' if name in members else 'is'} in {group}"


def doubled(bridge: Bridge, sandbox: Center) -> Iterator[str]:
    """Who or what is there more than once."""
    state = sandbox.state()
    pairs = Counter((one["groupId"], one["userId"]) for one in state["memberships"])
    names = Counter(one["userName"] for one in state["users"])
    names.update(f"group {one['displayName']}" for one in state["groups"])
    for group in bridge.sent("GET", "/Groups?attributes=displayName,members")["Resources"]:
        members = Counter(member["value"] for member in group.get("members", ()))
        pairs.update({(group["displayName"], one): many for one, many in members.items()})
    yield from (f"{what}: {many} times" for what, many in (names | pairs).items() if many > 1)


def at_center(load: Load, there: Iterable[str]) -> Directory:
    """What Identity Center is to hold: who was deleted is disabled, if they ever came there, and
    who is disabled is in no group.
    """
    active, members = load.expected()
    effective = {group: {name for name in of if active[name]} for group, of in members.items()}
    return {**dict.fromkeys(load.deleted.intersection(there), False), **active}, effective


def play(installation: Installation, *, kills: int, seed: int) -> tuple[Load, Wrong]:
    """Kill a bridge so many times under load, and say what was lost or doubled in the end."""
    chance, wrong = random.Random(seed), Wrong()
    with installation.serving() as bridge:
        load = Load(groups={name: bridge.add_group(name) for name in GROUPS}, seed=seed)
    load.start()
    for number in range(1, kills + 1):
        _choose(installation, wait=chance.choice(["0", "5"]))
        with installation.serving("--processes", "2") as bridge:
            wrong.directory += differences(load.expected(), bridge.directory(), unsure=load.unsure)
            before, life = load.acknowledged, chance.uniform(*LIVES)
            load.let_run(bridge)
            time.sleep(life)
            _kill(bridge)
            load.stop()
        say(
            f"{number}: killed after {life:.2f} s, {load.acknowledged - before} answered in "
            f"it, {len(load.unsure)} without an answer, {len(wrong.directory)} lost so far"
        )
    # Whose last request got no answer sends it once more.
    with installation.serving("--processes", "2") as bridge:
        load.finish(bridge)
        begun = time.monotonic()
        installation.settle(within=SETTLES_WITHIN)
        say(f"in sync {time.monotonic() - begun:.1f} s after the last write")
        wrong.directory += differences(load.expected(), bridge.directory(), unsure=set())
        found = installation.sandbox.active(), installation.sandbox.memberships()
        wrong.center += differences(at_center(load, found[0]), found, unsure=set())
        wrong.doubled += doubled(bridge, installation.sandbox)
    return load, wrong


def _kill(bridge: Bridge) -> None:
    family = bridge.family()
    bridge.kill()
    until(lambda: not any(map(is_running, family)), within=30)


def _choose(installation: Installation, *, wait: str) -> None:
    """Whether requests deliver by themselves, from the next start on."""
    file = installation.folder / "bridge.toml"
    text = re.sub(r"^wait = .*$", f"wait = {wait}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)


def installed(sandbox: Center, folder: Path, database: str | None) -> Installation:
    """A bridge on this database, or on a file of its own."""
    more = "[delivery]\nwait = 5\n"
    if database is not None:
        more += f'[audit]\nkey_file = "{folder}/audit.key"\n'
    installation = install(sandbox, folder, timeout=TIMEOUT, more=more)
    if database is not None:
        file = folder / "bridge.toml"
        text = re.sub(r'^url = "sqlite.*$', f'url = "{database}"', file.read_text(), flags=re.M)
        file.write_text(text)
        sandbox.token = installation.json_of("client", "add", "kills")["token"]
    return installation


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is what a person who runs it looks at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", metavar="URL")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    say(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as name, center(Path(name), "sigv4") as sandbox:
        installation = installed(sandbox, Path(name) / "bridge", options.database)
        load, wrong = play(installation, kills=options.kills, seed=options.seed)
    for line in (*load.refused, *wrong.directory, *wrong.center, *wrong.doubled):
        say(f"! {line}")
    say(
        f"{options.kills} kills: {load.acknowledged} writes acknowledged, {load.unanswered} cut off"
        f" and sent again; lost: {len(wrong.directory)} in the directory, {len(wrong.center)} at "
        f"Identity Center; doubled: {len(wrong.doubled)}; refused: {len(load.refused)}"
    )
    sys.exit(1 if wrong or load.refused else 0)


if __name__ == "__main__":
    main()
