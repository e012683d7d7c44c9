"""`resume`: delivery to Identity Center goes on."""

import click

from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.sync.pause import resume
from scim_bridge.sync.rewind import compared, refuse_unread


@click.command()
@audited()
@pass_invocation
def command(invocation: Invocation) -> None:
    """Let delivery to Identity Center go on after a `scim-bridge pause`.

    A running bridge goes on by itself, removals first.

    \b
    Example:
      scim-bridge resume
    """
    with invocation.database() as database:
        refuse_unread(database)
        went_on = resume(database)
        compared(database)
    click.echo("Delivery goes on." if went_on else "Delivery was not paused.")
