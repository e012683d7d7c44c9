"""Is an answer as a client needs it?

What is expected stands as data: a JSON path, and the value there or a rule about it. A path is
dotted; ``*`` fans out over a list, a number is an index, and a key may itself hold dots (the URN of
an extension): the longest match wins.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from conformance.target import Answer

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
TYPES = {"integer": int, "string": str, "boolean": bool, "array": list, "object": dict}

# Each rule says whether the values found at a path are as its argument wants them.
RULES: dict[str, Callable[[Sequence[Any], Any], bool]] = {
    "contains": lambda found, wanted: all(one in _items(found) for one in wanted),
    "not_contains": lambda found, unwanted: not any(one in _items(found) for one in unwanted),
    "set": lambda found, wanted: sorted(map(str, _items(found))) == sorted(map(str, wanted)),
    "empty": lambda found, yes: all(value in (None, [], {}, "") for value in found) is yes,
    "exists": lambda found, yes: bool(found) is yes,
    "absent": lambda found, yes: (not found) is yes,
    "type": lambda found, name: bool(found) and all(type(one) is TYPES[name] for one in found),
    "min": lambda found, least: bool(found) and all(_number(one) >= least for one in found),
    "max": lambda found, most: bool(found) and all(_number(one) <= most for one in found),
    "length": lambda found, count: len(_items(found)) == count,
    "in": lambda found, allowed: bool(found) and all(one in allowed for one in found),
    "no_nulls": lambda found, yes: _has_null(list(found)) is not yes,
    "not": lambda found, other: bool(found) and all(one != other for one in found),
    "ieq": lambda found, text: bool(found) and str(found[0]).lower() == str(text).lower(),
    "regex": lambda found, pattern: (
        bool(found) and all(re.search(pattern, str(one)) is not None for one in found)
    ),
}


def reached(node: Any, path: str) -> list[Any]:
    """Every value at a path; none if there is nothing."""
    if not path:
        return [node]
    if isinstance(node, dict):
        keys = [key for key in node if path == key or path.startswith(f"{key}.")]
        key = max(keys, key=len, default=None)
        return [] if key is None else reached(node[key], path[len(key) + 1 :])
    head, _, rest = path.partition(".")
    if isinstance(node, list) and head == "*":
        return [value for item in node for value in reached(item, rest)]
    if isinstance(node, list) and head.isdigit() and int(head) < len(node):
        return reached(node[int(head)], rest)
    return []


def disappointments(expected: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    """What is not as expected, in sentences.

    ``status`` lists the acceptable ones; ``headers`` begin so; ``error`` lists the acceptable
    scimTypes of an error, where "" stands for none; ``json`` is about the body, and ``json_on``
    about that of one status only. A 204 has no body to look at.
    """
    if "status" in expected and answer.status not in expected["status"]:
        wanted = " or ".join(map(str, expected["status"]))
        yield f"status {answer.status} instead of {wanted}: {answer.text[:300]}"
        return
    yield from _about_headers(expected.get("headers", {}), answer)
    if "error" in expected and answer.status >= 400:
        yield from _about_error(expected["error"], answer)
    if answer.status != 204:
        yield from _about_body(expected, answer)


def _about_headers(expected: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    for name, wanted in expected.items():
        value = answer.headers.get(name)
        found = [] if value is None else [value]
        if isinstance(wanted, dict):
            broken = _broken(found, wanted)
        else:
            broken = not found or not found[0].lower().startswith(str(wanted).lower())
        if broken:
            yield f"the header {name} is {value!r}; wanted: {_shown(wanted)}"


def _about_error(scim_types: Sequence[str], answer: Answer) -> Iterator[str]:
    body = answer.json
    if not isinstance(body, dict) or body.get("schemas") != [ERROR]:
        yield f"the body is not a SCIM error: {answer.text[:200]}"
        return
    if body.get("status") != str(answer.status):
        yield f"the error's status is {body.get('status')!r} instead of '{answer.status}'"
    if (body.get("scimType") or "") not in scim_types:
        wanted = " or ".join(one or "none" for one in scim_types)
        yield f"scimType {body.get('scimType')!r} instead of {wanted}: {body.get('detail')}"


def _about_body(expected: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    wanted = {**expected.get("json", {}), **expected.get("json_on", {}).get(str(answer.status), {})}
    if not wanted:
        return
    body = answer.json
    if body is None:
        yield f"the body is not JSON: {answer.text[:200]!r}"
        return
    for path, value in wanted.items():
        found = reached(body, path)
        if _is_rule(value):
            broken = _broken(found, value)
        else:
            broken = not _equal(found if "*" in path.split(".") else found[:1], path, value)
        if broken:
            yield f"{path} is {_shown(_seen(found))}; wanted: {_shown(value)}"


def _is_rule(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and value.keys() <= RULES.keys()


def _broken(found: Sequence[Any], rules: Mapping[str, Any]) -> bool:
    return not all(RULES[name](found, argument) for name, argument in rules.items())


def _equal(found: Sequence[Any], path: str, value: Any) -> bool:
    actual = list(found) if "*" in path.split(".") else (found[0] if found else None)
    return type(actual) is type(value) and actual == value


def _items(found: Sequence[Any]) -> Sequence[Any]:
    """The values a rule on several is about: what fanned out, or the one list there is."""
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_null(member) for member in value.values())
    if isinstance(value, list):
        return any(_has_null(item) for item in value)
    return value is None


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else float("nan")


def _seen(found: Sequence[Any]) -> Any:
    return found[0] if len(found) == 1 else list(found) or None


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:300]
