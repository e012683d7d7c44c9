"""What does a server announce of itself, that decides which checks make sense?"""

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.expectation import reached
from conformance.target import Target

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
# Why a check that is marked ``renames`` is skipped.
NAMES_STAY = "the server announces userName as one that cannot be changed"


def config(target: Target) -> Mapping[str, Any]:
    """The ServiceProviderConfig, as far as there is one."""
    found = target.send("GET", "/ServiceProviderConfig").json
    return found if isinstance(found, dict) else {}


def not_announced(config: Mapping[str, Any], needs: Sequence[str]) -> str:
    """Which of the features the server does not announce, in words; empty if it has all."""
    missing = [need for need in needs if reached(config, need) != [True]]
    return f"the server does not announce {' or '.join(missing)}" if missing else ""


def renames(target: Target) -> bool:
    """Whether userName can be changed (RFC 7643, 7: "immutable" and "readOnly" cannot)."""
    schema = target.send("GET", f"/Schemas/{USER}").json
    attributes = schema.get("attributes") if isinstance(schema, dict) else None
    named = [
        one
        for one in (attributes if isinstance(attributes, list) else ())
        if isinstance(one, dict) and one.get("name") == "userName"
    ]
    return not any(one.get("mutability") in {"immutable", "readOnly"} for one in named)
