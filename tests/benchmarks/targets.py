"""What is to be reached? The ratios that the benchmark shows, as data, and what was reached.

Every ratio is of medians of one run on one machine. `MAIN` is the bridge with the population that
was asked for, `SMALL` and `LARGE` are the same with fewer and more people.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.benchmarks.cases import EQUAL, Figures

MAIN, SMALL, LARGE = "bridge", "bridge, few", "bridge, many"
STOCK, FLOOR, SANDBOX = "stock", "floor", "bridge and sandbox"

# Figures by case and server.
Measured = Mapping[str, Mapping[str, Figures]]


class NotMeasured(LookupError):
    """A figure that a target needs was not asked for in this run."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table: a number that must not be larger than the limit."""

    what: str
    unit: str
    reached: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.reached <= self.limit


def rows(measured: Measured, bridge: str = MAIN) -> Iterator[Row]:
    """Each target that this run can tell of."""
    for what, unit, limit, reached in _targets(_Medians(measured), bridge):
        try:
            yield Row(what=what, unit=unit, limit=limit, reached=reached())
        except NotMeasured:
            continue


Target = tuple[str, str, float, Callable[[], float]]


class _Medians:
    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    def __call__(self, case: str, server: str) -> float:
        try:
            return self.measured[case][server].median
        except KeyError:
            raise NotMeasured(case, server) from None

    def spread(self, *points: tuple[str, str]) -> float:
        """The largest of these by the smallest."""
        if not points:
            raise NotMeasured
        found = [self(*point) for point in points]
        return max(found) / min(found)

    def sizes(self) -> list[int]:
        prefix = "PATCH add 1 to "
        return [int(one.removeprefix(prefix)) for one in self.measured if one.startswith(prefix)]


def _targets(median: _Medians, bridge: str) -> Iterator[Target]:
    sizes = median.sizes()
    adding = [f"PATCH add 1 to {size}" for size in sizes]
    has_large = any(LARGE in by_server for by_server in median.measured.values())
    largest = LARGE if bridge == MAIN and has_large else bridge
    yield (
        f"PATCH add one member, groups of {', '.join(f'{size:,}' for size in sizes)}",
        "x of the cheapest",
        1.3,
        lambda: median.spread(*((case, largest) for case in adding)),
    )
    yield _against(
        median, "PATCH add one member, group of 10,000", 1 / 400, "PATCH add 1 to 10000", bridge
    )
    yield _against(median, "GET group of 10,000", 1 / 50, "GET group of 10,000", bridge)
    bare = "GET group of 10 without members"
    yield (
        "GET group of 10,000 without members",
        "x of group of 10",
        1.3,
        lambda: median("GET group of 10,000 without members", bridge) / median(bare, bridge),
    )
    pages = ("list, first page", "list, page 99", "list, by cursor")
    for page in pages:
        yield (
            f"{page[:1].upper()}{page[1:]}, 100 of all",
            "x of stock",
            1 / 40,
            lambda page=page: median(page, bridge) / median("list, first page", STOCK),  # type: ignore[misc]
        )
    yield (
        "The three lists",
        "x of the cheapest",
        1.3,
        lambda: median.spread(*((page, bridge) for page in pages)),
    )
    yield _against(median, "GET user by id, 20 groups", 0.55, "GET user, 20 groups", bridge)
    for attribute in EQUAL:
        yield (
            f"Filter {attribute} eq",
            "x of stock's userName eq",
            0.7,
            lambda case=f"{attribute} eq": median(case, bridge) / median("userName eq", STOCK),  # type: ignore[misc]
        )
    for attribute in EQUAL if bridge == MAIN else ():
        yield (
            f"Filter {attribute} eq, few and many people",
            "x of the cheaper",
            1.5,
            lambda case=f"{attribute} eq": median.spread((case, SMALL), (case, LARGE)),  # type: ignore[misc]
        )
    for operator in ("co", "sw"):
        yield (
            f"Filter displayName {operator}",
            "ms more than the floor",
            3.0,
            lambda case=f"displayName {operator}": (  # type: ignore[misc]
                median(case, bridge) - median("floor: read a row", FLOOR)
            ),
        )
    yield _against(median, "POST user, durable", 1.4, "POST user", bridge)
    if bridge == MAIN:
        yield (
            "POST user, wait = 5, sandbox",
            "x of the row above",
            2.5,
            lambda: median("POST user", SANDBOX) / median("POST user", bridge),
        )
    yield _against(median, "POST group of 10,000", 1 / 7, "POST group of 10,000", bridge)


def _against(median: _Medians, what: str, limit: float, case: str, bridge: str) -> Target:
    return what, "x of stock", limit, lambda: median(case, bridge) / median(case, STOCK)
