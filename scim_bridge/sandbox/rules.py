r"""Which values does Identity Center take in a user or a group?

A rule looks at one value and raises Invalid, naming where it is. Two rules are for strings:

- `text`, for everything that is synchronised: names, titles, addresses, e-mail values, types …
  1..1024 characters, none of `< > ; : %`.
- `free_text`, for `profileUrl`, `locale`, `timezone`, `preferredLanguage` and `$ref`, which are
  addresses and tags by nature: 1..1024 characters. [inferred that AWS makes this exception]

Lengths and kinds of characters are those of the Identity Store API's model; that the SCIM endpoint
enforces them is [inferred]. The refused characters, and that empty strings are refused everywhere,
is [observed by clients].
"""

import unicodedata
from collections.abc import Callable, Container, Mapping
from typing import Any

from scim_bridge.sandbox.refusals import Invalid

Rule = Callable[[str, object], None]

REFUSED_CHARACTERS = "<>;:%"
RESERVED_NAMES = ("Administrator", "AWSAdministrators")
# Letters, marks, symbols, numbers, punctuation, and the kinds of white space that AWS lists.
_KINDS = frozenset("LMSNP")
_WHITE_SPACE = frozenset("\t\n\r \u00a0\u3000")


def free_text(path: str, value: object) -> None:
    _string(path, value, longest=1024)


def text(path: str, value: object) -> None:
    _plain(path, _string(path, value, longest=1024), also=_WHITE_SPACE)


def unspaced(*, longest: int) -> Rule:
    """The rule for a string without white space, of 1..`longest` characters."""

    def rule(path: str, value: object) -> None:
        _plain(path, _string(path, value, longest=longest), also=frozenset())

    return rule


def unreserved(rule: Rule) -> Rule:
    """`rule`, and not one of the reserved names, in any case. [inferred: in any case]"""
    reserved = {name.casefold() for name in RESERVED_NAMES}

    def stricter(path: str, value: object) -> None:
        rule(path, value)
        if str(value).casefold() in reserved:
            raise Invalid(f"{path}: {value} is a reserved name")

    return stricter


def boolean(path: str, value: object) -> None:
    if not isinstance(value, bool):
        raise Invalid(f"{path}: must be true or false")


class Record:
    """The rule for an object that has the attributes of `rules` and no others.

    That an unknown attribute is refused, not ignored, is a switch; `known` ignores.
    """

    def __init__(self, rules: Mapping[str, Rule], required: tuple[str, ...]) -> None:
        self._rules, self._required = rules, required

    def __call__(self, path: str, value: object) -> None:
        self.check(path, value)

    def check(self, path: str, value: object, *, untouched: Container[str] = ()) -> None:
        """Raises Invalid; of what is `untouched`, only that it is there is looked at."""
        attributes = _object(path, value)
        for name, inner in attributes.items():
            if name not in self._rules:
                raise Invalid(f"{_join(path, name)}: is not supported")
            if name not in untouched:
                self._rules[name](_join(path, name), inner)
        for name in self._required:
            if name not in attributes:
                raise Invalid(f"{_join(path, name)}: is required")

    def known(self, value: Any) -> Any:
        """`value` without the attributes that there are not."""
        if not isinstance(value, dict):
            return value
        known = {name: inner for name, inner in value.items() if name in self._rules}
        return {name: _known(self._rules[name], inner) for name, inner in known.items()}


class Single:
    """The rule for a multi-valued attribute, of which Identity Center takes one value."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def __call__(self, path: str, value: object) -> None:
        if not isinstance(value, list):
            raise Invalid(f"{path}: must be a list")
        if len(value) > 1:
            raise Invalid(f"{path}: only one value is supported, {len(value)} were given")
        self._rule(path, value[0])

    def known(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [_known(self._rule, one) for one in value]


def record(rules: Mapping[str, Rule], *, required: tuple[str, ...] = ()) -> Record:
    return Record(rules, required)


def single(rule: Rule) -> Single:
    return Single(rule)


def _known(rule: Rule, value: Any) -> Any:
    return rule.known(value) if isinstance(rule, Record | Single) else value


def assigned(value: Any) -> Any:
    """`value` without what RFC 7643 section 2.5 calls unassigned: null, an empty list or object."""
    match value:
        case dict():
            inner = {name: assigned(child) for name, child in value.items()}
            return {name: child for name, child in inner.items() if child not in (None, [], {})}
        case list():
            return [assigned(child) for child in value]
        case _:
            return value


def _string(path: str, value: object, *, longest: int) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{path}: must be a string")
    if value == "":
        raise Invalid(f"{path}: an empty string is refused; leave the attribute out")
    if len(value) > longest:
        raise Invalid(f"{path}: is longer than {longest} characters")
    return value


def _plain(path: str, value: str, *, also: frozenset[str]) -> None:
    for character in value:
        fits = unicodedata.category(character)[0] in _KINDS or character in also
        if character in REFUSED_CHARACTERS or not fits:
            raise Invalid(f"{path}: the character {character!r} is refused")


def _object(path: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Invalid(f"{path or 'the body'}: must be an object")
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
