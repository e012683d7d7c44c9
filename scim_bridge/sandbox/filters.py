"""Which filters does Identity Center understand, and what do they ask for?

The grammar is `attribute eq "value"`, at most two of them joined by `and`; nothing else (AWS SCIM
developer guide, ListUsers and ListGroups). Values are JSON strings, so `"` and `\\` are escaped by
a backslash. Attribute names and operators count as written in the guide's examples; another case
is refused. [inferred, the stricter reading]
"""

import json
import re

from scim_bridge.sandbox.refusals import Invalid

USER_FILTERS = (("userName",), ("externalId",), ("groups.value",), ("id",), ("id", "manager"))
GROUP_FILTERS = (("displayName",), ("externalId",), ("members.value",), ("id",), ("id", "members"))

_TERM = r'([A-Za-z.]+) eq ("(?:[^"\\\x00-\x1f]|\\.)*")'
_FILTER = re.compile(rf" *{_TERM}(?: and {_TERM})? *")


def parse_filter(text: str, *, allowed: tuple[tuple[str, ...], ...]) -> dict[str, str]:
    """The value that each named attribute must equal; raises Invalid for any but the `allowed`."""
    match = _FILTER.fullmatch(text)
    if match is None:
        raise Invalid('filter: only attribute eq "value", or two of them joined by and, is known')
    first, first_value, second, second_value = match.groups()
    names = (first,) if second is None else tuple(sorted((first, second)))
    if names not in {tuple(sorted(combination)) for combination in allowed}:
        known = "; ".join(" and ".join(combination) for combination in allowed)
        raise Invalid(f"filter: {' and '.join(names)} cannot be filtered on, only: {known}")
    values = {first: parse_value(first_value)}
    if second is not None:
        values[second] = parse_value(second_value)
    return values


def parse_value(quoted: str) -> str:
    """The text of a quoted value; raises Invalid for a wrong escape and for an empty value."""
    try:
        value = json.loads(quoted)
    except ValueError as error:
        raise Invalid(f"filter: {quoted} is not a string") from error
    if not isinstance(value, str) or value == "":
        raise Invalid("filter: an empty value cannot be asked for")
    return value
