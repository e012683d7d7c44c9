"""What an operator decides. Held sets are in `test_held`."""

import pytest

from scim_bridge.directory.actor import Actor, acting
from scim_bridge.errors import OperatorError
from tests.sync.conftest import Directory, Sandbox


@pytest.mark.parametrize("act", ["deprovision", "reactivate"])
def test_somebody_the_directory_does_not_know_cannot_be_decided_on(
    directory: Directory, act: str
) -> None:
    """Neither who never was, nor who was deleted."""
    directory.delete_user(directory.add_user("gone"))

    for name in ("gone", "nobody"):
        with pytest.raises(OperatorError, match=f"no user '{name}'"):
            getattr(directory.decisions, act)(name)


def test_a_user_is_named_in_any_case(directory: Directory, sandbox: Sandbox) -> None:
    """userName is case-insensitive (RFC 7643 section 4.1.1)."""
    ada = directory.add_user("ada")

    assert directory.decisions.deprovision("ADA") == ada
    directory.deliver()

    assert not sandbox.is_active("ada")


def test_what_an_operator_did_carries_their_name_and_reason(directory: Directory) -> None:
    """In the directory's own entry, and in each call it led to."""
    directory.add_user("ada")

    with acting(Actor(name="operator:root", reason="left at once")):
        directory.decisions.deprovision("ada")
        directory.deliver()

    (entry,) = directory.audited("deactivate")
    assert entry.actor == "operator:root"
    assert '"reason":"left at once"' in entry.facts


def test_a_deprovision_of_somebody_inactive_is_audited_too(directory: Directory) -> None:
    """It takes away what they hold by now, so it is an act of the operator like any other."""
    directory.add_user("ada", active=False)

    with acting(Actor(name="operator:root", reason="to be sure")):
        directory.decisions.deprovision("ada")

    (entry,) = directory.audited("deactivate")
    assert (entry.actor, entry.outcome) == ("operator:root", "inactive already")
    assert '"reason":"to be sure"' in entry.facts


def test_another_try_is_audited(directory: Directory) -> None:
    """Also when there was nothing to try."""
    assert directory.decisions.retry() == 0

    (entry,) = directory.audited("retry")
    assert '"resources":0' in entry.facts
