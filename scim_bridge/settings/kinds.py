"""Which kinds of value does a setting have, and what is said about a wrong one?

Each kind takes the value as TOML holds it, strictly: a quoted number is not a number. A variable of
the environment is text, so each kind also reads the text that stands for its value.
"""

import datetime
import ipaddress
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError, fields
from scim2_models import InvalidFilterException, ScimFilter

T = TypeVar("T")

SECONDS_A_DAY = 86400
_LONGEST_SHOWN = 60

POSTGRESQL = "postgresql+psycopg"
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": SECONDS_A_DAY}


class Setting(fields.Field[T]):
    """A value that an operator sets."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> T:
        return self.checked(value)

    def checked(self, value: Any) -> T:
        """The value as the bridge uses it. Raises `ValidationError` saying what would be right."""
        raise NotImplementedError

    def from_text(self, text: str) -> object:
        """The value that a variable's text stands for, or the text when it stands for none."""
        return text


class Flag(Setting[bool]):
    """True or false."""

    _TEXTS: ClassVar[dict[str, bool]] = {"true": True, "1": True, "false": False, "0": False}

    def checked(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(f"must be true or false, not {shown(value)}")
        return value

    def from_text(self, text: str) -> object:
        return self._TEXTS.get(text.lower(), text)


class Whole(Setting[int]):
    """A whole number within bounds."""

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__()
        self.lowest, self.highest = lowest, highest

    def checked(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError(f"must be a whole number, not {shown(value)}")
        if not self.lowest <= value <= self.highest:
            raise ValidationError(f"must be from {self.lowest} to {self.highest}, not {value}")
        return value

    def from_text(self, text: str) -> object:
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text


class Number(Setting[float]):
    """A number within bounds."""

    def __init__(self, lowest: float, highest: float) -> None:
        super().__init__()
        self.lowest, self.highest = lowest, highest

    def checked(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise ValidationError(f"must be a number, not {shown(value)}")
        if not self.lowest <= value <= self.highest:
            raise ValidationError(f"must be from {self.lowest:g} to {self.highest:g}, not {value}")
        return float(value)

    def from_text(self, text: str) -> object:
        return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


class Text(Setting[str]):
    """Text, of a form when there is one. A value that could be a secret by mistake is not shown."""

    def __init__(self, form: str = r".+", *, hint: str = "text", showable: bool = True) -> None:
        super().__init__()
        self._form, self._hint, self._showable = re.compile(form), hint, showable

    def checked(self, value: Any) -> str:
        if not isinstance(value, str) or not self._form.fullmatch(value):
            found = f", not {shown(value)}" if self._showable else "; what was given is not"
            raise ValidationError(f"must be {self._hint}{found}")
        return value


class Filter(Setting[str]):
    """A SCIM filter (RFC 7644, section 3.4.2.2)."""

    def checked(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(f"must be a SCIM filter, not {shown(value)}")
        try:
            return str(ScimFilter(value))
        except InvalidFilterException as error:
            raise ValidationError(f"must be a SCIM filter: {error.detail}") from error


class Choice(Setting[str]):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def checked(self, value: Any) -> str:
        if value not in self.words:
            words = " or ".join(f'"{word}"' for word in self.words)
            raise ValidationError(f"must be {words}, not {shown(value)}")
        return str(value)


class File(Setting[Path]):
    """The path of a file."""

    def checked(self, value: Any) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValidationError(f"must be the path of a file, not {shown(value)}")
        return Path(value).expanduser()


class Day(Setting[str]):
    """A day: 2027-05-01, quoted or as TOML writes a date."""

    def checked(self, value: Any) -> str:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return value.isoformat()
        try:
            return datetime.date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            message = f'must be a day such as "2027-05-01", not {shown(value)}'
            raise ValidationError(message) from None


class Period(Setting[float]):
    """A length of time with its unit, "30d" or "12h", or 0; in seconds for the bridge.

    A bare number other than 0 is refused: nobody can see whether it is seconds or days.
    """

    def checked(self, value: Any) -> float:
        if value == 0 and not isinstance(value, bool):
            return 0.0
        seconds = period(value) if isinstance(value, str) else None
        if seconds is None:
            raise ValidationError(
                f'must be a number with its unit, such as "30d" or "12h", or 0, not {shown(value)}'
            )
        return seconds

    def from_text(self, text: str) -> object:
        return 0 if text == "0" else text


class Patterns(Setting[tuple[str, ...]]):
    """A list of name patterns. In a variable they are separated by commas."""

    def checked(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ValidationError(f'must be a list such as ["AWS*"], not {shown(value)}')
        return tuple(value)

    def from_text(self, text: str) -> object:
        return [item.strip() for item in text.split(",") if item.strip()]


class Texts(Setting[tuple[str, ...]]):
    """A list of texts, each of a form. In a variable they are separated by commas."""

    def __init__(self, form: str, *, hint: str) -> None:
        super().__init__()
        self._each = Text(form, hint=hint)

    def checked(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValidationError(f"must be a list, not {shown(value)}")
        return tuple(self._each.checked(item) for item in value)

    def from_text(self, text: str) -> object:
        return [item.strip() for item in text.split(",") if item.strip()]


class Table(Setting[dict[str, str]]):
    """A small table of texts, {"nickName" = "displayName"}."""

    def checked(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise ValidationError(
                f'must be a table such as {{ nickName = "displayName" }}, not {shown(value)}'
            )
        return dict(value)


class Url(Setting[str]):
    """The address of a service, without a slash at its end.

    `encrypted`: plain http is taken from this machine only, since credentials travel on it.
    """

    def __init__(self, *, encrypted: bool) -> None:
        super().__init__()
        self._encrypted = encrypted

    def checked(self, value: Any) -> str:
        parts = _split(value)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValidationError(f"must be an https:// address, not {shown(value)}")
        if parts.username is not None or parts.password is not None:
            raise ValidationError("must not hold a user name or password")
        if parts.query or parts.fragment:
            raise ValidationError(f"must end with the path, not {shown(value)}")
        if self._encrypted and parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValidationError(
                f"must be https:// unless the host is this machine, not {shown(value)}"
            )
        return str(value).rstrip("/")


class DatabaseUrl(Setting[str]):
    """Where the directory lives, as a SQLAlchemy URL. A password in it is never shown."""

    def checked(self, value: Any) -> str:
        right = (
            'must be of the form "sqlite:///path/to/scim-bridge.db" or '
            '"postgresql+psycopg://user@host/database"'
        )
        if not isinstance(value, str) or "://" not in value:
            raise ValidationError(right)
        scheme = value.partition("://")[0]
        if scheme == POSTGRESQL:
            return _postgresql(value)
        if scheme != "sqlite":
            raise ValidationError(f"{right}: {shown(scheme)} databases are not supported")
        path = value.removeprefix("sqlite:///")
        if path == value or path.partition("?")[0] in ("", ":memory:"):
            raise ValidationError(f"{right}: the directory must outlive the process")
        return value


def _postgresql(value: str) -> str:
    """A URL of PostgreSQL that is whole."""
    address, _, query = value.removeprefix(f"{POSTGRESQL}://").partition("?")
    if not address.rpartition("@")[2].partition("/")[2]:
        raise ValidationError(f'must name the database, as in "{POSTGRESQL}://user@host/database"')
    if "password" in query.lower():
        raise ValidationError(
            "must not hold a password after the question mark, where it would be shown; "
            "name a file in password_file"
        )
    return value


def period(text: str) -> float | None:
    """The seconds that "90s", "30m", "12h" or "30d" stand for; None if the text is no such time."""
    match = _PERIOD.fullmatch(text)
    return float(match[1]) * _UNIT_SECONDS[match[2]] if match else None


def is_loopback(host: str) -> bool:
    """Whether traffic to this host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def shown(value: object) -> str:
    """A value as a message shows it: short, and without what could be a password in an address."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            text = without_password(value)
            return f'"{text[:_LONGEST_SHOWN]}{"…" if len(text) > _LONGEST_SHOWN else ""}"'
        case dict():
            return "a table"
        case Sequence():
            return "a list"
        case _:
            return str(value)


def without_password(text: str) -> str:
    """The text without the user name and password of an address in it."""
    # A password may hold a slash: everything up to the last @ is left out.
    return re.sub(r"//\S*@", "//***@", text)


def _split(value: object) -> SplitResult | None:
    # urlsplit takes spaces for part of a host, and drops line breaks.
    if not isinstance(value, str) or re.search(r"[\s\\]", value):
        return None
    try:
        parts = urlsplit(value)
        # Reading the port is what checks it.
        return parts if parts.port != 0 else None
    except ValueError:
        return None
