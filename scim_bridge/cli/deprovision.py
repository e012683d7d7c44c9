"""`deprovision`: somebody must be out now."""

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
    """Take every access away from USER (a userName) at once, past the brake.

    The person is deactivated in the directory, disabled at Identity Center and taken out of every
    group there; nothing is deleted. The identity provider may activate them again: end their
    account there as well. The exit code is 0 only if all of it has arrived.

    \b
    Example:
      scim-bridge deprovision jane@example.com --reason "laptop stolen, ticket 4711"
    """
    with assembled(invocation.settings()) as bridge:
        user_id = bridge.decisions.deprovision(user)
        click.echo(f"{user} is deactivated in the directory.")
        report(context, deliver(bridge, user_id))
