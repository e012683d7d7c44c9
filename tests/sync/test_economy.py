"""How many calls a change costs: the fewest that close the difference (design, section 1)."""

from collections.abc import Callable

from scim_bridge.sync.marks import Key
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]


def _sizes(sandbox: Sandbox) -> list[int]:
    """How many members each PatchGroup named."""
    return [
        sum(len(operation["value"]) for operation in request["body"]["Operations"])
        for request in sandbox.requests("PatchGroup")
    ]


def test_250_additions_are_three_calls_and_the_same_again_none(
    directory: Directory, sandbox: Sandbox
) -> None:
    """At most 100 changes a call (AWS SCIM developer guide, PatchGroup)."""
    people = directory.hire(250)
    group_id = directory.add_group("everyone")

    directory.change_members(group_id, add=people)
    directory.deliver()
    assert len(sandbox.members("everyone")) == 250
    assert _sizes(sandbox) == [100, 100, 50]
    sandbox.forget_calls()
    directory.change_members(group_id, add=people)
    directory.deliver()

    assert sandbox.calls() == {}


def test_a_run_of_one_member_changes_is_one_call(assemble: Assemble, sandbox: Sandbox) -> None:
    """The worker waits a short quiet period per group."""
    directory = assemble(coalesce=30.0)
    people = directory.hire(12)
    group_id = directory.add_group("everyone")

    for user_id in people:
        directory.change_members(group_id, add=[user_id])
    assert sandbox.count("PatchGroup") == 0
    assert Key(kind="group", id=group_id) not in directory.marks.due(10)
    directory.deliver()

    assert _sizes(sandbox) == [12]
    assert directory.states() == {"clear"}


def test_a_removal_does_not_wait_for_the_additions_before_it(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Removals of members go within the request; the additions stay with the worker."""
    directory = assemble(coalesce=30.0)
    ada, bob = directory.hire(2)
    group_id = directory.add_group("everyone", ada)
    directory.deliver()

    directory.change_members(group_id, add=[bob])
    directory.change_members(group_id, remove=[ada])

    assert sandbox.members("everyone") == set()
    directory.deliver()
    assert sandbox.members("everyone") == {"person001"}


def test_a_new_group_is_there_at_once_and_its_members_come_together(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Additions of members go to the worker, as one call."""
    people = directory.hire(5)

    directory.add_group("everyone", *people)
    assert sandbox.groups() == {"everyone"}
    assert sandbox.count("PatchGroup") == 0
    directory.deliver()

    assert _sizes(sandbox) == [5]


def test_many_writes_to_one_user_become_one_call(assemble: Assemble, sandbox: Sandbox) -> None:
    """A pass compares states, and knows nothing of how many writes led there."""
    directory = assemble(wait=0)
    (ada,) = directory.hire(1)
    sandbox.forget_calls()

    for title in ("One", "Two", "Three"):
        directory.change_user(ada, title=title)
    directory.deliver()

    assert sandbox.calls() == {"PatchUser": {"200": 1}}


def test_a_change_that_is_taken_back_before_it_is_sent_costs_nothing(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """Equal states plan nothing."""
    directory = assemble(wait=0)
    (ada,) = directory.hire(1)
    group_id = directory.add_group("everyone")
    directory.deliver()
    sandbox.forget_calls()

    directory.change_user(ada, title="One")
    directory.change_user(ada, title=None)
    directory.change_members(group_id, add=[ada])
    directory.change_members(group_id, replace=[])
    directory.deliver()

    # The replacement looks who is in the group, since it states that nobody is.
    assert sandbox.calls() == {"ListUsers": {"200": 1}}


def test_naming_a_few_people_does_not_read_the_whole_group(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Who the bridge did not put there is asked about one by one, up to three people."""
    people = directory.hire(3)
    group_id = directory.add_group("everyone")
    sandbox.join("everyone", "person000")
    sandbox.forget_calls()

    directory.change_members(group_id, remove=people)

    assert sandbox.members("everyone") == set()
    assert sandbox.calls() == {"ListGroups": {"200": 3}, "PatchGroup": {"204": 1}}


def test_a_replacement_of_101_members_by_101_others_is_four_calls(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Two calls of removals, then two of additions: never a replace of the members."""
    people = directory.hire(202)
    group_id = directory.add_group("everyone", *people[:101])
    directory.deliver()
    sandbox.forget_calls()

    directory.replace_group(group_id, "everyone", *people[101:])
    directory.deliver()

    assert len(sandbox.members("everyone")) == 101
    assert sandbox.count("PatchGroup") == 4
    operations = [
        operation["op"]
        for request in sandbox.requests("PatchGroup")[-4:]
        for operation in request["body"]["Operations"]
    ]
    assert operations == ["remove", "remove", "add", "add"]
