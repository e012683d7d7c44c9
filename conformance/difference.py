"""Do two forms of a resource mean the same?

Not compared is what the server alone decides: ``id``, ``meta``, ``schemas``, ``groups``, a password
(never returned), ``display``, ``$ref`` and ``type`` of members and managers, and a ``formatted``
that nobody gave. Order within a multi-valued attribute means nothing; null, an empty list and no
value are the same (RFC 7643 section 2.5), and so are a false ``primary`` and none.
"""

import json
from collections.abc import Mapping
from typing import Any

SERVERS_OWN = {"id", "meta", "schemas", "groups", "password"}
REFERENCE_EXTRAS = {"display", "displayname", "$ref", "type"}
EXTRAS = {
    "members": REFERENCE_EXTRAS,
    "manager": REFERENCE_EXTRAS,
    "name": {"formatted"},
    "addresses": {"formatted"},
}


def difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Where the resources differ, in words; empty if they do not."""
    left, right = _state(wanted), _state(found)
    names = [name for name in sorted(left.keys() | right.keys()) if not _alike(left, right, name)]
    return "; ".join(
        f"{name} is {_shown(right.get(name))}; wanted: {_shown(left.get(name))}" for name in names
    )


def _state(resource: Mapping[str, Any]) -> dict[str, Any]:
    state = _plain(resource)
    return {name: value for name, value in state.items() if name not in SERVERS_OWN}


def _plain(value: Any) -> Any:
    """The value with its attributes in lower case (names have none) and nothing that is empty."""
    if isinstance(value, Mapping):
        members = {name.lower(): _plain(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if not _nothing(name, member)}
    if isinstance(value, list):
        return [_plain(item) for item in value if item is not None]
    return value


def _nothing(name: str, value: Any) -> bool:
    return value is None or value in ([], {}) or (name == "primary" and value is False)


def _alike(left: Mapping[str, Any], right: Mapping[str, Any], name: str) -> bool:
    return _same(left.get(name), right.get(name), name)


def _same(wanted: Any, found: Any, attribute: str) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        extras = EXTRAS.get(attribute, set()) - wanted.keys()
        names = (wanted.keys() | found.keys()) - extras
        return all(_same(wanted.get(name), found.get(name), name) for name in names)
    if isinstance(wanted, list) and isinstance(found, list):
        return _same_values(wanted, found, attribute)
    return type(wanted) is type(found) and wanted == found


def _same_values(wanted: list[Any], found: list[Any], attribute: str) -> bool:
    rest = list(found)
    for value in wanted:
        match = next((one for one in rest if _same(value, one, attribute)), None)
        if match is None:
            return False
        rest.remove(match)
    return not rest


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:200]
