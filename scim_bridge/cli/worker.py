"""`worker`: deliveries alone, where `serve` is not to do them or not to do them alone."""

import click

from scim_bridge import log
from scim_bridge.cli.invocation import Invocation, opened, pass_invocation
from scim_bridge.cli.processes import check, deliver


@click.command()
@pass_invocation
def command(invocation: Invocation) -> None:
    """Deliver to Identity Center what waits, until SIGTERM or Ctrl-C.

    `serve` has a worker of its own. This is for a second machine that shares the database, or for
    delivering while nobody is served. Several may run: each user and group is delivered by one at
    a time.

    \b
    Example:
      scim-bridge worker
    """
    settings = invocation.settings()
    log.configure(settings.log)
    with opened(settings, create=True):
        check(settings)
    click.echo(f"Delivering to {settings.identity_center.written_to}; Ctrl-C stops.")
    deliver(settings)
