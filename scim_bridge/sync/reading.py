"""What does Identity Center hold, read completely by its APIs and at a modest pace?"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from scim_bridge.errors import AccessDenied, CircuitOpen, Missing, TryLater
from scim_bridge.identity_center.api_payloads import AccountAssignment
from scim_bridge.identity_center.apis import Apis
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.plan.grants import ApplicationGrant, Grant
from scim_bridge.plan.state import Kind, Principal

# How long one call may take, in seconds.
CALL_SECONDS = 30.0
# The pauses before a read that a throttled or faulty answer interrupted is begun again, in seconds.
PAUSES = (1.0, 5.0)

T = TypeVar("T")

# Of what is read next, how much is done and how much there is; 0: not known.
Progress = Callable[[int, int], None]

Part = Literal["permission_sets", "accounts", "applications"]


def unwatched(_done: int, _total: int) -> None:
    """Nobody looks."""


@dataclass(frozen=True, kw_only=True)
class Members:
    """The memberships of the groups that were read: (group, member), by ids at the target."""

    groups: frozenset[str]
    pairs: frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, order=True)
class HeldGrant:
    """One grant of one principal, by ids at the target."""

    kind: Kind
    principal: str
    account: str = ""
    permission_set: str = ""
    application: str = ""


@dataclass(frozen=True, kw_only=True)
class HeldGrants:
    """The direct grants of the principals that were read, or of all there are."""

    principals: frozenset[tuple[Kind, str]]
    held: frozenset[HeldGrant]
    # Everything was read, also what is left of principals that are gone.
    is_everything: bool = False

    def covers(self, grant: HeldGrant) -> bool:
        """Whether a grant would be among these if it were there."""
        return self.is_everything or (grant.kind, grant.principal) in self.principals


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What there is to grant. A part that could not be read is None, and told in `problems`."""

    permission_sets: Sequence[Mapping[str, Any]] | None
    accounts: Sequence[Mapping[str, Any]] | None
    applications: Sequence[Mapping[str, Any]] | None
    problems: Sequence[str] = field(default_factory=tuple)


class Reading(Protocol):
    """Reads one target completely. See `Reader` for what is promised."""

    def users(self, report: Progress = ...) -> dict[str, Principal]: ...

    def groups(self, report: Progress = ...) -> dict[str, Principal]: ...

    def memberships(self, groups: Collection[str], report: Progress = ...) -> Members: ...

    def grants(
        self, principals: Collection[tuple[Kind, str]], report: Progress = ...
    ) -> HeldGrants: ...

    def catalogue(self, report: Progress = ...) -> Catalogue: ...

    def user_is_there(self, user: str) -> bool: ...

    def group_is_there(self, group: str) -> bool: ...

    def groups_still_holding(self, member: str, groups: Collection[str]) -> frozenset[str]: ...

    def account_grants(self, kind: Kind, principal: str) -> frozenset[HeldGrant]: ...

    def application_grants(self, kind: Kind, principal: str) -> frozenset[HeldGrant]: ...


class Reader:
    """Reads one Identity Center. What it asks waits its turn behind everything that is delivered.

    `calls_per_second` is its own pace, at most; calls that take access away overtake it as they
    overtake all others. A read ends early only by raising what the APIs raise.
    """

    def __init__(
        self,
        apis: Apis,
        *,
        calls_per_second: float,
        pauses: Sequence[float] = PAUSES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = apis.identity_store
        self._sso = apis.sso_admin
        self._organizations = apis.organizations
        self._pacer = Pacer(calls_per_second)
        self._pauses = pauses
        self._sleep = sleep

    # -- Everything -----------------------------------------------------

    def users(self, report: Progress = unwatched) -> dict[str, Principal]:
        """Every user, by id."""
        return self._whole(lambda: self._principals(self._store.list_users, report))

    def groups(self, report: Progress = unwatched) -> dict[str, Principal]:
        """Every group, by id."""
        return self._whole(lambda: self._principals(self._store.list_groups, report))

    def memberships(self, groups: Collection[str], report: Progress = unwatched) -> Members:
        """Who is in each of these groups. A group that is gone is not among those read."""
        found: set[tuple[str, str]] = set()
        read: set[str] = set()
        for place, group in enumerate(sorted(groups), start=1):
            members = self._unless_gone(partial(self._members, group))
            if members is not None:
                read.add(group)
                found.update((group, member) for member in members)
            report(place, len(groups))
        return Members(groups=frozenset(read), pairs=frozenset(found))

    def grants(
        self, principals: Collection[tuple[Kind, str]], report: Progress = unwatched
    ) -> HeldGrants:
        """The direct grants of each of these principals.

        Read by principal, or by account and permission set where that takes fewer calls: that
        shows everything, also assignments of principals that are gone.
        """
        places = self._places(at_most=len(principals))
        if places is None:
            found = self._grants_by_principal(principals, report)
        else:
            found = self._grants_by_place(places, report)
        found.update(self._application_grants())
        known = frozenset(principals)
        if places is None:
            found = {one for one in found if (one.kind, one.principal) in known}
        return HeldGrants(principals=known, held=frozenset(found), is_everything=places is not None)

    def _grants_by_principal(
        self, principals: Collection[tuple[Kind, str]], report: Progress
    ) -> set[HeldGrant]:
        found: set[HeldGrant] = set()
        for place, (kind, principal) in enumerate(sorted(principals), start=1):
            found.update(self.account_grants(kind, principal))
            report(place, len(principals))
        return found

    def _grants_by_place(
        self, places: Collection[tuple[str, str]], report: Progress
    ) -> set[HeldGrant]:
        found: set[HeldGrant] = set()
        for place, (account, permission_set) in enumerate(sorted(places), start=1):
            rows = self._unless_gone(partial(self._assigned, account, permission_set))
            found.update(_held_grant(row.kind, row.principal, row.grant) for row in rows or ())
            report(place, len(places))
        return found

    def _places(self, *, at_most: int) -> set[tuple[str, str]] | None:
        """Each account and permission set provisioned there. None: more, or not to be seen."""
        found: set[tuple[str, str]] = set()
        try:
            for permission_set in self._whole(self._permission_set_arns):
                accounts = self._unless_gone(partial(self._accounts_of, permission_set))
                found.update((account, permission_set) for account in accounts or ())
                if len(found) > at_most:
                    return None
        except AccessDenied:
            return None
        return found

    def _permission_set_arns(self) -> list[str]:
        return list(self._sso.list_permission_sets(turn_page=self._turn, deadline=self._turn()))

    def _accounts_of(self, permission_set: str) -> list[str]:
        shown = self._sso.accounts_of(permission_set, turn_page=self._turn, deadline=self._turn())
        return list(shown)

    def _assigned(self, account: str, permission_set: str) -> list[AccountAssignment]:
        shown = self._sso.assignments(
            account, permission_set, turn_page=self._turn, deadline=self._turn()
        )
        return list(shown)

    def catalogue(self, report: Progress = unwatched) -> Catalogue:
        """Permission sets, accounts and applications, as far as IAM lets the bridge see them."""
        problems: list[str] = []
        sets = self._permitted(lambda: self._permission_sets(report), problems)
        accounts = self._permitted(self._accounts, problems)
        applications = self._permitted(self._applications, problems)
        return Catalogue(
            permission_sets=sets,
            accounts=accounts,
            applications=applications,
            problems=tuple(problems),
        )

    # -- A direct look at what a list did not show ----------------------

    def user_is_there(self, user: str) -> bool:
        return (
            self._whole(lambda: self._store.describe_user(user, deadline=self._turn())) is not None
        )

    def group_is_there(self, group: str) -> bool:
        shown = self._whole(lambda: self._store.describe_group(group, deadline=self._turn()))
        return shown is not None

    def groups_still_holding(self, member: str, groups: Collection[str]) -> frozenset[str]:
        """Those of these groups that somebody is in. Who is gone is in none."""
        held = self._unless_gone(
            lambda: self._store.is_member_in_groups(member, groups, deadline=self._turn())
        )
        return frozenset() if held is None else held

    def account_grants(self, kind: Kind, principal: str) -> frozenset[HeldGrant]:
        """The direct account assignments of a principal. Who is gone has none."""
        rows = self._unless_gone(lambda: self._assignments(kind, principal))
        return frozenset(
            _held_grant(row.kind, row.principal, row.grant)
            for row in rows or ()
            # Of a user, AWS may also show what a group of theirs holds.
            if (row.kind, row.principal) == (kind, principal)
        )

    def application_grants(self, kind: Kind, principal: str) -> frozenset[HeldGrant]:
        """The direct application assignments of a principal."""
        rows = self._unless_gone(
            lambda: list(
                self._sso.application_assignments_of(
                    kind, principal, turn_page=self._turn, deadline=self._turn()
                )
            )
        )
        return frozenset(
            _held_grant(row.kind, row.principal, row.grant)
            for row in rows or ()
            if (row.kind, row.principal) == (kind, principal)
        )

    # -- One after the other --------------------------------------------

    def _turn(self) -> float:
        """Wait for the turn of the next call. Returns its deadline."""
        with self._pacer.turn():
            return time.monotonic() + CALL_SECONDS

    def _principals(self, listed: Any, report: Progress) -> dict[str, Principal]:
        found: dict[str, Principal] = {}
        for principal in listed(turn_page=self._turn, deadline=self._turn()):
            found[principal.id] = principal
            report(len(found), 0)
        return found

    def _members(self, group: str) -> list[str]:
        rows = self._store.list_memberships(group, turn_page=self._turn, deadline=self._turn())
        return [row.user for row in rows]

    def _assignments(self, kind: Kind, principal: str) -> list[AccountAssignment]:
        rows = self._sso.assignments_of(
            kind, principal, turn_page=self._turn, deadline=self._turn()
        )
        return list(rows)

    def _application_grants(self) -> Iterator[HeldGrant]:
        """By application: there are few of them, and many principals."""
        for application in self._whole(self._application_arns):
            rows = self._unless_gone(partial(self._assignees, application))
            yield from rows or ()

    def _assignees(self, application: str) -> list[HeldGrant]:
        rows = self._sso.application_assignments(
            application, turn_page=self._turn, deadline=self._turn()
        )
        return [_held_grant(row.kind, row.principal, row.grant) for row in rows]

    def _application_arns(self) -> list[str]:
        shown = self._sso.list_applications(turn_page=self._turn, deadline=self._turn())
        return [one.arn for one in shown]

    # -- The catalogue --------------------------------------------------

    def _permission_sets(self, report: Progress) -> list[dict[str, Any]]:
        arns = self._permission_set_arns()
        found = []
        for place, arn in enumerate(arns, start=1):
            row = self._unless_gone(partial(self._permission_set, arn))
            if row is not None:
                found.append(row)
            report(place, len(arns))
        return found

    def _permission_set(self, arn: str) -> dict[str, Any]:
        shown = self._sso.describe_permission_set(arn, deadline=self._turn())
        policies = list(self._sso.policy_names(arn, turn_page=self._turn, deadline=self._turn()))
        inline = self._sso.get_inline_policy(arn, deadline=self._turn())
        return {
            "arn": shown.arn,
            "name": shown.name,
            "description": shown.description,
            "session_seconds": shown.session_seconds,
            "policies": {
                "managed": [name for name in policies if not name.startswith("/")],
                "customer_managed": [name for name in policies if name.startswith("/")],
                "inline": bool(inline),
            },
        }

    def _accounts(self) -> list[dict[str, Any]]:
        shown = self._organizations.accounts(turn_page=self._turn, deadline=self._turn())
        return [
            {"id": one.id, "name": one.name or one.id, "status": one.status or "ACTIVE"}
            for one in shown
        ]

    def _applications(self) -> list[dict[str, Any]]:
        shown = self._sso.list_applications(turn_page=self._turn, deadline=self._turn())
        return [{"arn": one.arn, "name": one.name or one.arn} for one in shown]

    def _permitted(self, read: Callable[[], T], problems: list[str]) -> T | None:
        """What is read, or None for what IAM does not let the bridge see."""
        try:
            return self._whole(read)
        except AccessDenied as error:
            problems.append(str(error))
            return None

    # -- When it does not go well ---------------------------------------

    def _whole(self, read: Callable[[], T]) -> T:
        """A read, begun again from its start when it is interrupted."""
        for pause in self._pauses:
            try:
                return read()
            except (AccessDenied, CircuitOpen):
                raise
            except TryLater:
                self._sleep(pause)
        return read()

    def _unless_gone(self, read: Callable[[], T]) -> T | None:
        try:
            return self._whole(read)
        except Missing:
            return None


def _held_grant(kind: Kind, principal: str, grant: Grant) -> HeldGrant:
    if isinstance(grant, ApplicationGrant):
        return HeldGrant(kind=kind, principal=principal, application=grant.application)
    return HeldGrant(
        kind=kind,
        principal=principal,
        account=grant.account,
        permission_set=grant.permission_set,
    )


def by_principal(grants: Iterable[HeldGrant]) -> dict[tuple[Kind, str], set[HeldGrant]]:
    """HeldGrants by whose they are."""
    found: dict[tuple[Kind, str], set[HeldGrant]] = {}
    for one in grants:
        found.setdefault((one.kind, one.principal), set()).add(one)
    return found
