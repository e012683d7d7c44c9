"""`report`: pages for an auditor. Who left, came and moved, and when was it so at the target?"""

import csv
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import day, harmless, json_option, print_json, when
from scim_bridge.cli.parameters import PointInTime
from scim_bridge.directory.erasure import records_of
from scim_bridge.errors import OperatorError
from scim_bridge.sync.movements import Movement, described, movements
from scim_bridge.sync.offboarding import Asked, Call, Ended, Offboarding, offboarding

_COLUMNS = ("who", "user", "what", "asked", "by", "request", "done", "AWS requests", "state")
_TITLES = {"joiner": "Joiners", "mover": "Movers", "leaver": "Leavers"}


@click.group()
def command() -> None:
    """Write reports for an auditor, from the record.

    \b
    Examples:
      scim-bridge report offboarding jane@example.com > jane.md
      scim-bridge report joiners-movers-leavers --since 30d --csv > november.csv
    """


@command.command("offboarding")
@click.argument("user")
@json_option
@pass_invocation
def show_offboarding(invocation: Invocation, *, user: str, as_json: bool) -> None:
    """One page on how USER (a userName) left: each access, when it was to go, when it was gone.

    In Markdown. What they had when they left, or lost in the day before; the calls that took it
    away with AWS's ids; and what Identity Center was last seen to hold all the same.

    \b
    Example:
      scim-bridge report offboarding jane@example.com
    """
    with invocation.database() as database:
        records = records_of(database, user)
        if not records:
            raise OperatorError(f"the directory has no user {user!r}, and had none")
        found = offboarding(database, records)
    if found is None:
        raise OperatorError(f"{user!r} never left: they were never deactivated or deleted")
    if as_json:
        print_json(_offboarding_as_dict(found))
    else:
        _print_offboarding(found)


@command.command("joiners-movers-leavers")
@click.option("--since", type=PointInTime(), required=True, help="2026-11-01, or 30d ago.")
@click.option("--until", type=PointInTime(), help="Not included; up to now without it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one row for each change.")
@json_option
@pass_invocation
def show_movements(
    invocation: Invocation, *, since: float, until: float | None, as_csv: bool, as_json: bool
) -> None:
    """Who came, who changed jobs and who left in a period, and when it reached Identity Center.

    In Markdown. Of leavers, each access as `report offboarding` tells it. What a group is
    entitled to is nobody's movement, and is not listed: scim-bridge audit has it.

    \b
    Example:
      scim-bridge report joiners-movers-leavers --since 2026-11-01 --until 2026-12-01
    """
    with invocation.database() as database:
        period = {"since": since} if until is None else {"since": since, "until": until}
        found = movements(database, **period)
    if as_json:
        print_json([_movement_as_dict(one) for one in found])
    elif as_csv:
        sheet = csv.writer(sys.stdout)
        sheet.writerow(_COLUMNS)
        sheet.writerows([harmless(cell) for cell in _cells(one)] for one in found)
    else:
        _print_movements(found, since=since, until=until)


# -- One person -------------------------------------------------------------


def _print_offboarding(found: Offboarding) -> None:
    click.echo(f"# Offboarding of {_text(found.user_name)}\n")
    for line in _summary(found):
        click.echo(f"- {line}")
    click.echo("\n## Access\n")
    _print_markdown(
        ("access", "given by", "to go since", "asked by", "gone", "AWS requests", "state"),
        [_access_row(one) for one in found.accesses],
        empty="They had no access.",
    )
    click.echo("\n## What is still there\n")
    for line in _leftovers(found):
        click.echo(f"- {line}")


def _summary(found: Offboarding) -> Iterable[str]:
    yield f"Left: {day(found.left.at)}, asked by {_asked_by(found.left)}"
    if found.deleted_at is not None:
        yield f"Record deleted: {day(found.deleted_at)}"
    yield f"Disabled at Identity Center: {_called(found.disabled, never='no call disabled them')}"
    if found.returned is not None:
        yield f"Came back: {day(found.returned.at)}, asked by {_asked_by(found.returned)}"
    if found.sessions_until is not None:
        yield f"Sessions that were begun before may live until {day(found.sessions_until)}"
    yield f"All gone: {day(found.gone_at, never='no, or not recorded')}"
    yield f"Id in the directory: {found.person}"


def _leftovers(found: Offboarding) -> Iterable[str]:
    if found.returned is None and found.enabled_there:
        yield "**The person is still enabled at Identity Center.**"
    for one in found.still_there:
        yield f"**{_text(described(one.access))}**: {_state(one)}"
    unknown = sum(one.state == "unknown" for one in found.accesses)
    if unknown:
        yield (
            f"{unknown} of the accesses above were taken by no recorded call. They are not seen at "
            "Identity Center: they never arrived there, or somebody else took them away."
        )
    if found.returned is not None:
        yield "The person came back: what they hold now is told by `scim-bridge access`."
    elif found.is_complete:
        yield "Nothing, as far as Identity Center was last seen."


def _access_row(one: Ended) -> Sequence[str]:
    return (
        described(one.access),
        one.access.origin or one.access.member_by or "-",
        day(one.asked.at) if one.asked else "-",
        one.asked.by if one.asked else "-",
        day(one.call.at) if one.call else "-",
        " ".join(one.call.request_ids) if one.call else "-",
        _state(one),
    )


def _state(one: Ended) -> str:
    if one.loss is None:
        return one.state
    held = f" in set {one.loss.held_in}" if one.loss.held_in else ""
    return f"{one.state}, its loss is {one.loss.state}{held}"


def _asked_by(asked: Asked) -> str:
    request = f" in request {asked.request_id}" if asked.request_id else ""
    return f"{_text(asked.by)}{request}"


def _called(call: Call | None, *, never: str) -> str:
    if call is None:
        return never
    ids = ", ".join(call.request_ids)
    return f"{day(call.at)} (AWS request {ids})" if ids else day(call.at)


def _offboarding_as_dict(found: Offboarding) -> dict[str, Any]:
    return {
        "person": found.person,
        "userName": found.user_name,
        "left": _asked_as_dict(found.left),
        "deleted": when(found.deleted_at),
        "disabled": _call_as_dict(found.disabled),
        "enabledAtIdentityCenter": found.enabled_there,
        "sessionsMayLiveUntil": when(found.sessions_until),
        "returned": _asked_as_dict(found.returned),
        "allGone": when(found.gone_at),
        "isComplete": found.is_complete,
        "accesses": [
            {
                "access": described(one.access),
                "group": one.access.group or None,
                "account": one.access.account or None,
                "permissionSet": one.access.permission_set or None,
                "application": one.access.application or None,
                "origin": one.access.origin or None,
                "memberBy": one.access.member_by or None,
                "asked": _asked_as_dict(one.asked),
                "gone": _call_as_dict(one.call),
                "state": one.state,
                "loss": one.loss.state if one.loss else None,
                "heldIn": (one.loss.held_in if one.loss else "") or None,
            }
            for one in found.accesses
        ],
    }


# -- A period ---------------------------------------------------------------


def _print_movements(found: Sequence[Movement], *, since: float, until: float | None) -> None:
    end = day(until, never="now")
    click.echo(f"# Joiners, movers and leavers from {day(since)} to {end}")
    for who, title in _TITLES.items():
        some = [one for one in found if one.who == who]
        people = len({one.person for one in some})
        click.echo(f"\n## {title}: {people}\n")
        _print_markdown(_COLUMNS[1:], [_cells(one)[1:] for one in some], empty="Nobody.")


def _cells(one: Movement) -> Sequence[str]:
    return (
        one.who,
        one.user_name,
        one.what,
        day(one.asked.at) if one.asked else "-",
        one.asked.by if one.asked else "-",
        (one.asked.request_id if one.asked else None) or "-",
        day(one.call.at) if one.call else "-",
        " ".join(one.call.request_ids) if one.call else "-",
        one.state,
    )


def _movement_as_dict(one: Movement) -> dict[str, Any]:
    return {
        "who": one.who,
        "person": one.person,
        "userName": one.user_name,
        "what": one.what,
        "asked": _asked_as_dict(one.asked),
        "done": _call_as_dict(one.call),
        "state": one.state,
    }


# -- Both -------------------------------------------------------------------


def _asked_as_dict(asked: Asked | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    return {"at": when(asked.at), "by": asked.by, "request": asked.request_id}


def _call_as_dict(call: Call | None) -> dict[str, Any] | None:
    return None if call is None else {"at": when(call.at), "awsRequests": list(call.request_ids)}


def _print_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    if not rows:
        click.echo(empty)
        return
    click.echo(f"| {' | '.join(columns)} |")
    click.echo(f"|{' --- |' * len(columns)}")
    for row in rows:
        click.echo(f"| {' | '.join(map(_text, row))} |")


def _text(text: str) -> str:
    """Clients choose names: none is taken for a column, a link or HTML."""
    safe = printable(text)
    for letter in "\\|`*_[]<>#":
        safe = safe.replace(letter, f"\\{letter}")
    return safe
