"""The three-way difference: which changes bring a target from what it holds to what it should hold.

Add what is desired and not observed; take away what is observed, was applied by the bridge and is
no longer desired. What somebody added by hand at the target stays, except where a client's own
words take it away (`TakeAway`).
"""

from collections.abc import Iterable, Iterator

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
    in_order,
)
from scim_bridge.plan.state import Attributes, Group, GroupState, User, UserState


def diff_user(user: User) -> tuple[Change, ...]:
    """The changes that bring one user right. Empty when nothing differs.

    principal   desired    observed   change
    none        active     -          create
    none        inactive   -          create disabled, once; not again after it was lost
    linked      inactive   active     disable; other differences wait
    linked      inactive   disabled   none; other differences wait
    linked      active     disabled   enable, with what waited
    linked      active     active     update, if an attribute differs
    any         none       any        none

    Where nobody can be disabled, nobody is created before they are active, and a leaver loses
    memberships and assignments only.
    """
    desired = user.desired
    if desired is None or not (desired.active or user.can_be_disabled):
        return ()
    if user.principal is None or user.observed is None:
        return _creation(user, desired)
    if not desired.active:
        return _disabling(user.id, user.principal, user.observed)
    applied = user.applied.attributes if user.applied else {}
    to_set, to_remove = _attributes(desired.attributes, applied, user.observed.attributes)
    is_enabled = user.observed.active or not user.can_be_disabled
    change = UpdateUser if is_enabled else EnableUser
    if is_enabled and not to_set and not to_remove:
        return ()
    return (change(user=user.id, principal=user.principal, set=to_set, remove=to_remove),)


def diff_group(group: Group) -> tuple[Change, ...]:
    """The changes that bring one group right, in order. Empty when nothing differs.

    A group that is yet to be created gets its members in the pass after, when its id is known.
    """
    if group.principal is None or group.observed is None:
        if group.desired is None:
            return ()
        return (
            CreateGroup(
                group=group.id,
                external_id=group.external_id,
                attributes=dict(group.desired.attributes),
            ),
        )
    if group.desired is None:
        return _deletion(group, group.principal, group.observed)
    applied = group.applied.attributes if group.applied else {}
    to_set, to_remove = _attributes(group.desired.attributes, applied, group.observed.attributes)
    changes: list[Change] = [
        *_removals(group, group.principal, surplus(group)),
        *_additions(group, group.principal, group.desired.members - group.observed.members),
    ]
    if to_set or to_remove:
        changes.append(
            UpdateGroup(group=group.id, principal=group.principal, set=to_set, remove=to_remove)
        )
    return in_order(changes)


def surplus(group: Group) -> frozenset[str]:
    """The members at the target that are to be taken out.

    Those the bridge put there and no longer wants, and those a client's own words name.
    """
    if group.observed is None:
        return frozenset()
    wanted = group.desired.members if group.desired else frozenset()
    given = group.applied.members if group.applied else frozenset()
    return (group.observed.members & (given | _taken(group, group.observed))) - wanted


def _taken(group: Group, observed: GroupState) -> frozenset[str]:
    if group.take_away.everyone:
        return observed.members
    if group.take_away.linked:
        return (group.linked & observed.members) | group.take_away.named
    return group.take_away.named


def _creation(user: User, desired: UserState) -> tuple[Change, ...]:
    # Who was known there once, is gone, and should have no access anyway is not made anew.
    if not desired.active and user.applied is not None:
        return ()
    return (
        CreateUser(
            user=user.id,
            external_id=user.external_id,
            attributes=dict(desired.attributes),
            active=desired.active,
        ),
    )


def _disabling(user: str, principal: str, observed: UserState) -> tuple[Change, ...]:
    return (DisableUser(user=user, principal=principal),) if observed.active else ()


def _deletion(group: Group, principal: str, observed: GroupState) -> tuple[Change, ...]:
    if group.when_deleted == "remove" and group.created_here:
        return (DeleteGroup(group=group.id, principal=principal),)
    return in_order(_removals(group, principal, surplus(group)))


def _attributes(
    desired: Attributes, applied: Attributes, observed: Attributes
) -> tuple[dict[str, object], tuple[str, ...]]:
    to_set = {
        path: desired[path] for path in sorted(desired) if observed.get(path) != desired[path]
    }
    to_remove = sorted(path for path in observed if path in applied and path not in desired)
    return to_set, tuple(to_remove)


def _removals(group: Group, principal: str, members: Iterable[str]) -> Iterator[Change]:
    for some in _by_call(group, members):
        yield RemoveMembers(group=group.id, principal=principal, members=some)


def _additions(group: Group, principal: str, members: Iterable[str]) -> Iterator[Change]:
    for some in _by_call(group, members):
        yield AddMembers(group=group.id, principal=principal, members=some)


def _by_call(group: Group, members: Iterable[str]) -> Iterator[tuple[str, ...]]:
    ordered, most = sorted(members), group.members_per_call
    for start in range(0, len(ordered), most):
        yield tuple(ordered[start : start + most])
