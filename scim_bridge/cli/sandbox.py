"""`sandbox`: an Identity Center on this machine, for trying and testing."""

from pathlib import Path
from typing import Literal

import click

from scim_bridge.errors import OperatorError
from scim_bridge.sandbox import (
    ACCESS_KEY,
    BEARER_TOKEN,
    DOCUMENTED_RATES,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    REGION,
    SECRET_KEY,
    Behaviour,
    SandboxServer,
    UnknownBehaviour,
    read_behaviour,
    serve,
    write_config,
)

_THROTTLES = ("throttle", "throttle_identitystore", "throttle_sso", "throttle_organizations")


@click.command(
    epilog=f"Fixed on purpose: region {REGION}, access key {ACCESS_KEY}, secret key {SECRET_KEY}, "
    f"bearer token {BEARER_TOKEN}, identity store {IDENTITY_STORE_ID}, instance {INSTANCE_ARN}. "
    "They protect nothing but make-believe people."
)
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--throttle",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Throttle beyond N calls per second: the SCIM endpoint and each API by itself.",
)
@click.option(
    "--quotas",
    is_flag=True,
    help="Throttle as AWS documents it: SSO Admin beyond 20 calls per second. AWS documents no "
    "rate of the SCIM endpoint or of the Identity Store; --throttle sets one.",
)
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    metavar="MS",
    help="Every call takes MS milliseconds.",
)
@click.option(
    "--page-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Lists give no more than N items a page, whatever is asked for.",
)
@click.option(
    "--strict-disabled",
    is_flag=True,
    help="Refuse edits and new memberships of disabled users, as AWS may do.",
)
@click.option(
    "--behaviour",
    "switches",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Behave as FILE says, which scim-bridge probe writes; other options add to it.",
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
    quotas: bool,
    latency: float | None,
    page_size: int | None,
    strict_disabled: bool,
    switches: Path | None,
    config: Path | None,
    auth: Literal["sigv4", "bearer"],
) -> None:
    """Run an Identity Center on this machine, without an AWS account.

    It answers at the SCIM endpoint and, at its root (endpoint_url), as the Identity Store, SSO
    Admin, Organizations and STS, with AWS's documented limits and errors; signatures and tokens
    are checked. It begins with three accounts and three permission sets, and with nobody.

    GET / explains all of it. GET /_sandbox/state shows what it holds, POST /_sandbox/faults makes
    it misbehave, POST /_sandbox/assignment-faults makes assignments slow, fail or conflict.

    \b
    Example, in two terminals:
      scim-bridge sandbox --write-config sandbox.toml
      scim-bridge --config sandbox.toml serve
    """
    options: dict[str, object] = {
        **dict.fromkeys(_THROTTLES, throttle),
        **(DOCUMENTED_RATES if quotas else {}),
        "latency": None if latency is None else latency / 1000,
        "page_size": page_size,
        "strict_disabled": strict_disabled or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    behaviour = (_read(switches) if switches else Behaviour()).changed(given)
    if config is not None:
        _write_config(config, SandboxServer(host=host, port=port), auth, behaviour)
    try:
        serve(host=host, port=port, behaviour=behaviour, announce=click.echo)
    except OSError as error:
        raise OperatorError(
            f"the sandbox cannot listen at {host}:{port}: {error.strerror}; choose another --port"
        ) from error


def _read(switches: Path) -> Behaviour:
    try:
        return read_behaviour(switches)
    except OSError as error:
        raise OperatorError(f"{switches} cannot be read: {error.strerror}") from error
    except UnknownBehaviour as error:
        raise OperatorError(f"{switches} says no behaviour: {error}") from error


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
