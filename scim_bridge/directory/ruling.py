"""How is what rules say of people made so in the directory?

In the transaction of whatever changed: a person's record, the rules, or nothing but the time. What
is lost goes before what is gained comes, and what stays is not touched. A rule takes only what it
gave itself.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import ForbiddenException
from sqlalchemy import delete, insert, select

from scim_bridge.directory import assignments, memberships
from scim_bridge.directory.actor import CLIENT, current
from scim_bridge.directory.assignments import Given as GrantGiven
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import Document, is_active
from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.directory.memberships import Given as GroupGiven
from scim_bridge.directory.memberships import chunks
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.rulebook import Book, Rulebook
from scim_bridge.directory.tables import groups, rule_dues, rule_lapses, users
from scim_bridge.directory.write import Cause, Write
from scim_bridge.errors import OperatorError
from scim_bridge.lifecycle.rule_file import RuleFile
from scim_bridge.lifecycle.rules import Right, Rule, Verdict, decide, verdict

# As many people whose time has come are looked at in one transaction.
MOST_DUE = 100

# Who is to be looked at since other rules were put in force.
AT_ONCE = 0.0

# Stands before the name of a group that is yet to be created.
_MISSING = "missing:"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody whom rules are asked about."""

    id: str
    document: Document
    active: bool


@dataclass(frozen=True, kw_only=True, order=True)
class Effect:
    """Something that a person gains or loses."""

    person: str
    right: Right


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Who gains and loses what, when rules are applied."""

    gains: tuple[Effect, ...] = ()
    losses: tuple[Effect, ...] = ()
    # The groups that are created for it.
    new_groups: tuple[str, ...] = ()

    @property
    def losers(self) -> frozenset[str]:
        return frozenset(effect.person for effect in self.losses)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How somebody stands by the rules in force."""

    person: Person
    verdicts: tuple[Verdict, ...]
    # Until when what a rule gave is kept, by the names of rules that mean them no more.
    lapses: Mapping[str, float]


@dataclass(kw_only=True)
class _Settlement:
    """What is to be written so that people hold by rules what they should."""

    end: set[GroupGiven] = field(default_factory=set)
    begin: set[GroupGiven] = field(default_factory=set)
    end_grants: set[GrantGiven] = field(default_factory=set)
    begin_grants: set[GrantGiven] = field(default_factory=set)
    # Until when what rules gave is kept, by person and rule.
    lapses: dict[tuple[str, str], float] = field(default_factory=dict)
    # When people are to be looked at again.
    dues: dict[str, float] = field(default_factory=dict)

    @property
    def touched(self) -> frozenset[str]:
        """Who holds something else afterwards, or by another rule."""
        groups_, grants = (*self.end, *self.begin), (*self.end_grants, *self.begin_grants)
        return frozenset((*(one.member for one in groups_), *(one.member for one in grants)))


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What people hold by rules now."""

    groups: Mapping[str, Collection[GroupGiven]]
    grants: Mapping[str, Collection[GrantGiven]]
    lapses: Mapping[str, Mapping[str, float]]

    def rules(self, person: str) -> set[str]:
        """The rules by which a person holds something."""
        return {
            *(given.rule for given in self.groups.get(person, ())),
            *(given.rule for given in self.grants.get(person, ())),
        }


class Ruling:
    """Makes people hold what the rules in force say. Methods join the caller's transaction."""

    def __init__(
        self, database: Database, rulebook: Rulebook, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.database = database
        self.rulebook = rulebook
        self.clock = clock
        # Set by `connect`, since the resources are given `written` when they are made.
        self._resources: Resources | None = None

    def connect(self, resources: Resources) -> None:
        """Say who writes."""
        self._resources = resources

    @property
    def resources(self) -> Resources:
        if self._resources is None:
            raise RuntimeError("not connected")
        return self._resources

    # -- After a write ---------------------------------------------------

    def written(self, write: Write) -> None:
        """Follow a write of a person, in its transaction; and keep the groups that rules give.

        Raises `ForbiddenException` when a client ends or renames a group that a rule gives.
        """
        if write.is_by_rule:
            return
        if write.kind == "group":
            self._keep(write)
        elif write.action == "delete":
            self._forget([write.id])
        elif write.before != write.after and (book := self.rulebook.in_force()):
            self._follow(write, book)

    def _follow(self, write: Write, book: Book) -> None:
        named = book.named

        def because(rule: str) -> tuple[str, ...]:
            return _changed(write, named.get(rule)) or ("date",)

        self._settle(book.rules, [write.id], because)

    def _keep(self, write: Write) -> None:
        before = _name(write.before)
        same = write.undo or before is None or before == _name(write.after)
        if same or not current().name.startswith(CLIENT):
            return
        if (book := self.rulebook.in_force()) is None:
            return
        for rule in book.rules:
            if before in {folded(right.group) for right in rule.rights if right.group}:
                raise ForbiddenException(
                    detail=f"Rule {rule.name} gives this group, so it can be neither deleted nor "
                    "renamed. The operator takes it out of the rules first, with `scim-bridge "
                    "rules apply`."
                )

    # -- When time has come -----------------------------------------------

    def settle_all_due(self) -> None:
        """Look at everybody of whom the rules say something else by now, a few at a time."""
        while self.settle_due():
            continue

    def settle_due(self) -> int:
        """Look at people of whom the rules say something else by now. Returns how many."""
        with self.database.reading() as connection:
            query = select(rule_dues.c.person).where(rule_dues.c.at <= self.clock()).limit(1)
            if connection.scalar(query) is None:
                return 0
        with self.database.transaction() as connection:
            book = self.rulebook.in_force()
            due = connection.execute(
                select(rule_dues.c.person, rule_dues.c.at)
                .where(rule_dues.c.at <= self.clock())
                .order_by(rule_dues.c.at, rule_dues.c.person)
                .limit(MOST_DUE)
            ).all()
            if book is None:
                self._forget([row.person for row in due])
            else:
                by_rules, by_date = (
                    [row.person for row in due if (row.at == AT_ONCE) is at_once]
                    for at_once in (True, False)
                )
                because = _by_rules(book.digest)
                self._settle(book.rules, by_rules, lambda _: (because,))
                self._settle(book.rules, by_date, lambda _: ("date",))
            return len(due)

    # -- New rules --------------------------------------------------------

    def difference(self, file: RuleFile) -> Difference:
        """Who would gain and lose what if these rules were applied now."""
        with self.database.reading():
            known = self._groups_named(file.rules)
            settlement = self._settlement(file.rules, list(self.people()), known)
            return self._effects(settlement, _missing(file.rules, known))

    def apply(self, file: RuleFile) -> Difference:
        """Put rules in force, and make everybody hold what they say. Returns what that changes.

        Who gains or loses something is due at once, and seen to a few at a time: others write
        meanwhile, and after a crash the worker goes on.
        """
        with self.database.transaction():
            because = _by_rules(file.digest)
            missing = _missing(file.rules, self._groups_named(file.rules))
            self._found(file.rules, because)
            self.rulebook.put_in_force(file)
            everybody = list(self.people())
            settlement = self._settlement(file.rules, everybody, self._groups_named(file.rules))
            difference = self._effects(settlement, missing)
            self._forget([person.id for person in everybody])
            self._remember(settlement, at_once=settlement.touched)
            record(
                self.database,
                action=Action.RULES_APPLIED,
                facts={
                    "digest": file.digest,
                    "rules": len(file.rules),
                    "gains": len(difference.gains),
                    "losses": len(difference.losses),
                },
            )
        self.settle_all_due()
        return difference

    def _found(self, rules: Iterable[Rule], because: str) -> None:
        """Create the groups that rules give and that are not there."""
        known = self._groups_named(rules)
        for rule in rules:
            for right in rule.rights:
                if right.group and folded(right.group) not in known:
                    cause = Cause(rule=rule.name, because=(because,))
                    known[folded(right.group)] = self.resources.found(right.group, cause)

    # -- One person ---------------------------------------------------------

    def standing(self, user_id: str) -> Standing:
        """What the rules in force say of somebody, and what they hold by them.

        Raises `OperatorError` when they were deleted.
        """
        with self.database.reading():
            book = self.rulebook.in_force()
            rules = book.rules if book else ()
            person = next(self.people([user_id]), None)
            if person is None:
                raise OperatorError("the user was deleted, and holds nothing by rule")
            held = self._held([user_id])
            lapses, now = held.lapses.get(user_id, {}), self.clock()
            return Standing(
                person=person,
                verdicts=tuple(
                    verdict(rule, person.document, active=person.active, now=now) for rule in rules
                ),
                lapses=lapses,
            )

    # -- What is to be done -------------------------------------------------

    def people(self, ids: Sequence[str] | None = None) -> Iterator[Person]:
        """Everybody there is, or these of them."""
        columns = users.c
        query = select(columns.id, columns.document, columns.active).where(
            columns.deleted_at.is_(None)
        )
        parts = [None] if ids is None else list(chunks(ids))
        for part in parts:
            some = query if part is None else query.where(columns.id.in_(part))
            for row in self.database.connection.execute(some):
                yield Person(id=row.id, document=row.document, active=row.active)

    def _settle(
        self,
        rules: Sequence[Rule],
        ids: Sequence[str],
        because: Callable[[str], tuple[str, ...]],
    ) -> None:
        """Make these people hold what rules say."""
        if not ids:
            return
        those = list(self.people(ids))
        settlement = self._settlement(rules, those, self._groups_named(rules), ids=ids)
        for given in [one for one in settlement.begin if one.group.startswith(_MISSING)]:
            self._found_late(given, settlement, because)
        self._write(settlement, because)
        self._forget(ids)
        self._remember(settlement)

    def _found_late(
        self,
        given: GroupGiven,
        settlement: _Settlement,
        because: Callable[[str], tuple[str, ...]],
    ) -> None:
        """Create a group that was there when the rules were applied, and is not any more."""
        cause = Cause(rule=given.rule, because=because(given.rule))
        group = self.resources.found(given.group.removeprefix(_MISSING), cause)
        settlement.begin.remove(given)
        settlement.begin.add(GroupGiven(group=group, member=given.member, rule=given.rule))

    def _settlement(
        self,
        rules: Sequence[Rule],
        people: Sequence[Person],
        known: Mapping[str, str],
        *,
        ids: Sequence[str] | None = None,
    ) -> _Settlement:
        held = self._held(ids)
        settlement, now = _Settlement(), self.clock()
        for person in people:
            lapses = held.lapses.get(person.id, {})
            decision = decide(
                rules,
                person.document,
                active=person.active,
                now=now,
                gave=held.rules(person.id),
                lapses=lapses,
            )
            in_groups = set(held.groups.get(person.id, ()))
            granted = set(held.grants.get(person.id, ()))
            groups_, grants = _wanted(person.id, decision.giving.values(), known)
            if decision.lapsing:
                named = {rule.name: rule for rule in rules}
                late = [named[name] for name in decision.lapsing]
                kept_groups, kept_grants = _wanted(person.id, late, known)
                groups_ |= kept_groups & in_groups
                grants |= kept_grants & granted
            settlement.end |= in_groups - groups_
            settlement.begin |= groups_ - in_groups
            settlement.end_grants |= granted - grants
            settlement.begin_grants |= grants - granted
            settlement.lapses.update(
                {(person.id, rule): until for rule, until in decision.lapsing.items()}
            )
            if decision.due is not None:
                settlement.dues[person.id] = decision.due
        return settlement

    def _held(self, ids: Sequence[str] | None) -> _Held:
        in_groups: dict[str, list[GroupGiven]] = {}
        granted: dict[str, list[GrantGiven]] = {}
        lapses: dict[str, dict[str, float]] = {}
        for group_given in memberships.by_rules(self.database, ids):
            in_groups.setdefault(group_given.member, []).append(group_given)
        for grant_given in assignments.by_rules(self.database, ids):
            granted.setdefault(grant_given.member, []).append(grant_given)
        query = select(rule_lapses)
        if ids is not None:
            query = query.where(rule_lapses.c.person.in_(ids))
        for row in self.database.connection.execute(query):
            lapses.setdefault(row.person, {})[row.rule] = row.until
        return _Held(groups=in_groups, grants=granted, lapses=lapses)

    def _groups_named(self, rules: Iterable[Rule]) -> dict[str, str]:
        """The ids of the groups that rules give, by their names, folded."""
        names = {folded(right.group) for rule in rules for right in rule.rights if right.group}
        columns = groups.c
        found: dict[str, str] = {}
        for chunk in chunks(sorted(names)):
            rows = self.database.connection.execute(
                select(columns.display_name_folded, columns.id).where(
                    columns.display_name_folded.in_(chunk), columns.deleted_at.is_(None)
                )
            )
            found.update((name, group_id) for name, group_id in rows)
        return found

    # -- Doing it -----------------------------------------------------------

    def _write(self, settlement: _Settlement, because: Callable[[str], tuple[str, ...]]) -> None:
        """Losses first: of groups, of grants; then what is gained."""

        def causes(those: Iterable[Any]) -> dict[Any, Cause]:
            return {one: Cause(rule=one.rule, because=because(one.rule)) for one in those}

        losing = {given.group for given in settlement.end}
        gaining = {given.group for given in settlement.begin} - losing
        end, begin = _by(settlement.end, "group"), _by(settlement.begin, "group")
        for group_id in sorted(losing):
            self._turn(group_id, causes(end[group_id]), causes(begin.get(group_id, ())))
        end_grants = _by(settlement.end_grants, "member")
        begin_grants = _by(settlement.begin_grants, "member")
        for user_id in sorted({*end_grants, *begin_grants}):
            self.resources.turn_grants(
                user_id,
                end=causes(end_grants.get(user_id, ())),
                begin=causes(begin_grants.get(user_id, ())),
            )
        for group_id in sorted(gaining):
            self._turn(group_id, {}, causes(begin[group_id]))

    def _turn(
        self, group_id: str, end: Mapping[GroupGiven, Cause], begin: Mapping[GroupGiven, Cause]
    ) -> None:
        self.resources.turn_members(group_id, end=end, begin=begin)

    def _forget(self, ids: Sequence[str]) -> None:
        for table in (rule_lapses, rule_dues):
            for chunk in chunks(ids):
                self.database.connection.execute(delete(table).where(table.c.person.in_(chunk)))

    def _remember(self, settlement: _Settlement, *, at_once: Collection[str] = ()) -> None:
        lapses = [
            {"person": person, "rule": rule, "until": until}
            for (person, rule), until in settlement.lapses.items()
        ]
        times = {**settlement.dues, **dict.fromkeys(at_once, AT_ONCE)}
        dues = [{"person": person, "at": at} for person, at in times.items()]
        if lapses:
            self.database.connection.execute(insert(rule_lapses), lapses)
        if dues:
            self.database.connection.execute(insert(rule_dues), dues)

    # -- What comes of it -----------------------------------------------------

    def _effects(self, settlement: _Settlement, new_groups: tuple[str, ...]) -> Difference:
        """What people gain and lose, where others give them the same included."""
        lost, gained = self._moved(settlement)
        revoked, granted = self._granted(settlement)
        return Difference(
            gains=tuple(sorted((*gained, *granted))),
            losses=tuple(sorted((*lost, *revoked))),
            new_groups=new_groups,
        )

    def _moved(self, settlement: _Settlement) -> tuple[set[Effect], set[Effect]]:
        touched = {given.group for given in (*settlement.end, *settlement.begin)}
        rows: set[tuple[str, str, str]] = set()
        names: dict[str, str] = {}
        for chunk in chunks(sorted(touched)):
            rows.update(memberships.origins(self.database, chunk))
            named = select(groups.c.id, groups.c.display_name).where(groups.c.id.in_(chunk))
            names.update((id_, name) for id_, name in self.database.connection.execute(named))
        ended, begun = (
            {(one.group, one.member, f"{memberships.RULE}{one.rule}") for one in given}
            for given in (settlement.end, settlement.begin)
        )
        before = {row[:2] for row in rows}
        after = {row[:2] for row in (rows - ended) | begun}

        def effects(pairs: Iterable[tuple[str, str]]) -> set[Effect]:
            return {
                Effect(person=member, right=Right(group=_called(names, group)))
                for group, member in pairs
            }

        return effects(before - after), effects(after - before)

    def _granted(self, settlement: _Settlement) -> tuple[set[Effect], set[Effect]]:
        touched = {given.member for given in (*settlement.end_grants, *settlement.begin_grants)}
        foreseen = assignments.foreseen(
            self.database,
            sorted(touched),
            end=settlement.end_grants,
            begin=settlement.begin_grants,
            resolve=self.resources.resolve,
        )
        lost = {
            _effect(user_id, named)
            for user_id, one in foreseen.items()
            for named in one.revoked.values()
        }
        gained = {
            _effect(user_id, named)
            for user_id, one in foreseen.items()
            for named in one.granted.values()
        }
        return lost, gained


def _wanted(
    person: str, rules: Iterable[Rule], known: Mapping[str, str]
) -> tuple[set[GroupGiven], set[GrantGiven]]:
    """What a person holds by rules that give."""
    in_groups: set[GroupGiven] = set()
    granted: set[GrantGiven] = set()
    for rule in rules:
        for right in rule.rights:
            if right.group:
                group = known.get(folded(right.group), f"{_MISSING}{right.group}")
                in_groups.add(GroupGiven(group=group, member=person, rule=rule.name))
            else:
                named = NamedGrant(account=right.account, permission_set=right.permission_set)
                granted.add(GrantGiven(member=person, named=named, rule=rule.name))
    return in_groups, granted


def _by(those: Iterable[Any], name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in those:
        found.setdefault(getattr(one, name), []).append(one)
    return found


def _changed(write: Write, rule: Rule | None) -> tuple[str, ...]:
    """What of a person changed, of that which a rule looks at."""
    before, after = write.before or {}, write.after or {}
    if write.before is not None and is_active(before) != is_active(after):
        return ("active",)
    looked_at = rule.attributes if rule else ()
    return tuple(str(one) for one in looked_at if one.of(before) != one.of(after))


def _by_rules(digest: str) -> str:
    """Why something changes when rules are put in force, as the trail says it."""
    return f"rules {digest[:12]}"


def _missing(rules: Iterable[Rule], known: Mapping[str, str]) -> tuple[str, ...]:
    names = {right.group for rule in rules for right in rule.rights if right.group}
    return tuple(sorted(name for name in names if folded(name) not in known))


def _called(names: Mapping[str, str], group: str) -> str:
    return names.get(group) or group.removeprefix(_MISSING)


def _effect(person: str, named: NamedGrant) -> Effect:
    right = Right(account=named.account, permission_set=named.permission_set)
    return Effect(person=person, right=right)


def _name(document: Document | None) -> str | None:
    return None if document is None else folded(str(document.get("displayName", "")))
