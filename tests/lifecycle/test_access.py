"""What a person should hold now, and what one who returns gets back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.lifecycle.access import Member, effective_members, returns_to_memberships

DAY = 24 * 60 * 60.0
LEFT_AT = 1_000_000.0

times = st.floats(0, 1e10)


def test_only_the_active_are_effective_members():
    """Effective access is active and a membership: both (design, section 3)."""
    members = [
        Member(user="ada", active=True),
        Member(user="leo", active=False),
        Member(user="bob", active=True),
    ]

    assert effective_members(members) == {"ada", "bob"}


def test_a_group_without_members_has_no_effective_ones():
    """An empty group is empty, and not an error."""
    assert effective_members([]) == frozenset()


def test_a_membership_from_two_origins_is_one():
    """Memberships given by clients and by rules are united (design, section 3)."""
    twice = [Member(user="ada", active=True), Member(user="ada", active=True)]

    assert effective_members(twice) == {"ada"}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.booleans()), st.sampled_from("abcdef"))
def test_a_deactivation_takes_away_one_person_and_a_reactivation_gives_back_the_same(
    people, person
):
    """A deactivation erases no membership: it only stops being effective."""

    def effective(**change):
        present = {**people, **change}
        return effective_members(Member(user=u, active=active) for u, active in present.items())

    assert effective(**{person: False}) == effective() - {person}
    assert effective(**{person: True}) == effective() | {person}


@pytest.mark.parametrize(
    ("away", "restore_within", "returns"),
    [
        pytest.param(0.0, 30 * DAY, True, id="the same moment"),
        pytest.param(29 * DAY, 30 * DAY, True, id="a day before the end"),
        pytest.param(30 * DAY, 30 * DAY, True, id="at the very end"),
        pytest.param(30 * DAY + 1, 30 * DAY, False, id="a second too late"),
        pytest.param(0.0, 0.0, False, id="never means never, even at once"),
        pytest.param(1.0, 0.0, False, id="never, a second later"),
        pytest.param(-5.0, 30 * DAY, True, id="a clock that was set back"),
    ],
)
def test_memberships_return_to_those_who_return_in_time(away, restore_within, returns):
    """``[deprovision] restore_within``, 30 days by default, 0 for never (design, section 3)."""
    assert (
        returns_to_memberships(
            deactivated_at=LEFT_AT, now=LEFT_AT + away, restore_within=restore_within
        )
        is returns
    )


@pytest.mark.parametrize("restore_within", [0.0, 30 * DAY])
def test_who_was_never_deactivated_through_the_bridge_keeps_what_they_have(restore_within):
    """There is nothing to restore, so there is nothing that could be too late."""
    assert returns_to_memberships(deactivated_at=None, now=LEFT_AT, restore_within=restore_within)


@settings(deadline=None)
@given(times, times, st.floats(0, 1e9), st.floats(0, 1e9))
def test_waiting_longer_never_gives_memberships_back(left_at, now, restore_within, longer):
    """Once too late, always too late; and a longer time to return takes nothing from anybody."""

    def returns(*, now=now, restore_within=restore_within):
        return returns_to_memberships(
            deactivated_at=left_at, now=now, restore_within=restore_within
        )

    assert returns(now=now) or not returns(now=now + longer)
    assert returns(restore_within=restore_within + longer) or not returns()
