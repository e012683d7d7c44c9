"""What a write to the directory wants of the target: its marks, made in the write's transaction."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, Table, bindparam, select

from scim_bridge.directory import tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import Database
from scim_bridge.directory.nesting import outer_groups, people
from scim_bridge.directory.write import Write
from scim_bridge.identity_center.payloads import (
    ONLY_AT_CREATION,
    Problem,
    project_user,
    withheld_of_user,
)
from scim_bridge.plan.state import NOTHING, TakeAway
from scim_bridge.settings import Delivery
from scim_bridge.sync.audience import EVERYBODY, Audience
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import BeingDelivered, Intent, Key, Marks
from scim_bridge.sync.neighbours import groups_of, reports_of
from scim_bridge.sync.observed import Observations, as_sent
from scim_bridge.sync.succession import of_earlier_record, take_up

EVERYTHING = TakeAway(everyone=True)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The marks a write makes. The first is the written resource's own."""

    own: Intent
    others: tuple[Intent, ...] = ()


class Intents:
    """Turns writes into marks. Methods join the write's transaction."""

    def __init__(
        self,
        database: Database,
        marks: Marks,
        observations: Observations,
        held: HeldLosses,
        delivery: Delivery,
        audience: Audience = EVERYBODY,
        *,
        warns: bool = True,
    ) -> None:
        self.database = database
        self.marks = marks
        self.observations = observations
        self.held = held
        self.delivery = delivery
        self.audience = audience
        # Whether what cannot be sent is told: once, however many targets there are.
        self.warns = warns

    def of(self, write: Write, *, impatient: bool) -> Wanted:
        """The marks of a write, after what it moves (a link, a held loss) has been moved.

        Raises `BeingDelivered` when it must wait for the delivery of an earlier record, unless
        `impatient`.
        """
        return self.of_view(self.audience.seen(write), impatient=impatient)

    def of_view(self, write: Write, *, impatient: bool) -> Wanted:
        """The same of a write as the target sees it."""
        if write.kind == "group":
            return self._group(write, impatient)
        wanted = self._user(write, impatient)
        if self.warns:
            self._warn_of_what_is_not_sent(write)
        return wanted

    def _warn_of_what_is_not_sent(self, write: Write) -> None:
        """Say once that a value is kept in the directory and cannot be sent."""
        if write.after is None:
            return
        new = {*withheld_of_user(write.after)} - {*withheld_of_user(write.before or {})}
        for problem in sorted((*new, *self._too_late(write)), key=str):
            record(
                self.database,
                action=Action.WARNING,
                kind="user",
                resource_id=write.id,
                outcome="not sent",
                facts={"attribute": problem.path, "why": problem.reason},
            )

    def _too_late(self, write: Write) -> list[Problem]:
        """What the target takes only when it creates a user, and now has otherwise."""
        was, wanted = write.before or {}, write.after or {}
        if all(was.get(path) == wanted.get(path) for path in ONLY_AT_CREATION):
            return []
        key = Key(kind="user", id=write.id)
        link = self.observations.link(key)
        seen = self.observations.seen("user", link.target_id) if link else None
        if seen is None:
            return []
        there = as_sent(seen.attributes, self.observations.applied(key))
        was, wanted = (
            project_user(document or {}, manager=None).attributes
            for document in (write.before, write.after)
        )
        return [
            Problem(path=path, reason="Identity Center takes it only when it creates a user")
            for path in ONLY_AT_CREATION
            if wanted.get(path) not in (was.get(path), there.get(path))
        ]

    # -- Users ----------------------------------------------------------

    def _user(self, write: Write, impatient: bool) -> Wanted:
        key = Key(kind="user", id=write.id)
        if write.action == "create":
            return Wanted(own=self._taken_up(write, key, impatient))
        if write.leaves:
            return self._leaving(write, key)
        if write.action == "delete":
            return Wanted(own=Intent(key=key, urgent=True, take_away=EVERYTHING))
        if write.returns:
            return self._returning(write, key)
        return Wanted(own=Intent(key=key))

    def _leaving(self, write: Write, key: Key) -> Wanted:
        """Deactivation or deletion: disable, and out of every group."""
        principal = self.observations.link(key)
        named = TakeAway(named=frozenset({principal.target_id} if principal else ()))
        groups = self._groups_of(write)
        if principal is not None:
            seen = self.observations.groups_of(principal.target_id)
            groups |= set(self.observations.resources("group", seen).values())
        return Wanted(
            own=Intent(key=key, urgent=True, take_away=EVERYTHING),
            others=tuple(
                Intent(key=Key(kind="group", id=group), urgent=True, take_away=named)
                for group in sorted(groups)
            ),
        )

    def _returning(self, write: Write, key: Key) -> Wanted:
        """Reactivation: enable, and back into the groups. What an earlier record had still goes."""
        self.held.release(key.id)
        mark = self.marks.find(key)
        inherited = mark is not None and mark.take_away.inherited
        link = self.observations.link(key)
        if link is not None:
            self.marks.spare(link.target_id)
        groups = sorted(self._groups_of(write))
        return Wanted(
            own=Intent(key=key, reversal=not inherited),
            others=tuple(Intent(key=Key(kind="group", id=group)) for group in groups),
        )

    # -- Groups ---------------------------------------------------------

    def _group(self, write: Write, impatient: bool) -> Wanted:
        key = Key(kind="group", id=write.id)
        if write.action == "create":
            return Wanted(own=self._taken_up(write, key, impatient))
        if write.action == "delete":
            own = Intent(key=key, urgent=True, take_away=EVERYTHING)
            return Wanted(own=own, others=self._outer(write))
        self.held.release_removals(write.added, group=write.id)
        if write.nested:
            back = people(self.database, write.nested)
            self.held.release_removals(back, group=write.id)
        leaving = {*write.removed, *write.named, *write.let_go}
        taken = self.observations.target_ids("user", leaving)
        take_away = TakeAway(linked=write.replaced, named=frozenset(taken.values()))
        urgent = write.replaced or bool(leaving)
        joins = bool(write.added or write.nested)
        only_additions = joins and not urgent and write.before == write.after
        return Wanted(
            own=Intent(
                key=key,
                urgent=urgent,
                take_away=take_away,
                quiet=self.delivery.coalesce if only_additions else 0.0,
                quiet_at_most=self.delivery.coalesce_at_most,
            ),
            others=self._outer(write),
        )

    def _outer(self, write: Write) -> tuple[Intent, ...]:
        """The groups around one whose people changed: they gain and lose the same people.

        Who stays in them otherwise is wanted there, and stays.
        """
        if not write.outer:
            return ()
        back = (*write.added, *people(self.database, write.nested))
        gone = self.observations.target_ids("user", {*write.removed, *write.let_go})
        for group_id in write.outer:
            self.held.release_removals(back, group=group_id)
        return tuple(
            Intent(
                key=Key(kind="group", id=group_id),
                urgent=bool(write.removed or write.let_go),
                take_away=TakeAway(named=frozenset(gone.values())),
                quiet=0.0 if gone else self.delivery.coalesce,
                quiet_at_most=self.delivery.coalesce_at_most,
            )
            for group_id in write.outer
        )

    # -- A new record of somebody known at the target -------------------

    def _taken_up(self, write: Write, key: Key, impatient: bool) -> Intent:
        """A creation; or, of a name that was deleted before, a rehire or a group taken up again."""
        # A record that an operator brings back has nothing to lose any more.
        own = Intent(key=key, reversal=True)
        old = self._earlier_record(write)
        if old is None:
            return own
        until = self.marks.leased_until(old)
        if until is not None and not impatient:
            raise BeingDelivered(f"the earlier record of {key.kind} {key.id} is being delivered")
        dropped = take_up(
            old, key, marks=self.marks, observations=self.observations, held=self.held
        )
        if key.kind == "user":
            # Those who name the earlier record as their manager name nobody any more.
            for report in reports_of(self.database, old.id):
                self.marks.mark(Intent(key=report))
        self._audit_rehire(old, key)
        take_away = of_earlier_record(dropped, key.kind)
        return Intent(
            key=key,
            # What was to be taken from the earlier record is still to be taken.
            urgent=take_away != NOTHING,
            take_away=take_away,
            reread=dropped is not None and dropped.reread,
            # Whoever still works on the earlier record may yet send its disable: come after it.
            busy_until=until,
            requests=() if dropped is None else dropped.requests,
        )

    def _earlier_record(self, write: Write) -> Key | None:
        """The deleted record of the same name that is linked to a principal, the latest first."""
        name = "userName" if write.kind == "user" else "displayName"
        found: str | None = self.database.connection.scalar(
            _EARLIER[write.kind],
            {
                "name": folded(str((write.after or {}).get(name, ""))),
                "id": write.id,
                "target": self.marks.target,
                "kind": write.kind,
            },
        )
        return None if found is None else Key(kind=write.kind, id=found)

    def _audit_rehire(self, old: Key, new: Key) -> None:
        record(
            self.database,
            action=Action.REHIRE,
            kind=new.kind,
            resource_id=new.id,
            related_id=old.id,
        )

    def _groups_of(self, write: Write) -> set[str]:
        """The groups a user is in, and those the write took them out of."""
        outer = outer_groups(self.database, write.left) if write.left else ()
        joined = groups_of(self.database, write.id)
        return {*(group.id for group in joined), *write.left, *outer}


def _earlier(table: Table, name: ColumnElement[str]) -> Select[str]:
    links = tables.links.c
    return (
        select(table.c.id)
        .join(tables.links, links.resource_id == table.c.id)
        .where(
            name == bindparam("name"),
            table.c.deleted_at.is_not(None),
            table.c.id != bindparam("id"),
            links.target == bindparam("target"),
            links.kind == bindparam("kind"),
        )
        .order_by(table.c.deleted_at.desc())
        .limit(1)
    )


# Made once, since every creation asks.
_EARLIER = {
    "user": _earlier(tables.users, tables.users.c.user_name_folded),
    "group": _earlier(tables.groups, tables.groups.c.display_name_folded),
}


def is_removal(write: Write) -> bool:
    """Whether a write takes access away: it is then never undone (design, section 4)."""
    if write.action == "delete" or write.removed or write.named or write.unnested:
        return True
    return write.leaves
