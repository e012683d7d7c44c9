"""How fresh is what the bridge knows of Identity Center, said to a person and to a script?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scim_bridge.cli.names import listed, printable
from scim_bridge.cli.output import lasting
from scim_bridge.directory.database import Database
from scim_bridge.settings import ScimSystem, Settings
from scim_bridge.sync import TARGET
from scim_bridge.sync.freshness import Freshness, drift_counts, freshness
from scim_bridge.sync.schedule import LANES
from scim_bridge.sync.watch import SYSTEM_LANES


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What was read when, and how much differs from what the bridge applied."""

    read: Sequence[Freshness]
    drift: Mapping[str, int]


def knowledge(database: Database, settings: Settings, target: str = TARGET) -> Knowledge:
    """What is known of an Identity Center. Nothing is called."""
    is_system = isinstance(settings.connector.get(target), ScimSystem)
    kinds = {kind for lane in (SYSTEM_LANES if is_system else LANES) for kind in lane}
    read = freshness(database, settings.extraction, target)
    return Knowledge(
        read=[one for one in read if one.kind in kinds],
        drift=drift_counts(database, target),
    )


def as_dict(known: Knowledge) -> dict[str, Any]:
    """The part of `status --json`. Ages are in seconds."""
    return {
        "extraction": [
            {
                "kind": one.kind,
                "interval_seconds": one.interval,
                "age_seconds": None if one.age is None else round(max(one.age, 0.0), 1),
                "took_seconds": None if one.seconds is None else round(one.seconds, 3),
                "counts": dict(one.counts),
                "last_outcome": one.outcome,
                "reason": one.reason,
                "stale": one.is_stale,
            }
            for one in known.read
        ],
        "drift": dict(known.drift),
    }


def lines(known: Knowledge, where: str = "Identity Center") -> list[str]:
    """What `status` says of it: one line if all is well, and one for each thing that is not."""
    said = []
    if any(one.outcome is not None for one in known.read):
        ages = [
            f"{one.kind} {'never' if one.age is None else lasting(one.age) + ' ago'}"
            for one in known.read
        ]
        said.append(f"{where} was last read: {', '.join(ages)}.")
    troubles: dict[str, list[str]] = {}
    for one in known.read:
        if one.is_stale or _failed(one):
            troubles.setdefault(_trouble(one), []).append(one.kind)
    for trouble, kinds in troubles.items():
        said.append(f"! Reading {listed(kinds)} from {where}: {trouble}")
    if known.drift:
        counts = [f"{count} {state}" for state, count in sorted(known.drift.items())]
        said.append(f"! Changed by hand there: {listed(counts)}. See: scim-bridge drift")
    return said


def _failed(one: Freshness) -> bool:
    return one.outcome not in ("ok", None)


def _trouble(one: Freshness) -> str:
    trouble = []
    if one.is_stale:
        trouble.append("not read well for long")
    if _failed(one):
        trouble.append(f"the last reading ended {one.outcome}")
    # What follows from a closed door has the same cause as what found it closed.
    reason = (one.reason or "").removeprefix("Identity Center is not asked at present: ")
    return f"{', '.join(trouble)}{': ' if reason else '.'}{printable(reason)}"
