"""What is there to grant? Permission sets, accounts and applications, as last extracted."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, or_, select

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
    `run`: what its extraction is called in the journal. `others`: those of other targets, each of
    which knows the accounts and applications of its own organization.
    """

    def __init__(
        self,
        database: Database,
        target: str,
        *,
        interval: float = 0,
        run: str = "extraction:catalogue",
        others: Sequence["Catalogue"] = (),
    ) -> None:
        self.database = database
        self.target = target
        self.interval = interval
        self.run = run
        self.others = others

    def of(self, named: NamedGrant) -> "Catalogue":
        """The catalogue of the target where a grant is to be given: this one, unless it does not
        know the account or application and another does.
        """
        if not self.others or self._knows(named):
            return self
        return next((other for other in self.others if other._knows(named)), self)

    def _knows(self, named: NamedGrant) -> bool:
        if named.application:
            table = tables.applications
            is_it = or_(table.c.arn == named.application, table.c.name == named.application)
        else:
            table = tables.accounts
            is_it = table.c.id == named.account
        query = select(table.c.name).where(table.c.target == self.target, is_it)
        with self.database.reading() as connection:
            return connection.scalar(query.limit(1)) is not None

    def is_fresh(self) -> bool:
        """Whether the last extraction is young, and read all there is."""
        query = (
            select(runs.c.outcome, (now() - runs.c.ended).label("age"))
            .where(runs.c.kind == self.run, runs.c.ended.is_not(None))
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
        return self.of(named)._grant(named)

    def _grant(self, named: NamedGrant) -> Grant | None:
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
