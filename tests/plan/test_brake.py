"""How many people may lose access within an hour, and who is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.plan.brake import (
    DISABLES_NEVER_HELD,
    REMOVALS_NEVER_HELD,
    WINDOW,
    Judgement,
    Limit,
    judge,
)
from scim_bridge.settings import Safety
from tests.plan.worlds import law

DEFAULTS = Safety()
DISABLES = Limit(
    percent=DEFAULTS.max_deprovision_percent,
    at_most=DEFAULTS.max_deprovisions,
    never_before=DISABLES_NEVER_HELD,
)
REMOVALS = Limit(
    percent=DEFAULTS.max_removal_percent,
    at_most=DEFAULTS.max_removals,
    never_before=REMOVALS_NEVER_HELD,
)

PEOPLE = [f"p{number}" for number in range(8)]
someone = st.frozensets(st.sampled_from(PEOPLE))
allowances = st.integers(0, 10)


def crowd(size: int) -> list[str]:
    return [f"p{number:03}" for number in range(size)]


def calmly(people, *, counted=(), approved=(), already_held=(), allowance=0) -> Judgement:
    """Judge, with nothing counted, approved or held unless told."""
    return judge(
        people,
        counted=frozenset(counted),
        approved=frozenset(approved),
        already_held=frozenset(already_held),
        allowance=allowance,
    )


# -- The limit -------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "active", "allowance"),
    [
        pytest.param(DISABLES, 0, 5, id="nobody there: five may leave"),
        pytest.param(DISABLES, 20, 5, id="of 20, 10 % would be two: five may leave"),
        pytest.param(DISABLES, 59, 5, id="of 59, 10 % is five and a bit: five"),
        pytest.param(DISABLES, 60, 6, id="of 60, six"),
        pytest.param(DISABLES, 200, 20, id="of 200, twenty"),
        pytest.param(DISABLES, 209, 20, id="of 209, twenty whole people"),
        pytest.param(DISABLES, 1000, 100, id="of 1,000, a hundred"),
        pytest.param(DISABLES, 50_000, 100, id="of 50,000, still a hundred"),
        pytest.param(REMOVALS, 20, 20, id="removals: of 20, twenty"),
        pytest.param(REMOVALS, 66, 20, id="removals: of 66, 30 % is 19 and a bit: twenty"),
        pytest.param(REMOVALS, 200, 60, id="removals: of 200, sixty"),
        pytest.param(REMOVALS, 10_000, 500, id="removals: of 10,000, five hundred"),
    ],
)
def test_the_allowance_is_the_smaller_of_percent_and_number_but_never_before_a_few(
    limit, active, allowance
):
    """10 % and 100, never before 5; removals 30 % and 500, never before 20 (design, section 9)."""
    assert limit.allowance(active) == allowance


@law
@given(st.integers(0, 100_000), st.floats(0, 100), st.integers(0, 1000), st.integers(0, 30))
def test_an_allowance_is_within_its_bounds_and_grows_with_the_people(
    people, percent, at_most, never_before
):
    """Whatever an operator sets, the limit is a whole number of people in reach of all three."""
    limit = Limit(percent=percent, at_most=at_most, never_before=never_before)

    allowance = limit.allowance(people)

    assert never_before <= allowance <= max(never_before, at_most)
    assert allowance <= max(never_before, people * percent / 100)
    assert allowance <= limit.allowance(people + 1)


def test_people_are_counted_over_an_hour():
    """A sliding hour (design, section 9), in seconds."""
    assert WINDOW == 60 * 60


# -- Who is held -----------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "active", "losing", "passing"),
    [
        pytest.param(DISABLES, 200, 21, 20, id="of 200 active, 20 pass and the 21st is held"),
        pytest.param(DISABLES, 20, 6, 5, id="of 20 active, five pass and the sixth is held"),
        pytest.param(REMOVALS, 200, 90, 60, id="of 200 active, 60 of 90 removals pass"),
        pytest.param(DISABLES, 200, 20, 20, id="of 200 active, 20 of 20 pass"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one request", "one by one"])
def test_those_beyond_the_allowance_are_held(limit, active, losing, passing, at_once):
    """Over all passes and requests within the hour (design, section 9)."""
    people = crowd(losing)
    counted: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()

    for some in [people] if at_once else [[person] for person in people]:
        judged = calmly(some, counted=counted, already_held=held, allowance=limit.allowance(active))
        counted |= judged.counted
        held |= judged.held

    assert counted == set(people[:passing])
    assert held == set(people[passing:])


@law
@given(someone, someone, someone, someone, allowances)
def test_each_person_is_judged_once(people, counted, approved, already_held, allowance):
    """Everybody who is asked about passes, counts or is held; nobody else is touched."""
    judged = calmly(
        [*people, *people],
        counted=counted,
        approved=approved,
        already_held=already_held,
        allowance=allowance,
    )

    assert judged.counted | judged.passed | judged.held == people
    assert len(judged.counted) + len(judged.passed) + len(judged.held) == len(people)


@law
@given(someone, someone, someone, someone, allowances)
def test_never_more_than_the_allowance_are_counted(
    people, counted, approved, already_held, allowance
):
    """With those who counted already, the hour never has more than its allowance."""
    judged = calmly(
        people, counted=counted, approved=approved, already_held=already_held, allowance=allowance
    )

    assert not judged.counted & counted
    assert len(judged.counted) <= max(0, allowance - len(counted))


@law
@given(someone, someone, someone, allowances)
def test_nobody_is_held_while_there_is_room(people, counted, approved, allowance):
    """The brake holds only what is beyond the allowance."""
    judged = calmly(people, counted=counted, approved=approved, allowance=allowance)

    if judged.held:
        assert len(counted) + len(judged.counted) >= allowance


@law
@given(someone, someone, someone, someone)
def test_who_is_held_stays_held_until_an_operator_approves(people, counted, approved, already_held):
    """Held is sticky: neither room nor time ends it (design, section 9)."""
    judged = calmly(
        people, counted=counted, approved=approved, already_held=already_held, allowance=1000
    )

    assert judged.held == (people & already_held) - approved


@law
@given(someone, someone, someone, someone, allowances)
def test_who_is_approved_passes_and_does_not_count(
    people, counted, approved, already_held, allowance
):
    """An operator's word is above the brake, and takes nobody's place."""
    judged = calmly(
        people, counted=counted, approved=approved, already_held=already_held, allowance=allowance
    )

    assert people & approved <= judged.passed


@law
@given(someone, someone, allowances)
def test_who_counted_within_the_hour_passes_again(people, counted, allowance):
    """Each person counts once, however many memberships they lose."""
    judged = calmly(people, counted=counted, allowance=allowance)

    assert judged.passed == people & counted


@law
@given(someone, someone, someone, someone, allowances)
def test_asking_again_gives_the_same_answer(people, counted, approved, already_held, allowance):
    """A pass that plans a second time neither counts again nor lets go of whom it held."""
    first = calmly(
        people, counted=counted, approved=approved, already_held=already_held, allowance=allowance
    )

    again = calmly(
        people,
        counted=counted | first.counted,
        approved=approved,
        already_held=already_held | first.held,
        allowance=allowance,
    )

    assert again.counted == frozenset()
    assert again.held == first.held


@law
@given(someone, someone, someone, someone, allowances, st.sampled_from(PEOPLE))
def test_more_leavers_free_nobody_and_more_room_holds_nobody(
    people, counted, approved, already_held, allowance, one_more
):
    """The brake is monotone: in who leaves, in the allowance, and in what an operator approves."""

    def held(people=people, approved=approved, allowance=allowance):
        return calmly(
            people,
            counted=counted,
            approved=approved,
            already_held=already_held,
            allowance=allowance,
        ).held

    assert held() <= held(people=people | {one_more})
    assert held(allowance=allowance + 1) <= held()
    assert held(approved=approved | {one_more}) <= held()


@law
@given(st.lists(someone, max_size=6), allowances)
def test_as_many_pass_in_many_requests_as_in_one(requests, allowance):
    """A flood cannot get round the brake in small pieces."""
    everyone = frozenset[str]().union(*requests)
    counted: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()

    for people in requests:
        judged = calmly(people, counted=counted, already_held=held, allowance=allowance)
        counted |= judged.counted
        held |= judged.held

    assert len(counted) == min(allowance, len(everyone))
    assert counted | held == everyone
    assert not counted & held
