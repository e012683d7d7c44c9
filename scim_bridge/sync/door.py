"""Who learns whether a target's door is open?"""

from collections.abc import Callable

from scim_bridge.identity_center.circuit import Circuit, Standing
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.overview import Door, remember_door


def on_door(marks: Marks) -> Callable[[Standing], None]:
    """Write every change of the door down, where `status` and the other processes see it."""

    def remember(standing: Standing) -> None:
        if standing.state == "closed":
            _open_for_all(marks)
        else:
            remember_door(
                marks.database, marks.target, circuit=standing.state, cause=standing.cause
            )

    return remember


def show_open(marks: Marks, circuit: Circuit, shown: Door | None) -> None:
    """Say that a door is open, if this process was answered after it was closed."""
    if shown is None or shown.circuit == "closed" or circuit.state != "closed":
        return
    if circuit.silence is not None and circuit.silence < shown.age:
        _open_for_all(marks)


def _open_for_all(marks: Marks) -> None:
    """The door is open: other processes learn it, and what waited for a probe is due at once."""
    remember_door(marks.database, marks.target, circuit="closed", cause=None)
    marks.wake("pending")
