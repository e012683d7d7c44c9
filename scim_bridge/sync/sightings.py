"""What was read of Identity Center, written beside what was known: which news are believed?

Nothing here takes anything from anybody. What was applied since the reading began is newer than
the reading. What is missing from a list is believed to be gone after a second complete list and a
direct look.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, delete, select, tuple_

from scim_bridge.directory import catalogue, tables
from scim_bridge.directory.assignments import resolve_names
from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.memberships import chunks
from scim_bridge.plan.state import Kind, Principal
from scim_bridge.sync import TARGET, departures
from scim_bridge.sync.departures import written
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.reading import Catalogue, HeldGrant, HeldGrants, Members
from scim_bridge.sync.record import Recorder

# So many rows go into one statement: SQLite takes 32,766 variables.
_ROWS = 2_000

observed = tables.observed
disappearances = tables.disappearances
Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class News:
    """How many are new or changed, and how many were believed to be gone."""

    changed: int = 0
    gone: int = 0


class Sightings:
    """Writes readings of one target down. Each method that writes is one transaction.

    `since` is the time of the database before which something must have been applied, for a
    reading to say otherwise.
    """

    def __init__(self, database: Database, observations: Observations, recorder: Recorder) -> None:
        self.database = database
        self.observations = observations
        self.recorder = recorder
        self.target = observations.target

    # -- What is known --------------------------------------------------

    def known(self, kind: Kind) -> frozenset[str]:
        """The principals that were last seen."""
        query = select(observed.c.target_id).where(
            observed.c.target == self.target, observed.c.kind == kind
        )
        with self.database.reading() as connection:
            return frozenset(connection.scalars(query))

    def known_members(self, groups: Collection[str] | None = None) -> frozenset[Pair]:
        """The memberships that were last seen (of these groups), by ids at the target."""
        table = tables.observed_memberships
        query = select(table.c.group_id, table.c.member_id).where(table.c.target == self.target)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return frozenset(
            (row.group_id, row.member_id)
            for row in rows
            if groups is None or row.group_id in groups
        )

    def known_grants(self) -> frozenset[HeldGrant]:
        """The direct grants that were last seen."""
        table = tables.observed_assignments
        with self.database.reading() as connection:
            rows = connection.execute(select(table).where(table.c.target == self.target)).all()
        return frozenset(map(_held_grant, rows))

    # -- What is missing ------------------------------------------------

    def missing_again(self, kind: str, missing: Iterable[Sequence[str]]) -> frozenset[str]:
        """Those that an earlier complete reading did not show either, as `written`."""
        columns = disappearances.c
        query = select(columns.item).where(columns.target == self.target, columns.kind == kind)
        with self.database.reading() as connection:
            before = set(connection.scalars(query))
        return frozenset(before.intersection(map(written, missing)))

    def _count_missing(
        self, kind: str, missing: Iterable[str], *, settled: Collection[str]
    ) -> None:
        """Remember what this reading did not show, and forget what is shown again or settled."""
        connection, columns = self.database.connection, disappearances.c
        still = set(missing) - set(settled)
        query = select(columns.item).where(columns.target == self.target, columns.kind == kind)
        for shown in chunks(sorted(set(connection.scalars(query)) - still)):
            connection.execute(
                delete(disappearances).where(
                    columns.target == self.target, columns.kind == kind, columns.item.in_(shown)
                )
            )
        for some in _some(sorted(still)):
            statement = insert_or(self.database, disappearances).values(
                [
                    {"target": self.target, "kind": kind, "item": item, "since": now(), "times": 1}
                    for item in some
                ]
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["target", "kind", "item"], set_={"times": columns.times + 1}
                )
            )

    # -- Users and groups -----------------------------------------------

    def different(self, kind: Kind, found: Mapping[str, Principal]) -> list[Principal]:
        """Those of these principals that were last seen otherwise, or never."""
        query = select(observed).where(observed.c.target == self.target, observed.c.kind == kind)
        with self.database.reading() as connection:
            before = {
                row.target_id: (row.external_id, row.active, row.attributes)
                for row in connection.execute(query)
            }
        return [
            one
            for one in found.values()
            if before.get(one.id) != (one.external_id, one.active, dict(one.attributes))
        ]

    def see_principals(
        self,
        kind: Kind,
        *,
        different: Iterable[Principal],
        missing: Iterable[str],
        gone: Collection[str],
        since: float,
    ) -> News:
        """Write down who is new or otherwise, and forget who is gone."""
        with self.database.transaction():
            newer = self._newer_principals(kind, since)
            changed = [one for one in different if one.id not in newer]
            linked = self.observations.resources(kind, (one.id for one in changed))
            self.observations.see_all(kind, (one for one in changed if one.id not in linked))
            for principal in changed:
                if principal.id in linked:
                    self.recorder.see(Key(kind=kind, id=linked[principal.id]), principal)
            left = [one for one in gone if one not in newer and self._forget(kind, one)]
            self._count_missing(
                kind,
                (written((one,)) for one in missing if one not in newer),
                settled=[written((one,)) for one in gone],
            )
            departures.forget(self.database, self.target, kind, before=since)
            return News(changed=len(changed), gone=len(left))

    def newer_principals(self, kind: Kind, since: float) -> frozenset[str]:
        """The principals of which something was written down since."""
        with self.database.reading():
            return self._newer_principals(kind, since)

    def _newer_principals(self, kind: Kind, since: float) -> frozenset[str]:
        links, applied = tables.links, tables.applied
        rows = self.database.connection.scalars(
            select(links.c.target_id)
            .join(
                applied,
                (applied.c.target == links.c.target)
                & (applied.c.kind == links.c.kind)
                & (applied.c.resource_id == links.c.resource_id),
            )
            .where(links.c.target == self.target, links.c.kind == kind, applied.c.at > since)
        )
        left = departures.since(self.database, self.target, kind, at=since)
        return frozenset(rows) | {departures.read(item)[0] for item in left}

    def _forget(self, kind: Kind, principal: str) -> bool:
        """Forget a principal that is gone, unless somebody works on it just now."""
        key = self.observations.linked_to(kind, principal)
        if key is not None:
            if self.recorder.marks.leased_until(key) is not None:
                return False
            link = self.observations.link(key)
            if link is not None:
                self.recorder.drop_link(link)
        self._forget_rows(kind, principal)
        return True

    def _forget_rows(self, kind: Kind, principal: str) -> None:
        connection = self.database.connection
        connection.execute(
            delete(observed).where(
                observed.c.target == self.target,
                observed.c.kind == kind,
                observed.c.target_id == principal,
            )
        )
        table = tables.observed_memberships
        column = table.c.member_id if kind == "user" else table.c.group_id
        connection.execute(delete(table).where(table.c.target == self.target, column == principal))
        for held in (tables.observed_assignments, tables.applied_assignments):
            connection.execute(
                delete(held).where(
                    held.c.target == self.target,
                    held.c.kind == kind,
                    held.c.principal_id == principal,
                )
            )

    # -- Memberships ----------------------------------------------------

    def newer_members(self, since: float) -> frozenset[Pair]:
        """The memberships that the bridge began, or saw begin, since."""
        with self.database.reading():
            return self._newer_members(since)

    def _newer_members(self, since: float) -> frozenset[Pair]:
        given, seen = tables.applied_memberships, tables.observed_memberships
        columns = (given.c.group_id, given.c.member_id)
        ours = given.c.target == self.target
        applied = select(*columns).where(ours, given.c.at > since)
        # What is given a second time keeps its first row, but is seen anew.
        again = (
            select(*columns)
            .join(
                seen,
                (seen.c.target == given.c.target)
                & (seen.c.group_id == given.c.group_id)
                & (seen.c.member_id == given.c.member_id),
            )
            .where(ours, seen.c.at > since)
        )
        rows = self.database.connection.execute(applied.union(again))
        return frozenset((row.group_id, row.member_id) for row in rows)

    def see_members(
        self,
        read: Members,
        *,
        missing: Collection[Pair],
        gone: Collection[Pair],
        since: float,
    ) -> News:
        """Write down who is in which group. What the bridge gave stays counted as given."""
        table = tables.observed_memberships
        with self.database.transaction() as connection:
            left = departures.since(self.database, self.target, "membership", at=since)
            newer = self._newer_members(since)
            seen = self.known_members(read.groups)
            new = [pair for pair in read.pairs - seen if written(pair) not in left]
            for some in _some(sorted(new)):
                connection.execute(
                    insert_or(self.database, table)
                    .values(
                        [
                            {"target": self.target, "group_id": group, "member_id": member,
                             "at": now()}
                            for group, member in some
                        ]
                    )
                    .on_conflict_do_nothing()
                )  # fmt: skip
            out = [pair for pair in gone if pair not in newer]
            for some in _some(sorted(out)):
                connection.execute(
                    delete(table).where(
                        table.c.target == self.target,
                        tuple_(table.c.group_id, table.c.member_id).in_(some),
                    )
                )
            self._count_missing(
                "membership",
                map(written, missing),
                settled=[written(pair) for pair in gone],
            )
            departures.forget(self.database, self.target, "membership", before=since)
            return News(changed=len(new), gone=len(out))

    # -- Grants ---------------------------------------------------------

    def newer_grants(self, since: float) -> frozenset[HeldGrant]:
        """The grants that the bridge gave since, or that are on their way."""
        with self.database.reading():
            return self._newer_grants(since)

    def _newer_grants(self, since: float) -> frozenset[HeldGrant]:
        given, seen = tables.applied_assignments, tables.observed_assignments
        same = [given.c[name] == seen.c[name] for name in _GRANT]
        ours = given.c.target == self.target
        applied = select(*(given.c[name] for name in _GRANT)).where(ours, given.c.at > since)
        again = (
            select(*(given.c[name] for name in _GRANT))
            .join(seen, (seen.c.target == given.c.target) & same[0] & same[1] & same[2] & same[3]
                  & same[4])
            .where(ours, seen.c.at > since)
        )  # fmt: skip
        rows = self.database.connection.execute(applied.union(again)).all()
        requests = tables.assignment_requests
        under_way = self.database.connection.execute(
            select(requests).where(requests.c.target == self.target)
        )
        return frozenset(map(_held_grant, rows)) | {
            HeldGrant(
                kind=row.kind,
                principal=row.principal_id,
                account=row.account_id,
                permission_set=row.permission_set,
            )
            for row in under_way
        }

    def see_grants(
        self,
        read: HeldGrants,
        *,
        missing: Collection[HeldGrant],
        gone: Collection[HeldGrant],
        since: float,
    ) -> News:
        """Write down who holds what. What the bridge gave stays counted as given."""
        table = tables.observed_assignments
        with self.database.transaction() as connection:
            left = departures.since(self.database, self.target, "assignment", at=since)
            newer = self._newer_grants(since)
            new = [
                one
                for one in read.held - self.known_grants()
                if one not in newer and written(ids(one)) not in left
            ]
            for some in _some(sorted(new)):
                connection.execute(
                    insert_or(self.database, table)
                    .values(
                        [{**_grant_row(one), "target": self.target, "at": now()} for one in some]
                    )
                    .on_conflict_do_nothing()
                )
            out = [one for one in gone if one not in newer]
            for one in out:
                row = _grant_row(one)
                connection.execute(
                    delete(table).where(
                        table.c.target == self.target,
                        *(table.c[name] == value for name, value in row.items()),
                    )
                )
            self._count_missing(
                "assignment",
                (written(ids(one)) for one in missing),
                settled=[written(ids(one)) for one in gone],
            )
            departures.forget(self.database, self.target, "assignment", before=since)
            return News(changed=len(new), gone=len(out))

    # -- The catalogue --------------------------------------------------

    def see_catalogue(self, read: Catalogue) -> None:
        """Write down what there is to grant, of the parts that were read."""
        with self.database.transaction():
            self._replace(tables.permission_sets, read.permission_sets)
            self._replace(tables.accounts, read.accounts)
            self._replace(tables.applications, read.applications)
            # A name means from now on what it means today, even if it is renamed tomorrow.
            if self.target == TARGET:
                resolve_names(self.database, catalogue.Catalogue(self.database, self.target).grant)

    def _replace(self, table: Table, rows: Sequence[Mapping[str, Any]] | None) -> None:
        if rows is None:
            return
        self.database.connection.execute(delete(table).where(table.c.target == self.target))
        for row in rows:
            self.database.connection.execute(
                table.insert().values(target=self.target, at=now(), **row)
            )


_GRANT = ("kind", "principal_id", "account_id", "permission_set", "application")


def ids(grant: HeldGrant) -> tuple[str, ...]:
    """The ids that name a grant at the target."""
    return (grant.kind, grant.principal, grant.account, grant.permission_set, grant.application)


def _grant_row(grant: HeldGrant) -> dict[str, Any]:
    return dict(zip(_GRANT, ids(grant), strict=True))


def _held_grant(row: Any) -> HeldGrant:
    return HeldGrant(
        kind=row.kind,
        principal=row.principal_id,
        account=row.account_id,
        permission_set=row.permission_set,
        application=row.application,
    )


def _some(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(values), _ROWS):
        yield values[start : start + _ROWS]
