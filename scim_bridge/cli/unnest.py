"""`unnest`: no group is in another one any more."""

import click

from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation


@click.command()
@audited(needs_reason=True)
@pass_invocation
def command(invocation: Invocation) -> None:
    """Take every group out of the groups it is in.

    For going back to [groups] nested = "skip". People who are in a group only through one in it
    lose it at Identity Center, under the brake, once `scim-bridge serve` or `sync` delivers.

    \b
    Example:
      scim-bridge unnest --reason "the identity provider assigns groups one by one now"
    """
    with assembled(invocation.settings()) as bridge:
        count = bridge.resources.unnest()
    click.echo(f"{count} nested {'group was' if count == 1 else 'groups were'} taken out.")
