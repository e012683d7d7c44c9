"""How somebody was in a group until they lost it, by the rows of the record (plain Python)."""

import pytest

from scim_bridge.directory.ways import Nesting, Span, last_ways


def span(group: str, inside: str, begun: float, ended: float | None = None) -> Span:
    return Span(group=group, inside=inside, begun=begun, ended=ended)


def ways(*spans: Span) -> list[str]:
    """The ways of "ann" in "outer", each as its groups from the one she was in outward."""
    own = [one for one in spans if one.inside == "ann"]
    nested = [one for one in spans if one.inside != "ann"]
    found = last_ways("outer", own, nested)
    assert all(
        one.inner == before
        for way in found
        for one, before in zip(
            way.nestings, [way.entry, *(each.outer for each in way.nestings)], strict=False
        )
    )
    return [" ".join([way.entry, *(one.outer for one in way.nestings)]) for way in found]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        # Never there; there in a group that is in no other one.
        ([], []),
        ([span("inner", "ann", 1, 2)], []),
        # A membership that ended, and one that is there again.
        ([span("outer", "ann", 1, 2)], ["outer"]),
        ([span("outer", "ann", 1, 2), span("outer", "ann", 3, 4)], ["outer"]),
        # The nesting ended, or the membership of the inner group.
        ([span("inner", "ann", 1), span("outer", "inner", 1, 2)], ["inner outer"]),
        ([span("inner", "ann", 1, 2), span("outer", "inner", 1)], ["inner outer"]),
        # Both were never there at once.
        ([span("inner", "ann", 1, 2), span("outer", "inner", 2, 3)], []),
        # What ended first left her there through the other.
        (
            [span("outer", "ann", 1, 2), span("inner", "ann", 1), span("outer", "inner", 1, 3)],
            ["inner outer"],
        ),
        (
            [span("outer", "ann", 1, 3), span("inner", "ann", 1), span("outer", "inner", 1, 2)],
            ["outer"],
        ),
        # One write ended both.
        (
            [span("outer", "ann", 1, 2), span("inner", "ann", 1), span("outer", "inner", 1, 2)],
            ["inner outer", "outer"],
        ),
        # Deeper: what broke later is no less broken.
        (
            [
                span("inner", "ann", 1),
                span("middle", "inner", 1, 2),
                span("outer", "middle", 1, 3),
            ],
            ["inner middle outer"],
        ),
        # A circle, as no client can make one, leads nowhere else.
        (
            [
                span("inner", "ann", 1),
                span("outer", "inner", 1, 2),
                span("inner", "outer", 1),
            ],
            ["inner outer"],
        ),
    ],
)
def test_the_ways_that_lasted_longest_are_those_that_were_lost(
    spans: list[Span], expected: list[str]
) -> None:
    """Whatever ended before them had left the person in the group."""
    assert ways(*spans) == expected


def test_a_way_tells_when_it_ended() -> None:
    """So that it can be told from what came long after."""
    (way,) = last_ways("outer", [span("inner", "ann", 1, 7)], [span("outer", "inner", 2, 9)])
    assert (way.until, way.nestings) == (7, (Nesting(outer="outer", inner="inner"),))
