"""`reactivate`: somebody is back."""

import click

from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.cli.people import deliver, report


@click.command()
@click.argument("user")
@audited(needs_reason=True)
@pass_invocation
@click.pass_context
def command(context: click.Context, invocation: Invocation, user: str) -> None:
    """Give USER (a userName) their access back.

    The person is activated in the directory and enabled at Identity Center. Their groups come back
    with them, if they were away for no longer than [deprovision] restore_within. The exit code is
    0 only if all of it has arrived.

    \b
    Example:
      scim-bridge reactivate jane@example.com --reason "laptop found, ticket 4711"
    """
    with assembled(invocation.settings()) as bridge:
        user_id = bridge.decisions.reactivate(user)
        click.echo(f"{user} is active in the directory.")
        report(context, deliver(bridge, user_id))
