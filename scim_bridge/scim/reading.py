"""What does a client mean by what it sent? The rules of its dialect, applied where they belong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from scim2_models import BulkRequest, PatchOp, SearchRequest

from scim_bridge.scim.corrections import Object
from scim_bridge.scim.dialect import Dialect, Rule, Where
from scim_bridge.scim.operations import is_removal, member, operations_of
from scim_bridge.scim.shape import Attribute, Shape

# Members are many, and are read by `scim_bridge.scim.members` in every form that clients use.
_NOT_ENTERED = frozenset({"members"})

# The messages of RFC 7644 that clients send, by their schemas.
_PATCH, _BULK, _SEARCH = (
    Shape(schema=str(message.__schema__), attributes={}, extensions={})
    for message in (PatchOp, BulkRequest, SearchRequest)
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a dialect does not let pass."""

    rule: Rule
    # The name of what it is about. Empty: all that was sent.
    name: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A payload as the standards have it, and what was done to it."""

    payload: Any
    # The names of the rules that applied.
    used: frozenset[str] = frozenset()
    # What nothing can take and was left out, by name.
    dropped: tuple[str, ...] = ()
    # The rules that would apply if the dialect did not refuse what they are about.
    refused: tuple[Refusal, ...] = ()
    # The operations of a Bulk request, each read by itself.
    operations: tuple["Reading", ...] = ()


@dataclass(kw_only=True)
class _Reader:
    """Applies rules, and remembers which did."""

    dialect: Dialect
    used: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def done(self, payload: Any) -> Reading:
        return Reading(
            payload=payload,
            used=frozenset(self.used),
            dropped=tuple(dict.fromkeys(self.dropped)),
            refused=tuple(self.refused),
        )

    def applied(self, rules: Iterable[Rule], found: Any, shape: Shape) -> Any:
        for rule in rules:
            new = rule.rewrite(found, shape) if rule.rewrite else None
            if new is not None and rule in self.dialect.refused:
                self.refused.append(Refusal(rule=rule, name=_changed(found, new)))
            elif new is not None:
                self.dropped += rule.drops(found, shape) if rule.drops else ()
                self.used.add(rule.name)
                found = new
        return found

    def walked(self, found: Any, shape: Shape, rules: tuple[Rule, ...]) -> Any:
        """An object with the rules applied to it and to every object in it."""
        if not isinstance(found, dict):
            return found
        found = self.applied(rules, found, shape)
        inner = {
            name: self.entered(value, attribute, rules)
            for name, value in found.items()
            if (attribute := shape.attribute(name)) and attribute.shape
        }
        return {**found, **inner}

    def entered(self, value: Any, attribute: Attribute, rules: tuple[Rule, ...]) -> Any:
        if attribute.name in _NOT_ENTERED:
            return value
        shape = cast(Shape, attribute.shape)
        if isinstance(value, list):
            return [self.walked(entry, shape, rules) for entry in value]
        return self.walked(value, shape, rules)


def read_resource(payload: Any, shape: Shape, dialect: Dialect) -> Reading:
    """The body that creates or replaces a resource."""
    if _is_plain_resource(payload, shape):
        return Reading(payload=payload)
    reader = _Reader(dialect=dialect)
    if isinstance(payload, dict):
        payload = reader.applied(dialect.at(Where.RESOURCE), payload, shape)
        payload = reader.walked(payload, shape, dialect.at(Where.OBJECT))
    return reader.done(payload)


def _is_plain_resource(payload: Any, shape: Shape) -> bool:
    """Whether a body is written as the schemas have it, so that no rule of any dialect is about it.

    Most bodies are, and looking for each deviation in turn takes many times as long.
    """
    if not isinstance(payload, dict) or "password" in payload:
        return False
    listed = payload.get("schemas")
    if not isinstance(listed, list) or not listed:
        return False
    known = (shape.schema, *(extension.schema for extension in shape.extensions.values()))
    rest = {name: value for name, value in payload.items() if name != "schemas"}
    return all(urn in known for urn in listed) and _is_plain(rest, shape)


def _is_plain(found: Any, shape: Shape) -> bool:
    """Whether an object has the names of its schema, and values of their kinds."""
    attributes = shape.as_written
    return isinstance(found, dict) and all(
        (attribute := attributes.get(name)) is not None and _is_plain_value(value, attribute)
        for name, value in found.items()
    )


def _is_plain_value(value: Any, attribute: Attribute) -> bool:
    if attribute.several:
        return isinstance(value, list) and _are_plain(value, attribute)
    if attribute.shape is not None:
        return _is_plain(value, attribute.shape)
    if attribute.boolean:
        return isinstance(value, bool)
    return isinstance(value, str) and value != ""


def _are_plain(entries: list[Any], attribute: Attribute) -> bool:
    shape = attribute.shape
    if shape is None or attribute.name in _NOT_ENTERED:
        return True
    return all(_is_plain(entry, shape) for entry in entries)


def read_patch(payload: Any, shape: Shape, dialect: Dialect) -> Reading:
    """The body of a PATCH."""
    reader = _Reader(dialect=dialect)
    if isinstance(payload, dict):
        payload = reader.applied(dialect.at(Where.MESSAGE), payload, _PATCH)
        payload = reader.applied(dialect.at(Where.PATCH), payload, shape)
        key, operations = operations_of(payload)
        if key is not None:
            read = [_read_operation(reader, operation, shape) for operation in operations]
            payload = {**payload, key: read}
    return reader.done(payload)


def read_bulk(payload: Any, shapes: Mapping[str, Shape], dialect: Dialect) -> Reading:
    """The body of a Bulk request.

    `shapes`: by endpoint, in lower case, since endpoints have no case.
    """
    reader = _Reader(dialect=dialect)
    if not isinstance(payload, dict):
        return reader.done(payload)
    payload = reader.applied(dialect.at(Where.MESSAGE), payload, _BULK)
    key, listed = operations_of(payload)
    operations = tuple(read_bulk_operation(one, shapes, dialect) for one in listed)
    if key is not None:
        payload = {**payload, key: [one.payload for one in operations]}
    return replace(reader.done(payload), operations=operations)


def read_search(payload: Any, dialect: Dialect) -> Reading:
    """The body of a search by POST, without its filter."""
    if not isinstance(payload, dict):
        return Reading(payload=payload)
    reader = _Reader(dialect=dialect)
    return reader.done(reader.applied(dialect.at(Where.MESSAGE), payload, _SEARCH))


def read_filter(expression: str, shape: Shape, dialect: Dialect) -> Reading:
    """The filter of a search."""
    reader = _Reader(dialect=dialect)
    return reader.done(reader.applied(dialect.at(Where.FILTER), expression, shape))


def read_bulk_operation(operation: Any, shapes: Mapping[str, Shape], dialect: Dialect) -> Reading:
    if not isinstance(operation, dict):
        return Reading(payload=operation)
    (_, method), (_, path) = member(operation, "method"), member(operation, "path")
    key, data = member(operation, "data")
    shape = shapes.get(str(path).lstrip("/").partition("/")[0].lower())
    if shape is None or not isinstance(data, dict):
        return Reading(payload=operation)
    read: Callable[[Any, Shape, Dialect], Reading] = (
        read_patch if str(method).upper() == "PATCH" else read_resource
    )
    reading = read(data, shape, dialect)
    return replace(reading, payload={**operation, key: reading.payload})


def _read_operation(reader: _Reader, operation: Any, shape: Shape) -> Any:
    if not isinstance(operation, dict):
        return operation
    (_, path), (key, value) = member(operation, "path"), member(operation, "value")
    target = shape.target(path or "") if path is None or isinstance(path, str) else None
    # What a remove names is compared, not set.
    if target is None or key not in operation or is_removal(operation):
        return operation
    if target.attribute is None:
        return {**operation, key: reader.walked(value, target.shape, _within(reader))}
    if target.filtered:
        return {**operation, key: _entered(reader, value, target.attribute)}
    if target.attribute.several and isinstance(value, dict) and _adds(operation):
        # RFC 7644, section 3.5.2.1: what is added to a list may be the one value itself.
        value = [value]
    return _with_value(operation, _read_value(reader, value, target.shape, target.attribute))


def _read_value(reader: _Reader, value: Any, holder: Shape, attribute: Attribute) -> Any:
    """The value of an operation whose path leads to an attribute."""
    alone = replace(holder, attributes={attribute.name.lower(): attribute}, extensions={})
    found = reader.applied(reader.dialect.at(Where.VALUE), {attribute.name: value}, alone)
    return _entered(reader, found[attribute.name], attribute)


def _entered(reader: _Reader, value: Any, attribute: Attribute) -> Any:
    return reader.entered(value, attribute, _within(reader)) if attribute.shape else value


def _within(reader: _Reader) -> tuple[Rule, ...]:
    return reader.dialect.at(Where.VALUE) + reader.dialect.at(Where.WITHIN)


def _with_value(operation: Object, value: Any) -> Object:
    (op_key, _), (key, before) = member(operation, "op"), member(operation, "value")
    if value is None and before is not None and _adds(operation):
        # To add nothing is refused; what is meant is that nothing is left.
        return {**operation, op_key: "replace", key: None}
    return {**operation, key: value}


def _adds(operation: Object) -> bool:
    return str(member(operation, "op")[1]).lower() == "add"


def _changed(before: Any, after: Any) -> str:
    """The first name of an object whose value a rule would change."""
    if not isinstance(before, dict):
        return ""
    return next((n for n in {**before, **after} if before.get(n) is not after.get(n)), "")
