"""`doctor`: is everything in place for the bridge to work, and if not, what is to be done?"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal

import botocore.session
import click

from scim_bridge.cli.invocation import Invocation, advise, opened, pass_invocation
from scim_bridge.cli.output import json_option, print_json
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import load_key
from scim_bridge.errors import BridgeError, SettingsError
from scim_bridge.identity_center.center import connect
from scim_bridge.identity_center.credentials import authority
from scim_bridge.scim.credentials import registrations
from scim_bridge.settings import IdentityCenter, Loaded, Safety, Settings

# A token that ends within so many days is warned about.
TOKEN_WARNING_DAYS = 30

State = Literal["ok", "warning", "wrong"]
_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "wrong": ("✗", "red"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found about one thing."""

    what: str
    state: State
    # In words; for anything but "ok" also what to do.
    said: str


@click.command()
@json_option
@pass_invocation
@click.pass_context
def command(context: click.Context, invocation: Invocation, *, as_json: bool) -> None:
    """Check that everything is in place, and say what to do.

    Settings, database, audit key, credentials, region and endpoint get one line each, with what
    to do where something is wrong. Identity Center is asked one harmless question. The exit code
    is 0 only if nothing is wrong; a warning (!) is not.

    \b
    Example:
      scim-bridge --config /etc/scim-bridge/scim-bridge.toml doctor
    """
    findings = [replace(finding, said=advise(finding.said)) for finding in examined(invocation)]
    is_well = all(finding.state != "wrong" for finding in findings)
    if as_json:
        print_json({"ok": is_well, "findings": [vars(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(_line(finding))
    context.exit(0 if is_well else 1)


def examined(invocation: Invocation) -> Iterator[Finding]:
    """Look at one thing after the other. What cannot be looked at is left out after its cause."""
    try:
        loaded = invocation.loaded()
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(what="settings", state="wrong", said=str(problem))
        return
    yield Finding(what="settings", state="ok", said=_source(loaded))
    yield from _of_directory(loaded.settings)
    yield from _of_identity_center(loaded.settings.identity_center)
    yield _of_brake(loaded.settings.safety)


def _source(loaded: Loaded) -> str:
    return f"{loaded.file}" if loaded.file else "no file: variables of the environment and defaults"


def _of_directory(settings: Settings) -> Iterator[Finding]:
    try:
        with opened(settings) as database:
            yield Finding(what="database", state="ok", said=str(database.path))
            yield _tried("audit key", lambda: _key(settings, database))
            yield _of_clients(database)
    except BridgeError as error:
        yield Finding(what="database", state="wrong", said=str(error))


def _key(settings: Settings, database: Database) -> str:
    load_key(settings.audit, database)
    return "is there and readable by its owner only"


def _of_clients(database: Database) -> Finding:
    now = time.time()
    live = [
        client.name
        for client in registrations(database)
        if client.revoked is None and any(token.is_live(now) for token in client.tokens)
    ]
    if live:
        return Finding(what="clients", state="ok", said=", ".join(live))
    said = "nobody has a token yet: `scim-bridge client add NAME` makes one"
    return Finding(what="clients", state="warning", said=said)


def _of_identity_center(settings: IdentityCenter) -> Iterator[Finding]:
    if settings.region is None or settings.scim_endpoint is None:
        said = "is not set: give [identity_center] its region and scim_endpoint"
        yield Finding(what="identity center", state="wrong", said=said)
        return
    yield _of_region(settings.region)
    if settings.auth == "bearer" and settings.bearer_token_expires is not None:
        yield _of_token_end(date.fromisoformat(settings.bearer_token_expires))
    credentials = _tried("credentials", lambda: _credentials(settings))
    yield credentials
    if credentials.state == "ok":
        yield _tried("endpoint", lambda: _asked(settings))


def _of_region(region: str) -> Finding:
    known = botocore.session.get_session().get_available_regions("identitystore")
    if region in known:
        return Finding(what="region", state="ok", said=region)
    said = f"{region} is not known to have Identity Center: check identity_center.region"
    return Finding(what="region", state="warning", said=said)


def _of_token_end(end: date) -> Finding:
    left = (end - datetime.now(UTC).date()).days
    if left > TOKEN_WARNING_DAYS:
        return Finding(what="access token", state="ok", said=f"ends on {end}")
    said = (
        f"{'ends' if left >= 0 else 'ended'} on {end}: make a new one in the console under "
        "Settings, Automatic provisioning"
    )
    return Finding(what="access token", state="warning" if left >= 0 else "wrong", said=said)


def _credentials(settings: IdentityCenter) -> str:
    authority(settings).auth()
    return "an access token was found" if settings.auth == "bearer" else "AWS keys were found"


def _asked(settings: IdentityCenter) -> str:
    connect(settings).check(deadline=time.monotonic() + settings.timeout)
    return f"{settings.scim_endpoint} answers to {settings.auth}"


def _of_brake(settings: Safety) -> Finding:
    if settings.brake:
        return Finding(what="brake", state="ok", said="is on")
    said = "is off: nothing stops a wave of leavers sent by mistake ([safety] brake)"
    return Finding(what="brake", state="warning", said=said)


def _tried(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, state="ok", said=check())
    except BridgeError as error:
        return Finding(what=what, state="wrong", said=str(error))


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.state]
    return f"{click.style(mark, fg=colour)} {finding.what}: {finding.said}"
