"""`sandbox`: an Identity Center on this machine, for trying and testing."""

from pathlib import Path
from typing import Literal

import click

from scim_bridge.errors import OperatorError
from scim_bridge.sandbox import (
    ACCESS_KEY,
    BEARER_TOKEN,
    REGION,
    SECRET_KEY,
    Behaviour,
    SandboxServer,
    serve,
    write_config,
)


@click.command(
    epilog=f"Fixed on purpose: region {REGION}, access key {ACCESS_KEY}, secret key {SECRET_KEY}, "
    f"bearer token {BEARER_TOKEN}. They protect nothing but make-believe people."
)
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--throttle",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Answer 429 beyond N calls per second.",
)
@click.option(
    "--strict-disabled",
    is_flag=True,
    help="Refuse edits and new memberships of disabled users, as AWS may do.",
)
@click.option(
    "--write-config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write settings for a bridge in front of it, and FILE.credentials beside them.",
)
@click.option(
    "--auth",
    type=click.Choice(["sigv4", "bearer"]),
    default="sigv4",
    show_default=True,
    help="How the bridge of --write-config signs in.",
)
def command(
    *,
    port: int,
    host: str,
    throttle: float | None,
    strict_disabled: bool,
    config: Path | None,
    auth: Literal["sigv4", "bearer"],
) -> None:
    """Run an Identity Center on this machine, without an AWS account.

    It answers at the SCIM endpoint with AWS's documented limits and errors and checks signatures
    and tokens. GET /_sandbox/state shows what it holds; POST /_sandbox/faults makes it misbehave.

    \b
    Example, in two terminals:
      scim-bridge sandbox --write-config sandbox.toml
      scim-bridge --config sandbox.toml serve
    """
    behaviour = Behaviour(throttle=throttle, strict_disabled=strict_disabled)
    if config is not None:
        _write_config(config, SandboxServer(host=host, port=port), auth, behaviour)
    try:
        serve(host=host, port=port, behaviour=behaviour, announce=click.echo)
    except OSError as error:
        raise OperatorError(
            f"the sandbox cannot listen at {host}:{port}: {error.strerror}; choose another --port"
        ) from error


def _write_config(
    file: Path, server: SandboxServer, auth: Literal["sigv4", "bearer"], behaviour: Behaviour
) -> None:
    if server.port == 0:
        raise click.UsageError("--write-config needs a --port of your choice.")
    try:
        credentials = write_config(file, base_url=server.url, auth=auth, behaviour=behaviour)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"Settings: {file} (credentials: {credentials})")
