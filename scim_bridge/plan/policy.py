"""What an operator switched off, as a filter over changes: the difference knows nothing of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

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


@dataclass(frozen=True, kw_only=True)
class Switches:
    """``[users] create`` and ``update``."""

    create: bool = True
    update: bool = True


@dataclass(frozen=True, kw_only=True)
class Permitted:
    """The changes that may be made, and those that are suppressed."""

    changes: tuple[Change, ...]
    suppressed: tuple[Change, ...]


def permitted(changes: Iterable[Change], switches: Switches) -> Permitted:
    """Split changes by the switches. Nobody's access is ever left standing by a switch."""
    kept: list[Change] = []
    suppressed: list[Change] = []
    for change in changes:
        match change:
            case CreateUser() if not switches.create:
                suppressed.append(change)
            case UpdateUser() if not switches.update:
                suppressed.append(change)
            case EnableUser(set=to_set, remove=to_remove) if not switches.update and (
                to_set or to_remove
            ):
                kept.append(replace(change, set={}, remove=()))
                suppressed.append(
                    UpdateUser(
                        user=change.user, principal=change.principal, set=to_set, remove=to_remove
                    )
                )
            case (
                DisableUser()
                | RemoveMembers()
                | DeleteGroup()
                | CreateUser()
                | CreateGroup()
                | UpdateUser()
                | UpdateGroup()
                | EnableUser()
                | AddMembers()
            ):
                kept.append(change)
            case _:
                assert_never(change)
    return Permitted(changes=tuple(kept), suppressed=tuple(suppressed))
