"""What did somebody do by hand at Identity Center, and what does the bridge do about it?"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from scim2_models import SCIMException
from sqlalchemy import and_, delete, exists, func, not_, select

from scim_bridge.directory import tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.nesting import depths, is_member
from scim_bridge.directory.resources import Resources
from scim_bridge.identity_center.payloads import ONLY_AT_CREATION
from scim_bridge.plan.drift import (
    CONTESTED_WITHIN,
    Difference,
    Unmanaged,
    What,
    changed_attributes,
    is_contested,
)
from scim_bridge.plan.grants import Grant
from scim_bridge.plan.state import NOTHING, Attributes, Kind, TakeAway
from scim_bridge.sync import at_which
from scim_bridge.sync.acceptance import Acceptance
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.extraction import ExtractionKind
from scim_bridge.sync.freshness import was_read
from scim_bridge.sync.grants import to_text
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Applied, Observations, as_sent
from scim_bridge.sync.pause import paused
from scim_bridge.sync.subjects import Subjects

Policy = Literal["repair", "report", "accept"]
State = Literal["reported", "repaired", "contested"]

links, applied, observed = tables.links, tables.applied, tables.observed
users, groups = tables.users, tables.groups
known = tables.drift
repairs = tables.repairs


@dataclass(frozen=True, kw_only=True)
class Found:
    """A difference and what has come of it."""

    difference: Difference
    state: State = "reported"


@dataclass(frozen=True, kw_only=True)
class _Desired:
    """What the directory wants of a user or group."""

    attributes: Attributes
    active: bool
    # Whether the target can be told to disable and enable it.
    can_be_disabled: bool


class Drift:
    """Compares what was applied with what the last extractions saw. Nothing is called."""

    def __init__(
        self,
        *,
        database: Database,
        observations: Observations,
        subjects: Subjects,
        entitlements: Entitlements,
        marks: Marks,
        access_marks: Marks,
        resources: Resources,
        policy: Policy,
        followed: Callable[[], frozenset[Key]] = frozenset,
    ) -> None:
        self.database = database
        self.observations = observations
        self.target = observations.target
        self.subjects = subjects
        self.entitlements = entitlements
        self.marks = marks
        self.access_marks = access_marks
        self.acceptance = Acceptance(resources, observations, entitlements)
        self.policy: Policy = policy
        # Whose changes at the target the directory follows, where that is a source: they are told,
        # and neither put right nor taken over here.
        self.followed = followed
        # At a connected system attributes may be filled by others: nothing is taken over from it.
        self.may_accept = observations.grants_access

    # -- Finding --------------------------------------------------------

    def found(self) -> list[Difference]:
        """Everything that differs, of the kinds that were ever read well.

        What is on its way to the target is not looked at: it will be as the directory wants it.
        """
        with self.database.reading():
            busy = frozenset(self.marks.in_state("pending"))
            found = [
                difference
                for each in self._comparisons()
                for difference in each
                if Key(kind=difference.kind, id=difference.id) not in busy
            ]
            return sorted(found)

    def _comparisons(self) -> Iterator[Iterable[Difference]]:
        if self._was_read("users"):
            yield self._principals("user")
            yield self._deleted("user")
        if self._was_read("groups"):
            yield self._principals("group")
            yield self._deleted("group")
        if self._was_read("memberships"):
            yield self._members_added()
            yield self._members_removed()
        if self._was_read("assignments"):
            yield self._grants()

    def _was_read(self, kind: ExtractionKind) -> bool:
        return was_read(self.database, kind, self.target)

    def _principals(self, kind: Kind) -> Iterator[Difference]:
        rows = self.database.connection.execute(
            select(
                links.c.resource_id,
                applied.c.attributes,
                applied.c.echo,
                applied.c.active,
                observed.c.attributes.label("shown"),
                observed.c.active.label("is_active"),
            )
            .join(applied, _same(applied, links, "target", "kind", "resource_id"))
            .join(observed, _same(observed, links, "target", "kind", "target_id"))
            .where(links.c.target == self.target, links.c.kind == kind)
        ).all()
        for row in rows:
            if row.echo:
                yield from self._principal(kind, row)

    def _principal(self, kind: Kind, row: Any) -> Iterator[Difference]:
        last = Applied(attributes=row.attributes, echo=row.echo, active=row.active)
        shown = as_sent(row.shown, last)
        compared = {
            "applied": row.attributes,
            "echo": row.echo,
            "shown": shown,
            "ignored": ONLY_AT_CREATION,
            # The Identity Store API shows of a group what the SCIM endpoint has no place for.
            "added": kind == "user",
        }
        may_differ = changed_attributes(desired=None, **compared)
        if not may_differ and row.active == row.is_active:
            return
        desired = self._desired(kind, row.resource_id)
        if desired is None:
            return
        differing = changed_attributes(desired=desired.attributes, **compared)
        # Of somebody who is to be disabled nothing else is ever sent.
        if differing and desired.active:
            yield Difference(kind=kind, id=row.resource_id, what="changed", attributes=differing)
        if (
            row.active != row.is_active
            and desired.active != row.is_active
            and desired.can_be_disabled
        ):
            what: What = "enabled" if row.is_active else "disabled"
            yield Difference(kind=kind, id=row.resource_id, what=what)

    def _desired(self, kind: Kind, resource_id: str) -> _Desired | None:
        """What the directory wants. None: nothing at all."""
        if kind == "user":
            user = self.subjects.user(resource_id)
            if user is None or user.desired is None:
                return None
            return _Desired(
                attributes=user.desired.attributes,
                active=user.desired.active,
                can_be_disabled=user.can_be_disabled,
            )
        group = self.subjects.group(resource_id, NOTHING)
        if group is None or group.desired is None:
            return None
        return _Desired(attributes=group.desired.attributes, active=True, can_be_disabled=False)

    def _deleted(self, kind: Kind) -> Iterator[Difference]:
        """Who was there, is not any more, and should be."""
        table = users if kind == "user" else groups
        linked = exists().where(_same(links, applied, "target", "kind", "resource_id"))
        query = (
            select(applied.c.resource_id, applied.c.echo)
            .join(table, table.c.id == applied.c.resource_id)
            .where(
                applied.c.target == self.target,
                applied.c.kind == kind,
                table.c.deleted_at.is_(None),
                not_(linked),
            )
        )
        if kind == "user":
            query = query.where(users.c.active)
        for row in self.database.connection.execute(query).all():
            if row.echo:
                yield Difference(kind=kind, id=row.resource_id, what="deleted")

    def _members_added(self) -> Iterator[Difference]:
        """Who is in a group of the directory, and was not put there nor is wanted there."""
        seen, given = tables.observed_memberships, tables.applied_memberships
        person = links.alias("person")
        query = (
            select(links.c.resource_id, seen.c.member_id)
            .join(
                links,
                _link_of("group", links, seen, seen.c.group_id),
            )
            .outerjoin(person, _link_of("user", person, seen, seen.c.member_id))
            .where(
                seen.c.target == self.target,
                not_(exists().where(_same(given, seen, "target", "group_id", "member_id"))),
                not_(self._is_wanted(links.c.resource_id, person.c.resource_id)),
            )
        )
        for row in self.database.connection.execute(query).all():
            yield Difference(
                kind="group", id=row.resource_id, what="member-added", name=row.member_id
            )

    def _members_removed(self) -> Iterator[Difference]:
        """Who was put into a group, is not in it any more, and is still wanted there."""
        seen, given = tables.observed_memberships, tables.applied_memberships
        person = links.alias("person")
        query = (
            select(links.c.resource_id, given.c.member_id)
            .join(links, _link_of("group", links, given, given.c.group_id))
            .join(person, _link_of("user", person, given, given.c.member_id))
            .join(groups, groups.c.id == links.c.resource_id)
            .where(
                given.c.target == self.target,
                groups.c.deleted_at.is_(None),
                not_(exists().where(_same(seen, given, "target", "group_id", "member_id"))),
                self._is_wanted(links.c.resource_id, person.c.resource_id),
            )
        )
        for row in self.database.connection.execute(query).all():
            yield Difference(
                kind="group", id=row.resource_id, what="member-removed", name=row.member_id
            )

    def _is_wanted(self, group_id: Any, user_id: Any) -> Any:
        is_effective = exists().where(
            users.c.id == user_id, users.c.active, users.c.deleted_at.is_(None)
        )
        return and_(is_member(group_id, user_id), is_effective)

    def _grants(self) -> Iterator[Difference]:
        busy = frozenset(self.access_marks.in_state("pending"))
        for key, (given, seen) in self._unequal_grants().items():
            if key in busy:
                continue
            wanted = self.entitlements.wanted(key).grants
            for grant in seen - given - wanted:
                yield _grant_difference(key, "assignment-added", grant)
            for grant in (given - seen) & wanted:
                yield _grant_difference(key, "assignment-removed", grant)

    def _unequal_grants(self) -> dict[Key, tuple[frozenset[Grant], frozenset[Grant]]]:
        """The grants applied and seen of those linked principals of which they are unequal."""
        given, seen = tables.applied_assignments, tables.observed_assignments
        names = ("target", "kind", "principal_id", "account_id", "permission_set", "application")
        keys: set[Key] = set()
        for one, other in ((given, seen), (seen, given)):
            query = (
                select(links.c.kind, links.c.resource_id)
                .join(
                    one,
                    and_(
                        _same(one, links, "target", "kind"),
                        one.c.principal_id == links.c.target_id,
                    ),
                )
                .where(
                    one.c.target == self.target,
                    not_(exists().where(_same(other, one, *names))),
                )
            )
            rows = self.database.connection.execute(query)
            keys.update(Key(kind=row.kind, id=row.resource_id) for row in rows)
        found = {}
        for key in keys:
            principal = self.entitlements.holder(key)
            if principal is not None:
                grants = self.entitlements.grants
                found[key] = (grants.applied(principal), grants.observed(principal))
        return found

    def unmanaged(self) -> list[Unmanaged]:
        """What the directory does not know at all: principals, and what they and theirs hold."""
        with self.database.reading():
            return sorted(
                [
                    *self._unmanaged_principals("user"),
                    *self._unmanaged_principals("group"),
                    *self._unmanaged_memberships(),
                    *self._unmanaged_grants(),
                ]
            )

    def _unmanaged_principals(self, kind: Kind) -> Iterator[Unmanaged]:
        linked = exists().where(_same(links, observed, "target", "kind", "target_id"))
        rows = self.database.connection.execute(
            select(observed.c.target_id, observed.c.attributes).where(
                observed.c.target == self.target, observed.c.kind == kind, not_(linked)
            )
        ).all()
        name = "userName" if kind == "user" else "displayName"
        for row in rows:
            yield Unmanaged(
                kind=kind, ids=(row.target_id,), name=str(row.attributes.get(name) or "")
            )

    def _unmanaged_memberships(self) -> Iterator[Unmanaged]:
        """Of people of the directory, in groups it does not know."""
        seen = tables.observed_memberships
        group = links.alias("their_group")
        rows = self.database.connection.execute(
            select(seen.c.group_id, seen.c.member_id)
            .join(links, _link_of("user", links, seen, seen.c.member_id))
            .outerjoin(group, _link_of("group", group, seen, seen.c.group_id))
            .where(seen.c.target == self.target, group.c.resource_id.is_(None))
        ).all()
        for row in rows:
            yield Unmanaged(kind="membership", ids=(row.group_id, row.member_id))

    def _unmanaged_grants(self) -> Iterator[Unmanaged]:
        """Of principals that nobody is linked to, and of such as are gone (orphans)."""
        seen = tables.observed_assignments
        linked = exists().where(
            _same(links, seen, "target", "kind"), links.c.target_id == seen.c.principal_id
        )
        there = and_(
            _same(observed, seen, "target", "kind"), observed.c.target_id == seen.c.principal_id
        )
        rows = self.database.connection.execute(
            select(seen, observed.c.target_id.label("holder"))
            .outerjoin(observed, there)
            .where(seen.c.target == self.target, not_(linked))
        ).all()
        for row in rows:
            named = f"{row.account_id}|{row.permission_set or row.application}"
            yield Unmanaged(
                kind="assignment",
                ids=(row.principal_id, named),
                name="" if row.holder else f"orphan: its {row.kind} is gone",
            )

    # -- After an extraction --------------------------------------------

    def check(self) -> list[Found]:
        """Find what differs, tell of each once, and do what `[drift] on_managed` says.

        While delivery is paused it is only told: after a restore it is nobody's doing by hand, and
        an operator decides.
        """
        found = self.found()
        with self.database.transaction():
            self._remember(found)
        followed = self.followed()
        ours = [one for one in found if Key(kind=one.kind, id=one.id) not in followed]
        match "report" if paused(self.database) else self.policy:
            case "report":
                pass
            case "repair":
                self.repair(ours)
            case "accept":
                self.accept(ours)
            case _:
                assert_never(self.policy)
        return self.states(found)

    def states(self, found: Sequence[Difference]) -> list[Found]:
        """What has come of each of these so far."""
        with self.database.reading() as connection:
            rows = connection.execute(select(known).where(known.c.target == self.target)).all()
        states = {row.item: row.state for row in rows}
        return [Found(difference=one, state=states.get(_written(one), "reported")) for one in found]

    def _remember(self, found: Iterable[Difference]) -> None:
        """Tell the audit trail of what is new, and forget what is over."""
        items = {_written(one) for one in self._tell(found)}
        for item in sorted(self._known() - items):
            self.database.connection.execute(
                delete(known).where(known.c.target == self.target, known.c.item == item)
            )

    def _tell(self, found: Iterable[Difference]) -> list[Difference]:
        """Tell the audit trail of what is new. Returns all of it."""
        found, before = list(found), self._known()
        for difference in found:
            if _written(difference) not in before:
                self.database.connection.execute(
                    known.insert().values(
                        target=self.target,
                        item=_written(difference),
                        since=now(),
                        state="reported",
                    )
                )
                self._audit(Action.DRIFT, difference, outcome="found")
        return found

    def _known(self) -> set[str]:
        query = select(known.c.item).where(known.c.target == self.target)
        return set(self.database.connection.scalars(query))

    def _set_state(self, difference: Difference, state: State) -> bool:
        """Remember what came of a difference. False: it was so before."""
        changed = self.database.connection.execute(
            known.update()
            .where(
                known.c.target == self.target,
                known.c.item == _written(difference),
                known.c.state != state,
            )
            .values(state=state)
        )
        return changed.rowcount > 0

    # -- Putting right --------------------------------------------------

    def repair(self, found: Iterable[Difference]) -> list[Difference]:
        """Have the normal passes bring back what was applied. Returns what is on its way.

        What was put right three times within a day is left: somebody else wants it otherwise.
        """
        repaired = []
        with self.database.transaction():
            for difference in self._tell(found):
                if is_contested(repairs=self._repairs(difference)):
                    if self._set_state(difference, "contested"):
                        self._audit(Action.CONTESTED, difference, outcome="left")
                    continue
                self._repair(difference)
                self._set_state(difference, "repaired")
                self._audit(Action.REPAIRED, difference, outcome="on its way")
                repaired.append(difference)
        return repaired

    def _repairs(self, difference: Difference) -> int:
        """How often it was put right within a day."""
        count: int | None = self.database.connection.scalar(
            select(func.count()).where(
                repairs.c.target == self.target,
                repairs.c.item == _written(difference),
                repairs.c.at > now() - CONTESTED_WITHIN,
            )
        )
        return count or 0

    def _repair(self, difference: Difference) -> None:
        connection = self.database.connection
        connection.execute(
            repairs.insert().values(target=self.target, item=_written(difference), at=now())
        )
        connection.execute(
            delete(repairs).where(
                repairs.c.target == self.target, repairs.c.at <= now() - CONTESTED_WITHIN
            )
        )
        key = Key(kind=difference.kind, id=difference.id)
        named = TakeAway(named=frozenset({difference.name}))
        match difference.what:
            case "changed":
                self._count_as_applied(key, difference.attributes)
                self.marks.mark(Intent(key=key))
            case "disabled" | "deleted" | "member-removed":
                self.marks.mark(Intent(key=key))
            case "enabled":
                self.marks.mark(Intent(key=key, urgent=True))
            case "member-added":
                self.marks.mark(Intent(key=key, urgent=True, take_away=named))
            case "assignment-removed":
                self.access_marks.mark(Intent(key=key))
            case "assignment-added":
                self.access_marks.mark(Intent(key=key, urgent=True, take_away=named))
            case _:
                assert_never(difference.what)

    def _count_as_applied(self, key: Key, attributes: Iterable[str]) -> None:
        """A pass takes away only what was applied: so what somebody added counts as that."""
        last, link = self.observations.applied(key), self.observations.link(key)
        seen = self.observations.seen(key.kind, link.target_id) if link else None
        if last is None or seen is None:
            return
        added = {
            path: seen.attributes[path]
            for path in attributes
            if path in seen.attributes and path not in last.attributes
        }
        if added:
            self.observations.write(
                key,
                attributes={**last.attributes, **added},
                echo={**last.echo, **added},
                active=last.active,
            )

    # -- Taking over ----------------------------------------------------

    def accept(self, found: Iterable[Difference]) -> None:
        """Take over into the directory what is at the target, except for who is active."""
        depth = depths(self.database)
        for difference in sorted(found, key=lambda one: depth.get(one.id, 0)):
            try:
                with self.database.transaction():
                    if self.acceptance.accept(difference):
                        self._audit(Action.ACCEPTED, difference)
            except SCIMException as error:
                # The directory cannot hold it: it stays reported.
                with self.database.transaction():
                    if self._set_state(difference, "contested"):
                        self._audit(Action.CONTESTED, difference, outcome="left", why=error.detail)
        with self.database.transaction():
            self._remember(self.found())

    # -- Telling --------------------------------------------------------

    def _audit(
        self,
        action: Action,
        difference: Difference,
        *,
        outcome: str = "ok",
        why: str | None = None,
    ) -> None:
        kind: Kind = difference.kind
        resource, related = difference.id, None
        facts: dict[str, Any] = {"what": difference.what, **at_which(self.target)}
        if difference.attributes:
            facts["attributes"] = list(difference.attributes)
        if difference.what in ("member-added", "member-removed"):
            people = self.observations.resources("user", [difference.name])
            kind, related = "user", difference.id
            resource = people.get(difference.name, difference.name)
        elif difference.name:
            facts["assignment"] = difference.name
        record(
            self.database,
            action=action,
            kind=kind,
            resource_id=resource,
            related_id=related,
            outcome=outcome,
            facts=facts,
            personal=None if why is None else {"detail": why},
        )


def _grant_difference(key: Key, what: What, grant: Grant) -> Difference:
    return Difference(kind=key.kind, id=key.id, what=what, name=to_text(grant))


def _written(difference: Difference) -> str:
    ids = [difference.kind, difference.id, difference.what, difference.name]
    return json.dumps(ids, separators=(",", ":"))


def _same(one: Any, other: Any, *names: str) -> Any:
    return and_(*(one.c[name] == other.c[name] for name in names))


def _link_of(kind: Kind, link: Any, table: Any, target_id: Any) -> Any:
    return and_(link.c.target == table.c.target, link.c.kind == kind, link.c.target_id == target_id)
