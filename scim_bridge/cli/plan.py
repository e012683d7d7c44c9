"""`plan`: what would a sync do?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

import click

from scim_bridge.app import Bridge
from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, advise, pass_invocation
from scim_bridge.cli.names import called, listed, principal_names, printable
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
)
from scim_bridge.plan.state import Attributes
from scim_bridge.sync import TARGET
from scim_bridge.sync.preview import Planned, preview

Names = Mapping[str, str]


@click.command()
@json_option
@pass_invocation
def command(invocation: Invocation, *, as_json: bool) -> None:
    """Show what a sync would do, person by person and group by group, and change nothing.

    What is switched off ([users] create and update) and what the brake holds is shown apart.
    Identity Center is not asked; what follows from its answers shows once they are there.

    \b
    Example:
      scim-bridge plan
      scim-bridge sync
    """
    with assembled(invocation.settings()) as bridge:
        planned = preview(bridge.database, bridge.marks, bridge.planning)
        names = _member_names(bridge, planned)
    if as_json:
        print_json(as_dict(planned, names))
    else:
        _print(planned, names)


def _member_names(bridge: Bridge, planned: Iterable[Planned]) -> Names:
    """The names of everybody who is to join or leave a group, by their ids at Identity Center."""
    members = [
        member
        for one in planned
        for change in (*one.changes, *one.suppressed, *one.held)
        if isinstance(change, AddMembers | RemoveMembers)
        for member in change.members
    ]
    return principal_names(bridge.database, TARGET, members)


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


# -- Words ------------------------------------------------------------------


def _print(planned: Sequence[Planned], names: Names) -> None:
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
    again = sum(1 for one in planned if not (one.changes or one.suppressed or one.held))
    if again:
        lines.append(f"{_resources(again)} would be looked at, with no difference known now.")
    click.echo("\n".join(lines or ["Nothing to do: everything has reached Identity Center."]))


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
