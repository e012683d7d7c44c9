"""What is given back when an operator rejects losses that the brake holds, and what cannot be?

People get a group back the way they had it: themselves, or with the group in it through which they
had it. So nobody has access that outlives its cause. What cannot be given back like that is left as
it is, held, and the operator is told why: neither does anybody keep it unseen, nor do they lose
what the operator has just decided to keep.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy import not_, select

from scim_bridge.directory import tables
from scim_bridge.directory.kinds import GROUP
from scim_bridge.directory.nesting import inner_groups, is_in, people
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.ways import Nesting, Way
from scim_bridge.errors import OperatorError
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync.audience import EVERYBODY, Audience
from scim_bridge.sync.grants import from_text
from scim_bridge.sync.held import HeldLosses, Loss
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.ways_had import WaysHad

Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class Left:
    """A loss that could not be given back: it is held as before."""

    loss: Loss
    why: str


@dataclass(frozen=True, kw_only=True)
class NestedAgain:
    """A group that is in a group again, and how many people are in that one through it."""

    nesting: Nesting
    people: int


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """What came of the rejection of a set."""

    given_back: tuple[Loss, ...]
    left: tuple[Left, ...] = ()
    nested_again: tuple[NestedAgain, ...] = ()


class Rejections:
    """Gives the directory back what held losses would take. Joins the caller's transaction."""

    def __init__(
        self,
        resources: Resources,
        marks: Marks,
        observations: Observations,
        held: HeldLosses,
        access_marks: Marks,
        audience: Audience = EVERYBODY,
    ) -> None:
        self.audience = audience
        self.database = resources.database
        self.resources = resources
        self.marks = marks
        self.observations = observations
        self.held = held
        self.access_marks = access_marks

    def of(self, losses: Sequence[Loss]) -> Rejection:
        """Give back what these losses would take, as far as that is possible."""
        # How people had a group is read before anything is given back.
        had = WaysHad(self.database, self.observations)
        ways = {loss: had.of(loss) for loss in losses}
        why: dict[Loss, str] = {}
        nested: dict[Nesting, None] = {}
        for loss in losses:
            if not ways[loss] or any(not way.nestings for way in ways[loss]):
                self._try(why, loss, partial(self._give_back, loss))
        # Groups are put into groups last: who was in one themselves is in it again by then.
        for loss in losses:
            led = [way for way in ways[loss] if way.nestings]
            if led and loss not in why:
                again = self._try(why, loss, partial(self._nest_again, loss, led))
                nested.update(dict.fromkeys(again or ()))
        return Rejection(
            given_back=tuple(loss for loss in losses if loss not in why),
            left=tuple(Left(loss=loss, why=why[loss]) for loss in losses if loss in why),
            nested_again=tuple(map(self._counted, nested)),
        )

    def _try(self, why: dict[Loss, str], loss: Loss, give: Callable[[], Given]) -> Given | None:
        """Give something back wholly or, with the reason noted, not at all."""
        try:
            with self.database.connection.begin_nested():
                return give()
        except OperatorError as error:
            why[loss] = str(error)
            return None

    # -- Memberships that came through a group in the group --------------

    def _nest_again(self, loss: Loss, ways: Sequence[Way]) -> list[Nesting]:
        """Restore how somebody had a group. Returns the nestings that there are again.

        Raises `OperatorError` where they cannot have it like that. One way that is there again is
        enough.
        """
        done: list[Nesting] = []
        obstacles: dict[str, None] = {}
        for way in ways:
            try:
                with self.database.connection.begin_nested():
                    done += self._restored(loss, way)
            except OperatorError as error:
                obstacles[
                    f"they were in it through {self.resources.called(GROUP, way.entry)}, {error}"
                ] = None
        if not is_in(self.database, loss.group, loss.person):
            raise OperatorError("; ".join(obstacles))
        self.marks.mark(Intent(key=key_of(loss)))
        return done

    def _restored(self, loss: Loss, way: Way) -> list[Nesting]:
        if not is_in(self.database, way.entry, loss.person):
            raise OperatorError(self._no_longer_in(loss, way.entry))
        ended = [each for each in way.nestings if not self._is_current(each)]
        try:
            for each in ended:
                self.resources.reopen_nesting(each.outer, each.inner)
        except OperatorError as error:
            raise OperatorError(f"but {error}") from error
        return ended

    def _is_current(self, nesting: Nesting) -> bool:
        return nesting.inner in inner_groups(self.database, [nesting.outer]).get(nesting.outer, ())

    def _no_longer_in(self, loss: Loss, entry: str) -> str:
        if self._is_deleted(entry):
            return "which was deleted"
        held_in = self.held.set_of_removal(loss.person, group=entry)
        if held_in and held_in != loss.set_id:
            return f"and their loss of that is held in set {held_in}: decide on it first"
        return "and are not in that any more"

    def _is_deleted(self, group_id: str) -> bool:
        columns = tables.groups.c
        query = select(columns.deleted_at).where(columns.id == group_id)
        return self.database.connection.scalar(query) is not None

    def _counted(self, nesting: Nesting) -> NestedAgain:
        return NestedAgain(nesting=nesting, people=len(people(self.database, [nesting.inner])))

    # -- Everything else --------------------------------------------------

    def _give_back(self, loss: Loss) -> None:
        self._refuse_out_of_filter(loss)
        if loss.category == "removal":
            self._give_back_membership(loss)
            return
        if loss.category == "assignment":
            self._give_back_assignment(loss)
            return
        link = self.observations.link(key_of(loss))
        if link is not None:
            self.marks.spare(link.target_id)
        for group_id in self.resources.reinstate(loss.person):
            self.marks.mark(Intent(key=Key(kind="group", id=group_id)))
        self._outlive_source(key_of(loss))
        self.marks.mark(Intent(key=key_of(loss)))

    def _refuse_out_of_filter(self, loss: Loss) -> None:
        """Raise `OperatorError` for a person whom the target's filter takes away."""
        if self.audience.is_all or not loss.person:
            return
        columns = tables.users.c
        out = select(columns.id).where(columns.id == loss.person, not_(self.audience.condition()))
        if self.database.connection.scalar(out) is not None:
            raise OperatorError(
                f"the filter of {self.marks.target} does not match them: change what it asks for, "
                "of them or in the settings"
            )

    def _give_back_membership(self, loss: Loss) -> None:
        key = key_of(loss)
        if self._is_known(loss.person):
            self.resources.reopen_membership(loss.group, loss.person)
            self._outlive_source(key)
            self.marks.mark(Intent(key=key))
        else:
            # Nothing in the directory can say that they stay.
            take_away = self._sparing(loss.person, key)
            self.marks.mark(Intent(key=key, urgent=True, reversal=True, take_away=take_away))

    def _outlive_source(self, key: Key) -> None:
        """Somebody stays whom a source has disabled, or has no more: it is no news from now on.

        They are enabled or made anew there.
        """
        last, link = self.observations.applied(key), self.observations.link(key)
        seen = self.observations.seen(key.kind, link.target_id) if link else None
        if last is not None and last.active and (seen is None or not seen.active):
            self.observations.write(key, attributes=last.attributes, echo=last.echo, active=False)

    def _give_back_assignment(self, loss: Loss) -> None:
        """The directory says again that the person, or the group, is to hold it."""
        key, grant = key_of(loss), from_text(loss.lost)
        if not self.resources.reopen_grant(key.kind, key.id, grant):
            # Nothing in the directory can say that it stays.
            taken = self.access_marks.read(key).take_away
            left = replace(taken, everyone=False, named=taken.named - {loss.lost})
            self.access_marks.mark(Intent(key=key, urgent=True, reversal=True, take_away=left))
            return
        self.access_marks.mark(Intent(key=key))

    def _is_known(self, user_id: str) -> bool:
        users = tables.users.c
        query = select(users.id).where(users.id == user_id)
        return self.database.connection.scalar(query) is not None

    def _sparing(self, member: str, group: Key) -> TakeAway:
        """What is to be taken from a group, less one member, by their id at the target."""
        taken, link = self.marks.read(group).take_away, self.observations.link(group)
        _, seen = self.observations.members(link.target_id) if link else (None, frozenset())
        named = taken.named | (seen if taken.everyone else frozenset())
        return TakeAway(linked=taken.linked, named=named - {member})


def key_of(loss: Loss) -> Key:
    """The resource whose delivery takes the access away."""
    if not loss.group:
        return Key(kind="user", id=loss.person)
    return Key(kind="group", id=loss.group)
