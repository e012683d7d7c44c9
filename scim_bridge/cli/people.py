"""How is an operator's decision about one person brought to Identity Center at once?"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from scim_bridge.app import Bridge
from scim_bridge.cli.invocation import advise
from scim_bridge.cli.names import called, group_names, listed, printable
from scim_bridge.directory.memberships import groups_of
from scim_bridge.sync.marks import Key, Mark
from scim_bridge.sync.overview import Waiting, waiting

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


def deliver(
    bridge: Bridge,
    user_id: str,
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Standing:
    """Bring a person and their groups to Identity Center now, each of them tried once.

    Works beside a running bridge: what that is delivering just now is waited for.
    """
    end = clock() + patience
    tried: set[tuple[Key, int]] = set()
    while left := [mark for mark in _pending(bridge, user_id) if _version(mark) not in tried]:
        claimed = {_version(mark) for mark in left if _try(bridge, mark)}
        tried |= claimed
        if clock() >= end:
            break
        if not claimed:
            sleep(LOOK_AGAIN)
    return standing(bridge, user_id)


def standing(bridge: Bridge, user_id: str) -> Standing:
    """How a person stands at Identity Center, as far as it is known."""
    key, left = Key(kind="user", id=user_id), {mark.key for mark in _unsettled(bridge, user_id)}
    rows = waiting(bridge.database, bridge.marks.target, limit=10_000) if left else ()
    with bridge.database.reading():
        link = bridge.observations.link(key)
        seen = bridge.observations.seen("user", link.target_id) if link else None
        there = bridge.observations.groups_of(link.target_id) if link else frozenset()
        known = bridge.observations.resources("group", there)
    names = group_names(bridge.database, known.values())
    return Standing(
        is_enabled=seen.active if seen else None,
        groups=called(names, (known.get(group, group) for group in there)),
        left=[row for row in rows if row.key in left],
    )


def report(context: click.Context, now: Standing) -> None:
    """Say how the person stands, and end with exit code 1 if something has yet to arrive."""
    click.echo(f"At Identity Center: {_in_words(now)}.")
    for row in now.left:
        click.echo(
            f"! {row.state}: {row.key.kind} {printable(row.name) or row.key.id}"
            f" - {printable(row.last_error or 'on its way')}"
        )
    if now.left:
        click.echo(
            advise("The bridge goes on trying while it runs; so does `scim-bridge sync --retry`.")
        )
        context.exit(1)


def _in_words(now: Standing) -> str:
    if now.is_enabled is None:
        return "not there"
    enabled = "enabled" if now.is_enabled else "disabled"
    return f"{enabled}, {f'in {listed(now.groups)}' if now.groups else 'in no group'}"


def _pending(bridge: Bridge, user_id: str) -> list[Mark]:
    return [mark for mark in _unsettled(bridge, user_id) if mark.state == "pending"]


def _unsettled(bridge: Bridge, user_id: str) -> list[Mark]:
    """The marks of a person: their own, and those of the groups they join or leave."""
    with bridge.database.reading():
        link = bridge.observations.link(Key(kind="user", id=user_id))
        joined = groups_of(bridge.database, [user_id]).get(user_id, ())
        groups = {membership.group_id for membership in joined}
        principal = link.target_id if link else None
        return [
            mark
            for mark in bridge.marks.marked("pending", "failed")
            if mark.key.id == user_id or mark.key.id in groups or principal in mark.take_away.named
        ]


def _version(mark: Mark) -> tuple[Key, int]:
    return mark.key, mark.generation


def _try(bridge: Bridge, mark: Mark) -> bool:
    """Deliver one resource; False if somebody else has it, or has just done it."""
    lease = bridge.marks.claim(mark.key)
    if lease is None:
        return False
    bridge.reconciler.reconcile(lease)
    return True
