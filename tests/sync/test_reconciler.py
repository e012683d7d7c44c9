"""One pass: a resource is brought right under its lease, call by call."""

from collections.abc import Callable

import pytest

from scim_bridge.errors import Refused
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]


def test_what_was_done_before_a_failure_is_not_done_again(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Each call is written down before the next one is made."""
    people = directory.hire(120)
    group_id = directory.add_group("crew")
    sandbox.fault("PatchGroup", status=429, after=1)
    directory.change_members(group_id, add=people)

    directory.deliver()
    assert len(sandbox.members("crew")) == 100
    directory.deliver()

    assert len(sandbox.members("crew")) == 120
    sizes = [len(r["body"]["Operations"][0]["value"]) for r in sandbox.requests("PatchGroup")]
    assert sizes == [100, 20, 20]


def test_a_creation_without_an_answer_of_somebody_who_left_meanwhile_is_disabled(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """A crash anywhere is healed by the next pass: the lost principal is found and disabled."""
    directory = assemble()
    sandbox.fault("CreateUser", drop_answer=True)
    ada = directory.add_user("ada")
    sandbox.fault("ListUsers", status=500)

    directory.delete_user(ada)
    directory.deliver()
    directory.deliver()

    assert not sandbox.is_active("ada")
    assert directory.states() == {"clear"}


def test_a_refused_return_is_undone_and_the_person_stays_disabled(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Refused for good: the directory says again what Identity Center holds."""
    ada = directory.add_user("ada")
    directory.add_group("crew", ada)
    directory.deliver()
    directory.change_user(ada, active=False)
    sandbox.fault("PatchUser", status=400)

    with pytest.raises(Refused):
        directory.change_user(ada, active=True)
    directory.deliver()

    assert directory.document(ada)["active"] is False
    assert not sandbox.is_active("ada")
    assert sandbox.members("crew") == set()
    assert directory.states() == {"clear"}


def test_a_refused_rehire_is_undone_and_can_be_tried_again(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The name is free, and the principal is still the one of that name."""
    directory.delete_user(directory.add_user("ada"))
    principal = sandbox.user("ada")["id"]
    sandbox.fault("PatchUser", status=400)

    with pytest.raises(Refused):
        directory.add_user("ada")
    directory.deliver()
    assert not sandbox.is_active("ada")

    new = directory.add_user("ada")
    assert sandbox.is_active("ada")
    assert sandbox.user("ada")["id"] == principal == directory.principal("user", new)
    assert directory.states() == {"clear"}


def test_every_call_is_audited_with_the_id_aws_gave_it(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The trail leads from a change to AWS's own record of it (design, section 6)."""
    ada = directory.add_user("ada")
    group_id = directory.add_group("crew", ada)
    directory.deliver()
    directory.change_user(ada, title="Analyst")
    directory.change_group(group_id, displayName="team")
    directory.delete_user(ada)
    directory.deliver()

    changing = [e["request_id"] for e in sandbox.journal() if e["method"] in ("POST", "PATCH")]
    audited = [row.target_request_id for row in directory.audited("call")]
    assert sorted(audited) == sorted(changing)
