"""How does a new record take over the principal of a deleted one?"""

from dataclasses import replace

from scim_bridge.plan.state import NOTHING, Kind, TakeAway
from scim_bridge.sync import access_of, cuts, restoration
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Intent, Key, Mark, Marks
from scim_bridge.sync.observed import Observations


def take_up(
    old: Key, new: Key, *, marks: Marks, observations: Observations, held: HeldLosses
) -> Mark | None:
    """Move the link to the new record and drop the old one's mark, in the caller's transaction.

    Whoever works on the old record can write nothing down any more. Returns what its mark said:
    what was to be taken from it is still to be taken.
    """
    dropped = marks.drop(old)
    observations.move_link(old, new)
    _take_up_access(old, new, Marks(marks.database, access_of(marks.target)))
    cuts.hand_over(marks.database, marks.target, old.id, new.id)
    restoration.hand_over(marks.database, marks.target, old.id, new.id)
    held.move(old, new)
    if dropped is not None and dropped.state == "held":
        # Groups that kept a leaver for as long as the leaving was held.
        marks.wake("held")
    return dropped


def of_earlier_record(dropped: Mark | None, kind: Kind) -> TakeAway:
    """What was to be taken from an earlier record is still to be taken from the new one."""
    if dropped is None or dropped.take_away == NOTHING:
        return NOTHING
    return replace(dropped.take_away, inherited=kind == "user")


def _take_up_access(old: Key, new: Key, marks: Marks) -> None:
    """What assignments were to be taken from the earlier record is still to be taken."""
    until = marks.leased_until(old)
    dropped = marks.drop(old)
    if dropped is None or (dropped.state == "clear" and not dropped.reread):
        return
    marks.mark(
        Intent(
            key=new,
            urgent=dropped.take_away != NOTHING,
            take_away=of_earlier_record(dropped, new.kind),
            reread=dropped.reread,
            requests=dropped.requests,
            # Whoever still works on the earlier record may yet send a call: come after it.
            busy_until=until,
        )
    )
