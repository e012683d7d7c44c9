"""How do connected systems stand, said to a person and to a script?"""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from scim_bridge.cli.finding import Finding, tried
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import lasting
from scim_bridge.connectors.scim_system import connect_system
from scim_bridge.connectors.snapshot import check_folder
from scim_bridge.connectors.webhook import Receiver
from scim_bridge.directory.database import Database
from scim_bridge.settings import ScimSystem, Settings, Snapshot, Webhook
from scim_bridge.sync.feed import feed_standing
from scim_bridge.sync.snapshots import snapshot_standing


def standings(database: Database, settings: Settings) -> dict[str, dict[str, Any]]:
    """Each connector by its name, as `status --json` prints it. Ages are in seconds."""
    return {
        name: _standing(database, name, one)
        for name, one in settings.connector.items()
        if not isinstance(one, ScimSystem)
    }


def systems(settings: Settings) -> tuple[str, ...]:
    """The names of those that are targets, as an Identity Center is."""
    return tuple(name for name, one in settings.connector.items() if isinstance(one, ScimSystem))


def _standing(database: Database, name: str, one: Webhook | Snapshot) -> dict[str, Any]:
    match one:
        case Webhook():
            feed = feed_standing(database, name)
            return {
                "type": one.type,
                "waiting": feed.waiting,
                "last_told_seconds": feed.told,
                "failing_seconds": feed.failing,
                "attempts": feed.attempts,
                "last_error": feed.last_error,
            }
        case Snapshot():
            snapshot = snapshot_standing(database, name)
            return {
                "type": one.type,
                "age_seconds": snapshot.age,
                "counts": dict(snapshot.counts),
                "last_outcome": snapshot.outcome,
            }


def lines(standing: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What `status` says of them: a line each."""
    for name, one in standing.items():
        said = _feed(one) if one["type"] == "webhook" else _snapshot(one)
        yield f"Connector {name} ({one['type']}): {said}"


def _feed(one: Mapping[str, Any]) -> str:
    if one["last_error"]:
        return (
            f"! no event has been taken for {lasting(one['failing_seconds'])}, and "
            f"{one['waiting']} wait: {printable(one['last_error'])}"
        )
    if one["waiting"]:
        return f"{one['waiting']} events on their way."
    if one["last_told_seconds"] is None:
        return "nothing to tell yet."
    return f"told of everything, last {lasting(one['last_told_seconds'])} ago."


def _snapshot(one: Mapping[str, Any]) -> str:
    age = "never" if one["age_seconds"] is None else f"{lasting(one['age_seconds'])} ago"
    failed = one["last_outcome"] not in ("ok", None)
    return f"{'! the last one failed; ' if failed else ''}last written {age}."


def findings(settings: Settings) -> Iterator[Finding]:
    """What `doctor` finds of each. Nothing is sent and nothing is written."""
    for name, one in settings.connector.items():
        match one:
            case ScimSystem():
                yield tried(f"connector {name}", partial(_system, name, one))
            case Webhook():
                yield tried(f"connector {name}", partial(_receiver, one))
            case Snapshot():
                yield tried(f"connector {name}", partial(_folder, one))


def _system(name: str, settings: ScimSystem) -> str:
    connect_system(name, settings).check(deadline=time.monotonic() + settings.timeout)
    return f"{settings.url} answers"


def _receiver(settings: Webhook) -> str:
    receiver = Receiver(settings)
    try:
        receiver.check()
    finally:
        receiver.close()
    return "there is a secret, and the receiver answers"


def _folder(settings: Snapshot) -> str:
    check_folder(settings.folder)
    return f"{settings.folder} can be written"
