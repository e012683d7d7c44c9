"""How does a new record take over the principal of a deleted one?"""

from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Key, Mark, Marks
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
    held.move(old, new)
    if dropped is not None and dropped.state == "held":
        # Groups that kept a leaver for as long as the leaving was held.
        marks.wake("held")
    return dropped
