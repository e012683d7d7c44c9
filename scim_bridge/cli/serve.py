"""`serve`: the bridge itself."""

import errno
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from scim_bridge import log
from scim_bridge.cli.invocation import Invocation, advise, opened, pass_invocation
from scim_bridge.directory.database import Database
from scim_bridge.errors import OperatorError
from scim_bridge.scim.credentials import registrations
from scim_bridge.settings import Server, Settings

# Where the processes of one bridge add up their counts (prometheus-client).
COUNTS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# How long to try for an address that an earlier run is just giving up, in seconds.
BIND_WITHIN = 3.0
BACKLOG = 2048


@click.command()
@click.option("--host", help="The address to listen at, instead of [server] host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of [server] port.")
@click.option("--processes", type=click.IntRange(1, 64), help="Instead of [server] processes.")
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    host: str | None,
    port: int | None,
    processes: int | None,
) -> None:
    """Serve SCIM clients, and deliver to Identity Center what they push.

    A new database gets its schema; one of an older version is refused until `scim-bridge db
    upgrade` was run. SIGTERM and Ctrl-C let requests and deliveries under way end. Put a proxy
    that speaks TLS in front, and say so with [server] public_url and trusted_proxies.

    \b
    Example:
      scim-bridge --config /etc/scim-bridge/scim-bridge.toml serve --port 8080
    """
    settings = _chosen(invocation.settings(), host=host, port=port, processes=processes)
    log.configure(settings.log)
    with opened(settings, create=True) as database:
        has_client = _has_client(database)
    with _counts_added_up(settings.server):
        # Only now: prometheus-client looks once, when it is imported, whether counts are added up.
        from scim_bridge.cli import processes as bridge_processes

        bridge_processes.check(settings)
        with _listening(settings.server) as listener:
            click.echo(_greeting(settings, has_client=has_client))
            ended_well = bridge_processes.run(settings, listener)
    context.exit(0 if ended_well else 1)


def _chosen(
    settings: Settings, *, host: str | None, port: int | None, processes: int | None
) -> Settings:
    server = settings.server
    return replace(
        settings,
        server=replace(
            server,
            host=host or server.host,
            port=port or server.port,
            processes=processes or server.processes,
        ),
    )


def _has_client(database: Database) -> bool:
    now = time.time()
    return any(
        client.revoked is None and any(token.is_live(now) for token in client.tokens)
        for client in registrations(database)
    )


@contextmanager
def _counts_added_up(server: Server) -> Iterator[None]:
    """A folder for the counts, where one process shows what others counted."""
    apart = server.processes > 1 or server.metrics_listen is not None
    if not apart or os.environ.get(COUNTS_VARIABLE):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="scim-bridge-metrics-") as folder:
        os.environ[COUNTS_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[COUNTS_VARIABLE]


@contextmanager
def _listening(server: Server) -> Iterator[socket.socket]:
    """The socket that requests come in at. Raises `OperatorError` if there can be none."""
    try:
        listener = _bound(server.host, server.port)
    except OSError as error:
        raise OperatorError(
            f"the bridge cannot listen at {server.host}:{server.port}: {error.strerror}; "
            "choose another --host or --port"
        ) from error
    with listener:
        yield listener


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    end = time.monotonic() + BIND_WITHIN
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
        time.sleep(0.1)


def _greeting(settings: Settings, *, has_client: bool) -> str:
    server = settings.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    here = f"http://{host}:{server.port}"
    public = (server.public_url or here).rstrip("/").removesuffix("/scim/v2")
    line = (
        f"Listening at {here} - SCIM: {public}/scim/v2 - "
        f"Identity Center: {settings.identity_center.written_to}"
    )
    if has_client:
        return line
    advice = advise("`scim-bridge client add NAME` makes one")
    return f"{line}\nNobody has a token yet: {advice}."
