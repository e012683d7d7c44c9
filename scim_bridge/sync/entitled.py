"""What should a user or group hold of accounts and applications, and what does it hold?"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, or_, select

from scim_bridge.directory import tables
from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.plan.grants import (
    AccountGrant,
    ApplicationGrant,
    Entitled,
    Grant,
    GrantsTakenAway,
)
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync import TARGET
from scim_bridge.sync.audience import EVERYBODY, Audience
from scim_bridge.sync.grants import Grants, Holder, from_text
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Observations

assignments = tables.assignments

# For so long after a creation AWS may say that there is no such principal, in seconds.
NEW_FOR = 60.0


# Made once, since every write asks for them.
_ROWS = (
    select(assignments)
    .where(
        assignments.c.kind == bindparam("kind"),
        assignments.c.resource_id == bindparam("resource_id"),
        assignments.c.valid_to.is_(None),
    )
    .order_by(assignments.c.id)
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the directory wants a resource to hold."""

    grants: frozenset[Grant]
    # What it is also to hold, by names that the last extraction did not show.
    unknown: tuple[str, ...] = ()


class Entitlements:
    """Reads grants from all three sides. Methods join the caller's transaction.

    `others`: the other Identity Centers. An account or application is the business of the one that
    showed it at its last extraction, and of the first one while none did.
    """

    def __init__(
        self,
        database: Database,
        observations: Observations,
        grants: Grants,
        *,
        audience: Audience = EVERYBODY,
        others: Collection[str] = (),
    ) -> None:
        self.database = database
        self.observations = observations
        self.grants = grants
        self.audience = audience
        self.others = others
        self.catalogue = Catalogue(database, grants.target)

    def entitled(self, key: Key, take_away: TakeAway) -> Entitled:
        """A user or group and its grants."""
        holder = self.holder(key)
        return Entitled(
            kind=key.kind,
            id=key.id,
            principal=holder.id if holder else None,
            desired=self.wanted(key).grants,
            applied=self.grants.applied(holder) if holder else frozenset(),
            observed=self.grants.observed(holder) if holder else frozenset(),
            take_away=taken_away(take_away),
        )

    def holder(self, key: Key) -> Holder | None:
        link = self.observations.link(key)
        return None if link is None else Holder(kind=key.kind, id=link.target_id)

    def wanted(self, key: Key) -> Wanted:
        """What the directory wants now. Of somebody inactive or deleted, nothing."""
        if not self.is_effective(key):
            return Wanted(grants=frozenset())
        rows = [row for row in self._rows(key) if self._is_here(row)]
        resolved = [self._resolved(row) for row in rows]
        return Wanted(
            grants=frozenset(grant for grant in resolved if grant is not None),
            unknown=tuple(
                _named(row) for row, grant in zip(rows, resolved, strict=True) if grant is None
            ),
        )

    def is_effective(self, key: Key) -> bool:
        """Whether the resource is there, and active if it is a person."""
        table = tables.users if key.kind == "user" else tables.groups
        query = select(table.c.id).where(table.c.id == key.id, table.c.deleted_at.is_(None))
        if key.kind == "user":
            query = query.where(tables.users.c.active, self.audience.condition())
        return self.database.connection.scalar(query) is not None

    def is_new(self, key: Key) -> bool:
        """Whether the principal was made so lately that not all of AWS may know of it."""
        links = tables.links
        query = select(links.c.created).where(
            links.c.target == self.grants.target,
            links.c.kind == key.kind,
            links.c.resource_id == key.id,
            links.c.created > now() - NEW_FOR,
        )
        return self.database.connection.scalar(query) is not None

    def has_rows(self, key: Key) -> bool:
        """Whether the directory says anything of what the resource is to hold."""
        return bool(self._rows(key))

    def _was_given_here(self, key: Key, grant: Grant) -> bool:
        """Whether the directory ever said that the resource is to hold a grant."""
        rows = self.database.connection.execute(
            select(assignments).where(
                assignments.c.kind == key.kind, assignments.c.resource_id == key.id
            )
        )
        return any(self._resolved(row) == grant for row in rows)

    def is_unmanaged(self, key: Key, holder: Holder, grant: Grant) -> bool:
        """Whether nobody gave a grant through the bridge."""
        return grant not in self.grants.applied(holder) and not self._was_given_here(key, grant)

    def _is_here(self, row: Row[Any]) -> bool:
        """Whether what a row grants is to be granted at this Identity Center."""
        if not self.others:
            return True
        shown = self._shown_at(row)
        return self.grants.target in shown if shown else self.grants.target == TARGET

    def _shown_at(self, row: Row[Any]) -> set[str]:
        """The Identity Centers that showed the account or application of a row."""
        if row.account_id:
            known = tables.accounts
            is_it = known.c.id == row.account_id
        else:
            known = tables.applications
            is_it = or_(known.c.arn == row.application_arn, known.c.name == row.application)
        among = known.c.target.in_((self.grants.target, *self.others))
        return set(self.database.connection.scalars(select(known.c.target).where(among, is_it)))

    def _is_own(self, permission_set: str) -> bool:
        """Whether a permission set is one of this Identity Center's, as far as is known."""
        if not self.others:
            return True
        known = tables.permission_sets
        elsewhere = select(known.c.arn).where(
            known.c.arn == permission_set, known.c.target.in_(self.others)
        )
        return self.database.connection.scalar(elsewhere.limit(1)) is None

    def _rows(self, key: Key) -> list[Row[Any]]:
        rows = self.database.connection.execute(_ROWS, {"kind": key.kind, "resource_id": key.id})
        return list(rows)

    def _resolved(self, row: Row[Any]) -> Grant | None:
        """The grant of a row, by ARN. None while its name is not known."""
        if row.permission_set_arn and self._is_own(row.permission_set_arn):
            return AccountGrant(account=row.account_id, permission_set=row.permission_set_arn)
        if row.application_arn:
            return ApplicationGrant(application=row.application_arn)
        named = NamedGrant(
            account=row.account_id, permission_set=row.permission_set, application=row.application
        )
        return self.catalogue.grant(named)


def taken_away(take_away: TakeAway) -> GrantsTakenAway:
    """What a mark of access says is to be taken away, in the words of the plan."""
    return GrantsTakenAway(
        everything=take_away.everyone,
        named=frozenset(from_text(text) for text in take_away.named),
    )


def _named(row: Row[Any]) -> str:
    if row.account_id:
        return f"permission set {row.permission_set!r}"
    return f"application {row.application!r}"
