"""What is a client told about a value that does not fit? In the words of SCIM and JSON."""

import re
from collections.abc import Mapping
from typing import Any

from scim2_models import EnterpriseUser, Error, InvalidFilterException

_UNKNOWN = "Field not found: "
_UNDECLARED = re.compile(
    r"'(?P<name>.+)' is not (?:an attribute of the schema|declared by the resource schema)", re.S
)
_NO_MATCH = re.compile(r"no value of '(?P<field>\w+)' matches the path filter")
_NO_SYNTAX = "invalid syntax"
# What has a filter, or is a path.
_EXPRESSIONS = frozenset({"scim_invalidFilter", "scim_invalidPath"})
_ENTERPRISE = frozenset(name.lower() for name in EnterpriseUser.__scim_info__.alias_to_field)
# What a value must be, by what pydantic calls its absence.
_MUST_BE = {
    "not_boolean": "true or false",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_GIVEN = (
    (bool, "true or false"),
    (int | float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
)


# A value in single quotes, where it is not within a string.
_SINGLE_QUOTED = re.compile(
    r'"(?:[^"\\]|\\.)*"|\b(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+(?P<quote>\')', re.I | re.S
)
# The signs of other languages, where they are not within a string.
_SIGN = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<sign>[!=<>]+)', re.S)
_OPERATORS = {"=": "eq", "==": "eq", "!=": "ne", "<>": "ne"}
_WITH_SLASHES = re.compile(r"/\w+(/\w+)?")


def problem(found: Mapping[str, Any]) -> Error:
    """The SCIM error of one problem that a validation found."""
    error = Error.from_validation_error(found)
    said = found["msg"]
    # The problems that scim2-models names itself are in its words.
    if found["type"].startswith("scim_"):
        given = found["input"]
        if found["type"] in _EXPRESSIONS and _has_single_quotes(given):
            return _double_quotes_needed()
        error.detail = detail(error.detail or "")
        if error.detail.startswith(_NO_SYNTAX) and isinstance(given, str):
            error.detail += _remedy(given)
        return error
    path = (error.detail or "").removeprefix(said).removeprefix(": ")
    if found["type"] != "extra_forbidden":
        path = _as_in_json(path)
    error.detail = ": ".join(filter(None, (path, _words(found))))
    return error


def detail(text: str) -> str:
    """What scim2-models says of a request, where it speaks of its own fields."""
    if text.startswith(_UNKNOWN):
        return f"there is no attribute {text.removeprefix(_UNKNOWN)}"
    if undeclared := _UNDECLARED.fullmatch(text):
        return f"{undeclared['name']}: there is no such attribute{_meant(undeclared['name'])}"
    if unmatched := _NO_MATCH.fullmatch(text):
        return f"no value of {_as_in_json(unmatched['field'])} matches the path filter"
    return text


def _meant(name: str) -> str:
    """Which attribute of the enterprise extension may be meant."""
    if re.split(r"[.\[]", name)[0].lower() not in _ENTERPRISE:
        return ""
    return f"; a user's is {EnterpriseUser.__schema__}:{name}"


def _remedy(given: str) -> str:
    """What to write instead of a filter or path that is none, where that is known."""
    if not given.strip():
        return ": it is empty. Leave it out instead"
    if _WITH_SLASHES.fullmatch(given):
        return f": write {given.strip('/').replace('/', '.')}, without a slash"
    signs = (found["sign"] for found in _SIGN.finditer(given))
    operator = next((_OPERATORS[sign] for sign in signs if sign in _OPERATORS), None)
    return f": use {operator}" if operator else ""


def _has_single_quotes(given: Any) -> bool:
    """Whether a filter, or a path with one, compares with something in single quotes."""
    return isinstance(given, str) and any(one["quote"] for one in _SINGLE_QUOTED.finditer(given))


def _double_quotes_needed() -> Error:
    return InvalidFilterException(
        detail='A string in a filter is a JSON string: use double quotes, as in userName eq "ada", '
        "and not single ones (RFC 7644, section 3.4.2.2)"
    ).to_error()


def _words(found: Mapping[str, Any]) -> str:
    kind, said, context = found["type"], found["msg"], found.get("ctx", {})
    if kind in _MUST_BE:
        return _must_be(_MUST_BE[kind], found["input"])
    match kind:
        case "missing":
            return "is required"
        case "required_error":
            return f"{context['field_name']} is required"
        case "extra_forbidden":
            return "there is no such attribute"
        case "enum" | "literal_error":
            return f"must be {context['expected']}"
        case "value_error" if re.search(r"Expected str\w* ", f"{said} ".replace(",", " ")):
            return _must_be("a string", found["input"])
        case "value_error":
            return _as_in_json(said.removeprefix("Value error, "))
        case _:
            return str(said)


def _must_be(what: str, given: Any) -> str:
    """The kind of the value is told and never the value, which may be somebody's secret."""
    kind = "null" if given is None else next((w for t, w in _GIVEN if isinstance(given, t)), what)
    return f"must be {what}" if kind == what else f"must be {what}, not {kind}"


def _as_in_json(text: str) -> str:
    """user_name, the name of a field in Python, as clients write it: userName."""
    return re.sub(r"(?<=[a-z])_([a-z])", lambda found: found[1].upper(), text)
