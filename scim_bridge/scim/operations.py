"""How does a PATCH that clients send become what the standards have? Its operations, one by one.

The names in an operation have no case. A function that is given an operation returns those that
take its place; None: there is nothing to correct.
"""

import re
from collections.abc import Callable
from typing import Any, cast

from scim_bridge.scim.corrections import (
    Object,
    colon_name,
    foreign_extensions,
    password,
    renamed,
    standard_name,
)
from scim_bridge.scim.filter_texts import compared_truth
from scim_bridge.scim.shape import Shape

Operations = list[Any]

_BRACKETS = re.compile(r"\[(.*)\]", re.S)


def each_operation(
    change: Callable[[Object, Shape], list[Object] | None],
) -> Callable[[Object, Shape], Object | None]:
    """A rewrite of the operations one by one. None leaves an operation as it is."""

    def rewrite(patch: Object, shape: Shape) -> Object | None:
        key, operations = operations_of(patch)
        new: Operations = []
        applied = False
        for operation in operations:
            changed = change(operation, shape) if isinstance(operation, dict) else None
            applied = applied or changed is not None
            new += [operation] if changed is None else changed
        return {**patch, cast(str, key): new} if applied else None

    return rewrite


def operations_of(patch: Object) -> tuple[str | None, Operations]:
    """The operations of a message, and their name as it is written."""
    for name, value in patch.items():
        if name.lower() == "operations" and isinstance(value, list):
            return name, value
    return None, []


def member(operation: Object, name: str) -> tuple[str, Any]:
    """A member of an operation, with its name as it is written."""
    return next(((n, v) for n, v in operation.items() if n.lower() == name), (name, None))


def lower_op(operation: Object, _shape: Shape) -> list[Object] | None:
    key, op = member(operation, "op")
    if (
        not isinstance(op, str)
        or op.lower() == op
        or op.lower() not in ("add", "remove", "replace")
    ):
        return None
    return [{**operation, key: op.lower()}]


def renamed_paths(
    operation: Object, shape: Shape, *, rename: Callable[[str, Shape], str]
) -> list[Object] | None:
    (path_key, path), (value_key, value) = member(operation, "path"), member(operation, "value")
    new = dict(operation)
    if isinstance(path, str):
        new[path_key] = rename(path, shape)
    elif isinstance(value, dict):
        new[value_key] = renamed(value, shape, rename) or value
    return [new] if new != operation else None


def separated(operation: Object, shape: Shape) -> list[Object] | None:
    """An operation on a whole schema with paths as keys, as one operation for each path."""
    (path_key, path), (key, value) = member(operation, "path"), member(operation, "value")
    # The schema may be named as a draft of the standard named it.
    named = colon_name(standard_name(str(path), shape), shape).lower()
    holder = shape if path is None else shape.schemas.get(named)
    if holder is None or not isinstance(value, dict) or is_removal(operation):
        return None
    paths = {name: item for name, item in value.items() if _is_path(name, holder)}
    if not paths:
        return None
    plain = {name: item for name, item in value.items() if name not in paths}
    rest = [{**operation, key: plain}] if plain else []
    return rest + [
        {**operation, path_key: _qualified(path, name, shape), key: item}
        for name, item in paths.items()
    ]


def _qualified(schema: str | None, name: str, shape: Shape) -> str:
    """A key as a path: of this schema, unless it names a schema itself."""
    meant = colon_name(standard_name(name, shape), shape).lower()
    if schema is None or meant.startswith(tuple(f"{urn}:" for urn in shape.schemas)):
        return name
    return f"{schema}:{name}"


def _is_path(name: str, shape: Shape) -> bool:
    """Whether a key is a path: not the name of an attribute, nor a schema's whole URN."""
    name = colon_name(standard_name(name, shape), shape)
    if shape.attribute(name) is not None or not re.search(r"[.:\[]", name):
        return False
    target = shape.target(name)
    return target is not None and target.attribute is not None


def without_paths(found: Object, shape: Shape) -> Object | None:
    kept = {name: item for name, item in found.items() if not _is_path(name, shape)}
    return kept if len(kept) < len(found) else None


def is_removal(operation: Object) -> bool:
    return str(member(operation, "op")[1]).lower() == "remove"


def naming_values(operation: Object, _shape: Shape) -> list[Object] | None:
    named = is_removal(operation) and isinstance(member(operation, "value")[1], dict | list)
    # Left as it is: the policy of scim2-models, and what reads members, go by the value.
    return [operation] if named else None


def filtered_truth(operation: Object, shape: Shape) -> list[Object] | None:
    key, path = member(operation, "path")
    if not isinstance(path, str) or "[" not in path:
        return None
    target = shape.target(re.sub(r"\].*", "]", path, flags=re.S))
    entries = target.attribute.shape if target and target.attribute else None
    if entries is None:
        return None
    new = _BRACKETS.sub(lambda found: f"[{compared_truth(found[1], entries)}]", path)
    return [{**operation, key: new}] if new != path else None


def foreign_paths(patch: Object, shape: Shape) -> tuple[str, ...]:
    return tuple(
        name
        for operation in operations_of(patch)[1]
        if isinstance(operation, dict)
        for name in foreign_in(operation, shape)
    )


def foreign_in(operation: Object, shape: Shape) -> tuple[str, ...]:
    (_, path), (_, value) = member(operation, "path"), member(operation, "value")
    if isinstance(path, str):
        return foreign_extensions({path: value}, shape)
    return foreign_extensions(value, shape) if isinstance(value, dict) else ()


def password_in(operation: Object, shape: Shape) -> tuple[str, ...]:
    (_, path), (_, value) = member(operation, "path"), member(operation, "value")
    if isinstance(path, str):
        target = shape.target(path)
        named = target is not None and target.shape is shape and target.attribute
        return (path,) if named and named.name == "password" else ()
    return password(value, shape) if isinstance(value, dict) else ()


def password_paths(patch: Object, shape: Shape) -> tuple[str, ...]:
    return tuple(
        name
        for operation in operations_of(patch)[1]
        if isinstance(operation, dict)
        for name in password_in(operation, shape)
    )


def without_in(
    operation: Object, shape: Shape, *, drops: Callable[[Object, Shape], tuple[str, ...]]
) -> list[Object] | None:
    dropped = frozenset(drops(operation, shape))
    if not dropped:
        return None
    (path_key, path), (key, value) = member(operation, "path"), member(operation, "value")
    if path is not None:
        # An operation that changes nothing: a PATCH needs at least one.
        op_key, _ = member(operation, "op")
        rest = {n: v for n, v in operation.items() if n not in (path_key, key)}
        return [{**rest, op_key: "add", key: {}}]
    return [{**operation, key: {n: v for n, v in value.items() if n not in dropped}}]
