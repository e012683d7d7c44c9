"""Bringing a target to what the directory wants: marks, leases, passes, and who drives them."""

from collections.abc import Mapping

# The name of the Identity Center of `[identity_center]` among the targets.
TARGET = "identity-center"
# What is appended to a target's name for the marks and leases of account and application
# assignments. They are delivered beside users, groups and memberships, through another door of
# AWS's.
ACCESS_SUFFIX = ".access"
ACCESS_TARGET = TARGET + ACCESS_SUFFIX


def access_of(target: str) -> str:
    """The name under which a target's assignments are marked."""
    return target + ACCESS_SUFFIX


def at_which(target: str) -> dict[str, str]:
    """The fact by which the audit trail tells one target from another. The first has none."""
    return {} if target == TARGET else {"target": target}


def is_of_first(facts: Mapping[str, object]) -> bool:
    """Whether the facts of an entry are about the Identity Center of `[identity_center]`."""
    return "target" not in facts
