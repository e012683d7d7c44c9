"""What does the bridge know of grants: applied, last seen, and asked for and not yet ended?

By ids at the target, as `scim_bridge.sync.observed` knows principals and memberships.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from sqlalchemy import Row, Table, and_, delete, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.write import Kind
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant
from scim_bridge.sync import departures

requests = tables.assignment_requests
taken = tables.taken

Operation = Literal["create", "delete"]

# AWS takes no more asynchronous creations at once (AWS SSO API reference, quotas). Deletions are
# counted apart, so that revoking never waits for granting.
MOST_OUTSTANDING = 10
# An operation of AWS takes no longer than this, in seconds.
FOLLOWED_FOR = 600.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Whose grants: a user or group by its id at the target."""

    kind: Kind
    id: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """A creation or deletion of an account assignment that has been asked for."""

    grant: AccountGrant
    operation: Operation
    # AWS's id of it. None: asked, and no answer was written down.
    request_id: str | None
    # Seconds since it was asked for.
    age: float
    generation: int
    # Why a creation failed; it is over then, and kept so that it is not asked again at once.
    error: str | None


def to_text(grant: Grant) -> str:
    """A grant as one word: ``account|permission set`` or ``|application``."""
    match grant:
        case AccountGrant():
            return f"{grant.account}|{grant.permission_set}"
        case ApplicationGrant():
            return f"|{grant.application}"
        case _:
            assert_never(grant)


def from_text(text: str) -> Grant:
    """The grant that `to_text` wrote."""
    account, _, name = text.partition("|")
    if account:
        return AccountGrant(account=account, permission_set=name)
    return ApplicationGrant(application=name)


class Grants:
    """Grants and requests of one target. Methods join the caller's transaction."""

    def __init__(self, database: Database, target: str) -> None:
        self.database = database
        self.target = target

    # -- Applied and observed -------------------------------------------

    def applied(self, holder: Holder) -> frozenset[Grant]:
        """What the bridge gave and has not taken. What was asked for counts already."""
        return self._read(tables.applied_assignments, holder)

    def observed(self, holder: Holder) -> frozenset[Grant]:
        """What the principal was last seen to hold."""
        return self._read(tables.observed_assignments, holder)

    def see(self, holder: Holder, grants: Iterable[Grant]) -> None:
        """Remember what the target showed beside what is known."""
        self._add(tables.observed_assignments, holder, grants)

    def expect(self, holder: Holder, grant: Grant) -> None:
        """Count a grant as the bridge's before it is asked for: its answer may be lost."""
        self._add(tables.applied_assignments, holder, [grant])

    def given(self, holder: Holder, grant: Grant) -> None:
        """Remember what the bridge gave."""
        self._add(tables.applied_assignments, holder, [grant])
        self._add(tables.observed_assignments, holder, [grant])

    def not_given(self, holder: Holder, grant: Grant) -> None:
        """Forget what was expected and not given."""
        self._remove(tables.applied_assignments, holder, [grant])

    def gone(self, holder: Holder, grants: Iterable[Grant]) -> None:
        """Remember that the principal holds these no more."""
        grants = list(grants)
        departures.note(
            self.database, self.target, "assignment", (item(holder, one) for one in grants)
        )
        self._remove(tables.applied_assignments, holder, grants)
        self._remove(tables.observed_assignments, holder, grants)

    def _read(self, table: Table, holder: Holder) -> frozenset[Grant]:
        rows = self.database.connection.execute(select(table).where(self._of(table, holder)))
        return frozenset(_grant(row) for row in rows)

    def _add(self, table: Table, holder: Holder, grants: Iterable[Grant]) -> None:
        for grant in grants:
            self.database.connection.execute(
                insert_or(self.database, table)
                .values(**self._key(holder), **columns(grant), at=now())
                .on_conflict_do_nothing()
            )

    def _remove(self, table: Table, holder: Holder, grants: Iterable[Grant]) -> None:
        for grant in grants:
            self.database.connection.execute(
                delete(table).where(self._of(table, holder), _is(table, grant))
            )

    # -- Requests -------------------------------------------------------

    def requests(self, holder: Holder) -> Sequence[Request]:
        """What has been asked for and is not over, and which creations failed."""
        rows = self.database.connection.execute(
            select(requests, (now() - requests.c.started).label("age"))
            .where(self._of(requests, holder))
            .order_by(requests.c.account_id, requests.c.permission_set)
        )
        return [_request(row) for row in rows]

    def take_slot(
        self, holder: Holder, grant: AccountGrant, operation: Operation, *, generation: int
    ) -> bool:
        """Note that something is about to be asked for. False: too much is outstanding already.

        The transaction must be one that writes: nobody else may count at the same time.
        """
        outstanding = self.database.connection.scalar(
            select(func.count()).where(
                requests.c.target == self.target,
                requests.c.operation == operation,
                requests.c.error.is_(None),
                # What nobody could follow for so long must not keep others from losing access.
                requests.c.started > now() - FOLLOWED_FOR,
            )
        )
        if (outstanding or 0) >= MOST_OUTSTANDING:
            return False
        self.forget(holder, grant)
        self.database.connection.execute(
            requests.insert().values(
                **self._key(holder),
                account_id=grant.account,
                permission_set=grant.permission_set,
                operation=operation,
                started=now(),
                generation=generation,
            )
        )
        return True

    def accepted(self, holder: Holder, grant: AccountGrant, request_id: str | None) -> None:
        """AWS took it, under this id. None: AWS does not know it any more."""
        self.database.connection.execute(
            update(requests)
            .where(self._of(requests, holder), _is_account(requests, grant))
            .values(request_id=request_id)
        )

    def failed(self, holder: Holder, grant: AccountGrant, reason: str) -> None:
        """A creation is over, and gave nothing."""
        self.database.connection.execute(
            update(requests)
            .where(self._of(requests, holder), _is_account(requests, grant))
            .values(error=reason)
        )
        self.not_given(holder, grant)

    def forget(self, holder: Holder, grant: AccountGrant) -> None:
        """It is over."""
        self.database.connection.execute(
            delete(requests).where(self._of(requests, holder), _is_account(requests, grant))
        )

    def forget_failed(self, holder: Holder, *, but: int | None = None) -> None:
        """Failed creations may be asked for again; but not those of generation `but`."""
        ended = and_(self._of(requests, holder), requests.c.error.is_not(None))
        if but is not None:
            ended = and_(ended, requests.c.generation != but)
        self.database.connection.execute(delete(requests).where(ended))

    def forget_all(self, holder: Holder) -> None:
        """The principal is not there any more."""
        for table in (tables.applied_assignments, tables.observed_assignments, requests):
            self.database.connection.execute(delete(table).where(self._of(table, holder)))

    # -- Taken away though nobody gave it through the bridge ------------

    def record_taken(self, person: str, grant: Grant) -> None:
        """Keep what a leaver held beside the bridge, so that an operator can give it again."""
        known = self.database.connection.scalar(
            select(taken.c.id).where(
                taken.c.target == self.target,
                taken.c.person == person,
                taken.c.restored_at.is_(None),
                _is(taken, grant),
            )
        )
        if known is None:
            self.database.connection.execute(
                taken.insert().values(target=self.target, person=person, at=now(), **columns(grant))
            )

    # -- Columns --------------------------------------------------------

    def _key(self, holder: Holder) -> dict[str, Any]:
        return {"target": self.target, "kind": holder.kind, "principal_id": holder.id}

    def _of(self, table: Table, holder: Holder) -> ColumnElement[bool]:
        return and_(
            table.c.target == self.target,
            table.c.kind == holder.kind,
            table.c.principal_id == holder.id,
        )


def item(holder: Holder, grant: Grant) -> tuple[str, ...]:
    """The ids at the target that name an assignment, for `departures` and `disappearances`."""
    of = columns(grant)
    return (
        holder.kind, holder.id, of["account_id"], of["permission_set"], of["application"]
    )  # fmt: skip


def columns(grant: Grant) -> dict[str, str]:
    """A grant as the columns of a table of grants."""
    match grant:
        case AccountGrant():
            return {
                "account_id": grant.account,
                "permission_set": grant.permission_set,
                "application": "",
            }
        case ApplicationGrant():
            return {"account_id": "", "permission_set": "", "application": grant.application}
        case _:
            assert_never(grant)


def _is(table: Table, grant: Grant) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in columns(grant).items()))


def _is_account(table: Table, grant: AccountGrant) -> ColumnElement[bool]:
    return and_(table.c.account_id == grant.account, table.c.permission_set == grant.permission_set)


def _grant(row: Row[Any]) -> Grant:
    if row.account_id:
        return AccountGrant(account=row.account_id, permission_set=row.permission_set)
    return ApplicationGrant(application=row.application)


def _request(row: Row[Any]) -> Request:
    return Request(
        grant=AccountGrant(account=row.account_id, permission_set=row.permission_set),
        operation=row.operation,
        request_id=row.request_id,
        age=row.age,
        generation=row.generation,
        error=row.error,
    )
