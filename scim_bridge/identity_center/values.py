"""Which strings does Identity Center take?

Lengths and kinds of characters are those of the Identity Store API's model; that the SCIM endpoint
holds to the same ones is inferred.
"""

import re
import unicodedata
from collections.abc import Iterator

from marshmallow import ValidationError, validate

# AWS refuses these characters in what is synchronised (observed by clients; the Identity Store
# API's own pattern would let them pass).
REFUSED_CHARACTERS = "<>;:%"
REFUSED_IN_URLS = "<>;%"
# The general categories AWS allows: letters, marks, symbols, numbers, punctuation.
KINDS = frozenset("LMSNP")
WHITE_SPACE = frozenset("\t\n\r \u00a0\u3000")
# Names of AWS's own, "for users or groups". Whether case counts is not documented.
RESERVED_NAMES = frozenset({"administrator", "awsadministrators"})


class Taken(validate.Validator):
    """A string that Identity Center takes."""

    def __init__(
        self,
        *,
        longest: int = 1024,
        refused: str = REFUSED_CHARACTERS,
        white_space: frozenset[str] = WHITE_SPACE,
        reserved: frozenset[str] = frozenset(),
    ) -> None:
        self._longest = longest
        self._refused = refused
        self._white_space = white_space
        self._reserved = reserved
        allowed = "".join(c for c in map(chr, range(128)) if self._allows(c))
        # What most values are, known without a look at each character.
        self._usual = re.compile(f"[{re.escape(allowed)}]{{1,{longest}}}")

    def __call__(self, value: str) -> str:
        if self._is_usual(value):
            return value
        if problems := tuple(self._problems(value)):
            raise ValidationError("Identity Center does not take " + " or ".join(problems))
        return value

    def _problems(self, value: str) -> Iterator[str]:
        if not value:
            yield "an empty value"
        if len(value) > self._longest:
            yield f"more than {self._longest} characters ({len(value)})"
        if characters := sorted(c for c in set(value) if not self._allows(c)):
            yield "the characters " + " ".join(map(ascii, characters))
        if self._is_reserved(value):
            yield f"the reserved name {value}"

    def _allows(self, character: str) -> bool:
        if character in self._refused:
            return False
        return unicodedata.category(character)[0] in KINDS or character in self._white_space

    def _is_usual(self, value: str) -> bool:
        return self._usual.fullmatch(value) is not None and not self._is_reserved(value)

    def _is_reserved(self, value: str) -> bool:
        return bool(self._reserved) and value.casefold() in self._reserved

    def takes(self, value: str) -> bool:
        return self._is_usual(value) or not any(self._problems(value))


TEXT = Taken()
# A profile URL cannot be without a colon, and AWS's own CreateUser example sends one.
URL = Taken(refused=REFUSED_IN_URLS)
USER_NAME = Taken(longest=128, white_space=frozenset(), reserved=RESERVED_NAMES)
GROUP_NAME = Taken(reserved=RESERVED_NAMES)
EXTERNAL_ID = Taken(longest=256, white_space=frozenset())


def external_id_is_sendable(value: str) -> bool:
    """Whether Identity Center takes a value as ``externalId``: no white space, no `:` and so on."""
    return EXTERNAL_ID.takes(value)
