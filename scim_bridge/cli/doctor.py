"""`doctor`: is everything in place for the bridge to work, and if not, what is to be done?"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache

import botocore.session
import click
from sqlalchemy import make_url

from scim_bridge.cli import connectors, reach
from scim_bridge.cli.finding import Finding, State
from scim_bridge.cli.finding import tried as _tried
from scim_bridge.cli.invocation import Invocation, advise, opened, pass_invocation
from scim_bridge.cli.output import json_option, lasting, print_json
from scim_bridge.directory import nesting
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import load_key
from scim_bridge.errors import BridgeError, DatabaseUnavailable, OperatorError, SettingsError
from scim_bridge.identity_center.center import connect
from scim_bridge.identity_center.credentials import authority
from scim_bridge.identity_center.store_center import LIMITS
from scim_bridge.scim.credentials import registrations
from scim_bridge.settings import Deprovision, IdentityCenter, Loaded, Safety, Settings
from scim_bridge.sync.freshness import freshness

# A token that ends within so many days is warned about.
TOKEN_WARNING_DAYS = 30

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "wrong": ("✗", "red"),
}


@click.command()
@json_option
@pass_invocation
@click.pass_context
def command(context: click.Context, invocation: Invocation, *, as_json: bool) -> None:
    """Check that everything is in place, and say what to do.

    Settings, database, audit key, clock, credentials, region, instance and endpoint get one line
    each, and so does every IAM permission that is missing, with what to do about it. Each call that
    the configuration needs is made so that it changes nothing. The exit code is 0 only if nothing
    is wrong; a warning (!) is not.

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
    yield from _of_identity_center(loaded.settings)
    for name, center in loaded.settings.targets.items():
        at = replace(loaded.settings, identity_center=center)
        for finding in _of_identity_center(at):
            yield replace(finding, what=f"{name}: {finding.what}")
    yield from connectors.findings(loaded.settings)
    yield _of_brake(loaded.settings.safety)


def _source(loaded: Loaded) -> str:
    return f"{loaded.file}" if loaded.file else "no file: variables of the environment and defaults"


def _of_directory(settings: Settings) -> Iterator[Finding]:
    try:
        with opened(settings) as database:
            yield _of_writing(database, settings)
            yield _tried("audit key", lambda: _key(settings, database))
            yield _of_clients(database)
            yield from _of_sources(database, settings)
            yield from _of_nestings(database, settings)
            yield from _of_extraction(database, settings)
    except DatabaseUnavailable as error:
        yield _unavailable(settings, error)
    except BridgeError as error:
        yield Finding(what="database", state="wrong", said=str(error))


def _of_writing(database: Database, settings: Settings) -> Finding:
    """Whether the database can be written; nothing is."""
    with database.transaction():
        pass
    return Finding(what="database", state="ok", said=_where(settings))


def _unavailable(settings: Settings, error: DatabaseUnavailable) -> Finding:
    remedy = "see that it runs, and check [database] url"
    if settings.database.url.startswith("sqlite"):
        remedy = (
            "give the file and its folder to the user that the bridge runs as, and see that the "
            "disk is neither full nor mounted read-only"
        )
    said = f"{_where(settings)} cannot be written ({error}): {remedy}"
    return Finding(what="database", state="wrong", said=said)


def _where(settings: Settings) -> str:
    url = make_url(settings.database.url)
    is_file = url.get_backend_name() == "sqlite"
    return str(url.database) if is_file else url.render_as_string(hide_password=True)


def _of_extraction(database: Database, settings: Settings) -> Iterator[Finding]:
    """What is known of Identity Center, where it is read at all."""
    for one in freshness(database, settings.extraction):
        if one.is_stale:
            ago = "never" if one.age is None else f"{lasting(one.age)} ago"
            said = (
                f"{one.kind} were last read well {ago} ({one.reason or 'no reason is known'}): "
                "drift goes unseen; see that a worker runs, or run `scim-bridge extract`"
            )
            yield Finding(what="extraction", state="warning", said=said)


def _key(settings: Settings, database: Database) -> str:
    load_key(settings.audit, database)
    return "is there and readable by its owner only"


def _of_nestings(database: Database, settings: Settings) -> Iterator[Finding]:
    try:
        nesting.check(database, settings.groups)
    except OperatorError as error:
        yield Finding(what="groups", state="wrong", said=str(error))


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


def _of_sources(database: Database, settings: Settings) -> Iterator[Finding]:
    """An attribute that nobody may write is stuck; a source that is never read is none."""
    live = {client.name for client in registrations(database) if client.revoked is None}
    for one in settings.authorities:
        if one.client not in live:
            said = (
                f"{', '.join(one.attributes)} belong to {one.client!r}, and there is no such "
                "client: nobody else may write them. `scim-bridge client add` it, or name another"
            )
            yield Finding(what="authority", state="warning", said=said)
    if settings.source.enabled and not settings.extraction.interval:
        said = "[source] is enabled and nothing is read: set [extraction] interval"
        yield Finding(what="source", state="wrong", said=said)


def _of_identity_center(whole: Settings) -> Iterator[Finding]:
    settings = whole.identity_center
    if settings.region is None:
        said = "is not set: give [identity_center] its region and scim_endpoint"
        yield Finding(what="identity center", state="wrong", said=said)
        return
    yield _of_region(settings.region)
    if settings.write_via == "scim":
        yield from _of_endpoint(settings)
    else:
        yield _of_limits()
    yield from reach.apis(settings, whole.deprovision)
    yield _of_sessions(whole.deprovision)


def _of_endpoint(settings: IdentityCenter) -> Iterator[Finding]:
    if settings.auth == "bearer" and settings.bearer_token_expires is not None:
        yield _of_token_end(date.fromisoformat(settings.bearer_token_expires))
    credentials = _tried("credentials", lambda: _credentials(settings))
    yield credentials
    if credentials.state == "ok":
        yield _tried("endpoint", lambda: _asked(settings))


def _of_limits() -> Finding:
    said = f'write_via = "identity-store": {LIMITS}'
    return Finding(what="limits", state="warning", said=said)


def _of_sessions(settings: Deprovision) -> Finding:
    said = (
        "of people who leave are cut by a Deny in their permission sets"
        if settings.cut_sessions
        else "of people who leave live on until they end, up to the session duration of the "
        "permission set: [deprovision] cut_sessions = true cuts them"
    )
    return Finding(what="sessions", state="ok", said=said)


def _of_region(region: str) -> Finding:
    if region in _regions():
        return Finding(what="region", state="ok", said=region)
    said = f"{region} is not known to have Identity Center: check identity_center.region"
    return Finding(what="region", state="warning", said=said)


@cache
def _regions() -> frozenset[str]:
    """Where AWS has the Identity Store API, as far as botocore knows."""
    session = botocore.session.get_session()
    return frozenset(session.get_available_regions("identitystore"))


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


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.state]
    return f"{click.style(mark, fg=colour)} {finding.what}: {finding.said}"
