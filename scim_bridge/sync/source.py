"""What does the directory take over from Identity Center, where that is a source of people?

After each extraction. Who and what only Identity Center has enters the directory; what entered so
follows what is changed there. What the bridge itself wrote is applied, so it is never news; what a
client gave is never taken away here. Nothing is called, and nothing is given or taken at Identity
Center because of it.

A disappearance has been seen twice and looked up (`scim_bridge.sync.extraction`) before it is
heard of here. It ends no record of a person: they are inactive then, under the brake.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scim2_models import ResourceType, SCIMException
from sqlalchemy import Row, and_, exists, not_, select

from scim_bridge.directory import history, tables
from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.kinds import kind_named
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.takeover import SOURCE
from scim_bridge.plan.drift import Difference
from scim_bridge.plan.matching import Clash, Matching
from scim_bridge.plan.state import Kind
from scim_bridge.sync.acceptance import Acceptance
from scim_bridge.sync.adoption import Adoption, Proposal
from scim_bridge.sync.drift import Drift
from scim_bridge.sync.grants import columns, from_text
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.journal import forget_runs, journalled
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Observations

sourced, links, applied, observed = tables.sourced, tables.links, tables.applied, tables.observed

_ACTING = Actor(name=SOURCE)
# For how long the journal of what was taken over is kept, in seconds.
KEEP_RUNS = 30 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What was taken over after one extraction."""

    entered: int = 0
    changed: int = 0
    # Who is inactive, or a group that is gone, since it is so there.
    left: int = 0
    returned: int = 0
    # Whose leaving the brake holds.
    held: int = 0
    # Who only Identity Center has, and the directory cannot take.
    clashes: tuple[Clash, ...] = ()

    def counts(self) -> dict[str, int]:
        return {**vars(self), "clashes": len(self.clashes)}


class Source:
    """Takes over what the last extraction saw of one Identity Center.

    `resources` tells deliveries of its writes, which then find nothing to do; `silent` does not,
    for what Identity Center must not be told of: that somebody was disabled there.
    """

    def __init__(
        self,
        *,
        database: Database,
        observations: Observations,
        resources: Resources,
        silent: Resources,
        adoption: Adoption,
        drift: Drift,
        held: HeldLosses,
    ) -> None:
        self.database = database
        self.observations = observations
        self.target = observations.target
        self.silent = silent
        self.adoption = adoption
        self.drift = drift
        self.held = held
        self.acceptance = Acceptance(resources, observations, drift.entitlements, origin=SOURCE)

    def follow(self, kinds: Collection[str]) -> Followed:
        """Take over what these kinds, which were read well, show."""
        forget_runs(self.database, "source", older_than=KEEP_RUNS)
        with acting(_ACTING), journalled(self.database, "source") as run:
            left, held = self._leavers() if "users" in kinds else (0, 0)
            returned = self._returners() if "users" in kinds else 0
            left += self._groups_gone() if "groups" in kinds else 0
            entered, clashes = self._arrivals()
            changed = self._changes()
            found = Followed(
                entered=entered, changed=changed, left=left, returned=returned, held=held,
                clashes=clashes,
            )  # fmt: skip
            run.counts = found.counts()
        return found

    def keys(self) -> frozenset[Key]:
        """Who and what entered the directory from here."""
        with self.database.reading() as connection:
            rows = connection.execute(select(sourced).where(sourced.c.target == self.target))
            return frozenset(Key(kind=row.kind, id=row.resource_id) for row in rows)

    # -- People who left and came back ----------------------------------

    def _leavers(self) -> tuple[int, int]:
        """Deactivate whoever is disabled or gone there. Returns how many, and how many are held."""
        with self.database.transaction():
            leaving = {row.id for row in (*self._disabled(), *self._gone("user"))}
            self._release_all_but(leaving)
            held = self.held.hold_back("disable", leaving)
            passing = sorted(leaving - held)
            for person in passing:
                self.silent.set_active(person, active=False)
                self._apply(Key(kind="user", id=person), active=False)
                self.held.release(person)
            return len(passing), len(held)

    def _returners(self) -> int:
        """Activate whoever is enabled there again, if it was there that they were disabled."""
        with self.database.transaction():
            returning = [
                row.id
                for row in self._standings(was_active=False, is_active=True)
                if self._last_left_by(row.id) in (SOURCE, None)
            ]
            for person in returning:
                self.silent.set_active(person, active=True)
                self._apply(Key(kind="user", id=person), active=True)
            return len(returning)

    def _disabled(self) -> Iterable[Row[Any]]:
        return self._standings(was_active=True, is_active=False)

    def _standings(self, *, was_active: bool, is_active: bool) -> list[Row[Any]]:
        """The people of whom it was written so, here and there, and who are otherwise there now."""
        users = tables.users
        rows = self.database.connection.execute(
            self._of("user", users)
            .join(links, _of_resource(links))
            .join(
                observed,
                and_(
                    observed.c.target == links.c.target,
                    observed.c.kind == links.c.kind,
                    observed.c.target_id == links.c.target_id,
                ),
            )
            .where(
                users.c.active.is_(was_active),
                applied.c.active.is_(was_active),
                observed.c.active.is_(is_active),
            )
        ).all()
        return [row for row in rows if self._is_free(Key(kind="user", id=row.id))]

    def _gone(self, kind: Kind) -> list[Row[Any]]:
        """Who was there, and has no principal any more."""
        table = kind_named(kind).table
        query = self._of(kind, table).where(
            not_(exists().where(_of_resource(links))), applied.c.active
        )
        if kind == "user":
            query = query.where(table.c.active)
        rows = self.database.connection.execute(query).all()
        return [row for row in rows if self._is_free(Key(kind=kind, id=row.id))]

    def _of(self, kind: Kind, table: Any) -> Any:
        """The live resources that entered from here, with what was applied of them."""
        return (
            select(table.c.id)
            .join(sourced, and_(sourced.c.resource_id == table.c.id, sourced.c.kind == kind))
            .join(applied, _of_resource(applied))
            .where(sourced.c.target == self.target, table.c.deleted_at.is_(None))
        )

    def _is_free(self, key: Key) -> bool:
        """Whether nobody works on it just now: what is on its way is newer than what was seen."""
        return self.adoption.marks.leased_until(key) is None

    def _apply(self, key: Key, *, active: bool) -> None:
        last = self.observations.applied(key)
        if last is not None:
            self.observations.write(key, attributes=last.attributes, echo=last.echo, active=active)

    def _last_left_by(self, person: str) -> str | None:
        """Who deactivated somebody last; None: they were inactive when they entered.

        Whom a client deactivated nobody brings back here.
        """
        left = [
            version.actor
            for version in history.versions(self.database, "user", person)
            if _is_active(version.before) and not _is_active(version.after)
        ]
        return left[-1] if left else None

    def _release_all_but(self, leaving: Collection[str]) -> None:
        """Forget what was held of whoever is there again."""
        users = tables.users
        stays = self.database.connection.scalars(
            select(users.c.id)
            .join(sourced, and_(sourced.c.resource_id == users.c.id, sourced.c.kind == "user"))
            .where(users.c.active, users.c.id.in_({one.person for one in self._held_disables()}))
        )
        for person in set(stays) - set(leaving):
            self.held.release(person)

    def _held_disables(self) -> Iterator[Any]:
        return (one for one in self.held.losses() if one.category == "disable")

    # -- Groups ---------------------------------------------------------

    def _groups_gone(self) -> int:
        """End the groups that are gone there, unless the brake keeps their people in them."""
        ended = 0
        for row in self._in_reading(lambda: self._gone("group")):
            with self.database.transaction():
                members = self.drift.subjects.effective_members(row.id)
                if self.held.hold_back("removal", members, group=row.id):
                    continue
                self._end("group", row.id)
                self.held.release_removals(members, group=row.id)
                ended += 1
        return ended

    def _in_reading(self, read: Callable[[], list[Row[Any]]]) -> list[Row[Any]]:
        with self.database.reading():
            return read()

    def _end(self, kind: Kind, resource_id: str) -> None:
        model = self.silent.models[kind_named(kind).type_name]
        self.silent.delete(ResourceType.from_resource(model), resource_id)

    # -- Who is new -----------------------------------------------------

    def _arrivals(self) -> tuple[int, tuple[Clash, ...]]:
        """Record whoever only Identity Center has, with what they hold there."""
        proposal = self.adoption.proposal()
        if self._end_earlier(proposal):
            proposal = self.adoption.proposal()
        new = _only_new(proposal)
        done = self.adoption.adopt(new)
        return done.created, (*new.users.clashes, *new.groups.clashes, *done.clashes)

    def _end_earlier(self, proposal: Proposal) -> int:
        """End the record of somebody who is gone and whose name a new principal has. Returns how
        many.

        Nobody can tell that it is the same person: who is new must not come by what the other had.
        """
        keys, ended = self.keys(), 0
        for one in (*proposal.users.matches, *proposal.groups.matches):
            key = Key(kind=one.stranger.kind, id=one.resource)
            if key not in keys or "externalId" in one.by:
                continue
            with self.database.transaction():
                if self._is_gone_for_good(key):
                    self._end(key.kind, key.id)
                    ended += 1
        return ended

    def _is_gone_for_good(self, key: Key) -> bool:
        last = self.observations.applied(key)
        return (
            last is not None
            and not last.active
            and self.observations.link(key) is None
            and self._is_free(key)
            and not self._is_live_and_active(key)
        )

    def _is_live_and_active(self, key: Key) -> bool:
        return key.kind == "group" or self.silent.is_active(key.id)

    # -- What changed ---------------------------------------------------

    def _changes(self) -> int:
        """Take over attributes, memberships and assignments of whoever entered from here."""
        keys = self.keys()
        changed = 0
        for one in self.drift.found():
            try:
                with self.database.transaction():
                    changed += self._is_news(one, keys) and self.acceptance.accept(one)
            except SCIMException:
                # The directory cannot hold it: it stays drift, and is told as that.
                continue
        return changed

    def _is_news(self, one: Difference, keys: Collection[Key]) -> bool:
        """
        what                | of whom it is followed
        --------------------+---------------------------------------------------------------
        changed             | who entered from here
        member-added        | a group or a person who entered from here
        member-removed      | everybody whose membership only Identity Center gave
        assignment-added    | who entered from here
        assignment-removed  | everybody whose assignment only Identity Center gave
        """
        key = Key(kind=one.kind, id=one.id)
        match one.what:
            case "changed" | "assignment-added":
                return key in keys
            case "member-added":
                return key in keys or self.observations.linked_to("user", one.name) in keys
            case "member-removed":
                return self._gave_membership(key.id, one.name)
            case "assignment-removed":
                return self._gave_grant(key, one.name)
            case _:
                return False

    def _gave_membership(self, group: str, member: str) -> bool:
        person = self.observations.linked_to("user", member)
        table = tables.memberships
        return person is not None and self._gave(
            select(table.c.origin).where(
                table.c.group_id == group,
                table.c.member_id == person.id,
                table.c.valid_to.is_(None),
            )
        )

    def _gave_grant(self, key: Key, grant: str) -> bool:
        table, named = tables.assignments, columns(from_text(grant))
        return self._gave(
            select(table.c.origin).where(
                table.c.kind == key.kind,
                table.c.resource_id == key.id,
                table.c.account_id == named["account_id"],
                table.c.permission_set_arn == named["permission_set"]
                if named["account_id"]
                else table.c.application_arn == named["application"],
                table.c.valid_to.is_(None),
            )
        )

    def _gave(self, origins: Any) -> bool:
        found = set(self.database.connection.scalars(origins))
        return found == {SOURCE}


def entered(database: Database, target: str, key: Key) -> None:
    """Remember that somebody entered the directory from there. In the caller's transaction."""
    database.connection.execute(
        insert_or(database, sourced)
        .values(target=target, kind=key.kind, resource_id=key.id, at=now())
        .on_conflict_do_nothing()
    )


def last_followed(database: Database) -> Mapping[str, int]:
    """What the last extraction brought from the source, by what it was. Empty: there is none."""
    with database.reading() as connection:
        found: Mapping[str, int] | None = connection.scalar(
            select(tables.runs.c.counts)
            .where(tables.runs.c.kind == "source", tables.runs.c.outcome == "ok")
            .order_by(tables.runs.c.id.desc())
            .limit(1)
        )
    return found or {}


def _of_resource(table: Any) -> Any:
    return and_(
        table.c.target == sourced.c.target,
        table.c.kind == sourced.c.kind,
        table.c.resource_id == sourced.c.resource_id,
    )


def _is_active(document: Mapping[str, Any] | None) -> bool:
    return document is not None and document.get("active") is not False


def _only_new(proposal: Proposal) -> Proposal:
    """Without those who are like somebody in the directory: an operator links them (`adopt`)."""

    def new(matching: Matching) -> Matching:
        return replace(matching, matches=())

    return replace(proposal, users=new(proposal.users), groups=new(proposal.groups))
