"""Which rules stand in a file, and what is wrong with it? TOML, read as a whole.

Every problem is named at once, by the line and the rule it is in.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError
from scim2_models import Resource

from scim_bridge.errors import RulesError
from scim_bridge.lifecycle.conditions import Condition, condition, reading
from scim_bridge.lifecycle.rules import Date, Right, Rule, read_date
from scim_bridge.plan.protection import Protection
from scim_bridge.settings import Safety
from scim_bridge.settings.kinds import Period, Setting, Text, shown

_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ACCOUNT = re.compile(r"\d{12}")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True, kw_only=True)
class RuleFile:
    """The rules of one file."""

    # The file as it is.
    text: str
    rules: tuple[Rule, ...]

    @property
    def digest(self) -> str:
        """By what one state of the file is told from another."""
        return digest_of(self.text)


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class RuleFiles:
    """Reads rules over users of a model, and refuses what `[safety]` protects."""

    def __init__(self, model: type[Resource[Any]], safety: Safety) -> None:
        self._model = model
        self._safety = safety

    def unprotected(self) -> "RuleFiles":
        """The same for rules that were applied: what is protected was looked at then."""
        safety = Safety(protected=(), protected_permission_sets=(), protected_accounts=())
        return RuleFiles(self._model, safety)

    def read(self, text: str, *, called: str = "rules") -> RuleFile:
        """The rules of a text. Raises `RulesError` with everything that is wrong with it."""
        try:
            given = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RulesError([f"{called}: is not TOML: {error}"]) from error
        return self._read(text, given, called)

    def _read(self, text: str, given: Mapping[str, Any], called: str) -> RuleFile:
        problems = [
            f"{called}: {key}: there is no such table; rules stand in [[rule]]"
            for key in given
            if key != "rule"
        ]
        tables = given.get("rule", [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise RulesError([*problems, f"{called}: rule: must be written as [[rule]]"])
        places = _Places(text, called)
        found: list[Rule] = []
        for number, table in enumerate(tables):
            values = self._values(number, table, places, problems)
            if not (told := [*self._against(values)]) and "name" in values:
                found.append(_rule(values))
            problems += (places.problem(number, table, key, what) for key, what in told)
        problems += (places.problem(n, tables[n], "name", what) for n, what in _twice(tables))
        if problems:
            raise RulesError(problems)
        return RuleFile(text=text, rules=tuple(found))

    def _values(
        self, number: int, table: dict[str, Any], places: "_Places", problems: list[str]
    ) -> dict[str, Any]:
        """The checked values of one rule. Those that are wrong are missing."""
        schema = _RuleSchema(context_model=self._model)
        try:
            return schema.read(table)
        except ValidationError as error:
            by_key: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
            for key, messages in by_key.items():
                problems += (places.problem(number, table, key, what) for what in messages)
            return {}

    def _against(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What a rule gives that no rule may give."""
        names = Protection(self._safety.protected)
        sets = Protection(self._safety.protected_permission_sets)
        for right in (*values.get("groups", ()), *values.get("assignments", ())):
            if right.group and names.covers(right.group):
                yield "groups", f"group {shown(right.group)} is protected by [safety] protected"
            if right.permission_set and sets.covers(right.permission_set):
                yield (
                    "assignments",
                    f"permission set {shown(right.permission_set)} is protected by [safety] "
                    "protected_permission_sets",
                )
            if right.account in self._safety.protected_accounts:
                yield (
                    "assignments",
                    f"account {right.account} is protected by [safety] protected_accounts",
                )


class _Places:
    """Where in the file what is."""

    def __init__(self, text: str, called: str) -> None:
        self._called = called
        self._lines = text.splitlines()
        self._headers = [n for n, line in enumerate(self._lines) if _HEADER.match(line)]

    def problem(self, number: int, table: Mapping[str, Any], key: str, what: str) -> str:
        name = table.get("name")
        which = f"rule {name}" if isinstance(name, str) and name else f"rule number {number + 1}"
        line = self._line(number, key)
        where = f"{self._called}, line {line}" if line else self._called
        return f"{where}, {which}: {key}: {what}"

    def _line(self, number: int, key: str) -> int | None:
        """The line of a key, or else of its rule; None where rules are written in another way."""
        if number >= len(self._headers):
            return None
        begin = self._headers[number]
        end = [*self._headers, len(self._lines)][number + 1]
        for n in range(begin, end):
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", self._lines[n]):
                return n + 1
        return begin + 1


# ---------------------------------------------------------------------------------------------
# The values of a rule


class _When(Setting[Condition]):
    def checked(self, value: Any) -> Condition:
        if not isinstance(value, str) or not value.strip():
            raise ValidationError(f"must be a SCIM filter over users, not {shown(value)}")
        try:
            # A long filter may stand in several lines.
            return condition(" ".join(value.splitlines()).strip(), self.parent.model)  # type: ignore[union-attr]
        except ValueError as error:
            raise ValidationError(str(error)) from error


class _Groups(Setting[tuple[Right, ...]]):
    def checked(self, value: Any) -> tuple[Right, ...]:
        if not isinstance(value, list) or not all(
            isinstance(name, str) and name.strip() for name in value
        ):
            raise ValidationError(f'must be a list of names such as ["Sales"], not {shown(value)}')
        return tuple(Right(group=name) for name in dict.fromkeys(value))


class _Assignments(Setting[tuple[Right, ...]]):
    _KEYS: ClassVar[frozenset[str]] = frozenset({"account", "permission_set"})

    def checked(self, value: Any) -> tuple[Right, ...]:
        if not isinstance(value, list) or not all(
            isinstance(one, dict) and one.keys() == self._KEYS for one in value
        ):
            raise ValidationError(
                'must be a list such as [{ account = "111122223333", permission_set = '
                '"ReadOnlyAccess" }]'
            )
        return tuple(self._right(**one) for one in value)

    def _right(self, account: Any, permission_set: Any) -> Right:
        if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
            raise ValidationError(
                f"account must be the twelve digits of an account, quoted, not {shown(account)}; "
                "the bridge knows no tags and no organizational units of accounts"
            )
        if not isinstance(permission_set, str) or not permission_set:
            raise ValidationError(
                f"permission_set must be a name or an ARN, not {shown(permission_set)}"
            )
        return Right(account=account, permission_set=permission_set)


class _Moment(Setting[Date]):
    """A day, a time, or the path of an attribute that holds one."""

    def __init__(self, *, at_end: bool) -> None:
        super().__init__()
        self._at_end = at_end

    def checked(self, value: Any) -> Date:
        if isinstance(value, date) or (isinstance(value, str) and _DAY.match(value)):
            return self._fixed(value)
        if not isinstance(value, str):
            raise ValidationError(f"must be a date or the path of an attribute, not {shown(value)}")
        try:
            found = reading(value, self.parent.model)  # type: ignore[union-attr]
        except ValueError as error:
            raise ValidationError(f"{shown(value)} {error}") from error
        return Date(reading=found, at_end=self._at_end)

    def _fixed(self, value: Any) -> Date:
        try:
            return Date(fixed=read_date(value, at_end=self._at_end), at_end=self._at_end)
        except ValueError:
            raise ValidationError(
                f'must be a date such as "2027-01-31", not {shown(value)}'
            ) from None


class _RuleSchema(Schema):
    """A rule: its fields, and what it needs."""

    def __init__(self, *, context_model: type[Resource[Any]]) -> None:
        self.model = context_model
        super().__init__()

    class Meta:
        include: ClassVar[dict[str, Setting[Any]]] = {
            "name": Text(_NAME, hint='a name such as "sales-berlin": letters, digits and ._-'),
            "when": _When(),
            "groups": _Groups(),
            "assignments": _Assignments(),
            "from": _Moment(at_end=False),
            "until": _Moment(at_end=True),
            "grace": Period(),
        }

    def read(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The checked values of a rule. Raises `ValidationError` with everything that is wrong."""
        problems: dict[str, list[str]] = {}
        for key in data:
            if key not in self.fields:
                near = get_close_matches(key, self.fields, n=1)
                known = (
                    f"did you mean {near[0]}?" if near else f"there are {', '.join(self.fields)}"
                )
                problems[key] = [f"there is no such key; {known}"]
        for key in ("name", "when"):
            if key not in data:
                problems[key] = ["is missing"]
        if not data.get("groups") and not data.get("assignments"):
            problems["groups"] = ["a rule must give something: set groups or assignments"]
        known_data = {key: value for key, value in data.items() if key in self.fields}
        try:
            values: dict[str, Any] = dict(self.load(known_data))
        except ValidationError as error:
            by_key: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
            for key, messages in by_key.items():
                problems.setdefault(key, []).extend(messages)
            values = {}
        if problems:
            raise ValidationError(problems)
        return values


def _rule(values: Mapping[str, Any]) -> Rule:
    return Rule(
        name=values["name"],
        when=values["when"],
        rights=(*values.get("groups", ()), *values.get("assignments", ())),
        begins=values.get("from"),
        ends=values.get("until"),
        grace=values.get("grace", 0.0),
    )


def _twice(tables: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for number, table in enumerate(tables):
        name = table.get("name")
        if isinstance(name, str):
            if name in seen:
                yield number, f"there is another rule of the name {shown(name)}"
            seen.add(name)
