"""`report`: a page for the auditor."""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from scim_bridge.cli.access import harmless, person_named
from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.names import group_names, printable, user_names
from scim_bridge.cli.output import day, json_option, print_json, when
from scim_bridge.cli.parameters import PointInTime
from scim_bridge.directory.trail import trail
from scim_bridge.sync.holdings import Holding
from scim_bridge.sync.movements import Movement, movements
from scim_bridge.sync.offboarding import Gone, Loss, Offboarding
from scim_bridge.sync.offboarding import offboarding as offboarded


@click.group()
def command() -> None:
    """Write a page for the auditor.

    \b
    Example:
      scim-bridge report offboarding jane@example.com
      scim-bridge report joiners-movers-leavers --since 30d --csv
    """


@command.command()
@click.argument("user")
@json_option
@pass_invocation
def offboarding(invocation: Invocation, *, user: str, as_json: bool) -> None:
    """Say how USER (a userName) left: each access they had, when it was asked to go and was gone.

    A page in Markdown, with the ids of the requests.

    \b
    Example:
      scim-bridge report offboarding jane@example.com > jane.md
    """
    with invocation.database() as database:
        found = offboarded(database, person_named(database, user))
    if as_json:
        print_json(_as_dict(found))
    else:
        for line in _page(found):
            click.echo(line)


@command.command("joiners-movers-leavers")
@click.option(
    "--since", type=PointInTime(), required=True, help="From then on: 2026-11-24, or 30d."
)
@click.option("--until", type=PointInTime(), help="Up to then, not included; otherwise now.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a sheet.")
@json_option
@pass_invocation
def joiners_movers_leavers(
    invocation: Invocation, *, since: float, until: float | None, as_csv: bool, as_json: bool
) -> None:
    """Say who joined, moved and left, by whom, and what they gained and lost by it.

    \b
    Example:
      scim-bridge report joiners-movers-leavers --since 30d --csv > november.csv
    """
    with invocation.database() as database:
        found = list(movements(trail(database, since=since, until=until)))
        names = user_names(database, {one.person for one in found})
        named = {what for one in found for what in (*one.gained, *one.lost)}
        rows = [_movement(one, names, group_names(database, named)) for one in found]
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows)
    else:
        for line in _table(rows):
            click.echo(line)


_COLUMNS = ("when", "event", "user", "by", "request", "rules", "gained", "lost")


def _movement(one: Movement, names: Mapping[str, str], groups: Mapping[str, str]) -> dict[str, Any]:
    return {
        "when": when(one.at),
        "event": one.event,
        "user": names.get(one.person, one.person),
        "by": one.by,
        "request": one.request_id,
        "rules": sorted(one.rules),
        "gained": sorted(groups.get(what, what) for what in one.gained),
        "lost": sorted(groups.get(what, what) for what in one.lost),
    }


def _plain(value: Any) -> str:
    """A value as a cell has it."""
    if isinstance(value, list):
        return "; ".join(map(printable, value))
    return "" if value is None else printable(str(value))


def _print_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    sheet = csv.writer(sys.stdout)
    sheet.writerow(_COLUMNS)
    for row in rows:
        sheet.writerow([harmless(_plain(row[name])) for name in _COLUMNS])


def _table(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield f"|{' --- |' * len(_COLUMNS)}"
    for row in rows:
        yield f"| {' | '.join(_cell(_plain(row[name])) for name in _COLUMNS)} |"


def _page(found: Offboarding) -> Iterator[str]:
    yield f"# Offboarding of {_cell(found.user_name)}"
    yield ""
    yield f"- Left: {found.how} on {day(found.at)} by {_cell(found.by)}, {_asked(found)}"
    yield f"- Disabled at Identity Center: {_gone(found.disabled)}"
    if found.is_back:
        yield "- They are active again."
    yield ""
    if not found.losses:
        yield "They held no access."
        return
    yield "| access | through | given by | since | asked to go | gone |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in found.losses:
        held = one.held
        cells = (
            _what(held),
            held.group or "directly",
            held.member_by or held.origin,
            day(held.since),
            day(found.at),
            _gone(one.gone),
        )
        yield f"| {' | '.join(map(_cell, cells))} |"


def _asked(found: Offboarding) -> str:
    return f"request {found.request_id}" if found.request_id else "without a request"


def _gone(gone: Gone | None) -> str:
    if gone is None:
        return "not confirmed"
    request = f", request {gone.request_id}" if gone.request_id else ""
    return f"{day(gone.at.timestamp())}{request}"


def _what(held: Holding) -> str:
    if held.application:
        return f"application {held.application}"
    if held.account:
        return f"{held.permission_set} in account {held.account}"
    return f"group {held.group}"


def _cell(text: str) -> str:
    """Clients choose names: none ends a cell of the table."""
    return printable(text).replace("|", "\\|")


def _as_dict(found: Offboarding) -> dict[str, Any]:
    return {
        "user": found.user_name,
        "how": found.how,
        "left": when(found.at),
        "by": found.by,
        "request": found.request_id,
        "disabled": _gone_as_dict(found.disabled),
        "is_back": found.is_back,
        "access": [_loss_as_dict(one, found) for one in found.losses],
    }


def _loss_as_dict(one: Loss, found: Offboarding) -> dict[str, Any]:
    held = one.held
    return {
        "account": held.account or None,
        "permission_set": held.permission_set or None,
        "application": held.application or None,
        "group": held.group or None,
        "given_by": held.origin or None,
        "member_by": held.member_by or None,
        "since": when(held.since),
        "asked": when(found.at),
        "gone": _gone_as_dict(one.gone),
    }


def _gone_as_dict(gone: Gone | None) -> dict[str, Any] | None:
    if gone is None:
        return None
    return {"at": when(gone.at.timestamp()), "request": gone.request_id}
