"""What should a person hold by the rules, by which of them, and until when? Pure.

A rule means whoever its condition holds for, between its dates, while they are active. What a
rule gave is lost when it no longer means the person: at once, or after its grace. Somebody
inactive holds nothing by rule, and has no grace.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from scim_bridge.lifecycle.conditions import Attribute, Condition, Document, Reading


@dataclass(frozen=True, kw_only=True, order=True)
class Right:
    """Something that a rule gives: the membership of a group, or a permission set in an account."""

    # The displayName.
    group: str = ""
    account: str = ""
    # A name, or an ARN.
    permission_set: str = ""

    def __str__(self) -> str:
        if self.group:
            return f"group {self.group}"
        return f"permission set {self.permission_set} in account {self.account}"


@dataclass(frozen=True, kw_only=True)
class Date:
    """When a rule begins or ends: a moment, or an attribute that holds one."""

    # In seconds since 1970; a day counts from its begin to its end (UTC).
    fixed: float | None = None
    reading: Reading | None = None
    # Whether a day means its end.
    at_end: bool = False


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who gets what, and for how long."""

    name: str
    when: Condition
    rights: tuple[Right, ...]
    begins: Date | None = None
    ends: Date | None = None
    # For how long what is lost is kept, in seconds.
    grace: float = 0.0

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What of a person decides."""
        dates = (one.reading.attribute for one in (self.begins, self.ends) if one and one.reading)
        return tuple(dict.fromkeys((*self.when.attributes, *dates)))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one rule says of a person at a moment."""

    rule: Rule
    holds: bool
    # Why it does not, though its condition holds: "begins", "ended", "date".
    because: str = ""
    # When it says something else, if nothing but time goes by. None: never.
    changes: float | None = None
    # Since when it no longer holds, if time made it so.
    ended: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the rules say of a person at a moment."""

    # The rules that give, by their names.
    giving: Mapping[str, Rule]
    # The rules that gave and no longer mean the person, by their names: until when what they gave
    # is kept.
    lapsing: Mapping[str, float]
    # When it is to be decided again, if nothing but time goes by. None: never.
    due: float | None


def verdict(rule: Rule, document: Document, *, active: bool, now: float) -> Verdict:
    """What a rule says of a person."""
    if not active or not rule.when.holds(document):
        return Verdict(rule=rule, holds=False)
    try:
        begins, ends = moment(rule.begins, document), moment(rule.ends, document)
    except ValueError:
        # Nobody can tell whether it is time: nothing is given by a guess.
        return Verdict(rule=rule, holds=False, because="date")
    if begins is not None and now < begins:
        return Verdict(rule=rule, holds=False, because="begins", changes=begins)
    if ends is not None and now >= ends:
        return Verdict(rule=rule, holds=False, because="ended", ended=ends)
    return Verdict(rule=rule, holds=True, changes=ends)


def decide(
    rules: Iterable[Rule],
    document: Document,
    *,
    active: bool,
    now: float,
    gave: Collection[str] = (),
    lapses: Mapping[str, float] | None = None,
) -> Decision:
    """What the rules say of a person.

    `gave`: the rules by which the person holds something now. `lapses`: until when what a rule
    gave is kept, of those that ceased to mean the person before.
    """
    verdicts = [verdict(rule, document, active=active, now=now) for rule in rules]
    giving = {one.rule.name: one.rule for one in verdicts if one.holds}
    lapsing = {
        one.rule.name: until
        for one in verdicts
        if active and not one.holds and one.rule.name in gave
        for until in [_kept_until(one, now, (lapses or {}).get(one.rule.name))]
        if until > now
    }
    times = [one.changes for one in verdicts if one.changes is not None]
    return Decision(
        giving=giving, lapsing=lapsing, due=min((*times, *lapsing.values()), default=None)
    )


def moment(when: Date | None, document: Document) -> float | None:
    """When a rule begins or ends for a person. None: it has no such date.

    Raises `ValueError` when the attribute holds something else than a date.
    """
    if when is None:
        return None
    if when.reading is None:
        return when.fixed
    value = when.reading.of(document)
    return None if value in (None, "") else read_date(value, at_end=when.at_end)


def read_date(value: Any, *, at_end: bool) -> float:
    """The moment that "2027-01-31" or "2027-01-31T18:00:00Z" means, in seconds since 1970.

    Raises `ValueError` for anything else.
    """
    match value:
        case datetime():
            return _aware(value).timestamp()
        case date():
            return _of_day(value, at_end=at_end)
        case str() if len(value) == len("2027-01-31"):
            return _of_day(date.fromisoformat(value), at_end=at_end)
        case str():
            return _aware(datetime.fromisoformat(value)).timestamp()
        case _:
            raise ValueError(f"{value!r} is no date")


def _of_day(day: date, *, at_end: bool) -> float:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (begin + timedelta(days=at_end)).timestamp()


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _kept_until(lost: Verdict, now: float, known: float | None) -> float:
    if known is not None:
        return known
    since = now if lost.ended is None else lost.ended
    return since + lost.rule.grace
