"""How do the texts of a case become those of a run? ``${name}`` stands for what the run knows."""

import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

VARIABLE = re.compile(r"\$\{(q:)?(\w+)\}")


class UnknownVariable(Exception):
    """A template names something that no earlier step has given."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not known: the step that gives it did not get so far")


class Variables(dict[str, Any]):
    """What a run knows by name. A name that begins with ``guid_`` makes its own UUID."""

    def __missing__(self, name: str) -> Any:
        if not name.startswith("guid_"):
            raise UnknownVariable(name)
        self[name] = str(uuid.uuid4())
        return self[name]


def filled(template: Any, variables: Mapping[str, Any]) -> Any:
    """The template with its variables filled in, keys included.

    A text that is nothing but one variable keeps the JSON type of its value, and ``${q:name}`` is
    percent-encoded.

    :raises UnknownVariable: If the variables do not have one that is named.
    """
    match template:
        case str():
            return _filled_text(template, variables)
        case list():
            return [filled(item, variables) for item in template]
        case dict():
            return {
                filled(key, variables): filled(value, variables) for key, value in template.items()
            }
        case _:
            return template


def _filled_text(template: str, variables: Mapping[str, Any]) -> Any:
    whole = VARIABLE.fullmatch(template)
    if whole is not None and not whole[1]:
        return variables[whole[2]]
    return VARIABLE.sub(lambda found: _text(found, variables), template)


def _text(found: re.Match[str], variables: Mapping[str, Any]) -> str:
    value = str(variables[found[2]])
    return quote(value, safe="") if found[1] else value
