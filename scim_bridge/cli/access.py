"""`access`: what does somebody hold, through what, from whom and since when?"""

import csv
import sys
import time
from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy import select

from scim_bridge.cli.invocation import Invocation, advise, audited, pass_invocation
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import day, harmless, json_option, print_json, print_table, when
from scim_bridge.cli.parameters import PointInTime
from scim_bridge.directory.database import Database
from scim_bridge.directory.erasure import records_of
from scim_bridge.directory.tables import permission_sets
from scim_bridge.errors import OperatorError
from scim_bridge.sync import TARGET
from scim_bridge.sync.cuts import sessions_until
from scim_bridge.sync.holdings import Holding, holdings

_COLUMNS = (
    "user",
    "account",
    "permission set",
    "application",
    "through group",
    "given by",
    "member by",
    "since",
)
# What is still there though it is to be taken away, and why it is.
_LOSS = "loss"


class _Shown(click.Group):
    """A group whose first command need not be named: `access jane` is `access show jane`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else ["show", *args])


@click.group(cls=_Shown)
def command() -> None:
    """Show what people hold, and give back what a mistake took away.

    \b
    Examples:
      scim-bridge access jane@example.com
      scim-bridge access jane@example.com --at 2027-05-01T08:00
      scim-bridge access --account 111122223333
      scim-bridge access --csv > review.csv
    """


@command.command()
@click.argument("user", required=False)
@click.option("--at", type=PointInTime(), help="At that moment: 2027-05-01T08:30, or 2h, 7d ago.")
@click.option("--account", metavar="ID", help="Only what reaches this account.")
@click.option("--policies", is_flag=True, help="List what each permission set allows.")
@click.option("--csv", "as_csv", is_flag=True, help="Print an access review, one row a holding.")
@json_option
@pass_invocation
def show(
    invocation: Invocation,
    *,
    user: str | None,
    at: float | None,
    account: str | None,
    policies: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """What USER (a userName) holds, or everybody: through which group, from whom, since when.

    What the directory gives, and for now what Identity Center was last seen to hold beside it: what
    was given by hand, also to people whom the directory does not know, and what is to be taken away
    and is still there: its loss is held by the brake, pending or failed.
    Where an operator gave a membership back by rejecting its loss, since is the time of that.
    Of the past, what was given by hand is known only if a deactivation took it away.

    \b
    Example:
      scim-bridge access show jane@example.com --at 2027-05-01T08:00
    """
    if at is not None and at > time.time():
        raise click.BadParameter("the moment has yet to come", param_hint="--at")
    with invocation.database() as database:
        person = None if user is None else person_named(database, user)
        found = holdings(database, at=at, person=person, account=account)
        allowed = _policies(database) if policies else {}
        until = None if person is None or at is not None else sessions_until(database, person)
    if as_json:
        shown = [_as_dict(one) for one in found]
        print_json({"holdings": shown, "policies": allowed, "sessionsMayLiveUntil": when(until)})
    elif as_csv:
        _print_csv(found, allowed)
    else:
        _print(found, allowed, user=user)
        if until is not None:
            click.echo(f"Sessions that were begun before may live until {day(until)}.")


@command.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Give all of it back. Without it, it is only listed.")
@json_option
@audited()
@pass_invocation
@click.pass_context
def restore(
    context: click.Context, invocation: Invocation, *, user: str, yes: bool, as_json: bool
) -> None:
    """Give USER (a userName) back what a mistaken deactivation took away.

    What the directory gives comes back by itself with the reactivation. This is about the rest:
    memberships and assignments that somebody gave by hand at Identity Center. What is given back is
    from then on given by the directory, in your name.

    \b
    Example:
      scim-bridge access restore jane@example.com --yes --reason "wrong person, ticket 4711"
    """
    # Nobody who only looks waits for the libraries of the delivery.
    from scim_bridge.cli.assembled import assembled
    from scim_bridge.cli.people import deliver, report
    from scim_bridge.sync.restoration import Restoration

    with assembled(invocation.settings()) as bridge:
        person = person_named(bridge.database, user)
        restoration = Restoration(bridge.database, TARGET, bridge.resources, bridge.observations)
        lost = restoration.lost(person)
        given, left = restoration.give_back(person) if yes else ((), lost)
        if as_json:
            print_json({"restored": _lost_as_dicts(given), "left": _lost_as_dicts(left)})
        else:
            _print_lost(given, left, user=user, yes=yes)
        if given:
            report(context, deliver(bridge, person))
        if yes and left:
            context.exit(1)


def _print_lost(given: Sequence[Any], left: Sequence[Any], *, user: str, yes: bool) -> None:
    if not given and not left:
        click.echo("Nothing was taken away that nobody gave through the bridge.")
    for one in given:
        click.echo(f"Given back: {_lost(one)}")
    for one in left:
        why = (
            " - the directory does not have the group: put them in at Identity Center"
            if yes
            else ""
        )
        click.echo(f"Taken on {day(one.at)}: {_lost(one)}{why}")
    if left and not yes:
        click.echo(advise(f"Give it back: scim-bridge access restore {printable(user)} --yes"))


def _lost_as_dicts(lost: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "group": one.group or None,
            **(vars(one.grant) if one.grant else {}),
            "taken": when(one.at),
        }
        for one in lost
    ]


def _lost(one: Any) -> str:
    if one.group:
        return f"membership of group {one.group}"
    grant = vars(one.grant)
    return grant.get("application") or f"{grant['permission_set']} in account {grant['account']}"


def person_named(database: Database, user_name: str) -> str:
    """The newest record of a userName. Raises `OperatorError` when there never was one."""
    records = records_of(database, user_name)
    if not records:
        raise OperatorError(f"the directory has no user {user_name!r}, and had none")
    return records[-1]


def _policies(database: Database) -> dict[str, Any]:
    """What each permission set allows, by name, as the last extraction saw it."""
    with database.reading() as connection:
        rows = connection.execute(
            select(permission_sets)
            .where(permission_sets.c.target == TARGET)
            .order_by(permission_sets.c.name)
        )
        return {
            row.name: {
                "description": row.description,
                "session_seconds": row.session_seconds,
                **row.policies,
            }
            for row in rows
        }


def _print(found: Sequence[Holding], allowed: dict[str, Any], *, user: str | None) -> None:
    if not found:
        click.echo(f"{printable(user)} holds nothing." if user else "Nobody holds anything.")
    else:
        _print_holdings(found)
    for name in sorted({one.permission_set for one in found} & allowed.keys()):
        click.echo(f"\n{printable(name)} allows: {_in_words(allowed[name])}")


def _print_holdings(found: Sequence[Holding]) -> None:
    if any(one.loss for one in found):
        print_table((*_COLUMNS, _LOSS), [(*_row(one), _loss(one) or "-") for one in found])
    else:
        print_table(_COLUMNS, [_row(one) for one in found])


def _print_csv(found: Sequence[Holding], allowed: dict[str, Any]) -> None:
    sheet = csv.writer(sys.stdout)
    sheet.writerow([*_COLUMNS, _LOSS, *(["allows"] if allowed else [])])
    for one in found:
        policies = allowed.get(one.permission_set)
        more = [_in_words(policies) if policies else ""] if allowed else []
        sheet.writerow([harmless(cell) for cell in (*_row(one), _loss(one) or "-", *more)])


def _row(one: Holding) -> tuple[str, ...]:
    return (
        printable(one.user_name),
        one.account or "-",
        printable(one.permission_set) or "-",
        printable(one.application) or "-",
        _group(one),
        printable(one.origin) or "-",
        _member_by(one),
        day(one.since, never="not known"),
    )


def _member_by(one: Holding) -> str:
    back = f", given back by {printable(one.given_back_by)}" if one.given_back_by else ""
    return f"{printable(one.member_by) or '-'}{back}"


def _group(one: Holding) -> str:
    through = f" (through {printable(one.through)})" if one.through else ""
    return f"{printable(one.group)}{through}" if one.group else "directly"


def _loss(one: Holding) -> str:
    if one.loss is None:
        return ""
    return "loss " + (f"held in set {one.loss.held_in}" if one.loss.held_in else one.loss.state)


def _in_words(policies: dict[str, Any]) -> str:
    names = [*policies.get("managed", ()), *policies.get("customer_managed", ())]
    if policies.get("inline"):
        names.append("an inline policy")
    return ", ".join(printable(name) for name in names) or "nothing"


def _as_dict(one: Holding) -> dict[str, Any]:
    return {
        "person": one.person,
        "userName": one.user_name,
        "account": one.account or None,
        "permissionSet": one.permission_set or None,
        "permissionSetArn": one.permission_set_arn or None,
        "application": one.application or None,
        "group": one.group or None,
        "through": one.through or None,
        "origin": one.origin or None,
        "memberBy": one.member_by or None,
        "givenBackBy": one.given_back_by or None,
        "since": when(one.since),
        "loss": one.loss.state if one.loss else None,
        "heldIn": (one.loss.held_in if one.loss else "") or None,
    }
