"""How does the text of a filter that clients send become what the standards have?"""

import json
import re

from scim_bridge.scim.corrections import ENTERPRISE
from scim_bridge.scim.shape import Shape

_STRING = r'"(?:[^"\\]|\\.)*"'
_COMPARED = re.compile(
    rf"(?<![\w.:$-])(?P<name>[\w.:$-]+)(?P<op>\s+(?:eq|ne)\s+)"
    rf'(?:"(?P<value>true|false)"|(?P<bare>true|false)(?![\w.:$-]))|{_STRING}',
    re.I | re.S,
)
_BARE = re.compile(r'\s*(?P<name>[\w.:$-]+)\s+(?P<op>eq)\s+(?P<word>[^\s"()\[\]]+)\s*', re.I)
_ID_OR_ADDRESS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^@]+@[^@]+", re.I)
_MANAGER = re.compile(
    rf"(?<![\w.:$-])manager(?P<sub>\.\w+)?(?=\s+(?:eq|ne|co|sw|ew|pr)\b)|{_STRING}", re.I | re.S
)


def compared_truth(expression: str, shape: Shape) -> str:
    """A filter whose booleans are not strings, and in lower case."""

    def replaced(found: re.Match[str]) -> str:
        if found["bare"]:
            return f"{found['name']}{found['op']}{found['bare'].lower()}"
        target = shape.target(found["name"]) if found["name"] else None
        if target is None or target.attribute is None or not target.attribute.boolean:
            return found[0]
        return f"{found['name']}{found['op']}{found['value'].lower()}"

    return _COMPARED.sub(replaced, expression)


def truth_in_filter(expression: str, shape: Shape) -> str | None:
    new = compared_truth(expression, shape)
    return new if new != expression else None


def quoted(expression: str, shape: Shape) -> str | None:
    """`eq` with one bare word, as if the word were in quotes. Anything more stays refused.

    Clients that leave them out look for ids and addresses: of other attributes any other word is a
    mistake.
    """
    found = _BARE.fullmatch(expression)
    if found is None or found["word"] in ("true", "false", "null") or found["word"][0] == "'":
        return None
    is_id = found["name"].lower() in ("id", "externalid")
    if not is_id and not _ID_OR_ADDRESS.fullmatch(found["word"]):
        return None
    if shape.target(found["name"]) is None:
        return None
    return f"{found['name']} {found['op']} {json.dumps(found['word'], ensure_ascii=False)}"


def with_manager(expression: str, shape: Shape) -> str | None:
    extension = shape.extensions.get(ENTERPRISE)
    if extension is None:
        return None

    def replaced(found: re.Match[str]) -> str:
        if found[0].startswith('"'):
            return found[0]
        return f"{extension.schema}:manager{found['sub'] or '.value'}"

    new = _MANAGER.sub(replaced, expression)
    return new if new != expression else None
