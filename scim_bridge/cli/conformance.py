"""`conformance`: does the bridge that is installed here keep to the RFCs?"""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from conformance import __main__ as tool
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.scim import credentials
from scim_bridge.settings import Settings

# A run that was killed leaves a token that ends by itself.
DAYS = 1.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@click.command()
@click.option(
    "--url",
    metavar="URL",
    help="Where the bridge listens: what comes before /Users. Otherwise [server] public_url, "
    "or host and port, say it.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Write into this Identity Center, though it is none of the sandbox.",
)
@tool.suite_option
@tool.report_option
@tool.json_option
@tool.fuzz_option
@audited()
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    url: str | None,
    yes: bool,
    names: tuple[str, ...],
    folder: Path | None,
    as_json: bool,
    fuzz_requests: int,
) -> None:
    """Run the bridge through suites of checks and dialogues of real clients.

    The bridge is to be running. Users and groups are made in its directory, changed and removed,
    and those reach Identity Center: without --yes only a bridge in front of the sandbox is
    checked. The token for it is made for the run, and revoked at its end.

    Checks that give a user another userName are skipped unless the bridge runs with
    [users] username_changes = "allow": a full run needs that.

    \b
    Example:
      scim-bridge conformance --suite rfc --report build/scim
    """
    settings = invocation.settings()
    if settings.identity_center.region is None:
        raise click.UsageError(
            "no Identity Center is configured: name the settings of the bridge with "
            "`scim-bridge --config FILE conformance`"
        )
    if not yes and not _is_sandbox(settings):
        raise click.UsageError(
            f"the run writes invented people, who reach {settings.identity_center.written_to}. "
            "Check a bridge in front of `scim-bridge sandbox` instead, or give --yes to let it."
        )
    address = url or _address(settings)
    suites = tool.chosen(names, fuzz_requests=fuzz_requests)
    with _token(invocation) as token:
        code = tool.checked(address, token, suites, folder=folder, as_json=as_json)
    context.exit(code)


def _is_sandbox(settings: Settings) -> bool:
    """Whether all that is written stays on this machine."""
    center = settings.identity_center
    doors = [door for door in (center.scim_endpoint, center.endpoint_url) if door]
    return len(doors) == 2 and all(urlsplit(door).hostname in LOOPBACK for door in doors)


def _address(settings: Settings) -> str:
    server = settings.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    here = (server.public_url or f"http://{host}:{server.port}").rstrip("/")
    return f"{here.removesuffix('/scim/v2')}/scim/v2"


@contextmanager
def _token(invocation: Invocation) -> Iterator[str]:
    """A token of a client that is there for as long as the run."""
    name = f"conformance-{secrets.token_hex(4)}"
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with invocation.database() as database:
            issued = credentials.add(database, name, expires_days=DAYS)
        try:
            yield issued.token
        finally:
            with invocation.database() as database:
                credentials.revoke(database, name)
    finally:
        signal.signal(signal.SIGTERM, before)
