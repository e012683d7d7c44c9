"""How is an operator's decision about one person brought to Identity Center at once?"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import click

from scim_bridge.app import Bridge
from scim_bridge.cli.invocation import advise
from scim_bridge.cli.names import called, group_names, listed, printable
from scim_bridge.cli.output import day
from scim_bridge.sync.access import FIRST_LOOK
from scim_bridge.sync.cuts import sessions_until
from scim_bridge.sync.marks import Key, Mark, State
from scim_bridge.sync.neighbours import groups_of
from scim_bridge.sync.overview import Waiting, waiting
from scim_bridge.sync.pause import Pause, paused
from scim_bridge.sync.target import Target
from scim_bridge.sync.worker import Lane

# How long a command waits for what a running bridge is delivering just now, in seconds.
PATIENCE = 30.0
LOOK_AGAIN = 0.1


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What Identity Center holds of a person, as it was last seen, and what has yet to arrive."""

    # None: the person is not there.
    is_enabled: bool | None
    groups: Sequence[str]
    # What is pending or failed for the person and their groups: its name and why.
    left: Sequence[Waiting]
    pause: Pause | None
    # Until when sessions begun before may live, in seconds since 1970.
    sessions: float | None
    # How they stand at other targets where they are, or were: whether enabled, and the groups.
    elsewhere: Mapping[str, tuple[bool, Sequence[str]]]


def deliver(
    bridge: Bridge,
    user_id: str,
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Standing:
    """Bring a person and their groups to Identity Center now, each of them tried once.

    What Identity Center has begun with their assignments is followed to its end, or until patience
    is over. Works beside a running bridge: what that is delivering just now is waited for. While
    delivery is paused nothing is tried.
    """
    if paused(bridge.database) is not None:
        return standing(bridge, user_id)
    end = clock() + patience
    tried: set[_Work] = set()
    while left := [work for work in _pending(bridge, user_id) if work not in tried]:
        outcomes = {work: work.lane.deliver(work.key) for work in left}
        tried |= {work for work, ended in outcomes.items() if ended and not ended.under_way}
        if clock() >= end:
            break
        if any(ended and ended.under_way for ended in outcomes.values()):
            sleep(FIRST_LOOK)
        elif not tried.intersection(outcomes):
            sleep(LOOK_AGAIN)
    return standing(bridge, user_id)


def standing(bridge: Bridge, user_id: str) -> Standing:
    """How a person stands at Identity Center, as far as it is known."""
    key, left = Key(kind="user", id=user_id), {work.key for work in _unsettled(bridge, user_id)}
    names = [one.name for one in bridge.targets] if left else []
    rows = [row for name in names for row in waiting(bridge.database, name, limit=10_000)]
    with bridge.database.reading():
        link = bridge.observations.link(key)
        seen = bridge.observations.seen("user", link.target_id) if link else None
        there = bridge.observations.groups_of(link.target_id) if link else frozenset()
        known = bridge.observations.resources("group", there)
    called_groups = group_names(bridge.database, known.values())
    return Standing(
        is_enabled=seen.active if seen else None,
        groups=called(called_groups, (known.get(group, group) for group in there)),
        left=[row for row in rows if row.key in left],
        pause=paused(bridge.database),
        sessions=sessions_until(bridge.database, user_id),
        elsewhere={
            one.name: held for one in bridge.others if (held := _there(one, key)) is not None
        },
    )


def _there(target: Target, key: Key) -> tuple[bool, Sequence[str]] | None:
    with target.database.reading():
        link = target.observations.link(key)
        seen = target.observations.seen("user", link.target_id) if link else None
        if link is None or seen is None:
            return None
        there = target.observations.groups_of(link.target_id)
        known = target.observations.resources("group", there)
    names = group_names(target.database, known.values())
    return seen.active, called(names, (known.get(group, group) for group in there))


def report(context: click.Context, now: Standing) -> None:
    """Say how the person stands, and end with exit code 1 if something has yet to arrive."""
    click.echo(f"At Identity Center: {_in_words(now.is_enabled, now.groups)}.")
    for name, (is_enabled, groups) in now.elsewhere.items():
        click.echo(f"At {name}: {_in_words(is_enabled, groups)}.")
    for row in now.left:
        click.echo(
            f"! {row.state}: {row.key.kind} {printable(row.name) or row.key.id}"
            f"{', assignments' if row.is_access else ''}"
            f" - {printable(row.last_error or 'on its way')}"
        )
    if now.sessions is not None:
        click.echo(f"Sessions that were begun before may live until {day(now.sessions)}.")
    if now.pause is not None:
        click.echo("! Delivery is paused, so nothing was sent. Go on: scim-bridge resume")
    if now.left and now.pause is None:
        click.echo(
            advise("The bridge goes on trying while it runs; so does `scim-bridge sync --retry`.")
        )
    if now.left:
        context.exit(1)


def _in_words(is_enabled: bool | None, groups: Sequence[str]) -> str:
    if is_enabled is None:
        return "not there"
    enabled = "enabled" if is_enabled else "disabled"
    return f"{enabled}, {f'in {listed(groups)}' if groups else 'in no group'}"


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One thing to be delivered for a person, as it was marked."""

    lane: Lane
    key: Key
    generation: int
    state: State


def _pending(bridge: Bridge, user_id: str) -> list[_Work]:
    return [work for work in _unsettled(bridge, user_id) if work.state == "pending"]


def _unsettled(bridge: Bridge, user_id: str) -> list[_Work]:
    """What has yet to arrive of a person anywhere: themselves, the groups they join or leave, and
    their assignments.
    """
    with bridge.database.reading():
        groups = {group.id for group in groups_of(bridge.database, user_id)}
        return [work for one in bridge.targets for work in _unsettled_at(one, user_id, groups)]


def _unsettled_at(target: Target, user_id: str, groups: Collection[str]) -> Iterator[_Work]:
    link = target.observations.link(Key(kind="user", id=user_id))
    principal = link.target_id if link else None
    own, *access = target.lanes
    for mark in own.marks.marked("pending", "failed"):
        is_named = principal in mark.take_away.named
        if mark.key.id == user_id or mark.key.id in groups or is_named:
            yield _work(own, mark)
    for lane in access:
        for mark in lane.marks.marked("pending", "failed"):
            if mark.key.id == user_id:
                yield _work(lane, mark)


def _work(lane: Lane, mark: Mark) -> _Work:
    return _Work(lane=lane, key=mark.key, generation=mark.generation, state=mark.state)
