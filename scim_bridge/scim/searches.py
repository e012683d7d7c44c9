"""Which searches need not be read anew? Those that are like an earlier one but for a text.

Clients look people up with one question, for one name after the other. What it means is the same
for all texts that stand in it as they are, and to parse and validate it takes longer than to answer
it. The same holds for the cursors of one search.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from scim2_models import ResourceType, ScimFilter, SearchRequest
from scim2_models.path import Comparison
from scim2_server.service import SEARCH_REQUEST_PARAMETERS

from scim_bridge.scim.dialect import DialectName

# An attribute compared with a string that is written as it is meant.
_COMPARED = re.compile(r'(?P<before>[\w.:$-]+ (?:eq|co|sw) )"(?P<text>[ !#-\[\]-~]{0,500})"', re.A)
# How many are remembered, and how long they are at most, in characters: where each one is new,
# that is the memory it takes.
MOST, LONGEST = 512, 1000


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What a search has in common with others, and what it has for itself."""

    key: tuple[Any, ...]
    # What its attribute is compared with. None: its filter, if there is one, is part of the key.
    text: str | None
    # None: it is not paged by cursor.
    cursor: str | None


def likeness(
    dialect: DialectName, resource_types: Sequence[ResourceType], query: Mapping[str, str]
) -> Likeness:
    """What a query of a search is like."""
    asked = {name: query[name] for name in SEARCH_REQUEST_PARAMETERS if name in query}
    compared = _COMPARED.fullmatch(asked.get("filter", ""))
    if compared is not None:
        asked["filter"] = compared["before"]
    cursor = asked.get("cursor")
    if cursor:
        asked["cursor"] = ""
    names = tuple(one.name for one in resource_types)
    return Likeness(
        key=(dialect, names, compared is None, *asked.items()),
        text=compared and compared["text"],
        cursor=cursor,
    )


class Searches:
    """The searches that were read, by what they have in common with others."""

    def __init__(self) -> None:
        self._read: dict[tuple[Any, ...], SearchRequest[Any]] = {}

    def like(self, asked: Likeness) -> SearchRequest[Any] | None:
        """A search as an earlier one was read. Its cursor is still to be opened."""
        known = self._read.get(asked.key)
        if known is None or (asked.text is None and not asked.cursor):
            return known
        own: dict[str, Any] = {"cursor": asked.cursor}
        if asked.text is not None:
            node: Any = cast("ScimFilter[Any]", known.filter).ast
            own["filter"] = ScimFilter(Comparison(node.attr_path, node.op, asked.text))
        return known.model_copy(update=own)

    def remember(self, asked: Likeness, read: SearchRequest[Any]) -> None:
        """Remember how a search was read, which nobody changes any more."""
        if len(str(asked.key)) > LONGEST:
            return
        if len(self._read) >= MOST:
            self._read.clear()
        self._read[asked.key] = read
