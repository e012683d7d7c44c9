"""How does what clients send become what the standards have? Values, names and schemas.

Each function is given an object and its shape, and returns it corrected; None: there is nothing to
correct. The deviations themselves, and who has them, are in `scim_bridge.scim.dialect`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

from scim_bridge.scim.shape import Attribute, Shape

Object = dict[str, Any]

_DRAFTS: Mapping[str, str] = {
    "urn:scim:schemas:core:1.0": "core",
    "urn:scim:schemas:core:2.0": "core",
    "urn:scim:schemas:core:2.0:user": "core",
    "urn:scim:schemas:core:2.0:group": "core",
    "urn:scim:schemas:extension:enterprise:1.0": "enterprise",
    "urn:scim:schemas:extension:enterprise:1.0:user": "enterprise",
    "urn:scim:schemas:extension:enterprise:2.0:user": "enterprise",
}
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"
# What a vendor may name its own extensions; anything else that nobody knows is refused.
_FOREIGN = re.compile(r"urn:(ietf:params:)?scim:schemas:extension:.+", re.I | re.S)
# Attributes that decide about access: nothing that looks like one of them is dropped.
_MATTER = ("active", "username", "members", "accountassignments", "applications")
# Read-only attributes that clients send back as they read them.
_ECHOED = frozenset({"meta", "groups", "display", "displayName"})
# How alike two names are for one to be the other misspelt: of an attribute, of a schema.
_ALIKE, _SAME_SCHEMA = 0.81, 0.93


# -- Values -----------------------------------------------------------------------


def at_each(change: Callable[[Any, Attribute], Any]) -> Callable[[Object, Shape], Object | None]:
    """A rewrite that changes values one by one. What comes back as it went is unchanged."""

    def rewrite(found: Object, shape: Shape) -> Object | None:
        changed = {}
        for name, value in found.items():
            attribute = shape.attribute(name)
            if attribute and (new := change(value, attribute)) is not value:
                changed[name] = new
        return {**found, **changed} if changed else None

    return rewrite


def unwrapped(value: Any, attribute: Attribute) -> Any:
    if attribute.several or not isinstance(value, list) or len(value) != 1:
        return value
    (only,) = value
    if attribute.shape is None and isinstance(only, dict):
        named = {name.lower(): item for name, item in only.items()}
        only = named["value"] if named.keys() in ({"value"}, {"value", "$ref"}) else value
    # A list in a list is nothing that anybody means.
    return value if isinstance(only, list) else only


def truth(value: Any, attribute: Attribute) -> Any:
    if not attribute.boolean or not isinstance(value, str):
        return value
    return {"true": True, "false": False}.get(value.strip().lower(), value)


def in_digits(value: Any, attribute: Attribute) -> Any:
    """A whole number as text. Of a fraction nobody knows how it was written: 10.10 is 10.1."""
    takes = attribute.text and not attribute.several
    return str(value) if takes and type(value) is int else value


def no_boolean(value: Any, attribute: Attribute) -> Any:
    return None if attribute.boolean and isinstance(value, str) else value


def referring(value: Any, attribute: Attribute) -> Any:
    """The id of a resource as the complex attribute that refers to it. Only `manager` is one."""
    refers = attribute.shape and {"value", "$ref"} <= attribute.shape.attributes.keys()
    if not refers or attribute.several or not isinstance(value, str) or not value.strip():
        return value
    return {"value": value}


def listed(value: Any, attribute: Attribute) -> Any:
    return [value] if attribute.several and isinstance(value, dict) else value


def absent(value: Any, attribute: Attribute) -> Any:
    # Not where a list is meant: nobody leaves a group because of an empty string.
    return None if value == "" and not attribute.several else value


def writable(found: Object, shape: Shape) -> Object | None:
    """Without what clients echo. An id is left, to be compared with the resource's own."""
    kept = {name: value for name, value in found.items() if not _is_echo(name, value, shape)}
    return kept if len(kept) < len(found) else None


def groups(found: Object, shape: Shape) -> tuple[str, ...]:
    """The groups that a client says a user is in: nobody joins or leaves one so."""
    return tuple(
        name for name in found if name.lower() == "groups" and _is_echo(name, found[name], shape)
    )


def _is_echo(name: str, value: Any, shape: Shape) -> bool:
    attribute = shape.attribute(name)
    if attribute is None or not attribute.read_only:
        return False
    return attribute.name in _ECHOED or (attribute.name == "id" and value in (None, ""))


# -- Schemas, and names that carry one --------------------------------------------


def with_schemas(found: Object, shape: Shape) -> Object | None:
    if any(name.lower() == "schemas" and value not in (None, []) for name, value in found.items()):
        return None
    others = {name: value for name, value in found.items() if name.lower() != "schemas"}
    return {"schemas": [shape.schema], **others}


def in_schemas(
    change: Callable[[list[Any], Shape], list[Any]],
) -> Callable[[Object, Shape], Object | None]:
    def rewrite(found: Object, shape: Shape) -> Object | None:
        key = next((name for name in found if name.lower() == "schemas"), None)
        listed = found.get(key) if key else None
        if (
            key is None
            or not isinstance(listed, list)
            or not all(isinstance(u, str) for u in listed)
        ):
            return None
        new = change(listed, shape)
        if new == listed:
            return None
        others = {name: value for name, value in found.items() if name != key}
        # Without any, the endpoint says which schema is meant.
        return {key: new or [shape.schema], **others}

    return rewrite


def known(listed: list[str], shape: Shape) -> list[str]:
    return [urn for urn in listed if urn.lower() in shape.schemas or _matters_as_schema(urn, shape)]


def _standard(urn: str, shape: Shape) -> str:
    """The standard's URN for that of a draft."""
    match _DRAFTS.get(urn.lower()):
        case "core":
            return cast(str, shape.schema)
        case "enterprise" if extension := shape.extensions.get(ENTERPRISE):
            return cast(str, extension.schema)
        case _:
            return urn


def _standard_schemas(listed: list[str], shape: Shape) -> list[str]:
    return list(dict.fromkeys(_standard(urn, shape) for urn in listed))


def standard_name(name: str, shape: Shape) -> str:
    """A key or path, with the standard's URN for that of a draft."""
    lowered = name.lower()
    for draft in sorted(_DRAFTS, key=len, reverse=True):
        standard = _standard(draft, shape)
        if standard == draft:
            continue
        if lowered == draft:
            return standard
        if lowered.startswith((f"{draft}:", f"{draft}.")):
            return standard + name[len(draft) :]
    return name


def colon_name(name: str, shape: Shape) -> str:
    """`urn:...:User.department` as the standard has it: `urn:...:User:department`."""
    lowered = name.lower()
    for urn in shape.schemas:
        if lowered.startswith(f"{urn}."):
            return f"{name[: len(urn)]}:{name[len(urn) + 1 :]}"
    return name


def renamed(found: Object, shape: Shape, rename: Callable[[str, Shape], str]) -> Object | None:
    """An object whose keys are renamed, unless two would then be one."""
    names = {name: rename(name, shape) for name in found}
    if all(old == new for old, new in names.items()):
        return None
    if len({new.lower() for new in names.values()}) < len(names):
        return None
    return {names[name]: value for name, value in found.items()}


def draft_resource(found: Object, shape: Shape) -> Object | None:
    schemas = in_schemas(_standard_schemas)(found, shape)
    names = renamed(schemas or found, shape, standard_name)
    return names or schemas


def _foreign(names: Iterable[str], shape: Shape) -> tuple[str, ...]:
    return tuple(name for name in names if _is_foreign(name, shape))


def _is_foreign(name: str, shape: Shape) -> bool:
    """Whether a key or path belongs to an extension that nobody here knows.

    What looks like a schema of ours, or ends in an attribute that matters, is no such thing but a
    mistake: it is left to be refused.
    """
    if not _FOREIGN.fullmatch(name) or shape.target(name) is not None:
        return False
    if any(name.lower().startswith(f"{urn}{mark}") for urn in shape.schemas for mark in ":."):
        return False
    return not _matters_as_schema(name, shape) and not _matters(re.split(r"[:.]", name)[-1])


def _matters_as_schema(urn: str, shape: Shape) -> bool:
    lowered = urn.lower()
    for candidate in (lowered, lowered.rpartition(":")[0]):
        if get_close_matches(candidate, shape.schemas, n=1, cutoff=_SAME_SCHEMA):
            return True
    return False


def _matters(name: str) -> bool:
    return bool(get_close_matches(name.lower(), _MATTER, n=1, cutoff=_ALIKE))


def foreign_extensions(found: Object, shape: Shape) -> tuple[str, ...]:
    """The extensions of a resource that nobody knows, if nothing in them can matter."""
    return tuple(
        name for name in _foreign(found, shape) if not any(map(_matters, _keys_in(found[name])))
    )


def _keys_in(value: Any) -> Iterator[str]:
    """The keys of every object in a value."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def without(
    drops: Callable[[Object, Shape], tuple[str, ...]],
) -> Callable[[Object, Shape], Object | None]:
    def rewrite(found: Object, shape: Shape) -> Object | None:
        dropped = frozenset(drops(found, shape))
        return {n: v for n, v in found.items() if n not in dropped} if dropped else None

    return rewrite


def password(found: Object, shape: Shape) -> tuple[str, ...]:
    # Only a user has one: that of a group is a mistake, and left to be refused.
    if shape.attribute("password") is None:
        return ()
    return tuple(name for name in found if name.lower() == "password")
