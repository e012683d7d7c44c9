"""How is a bridge interrupted and killed, while clients write to it and another one works?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal, assert_never

from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.database import Database
from tests.sync.conftest import Directory
from tests.sync.convergence import (
    Act,
    Change,
    Dissolve,
    Found,
    Hire,
    Leave,
    Model,
    Move,
    Rename,
    Replace,
    scim,
)

CLIENT = Actor(name="client:hr")

# Longer than an example takes, in seconds.
PAUSE = 3600.0

When = Literal["before", "after"]
# What is done with a call, or with an attempt and its look-ups, that is about to be made.
Interruption = Callable[[Callable[..., Any]], Any]


class Killed(BaseException):
    """The process was killed."""


class Bridges:
    """Two processes of one bridge, in front of one sandbox.

    The front delivers within a request, and may be interrupted and killed. The other leaves
    everything to the worker, and nothing ever happens to it.
    """

    def __init__(self, database: Database, start: Callable[..., Directory]) -> None:
        self._database = database
        self._assembled = start
        self._ids = count(1)
        self.other = self._start(wait=0)
        self.restart()

    def _start(self, *, wait: float) -> Directory:
        """A process in which nothing depends on chance, or on the time that something takes."""
        directory = self._assembled(wait=wait)
        directory.resources.new_id = lambda: f"00000000-0000-4000-8000-{next(self._ids):012}"
        directory.reconciler.jitter = lambda _most: PAUSE
        return directory

    def restart(self) -> None:
        """A new process takes the place of the front."""
        self.front = self._start(wait=5)
        self.next_call: Interruption | None = None
        self.next_attempt: Interruption | None = None
        # The process is killed before its so many-th transaction from now.
        self.transactions_left: int | None = None
        center, attempts = self.front.center, self.front.reconciler.attempts
        apply, make = center.apply, attempts.make

        def called(change: Any, *, deadline: float | None = None) -> Any:
            interruption, self.next_call = self.next_call, None
            return _interrupted(interruption, lambda ends=deadline: apply(change, deadline=ends))

        def attempted(change: Any, *, deadline: float, refused: Any = None) -> Any:
            interruption, self.next_attempt = self.next_attempt, None
            return _interrupted(
                interruption, lambda: make(change, deadline=deadline, refused=refused)
            )

        center.apply = called  # type: ignore[method-assign]
        attempts.make = attempted  # type: ignore[method-assign]

    def calm(self) -> None:
        """Nothing is to happen to the front any more."""
        self.next_call = self.next_attempt = self.transactions_left = None

    @contextmanager
    def at_the_front(self) -> Iterator[Directory]:
        """Whatever is to happen happens to what is done in the block."""
        transaction = self._database.transaction

        @contextmanager
        def counted(*, durable: bool = True) -> Iterator[Any]:
            if not self._database.in_transaction:
                self._count()
            with transaction(durable=durable) as connection:
                yield connection

        self._database.transaction = counted  # type: ignore[method-assign]
        try:
            yield self.front
        finally:
            del self._database.transaction  # type: ignore[method-assign]

    def _count(self) -> None:
        if self.transactions_left is not None:
            self.transactions_left -= 1
            if self.transactions_left <= 0:
                raise Killed

    @contextmanager
    def elsewhere(self) -> Iterator[Directory]:
        """Nothing happens to what is done in the block, in the other process."""
        left, self.transactions_left = self.transactions_left, None
        yield self.other
        self.transactions_left = left


def _interrupted(interruption: Interruption | None, call: Callable[..., Any]) -> Any:
    return call() if interruption is None else interruption(call)


def perform(directory: Directory, model: Model, act: Act) -> None:
    """Do what a client does, and tell the model once it is committed, before it is delivered."""
    delivery = directory.delivery
    carry = type(delivery).carry

    def told(write: Callable[[], Any]) -> Any:
        def written() -> Any:
            result = write()
            model.learn(act, record=getattr(result, "id", None))
            return result

        return carry(delivery, written)

    delivery.carry = told  # type: ignore[assignment, method-assign]
    try:
        with acting(CLIENT):
            _write(directory, model, act)
    finally:
        del delivery.carry  # type: ignore[method-assign]


def _write(directory: Directory, model: Model, act: Act) -> None:
    def ids(names: frozenset[str]) -> list[str]:
        return [model.people[name].record for name in sorted(names)]

    match act:
        case Hire():
            given = scim({"displayName": act.name.title(), **model.attributes(act)})
            directory.add_user(act.name, **{**given, "active": act.active})
        case Change():
            person = model.people[act.name]
            active = person.active if act.active is None else act.active
            given = scim({**person.attributes, **model.attributes(act)})
            directory.change_user(person.record, **{**given, "active": active})
        case Leave():
            directory.delete_user(model.people[act.name].record)
        case Found():
            directory.add_group(act.group, *ids(act.members))
        case Rename():
            directory.change_group(_record(model, act.group), displayName=act.to)
        case Move():
            changes = {"add": ids(act.join), "remove": ids(act.go)}
            directory.change_members(_record(model, act.group), **changes)
        case Replace():
            directory.replace_group(_record(model, act.group), act.group, *ids(act.members))
        case Dissolve():
            directory.delete_group(_record(model, act.group))
        case _:
            assert_never(act)


def _record(model: Model, group: str) -> str:
    team = model.team(group)
    assert team is not None
    return team.record


def around(act: Callable[[], None], when: When) -> Interruption:
    """Do something before or after a call, whatever its answer."""

    def interrupted(call: Callable[..., Any]) -> Any:
        if when == "before":
            act()
            return call()
        try:
            return call()
        finally:
            act()

    return interrupted
