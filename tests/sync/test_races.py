"""The races of design section 4: each of these tests fails without the guard it is about."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from scim_bridge.errors import Refused
from scim_bridge.settings import Safety
from scim_bridge.sync.marks import Intent, Key, LeaseLost
from tests.sync.conftest import Directory, Sandbox, eventually

Assemble = Callable[..., Directory]


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Any]]]:
    """Run something in a thread of its own, beside the test."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def _leased(directory: Directory, kind: str, resource_id: str) -> bool:
    key = Key(kind=kind, id=resource_id)  # type: ignore[arg-type]
    return directory.marks.leased_until(key) is not None


def _before_call(directory: Directory, act: Callable[[], None], *, operation: str) -> None:
    """Do something once, between the planning of a call and its being sent."""
    apply = directory.center.apply

    def acted(change: Any, **haste: Any) -> Any:
        if type(change).__name__ == operation:
            directory.center.apply = apply  # type: ignore[method-assign]
            act()
        return apply(change, **haste)

    directory.center.apply = acted  # type: ignore[method-assign]


def _after_call(directory: Directory, act: Callable[[], None], *, operation: str) -> None:
    """Do something once, between the answer to a call and its being written down."""
    apply = directory.center.apply

    def acted(change: Any, **haste: Any) -> Any:
        applied = apply(change, **haste)
        if type(change).__name__ == operation:
            directory.center.apply = apply  # type: ignore[method-assign]
            act()
        return applied

    directory.center.apply = acted  # type: ignore[method-assign]


def _killed() -> None:
    """As if the process were killed here: nothing that follows is done."""
    raise KeyboardInterrupt


# -- Rollback over a newer write ---------------------------------------------------------


def test_a_refused_write_is_not_undone_over_a_newer_one(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Undone only if the document is still the version the write made."""
    directory, hasty = assemble(), assemble(wait=0)
    ada = directory.add_user("ada", title="Analyst")
    sandbox.fault("PatchUser", status=400)

    _before_call(directory, lambda: hasty.change_user(ada, title="Newer"), operation="UpdateUser")
    directory.change_user(ada, title="Refused")

    assert directory.document(ada)["title"] == "Newer"
    directory.deliver()
    assert sandbox.user("ada")["title"] == "Newer"
    assert directory.states() == {"clear"}


def test_a_refused_write_on_which_a_refused_one_stands_is_failed(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Else the write stays, is failed, and the answer is 2xx."""
    directory, hasty = assemble(), assemble(wait=0)
    ada = directory.add_user("ada", title="Analyst")
    sandbox.fault("PatchUser", status=400, times=-1)

    _before_call(directory, lambda: hasty.change_user(ada, title="Newer"), operation="UpdateUser")
    directory.change_user(ada, title="Refused")

    assert directory.document(ada)["title"] == "Newer"
    assert directory.mark_state("user", ada) == "failed"


def test_a_refused_creation_is_not_undone_over_a_newer_write(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """The record somebody has written to since stays, and is tried again."""
    directory, hasty = assemble(), assemble(wait=0)
    sandbox.fault("CreateUser", status=400)

    def written() -> None:
        created = directory.resources.find_user("ada")
        hasty.change_user(created.id, title="Newer")  # type: ignore[union-attr]

    _before_call(directory, written, operation="CreateUser")
    ada = directory.add_user("ada")

    assert directory.document(ada)["title"] == "Newer"
    directory.deliver()
    assert sandbox.user("ada")["title"] == "Newer"
    assert directory.states() == {"clear"}


def test_undoing_ends_only_the_memberships_that_the_write_began(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Memberships are undone row by row: what somebody else gave meanwhile stays."""
    directory, hasty = assemble(), assemble(wait=0)
    ada, bob = directory.add_user("ada"), directory.add_user("bob")
    group_id = directory.add_group("engineers")
    directory.deliver()
    sandbox.fault("PatchGroup", status=400, match="displayName")

    _before_call(
        directory, lambda: hasty.change_members(group_id, add=[bob]), operation="UpdateGroup"
    )
    with pytest.raises(Refused):
        directory.change_group(group_id, displayName="refused", members=[{"value": ada}])

    directory.deliver()
    assert sandbox.members("engineers") == {"bob"}
    assert sandbox.groups() == {"engineers"}
    assert directory.states() == {"clear"}


# -- Rehire while the earlier record's disable is pending or in flight -------------------


def test_a_rehire_drops_the_disable_of_the_earlier_record_that_is_pending(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The link moves and the old mark is dropped, so that nobody disables who is hired again."""
    old = directory.add_user("ada")
    sandbox.fault("PatchUser", status=500)
    directory.delete_user(old)
    assert directory.mark_state("user", old) == "pending"

    new = directory.add_user("ada")
    directory.deliver()

    assert sandbox.is_active("ada")
    assert directory.principal("user", new) == sandbox.user("ada")["id"]
    assert directory.principal("user", old) is None
    assert directory.states() == {"clear"}


def test_a_rehire_waits_for_the_disable_that_is_in_flight(
    directory: Directory, sandbox: Sandbox, beside: Callable[..., Future[Any]]
) -> None:
    """While the earlier record is being delivered the new one waits, then enables."""
    old = directory.add_user("ada")
    sandbox.fault("PatchUser", delay=0.5)

    gone = beside(directory.delete_user, old)
    eventually(lambda: _leased(directory, "user", old))
    new = directory.add_user("ada")

    gone.result()
    assert sandbox.is_active("ada")
    assert directory.principal("user", new) == sandbox.user("ada")["id"]
    assert directory.states() == {"clear"}


@pytest.mark.parametrize("written_again", [False, True])
def test_a_rehire_that_does_not_wait_comes_after_the_disable_that_is_in_flight(
    assemble: Assemble,
    sandbox: Sandbox,
    beside: Callable[..., Future[Any]],
    written_again: bool,
) -> None:
    """The late disable of the lost holder is seen, however often the new record was written."""
    directory = assemble()
    hasty = assemble(wait=0)
    old = directory.add_user("ada")
    sandbox.fault("PatchUser", delay=0.5)

    gone = beside(directory.delete_user, old)
    eventually(lambda: _leased(directory, "user", old))
    new = hasty.add_user("ada")
    if written_again:
        hasty.change_user(new, title="Analyst")
    hasty.deliver()

    gone.result()
    assert directory.principal("user", new) == sandbox.user("ada")["id"]
    directory.expire_leases()
    directory.deliver()
    assert sandbox.is_active("ada")
    assert directory.states() == {"clear"}


def test_a_rehire_after_a_crash_in_the_disable_of_the_earlier_record_enables(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Whether the disable was sent nobody has written down: the user is read first."""
    old = directory.add_user("ada")
    _after_call(directory, _killed, operation="DisableUser")
    with pytest.raises(KeyboardInterrupt):
        directory.delete_user(old)
    assert not sandbox.is_active("ada")
    directory.expire_leases()

    directory.add_user("ada")
    directory.deliver()

    assert sandbox.is_active("ada")
    assert directory.states() == {"clear"}


def test_a_rehire_beside_a_creation_in_flight_leaves_nothing_held(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """The new record takes everything over at the conflict: also what was to be taken away."""
    directory = assemble(wait=0, safety=Safety())
    for user_id in directory.hire(20)[:5]:
        directory.change_user(user_id, active=False)
    directory.deliver()
    sandbox.fault("CreateUser", drop_answer=True)
    old = directory.add_user("ada")
    directory.deliver()
    sandbox.make_group("unknown", "ada")
    directory.delete_user(old)

    new = directory.add_user("ada")
    directory.deliver()

    assert directory.principal("user", new) == sandbox.user("ada")["id"]
    assert sandbox.is_active("ada")
    assert sandbox.members("unknown") == set()
    assert directory.overview().held_sets == []
    assert directory.states() == {"clear"}


def test_an_address_cleared_under_somebody_who_is_back_is_given_again(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """An address is cleared of who was deleted; whoever is hired again meanwhile has their own."""
    directory, beside = assemble(), assemble()
    directory.delete_user(directory.add_user("ada", emails=[{"value": "a@example.com"}]))
    _before_call(
        directory,
        lambda: beside.add_user("ada", emails=[{"value": "new@example.com"}]),
        operation="UpdateUser",
    )

    directory.add_user("bob", emails=[{"value": "a@example.com"}])
    directory.deliver()

    assert sandbox.user("bob")["emails"][0]["value"] == "a@example.com"
    assert sandbox.user("ada")["emails"][0]["value"] == "new@example.com"
    assert directory.states() == {"clear"}


def test_the_holder_of_the_earlier_record_records_nothing_after_a_rehire(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Dropping a mark fences off who works on it."""
    old = directory.add_user("ada")
    hidden = directory.marks.mark(Intent(key=Key(kind="user", id=old)))
    lease = directory.marks.claim(hidden.key)
    assert lease is not None

    directory.marks.drop(hidden.key)

    with pytest.raises(LeaseLost):
        directory.marks.renew(lease)


# -- A write between reading and clearing the mark ---------------------------------------


def test_a_write_during_a_delivery_is_delivered_too(assemble: Assemble, sandbox: Sandbox) -> None:
    """A mark is cleared only if the generation that was read is still there."""
    directory, hasty = assemble(), assemble(wait=0)
    ada = directory.add_user("ada")

    _after_call(directory, lambda: hasty.change_user(ada, title="Newer"), operation="UpdateUser")
    directory.change_user(ada, title="Older")
    directory.deliver()

    assert sandbox.user("ada")["title"] == "Newer"
    assert directory.states() == {"clear"}


def test_a_write_between_the_last_look_and_the_end_keeps_the_mark(directory: Directory) -> None:
    """`settle` clears nothing that it has not read, and leaves the mark due."""
    ada = directory.add_user("ada")
    key = Key(kind="user", id=ada)
    read = directory.marks.mark(Intent(key=key))
    lease = directory.marks.claim(key)
    assert lease is not None
    directory.marks.mark(Intent(key=key))

    assert directory.marks.settle(lease, read, "clear") is False

    assert directory.mark_state("user", ada) == "pending"
    assert directory.marks.due(10) == [key]


def test_a_deactivation_during_a_delivery_is_delivered_with_its_memberships(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """What a write wants taken away while another is delivered is not lost with the mark."""
    directory, hasty = assemble(), assemble(wait=0)
    ada = directory.add_user("ada")
    sandbox.make_group("by hand", "ada")

    _after_call(directory, lambda: hasty.change_user(ada, active=False), operation="UpdateUser")
    directory.change_user(ada, title="Analyst")
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert sandbox.members("by hand") == set()


# -- An addition planned before a deactivation and sent after it -------------------------


def test_an_addition_sent_after_a_deactivation_is_taken_back(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """A group pass reads what is desired again after its calls, until nothing differs."""
    directory, hasty = assemble(), assemble()
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers")
    directory.deliver()

    _before_call(directory, lambda: hasty.change_user(ada, active=False), operation="AddMembers")
    directory.change_members(group_id, add=[ada])
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}
    assert sandbox.count("PatchGroup") == 2


def test_a_deactivation_during_a_slow_addition_is_stronger(
    directory: Directory, sandbox: Sandbox, beside: Callable[..., Future[Any]]
) -> None:
    """The client who deactivates does not wait for the group, and the group loses the person."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers")
    directory.deliver()
    directory.change_members(group_id, add=[ada])
    sandbox.fault("PatchGroup", delay=3.0)

    slow = beside(directory.deliver)
    eventually(lambda: _leased(directory, "group", group_id))
    directory.change_user(ada, active=False)

    assert not slow.done()
    assert not sandbox.is_active("ada")
    slow.result()
    directory.deliver()
    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


def test_members_change_only_under_the_lease_of_the_group(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Who has not the lease makes no membership call."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    key = Key(kind="group", id=group_id)
    directory.marks.mark(Intent(key=key))
    lease = directory.marks.claim(key)
    assert lease is not None
    sandbox.forget_calls()

    directory.change_user(ada, active=False)
    directory.deliver()

    assert sandbox.count("PatchGroup") == 0
    directory.reconciler.reconcile(lease)
    assert sandbox.members("engineers") == set()


# -- A lease lost in the middle ----------------------------------------------------------


def test_the_old_holder_writes_nothing_and_the_taker_reads_the_target_again(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Its number fences every write to applied and observed; the taker looks first."""
    directory, taker = assemble(), assemble()

    def taken_over() -> None:
        taker.expire_leases()
        sandbox.forget_calls()
        taker.deliver()

    _after_call(directory, taken_over, operation="CreateUser")
    ada = directory.add_user("ada")

    # The taker found what the old holder had made; the old holder then recorded nothing.
    assert sandbox.count("CreateUser") == 0
    assert sandbox.count("ListUsers") == 1
    assert sandbox.names() == {"ada"}
    assert directory.principal("user", ada) == sandbox.user("ada")["id"]
    assert len(directory.audited("link")) == 1
    # It was made all the same, and the trail names it.
    assert len(directory.audited("call")) == 1
    assert directory.states() == {"clear"}


def test_a_late_answer_does_not_overwrite_what_the_taker_saw(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """What the old holder learns after a takeover is out of date."""
    directory, taker = assemble(), assemble(wait=0)
    ada = directory.add_user("ada")

    def taken_over() -> None:
        taker.change_user(ada, title="Newer")
        taker.expire_leases()
        taker.deliver()

    _after_call(directory, taken_over, operation="UpdateUser")
    directory.change_user(ada, title="Older")

    assert sandbox.user("ada")["title"] == "Newer"
    sandbox.forget_calls()
    directory.change_user(ada, nickName="Ada")
    assert sandbox.user("ada")["title"] == "Newer"
    (request,) = sandbox.requests("PatchUser")[-1:]
    assert [operation["path"] for operation in request["body"]["Operations"]] == ["nickName"]


def test_a_taker_of_a_group_reads_its_members_again(assemble: Assemble, sandbox: Sandbox) -> None:
    """An addition whose holder died is seen, and taken back when it is no longer wanted."""
    directory, taker = assemble(), assemble()
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers")
    directory.deliver()

    def died(*_: Any) -> None:
        raise RuntimeError("the process was killed")

    directory.change_members(group_id, add=[ada])
    _after_call(directory, died, operation="AddMembers")
    directory.deliver()
    assert sandbox.members("engineers") == {"ada"}
    taker.expire_leases()
    taker.change_members(group_id, remove=[ada])
    taker.deliver()

    assert sandbox.members("engineers") == set()
    assert directory.states() == {"clear"}


def test_a_lease_that_is_held_is_not_given_twice(directory: Directory) -> None:
    """One lease per resource."""
    key = Key(kind="user", id=directory.add_user("ada"))
    directory.marks.mark(Intent(key=key))

    assert directory.marks.claim(key) is not None
    assert directory.marks.claim(key) is None


# -- Two writes at once ------------------------------------------------------------------


def test_a_second_write_waits_for_the_delivery_of_the_first(
    directory: Directory, sandbox: Sandbox, beside: Callable[..., Future[Any]]
) -> None:
    """A write to a resource whose earlier write is being delivered waits before it commits."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", delay=0.4)

    first = beside(directory.change_user, ada, title="First")
    eventually(lambda: _leased(directory, "user", ada))
    second = beside(directory.change_user, ada, title="Second")
    time.sleep(0.15)
    assert directory.document(ada)["title"] == "First"

    first.result()
    second.result()
    assert sandbox.user("ada")["title"] == "Second"
    assert directory.states() == {"clear"}
    assert sandbox.count("PatchUser") == 2


def test_a_second_write_waits_no_longer_than_the_wait(
    assemble: Assemble, sandbox: Sandbox, beside: Callable[..., Future[Any]]
) -> None:
    """After `wait` it commits all the same, and is delivered after the first."""
    directory, hurried = assemble(), assemble(wait=0.2)
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", delay=0.8)

    first = beside(directory.change_user, ada, title="First")
    eventually(lambda: _leased(directory, "user", ada))
    begun = time.monotonic()
    hurried.change_user(ada, title="Second")

    assert 0.15 < time.monotonic() - begun < 0.7
    assert directory.document(ada)["title"] == "Second"
    first.result()
    directory.deliver()
    assert sandbox.user("ada")["title"] == "Second"
    assert directory.states() == {"clear"}


def test_two_requests_that_create_the_same_name_make_one_user(
    directory: Directory, sandbox: Sandbox, beside: Callable[..., Future[Any]]
) -> None:
    """One gets the name, the other is told that it is taken."""
    ready = threading.Barrier(2)

    def create() -> str | None:
        ready.wait()
        try:
            return directory.add_user("ada")
        except Exception as error:
            assert type(error).__name__ == "UniquenessException"  # noqa: PT017
            return None

    made = {beside(create).result for _ in range(2)}
    ids = {result() for result in made}

    assert len(ids - {None}) == 1
    assert sandbox.names() == {"ada"}
    assert directory.states() == {"clear"}


# -- Additions of people who are not enabled yet -----------------------------------------


def test_who_returns_is_not_added_to_groups_before_they_are_enabled(
    directory: Directory, sandbox: Sandbox, beside: Callable[..., Future[Any]]
) -> None:
    """AWS may refuse to add a disabled user: the group waits, and is marked by the enabling."""
    sandbox.behave(strict_disabled=True)
    ada = directory.add_user("ada")
    group_id = directory.add_group("engineers", ada)
    directory.deliver()
    directory.change_user(ada, active=False)
    sandbox.fault("PatchUser", delay=0.4)

    returned = beside(directory.change_user, ada, active=True)
    eventually(lambda: _leased(directory, "user", ada))
    directory.deliver()
    assert directory.mark_state("group", group_id) == "clear"

    returned.result()
    directory.deliver()
    assert "400" not in sandbox.calls()["PatchGroup"]
    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}


def test_who_is_enabled_by_a_call_that_got_no_answer_gets_their_groups(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The groups that waited are marked when the enabling is seen, however it is seen."""
    sandbox.behave(strict_disabled=True)
    ada = directory.add_user("ada")
    directory.add_group("engineers", ada)
    directory.deliver()
    directory.change_user(ada, active=False)
    sandbox.fault("PatchUser", drop_answer=True)

    directory.change_user(ada, active=True)
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("engineers") == {"ada"}
    assert directory.states() == {"clear"}
