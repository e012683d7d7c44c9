"""What is there to grant? Permission sets, accounts and applications, as last extracted."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table, select

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.entitlements import NamedGrant
from scim_bridge.directory.tables import runs
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant

# What was not extracted for so many intervals says nothing about what there is.
FRESH_FOR = 2

ARN = "arn:"


class Catalogue:
    """The last extraction's catalogue of one target. Methods join the caller's transaction.

    `interval`: how often it is extracted, in seconds; 0: only by hand, so that it is never fresh.
    """

    def __init__(self, database: Database, target: str, *, interval: float = 0) -> None:
        self.database = database
        self.target = target
        self.interval = interval

    def is_fresh(self) -> bool:
        """Whether the last extraction is young, and read all there is."""
        query = (
            select(runs.c.outcome, (now() - runs.c.ended).label("age"))
            .where(runs.c.kind == "extraction:catalogue", runs.c.ended.is_not(None))
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        with self.database.reading() as connection:
            last = connection.execute(query).first()
        return (
            last is not None
            and last.outcome == "ok"
            and bool(last.age <= FRESH_FOR * self.interval)
        )

    def grant(self, named: NamedGrant) -> Grant | None:
        """The grant that is meant, by ARN. None while the name is not known, or means several."""
        if named.application:
            arn = self._arn(tables.applications, named.application)
            return ApplicationGrant(application=arn) if arn else None
        arn = self._arn(tables.permission_sets, named.permission_set)
        if arn is None:
            return None
        return AccountGrant(account=named.account, permission_set=arn)

    def permission_set_names(self) -> dict[str, str]:
        """The names of all permission sets, by their ARNs."""
        return self._names(tables.permission_sets)

    def application_names(self) -> dict[str, str]:
        """The names of all applications, by their ARNs."""
        return self._names(tables.applications)

    def account_ids(self) -> dict[str, str]:
        """The names of all accounts, by their ids."""
        return self._names(tables.accounts, key="id")

    def _arn(self, table: Table, name: str) -> str | None:
        if name.startswith(ARN):
            return name
        query = select(table.c.arn).where(table.c.target == self.target, table.c.name == name)
        with self.database.reading() as connection:
            found: list[str] = list(connection.scalars(query))
        return found[0] if len(found) == 1 else None

    def _names(self, table: Table, *, key: str = "arn") -> dict[str, str]:
        query = select(table.c[key], table.c.name).where(table.c.target == self.target)
        with self.database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


Resolve = Callable[[NamedGrant], Grant | None]


def by_arn(named: NamedGrant) -> Grant | None:
    """The grant that is meant, where nothing is known but what an ARN itself says."""
    if named.application:
        return _application(named.application)
    if not named.permission_set.startswith(ARN):
        return None
    return AccountGrant(account=named.account, permission_set=named.permission_set)


def _application(name: str) -> Grant | None:
    return ApplicationGrant(application=name) if name.startswith(ARN) else None


def columns(grant: Grant) -> dict[str, Any]:
    """The columns of a row of `assignments` that say which ARN is meant."""
    if isinstance(grant, AccountGrant):
        return {"permission_set_arn": grant.permission_set}
    return {"application_arn": grant.application}
