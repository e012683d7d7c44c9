"""Which resources does a filter mean? A plain evaluation of RFC 7644 section 3.4.2.2 over JSON.

It is written from the RFC and shares no code with any server, so that an answer can be held against
it. Where the RFC leaves a choice: ``ne`` on a multi-valued attribute means that no value equals,
an attribute without a value is unequal to every value, and a complex multi-valued attribute is
compared by its ``value``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Resource = Mapping[str, Any]

TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")
    |(?P<sign>[()\[\]])
    |(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.:-]))
    |(?P<word>(?:urn:[\w:.-]*:)?[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)?)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
COMPARISONS = {"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}
LITERALS = {"true": True, "false": False, "null": None}

# RFC 7643 sections 3.1, 7 and 8.7: what is compared as it is written. All else has no case.
CASE_EXACT = {
    "id",
    "externalid",
    "schemas",
    "meta.resourcetype",
    "meta.location",
    "meta.version",
    "profileurl",
    "photos.value",
    "members.value",
}
# Attributes whose values are times, whatever zone they are written in.
TIMES = {"meta.created", "meta.lastmodified"}
# Ordering means nothing for these, whatever they belong to.
BOOLEANS = {"active", "primary"}


class NoFilter(Exception):
    """The text is not a filter."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """An attribute by its lower-case names, and the schema if it is named."""

    names: tuple[str, ...]
    schema: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An attribute, an operator and a value; ``pr`` has none."""

    path: Path
    operator: str
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A filter on the values of a multi-valued attribute, in brackets."""

    path: Path
    inner: "Expression"


@dataclass(frozen=True, kw_only=True)
class Junction:
    """Terms of which every one (``and``) or any one (``or``) has to hold."""

    operator: str
    terms: tuple["Expression", ...]


@dataclass(frozen=True, kw_only=True)
class Negation:
    """What must not hold."""

    term: "Expression"


Expression = Comparison | Selection | Junction | Negation


def meant(text: str, resources: Mapping[str, Resource]) -> set[str]:
    """The keys of the resources that a filter means.

    :raises NoFilter: If the text is not one.
    """
    expression = parsed(text)
    return {key for key, resource in resources.items() if holds(expression, resource)}


def parsed(text: str) -> Expression:
    """The filter that a text is.

    :raises NoFilter: If it is none.
    """
    parser = _Parser(list(_tokens(text)))
    expression = parser.disjunction()
    parser.end()
    return expression


def holds(expression: Expression, resource: Resource) -> bool:
    """Whether a resource is as the expression says."""
    return _holds(expression, _lowered(resource), "")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise NoFilter(f"column {position + 1}")
        yield found.lastgroup, found[found.lastgroup]
        position = found.end()


class _Parser:
    """Reads an expression off the front of its tokens. ``and`` binds closer than ``or``."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def disjunction(self) -> Expression:
        return self._junction("or", self._conjunction)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise NoFilter(f"{self._tokens[self._at][1]} comes too late")

    def _conjunction(self) -> Expression:
        return self._junction("and", self._term)

    def _junction(self, operator: str, term: Any) -> Expression:
        terms = [term()]
        while self._takes("word", operator):
            terms.append(term())
        return terms[0] if len(terms) == 1 else Junction(operator=operator, terms=tuple(terms))

    def _term(self) -> Expression:
        if self._takes("word", "not"):
            self._must("sign", "(")
            return Negation(term=self._grouped(")"))
        if self._takes("sign", "("):
            return self._grouped(")")
        path = _path(self._must("word"))
        if self._takes("sign", "["):
            return Selection(path=path, inner=self._grouped("]"))
        return self._comparison(path)

    def _grouped(self, close: str) -> Expression:
        expression = self.disjunction()
        self._must("sign", close)
        return expression

    def _comparison(self, path: Path) -> Expression:
        operator = self._must("word").lower()
        if operator == "pr":
            return Comparison(path=path, operator=operator)
        if operator not in COMPARISONS:
            raise NoFilter(f"{operator} is no operator")
        value = self._value()
        if path.names[-1] in BOOLEANS and operator in {"gt", "ge", "lt", "le"}:
            raise NoFilter(f"{operator} means nothing for a boolean")
        return Comparison(path=path, operator=operator, value=value)

    def _value(self) -> Any:
        kind, token = self._next()
        if kind in {"text", "number"}:
            return json.loads(token)
        if kind == "word" and token in LITERALS:
            return LITERALS[token]
        raise NoFilter(f"{token} is no value")

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise NoFilter("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, kind: str, token: str) -> bool:
        if self._at < len(self._tokens):
            found, text = self._tokens[self._at]
            if found == kind and text.lower() == token:
                self._at += 1
                return True
        return False

    def _must(self, kind: str, token: str = "") -> str:
        found, text = self._next()
        if found != kind or (token and text != token):
            raise NoFilter(f"{text} instead of {token or kind}")
        return text


def _path(text: str) -> Path:
    schema, _, name = text.rpartition(":")
    return Path(names=tuple(name.lower().split(".")), schema=schema.lower())


def _lowered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name.lower(): _lowered(member) for name, member in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value


def _holds(expression: Expression, node: Any, within: str) -> bool:
    match expression:
        case Comparison():
            return _compared(expression, node, within)
        case Selection(path=path, inner=inner):
            name = ".".join(path.names)
            values = [one for one in _several(_reached(node, path)) if one is not None]
            return any(_holds(inner, value, name) for value in values)
        case Junction(operator=operator, terms=terms):
            found = (_holds(term, node, within) for term in terms)
            return all(found) if operator == "and" else any(found)
        case Negation(term=term):
            return not _holds(term, node, within)


def _compared(comparison: Comparison, node: Any, within: str) -> bool:
    name = ".".join(filter(None, [within, *comparison.path.names]))
    values = [value for value in _several(_reached(node, comparison.path)) if value is not None]
    if comparison.operator == "pr":
        return any(_present(value) for value in values)
    plain = [_default(value) for value in values]
    if comparison.operator == "ne":
        return not any(_matches("eq", name, value, comparison.value) for value in plain)
    if comparison.value is None:
        return comparison.operator == "eq" and not plain
    return any(_matches(comparison.operator, name, value, comparison.value) for value in plain)


def _reached(node: Any, path: Path) -> Any:
    """What stands at a path. Attributes of the core schema stand at the top, others in theirs."""
    if isinstance(node, str):
        return node if path.names == ("value",) else None
    if path.schema and ":extension:" in path.schema:
        node = node.get(path.schema) or {}
    for name in path.names:
        if isinstance(node, list):
            node = [item.get(name) for item in node if isinstance(item, dict)]
        else:
            node = node.get(name) if isinstance(node, dict) else None
    return node


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _present(value: Any) -> bool:
    """RFC 7644: "a non-empty or non-null value, or a non-empty node for complex attributes"."""
    if isinstance(value, dict):
        return any(_present(member) for member in value.values())
    if isinstance(value, list):
        return any(_present(item) for item in value)
    return value is not None and value != ""


def _default(value: Any) -> Any:
    return value.get("value") if isinstance(value, dict) else value


def _matches(operator: str, name: str, value: Any, operand: Any) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool):
        return operator == "eq" and value is operand
    if not isinstance(value, str) or not isinstance(operand, str):
        return operator == "eq" and value == operand
    left, right = _comparable(name, value), _comparable(name, operand)
    match operator:
        case "eq":
            return bool(left == right)
        case "co":
            return right in left
        case "sw":
            return bool(left.startswith(right))
        case "ew":
            return bool(left.endswith(right))
        case "gt":
            return bool(left > right)
        case "ge":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
        case _:
            return bool(left <= right)


def _comparable(name: str, text: str) -> Any:
    if name in TIMES:
        return datetime.fromisoformat(text)
    return text if name in CASE_EXACT else text.casefold()
