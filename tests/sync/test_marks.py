"""Marks and leases: what has yet to reach a target, and who works on it (design, section 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.plan.state import NOTHING, TakeAway
from scim_bridge.sync.marks import Intent, Key, Lease, LeaseLost, Mark, Marks, merged

ADA = Key(kind="user", id="ada")
BOB = Key(kind="user", id="bob")
CREW = Key(kind="group", id="crew")
EVERYTHING = TakeAway(everyone=True)


@pytest.fixture
def marks(database: Database) -> Marks:
    return Marks(database, "target", call_seconds=20)


@pytest.fixture
def lease(marks: Marks) -> Lease:
    marks.mark(Intent(key=ADA))
    return _claimed(marks, ADA)


def _claimed(marks: Marks, key: Key) -> Lease:
    lease = marks.claim(key)
    assert lease is not None
    return lease


def _shift(marks: Marks, column: str, seconds: float) -> None:
    """Move a time of every mark: a test does not wait."""
    with marks.database.transaction() as connection:
        value = tables.pending.c[column] + seconds
        connection.execute(tables.pending.update().values({column: value}))


def _due_in(marks: Marks, key: Key) -> float:
    return _column(marks, key, "next_attempt_at") - marks.database.clock()


def _column(marks: Marks, key: Key, name: str) -> float:
    columns = tables.pending.c
    with marks.database.reading() as connection:
        query = tables.pending.select().where(columns.resource_id == key.id)
        return getattr(connection.execute(query).one(), name)


# -- Generations -------------------------------------------------------------------------


def test_each_write_raises_the_generation(marks: Marks) -> None:
    """So that a pass can tell whether it has read the newest write."""
    assert [marks.mark(Intent(key=ADA)).generation for _ in range(3)] == [1, 2, 3]


def test_clearing_keeps_the_row_and_the_numbers_only_grow(marks: Marks) -> None:
    """Generation and lease number of a resource never come twice."""
    first = marks.mark(Intent(key=ADA))
    lease = _claimed(marks, ADA)

    assert marks.settle(lease, first, "clear") is True
    second = marks.mark(Intent(key=ADA))

    assert marks.read(ADA).state == "pending"
    assert second.generation > first.generation
    assert _claimed(marks, ADA).number > lease.number


def test_a_mark_is_cleared_only_if_the_generation_that_was_read_is_still_there(
    marks: Marks,
) -> None:
    """Else it stays pending, due, and with what is to be taken away."""
    read = marks.mark(Intent(key=ADA))
    lease = _claimed(marks, ADA)
    marks.mark(Intent(key=ADA, urgent=True, take_away=EVERYTHING))

    assert marks.settle(lease, read, "clear") is False

    mark = marks.read(ADA)
    assert (mark.state, mark.urgent, mark.take_away) == ("pending", True, EVERYTHING)
    assert marks.due(1) == [ADA]


@pytest.mark.parametrize("state", ["failed", "suppressed"])
def test_what_is_failed_is_not_due_until_it_is_woken(marks: Marks, state: str) -> None:
    """Refused late is failed: tried again on the next write, and when an operator says so."""
    read = marks.mark(Intent(key=ADA))

    marks.settle(_claimed(marks, ADA), read, state, error="refused")  # type: ignore[arg-type]
    assert marks.due(10) == []
    assert _column(marks, ADA, "last_error") == "refused"

    assert marks.wake("failed", "suppressed") == 1
    assert marks.due(10) == [ADA]


def test_what_is_held_keeps_what_was_to_be_taken_away(marks: Marks) -> None:
    """It must be known when it passes."""
    read = marks.mark(Intent(key=ADA, urgent=True, take_away=EVERYTHING))

    marks.settle(_claimed(marks, ADA), read, "held", keep_take_away=True)

    assert marks.read(ADA).take_away == EVERYTHING
    assert marks.read(ADA).urgent is False


# -- What is to be taken away ------------------------------------------------------------


def test_what_is_to_be_taken_away_is_kept_until_it_is_done(marks: Marks) -> None:
    """A later write that takes nothing away does not forget it."""
    marks.mark(Intent(key=CREW, urgent=True, take_away=TakeAway(named=frozenset({"a"}))))
    marks.mark(Intent(key=CREW, take_away=TakeAway(named=frozenset({"b"}), linked=True)))

    mark = marks.read(CREW)

    assert mark.urgent is True
    assert mark.take_away == TakeAway(named=frozenset({"a", "b"}), linked=True)


def test_it_is_forgotten_once_it_is_done(marks: Marks) -> None:
    """Else the next write would take away what has been given since."""
    read = marks.mark(Intent(key=ADA, urgent=True, take_away=EVERYTHING))
    marks.settle(_claimed(marks, ADA), read, "clear")

    mark = marks.mark(Intent(key=ADA))

    assert (mark.urgent, mark.take_away) == (False, NOTHING)
    assert _column(marks, ADA, "revoking_since") is None


def test_a_reversal_forgets_it(marks: Marks) -> None:
    """What a client took back is neither done nor an alarm."""
    marks.mark(Intent(key=ADA, urgent=True, take_away=EVERYTHING))

    mark = marks.mark(Intent(key=ADA, reversal=True))

    assert (mark.urgent, mark.take_away) == (False, NOTHING)
    assert _column(marks, ADA, "revoking_since") is None


def test_the_age_of_a_revocation_is_that_of_its_first_write(marks: Marks) -> None:
    """An alarm after five minutes is not put off by writing again."""
    marks.mark(Intent(key=ADA, urgent=True))
    _shift(marks, "revoking_since", -100)
    before = _column(marks, ADA, "revoking_since")

    marks.mark(Intent(key=ADA, urgent=True))

    assert _column(marks, ADA, "revoking_since") == before


def test_sparing_somebody_takes_back_a_held_removal_by_name(marks: Marks) -> None:
    """Only theirs, and the group is looked at again."""
    both = TakeAway(named=frozenset({"a", "b"}))
    read = marks.mark(Intent(key=CREW, urgent=True, take_away=both))
    marks.settle(_claimed(marks, CREW), read, "held", keep_take_away=True)

    marks.spare("a")

    mark = marks.read(CREW)
    assert (mark.state, mark.take_away.named) == ("pending", frozenset({"b"}))


_take_away = st.builds(
    TakeAway,
    everyone=st.booleans(),
    linked=st.booleans(),
    named=st.frozensets(st.sampled_from("abc")),
)


@given(_take_away, _take_away, _take_away)
def test_merging_forgets_nothing_in_whatever_order(
    one: TakeAway, two: TakeAway, three: TakeAway
) -> None:
    """Merging is associative and commutative, and nothing is its neutral element."""
    assert merged(one, merged(two, three)) == merged(merged(one, two), three)
    assert merged(one, two) == merged(two, one)
    assert merged(one, NOTHING) == merged(one, one) == one
    assert merged(one, two).named >= one.named


# -- Leases ------------------------------------------------------------------------------


def test_a_clear_mark_cannot_be_claimed(marks: Marks) -> None:
    """There is nothing to do."""
    read = marks.mark(Intent(key=ADA))
    marks.settle(_claimed(marks, ADA), read, "clear")

    assert marks.claim(ADA) is None
    assert marks.claim(BOB) is None


def test_a_lease_outlives_the_deadline_of_a_call(marks: Marks, lease: Lease) -> None:
    """So that nobody takes over while the call of the holder may still arrive."""
    left = _column(marks, lease.key, "leased_until") - marks.database.clock()

    assert 20 + 9 < left <= 20 + 10


def test_renewing_gives_the_full_time_again(marks: Marks, lease: Lease) -> None:
    """Each record under the lease is made by a holder with time ahead."""
    _shift(marks, "leased_until", -25)

    marks.renew(lease)

    assert _column(marks, lease.key, "leased_until") - marks.database.clock() > 29


@pytest.fixture(params=["renew", "settle", "postpone", "leave", "forget_reread"])
def record(request: pytest.FixtureRequest, marks: Marks) -> object:
    """Everything that is recorded under a lease."""
    mark = Mark(
        key=ADA, generation=1, state="pending", urgent=False, take_away=NOTHING, reread=False,
        attempts=0, lease_no=1,
    )  # fmt: skip
    return {
        "renew": lambda lease: marks.renew(lease),
        "settle": lambda lease: marks.settle(lease, mark, "clear"),
        "postpone": lambda lease: marks.postpone(lease, mark, delay=1, error="later"),
        "leave": lambda lease: marks.leave(lease, mark, due_in=1),
        "forget_reread": lambda lease: marks.forget_reread(lease),
    }[request.param]


def test_who_lost_the_lease_records_nothing(marks: Marks, lease: Lease, record: object) -> None:
    """Its number fences every write: expired and taken over."""
    _shift(marks, "leased_until", -60)
    taker = _claimed(marks, ADA)

    with pytest.raises(LeaseLost):
        record(lease)  # type: ignore[operator]

    marks.renew(taker)
    assert marks.read(ADA).reread is True


def test_who_gave_the_lease_back_records_nothing(
    marks: Marks, lease: Lease, record: object
) -> None:
    """A lease that was given back is nobody's."""
    marks.settle(lease, marks.read(ADA), "failed")

    with pytest.raises(LeaseLost):
        record(lease)  # type: ignore[operator]


def test_an_expired_lease_that_nobody_took_is_still_held(marks: Marks, lease: Lease) -> None:
    """Slow is not lost."""
    _shift(marks, "leased_until", -60)

    marks.renew(lease)

    assert marks.claim(ADA) is None


def test_the_taker_of_a_lost_lease_reads_the_target_first(marks: Marks, lease: Lease) -> None:
    """A lease that was never given back means that its holder was lost in the middle."""
    assert marks.read(ADA).reread is False
    _shift(marks, "leased_until", -60)

    assert _claimed(marks, ADA).number == lease.number + 1
    assert marks.read(ADA).reread is True


def test_dropping_a_mark_fences_off_its_holder(marks: Marks, lease: Lease) -> None:
    """And returns what the mark said, for whom it is handed on to."""
    marks.mark(Intent(key=ADA, urgent=True, take_away=EVERYTHING))

    dropped = marks.drop(ADA)

    assert dropped is not None
    assert dropped.take_away == EVERYTHING
    assert marks.read(ADA).state == "clear"
    assert marks.read(ADA).take_away == NOTHING
    with pytest.raises(LeaseLost):
        marks.renew(lease)
    assert marks.drop(BOB) is None


def test_nobody_claims_while_somebody_may_work_on_an_earlier_record(marks: Marks) -> None:
    """However often it is written; and who claims in the end reads the target first."""
    until = marks.database.clock() + 30
    marks.mark(Intent(key=ADA, busy_until=until))
    marks.mark(Intent(key=ADA))

    assert marks.claim(ADA) is None
    assert marks.due(10) == []
    _shift(marks, "leased_until", -31)
    _claimed(marks, ADA)
    assert marks.read(ADA).reread is True


# -- When ------------------------------------------------------------------------------


def test_removals_come_first_and_users_before_groups(marks: Marks) -> None:
    """A leaver is disabled before they lose their groups; then what has waited longest."""
    for key in (CREW, BOB, ADA):
        marks.mark(Intent(key=key))
        # Two marks of one millisecond would have no order.
        _shift(marks, "next_attempt_at", -5)
    gone, left = Key(kind="user", id="gone"), Key(kind="group", id="left")
    marks.mark(Intent(key=left, urgent=True))
    marks.mark(Intent(key=gone, urgent=True))

    assert marks.due(10) == [gone, left, BOB, ADA, CREW]
    assert marks.due(2) == [gone, left]
    assert marks.due(2, apart_from=[gone]) == [left, BOB]


def test_what_is_leased_or_put_off_is_not_due(marks: Marks, lease: Lease) -> None:
    """Neither what somebody has, nor what waits for a later try."""
    read = marks.mark(Intent(key=BOB))
    marks.postpone(_claimed(marks, BOB), read, delay=30, error="throttled")

    assert marks.due(10) == []
    assert marks.read(BOB).attempts == 1
    _shift(marks, "next_attempt_at", -31)
    assert marks.due(10) == [BOB]
    _shift(marks, "leased_until", -60)
    assert set(marks.due(10)) == {ADA, BOB}


def test_a_write_that_came_meanwhile_is_not_put_off(marks: Marks, lease: Lease) -> None:
    """It knows nothing of the failure."""
    read = marks.read(ADA)
    marks.mark(Intent(key=ADA))

    marks.postpone(lease, read, delay=30, error="throttled")

    assert marks.due(10) == [ADA]


def test_a_quiet_period_starts_anew_with_each_write_but_not_for_ever(marks: Marks) -> None:
    """`[delivery] coalesce`, and `coalesce_at_most` since the first of them."""
    addition = Intent(key=CREW, quiet=10, quiet_at_most=15)
    marks.mark(addition)
    assert 9 < _due_in(marks, CREW) <= 10
    _shift(marks, "since", -4)
    marks.mark(addition)
    assert 9 < _due_in(marks, CREW) <= 10

    _shift(marks, "since", -8)
    marks.mark(addition)

    assert 2 < _due_in(marks, CREW) <= 3


def test_additions_do_not_put_a_removal_off(marks: Marks) -> None:
    """What takes access away never waits for quiet."""
    marks.mark(Intent(key=CREW, urgent=True))

    marks.mark(Intent(key=CREW, quiet=10, quiet_at_most=50))

    assert marks.due(10) == [CREW]


def test_a_removal_ends_the_quiet_period(marks: Marks) -> None:
    """It makes the whole group due now."""
    marks.mark(Intent(key=CREW, quiet=10, quiet_at_most=50))
    assert marks.due(10) == []

    marks.mark(Intent(key=CREW, urgent=True))

    assert marks.due(10) == [CREW]


def test_additions_that_are_left_to_the_worker_wait_a_moment(marks: Marks) -> None:
    """All removals being done, the mark is no longer urgent."""
    read = marks.mark(Intent(key=CREW, urgent=True, take_away=TakeAway(linked=True)))

    marks.leave(_claimed(marks, CREW), read, due_in=10)

    mark = marks.read(CREW)
    assert (mark.state, mark.urgent, mark.take_away) == ("pending", False, NOTHING)
    assert 9 < _due_in(marks, CREW) <= 10


def test_marks_of_another_target_are_none_of_ours(marks: Marks, database: Database) -> None:
    """Each target has its own marks and leases."""
    other = Marks(database, "other")
    marks.mark(Intent(key=ADA, urgent=True))

    assert other.find(ADA) is None
    assert other.due(10) == []
    assert other.claim(ADA) is None
    assert other.wake("pending") == 0


def test_dropping_a_mark_whose_holder_was_lost_says_that_the_target_must_be_read(
    marks: Marks, lease: Lease
) -> None:
    """What the lost holder sent is not known, and whoever takes over must not trust what was."""
    _shift(marks, "leased_until", -60)

    dropped = marks.drop(ADA)

    assert dropped is not None
    assert dropped.reread is True


def test_a_mark_whose_lease_was_given_back_asks_for_no_reading(marks: Marks, lease: Lease) -> None:
    """Everything that was sent has been written down."""
    marks.settle(lease, marks.read(ADA), "held")

    dropped = marks.drop(ADA)

    assert dropped is not None
    assert dropped.reread is False


def test_a_clock_that_is_set_back_keeps_nobody_waiting(marks: Marks, lease: Lease) -> None:
    """A lease and a pause of the time before are over, however far ahead they seem to end."""
    marks.mark(Intent(key=BOB))
    for column in ("leased_until", "next_attempt_at"):
        _shift(marks, column, 3600)

    assert set(marks.due(10)) == {ADA, BOB}
    assert marks.leased_until(ADA) is None
    assert _claimed(marks, ADA).number == lease.number + 1
    assert marks.read(ADA).reread is True


def test_whoever_is_linked_is_doubted_without_being_pending(marks: Marks, lease: Lease) -> None:
    """After a way back to a backup: read before anything is planned, and nobody is at work."""
    with marks.database.transaction() as connection:
        for target, of in (("target", BOB), ("target", ADA), ("other", BOB)):
            link = {"target": target, "kind": of.kind, "resource_id": of.id, "target_id": of.id}
            connection.execute(tables.links.insert().values(created=0, created_here=True, **link))

    marks.doubt(tables.links)

    assert marks.in_state("pending") == [ADA]
    assert marks.leased_until(ADA) is None
    assert [marks.read(each).reread for each in (ADA, BOB)] == [True, True]
