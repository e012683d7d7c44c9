"""What of a SCIM user or group is sent to a connected system, and how is it read there?

Nothing is left out for AWS's sake: a connected system gets the document as clients pushed it, less
what is the bridge's own. Inside the bridge it is flat, keyed by the path a PATCH would name.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.payloads import ENTERPRISE, MANAGER
from scim_bridge.plan.state import Attributes, Principal

# What is not an attribute that is compared: the envelope, what is sent apart, and what is secret.
_APART = frozenset(
    {"schemas", "id", "externalId", "meta", "active", "groups", "members", "password"}
)


def projected_user(
    document: Mapping[str, Any], table: Mapping[str, str], *, manager: str | None
) -> dict[str, Any]:
    """What a system gets to hold of a user's document. ``manager`` is the id of theirs there.

    ``table`` says by what attribute of the document another one is filled there: {"nickName":
    "displayName"}. An empty source leaves an attribute out.
    """
    found = flat(document)
    found.pop(MANAGER, None)
    if manager is not None:
        # Both are required (RFC 7643, section 4.3), and some systems insist.
        found[MANAGER] = {"value": manager, "$ref": f"../Users/{quote(manager, safe='')}"}
    filled = {path: found[source] for path, source in table.items() if source in found}
    return {**{path: value for path, value in found.items() if path not in table}, **filled}


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document's attributes by their paths, without empty values and unknown extensions."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name in _APART:
            continue
        if name == ENTERPRISE and isinstance(value, Mapping):
            found |= {f"{ENTERPRISE}:{part}": inner for part, inner in value.items()}
        elif isinstance(value, Mapping):
            found |= {f"{name}.{part}": inner for part, inner in value.items()}
        elif ":" not in name:
            found[name] = value
    return {path: kept for path, value in found.items() if (kept := _kept(value)) is not None}


def nested(attributes: Attributes) -> dict[str, Any]:
    """Flat attributes as SCIM writes them in a body: the inverse of `flat`."""
    body: dict[str, Any] = {}
    for path, value in attributes.items():
        if path.startswith(f"{ENTERPRISE}:"):
            body.setdefault(ENTERPRISE, {})[path.removeprefix(f"{ENTERPRISE}:")] = value
        elif "." in path:
            name, _, part = path.partition(".")
            body.setdefault(name, {})[part] = value
        else:
            body[path] = value
    return body


def without(body: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A body without what is at a path, as a PUT needs it where nothing can be patched."""
    kept = flat(body)
    kept.pop(path, None)
    apart = {name: value for name, value in body.items() if name in _APART}
    return {**apart, **nested(kept)}


def read_principal(body: Mapping[str, Any]) -> Principal:
    """A user or group as a system shows it. ``active`` is true where it is not shown.

    :raises Unavailable: there is no id.
    """
    if not isinstance(body.get("id"), str) or not body["id"]:
        raise Unavailable("the answer shows no id, and cannot be read")
    external_id = body.get("externalId")
    return Principal(
        id=body["id"],
        external_id=external_id if isinstance(external_id, str) else None,
        attributes=flat(body),
        active=body.get("active") is not False,
    )


def _kept(value: Any) -> Any:
    """A value without what is empty in it; None if nothing is left."""
    match value:
        case str():
            return value if value.strip() else None
        case Mapping():
            inner = {name: kept for name in value if (kept := _kept(value[name])) is not None}
            return inner or None
        case list():
            return [kept for one in value if (kept := _kept(one)) is not None] or None
        case _:
            return value
