"""How did somebody have a group that they are about to lose, as the record knows it?"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Table, select

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.ways import Past, Way
from scim_bridge.sync.held import Loss
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Observations


class WaysHad:
    """The past, of losses that are to be given back: ask for all of them before the first is."""

    def __init__(self, database: Database, observations: Observations) -> None:
        self.database = database
        self.observations = observations
        self._past = Past(database)

    def of(self, loss: Loss) -> tuple[Way, ...]:
        """How somebody had the group that they are about to lose. Empty: nobody knows."""
        if loss.category != "removal":
            return ()
        if not self._was_given(loss):
            # What somebody put there by hand is not how they had it once.
            return ()
        return self._past.last_ways(loss.group, loss.person) or self._by_earlier_records(loss)

    def _by_earlier_records(self, loss: Loss) -> tuple[Way, ...]:
        """The same by the earlier records of the group and the person, whose place these took."""
        groups = self._earlier_records(tables.groups, "display_name_folded", loss.group)
        people = self._earlier_records(tables.users, "user_name_folded", loss.person)
        for group in (loss.group, *groups):
            for person in (loss.person, *people):
                if found := self._past.last_ways(group, person):
                    return tuple(_of_group(way, group, loss.group) for way in found)
        return ()

    def _was_given(self, loss: Loss) -> bool:
        """Whether the bridge put them into the group, and nobody did by hand."""
        group = self.observations.link(Key(kind="group", id=loss.group))
        person = self.observations.link(Key(kind="user", id=loss.person))
        return (
            group is not None
            and person is not None
            and self.observations.has_put(person.target_id, group.target_id)
        )

    def _earlier_records(self, table: Table, name: str, resource_id: str) -> Sequence[str]:
        """The deleted records of the same name, the latest first."""
        same = select(table.c[name]).where(table.c.id == resource_id).scalar_subquery()
        return self.database.connection.scalars(
            select(table.c.id)
            .where(
                table.c[name] == same, table.c.deleted_at.is_not(None), table.c.id != resource_id
            )
            .order_by(table.c.deleted_at.desc())
        ).all()


def _of_group(way: Way, earlier: str, group: str) -> Way:
    """A way into an earlier record of a group, as one into the group."""
    nestings = (
        replace(each, outer=group) if each.outer == earlier else each for each in way.nestings
    )
    entry = group if way.entry == earlier else way.entry
    return replace(way, entry=entry, nestings=tuple(nestings))
