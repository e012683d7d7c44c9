"""What did a deactivation take away that nobody gave through the bridge, and how is it given back?

A deactivation takes everything that Identity Center reports of a person. What the directory gives
comes back by itself with the reactivation; what somebody gave by hand does not, and is kept here
for an operator who finds that the deactivation was a mistake.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, select, update

from scim_bridge.directory.database import Database, now
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.tables import applied_memberships, taken
from scim_bridge.errors import OperatorError
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant
from scim_bridge.sync.observed import Observations


@dataclass(frozen=True, kw_only=True)
class Lost:
    """One access that a deactivation took away."""

    id: int
    # A grant, or the membership of a group, by the group's id at the target.
    grant: Grant | None
    group: str
    at: float


class Restoration:
    """Lists and gives back what was taken from one person. The acts are the operator's."""

    def __init__(
        self, database: Database, target: str, resources: Resources, observations: Observations
    ) -> None:
        self.database = database
        self.target = target
        self.resources = resources
        self.observations = observations

    def lost(self, person: str) -> Sequence[Lost]:
        """What was taken from a person and not given back, the latest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(taken)
                .where(
                    taken.c.target == self.target,
                    taken.c.person == person,
                    taken.c.restored_at.is_(None),
                )
                .order_by(taken.c.at.desc(), taken.c.id)
            ).all()
        return [_lost(row) for row in rows]

    def give_back(self, person: str) -> tuple[Sequence[Lost], Sequence[Lost]]:
        """Give a person back what was taken. From now on the directory gives it.

        Returns what was given, and what could not be: memberships of groups that the directory does
        not have. Raises `OperatorError` for somebody who is not active: nothing would arrive.
        """
        with self.database.transaction():
            self._refuse_inactive(person)
            lost = self.lost(person)
            given = [one for one in lost if self._give(person, one)]
            left = [one for one in lost if one not in given]
            self._settle(given)
        return given, left

    def _give(self, person: str, one: Lost) -> bool:
        if one.grant is not None:
            self.resources.entitle("user", person, one.grant)
            return True
        group = self.observations.linked_to("group", one.group)
        if group is None:
            return False
        self.resources.change_members(group.id, add=[person])
        return True

    def _settle(self, given: Iterable[Lost]) -> None:
        self.database.connection.execute(
            update(taken).where(taken.c.id.in_([one.id for one in given])).values(restored_at=now())
        )

    def _refuse_inactive(self, person: str) -> None:
        if not self.resources.is_active(person):
            raise OperatorError(
                "the person is not active, so nothing can be given back: "
                "`scim-bridge reactivate` them first"
            )


def record_memberships(
    database: Database, target: str, person: str, principal: str, groups: Iterable[str]
) -> None:
    """Keep which of these groups, by ids at the target, a leaver is in by somebody's hand.

    In the caller's transaction, before the person is taken out of them.
    """
    given = set(
        database.connection.scalars(
            select(applied_memberships.c.group_id).where(
                applied_memberships.c.target == target,
                applied_memberships.c.member_id == principal,
            )
        )
    )
    known = set(
        database.connection.scalars(
            select(taken.c.group_id).where(
                taken.c.target == target, taken.c.person == person, taken.c.restored_at.is_(None)
            )
        )
    )
    for group in sorted(set(groups) - given - known):
        database.connection.execute(
            taken.insert().values(target=target, person=person, group_id=group, at=now())
        )


def hand_over(database: Database, target: str, old: str, new: str) -> None:
    """What was taken from a record is given back to the one that takes it up."""
    database.connection.execute(
        update(taken).where(taken.c.target == target, taken.c.person == old).values(person=new)
    )


def _lost(row: Row[tuple[object, ...]]) -> Lost:
    grant: Grant | None = None
    if row.application:
        grant = ApplicationGrant(application=row.application)
    elif row.permission_set:
        grant = AccountGrant(account=row.account_id, permission_set=row.permission_set)
    return Lost(id=row.id, grant=grant, group=row.group_id, at=row.at)
