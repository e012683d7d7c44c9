"""Where does each value of a person come from? The last version in the history that changed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scim_bridge.directory.database import Database
from scim_bridge.directory.history import versions
from scim_bridge.plan.authority import flattened


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """One value of a person, and who gave it."""

    attribute: str
    value: Any
    # "client:<name>", "operator:<name>", "source:<target>" or "bridge".
    origin: str
    at: float
    request_id: str | None


def provenance(database: Database, user_id: str) -> Sequence[Provenance]:
    """The values of a person by attribute; those of the last version for who was deleted."""
    found: dict[str, Provenance] = {}
    for version in versions(database, "user", user_id):
        if version.after is None:
            break
        before, after = flattened(version.before or {}), flattened(version.after)
        found = {path: one for path, one in found.items() if path in after}
        for path, value in after.items():
            if path not in found or before.get(path) != value:
                found[path] = Provenance(
                    attribute=path,
                    value=value,
                    origin=version.actor,
                    at=version.at,
                    request_id=version.request_id,
                )
    found.pop("schemas", None)
    return [found[path] for path in sorted(found)]
