"""`pause`: all delivery to Identity Center stops."""

import click

from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.directory.actor import current
from scim_bridge.sync.pause import pause


@click.command()
@audited(needs_reason=True)
@pass_invocation
def command(invocation: Invocation) -> None:
    """Stop all delivery to Identity Center until `scim-bridge resume`.

    Clients go on pushing and lose nothing: what they push waits. Nobody loses access meanwhile
    either, leavers included. What is being delivered just now ends first.

    \b
    Example:
      scim-bridge pause --reason "Identity Center is being moved to another region"
    """
    with invocation.database() as database:
        stopped = pause(database, current().reason or "")
    if stopped:
        click.echo("Delivery is paused: nothing is sent, leavers included, until it is resumed.")
    else:
        click.echo("Delivery was paused already.")
