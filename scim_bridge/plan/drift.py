"""What differs from what the bridge applied, and was not its doing?

Pure comparisons. What the directory wants by now anyway is no drift, whoever brought it about.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from scim_bridge.plan.state import Attributes, Kind

What = Literal[
    "changed",
    "disabled",
    "enabled",
    "deleted",
    "member-added",
    "member-removed",
    "assignment-added",
    "assignment-removed",
]

# So many repairs of one thing within so many seconds mean that somebody else wants it otherwise.
MOST_REPAIRS = 3
CONTESTED_WITHIN = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, order=True)
class Difference:
    """One thing that somebody did by hand at the target to a user or group of the directory."""

    kind: Kind
    # The id in the directory.
    id: str
    what: What
    # The member's id at the target, or the grant as a word; "" of the user or group itself.
    name: str = ""
    # The attributes that were changed. The same item, whichever they are.
    attributes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def adds_access(self) -> bool:
        """Whether somebody has more by it than the bridge gave."""
        return self.what in ("enabled", "member-added", "assignment-added")


@dataclass(frozen=True, kw_only=True, order=True)
class Unmanaged:
    """What is at the target and nobody in the directory is linked to. Ids are the target's."""

    kind: Literal["user", "group", "membership", "assignment"]
    # Of a membership the group's and the member's id, of an assignment the principal's and the
    # grant as a word.
    ids: tuple[str, ...]
    name: str = field(default="", compare=False)


def changed_attributes(
    *,
    applied: Attributes,
    echo: Attributes,
    shown: Attributes,
    desired: Attributes | None,
    ignored: Collection[str] = (),
    added: bool = True,
) -> tuple[str, ...]:
    """The attributes that differ from what was applied.

    ``shown`` is what the target holds in the words of what was sent (`as_sent`), so that what is
    rewritten or never echoed is not compared. ``added``: also those that nobody sent; what the
    target added by itself stands in the echo.
    """
    differing = {path for path, value in applied.items() if shown.get(path) != value}
    if added:
        differing |= shown.keys() - applied.keys() - echo.keys()
    wanted = desired or {}
    agreed = {path for path in differing if wanted.get(path) == shown.get(path)}
    return tuple(sorted(differing - (agreed if desired is not None else set()) - set(ignored)))


def is_contested(*, repairs: int) -> bool:
    """Whether something was put right so often lately that it is left."""
    return repairs >= MOST_REPAIRS
