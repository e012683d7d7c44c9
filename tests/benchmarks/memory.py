"""Does a worker hold more of a large directory in memory? The same requests to a small and a large
one, and what their processes hold afterwards.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import cases
from tests.benchmarks.cases import Case
from tests.benchmarks.population import Population
from tests.benchmarks.servers import bridge
from tests.benchmarks.targets import Row

ROUNDS = 200
# Of 10,000 people each: a million memberships.
CROWDS = 100


def rows(folder: Path, *, few: int, many: int, rounds: int = ROUNDS) -> list[Row]:
    small = Population(users=few, spare=rounds + 10)
    large = Population(users=many, spare=rounds + 10, crowds=CROWDS)
    held = [
        _held(folder / f"memory of {population.users}", population, rounds)
        for population in (small, large)
    ]
    return [
        Row(
            what=f"Memory of a worker with {many:,} users and {CROWDS * min(many, 10_000):,} "
            f"memberships: {held[1]:.0f} MiB",
            unit=f"x of {few:,} users",
            reached=held[1] / held[0],
            limit=1.2,
        )
    ]


def _held(folder: Path, population: Population, rounds: int) -> float:
    with bridge(folder, population, name="memory") as server:
        for case in _mixed():
            cases.measure([server], case, rounds)
        return server.memory()


def _mixed() -> Iterator[Case]:
    """What is asked of a bridge all day long, and a few large things."""
    wanted = ("GET", "PATCH", "POST", "list", "userName", "displayName")
    for case in cases.cases([10, 1_000]):
        if case.name.startswith(wanted):
            yield case
