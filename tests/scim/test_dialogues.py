"""Real clients, step by step: what each sends, and what it needs in order to go on.

Each file in ``dialogues`` names its source. A step has a request, the statuses the client can live
with, and what it reads out of the answer.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from tests.scim.conftest import Caller, Scim

DIALOGUES = sorted((Path(__file__).parent / "dialogues").glob("*.json"))
VARIABLE = re.compile(r"\$\{(q:)?(\w+)\}")
TYPES = {"integer": int, "string": str, "boolean": bool, "array": list, "object": dict}
MISSING = object()


def filled(value: Any, variables: dict[str, Any]) -> Any:
    """A template, filled in; one that is nothing but a variable keeps the type of its value."""
    match value:
        case str() if (whole := VARIABLE.fullmatch(value)) and not whole[1]:
            return variables[whole[2]]
        case str():
            return VARIABLE.sub(lambda found: text(found, variables), value)
        case list():
            return [filled(item, variables) for item in value]
        case dict():
            return {filled(k, variables): filled(v, variables) for k, v in value.items()}
        case _:
            return value


def text(found: re.Match[str], variables: dict[str, Any]) -> str:
    value = str(variables[found[2]])
    return quote(value, safe="") if found[1] else value


def reached(node: Any, path: str) -> list[Any]:
    """Every value at a dotted path; "*" fans out, and a key may itself hold dots."""
    if not path:
        return [node]
    if isinstance(node, dict):
        keys = [key for key in node if path == key or path.startswith(f"{key}.")]
        if not keys:
            return [MISSING]
        key = max(keys, key=len)
        return reached(node[key], path[len(key) + 1 :])
    head, _, rest = path.partition(".")
    if isinstance(node, list) and head == "*":
        return [value for item in node for value in reached(item, rest)]
    if isinstance(node, list) and head.isdigit() and int(head) < len(node):
        return reached(node[int(head)], rest)
    return [MISSING]


def holds(values: list[Any], expected: Any) -> bool:
    """Whether what was reached is as the client needs it."""
    value = values[0] if values else MISSING
    match expected:
        case {"contains": wanted}:
            found = value if isinstance(value, list) else values
            return all(one in found for one in wanted)
        case {"not_contains": unwanted}:
            return not any(one in values for one in unwanted)
        case {"set": wanted}:
            return sorted(one for one in values if one is not MISSING) == sorted(wanted)
        case {"empty": _}:
            return value is MISSING or value in (None, [])
        case {"exists": _}:
            return value is not MISSING
        case {"absent": _}:
            return value is MISSING
        case {"type": name}:
            return type(value) is TYPES[name]
        case {"min": least}:
            return isinstance(value, int) and value >= least
        case {"in": allowed}:
            return value in allowed
        case dict():
            raise AssertionError(f"the test does not know {expected}")
        case _:
            return value == expected


def play(dialogue: dict[str, Any], scim: Caller) -> None:
    """Play every step of a dialogue, the optional ones too, and check each answer."""
    variables: dict[str, Any] = {"run": "a1b2c3", "base": "http://localhost/scim/v2"}
    for name, value in dialogue.get("vars", {}).items():
        variables[name] = filled(value, variables)
    for step in dialogue["steps"]:
        name, value = step.get("only_if", ("run", variables["run"]))
        assert variables[name] == value, f"{step['name']} was not reached"
        answer = scim.send(
            step["method"],
            filled(step["path"], variables),
            data=json.dumps(filled(step["body"], variables)).encode() if "body" in step else None,
            content_type=dialogue["headers"]["Content-Type"],
            headers={k: v for k, v in dialogue["headers"].items() if k != "Content-Type"},
        )
        check(step, answer, variables)


def check(step: dict[str, Any], answer: TestResponse, variables: dict[str, Any]) -> None:
    assert answer.status_code in step["expect"]["status"], (step["name"], answer.text)
    if answer.status_code == 204:
        return
    for path, expected in step["expect"].get("json", {}).items():
        found = reached(answer.json, path)
        assert holds(found, filled(expected, variables)), (step["name"], path, found)
    for variable, path in step.get("capture", {}).items():
        variables[variable] = reached(answer.json, path)[0]


@pytest.mark.parametrize("file", DIALOGUES, ids=lambda file: file.stem)
def test_a_client_gets_through_its_dialogue(scim: Scim, file: Path) -> None:
    """Every step is answered as the client needs it."""
    play(json.loads(file.read_text(encoding="utf-8")), scim)
