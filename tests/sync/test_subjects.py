"""One user or group as the difference sees it."""

from collections.abc import Callable

import pytest

from scim_bridge.plan.state import NOTHING
from scim_bridge.sync.subjects import Naming
from tests.sync.conftest import Directory, Sandbox

Assemble = Callable[..., Directory]


def test_the_bridges_id_is_what_is_sent_as_external_id(
    directory: Directory, sandbox: Sandbox
) -> None:
    """Unique, immutable and free of the characters AWS refuses (design, section 4)."""
    ada = directory.add_user("ada", externalId="hr-1")

    assert sandbox.user("ada")["externalId"] == ada


@pytest.mark.parametrize(("given", "sendable"), [("hr-1", True), ("hr 1<>", False)])
def test_the_clients_external_id_is_passed_on_if_it_may_be(
    assemble: Assemble, sandbox: Sandbox, given: str, sendable: bool
) -> None:
    """`[users] external_id = "client"`; what AWS would refuse is replaced by the bridge's id."""
    directory = assemble(naming=Naming(external_id="client"))

    ada = directory.add_user("ada", externalId=given)

    assert sandbox.user("ada")["externalId"] == (given if sendable else ada)


def test_a_lost_creation_is_found_by_the_clients_external_id(
    assemble: Assemble, sandbox: Sandbox
) -> None:
    """What is looked for is what was sent."""
    directory = assemble(naming=Naming(external_id="client"))
    sandbox.fault("CreateUser", drop_answer=True)

    ada = directory.add_user("ada", externalId="hr-1")
    directory.deliver()

    assert directory.principal("user", ada) == sandbox.user("ada")["id"]
    assert sandbox.count("CreateUser") == 1


def test_only_active_live_people_are_effective_members(directory: Directory) -> None:
    """Effective access = active ∧ membership (design, section 3)."""
    ada, bob, cyd = (directory.add_user(name) for name in ("ada", "bob", "cyd"))
    group_id = directory.add_group("crew", ada, bob, cyd)
    directory.change_user(bob, active=False)
    directory.delete_user(cyd)

    with directory.database.reading():
        assert directory.planning.subjects.effective_members(group_id) == {ada}
        assert directory.planning.subjects.inactive(frozenset({ada, bob, cyd})) == {bob, cyd}


def test_what_there_never_was_is_no_subject(directory: Directory) -> None:
    """Nothing is planned for an id that nobody has."""
    with directory.database.reading():
        assert directory.planning.subjects.user("nobody") is None
        assert directory.planning.subjects.group("nothing", NOTHING) is None
