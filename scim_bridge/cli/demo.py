"""`demo`: what is all this about?"""

import signal
import time

import click
from rich.console import Console

from scim_bridge.demo.play import Player, introduce, show_how_to_go_on
from scim_bridge.demo.stage import Stage, stage

# How often it is looked whether the bridge still runs, in seconds.
LOOK_AGAIN = 0.5

PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--exit", "ends", is_flag=True, help="End after the story; 0 only if all of it held.")
@click.option("--port", type=PORT, help="Where the bridge listens. Otherwise a free port.")
@click.option("--sandbox-port", type=PORT, help="Where the sandbox listens. Otherwise a free port.")
def command(*, ends: bool, port: int | None, sandbox_port: int | None) -> None:
    """Show on this machine what the bridge does, with a story of joiners, movers and leavers.

    It needs no AWS account and leaves nothing behind. After the story the bridge goes on serving,
    for you to try, until Ctrl-C.

    \b
    Example:
      scim-bridge demo
    """
    console = Console(highlight=False)
    # However the demo is ended, also by a terminal that is closed, its processes end first.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    introduce(console)
    with stage(port=port, sandbox_port=sandbox_port) as running:
        Player(running, console).play()
        if not ends:
            show_how_to_go_on(running, console)
            _serve_on(running)


def _serve_on(running: Stage) -> None:
    """Until somebody has seen enough."""
    try:
        while True:
            running.check()
            time.sleep(LOOK_AGAIN)
    except KeyboardInterrupt:
        click.echo("The demo has ended.")
