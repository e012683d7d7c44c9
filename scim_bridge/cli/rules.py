"""`rules`: what do people get by rules, and what would other rules change?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from scim_bridge.app import Bridge, catalogue_of
from scim_bridge.cli.access import person_named
from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, advise, audited, pass_invocation
from scim_bridge.cli.names import people, printable, user_names
from scim_bridge.cli.output import day, json_option, print_json, print_table, print_wrapped, when
from scim_bridge.directory.catalogue import ARN
from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.directory.rulebook import read
from scim_bridge.directory.ruling import Difference, Effect, Standing
from scim_bridge.errors import OperatorError, RulesError
from scim_bridge.identity_center.payloads import problems_of_group
from scim_bridge.lifecycle.rule_file import RuleFile
from scim_bridge.lifecycle.rules import Right, Rule, Verdict
from scim_bridge.plan.brake import REMOVALS_NEVER_HELD, Limit
from scim_bridge.plan.protection import Protection
from scim_bridge.settings import Safety

# How many changes are listed before the rest is only counted.
MOST = 50

_file = click.argument("file", required=False, type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Say what people get by rules of joining, moving and leaving.

    Rules stand in the file that [lifecycle] rules names. A changed file changes nothing until it
    is applied, so that everybody can see before what it does.

    \b
    Example:
      scim-bridge rules check
      scim-bridge rules diff
      scim-bridge rules apply --reason "new sales team"
    """


@command.command()
@_file
@json_option
@pass_invocation
def check(invocation: Invocation, *, file: Path | None, as_json: bool) -> None:
    """Check the rules of FILE, or of the file in the settings. Exit code 1 names every problem.

    \b
    Example:
      scim-bridge rules check new-rules.toml
    """
    with assembled(invocation.settings()) as bridge:
        rules = _read(bridge, file)
        book = bridge.ruling.rulebook.in_force()
        unknown = _unknown(bridge, rules.rules)
    is_applied = book is not None and book.digest == rules.digest
    if as_json:
        print_json(
            {
                "rules": [_rule_as_dict(rule) for rule in rules.rules],
                "digest": rules.digest,
                "in_force": is_applied,
                "unknown": unknown,
            }
        )
        return
    number = len(rules.rules)
    click.echo(f"{number} {'rule' if number == 1 else 'rules'}, and nothing is wrong with them.")
    for name in unknown:
        print_wrapped(f"! {printable(name)}; what is given of it waits until there is.")
    if is_applied:
        click.echo("They are in force.")
    else:
        print_wrapped(advise("They are not in force. See what they change: scim-bridge rules diff"))


@command.command()
@click.argument("user")
@json_option
@pass_invocation
def explain(invocation: Invocation, *, user: str, as_json: bool) -> None:
    """Say which rules in force mean USER (a userName), why, and what each gives.

    \b
    Example:
      scim-bridge rules explain jane@example.com
    """
    with assembled(invocation.settings()) as bridge:
        standing = bridge.ruling.standing(person_named(bridge.database, user))
    if as_json:
        print_json([_verdict_as_dict(one, standing) for one in standing.verdicts])
        return
    if not standing.verdicts:
        print_wrapped(advise("No rules are in force: scim-bridge rules apply"))
    for one in standing.verdicts:
        print_wrapped(printable(_sentence(one, standing)))


@command.command()
@_file
@click.option("--all", "everything", is_flag=True, help=f"List more than {MOST} changes.")
@json_option
@pass_invocation
def diff(invocation: Invocation, *, file: Path | None, everything: bool, as_json: bool) -> None:
    """Show who would gain and lose what by the rules of FILE, and change nothing.

    FILE is the file in the settings if none is given.

    \b
    Example:
      scim-bridge rules diff new-rules.toml --json
    """
    with assembled(invocation.settings()) as bridge:
        difference = bridge.ruling.difference(_read(bridge, file))
        names = _names(bridge, difference)
        held = _held_back(bridge, difference)
    if as_json:
        print_json(_as_dict(difference, names, held))
    else:
        _print(difference, names, held, everything=everything)


@command.command()
@_file
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@audited()
@pass_invocation
def apply(invocation: Invocation, *, file: Path | None, yes: bool, as_json: bool) -> None:
    """Put the rules of FILE in force, or of the file in the settings.

    What people gain and lose by it is delivered by `scim-bridge serve`, `worker` or `sync`. The
    brake holds losses of too many people for a decision, as it does whoever takes access away.

    \b
    Example:
      scim-bridge rules apply --reason "new sales team"
    """
    with assembled(invocation.settings()) as bridge:
        rules = _read(bridge, file)
        if not yes:
            _ask(bridge, rules, as_json=as_json)
        difference = bridge.ruling.apply(rules)
        names = _names(bridge, difference)
        held = _held_back(bridge, difference)
    if as_json:
        print_json(_as_dict(difference, names, held))
    else:
        click.echo(f"{len(rules.rules)} rules are in force. {_counts(difference)}")


def _ask(bridge: Bridge, rules: RuleFile, *, as_json: bool) -> None:
    if as_json:
        raise OperatorError("--json asks nobody: give --yes with it")
    difference = bridge.ruling.difference(rules)
    _print(difference, _names(bridge, difference), _held_back(bridge, difference))
    click.confirm("Put these rules in force?", abort=True)


def _read(bridge: Bridge, file: Path | None) -> RuleFile:
    path = file or bridge.settings.lifecycle.rules
    if path is None:
        raise OperatorError(
            "no file of rules is named: set [lifecycle] rules in the settings, or give a FILE"
        )
    rules = read(bridge.ruling.rulebook.files, path)
    if problems := [*_not_taken(rules.rules), *_protected(bridge, rules.rules)]:
        raise RulesError([f"{path.name}, {problem}" for problem in problems])
    return rules


def _not_taken(rules: Iterable[Rule]) -> Iterator[str]:
    """Names of groups that Identity Center is known to refuse."""
    for rule in rules:
        for right in rule.rights:
            if right.group:
                for problem in problems_of_group({"displayName": right.group}):
                    yield f"rule {rule.name}: groups: {printable(right.group)!r}: {problem.reason}"


def _protected(bridge: Bridge, rules: Iterable[Rule]) -> Iterator[str]:
    """Protected permission sets that rules name by their ARN instead of their name."""
    patterns = bridge.settings.safety.protected_permission_sets
    if not patterns:
        return
    protection, catalogue = Protection(patterns), catalogue_of(bridge.settings, bridge.database)
    known: dict[str, str] = {}
    for one in (catalogue, *catalogue.others):
        known |= one.permission_set_names()
    for rule in rules:
        for right in rule.rights:
            if not right.permission_set.startswith(ARN):
                continue
            name = known.get(right.permission_set)
            if name is None:
                yield (
                    f"rule {rule.name}: assignments: what {right.permission_set} is called is not "
                    "known before the next extraction: give its name"
                )
            elif protection.covers(name):
                yield (
                    f"rule {rule.name}: assignments: permission set {name} is protected by "
                    "[safety] protected_permission_sets"
                )


def _unknown(bridge: Bridge, rules: Iterable[Rule]) -> list[str]:
    """What rules give that the last extractions did not show. Without fresh ones, nobody knows."""
    catalogue = catalogue_of(bridge.settings, bridge.database)
    found: dict[str, None] = {}
    with bridge.database.reading():
        everywhere = (catalogue, *catalogue.others)
        if not all(one.is_fresh() for one in everywhere):
            return []
        sets = {one.target: one.permission_set_names() for one in everywhere}
        accounts = {one.target: one.account_ids() for one in everywhere}
        for right in (right for rule in rules for right in rule.rights if right.account):
            named = NamedGrant(account=right.account, permission_set=right.permission_set)
            there = catalogue.of(named).target
            if right.permission_set not in {*sets[there], *sets[there].values()}:
                found[f"there is no permission set {right.permission_set}"] = None
            if right.account not in accounts[there]:
                found[f"there is no account {right.account}"] = None
    return list(found)


def _names(bridge: Bridge, difference: Difference) -> Mapping[str, str]:
    those = {effect.person for effect in (*difference.gains, *difference.losses)}
    return user_names(bridge.database, those)


def _held_back(bridge: Bridge, difference: Difference) -> int:
    """How many of those who lose something the brake would hold, if nobody else lost anything."""
    safety: Safety = bridge.settings.safety
    if not safety.brake:
        return 0
    active = sum(1 for person in _everybody(bridge) if person.active)
    limit = Limit(
        percent=safety.max_removal_percent,
        at_most=safety.max_removals,
        never_before=REMOVALS_NEVER_HELD,
    )
    return max(0, len(difference.losers) - limit.allowance(active))


def _everybody(bridge: Bridge) -> Sequence[Any]:
    with bridge.database.reading():
        return list(bridge.ruling.people())


# -- In words ---------------------------------------------------------------


def _print(
    difference: Difference, names: Mapping[str, str], held: int, *, everything: bool = False
) -> None:
    click.echo(_counts(difference))
    changes = [
        *(("loses", effect) for effect in difference.losses),
        *(("gains", effect) for effect in difference.gains),
    ]
    shown = changes if everything else changes[:MOST]
    if shown:
        click.echo()
        print_table(
            ("user", "", "what"),
            (
                (names.get(effect.person, effect.person), what, printable(str(effect.right)))
                for what, effect in shown
            ),
        )
    if len(shown) < len(changes):
        click.echo(f"… and {len(changes) - len(shown)} more (--all)")
    for name in difference.new_groups:
        print_wrapped(f"Group {printable(name)} is created.")
    if held:
        print_wrapped(
            advise(
                f"! The brake would hold the losses of {people(held)} until you decide: "
                "scim-bridge status"
            )
        )


def _counts(difference: Difference) -> str:
    if not difference.gains and not difference.losses:
        return "Nobody gains or loses anything."
    gainers = frozenset(effect.person for effect in difference.gains)
    return (
        f"{people(len(difference.losers))} {_verb(difference.losers, 'lose')} "
        f"{len(difference.losses)}, {people(len(gainers))} {_verb(gainers, 'gain')} "
        f"{len(difference.gains)}."
    )


def _verb(those: frozenset[str], verb: str) -> str:
    return f"{verb}s" if len(those) == 1 else verb


def _sentence(one: Verdict, standing: Standing) -> str:
    rule = one.rule
    gives = ", ".join(map(str, rule.rights))
    because = "; ".join(_values(rule, standing)) or "whatever is known of them"
    if one.holds:
        until = f" until {day(one.changes)}" if one.changes is not None else ""
        return f"Rule {rule.name} means them{until} ({because}). It gives {gives}."
    kept = standing.lapses.get(rule.name)
    late = f" What it gave is kept until {day(kept)}." if kept is not None else ""
    return f"Rule {rule.name} does not mean them: {_why_not(one, standing)} ({because}).{late}"


def _why_not(one: Verdict, standing: Standing) -> str:
    if not standing.person.active:
        return "they are inactive"
    match one.because:
        case "begins":
            return f"it begins on {day(one.changes)}"
        case "ended":
            return f"it ended on {day(one.ended)}"
        case "date":
            return "an attribute that is to hold a date holds none"
        case _:
            return "its condition does not hold"


def _values(rule: Rule, standing: Standing) -> Iterator[str]:
    """What of the person the rule looks at."""
    for attribute in rule.attributes:
        value = attribute.of(standing.person.document)
        yield f"{attribute.name} is {'not set' if value is None else repr(value)}"


# -- As JSON ----------------------------------------------------------------


def _as_dict(difference: Difference, names: Mapping[str, str], held: int) -> dict[str, Any]:
    return {
        "people_losing": len(difference.losers),
        "people_gaining": len({effect.person for effect in difference.gains}),
        "losses": [_effect_as_dict(effect, names) for effect in difference.losses],
        "gains": [_effect_as_dict(effect, names) for effect in difference.gains],
        "new_groups": list(difference.new_groups),
        "held_by_brake": held,
    }


def _effect_as_dict(effect: Effect, names: Mapping[str, str]) -> dict[str, Any]:
    person = {"id": effect.person, "user": names.get(effect.person)}
    return {**person, **_right_as_dict(effect.right)}


def _right_as_dict(right: Right) -> dict[str, str]:
    return {name: value for name, value in vars(right).items() if value}


def _rule_as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "when": rule.when.text,
        "gives": [_right_as_dict(right) for right in rule.rights],
        "grace_seconds": rule.grace,
    }


def _verdict_as_dict(one: Verdict, standing: Standing) -> dict[str, Any]:
    return {
        "rule": one.rule.name,
        "means": one.holds,
        "why_not": None if one.holds else _why_not(one, standing),
        "until": when(one.changes) if one.holds else None,
        "kept_until": when(standing.lapses.get(one.rule.name)),
        "looks_at": {
            str(attribute): attribute.of(standing.person.document)
            for attribute in one.rule.attributes
        },
        "gives": [_right_as_dict(right) for right in one.rule.rights],
    }
