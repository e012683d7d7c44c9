"""Which bodies are read at all? Strict JSON, and no more of it than can be read in good time.

Filters, paths and messages take far longer to read than JSON does, some with the square of their
length. So what is more than any client means is refused here, by counting, before SCIM reads it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json
from scim2_models import (
    InvalidFilterException,
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    PayloadTooLargeException,
)

from scim_bridge.scim.provider import MAX_OPERATIONS

# The longest filter, path or list of attributes, in characters: room for about three hundred
# comparisons with an id.
MAX_FILTER_LENGTH = 16_000
# The same for all paths with a filter in one body: a thousand members, each removed by itself.
MAX_PATHS_LENGTH = 64_000
# The most values of a multi-valued attribute. Members, and what a PATCH adds, are as many as fit.
MAX_VALUES = 1_000
# The most members that the value of a remove names.
MAX_REMOVED = 10_000
# The most names and paths with a schema: each is compared with those that are known.
MAX_QUALIFIED = 5_000

# The most names of a selection: three times what a user has, with all parts and extensions.
MAX_SELECTED = 300

_SELECTIONS = frozenset({"attributes", "excludedattributes"})
_PARSED = _SELECTIONS | {"filter", "path", "sortby"}
# What nothing is counted of, if it is text.
_SLIGHT = frozenset({"value", "display", "type", "$ref"})
_UNCOUNTED = frozenset({"members", "value"})


def decoded(body: bytes) -> Any:
    """The JSON object of a body.

    :raises InvalidSyntaxException: If it is not a JSON object, or an object in it has two
        attributes of one name: nobody can know which of them is meant.
    :raises SCIMException: What `refuse_excess` raises, and 400 for a NUL character.
    """
    try:
        # Stricter than Python's own, and it does not recurse; only that one shows what is twice.
        from_json(body, allow_inf_nan=False)
        payload = json.loads(body.decode(), object_pairs_hook=_once)
    except ValueError as exception:
        raise InvalidSyntaxException(detail=f"The body is not JSON: {exception}") from exception
    if not isinstance(payload, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object")
    if b"\\u0000" in body:
        _refuse_nul(payload)
    refuse_excess(payload)
    return payload


def refuse_excess(payload: Any) -> None:
    """Refuse what would take too long to read.

    :raises PayloadTooLargeException: For more than `MAX_OPERATIONS` operations.
    :raises SCIMException: 400 for whatever else is too long or too many.
    """
    length_of_paths = qualified = 0
    for name, part in _parts(payload):
        match part:
            case str() if name in _PARSED:
                length_of_paths += _length(name, part)
                qualified += _has_schema(part)
            case dict():
                length_of_paths += sum(_length("path", key) for key in part)
                qualified += sum(map(_has_schema, part))
                _refuse_many_removed(part)
            case list():
                _refuse_many(name, len(part))
        if length_of_paths > MAX_PATHS_LENGTH:
            raise InvalidPathException(
                detail=f"The paths with a filter have more than {MAX_PATHS_LENGTH} characters; "
                "split the request"
            )
        if qualified > MAX_QUALIFIED:
            raise InvalidValueException(
                detail=f"More than {MAX_QUALIFIED} attributes are named with their schema; at most "
                "that many are allowed in one request"
            )


def refuse_nul_in_filter(payload: Any) -> None:
    """Refuse a NUL character in a filter, where it may also be written as an escape.

    :raises InvalidFilterException: If there is one.
    """
    for name, part in _parts(payload):
        if name == "filter" and isinstance(part, str) and ("\0" in part or "\\u0000" in part):
            raise InvalidFilterException(detail="A NUL character is not allowed in a filter")


def is_selection(name: str) -> bool:
    """Whether a parameter says what is returned (RFC 7644, section 3.9)."""
    return name.lower() in _SELECTIONS


def each_once(search: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a search without names that stand in a selection again, in whatever case.

    :raises InvalidValueException: For more than `MAX_SELECTED` names: each is looked for in each
        resource, and hundreds of them would cost seconds.
    """
    once: dict[str, Any] = {}
    for key, names in search.items():
        if is_selection(key) and isinstance(names, str):
            once[key] = ",".join(_selected(key, names.split(",")))
        elif is_selection(key) and _are_texts(names):
            once[key] = _selected(key, names)
    return {**search, **once}


def _selected(key: str, names: Iterable[str]) -> list[str]:
    # The first spelling of each, in their order.
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.strip().lower(), name)
    if len(found) > MAX_SELECTED:
        raise InvalidValueException(
            detail=f"{key} names {len(found)} attributes; at most {MAX_SELECTED} are allowed"
        )
    return list(found.values())


def _are_texts(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ, whatever their case (RFC 7643, section 2.1)."""
    found = dict(pairs)
    if len(pairs) > 1 and len({name.lower() for name in found}) < len(pairs):
        (twice, _), *_ = Counter(name.lower() for name, _ in pairs).most_common(1)
        raise InvalidSyntaxException(detail=f"{twice} is given twice in one object")
    return found


def _parts(payload: Any) -> Iterator[tuple[str, Any]]:
    """Every value in a JSON value, with its name in lower case. An entry has its list's name.

    Entries that are too slight to be counted are left out.
    """
    waiting = [("", payload)]
    while waiting:
        name, part = waiting.pop()
        yield name, part
        match part:
            case dict():
                waiting.extend((key.lower(), value) for key, value in part.items())
            case list():
                waiting.extend((name, entry) for entry in part if not _is_slight(entry))


def _is_slight(entry: Any) -> bool:
    """Whether nothing in an entry of a list can be too long or too many, as in most members."""
    if not isinstance(entry, dict) or not entry.keys() <= _SLIGHT:
        return False
    # Asked of each of many: a loop is the fastest.
    for part in entry.values():  # noqa: SIM110
        if not isinstance(part, str):
            return False
    return True


def _has_schema(name: str) -> bool:
    return name[:4].lower() == "urn:"


def _length(name: str, text: str) -> int:
    """How much of what is allowed for paths a text takes: only filters are slow to read."""
    if len(text) > MAX_FILTER_LENGTH:
        refusal = InvalidFilterException if name == "filter" else InvalidPathException
        raise refusal(
            detail=f"{name} has {len(text)} characters; at most {MAX_FILTER_LENGTH} are allowed"
        )
    return len(text) if "[" in text else 0


def _refuse_many(name: str, number: int) -> None:
    if name == "operations" and number > MAX_OPERATIONS:
        raise PayloadTooLargeException(
            detail=f"There are {number} operations; at most {MAX_OPERATIONS} are allowed"
        )
    if name not in _UNCOUNTED and number > MAX_VALUES:
        raise InvalidValueException(
            detail=f"{name} has {number} values; at most {MAX_VALUES} are allowed"
        )


def _refuse_many_removed(operation: dict[str, Any]) -> None:
    named = {name.lower(): value for name, value in operation.items()}
    removed = named.get("value")
    if str(named.get("op")).lower() != "remove" or not isinstance(removed, list):
        return
    if len(removed) > MAX_REMOVED:
        raise InvalidValueException(
            detail=f"A remove names {len(removed)} values; at most {MAX_REMOVED} are allowed"
        )


def _refuse_nul(value: Any, path: str = "") -> None:
    """Refuse NUL characters: PostgreSQL cannot store them and nobody means them."""
    match value:
        case str() if "\0" in value:
            raise InvalidValueException(detail=f"A NUL character is not allowed: {path or 'body'}")
        case dict():
            for key, item in value.items():
                _refuse_nul(key, path)
                _refuse_nul(item, f"{path}.{key}".lstrip("."))
        case list():
            for item in value:
                _refuse_nul(item, path)
