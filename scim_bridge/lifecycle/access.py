"""Effective access: what a person should hold now.

A deactivation never erases a membership; it only stops being effective. So a person who returns
in time returns to what they had.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Member:
    """One current membership, with what decides whether it is effective."""

    user: str
    active: bool


def effective_members(members: Iterable[Member]) -> frozenset[str]:
    """The people who should be in a group now."""
    return frozenset(member.user for member in members if member.active)


def returns_to_memberships(
    *, deactivated_at: float | None, now: float, restore_within: float
) -> bool:
    """Whether a person who is reactivated gets back the memberships they had.

    `restore_within` is in seconds (``[deprovision] restore_within``); 0 means never. A person whose
    deactivation has no date was never deactivated through the bridge and keeps what they have.
    """
    if deactivated_at is None:
        return True
    return restore_within > 0 and now - deactivated_at <= restore_within
