"""`plan`: what would a sync do?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, assert_never

import click

from scim_bridge.app import Bridge
from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, advise, pass_invocation
from scim_bridge.cli.names import (
    called,
    group_names,
    listed,
    principal_names,
    printable,
    user_names,
)
from scim_bridge.cli.output import json_option, print_json
from scim_bridge.plan.changes import (
    AddMembers,
    Change,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
    subject,
)
from scim_bridge.plan.grants import (
    AccessChange,
    CreateApplicationAssignment,
    CreateAssignment,
    DeleteApplicationAssignment,
    DeleteAssignment,
    is_revocation,
)
from scim_bridge.plan.state import Attributes
from scim_bridge.sync import TARGET
from scim_bridge.sync.pause import paused
from scim_bridge.sync.preview import Planned, PlannedAccess, preview, preview_access
from scim_bridge.sync.target import Target

Names = Mapping[str, str]


@click.command()
@click.option(
    "--calls", is_flag=True, help="Print the very calls a sync would make; reads Identity Center."
)
@json_option
@pass_invocation
def command(invocation: Invocation, *, calls: bool, as_json: bool) -> None:
    """Show what a sync would do, person by person and group by group, and change nothing.

    What is switched off ([users] create and update) and what the brake holds is shown apart.
    Identity Center is not asked; what follows from its answers shows once they are there.

    \b
    Example:
      scim-bridge plan
      scim-bridge sync
    """
    with assembled(invocation.settings()) as bridge:
        if calls:
            _print_calls(bridge, as_json=as_json)
            return
        first, *others = (_planned_at(one) for one in bridge.targets)
        paused_by = paused(bridge.database)
    if as_json:
        elsewhere = {one.target: _plan_as_dict(one) for one in others}
        print_json({**_plan_as_dict(first), **({"targets": elsewhere} if elsewhere else {})})
        return
    if paused_by is not None:
        click.echo(advise("Delivery is paused: nothing is done until `scim-bridge resume`."))
    _print(first.planned, first.access, first.names)
    for one in others:
        click.echo(f"\nAt {one.target}:")
        _print(one.planned, one.access, one.names)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a sync would do at one target."""

    target: str
    planned: Sequence[Planned]
    access: Sequence[PlannedAccess]
    names: Names


def _planned_at(one: Target) -> _Plan:
    planned = preview(one.database, one.marks, one.planning)
    return _Plan(
        target=one.name,
        planned=planned,
        access=preview_access(one.database, one.access_marks, one.access.planning),
        names=_member_names(one, planned),
    )


def _plan_as_dict(one: _Plan) -> dict[str, Any]:
    return {**as_dict(one.planned, one.names), "assignments": _access_as_dicts(one.access)}


def _access_as_dicts(access: Sequence[PlannedAccess]) -> list[dict[str, Any]]:
    return [
        {
            "kind": one.key.kind,
            "id": one.key.id,
            "name": one.name,
            "changes": [call_as_dict(change) for change in one.changes],
            "held": [call_as_dict(change) for change in one.held],
        }
        for one in access
        if one.changes or one.held
    ]


def _print_calls(bridge: Bridge, *, as_json: bool) -> None:
    """The calls in their order, as Identity Center's own operations."""
    # The stand-ins are needed for nothing else.
    from scim_bridge.cli.rehearsal import rehearse

    rehearsed = rehearse(bridge.settings, bridge.database)
    whose = _subject_names(bridge, rehearsed)
    calls = [{"whose": whose.get(_subject_id(call)), **call_as_dict(call)} for call in rehearsed]
    if not as_json and paused(bridge.database) is not None:
        click.echo(advise("Delivery is paused: nothing is done until `scim-bridge resume`."))
    if as_json:
        print_json({"calls": calls, "count": len(calls)})
    elif not calls:
        click.echo("No call would be made.")
    for call in () if as_json else calls:
        name = f"{call['whose']}: " if call["whose"] else ""
        click.echo(f"{call['operation']} {name}{printable(call['words'])}")


def _subject_id(call: Change | AccessChange) -> str:
    """Whom a call is about: a user or group of the directory, or a principal's id there."""
    match call:
        case (
            CreateAssignment()
            | DeleteAssignment()
            | CreateApplicationAssignment()
            | DeleteApplicationAssignment()
        ):
            return call.principal
        case _:
            return subject(call)


def _subject_names(bridge: Bridge, calls: Iterable[Change | AccessChange]) -> dict[str, str]:
    ids = [_subject_id(call) for call in calls]
    with bridge.database.reading():
        groups = bridge.observations.resources("group", ids)
    named = group_names(bridge.database, [*ids, *groups.values()])
    return {
        **user_names(bridge.database, ids),
        **principal_names(bridge.database, TARGET, ids),
        **named,
        **{principal: named[group] for principal, group in groups.items() if group in named},
    }


def _member_names(target: Target, planned: Iterable[Planned]) -> Names:
    """The names of everybody who is to join or leave a group, by their ids at the target."""
    members = [
        member
        for one in planned
        for change in (*one.changes, *one.suppressed, *one.held)
        if isinstance(change, AddMembers | RemoveMembers)
        for member in change.members
    ]
    return principal_names(target.database, target.name, members)


# -- JSON -------------------------------------------------------------------


def as_dict(planned: Sequence[Planned], names: Names) -> dict[str, Any]:
    """The plan, as `plan --json` prints it."""
    return {
        "changes": sum(len(one.changes) for one in planned),
        "suppressed": sum(len(one.suppressed) for one in planned),
        "held": sum(len(one.held) for one in planned),
        "resources": [
            {
                "kind": one.key.kind,
                "id": one.key.id,
                "name": one.name,
                "state": one.state,
                "changes": [_change(change, names) for change in one.changes],
                "suppressed": [_change(change, names) for change in one.suppressed],
                "held": [_change(change, names) for change in one.held],
            }
            for one in planned
        ],
    }


def _change(change: Change, names: Names) -> dict[str, Any]:
    facts: dict[str, Any] = {"change": type(change).__name__, "words": words(change, names)}
    match change:
        case AddMembers() | RemoveMembers():
            facts["members"] = called(names, change.members)
        case CreateUser() | CreateGroup():
            facts["set"] = dict(change.attributes)
        case UpdateUser() | UpdateGroup() | EnableUser():
            facts |= {"set": dict(change.set), "remove": list(change.remove)}
        case DisableUser() | DeleteGroup():
            pass
        case _:
            assert_never(change)
    return facts


# -- Calls ------------------------------------------------------------------


def call_as_dict(call: Change | AccessChange) -> dict[str, Any]:
    """A call by its operation, as AWS and the sandbox count it, and what it is about."""
    facts = {name: value for name, value in asdict(call).items() if value not in ((), "", None)}
    return {"operation": operation(call), "words": _about(call), **facts}


def operation(call: Change | AccessChange) -> str:
    match call:
        case CreateUser() | CreateGroup() | DeleteGroup():
            return type(call).__name__
        case DisableUser() | EnableUser() | UpdateUser():
            return "PatchUser"
        case UpdateGroup() | AddMembers() | RemoveMembers():
            return "PatchGroup"
        case CreateAssignment():
            return "sso:CreateAccountAssignment"
        case DeleteAssignment():
            return "sso:DeleteAccountAssignment"
        case CreateApplicationAssignment():
            return "sso:CreateApplicationAssignment"
        case DeleteApplicationAssignment():
            return "sso:DeleteApplicationAssignment"
        case _:
            assert_never(call)


def _about(call: Change | AccessChange) -> str:
    match call:
        case CreateUser() | CreateGroup():
            return _set(call.attributes)
        case CreateAssignment() | DeleteAssignment():
            grant = call.grant
            return f"{call.kind} {call.principal}: {grant.permission_set} in {grant.account}"
        case CreateApplicationAssignment() | DeleteApplicationAssignment():
            return f"{call.kind} {call.principal}: {call.grant.application}"
        case _:
            return f"{call.principal}: {words(call, {})}"


# -- Words ------------------------------------------------------------------


def _print(planned: Sequence[Planned], access: Sequence[PlannedAccess], names: Names) -> None:
    sections = (
        ("A sync would:", [(one, one.changes) for one in planned]),
        (
            "Switched off by [users] create or update, and not done:",
            [(one, one.suppressed) for one in planned],
        ),
        (
            advise("Held by the brake until an operator decides (see `scim-bridge status`):"),
            [(one, one.held) for one in planned],
        ),
    )
    lines = [line for title, parts in sections for line in _section(title, parts, names)]
    lines += _access_lines("Assignments a sync would change:", [(a, a.changes) for a in access])
    lines += _access_lines("Assignments held by the brake:", [(a, a.held) for a in access])
    again = sum(1 for one in planned if not (one.changes or one.suppressed or one.held))
    if again:
        lines.append(f"{_resources(again)} would be looked at, with no difference known now.")
    click.echo("\n".join(lines or ["Nothing to do: everything has reached Identity Center."]))


def _access_lines(
    title: str, parts: Iterable[tuple[PlannedAccess, Sequence[AccessChange]]]
) -> list[str]:
    lines = []
    for one, changes in parts:
        if changes:
            lines.append(f"  {one.key.kind} {printable(one.name)}")
            lines.extend(f"    {_access_words(change)}" for change in changes)
    return [title, *lines] if lines else []


def _access_words(change: AccessChange) -> str:
    verb = "take away" if is_revocation(change) else "give"
    match change:
        case CreateAssignment() | DeleteAssignment():
            return f"{verb} {change.grant.permission_set} in account {change.grant.account}"
        case CreateApplicationAssignment() | DeleteApplicationAssignment():
            return f"{verb} application {change.grant.application}"
        case _:
            assert_never(change)


def _section(
    title: str, parts: Iterable[tuple[Planned, Sequence[Change]]], names: Names
) -> list[str]:
    lines = []
    for one, changes in parts:
        if changes:
            lines.append(f"  {one.key.kind} {printable(one.name)}{_mark(one)}")
            lines.extend(f"    {words(change, names)}" for change in changes)
    return [title, *lines] if lines else []


def _mark(one: Planned) -> str:
    return " (refused before)" if one.state == "failed" else ""


def _resources(count: int) -> str:
    return "1 user or group" if count == 1 else f"{count} users and groups"


def words(change: Change, names: Names) -> str:
    """A change as a sentence without its subject."""
    match change:
        case DisableUser():
            return "disable"
        case RemoveMembers():
            return f"take out {listed(called(names, change.members))}"
        case DeleteGroup():
            return "delete the group"
        case CreateUser():
            return f"create{'' if change.active else ', disabled'}: {_set(change.attributes)}"
        case CreateGroup():
            return "create the group"
        case UpdateUser() | UpdateGroup():
            return _update(change.set, change.remove)
        case EnableUser():
            return ", ".join(filter(None, ("enable", _update(change.set, change.remove))))
        case AddMembers():
            return f"put in {listed(called(names, change.members))}"
        case _:
            assert_never(change)


def _update(to_set: Attributes, to_remove: Iterable[str]) -> str:
    removal = ", ".join(_short(path) for path in to_remove)
    parts = (f"set {_set(to_set)}" if to_set else "", f"remove {removal}" if removal else "")
    return "; ".join(filter(None, parts))


def _set(attributes: Attributes) -> str:
    return ", ".join(f"{_short(path)} {_shown(value)}" for path, value in attributes.items())


def _short(path: str) -> str:
    """The attribute without the schema it is of."""
    return path.rpartition(":")[2]


def _shown(value: Any) -> str:
    match value:
        case [{"value": str(text)}, *_] | {"value": str(text)} | str(text):
            return f'"{printable(text)}"'
        case _:
            return printable(str(value))
