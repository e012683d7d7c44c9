"""How does the bridge take over an Identity Center that is in use already?

Everything is done in the directory, from what an extraction has just read. Nothing is created,
changed or deleted at Identity Center, and no externalId is ever given to what was there before.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from scim2_models import ResourceType, SCIMException
from sqlalchemy import select

from scim_bridge.directory import tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.comparison import folded, normalized
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import Document
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.kinds import kind_named
from scim_bridge.directory.memberships import chunks
from scim_bridge.directory.nesting import depths
from scim_bridge.directory.nesting import people as people_in
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.takeover import ADOPTED, begin_grants
from scim_bridge.directory.write import Write
from scim_bridge.identity_center.payloads import MANAGER, nested
from scim_bridge.plan.matching import Clash, Match, Matching, Stranger, Trait, match
from scim_bridge.plan.protection import Protection
from scim_bridge.plan.state import Attributes, Kind, Principal, TakeAway
from scim_bridge.sync import at_which
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.grants import to_text
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Observations

# So many principals are taken over in one transaction.
TOGETHER = 50

Progress = Callable[[int, int], None]


def _unwatched(_done: int, _total: int) -> None:
    """Nobody looks."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What an adoption would do, and what it would leave."""

    users: Matching
    groups: Matching
    # The ids of the users and groups that are at no target yet.
    only_here: Mapping[Kind, tuple[str, ...]]

    def of(self, kind: Kind) -> Matching:
        return self.users if kind == "user" else self.groups


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What an adoption did."""

    linked: int
    created: int
    memberships: int
    assignments: int
    # Whom the directory could not take, though it was proposed.
    clashes: tuple[Clash, ...]


class Adoption:
    """Matches what was last seen at a target with the directory, and takes it over."""

    def __init__(
        self,
        *,
        database: Database,
        observations: Observations,
        entitlements: Entitlements,
        marks: Marks,
        access_marks: Marks,
        models: Any,
        protected: Collection[str],
        origin: str = ADOPTED,
        written: Callable[[Write], None] | None = None,
        created: Callable[[Key], None] = lambda _: None,
    ) -> None:
        self.database = database
        self.observations = observations
        self.entitlements = entitlements
        self.target = observations.target
        self.marks = marks
        self.access_marks = access_marks
        self.protection = Protection(protected)
        # The origin of the access that is taken over, and who is told in the same transaction of
        # each resource that is new.
        self.origin = origin
        self.created = created
        self._ids: Iterator[str] = iter(())
        # What is created is there already: it is recorded, and no delivery is told.
        self.resources = Resources(
            database,
            models=models,
            written=written or partial(record_write, database),
            new_id=lambda: next(self._ids),
        )

    # -- What would be done ---------------------------------------------

    def proposal(self) -> Proposal:
        """Match everything that is not linked. Nothing is written."""
        with self.database.reading():
            return Proposal(
                users=self._matching("user"),
                groups=self._matching("group"),
                only_here={"user": self._only_here("user"), "group": self._only_here("group")},
            )

    def _matching(self, kind: Kind) -> Matching:
        strangers = list(self._strangers(kind))
        known_by, deleted = self._known_by(kind)
        return match(
            strangers, known_by=known_by, linked=self._linked_resources(kind), deleted=deleted
        )

    def _strangers(self, kind: Kind) -> Iterator[Stranger]:
        observed = tables.observed
        linked = self._linked_principals(kind)
        rows = self.database.connection.execute(
            select(observed.c.target_id, observed.c.external_id, observed.c.attributes).where(
                observed.c.target == self.target, observed.c.kind == kind
            )
        )
        for row in rows:
            if row.target_id not in linked:
                name = str(row.attributes.get(_NAME[kind]) or "")
                yield Stranger(
                    kind=kind,
                    id=row.target_id,
                    name=name,
                    traits=tuple(_traits(kind, row.external_id, row.attributes)),
                    is_protected=self.protection.covers(name),
                )

    def _known_by(self, kind: Kind) -> tuple[dict[Trait, set[str]], set[str]]:
        """The live resources by what they are known by, and the ids of the deleted ones."""
        table = kind_named(kind).table
        names = ["user_name_folded", "email_folded"] if kind == "user" else ["display_name_folded"]
        rows = self.database.connection.execute(
            select(
                table.c.id,
                table.c.external_id,
                table.c.deleted_at,
                *(table.c[name] for name in names),
            )
        )
        known: dict[Trait, set[str]] = {}
        deleted: set[str] = set()
        for row in rows:
            if row.deleted_at is not None:
                deleted.add(row.id)
                continue
            known.setdefault(("externalId", row.id), set()).add(row.id)
            if row.external_id:
                known.setdefault(("externalId", row.external_id), set()).add(row.id)
            for name in names:
                if value := getattr(row, name):
                    known.setdefault((_COLUMN[name], value), set()).add(row.id)
        return known, deleted

    def _linked_principals(self, kind: Kind) -> set[str]:
        return set(self.database.connection.scalars(self._links(kind, "target_id")))

    def _linked_resources(self, kind: Kind) -> set[str]:
        return set(self.database.connection.scalars(self._links(kind, "resource_id")))

    def _links(self, kind: Kind, column: str) -> Any:
        links = tables.links
        return select(links.c[column]).where(links.c.target == self.target, links.c.kind == kind)

    def _only_here(self, kind: Kind) -> tuple[str, ...]:
        table = kind_named(kind).table
        live = self.database.connection.scalars(
            select(table.c.id).where(table.c.deleted_at.is_(None))
        )
        return tuple(sorted(set(live) - self._linked_resources(kind)))

    # -- Doing it -------------------------------------------------------

    def adopt(
        self, proposal: Proposal, *, access: bool = True, report: Progress = _unwatched
    ) -> Adopted:
        """Take over what was proposed, as far as it still is so.

        `access`: also the assignments that were seen.
        """
        ids = self._new_ids(proposal)
        done: dict[Kind, dict[str, str]] = {"user": {}, "group": {}}
        clashes: list[Clash] = []
        total = sum(
            len(proposal.of(kind).matches) + len(proposal.of(kind).unknown) for kind in done
        )
        matched, created = 0, 0
        for kind in done:
            for some in _together(proposal.of(kind).matches):
                with self.database.transaction():
                    for one in some:
                        if self._link(one):
                            done[kind][one.stranger.id] = one.resource
                            matched += 1
                report(matched + created, total)
            for some in _together(proposal.of(kind).unknown):
                with self.database.transaction():
                    for stranger in some:
                        try:
                            with self.database.connection.begin_nested():
                                is_new = self._create(stranger, ids)
                            if is_new:
                                done[kind][stranger.id] = ids[kind, stranger.id]
                                created += 1
                        except SCIMException as error:
                            clashes.append(Clash(stranger=stranger, why=str(error.detail)))
                report(matched + created, total)
        memberships = self._memberships(done)
        assignments = self._assignments(done) if access else 0
        self._have_matches_delivered(proposal, done)
        return Adopted(
            linked=matched,
            created=created,
            memberships=memberships,
            assignments=assignments,
            clashes=tuple(clashes),
        )

    def _new_ids(self, proposal: Proposal) -> dict[tuple[Kind, str], str]:
        """The ids in the directory of all principals, also of those that are yet to be created."""
        links = tables.links
        with self.database.reading() as connection:
            rows = connection.execute(select(links).where(links.c.target == self.target)).all()
        ids: dict[tuple[Kind, str], str] = {
            (row.kind, row.target_id): row.resource_id for row in rows
        }
        for matching in (proposal.users, proposal.groups):
            for each in matching.matches:
                ids[each.stranger.kind, each.stranger.id] = each.resource
            for stranger in matching.unknown:
                ids[stranger.kind, stranger.id] = str(uuid.uuid4())
        return ids

    def _link(self, one: Match) -> bool:
        """Link a resource to its principal. False if either has been linked meanwhile."""
        key = Key(kind=one.stranger.kind, id=one.resource)
        seen = self._still_free(key, one.stranger)
        if seen is None:
            return False
        self._count_as_applied(key, seen, seen.attributes)
        self._audit(key, seen, by=one.by)
        return True

    def _still_free(self, key: Key, stranger: Stranger) -> Principal | None:
        busy = (
            self.observations.link(key) is not None
            or self.observations.linked_to(key.kind, stranger.id) is not None
            or self.marks.leased_until(key) is not None
        )
        return None if busy else self.observations.seen(key.kind, stranger.id)

    def _create(self, stranger: Stranger, ids: Mapping[tuple[Kind, str], str]) -> bool:
        """Make a record of somebody whom the directory lacks. Raises `SCIMException`."""
        kind = stranger.kind
        key = Key(kind=kind, id=ids[kind, stranger.id])
        seen = self._still_free(key, stranger)
        if seen is None:
            return False
        attributes = dict(seen.attributes)
        document = _document(kind, seen, attributes, ids)
        model = self.resources.models[kind_named(kind).type_name]
        self._ids = iter((key.id,))
        self.resources.create(ResourceType.from_resource(model), model.model_validate(document))
        self._count_as_applied(key, seen, attributes)
        self._audit(key, seen, by=())
        self.created(key)
        return True

    def _count_as_applied(self, key: Key, seen: Principal, attributes: Attributes) -> None:
        self.observations.make_link(key, seen.id, created_here=False)
        self.observations.write(
            key, attributes=attributes, echo=seen.attributes, active=seen.active
        )

    def _audit(self, key: Key, seen: Principal, *, by: Iterable[str]) -> None:
        record(
            self.database,
            action=Action.ADOPTED,
            kind=key.kind,
            resource_id=key.id,
            facts={"targetId": seen.id, "by": list(by), **at_which(self.target)},
        )

    # -- Access ---------------------------------------------------------

    def _memberships(self, done: Mapping[Kind, Mapping[str, str]]) -> int:
        """Take over the memberships of whom and what was just adopted."""
        table = tables.observed_memberships
        with self.database.reading() as connection:
            rows = connection.execute(
                select(table.c.group_id, table.c.member_id).where(table.c.target == self.target)
            ).all()
            pairs = [
                (row.group_id, row.member_id)
                for row in rows
                if row.group_id in done["group"] or row.member_id in done["user"]
            ]
            groups = self.observations.resources("group", {group for group, _ in pairs})
            people = self.observations.resources("user", {member for _, member in pairs})
            live = {kind: self._live(kind) for kind in ("user", "group")}
        members: dict[str, list[str]] = {}
        for group, member in pairs:
            is_ours = groups.get(group) in live["group"] and people.get(member) in live["user"]
            if is_ours:
                members.setdefault(group, []).append(member)
        depth = depths(self.database)
        for group, found in sorted(
            members.items(), key=lambda item: (depth.get(groups[item[0]], 0), item[0])
        ):
            with self.database.transaction():
                self.observations.joined(group, found)
                # Who is there through an inner group must not stay when they leave that one later.
                inside = set(people_in(self.database, [groups[group]]))
                new = [people[member] for member in found if people[member] not in inside]
                self.resources.change_members(groups[group], add=new, origin=self.origin)
        return sum(map(len, members.values()))

    def _live(self, kind: Any) -> set[str]:
        table = kind_named(kind).table
        query = select(table.c.id).where(table.c.deleted_at.is_(None))
        return set(self.database.connection.scalars(query))

    def _assignments(self, done: Mapping[Kind, Mapping[str, str]]) -> int:
        """Take over what they hold of accounts and applications."""
        count = 0
        keys = [Key(kind=kind, id=each) for kind in done for each in sorted(done[kind].values())]
        for some in chunks(keys):
            with self.database.transaction():
                for key in some:
                    count += self._grants(key)
        return count

    def _grants(self, key: Key) -> int:
        holder = self.entitlements.holder(key)
        if holder is None or not self.entitlements.is_effective(key):
            return 0
        held = self.entitlements.grants.observed(holder)
        for grant in sorted(held, key=str):
            self.entitlements.grants.given(holder, grant)
            record(
                self.database,
                action=Action.ADOPTED,
                kind=key.kind,
                resource_id=key.id,
                facts={"assignment": to_text(grant), **at_which(self.target)},
            )
        new = held - self.entitlements.wanted(key).grants
        begin_grants(self.database, key.kind, key.id, new, origin=self.origin)
        return len(held)

    # -- What is to be delivered now that there is a principal -----------

    def _have_matches_delivered(
        self, proposal: Proposal, done: Mapping[Kind, Mapping[str, str]]
    ) -> None:
        """What the directory wanted of them all along can reach the target now."""
        matched = [
            Key(kind=kind, id=each.resource)
            for kind in done
            for each in proposal.of(kind).matches
            if each.stranger.id in done[kind]
        ]
        for some in chunks(matched):
            with self.database.transaction():
                for key in some:
                    self._mark(key)

    def _mark(self, key: Key) -> None:
        if key.kind == "user" and not self.entitlements.is_effective(key):
            # They have left: what they still hold there goes.
            everything = TakeAway(everyone=True)
            self.marks.mark(Intent(key=key, urgent=True, take_away=everything))
            self.access_marks.mark(Intent(key=key, urgent=True, take_away=everything))
            return
        self.marks.mark(Intent(key=key))
        if self.entitlements.has_rows(key):
            self.access_marks.mark(Intent(key=key))


_NAME: Mapping[Kind, str] = {"user": "userName", "group": "displayName"}
_COLUMN = {
    "user_name_folded": "userName",
    "email_folded": "email",
    "display_name_folded": "displayName",
}


def _traits(kind: Kind, external_id: str | None, attributes: Attributes) -> Iterator[Trait]:
    if external_id:
        yield "externalId", normalized(external_id)
    if name := attributes.get(_NAME[kind]):
        yield _NAME[kind], folded(name)
    emails = attributes.get("emails") if kind == "user" else None
    if emails and (value := emails[0].get("value")):
        yield "email", folded(value)


def _document(
    kind: Kind,
    seen: Principal,
    attributes: dict[str, Any],
    ids: Mapping[tuple[Kind, str], str],
) -> Document:
    """The SCIM document of a principal. A manager whom nobody knows is taken out of both."""
    shown = dict(attributes)
    if manager := shown.pop(MANAGER, None):
        known = ids.get(("user", str(manager.get("value"))))
        if known is None:
            del attributes[MANAGER]
        else:
            shown[MANAGER] = {"value": known}
    if kind == "group":
        # What the SCIM endpoint has no place for was not given by it.
        shown = {path: value for path, value in shown.items() if path == "displayName"}
        for path in attributes.keys() - shown.keys():
            del attributes[path]
    document = nested(shown)
    if seen.external_id:
        document["externalId"] = seen.external_id
    if kind == "user":
        document["active"] = seen.active
    return document


def _together(values: Collection[Any]) -> Iterator[list[Any]]:
    listed = list(values)
    for start in range(0, len(listed), TOGETHER):
        yield listed[start : start + TOGETHER]
