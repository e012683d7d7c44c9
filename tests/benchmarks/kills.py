"""Is anything that was answered lost or doubled, when bridge or database goes away under load?

    python -m tests.benchmarks.kills [--kills 50] [--database URL | postgresql] [--seed N]
    python -m tests.benchmarks.kills --restarts 3 [--seed N]

Several writers create people, change them, move them between shared groups, deactivate and delete
them, without a pause. All processes of the bridge are killed with SIGKILL at a random moment and
started again, also in the middle of what the kill before left to be healed. After each start the
directory is compared with what was answered; at the end so is Identity Center, once in sync. A
writer whose request got no answer, or who was told to come back later, sends it again, as a client
does.

With `--restarts` two bridges share one PostgreSQL server, which is stopped and started so often
instead, and one of the bridges is killed for good.

`--database` is an empty database, such as postgresql+psycopg://…; `postgresql` starts a server, and
without the option an SQLite file is made.
"""

import argparse
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
from tests.postgresql import Postgresql, started

WRITERS = 8
GROUPS = ("red", "green", "blue", "grey")
# How long a bridge lives under load, in seconds, at least and at most.
LIVES = (0.2, 4.0)
# How long one call may take; a lease of a killed bridge is waited for somewhat longer.
TIMEOUT = 2
SETTLES_WITHIN = 300
# How many answers there are at least between two interruptions of the database.
BETWEEN = 50
STOPS: Sequence[Literal["fast", "immediate"]] = ("fast", "immediate")

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
    # Answers 503 with Retry-After.
    put_off: int = 0
    # Answers that a client should not have got.
    refused: list[str] = field(default_factory=list)
    # Each has its share of the writers.
    bridges: list[Bridge] = field(default_factory=list)
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

    def let_run(self, *bridges: Bridge) -> None:
        self.bridges = list(bridges)
        self._running.set()

    def leave(self, bridge: Bridge) -> None:
        """Have those who write to a bridge go to the others."""
        self.bridges = [one for one in self.bridges if one is not bridge]

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
            bridge = self.bridges[number % len(self.bridges)]
            if self._attempt(bridge, mine, *undone):
                undone = None
            else:
                self._turn_away(bridge)
        self._idle.release()

    def _turn_away(self, bridge: Bridge) -> None:
        """Wait until nobody writes to a bridge that was killed."""
        until(lambda: not self._running.is_set() or bridge not in self.bridges, within=60)

    def _chosen(self, chance: random.Random, mine: list[Person], new: str) -> tuple[Any, ...]:
        if not mine or chance.random() < 0.3:
            return "create", new
        one = chance.choice(mine)
        kind = chance.choices(("move", "switch", "rename", "delete"), (6, 2, 2, 1))[0]
        return kind, one, chance.choice(GROUPS), chance.randrange(10**6)

    # -- One write ------------------------------------------------------

    def _attempt(self, bridge: Bridge, mine: list[Person], kind: str, *what: Any) -> bool:
        """Send one write, and write down what its answer says. False: there was no answer."""
        name = what[0] if kind == "create" else what[0].name
        with self._lock:
            self.unsure.add(name)
        try:
            answer = (
                self._create(bridge, name)
                if kind == "create"
                else self._change(bridge, kind, *what)
            )
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

    def _create(self, bridge: Bridge, name: str) -> requests.Response:
        answer = self._sent(bridge, "POST", "/Users", person(name))
        if answer.status_code != requests.codes.conflict:
            return answer
        # The attempt before was done after all.
        path = f'/Users?filter=userName eq "{name}"'
        return self._sent(bridge, "GET", path)

    def _change(
        self, bridge: Bridge, kind: str, one: Person, group: str, number: int
    ) -> requests.Response:
        path = f"/Users/{one.id}"
        match kind:
            case "switch":
                return self._sent(bridge, "PATCH", path, replacing(active=not one.active))
            case "rename":
                return self._sent(bridge, "PATCH", path, replacing(title=f"Engineer {number}"))
            case "delete":
                answer = self._sent(bridge, "DELETE", path)
                if answer.status_code == requests.codes.not_found:
                    answer.status_code = requests.codes.no_content
                return answer
        change = leaving(one.id) if group in one.groups else joining(one.id)
        body = {"schemas": [PATCH], "Operations": [change]}
        return self._sent(bridge, "PATCH", f"/Groups/{self.groups[group]}", body)

    def _sent(self, bridge: Bridge, method: str, path: str, body: Any = None) -> requests.Response:
        """What is answered 503 is sent again after Retry-After, as often as that is."""
        while True:
            answer = bridge.send(method, path, body)
            wait = answer.headers.get("Retry-After")
            if answer.status_code != requests.codes.unavailable or wait is None:
                return answer
            with self._lock:
                self.put_off += 1
            time.sleep(float(wait))

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
    with installation.serving("--processes", "2") as bridge:
        _compare(load, wrong, installation, bridge)
    return load, wrong


def interrupt(
    machines: Sequence[Installation], server: Postgresql, *, restarts: int, seed: int
) -> tuple[Load, Wrong]:
    """Restart the database of several bridges so many times under load, and kill one of them."""
    chance, wrong = random.Random(seed), Wrong()
    with ExitStack() as stack:
        first, *others = (stack.enter_context(one.serving("--processes", "2")) for one in machines)
        load = Load(groups={name: first.add_group(name) for name in GROUPS}, seed=seed)
        load.start()
        load.let_run(first, *others)
        for number in range(restarts):
            _let_some_pass(load, chance)
            mode = STOPS[number % len(STOPS)]
            server.restart(mode)
            say(f"{number + 1}: restarted ({mode}) after {load.acknowledged} answers")
            if number == restarts // 2:
                _let_some_pass(load, chance)
                _kill(others[-1])
                load.leave(others[-1])
                say(f"one of {len(machines)} bridges killed after {load.acknowledged} answers")
        _let_some_pass(load, chance)
        load.stop()
        _compare(load, wrong, machines[0], first)
    return load, wrong


def _let_some_pass(load: Load, chance: random.Random) -> None:
    most = load.acknowledged + BETWEEN
    until(lambda: load.acknowledged >= most, within=120)
    time.sleep(chance.uniform(0, 1))


def _compare(load: Load, wrong: Wrong, installation: Installation, bridge: Bridge) -> None:
    """Have whoever got no answer send it once more, and look at everything once in sync."""
    load.finish(bridge)
    begun = time.monotonic()
    installation.settle(within=SETTLES_WITHIN)
    say(f"in sync {time.monotonic() - begun:.1f} s after the last write")
    wrong.directory += differences(load.expected(), bridge.directory(), unsure=set())
    found = installation.sandbox.active(), installation.sandbox.memberships()
    wrong.center += differences(at_center(load, found[0]), found, unsure=set())
    wrong.doubled += doubled(bridge, installation.sandbox)


def _kill(bridge: Bridge) -> None:
    family = bridge.family()
    bridge.kill()
    until(lambda: not any(map(is_running, family)), within=30)


def _choose(installation: Installation, *, wait: str) -> None:
    """Whether requests deliver by themselves, from the next start on."""
    file = installation.folder / "bridge.toml"
    text = re.sub(r"^wait = .*$", f"wait = {wait}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)


@contextmanager
def _database(name: str | None) -> Iterator[tuple[str | None, Postgresql | None]]:
    """The URL of a database (None: a file is made), and its server if it was started for it."""
    if name != "postgresql":
        yield name, None
        return
    with started(durable=True) as server, server.fresh() as url:
        yield url, server


def installed(
    sandbox: Center, folder: Path, database: str | None, *names: str
) -> list[Installation]:
    """Bridges beside each other, on this database or on a file of its own."""
    wait = "[delivery]\nwait = 5\n"
    machines = [
        install(sandbox, folder / name, timeout=TIMEOUT, more=wait, database=database)
        for name in names
    ]
    if database is not None:
        sandbox.token = machines[0].json_of("client", "add", "kills")["token"]
    return machines


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is what a person who runs it looks at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--restarts", type=int, help="of PostgreSQL, instead of kills")
    parser.add_argument("--database", metavar="URL")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    say(f"seed {options.seed}")
    what = f"{options.kills} kills" if options.restarts is None else f"{options.restarts} restarts"
    with (
        tempfile.TemporaryDirectory() as name,
        center(Path(name), "sigv4") as sandbox,
        _database(options.database if options.restarts is None else "postgresql") as (url, server),
    ):
        if options.restarts is None or server is None:
            (one,) = installed(sandbox, Path(name), url, "bridge")
            load, wrong = play(one, kills=options.kills, seed=options.seed)
        else:
            machines = installed(sandbox, Path(name), url, "one", "other")
            load, wrong = interrupt(machines, server, restarts=options.restarts, seed=options.seed)
    for line in (*load.refused, *wrong.directory, *wrong.center, *wrong.doubled):
        say(f"! {line}")
    say(
        f"{what}: {load.acknowledged} writes acknowledged, {load.unanswered} cut off and sent "
        f"again, {load.put_off} times 503 with Retry-After; lost: {len(wrong.directory)} in the "
        f"directory, {len(wrong.center)} at Identity Center; doubled: {len(wrong.doubled)}; "
        f"refused: {len(load.refused)}"
    )
    sys.exit(1 if wrong or load.refused else 0)


if __name__ == "__main__":
    main()
