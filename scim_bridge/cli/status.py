"""`status`: has everything reached Identity Center, and if not, what is in the way?"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from scim_bridge.cli import connectors, reading
from scim_bridge.cli.invocation import Invocation, advise, opened, pass_invocation
from scim_bridge.cli.names import called, listed, people, printable, user_names
from scim_bridge.cli.output import json_option, lasting, print_json, print_wrapped
from scim_bridge.directory.database import Database
from scim_bridge.directory.rulebook import FileStanding, Rulebook
from scim_bridge.directory.trail import Warned, warned
from scim_bridge.identity_center.store_center import LIMITS
from scim_bridge.settings import Safety, Settings
from scim_bridge.sync import TARGET
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.overview import HeldSet, Overview, Waiting, overview, waiting
from scim_bridge.sync.pause import Pause

# How often --wait looks again, in seconds.
LOOK_AGAIN = 0.2
# How far back what clients were warned about is told, in hours.
LATELY = 24

_LOSS = {
    "disable": "would be disabled",
    "removal": "would be taken out of groups",
    "assignment": "would lose assignments",
}


@click.command()
@json_option
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="List at most so many of those that wait.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait until nothing is pending; exit code 1 if something still is after so long.",
)
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    as_json: bool,
    limit: int,
    wait: float | None,
) -> None:
    """Show what has yet to reach Identity Center, and why.

    \b
    pending     on its way; the bridge goes on trying
    failed      refused by Identity Center; tried again on the next change and by sync --retry
    held        stopped by the brake until an operator decides
    suppressed  switched off by [users] create or update

    \b
    Example, in a script:
      scim-bridge status --wait 30 --json
    """
    settings = invocation.settings()
    is_limited = settings.identity_center.write_via == "identity-store"
    with opened(settings) as database:
        names = (TARGET, *settings.targets, *connectors.systems(settings))
        present = _awaited(
            lambda: {name: overview(database, name) for name in names}, seconds=wait or 0.0
        )
        first, *others = (
            _present(database, settings, name, now, limit) for name, now in present.items()
        )
        connected = connectors.standings(database, settings)
        rules = _rule_file(database, settings)
        lately = warned(database, since=time.time() - LATELY * 3600)
    if as_json:
        print_json(
            {
                **as_dict(first),
                "targets": {one.target: as_dict(one) for one in others},
                "connectors": connected,
                "warned": [asdict(one) for one in lately],
                "limits": LIMITS if is_limited else None,
                "rules": {"file": rules.state, "problems": list(rules.problems)},
            }
        )
    else:
        _print(first)
        for one in others:
            click.echo(f"\nAt {one.target}:")
            _print(one)
        for line in _rules(rules):
            print_wrapped(line)
        for line in connectors.lines(connected):
            print_wrapped(line)
        for warning in lately:
            print_wrapped(_warned(warning))
        if is_limited:
            print_wrapped(f"Written through the Identity Store API: {LIMITS}.")
    context.exit(1 if wait is not None and any(map(_is_pending, present.values())) else 0)


@dataclass(frozen=True, kw_only=True)
class Present:
    """How things stand at one target, as it is shown."""

    target: str
    now: Overview
    # Whom each held set is about, and how many of them cannot be given back what they lose.
    whom: Mapping[str, list[str]]
    stuck: Mapping[str, int]
    rows: Sequence[Waiting]
    known: reading.Knowledge


def _present(
    database: Database, settings: Settings, target: str, now: Overview, limit: int
) -> Present:
    return Present(
        target=target,
        now=now,
        whom=_held_people(database, target, settings.safety, now.held_sets),
        stuck=_not_rejectable(database, target, settings, now.held_sets),
        rows=waiting(database, target, limit=limit),
        known=reading.knowledge(database, settings, target),
    )


def _is_pending(now: Overview) -> bool:
    return bool(now.states.get("pending"))


def _rule_file(database: Database, settings: Settings) -> FileStanding:
    """How the file of rules stands to what is in force."""
    if settings.lifecycle.rules is None:
        return FileStanding(state="none")
    # A status without rules does not wait for the libraries of SCIM.
    from scim_bridge.lifecycle.rule_file import RuleFiles
    from scim_bridge.scim.provider import FullUser

    rulebook = Rulebook(database, RuleFiles(FullUser, settings.safety))
    return rulebook.standing(settings.lifecycle.rules)


def _rules(file: FileStanding) -> Iterator[str]:
    match file.state:
        case "changed":
            yield advise(
                "! The file of rules is not what is in force. See what it changes: "
                "scim-bridge rules diff"
            )
        case "broken" | "missing":
            yield "! The file of rules cannot be used; what was applied before stays in force."
            yield from (printable(problem) for problem in file.problems)
        case _:
            return


def _awaited(
    look: Callable[[], Mapping[str, Overview]],
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, Overview]:
    """How things stand at each target once nothing is pending, or the time is over."""
    end = clock() + seconds
    now = look()
    while any(map(_is_pending, now.values())) and clock() < end:
        sleep(LOOK_AGAIN)
        now = look()
    return now


def _held_people(
    database: Database, target: str, safety: Safety, sets: Sequence[HeldSet]
) -> dict[str, list[str]]:
    """Whom each held set is about, by name."""
    losses = HeldLosses(database, target, safety)
    with database.reading():
        held = {one.id: {loss.person for loss in losses.losses(set_id=one.id)} for one in sets}
    names = user_names(database, set().union(*held.values()))
    return {set_id: called(names, persons) for set_id, persons in held.items()}


def _not_rejectable(
    database: Database, target: str, settings: Settings, sets: Sequence[HeldSet]
) -> dict[str, int]:
    """How many people of each held set cannot be given back what they lose, by the settings."""
    if settings.groups.nested != "skip":
        return {}
    losses = HeldLosses(database, target, settings.safety)
    with database.reading():
        return {one.id: losses.through_groups_alone(one.id) for one in sets}


def as_dict(present: Present) -> dict[str, Any]:
    """How things stand at a target, as `status --json` prints it. Ages are in seconds."""
    now, door = present.now, present.now.door
    return {
        "pending": now.states.get("pending", 0),
        "failed": now.states.get("failed", 0),
        "held": now.states.get("held", 0),
        "suppressed": now.states.get("suppressed", 0),
        "oldest_pending_seconds": _rounded(now.oldest_pending),
        "overdue_revocations": now.overdue,
        "circuit": door.circuit if door else "closed",
        "cause": door.cause if door else None,
        "access_circuit": now.access_door.circuit if now.access_door else "closed",
        "access_cause": now.access_door.cause if now.access_door else None,
        "denied": list(now.denied),
        "last_error": now.last_error,
        "paused": _pause_as_dict(now.pause),
        "held_sets": [
            _set_as_dict(one, present.whom[one.id], present.stuck.get(one.id, 0))
            for one in now.held_sets
        ],
        "waiting": [_waiting_as_dict(one) for one in present.rows],
        **reading.as_dict(present.known),
    }


def _pause_as_dict(pause: Pause | None) -> dict[str, Any] | None:
    if pause is None:
        return None
    return {
        "by": pause.operator,
        "reason": pause.reason,
        "age_seconds": _rounded(pause.age),
    }


def _set_as_dict(one: HeldSet, names: Sequence[str], stuck: int) -> dict[str, Any]:
    return {
        "id": one.id,
        "category": one.category,
        "people": one.people,
        "names": names,
        "age_seconds": _rounded(one.age),
        "approve": advise(f"scim-bridge sync --approve {one.id}"),
        "reject": None if stuck == one.people else advise(f"scim-bridge sync --reject {one.id}"),
        "cannot_be_given_back": stuck,
    }


def _waiting_as_dict(one: Waiting) -> dict[str, Any]:
    return {
        "kind": one.key.kind,
        "id": one.key.id,
        "name": one.name,
        "assignments": one.is_access,
        "state": one.state,
        "age_seconds": _rounded(one.age),
        "revoking": one.revoking,
        "attempts": one.attempts,
        "last_error": one.last_error,
    }


def _print(present: Present) -> None:
    now = present.now
    where = "Identity Center" if present.target == TARGET else present.target
    for line in (*_lines(now, where), *reading.lines(present.known, where)):
        print_wrapped(line)
    for one in now.held_sets:
        _print_held(one, present.whom[one.id], present.stuck.get(one.id, 0))
    if present.rows:
        click.echo()
        for row in present.rows:
            _print_row(row)
        if len(present.rows) < (total := sum(now.states.values())):
            click.echo(f"… and {total - len(present.rows)} more (--limit)")


def _lines(now: Overview, where: str) -> list[str]:
    lines = [_counts(now, where), _door(now, where), *_access_door(now)]
    if now.pause is not None:
        lines.append(
            f"! Delivery is paused for {lasting(now.pause.age)} by "
            f"{printable(now.pause.operator)}: {printable(now.pause.reason)}. "
            "Go on: scim-bridge resume"
        )
    if now.overdue:
        lines.append(
            f"! {now.overdue} revocations of access have not arrived for more than 5 minutes."
        )
    if now.last_error:
        lines.append(f"Last error: {printable(now.last_error)}")
    return lines


def _counts(now: Overview, where: str) -> str:
    if not any(now.states.values()):
        return f"Everything has reached {where}."
    counts = ", ".join(f"{count} {state}" for state, count in sorted(now.states.items()))
    if now.oldest_pending is None:
        return counts
    return f"{counts}; the oldest is pending for {lasting(now.oldest_pending)}"


def _door(now: Overview, where: str) -> str:
    if now.door is None or now.door.circuit == "closed":
        return f"Nothing is known to be in the way of calls to {where}."
    return (
        f"! Calls have not got through to {where} for {lasting(now.door.age)}: "
        f"{printable(now.door.cause or 'the cause is not known')}"
    )


def _access_door(now: Overview) -> Iterator[str]:
    """What is in the way of account and application assignments alone."""
    door = now.access_door
    if door is not None and door.circuit != "closed":
        yield (
            "! Calls for assignments (SSO Admin API) have not got through for "
            f"{lasting(door.age)}: {printable(door.cause or 'the cause is not known')}"
        )
    for action in now.denied:
        yield f"! IAM does not allow the bridge {action}, and assignments wait for it."


def _warned(one: Warned) -> str:
    """What a client sends in vain. Its tolerated deviations are in the metrics of `serve` alone."""
    nesting = f", {one.about_nesting} about groups in a group" if one.about_nesting else ""
    return advise(
        f"! Warnings in {LATELY} hours about what client {printable(one.client)} sent and was left "
        f"out: {one.warnings}{nesting}. See scim-bridge audit --since {LATELY}h"
    )


def _print_held(one: HeldSet, names: Sequence[str], stuck: int) -> None:
    click.echo()
    print_wrapped(
        f"Held by the brake for {lasting(one.age)}, set {one.id}: {people(one.people)} "
        f"{_LOSS[one.category]}: {listed(names)}"
    )
    # Not wrapped: they are pasted.
    click.echo(advise(f"  let it pass:  scim-bridge sync --approve {one.id}"))
    if stuck < one.people:
        click.echo(advise(f"  they stay:    scim-bridge sync --reject {one.id}"))
    if stuck:
        print_wrapped(
            f'{people(stuck)} can only stay with [groups] nested = "flatten", set first: they had '
            'a group through one in it, and "skip" lets no group be given back into another.',
            indent="  ",
        )


def _print_row(one: Waiting) -> None:
    what = f"{one.key.kind} {printable(one.name) or one.key.id}"
    print_wrapped(f"{what}{', assignments' if one.is_access else ''}: {_standing(one)}")
    if one.last_error:
        print_wrapped(printable(one.last_error), indent="    ")


def _standing(one: Waiting) -> str:
    tried = "once" if one.attempts == 1 else f"{one.attempts} times"
    parts = (
        f"{one.state} for {lasting(one.age)}",
        "takes access away" if one.revoking else "",
        f"tried {tried}" if one.attempts else "",
    )
    return ", ".join(filter(None, parts))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(seconds, 0.0), 1)
