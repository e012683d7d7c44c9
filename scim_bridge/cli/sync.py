"""`sync`: bring everything that waits to Identity Center now, and decide what is held."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress as ProgressBar

from scim_bridge.app import Bridge
from scim_bridge.cli.assembled import assembled, refuse_delivery
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.cli.names import called, group_names, listed, people, printable, user_names
from scim_bridge.cli.output import json_option, print_json, print_table, print_wrapped
from scim_bridge.directory.actor import BRIDGE, acting
from scim_bridge.plan.brake import Category
from scim_bridge.sync.held import Loss
from scim_bridge.sync.journal import journalled
from scim_bridge.sync.marks import Key, Marks
from scim_bridge.sync.overview import Overview, Waiting, waiting
from scim_bridge.sync.rejection import Left, NestedAgain, Rejection
from scim_bridge.sync.worker import Progress

# How often it is looked whether somebody else has finished, in seconds.
LOOK_AGAIN = 0.1
# As many of those that failed or still wait are listed.
MOST_PROBLEMS = 100
NOTHING_REJECTED = Rejection(given_back=())

_AT_STAKE: Mapping[Category, str] = {"disable": "enabled", "assignment": "with assignments"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a sync did, and how things stand after it."""

    approved: Sequence[Loss]
    # Who was in the approved set once, and whose loss the client took back since.
    dropped: frozenset[str]
    rejected: Rejection
    # How many had failed before and were tried again; None if that was not asked for.
    retried: int | None
    delivered: int
    after: Overview
    problems: Sequence[Waiting]

    @property
    def ended_well(self) -> bool:
        return self.is_done and not self.rejected.left

    @property
    def is_done(self) -> bool:
        return not (self.after.states.get("failed") or self.after.states.get("pending"))


@click.command()
@click.option("--retry", is_flag=True, help="Try again what Identity Center refused before.")
@click.option("--approve", metavar="SET", help="Let the held set SET pass.")
@click.option("--reject", metavar="SET", help="Throw the held set SET away: who is in it stays.")
@json_option
@audited()
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    retry: bool,
    approve: str | None,
    reject: str | None,
    as_json: bool,
) -> None:
    """Deliver everything that waits for Identity Center now, also what waits for its next try.

    It may run beside `serve`. The exit code is 0 only if nothing is pending or failed after it, and
    a rejected set was given back whole.

    The brake holds losses of access in sets (see scim-bridge status). An approved set is delivered
    at once. A rejected one is undone in the directory: those people are active again, or members
    again, until a client says otherwise once more. Who had a group through a group in it has it
    through that one again. What cannot be given back is told, and is still held.

    \b
    Example:
      scim-bridge sync --retry
      scim-bridge sync --approve 3f9a1c20 --reason "site closed, ticket 4711"
    """
    with assembled(invocation.settings()) as bridge:
        refuse_delivery(bridge)
        result = synced(bridge, retry=retry, approve=approve, reject=reject, quiet=as_json)
        if as_json:
            print_json(_as_dict(bridge, result))
        else:
            _print(bridge, result)
    context.exit(0 if result.ended_well else 1)


def synced(
    bridge: Bridge,
    *,
    retry: bool = False,
    approve: str | None = None,
    reject: str | None = None,
    quiet: bool = False,
) -> Result:
    """Decide, deliver, and write the run into the journal.

    Raises `OperatorError` if a set to be decided is not there; nothing is delivered then.
    """
    decisions = bridge.decisions
    with bridge.database.transaction():
        dropped = bridge.held.dropped_out(approve) if approve else frozenset[str]()
        approved = decisions.approve(approve) if approve else ()
        rejected = decisions.reject(reject) if reject else NOTHING_REJECTED
        retried = decisions.retry() if retry else None
    with acting(BRIDGE):
        bridge.ruling.settle_all_due()
    with journalled(bridge.database, "sync") as run:
        delivered = _deliver(bridge, quiet=quiet)
        after = _after(bridge)
        run.counts = {"delivered": delivered, **after.states}
        result = Result(
            approved=approved,
            dropped=dropped,
            rejected=rejected,
            retried=retried,
            delivered=delivered,
            after=after,
            problems=_problems(bridge),
        )
        run.outcome = "ok" if result.is_done else "unfinished"
    return result


def _deliver(bridge: Bridge, *, quiet: bool) -> int:
    """Deliver all that is pending. Returns how many resources have arrived."""
    each = [lane.marks for one in bridge.targets for lane in one.lanes]
    bridge.settle(threading.Event())
    if not any(marks.in_state("pending", "suppressed") for marks in each):
        return 0
    # What an earlier command met at the door may be mended; a door still closed is told anew.
    bridge.forget_door()
    worker = bridge.worker()
    with _progress(quiet=quiet) as report:
        keys = set(worker.run_once(report))
        waited = [_wait_for(marks) for marks in each]
        if any(waited):
            # A lease that ran out belonged to somebody who is gone.
            keys |= set(worker.run_once(report))
    return sum(1 for key in keys if _has_arrived(key, each))


def _after(bridge: Bridge) -> Overview:
    """How things stand at all targets together."""
    first, *others = [one.overview() for one in bridge.targets]
    states = Counter(first.states)
    for other in others:
        states.update(other.states)
    return replace(first, states=states)


def _has_arrived(key: Key, everywhere: Iterable[Marks]) -> bool:
    marks = (each.find(key) for each in everywhere)
    return all(mark is None or mark.state == "clear" for mark in marks)


def _delivered_elsewhere(marks: Marks, keys: Iterable[Key]) -> list[Key]:
    """Those that a running bridge delivers just now: this command holds no lease."""
    return [key for key in keys if marks.leased_until(key) is not None]


def _wait_for(marks: Marks, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until somebody else is done with what they deliver, or their leases have run out.

    Returns whether there was anything to wait for.
    """
    end = time.monotonic() + marks.lease_seconds
    keys = first = _delivered_elsewhere(marks, marks.in_state("pending"))
    while keys and time.monotonic() < end:
        sleep(LOOK_AGAIN)
        keys = _delivered_elsewhere(marks, keys)
    return bool(first)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on the terminal, if there is one to show it on."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    with ProgressBar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Identity Center", total=None)
        yield lambda now: bar.update(task, completed=now.done, total=now.total)


def _problems(bridge: Bridge) -> list[Waiting]:
    rows = [
        row
        for one in bridge.targets
        for row in waiting(bridge.database, one.name, limit=MOST_PROBLEMS)
    ]
    return [row for row in rows if row.state in ("pending", "failed")]


def _as_dict(bridge: Bridge, result: Result) -> dict[str, Any]:
    states = result.after.states
    return {
        "delivered": result.delivered,
        "pending": states.get("pending", 0),
        "failed": states.get("failed", 0),
        "held": states.get("held", 0),
        "suppressed": states.get("suppressed", 0),
        "retried": result.retried,
        "approved": _losers(bridge, result.approved),
        "dropped_out": called(user_names(bridge.database, result.dropped), result.dropped),
        "rejected": _losers(bridge, result.rejected.given_back),
        "not_given_back": [
            {
                "category": category,
                "group": group or None,
                "people": _losers(bridge, losses),
                "why": why,
            }
            for (category, group, why), losses in _alike(bridge, result.rejected.left).items()
        ],
        "nested_again": [
            {"group": outer, "inner": inner, "people": people}
            for outer, inner, people in _nestings(bridge, result.rejected.nested_again)
        ],
        "problems": [
            {
                "kind": one.key.kind,
                "id": one.key.id,
                "name": one.name,
                "state": one.state,
                "last_error": one.last_error,
            }
            for one in result.problems
        ],
    }


def _print(bridge: Bridge, result: Result) -> None:
    if result.approved:
        click.echo(f"Approved: {_whom(bridge, result.approved)}")
    if result.dropped:
        names = called(user_names(bridge.database, result.dropped), result.dropped)
        click.echo(f"No longer in it, since their loss was taken back: {listed(names)}")
    _print_rejected(bridge, result.rejected)
    if result.retried is not None:
        click.echo(f"Tried again: {result.retried}.")
    click.echo(_summary(result))
    if result.problems:
        print_table(
            ("what", "state", "why"),
            [
                (
                    f"{one.key.kind} {printable(one.name) or one.key.id}"
                    f"{', assignments' if one.is_access else ''}",
                    one.state,
                    printable(one.last_error or "-"),
                )
                for one in result.problems
            ],
        )


def _print_rejected(bridge: Bridge, rejected: Rejection) -> None:
    if rejected.given_back:
        click.echo(f"Rejected: {_whom(bridge, rejected.given_back, keeping=True)}")
    for outer, inner, count in _nestings(bridge, rejected.nested_again):
        click.echo(f"Group {inner} is in group {outer} again, with all who are in it: {count}.")
    for (category, group, why), losses in _alike(bridge, rejected.left).items():
        what = f"in {group}" if category == "removal" else _AT_STAKE[category]
        names = _losers(bridge, losses)
        print_wrapped(
            f"Not given back, and still held, {what}: {listed(names)}. Why: {printable(why)}."
        )


def _alike(
    bridge: Bridge, left: Iterable[Left]
) -> Mapping[tuple[Category, str, str], Sequence[Loss]]:
    """The losses that are still held, by category, group and reason."""
    left = list(left)
    names = group_names(bridge.database, {one.loss.group for one in left})
    found: dict[tuple[Category, str, str], list[Loss]] = {}
    for one in left:
        group = names.get(one.loss.group, one.loss.group)
        found.setdefault((one.loss.category, group, one.why), []).append(one.loss)
    return found


def _nestings(bridge: Bridge, again: Iterable[NestedAgain]) -> list[tuple[str, str, int]]:
    """Which groups are in which again, by name, with how many people."""
    again = list(again)
    ids = {id_ for one in again for id_ in (one.nesting.outer, one.nesting.inner)}
    names = group_names(bridge.database, ids)
    return [(names[one.nesting.outer], names[one.nesting.inner], one.people) for one in again]


def _summary(result: Result) -> str:
    states = {state: count for state, count in sorted(result.after.states.items()) if count}
    left = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"Delivered: {result.delivered}. Left: {left or 'nothing'}."


def _whom(bridge: Bridge, losses: Sequence[Loss], *, keeping: bool = False) -> str:
    """Who loses, or keeps, what."""
    names = _losers(bridge, losses)
    stay = "stays" if len(names) == 1 else "stay"
    if losses[0].category == "disable":
        what = f"{stay} enabled" if keeping else "to be disabled"
    elif losses[0].category == "assignment":
        what = "keep their assignments" if keeping else "to lose assignments"
    else:
        groups = {loss.group for loss in losses}
        where = listed(called(group_names(bridge.database, groups), groups))
        what = f"{stay} in {where}" if keeping else f"to be taken out of {where}"
    return f"{people(len(names))} {what}: {listed(names)}"


def _losers(bridge: Bridge, losses: Sequence[Loss]) -> list[str]:
    persons = {loss.person for loss in losses}
    return called(user_names(bridge.database, persons), persons)
