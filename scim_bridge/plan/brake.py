"""The brake: how many people may lose access within an hour before an operator is asked."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Literal

# "disable": a person can no longer sign in. "removal": a person who stays loses a membership.
# "assignment": a person who stays loses an assignment, by themselves or through a group; it counts
# with the removals.
Category = Literal["disable", "removal", "assignment"]

# The window in which people are counted, in seconds.
WINDOW = 3600.0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How many people may lose access within the window, each counted once."""

    # Of the people active when the window began.
    percent: float
    at_most: int
    # Fewer than this are never held: a small company must be able to let somebody go.
    never_before: int

    def allowance(self, people: int) -> int:
        """How many of so many active people may lose access within the window."""
        return max(self.never_before, min(int(people * self.percent / 100), self.at_most))


DISABLES_NEVER_HELD = 5
REMOVALS_NEVER_HELD = 20


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Which people may lose access now, and which are held for an operator."""

    # Those who pass and count from now on.
    counted: frozenset[str]
    # Those who pass without counting: they counted already, or an operator approved.
    passed: frozenset[str]
    held: frozenset[str]


def judge(
    people: Iterable[str],
    *,
    counted: Set[str],
    approved: Set[str],
    already_held: Set[str],
    allowance: int,
) -> Judgement:
    """Judge people who are about to lose access, in the order of their ids.

    A person who is held stays held, however much room there is by now: only an operator, or the
    client's own reversal, ends it.
    """
    passed, new, held = set[str](), set[str](), set[str]()
    room = allowance - len(counted)
    for person in sorted(set(people)):
        if person in approved:
            passed.add(person)
        elif person in already_held:
            held.add(person)
        elif person in counted:
            passed.add(person)
        elif len(new) < room:
            new.add(person)
        else:
            held.add(person)
    return Judgement(counted=frozenset(new), passed=frozenset(passed), held=frozenset(held))
