"""Which names may nobody touch through the bridge? The one rule for ``[safety] protected``."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from unicodedata import normalize


class Protection:
    """Patterns such as ``AWS*`` over the userName of a user and the displayName of a group."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = {given: _plain(given) for given in patterns}

    def covers(self, name: str) -> bool:
        """Whether a name is protected, in whatever case."""
        return self.pattern(name) is not None

    def pattern(self, name: str) -> str | None:
        """The pattern that protects a name, as it was given; None: nothing does."""
        plain = _plain(name)
        matching = (given for given, of in self._patterns.items() if fnmatchcase(plain, of))
        return next(matching, None)


def _plain(name: str) -> str:
    """A name as it is told from protected ones: its case, blanks around it and the width of its
    letters make no other name of it.
    """
    return normalize("NFKC", name).casefold().strip()
