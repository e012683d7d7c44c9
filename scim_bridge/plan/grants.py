"""Which account and application assignments bring a principal to what it should hold?

The same three-way difference as for users and groups (`scim_bridge.plan.diff`), over grants: what
the bridge gave and no longer wants goes, what somebody gave by hand stays, except where a
deactivation, a deletion or a client's own words take it away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from scim_bridge.plan.state import Kind


@dataclass(frozen=True, kw_only=True, order=True)
class AccountGrant:
    """A permission set in an account (AWS SSO Admin API: account assignment)."""

    # Twelve digits.
    account: str
    # The ARN of the permission set.
    permission_set: str


@dataclass(frozen=True, kw_only=True, order=True)
class ApplicationGrant:
    """The use of an application (AWS SSO Admin API: application assignment)."""

    # The ARN of the application.
    application: str


Grant = AccountGrant | ApplicationGrant


@dataclass(frozen=True, kw_only=True)
class GrantsTakenAway:
    """Grants to be taken away although the bridge may never have given them.

    ``everything``: the person left or was deleted, or the group goes. ``named``: a client took
    these away by name.
    """

    everything: bool = False
    named: frozenset[Grant] = frozenset()


NO_GRANTS = GrantsTakenAway()


@dataclass(frozen=True, kw_only=True)
class Entitled:
    """A user or group and its grants, from all three sides."""

    kind: Kind
    # The id in the directory.
    id: str
    # The id at the target. None: there is no principal yet, so nothing can be given.
    principal: str | None
    # What it should hold now: of somebody inactive or deleted, nothing.
    desired: frozenset[Grant]
    # What the bridge gave and has not taken.
    applied: frozenset[Grant] = frozenset()
    # What the principal was last seen to hold.
    observed: frozenset[Grant] = frozenset()
    take_away: GrantsTakenAway = NO_GRANTS


@dataclass(frozen=True, kw_only=True)
class CreateAssignment:
    """Give a principal a permission set in an account. Asynchronous at AWS."""

    kind: Kind
    subject: str
    principal: str
    grant: AccountGrant


@dataclass(frozen=True, kw_only=True)
class DeleteAssignment:
    """Take a permission set in an account from a principal. Asynchronous at AWS."""

    kind: Kind
    subject: str
    principal: str
    grant: AccountGrant


@dataclass(frozen=True, kw_only=True)
class CreateApplicationAssignment:
    """Give a principal the use of an application."""

    kind: Kind
    subject: str
    principal: str
    grant: ApplicationGrant


@dataclass(frozen=True, kw_only=True)
class DeleteApplicationAssignment:
    """Take the use of an application from a principal."""

    kind: Kind
    subject: str
    principal: str
    grant: ApplicationGrant


AccessChange = (
    CreateAssignment | DeleteAssignment | CreateApplicationAssignment | DeleteApplicationAssignment
)

# Revoke before grant.
ACCESS_ORDER: tuple[type[AccessChange], ...] = (
    DeleteAssignment,
    DeleteApplicationAssignment,
    CreateAssignment,
    CreateApplicationAssignment,
)


def diff_grants(entitled: Entitled) -> tuple[AccessChange, ...]:
    """The changes that bring a principal's grants right, revocations first. Empty when none are.

    What is desired and not observed is given, also when somebody took it away by hand: a pass
    runs only where something was written, and drift tells of the rest.
    """
    if entitled.principal is None:
        return ()
    going = surplus_grants(entitled)
    coming = entitled.desired - entitled.observed
    return in_order(
        [
            *(_deletion(entitled, entitled.principal, grant) for grant in going),
            *(_creation(entitled, entitled.principal, grant) for grant in coming),
        ]
    )


def surplus_grants(entitled: Entitled) -> frozenset[Grant]:
    """The grants at the target that are to be taken away."""
    if entitled.take_away.everything:
        taken = entitled.observed | entitled.applied
    else:
        taken = entitled.applied | entitled.take_away.named
    return (entitled.observed & taken) - entitled.desired


def is_revocation(change: AccessChange) -> bool:
    """Whether a change takes access away: it is never undone and never given up."""
    return isinstance(change, DeleteAssignment | DeleteApplicationAssignment)


def in_order(changes: Iterable[AccessChange]) -> tuple[AccessChange, ...]:
    """Changes in the order of a plan, the same whatever order they come in."""

    def rank(change: AccessChange) -> tuple[int, str, str]:
        account, what = _named(change.grant)
        return ACCESS_ORDER.index(type(change)), account, what

    return tuple(sorted(changes, key=rank))


def _named(grant: Grant) -> tuple[str, str]:
    match grant:
        case AccountGrant():
            return grant.account, grant.permission_set
        case ApplicationGrant():
            return "", grant.application
        case _:
            assert_never(grant)


def _creation(entitled: Entitled, principal: str, grant: Grant) -> AccessChange:
    match grant:
        case AccountGrant():
            return CreateAssignment(
                kind=entitled.kind, subject=entitled.id, principal=principal, grant=grant
            )
        case ApplicationGrant():
            return CreateApplicationAssignment(
                kind=entitled.kind, subject=entitled.id, principal=principal, grant=grant
            )
        case _:
            assert_never(grant)


def _deletion(entitled: Entitled, principal: str, grant: Grant) -> AccessChange:
    match grant:
        case AccountGrant():
            return DeleteAssignment(
                kind=entitled.kind, subject=entitled.id, principal=principal, grant=grant
            )
        case ApplicationGrant():
            return DeleteApplicationAssignment(
                kind=entitled.kind, subject=entitled.id, principal=principal, grant=grant
            )
        case _:
            assert_never(grant)
