"""Losses of access that the brake counts, and those it holds until an operator decides."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    FromClause,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from scim_bridge.directory import lists, tables
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database, now
from scim_bridge.plan.brake import (
    DISABLES_NEVER_HELD,
    REMOVALS_NEVER_HELD,
    WINDOW,
    Category,
    Limit,
    judge,
)
from scim_bridge.settings import Safety
from scim_bridge.sync import at_which
from scim_bridge.sync.audience import EVERYBODY, Audience
from scim_bridge.sync.marks import Key

held = tables.held
losses = tables.losses


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One person's loss of access that is held, or was approved and has yet to be delivered."""

    set_id: str
    category: Category
    # The person's id in the directory; for somebody it does not know, the id at the target.
    person: str
    # Of a removal, and of an assignment of a group's: the group's id in the directory.
    group: str
    since: float
    # Of an assignment: the grant, as `scim_bridge.sync.grants.to_text` writes it.
    lost: str = ""


class HeldLosses:
    """The brake of one target. Methods join the transaction they are called in."""

    def __init__(
        self,
        database: Database,
        target: str,
        safety: Safety,
        *,
        leavers_stay_active: bool = False,
        audience: Audience = EVERYBODY,
    ) -> None:
        self.database = database
        self.target = target
        self.safety = safety
        # Where nobody can be disabled, the target shows everybody active who ever was.
        self.leavers_stay_active = leavers_stay_active
        self.audience = audience

    # -- Judging --------------------------------------------------------

    def hold_back(self, category: Category, people: Iterable[str], *, group: str = "") -> set[str]:
        """Which of these people may not lose their access now. The others count from now on.

        Asking again gives the same answer until an operator or a client changes it.
        """
        people = set(people)
        if not self.safety.brake or not people:
            return set()
        judgement = judge(
            people,
            counted=self._counted(category),
            approved=self._people(category, group, "approved"),
            already_held=self._people(category, group, "held"),
            allowance=self._limit(category).allowance(self._active_when_the_window_began()),
        )
        self._count(category, judgement.counted)
        self._hold(category, judgement.held - self._people(category, group, "held"), group)
        return set(judgement.held)

    def holds_grant(self, grant: str, people: Iterable[str], *, group: str = "") -> bool:
        """Whether a grant may not be taken away now, since too many people would lose it.

        It cannot be taken from some members of a group only: all are held, or none. Those who lose
        it count from now on, with those who lose memberships.
        """
        people = set(people)
        if not self.safety.brake or not people:
            return False
        held_now = self._people("assignment", group, "held", lost=grant)
        approved = self._people("assignment", group, "approved", lost=grant)
        judgement = judge(
            people,
            counted=self._counted("removal"),
            approved=approved,
            already_held=held_now,
            allowance=self._limit("removal").allowance(self._active_when_the_window_began()),
        )
        if judgement.held:
            self._hold("assignment", people - held_now - approved, group, lost=grant)
            return True
        self._count("removal", judgement.counted)
        return False

    def keeps_members(self, group: str) -> bool:
        """Whether somebody is held in a group."""
        return bool(self._people("removal", group, "held"))

    def release_grant(self, grant: str, *, person: str = "", group: str = "") -> None:
        """This loss is no longer wanted, or has been done. Of a group's grant: for all members."""
        whose = held.c.group_id == group if group else held.c.person == person
        self.database.connection.execute(
            delete(held).where(
                held.c.target == self.target,
                held.c.category == "assignment",
                held.c.lost == grant,
                held.c.group_id == group,
                whose,
            )
        )

    def _limit(self, category: Category) -> Limit:
        if category == "disable":
            return Limit(
                percent=self.safety.max_deprovision_percent,
                at_most=self.safety.max_deprovisions,
                never_before=DISABLES_NEVER_HELD,
            )
        return Limit(
            percent=self.safety.max_removal_percent,
            at_most=self.safety.max_removals,
            never_before=REMOVALS_NEVER_HELD,
        )

    def _active_when_the_window_began(self) -> int:
        """People active at the target now, and those who were disabled within the window."""
        seen, links = tables.observed, tables.links
        active = select(func.count()).where(
            seen.c.target == self.target, seen.c.kind == "user", seen.c.active
        )
        disabled = (
            select(func.count())
            .select_from(losses)
            .join(
                links,
                and_(
                    links.c.target == losses.c.target,
                    links.c.kind == "user",
                    links.c.resource_id == losses.c.person,
                ),
            )
            .join(
                seen,
                and_(
                    seen.c.target == losses.c.target,
                    seen.c.kind == "user",
                    seen.c.target_id == links.c.target_id,
                ),
            )
            .where(self._within("disable"), seen.c.active.is_(False))
        )
        connection = self.database.connection
        there = (connection.scalar(active) or 0) + (connection.scalar(disabled) or 0)
        return there - (self._left_long_ago() if self.leavers_stay_active else 0)

    def _left_long_ago(self) -> int:
        """People who left before the window, and are shown active for ever."""
        seen, links, users = tables.observed, tables.links, tables.users
        recent = select(losses.c.person).where(self._within("disable"))
        stopped = select(held.c.person).where(
            held.c.target == self.target, held.c.category == "disable", held.c.state == "held"
        )
        query = (
            select(func.count())
            .select_from(links)
            .join(users, users.c.id == links.c.resource_id)
            .join(
                seen,
                and_(
                    seen.c.target == links.c.target,
                    seen.c.kind == "user",
                    seen.c.target_id == links.c.target_id,
                ),
            )
            .where(
                links.c.target == self.target,
                links.c.kind == "user",
                seen.c.active,
                users.c.active.is_(False)
                | users.c.deleted_at.is_not(None)
                | not_(self.audience.condition()),
                users.c.id.not_in(recent),
                users.c.id.not_in(stopped),
            )
        )
        return self.database.connection.scalar(query) or 0

    def _counted(self, category: Category) -> set[str]:
        rows = self.database.connection.scalars(
            select(losses.c.person).where(self._within(category))
        )
        return set(rows)

    def _count(self, category: Category, people: Iterable[str]) -> None:
        dialect: Any = postgresql if self.database.engine.dialect.name == "postgresql" else sqlite
        for person in sorted(people):
            self.database.connection.execute(
                dialect.insert(losses)
                .values(target=self.target, category=category, person=person, at=now())
                .on_conflict_do_update(
                    index_elements=["target", "category", "person"], set_={"at": now()}
                )
            )

    def _within(self, category: Category) -> ColumnElement[bool]:
        return and_(
            losses.c.target == self.target,
            losses.c.category == category,
            losses.c.at > now() - WINDOW,
        )

    # -- Holding --------------------------------------------------------

    def _hold(
        self, category: Category, people: Iterable[str], group: str, *, lost: str = ""
    ) -> None:
        people = sorted(people)
        if not people:
            return
        set_id = self._open_set(category)
        self.database.connection.execute(
            held.insert(),
            [
                {"set_id": set_id, "target": self.target, "category": category,
                 "person": person, "group_id": group, "lost": lost, "state": "held",
                 "since": self._time()}
                for person in people
            ],
        )  # fmt: skip
        for person in people:
            record(
                self.database,
                action=Action.HELD,
                kind="user",
                resource_id=person,
                related_id=group or None,
                outcome="held",
                facts={"set": set_id, "category": category, **at_which(self.target)},
            )

    def _open_set(self, category: Category) -> str:
        """The set that takes further losses: the newest undecided one of the last hour."""
        current: str | None = self.database.connection.scalar(
            select(held.c.set_id)
            .where(
                held.c.target == self.target,
                held.c.category == category,
                held.c.state == "held",
                held.c.since > now() - WINDOW,
            )
            .order_by(held.c.since.desc())
            .limit(1)
        )
        return current or uuid.uuid4().hex[:8]

    def _time(self) -> float:
        return float(self.database.connection.scalar(select(now())) or 0.0)

    def _people(self, category: Category, group: str, state: str, *, lost: str = "") -> set[str]:
        rows = self.database.connection.scalars(
            select(held.c.person).where(
                held.c.target == self.target,
                held.c.category == category,
                held.c.group_id == group,
                held.c.lost == lost,
                held.c.state == state,
            )
        )
        return set(rows)

    # -- Deciding -------------------------------------------------------

    def losses(self, *, set_id: str | None = None) -> Sequence[Loss]:
        """The losses that are held, of one set or of all, oldest first."""
        wanted = [held.c.target == self.target, held.c.state == "held"]
        if set_id is not None:
            wanted.append(held.c.set_id == set_id)
        rows = self.database.connection.execute(
            select(held).where(*wanted).order_by(held.c.since, held.c.id)
        )
        return [_loss(row) for row in rows]

    def dropped_out(self, set_id: str) -> frozenset[str]:
        """Who was in a set and is no more: the client took the loss back since."""
        audit = tables.audit
        once = self.database.connection.scalars(
            select(audit.c.resource_id).where(
                audit.c.action == Action.HELD, audit.c.facts.contains(f'"set":"{set_id}"')
            )
        )
        still = {loss.person for loss in self.losses(set_id=set_id)}
        return frozenset(once) - still

    def through_groups_alone(self, set_id: str) -> int:
        """How many people of a set had a group that they lose only through a group in it.

        They cannot be given it back while no group is to be in a group.
        """
        query = select(func.count(held.c.person.distinct())).where(
            held.c.target == self.target,
            held.c.set_id == set_id,
            held.c.category == "removal",
            held.c.state == "held",
            exists().where(tables.nestings.c.group_id == held.c.group_id),
            ~exists().where(
                tables.memberships.c.group_id == held.c.group_id,
                tables.memberships.c.member_id == held.c.person,
            ),
            self._was_put_in(),
        )
        return self.database.connection.scalar(query) or 0

    def _was_put_in(self) -> ColumnElement[bool]:
        """Whether the bridge put the person into the group, and nobody did by hand."""
        group, person, put = tables.links.alias(), tables.links.alias(), tables.applied_memberships
        return exists().where(
            put.c.target == self.target,
            group.c.target == self.target,
            group.c.kind == "group",
            group.c.resource_id == held.c.group_id,
            group.c.target_id == put.c.group_id,
            person.c.target == self.target,
            person.c.kind == "user",
            person.c.resource_id == held.c.person,
            person.c.target_id == put.c.member_id,
        )

    def approve(self, set_id: str) -> Sequence[Loss]:
        """Let the losses of a set pass. They no longer count against the brake."""
        decided = self.losses(set_id=set_id)
        self.database.connection.execute(
            update(held)
            .where(held.c.target == self.target, held.c.set_id == set_id, held.c.state == "held")
            .values(state="approved")
        )
        return decided

    def drop(self, losses: Iterable[Loss]) -> None:
        """Forget losses that are held: the directory was given its state back."""
        for loss in losses:
            self.database.connection.execute(
                delete(held).where(
                    held.c.target == self.target,
                    held.c.category == loss.category,
                    held.c.person == loss.person,
                    held.c.group_id == loss.group,
                    held.c.lost == loss.lost,
                    held.c.state == "held",
                )
            )

    def set_of_removal(self, person: str, *, group: str) -> str | None:
        """The set in which somebody's removal from a group is held."""
        found: str | None = self.database.connection.scalar(
            select(held.c.set_id).where(
                held.c.target == self.target,
                held.c.category == "removal",
                held.c.person == person,
                held.c.group_id == group,
                held.c.state == "held",
            )
        )
        return found

    def let_pass(self, person: str) -> None:
        """An operator's own deprovision passes the brake."""
        self.release(person)
        self.database.connection.execute(
            held.insert().values(
                set_id="operator", target=self.target, category="disable", person=person,
                group_id="", state="approved", since=now(),
            )
        )  # fmt: skip

    def release(self, person: str) -> None:
        """The person's disabling is no longer wanted, or has been done."""
        self._delete("disable", [person], "")

    def forget(self, key: Key) -> None:
        """The principal is gone, and with it everything that could be lost."""
        column = held.c.person if key.kind == "user" else held.c.group_id
        self.database.connection.execute(
            delete(held).where(held.c.target == self.target, column == key.id)
        )

    def move(self, old: Key, new: Key) -> None:
        """What is held of an earlier record is held of the one that takes it up.

        But for its own disabling: a person who is hired again is not to be disabled.
        """
        if old.kind == "user":
            self.release(old.id)
        column = held.c.person if old.kind == "user" else held.c.group_id
        self.database.connection.execute(
            update(held)
            .where(held.c.target == self.target, held.c.category != "disable", column == old.id)
            .values({column: new.id})
        )

    def release_removals(self, people: Iterable[str], *, group: str) -> None:
        """These removals are no longer wanted, or have been done."""
        self._delete("removal", people, group)

    def _delete(self, category: Category, people: Iterable[str], group: str) -> None:
        of_people = {
            "target": self.target,
            "category": category,
            "group": group,
            "ids": lists.as_value(people),
        }
        self.database.connection.execute(lists.on(self.database, _OF_PEOPLE), of_people)


def _of_people(ids: FromClause) -> Delete:
    """Losses of one category and group, of the people of a list."""
    return delete(held).where(
        held.c.target == bindparam("target"),
        held.c.category == bindparam("category"),
        held.c.group_id == bindparam("group"),
        held.c.person.in_(select(ids.c.value)),
    )


_OF_PEOPLE = lists.for_each_dialect(_of_people)


def _loss(row: Row[Any]) -> Loss:
    return Loss(
        set_id=row.set_id,
        category=row.category,
        person=row.person,
        group=row.group_id,
        since=row.since,
        lost=row.lost,
    )
