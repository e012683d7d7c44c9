"""Whom does a rule mean? A SCIM filter, made ready to be asked of thousands of documents.

The grammar and the meaning are those of the API (RFC 7644, section 3.4.2.2): the same parser, the
same attributes, the same comparison. It is compiled once, so that asking costs microseconds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from scim2_models import BaseModel, InvalidFilterException, Resource, ScimFilter
from scim2_models.path import (
    AttributeBinding,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Path,
    Present,
    ValuePath,
    coerce_value,
)

# A user as JSON, as the directory keeps it.
Document = Mapping[str, Any]
Test = Callable[[Any], bool]

# What a document does not hold, or what would make a rule depend on what rules give.
_NOT_HERE = frozenset({"id", "meta", "groups", "password", "schemas"})
_OWN_SCHEMA = "urn:ietf:params:scim:schemas:extension:scimbridge:"


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """An attribute of a document: the schema of its extension, or "", and its name."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}:{self.name}" if self.schema else self.name

    def of(self, document: Document) -> Any:
        """What stands there. None: nothing does."""
        if self.schema:
            document = document.get(self.schema) or {}
        return document.get(self.name)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A filter over users."""

    text: str
    # What it looks at, each once.
    attributes: tuple[Attribute, ...]
    holds: Test = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A single value of a document, by a path such as ``title`` or ``…:User:costCenter``."""

    text: str
    attribute: Attribute
    of: Callable[[Document], Any] = field(compare=False, repr=False)


def condition(text: str, model: type[Resource[Any]]) -> Condition:
    """The condition that a filter is, over resources of a model.

    Raises `ValueError` saying what is wrong with it.
    """
    try:
        bound = _bound(model, text)
        compiler = _Compiler(bound)
        holds = compiler.visit(bound.ast)
    except InvalidFilterException as error:
        raise ValueError(f"is no SCIM filter over users: {error.detail}") from error
    return Condition(text=text, attributes=tuple(compiler.attributes), holds=holds)


def reading(text: str, model: type[Resource[Any]]) -> Reading:
    """The attribute that a path means, of resources of a model.

    Raises `ValueError` saying what is wrong with it.
    """
    try:
        binding = Path[model](text).resolve()  # type: ignore[valid-type]
    except Exception as error:
        raise ValueError(f"is no attribute of users: {getattr(error, 'detail', error)}") from error
    if binding is None or binding.is_multivalued:
        raise ValueError("must be an attribute that holds a single value")
    attribute = _attribute(binding)
    return Reading(text=text, attribute=attribute, of=_reach(attribute, _sub_name(binding)))


def _bound(model: type[BaseModel], filter_: Any) -> ScimFilter[Any]:
    return cast("ScimFilter[Any]", cast(Any, ScimFilter)[model](filter_))


class _Compiler(FilterVisitor[Test]):
    """Makes one function of a filter. Raises `InvalidFilterException` for what cannot be asked.

    `inside`: the filter is one over the entries of a multi-valued attribute.
    """

    def __init__(self, bound: ScimFilter[Any], *, inside: bool = False) -> None:
        self._bound = bound
        self._inside = inside
        self.attributes: dict[Attribute, None] = {}

    def visit_comparison(self, node: Comparison) -> Test:
        binding = self._bound.resolve_comparison(node.attr_path, strict=True)
        read = self._read(node.attr_path, binding)
        _refuse_untold(binding)
        expected = _comparable(binding, coerce_value(cast(Any, binding), node.value, node.op))
        compare = _OPERATORS[node.op]

        def matches(value: Any) -> bool:
            if value is None or expected is None:
                return _with_nothing(value, expected, node.op)
            return compare(_comparable(binding, value), expected)

        if node.op == CompareOperator.ne:
            return lambda document: all(map(matches, _values(read(document))))
        return lambda document: any(map(matches, _values(read(document))))

    def visit_present(self, node: Present) -> Test:
        read = self._read(node.attr_path, self._bound.resolve(node.attr_path, strict=True))
        return lambda document: _is_present(read(document))

    def visit_not(self, node: Not) -> Test:
        test = self.visit(node.expr)
        return lambda document: not test(document)

    def visit_logical_expr(self, node: LogicalExpr) -> Test:
        tests = [self.visit(term) for term in node.terms]
        if node.op == LogicalOperator.and_:
            return lambda document: all(test(document) for test in tests)
        return lambda document: any(test(document) for test in tests)

    def visit_value_path(self, node: ValuePath) -> Test:
        binding = cast(AttributeBinding, self._bound.resolve(node.attr_path, strict=True))
        read = self._read(node.attr_path, binding)
        entry = binding.field_type
        if not (isinstance(entry, type) and issubclass(entry, BaseModel)):
            raise InvalidFilterException(detail=f"{node.attr_path} has no entries with attributes")
        inner = _bound(entry, node.val_filter)
        test = _Compiler(inner, inside=True).visit(inner.ast)
        return lambda document: any(map(test, read(document) or ()))

    def _read(self, path: AttrPath, binding: AttributeBinding | None) -> Callable[[Any], Any]:
        if binding is None:
            raise InvalidFilterException(detail=f"{path} is no attribute of users")
        attribute = _attribute(binding)
        if not self._inside:
            if attribute.name in _NOT_HERE or attribute.schema.startswith(_OWN_SCHEMA):
                raise InvalidFilterException(
                    detail=f"{path}: a rule cannot depend on it, only on what is known of a person"
                )
            self.attributes[attribute] = None
        return _reach(attribute, _sub_name(binding))


def _attribute(binding: AttributeBinding) -> Attribute:
    schema = str(getattr(binding.model, "__schema__", "") or "")
    return Attribute(
        schema=schema if ":extension:" in schema else "",
        name=_name(binding.model, binding.field_name),
    )


def _sub_name(binding: AttributeBinding) -> str:
    if binding.sub_field_name is None:
        return ""
    return _name(cast("type[BaseModel]", binding.field_type), binding.sub_field_name)


def _name(model: type[BaseModel], field_name: str) -> str:
    return model.model_fields[field_name].serialization_alias or field_name


def _reach(attribute: Attribute, sub_name: str) -> Callable[[Document], Any]:
    """How a value is read; of entries, the list of their values."""
    if not sub_name:
        return attribute.of

    def read(document: Document) -> Any:
        head = attribute.of(document)
        if isinstance(head, list):
            return [entry.get(sub_name) for entry in head if entry is not None]
        return None if head is None else head.get(sub_name)

    return read


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    else:
        yield value


def _refuse_untold(binding: AttributeBinding | None) -> None:
    """Refuse what a document holds in another form than it is compared in."""
    declared = binding.target_type if binding else None
    if not (isinstance(declared, type) and issubclass(declared, str | bool | int | float)):
        raise InvalidFilterException(
            detail=f"{binding.urn if binding else 'it'} cannot be compared by a rule"
        )


def _comparable(binding: AttributeBinding | None, value: Any) -> Any:
    return value if binding is None else binding.comparable(value)


def _with_nothing(actual: Any, expected: Any, operator: CompareOperator) -> bool:
    """What holds where there is no value, or none is asked for."""
    if operator == CompareOperator.eq:
        return actual is None and expected is None
    return operator == CompareOperator.ne and (actual is None) != (expected is None)


def _of_texts(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        return isinstance(left, str) and isinstance(right, str) and compare(left, right)

    return apply


def _of_order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        try:
            return bool(compare(left, right))
        except TypeError:
            return False

    return apply


_OPERATORS: Mapping[CompareOperator, Callable[[Any, Any], bool]] = {
    CompareOperator.eq: lambda left, right: bool(left == right),
    CompareOperator.ne: lambda left, right: bool(left != right),
    CompareOperator.co: _of_texts(lambda left, right: right in left),
    CompareOperator.sw: _of_texts(lambda left, right: left.startswith(right)),
    CompareOperator.ew: _of_texts(lambda left, right: left.endswith(right)),
    CompareOperator.gt: _of_order(lambda left, right: left > right),
    CompareOperator.ge: _of_order(lambda left, right: left >= right),
    CompareOperator.lt: _of_order(lambda left, right: left < right),
    CompareOperator.le: _of_order(lambda left, right: left <= right),
}


def _is_present(value: Any) -> bool:
    """RFC 7644, section 3.4.2.2: "a non-empty or non-null value", or a node that is not empty."""
    match value:
        case None | "":
            return False
        case dict():
            return any(map(_is_present, value.values()))
        case list():
            return any(map(_is_present, value))
        case _:
            return True
