r"""What does a PATCH request ask for, and what does one operation do to a resource?

The forms are those of the AWS SCIM developer guide, PatchUser and PatchGroup: `op` is add, replace
or remove; `path` is an attribute, a sub-attribute, an attribute of the enterprise extension or a
value filter with `eq`; without `path` an add or replace may carry one attribute. `op` counts in
lower case only, as the guide writes it, and attribute names count as written.
[inferred, the stricter reading]
"""

import re
from dataclasses import dataclass
from typing import Any

from scim_bridge.sandbox.filters import parse_value
from scim_bridge.sandbox.refusals import PATHLESS, Invalid

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_OPS = ("add", "replace", "remove")
_KEYS = {"op", "path", "value"}
_EXTENSION = re.compile(r"(?P<extension>urn:[^ \[\]]+:User)(?::(?P<rest>[A-Za-z.$]+))?")
_PATH = re.compile(
    r"(?P<attribute>[A-Za-z]+)"
    r'(?:\[(?P<key>[A-Za-z]+) eq (?P<value>"(?:[^"\\]|\\.)*"|true|false)\])?'
    r"(?:\.(?P<sub>[A-Za-z]+))?"
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation on one attribute."""

    op: str
    # From the attribute inwards, such as ("name", "givenName").
    steps: tuple[str, ...]
    # The sub-attribute and its value that a value filter asks for, such as ("type", "work").
    where: tuple[str, object] | None = None
    value: Any = None

    @property
    def attribute(self) -> str:
        return self.steps[0]


@dataclass(frozen=True, kw_only=True)
class Patch:
    """The operations of one request, in order."""

    operations: tuple[Operation, ...]


def parse_patch(body: object) -> Patch:
    """The operations that `body` spells; raises Invalid for any form AWS does not support."""
    if not isinstance(body, dict) or body.keys() - {"schemas", "Operations"}:
        raise Invalid("the body must be an object with schemas and Operations")
    if body.get("schemas") != [PATCH_OP]:
        raise Invalid(f"schemas: must be [{PATCH_OP}]")
    operations = body.get("Operations")
    if not isinstance(operations, list) or not operations:
        raise Invalid("Operations: must be a list of at least one operation")
    return Patch(operations=tuple(_operation(operation) for operation in operations))


def apply(operation: Operation, target: dict[str, Any], *, multi_valued: frozenset[str]) -> None:
    """Do one operation to `target`; raises Invalid where the path does not fit what is there."""
    if operation.attribute in multi_valued:
        _apply_to_values(operation, target)
    elif operation.where is not None:
        raise Invalid(f"{operation.attribute}: only a multi-valued attribute takes a value filter")
    elif operation.op == "remove":
        _remove(target, operation.steps)
    else:
        _set(target, operation.steps, operation.value)


def _operation(given: object) -> Operation:
    if not isinstance(given, dict) or given.keys() - _KEYS:
        raise Invalid("Operations: each must be an object with op, path and value")
    op, path, value = given.get("op"), given.get("path"), given.get("value")
    if op not in _OPS:
        raise Invalid(f"op: must be add, replace or remove in lower case, not {op!r}")
    if op != "remove" and value is None:
        raise Invalid(f"value: {op} needs one")
    if path is None:
        return _without_path(op, value)
    return _with_path(op, path, value)


def _without_path(op: str, value: object) -> Operation:
    """The guide has one example with two keys: `id` beside the displayName of a group."""
    if op == "remove" or not isinstance(value, dict):
        raise Invalid("path: is required for remove, and where value is not an object")
    attributes = {name: inner for name, inner in value.items() if name != "id"}
    if len(attributes) != 1:
        raise Invalid(f"value: {len(attributes)} attributes without a path", detail=PATHLESS)
    [(name, inner)] = attributes.items()
    if inner is None:
        raise Invalid(f"{name}: {op} needs a value")
    return Operation(op=op, steps=(name,), value=inner)


def _with_path(op: str, path: object, value: object) -> Operation:
    if not isinstance(path, str):
        raise Invalid("path: must be a string")
    if extension := _EXTENSION.fullmatch(path):
        rest = extension["rest"]
        steps = (extension["extension"], *(rest.split(".") if rest else ()))
        return Operation(op=op, steps=steps, value=value)
    match = _PATH.fullmatch(path)
    if match is None:
        raise Invalid(f"path: {path!r} is not supported")
    steps = (match["attribute"], match["sub"]) if match["sub"] else (match["attribute"],)
    where = (match["key"], _filter_value(match["value"])) if match["key"] else None
    return Operation(op=op, steps=steps, where=where, value=value)


def _filter_value(text: str) -> object:
    return text == "true" if text in ("true", "false") else parse_value(text)


def _apply_to_values(operation: Operation, target: dict[str, Any]) -> None:
    name, where = operation.attribute, operation.where
    values: list[Any] = target.get(name, [])
    if where is None:
        target[name] = _values_after(operation, values)
        return
    key, wanted = where
    fitting = (one for one in values if isinstance(one, dict) and one.get(key) == wanted)
    chosen = next(fitting, None)
    # RFC 7644 section 3.5.2 calls this noTarget; that AWS refuses an add as well is [inferred].
    if chosen is None:
        raise Invalid(f"{name}: no value has {key} eq {wanted!r}")
    others = [value for value in values if value is not chosen]
    target[name] = others + _chosen_after(operation, chosen)


def _values_after(operation: Operation, values: list[Any]) -> list[Any]:
    if len(operation.steps) > 1:
        raise Invalid(f"{operation.attribute}: a path into its values needs a value filter")
    given = operation.value if isinstance(operation.value, list) else [operation.value]
    match operation.op:
        case "remove":
            return []
        case "replace":
            return given
        case _:
            return values + [value for value in given if value not in values]


def _chosen_after(operation: Operation, chosen: dict[str, Any]) -> list[Any]:
    sub = operation.steps[1:]
    if not sub:
        return [] if operation.op == "remove" else [_merged(chosen, operation.value)]
    after = {name: value for name, value in chosen.items() if name != sub[0]}
    return [after] if operation.op == "remove" else [{**after, sub[0]: operation.value}]


def _set(target: dict[str, Any], steps: tuple[str, ...], value: object) -> None:
    first, *rest = steps
    if not rest:
        target[first] = _merged(target.get(first), value)
        return
    inner = target.setdefault(first, {})
    if not isinstance(inner, dict):
        raise Invalid(f"{first}: has no sub-attributes")
    _set(inner, tuple(rest), value)


def _merged(present: object, value: object) -> object:
    """RFC 7644 section 3.5.2.3: sub-attributes that `value` does not name stay as they are."""
    if not isinstance(present, dict) or not isinstance(value, dict):
        return value
    return {**present, **{name: _merged(present.get(name), inner) for name, inner in value.items()}}


def _remove(target: dict[str, Any], steps: tuple[str, ...]) -> None:
    """Removing what is not there changes nothing. [inferred]"""
    first, *rest = steps
    if not rest:
        target.pop(first, None)
    elif isinstance(target.get(first), dict):
        _remove(target[first], tuple(rest))
