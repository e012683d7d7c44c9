"""How are strings compared? As scim2-models compares them, in Python and in SQL alike.

One notion of "the same string" serves filters, sorting and uniqueness: Normalization Form C, and
lowercase where an attribute is not ``caseExact`` (RFC 7643 §2.2). So a name that a filter does not
find can be created, and one that it finds cannot.
"""

from typing import Any
from unicodedata import normalize


def normalized(text: str) -> str:
    """The form in which the values of a ``caseExact`` attribute are compared."""
    return text if text.isascii() else normalize("NFC", text)


def folded(text: str) -> str:
    """The form in which the values of all other attributes are compared."""
    if text.isascii():
        return text.lower()
    # Lowercase does not keep the normalization form, so it is applied to the result again.
    return normalize("NFC", normalize("NFC", text).lower())


def register(connection: Any) -> None:
    """Teach a connection of the SQLite driver the functions ``normalized`` and ``folded``.

    SQLite's own ``lower`` knows ASCII only.
    """
    for function in (normalized, folded):
        connection.create_function(function.__name__, 1, _of_text(function), deterministic=True)


def _of_text(function: Any) -> Any:
    return lambda value: function(value) if isinstance(value, str) else value
