"""`client`: who may call the SCIM endpoint?"""

import time
from collections.abc import Sequence

import click

from scim_bridge.cli.invocation import Invocation, advise, audited, pass_invocation
from scim_bridge.cli.output import day, json_option, print_json, print_table, when
from scim_bridge.cli.parameters import Period
from scim_bridge.scim import credentials
from scim_bridge.scim.credentials import IssuedToken, Registration, TokenRecord
from scim_bridge.scim.dialect import DIALECTS, DialectName

DAYS = click.FloatRange(min=0, min_open=True, max=36500)


@click.group()
def command() -> None:
    """Manage the clients of the SCIM endpoint and their tokens.

    A client is an identity provider or HR system. Its token is shown once, when it is made; the
    bridge keeps only a digest of it.

    \b
    Example:
      scim-bridge client add okta --expires 365
    """


@command.command()
@click.argument("name")
@click.option("--read-only", is_flag=True, help="The client may read, and change nothing.")
@click.option(
    "--entitlements",
    is_flag=True,
    help="The client may say which permission sets and applications users and groups get.",
)
@click.option(
    "--dialect",
    type=click.Choice(tuple(DIALECTS)),
    default="tolerant",
    show_default=True,
    help="Whether known deviations from the SCIM standard are understood, or refused.",
)
@click.option("--expires", type=DAYS, metavar="DAYS", help="End the token after so many days.")
@json_option
@audited()
@pass_invocation
def add(
    invocation: Invocation,
    name: str,
    *,
    read_only: bool,
    entitlements: bool,
    dialect: DialectName,
    expires: float | None,
    as_json: bool,
) -> None:
    """Register the client NAME and print its token.

    The token is printed this once: put it where the client keeps its secrets.

    \b
    Example:
      scim-bridge client add reporting --read-only --expires 90
    """
    if read_only and entitlements:
        raise click.UsageError("--read-only and --entitlements exclude each other")
    with invocation.database(create=True) as database:
        issued = credentials.add(
            database,
            name,
            read_only=read_only,
            entitlements=entitlements,
            dialect=dialect,
            expires_days=expires,
        )
    _print_issued(issued, as_json=as_json)


@command.command()
@click.argument("name")
@click.option(
    "--overlap",
    type=Period(),
    default=credentials.OVERLAP,
    show_default="1d",
    help="How long the earlier token still works: 30m, 12h, 7d, or 0 to end it now.",
)
@click.option(
    "--expires",
    type=DAYS,
    metavar="DAYS",
    help="End the new token after so many days. Otherwise it lives as long as the one before.",
)
@json_option
@audited()
@pass_invocation
def rotate(
    invocation: Invocation, name: str, *, overlap: float, expires: float | None, as_json: bool
) -> None:
    """Give the client NAME a new token and end the earlier one after an overlap.

    For a token that got into wrong hands, use --overlap 0.

    \b
    Example:
      scim-bridge client rotate okta --overlap 7d --reason "yearly rotation"
    """
    with invocation.database() as database:
        issued = credentials.rotate(database, name, overlap=overlap, expires_days=expires)
    _print_issued(issued, as_json=as_json)


@command.command()
@click.argument("name")
@audited()
@pass_invocation
def revoke(invocation: Invocation, name: str) -> None:
    """End the client NAME and all its tokens at once.

    People and groups that it pushed stay as they are.

    \b
    Example:
      scim-bridge client revoke okta --reason "moved to Entra ID"
    """
    with invocation.database() as database:
        credentials.revoke(database, name)
    click.echo(f"Client {name} is revoked: its tokens are refused from now on.")


@command.command(name="list")
@click.option("--revoked", is_flag=True, help="Show those that were revoked, too; --json has all.")
@json_option
@pass_invocation
def list_(invocation: Invocation, *, revoked: bool, as_json: bool) -> None:
    """List the clients, their tokens' ends and when they were last used.

    \b
    Example:
      scim-bridge client list --json
    """
    with invocation.database() as database:
        found = credentials.registrations(database)
    if as_json:
        print_json([_client(one) for one in found])
        return
    shown = [one for one in found if revoked or one.revoked is None]
    if shown:
        _print_clients(shown)
    else:
        click.echo(advise("There is no client. Make one: scim-bridge client add NAME"))
    if hidden := len(found) - len(shown):
        click.echo(advise(f"{hidden} revoked: see scim-bridge client list --revoked"), err=True)


def _print_issued(issued: IssuedToken, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "name": issued.name,
                "token": issued.token,
                "read_only": issued.read_only,
                "entitlements": issued.entitlements,
                "dialect": issued.dialect,
                "created": when(issued.created),
                "expires": when(issued.expires),
            }
        )
        return
    # The token alone on stdout, so that it can be piped to where it belongs.
    scope = _scope(issued)
    ends = "does not end" if issued.expires is None else f"ends {day(issued.expires)}"
    click.echo(f"The token of client {issued.name} ({scope}, {ends}), shown only now:", err=True)
    click.echo(issued.token)


def _client(client: Registration) -> dict[str, object]:
    return {
        "name": client.name,
        "read_only": client.read_only,
        "entitlements": client.entitlements,
        "dialect": client.dialect,
        "created": when(client.created),
        "revoked": when(client.revoked),
        "tokens": [
            {
                "created": when(token.created),
                "expires": when(token.expires),
                "last_used": when(token.last_used),
            }
            for token in client.tokens
        ],
    }


def _print_clients(found: Sequence[Registration]) -> None:
    rows = [
        (client.name, _scope(client), client.dialect, *_token(client, token))
        for client in found
        for token in client.tokens
    ]
    print_table(("client", "scope", "dialect", "token", "made", "ends", "last used"), rows)


def _scope(client: IssuedToken | Registration) -> str:
    if client.read_only:
        return "read only"
    return "read, write and entitlements" if client.entitlements else "read and write"


def _token(client: Registration, token: TokenRecord) -> tuple[str, str, str, str]:
    return (
        _state(client, token),
        day(token.created),
        day(token.expires, never="never"),
        day(token.last_used, never="never"),
    )


def _state(client: Registration, token: TokenRecord) -> str:
    if client.revoked is not None:
        return "revoked"
    return "live" if token.is_live(time.time()) else "ended"
