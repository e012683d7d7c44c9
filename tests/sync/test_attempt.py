"""What an answer of Identity Center means when it is not simply yes."""

import pytest

from scim_bridge.errors import Conflict
from tests.sync.conftest import Directory, Sandbox


def test_a_name_that_another_record_is_about_to_give_up_is_waited_for(
    directory: Directory, sandbox: Sandbox
) -> None:
    """If the holder has a pending change that frees it, the 409 is transient."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", status=500)
    directory.change_user(ada, userName="lovelace")

    new = directory.add_user("ada")

    assert directory.mark_state("user", new) == "pending"
    directory.deliver()
    directory.deliver()
    assert sandbox.user("ada")["externalId"] == new
    assert sandbox.user("lovelace")["externalId"] == ada
    assert directory.states() == {"clear"}


@pytest.mark.parametrize("created", [True, False])
def test_the_name_of_a_group_that_is_about_to_be_renamed_is_waited_for(
    directory: Directory, sandbox: Sandbox, created: bool
) -> None:
    """The same for a group, whether the name is for a new group or for another one."""
    other = directory.add_group("other")
    crew = directory.add_group("crew")
    sandbox.fault("PatchGroup", status=500)
    directory.change_group(crew, displayName="team")

    if created:
        other = directory.add_group("crew")
    else:
        directory.change_group(other, displayName="crew")

    assert directory.mark_state("group", other) == "pending"
    directory.deliver()
    directory.deliver()
    assert sandbox.group_id("crew") == directory.principal("group", other)
    assert sandbox.group_id("team") == directory.principal("group", crew)
    assert directory.states() == {"clear"}


def test_the_name_of_a_group_that_nobody_renames_is_a_conflict(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The answer says whose it is, as far as the bridge knows."""
    sandbox.make_group("taken")
    group_id = directory.add_group("crew")

    with pytest.raises(Conflict, match=r"already has a group named 'taken'.*not linked"):
        directory.change_group(group_id, displayName="taken")

    directory.deliver()
    assert sandbox.groups() == {"crew", "taken"}


def test_a_user_name_that_a_rename_would_take_from_somebody_is_a_conflict(
    directory: Directory, sandbox: Sandbox
) -> None:
    """`username_changes = "allow"`: a rename in place meets a stranger."""
    sandbox.make_user("taken")
    ada = directory.add_user("ada")

    with pytest.raises(Conflict, match="already has a user with the userName 'taken'"):
        directory.change_user(ada, userName="taken")

    directory.deliver()
    assert sandbox.names() == {"ada", "taken"}


def test_an_empty_answer_does_not_hide_a_principal_that_is_still_there(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Dropped by mistake after a 404 and an empty list, it is found again by its externalId."""
    ada = directory.add_user("ada")
    before = directory.principal("user", ada)
    sandbox.fault("PatchUser", status=404)
    sandbox.fault("GetUser", status=404)
    sandbox.fault("ListUsers", empty=True)

    directory.change_user(ada, title="Analyst")
    directory.deliver()

    assert directory.principal("user", ada) == before
    assert sandbox.names() == {"ada"}
    assert sandbox.user("ada")["title"] == "Analyst"
    assert directory.states() == {"clear"}


def test_a_group_that_is_gone_is_nothing_to_be_taken_out_of(
    directory: Directory, sandbox: Sandbox
) -> None:
    """A removal counts as done."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("crew", ada)
    directory.deliver()
    sandbox.remove_group("crew")

    directory.delete_group(group_id)
    directory.deliver()

    assert sandbox.groups() == set()
    assert directory.states() == {"clear"}
    assert [row.resource_id for row in directory.audited("link-dropped")] == [group_id]
