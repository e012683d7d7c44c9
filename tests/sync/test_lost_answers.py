"""A call whose answer was lost: what it gave must still be known as the bridge's to take."""

from collections.abc import Callable

from tests.sync.conftest import Directory, Sandbox


def test_a_value_whose_answer_was_lost_can_be_taken_back(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The value arrived, was only read again, and is removed when nobody wants it any more."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", drop_answer=True)
    directory.change_user(ada, title="Analyst")
    directory.make_everything_due()
    directory.deliver()
    assert sandbox.user("ada")["title"] == "Analyst"

    directory.change_user(ada, title=None)

    assert "title" not in sandbox.user("ada")
    assert directory.states() == {"clear"}


def test_a_value_that_never_arrived_is_sent_again(directory: Directory, sandbox: Sandbox) -> None:
    """That it was counted as applied before the call does not make it so."""
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", status=500)
    directory.change_user(ada, title="Analyst")

    directory.make_everything_due()
    directory.deliver()

    assert sandbox.user("ada")["title"] == "Analyst"


def test_a_member_whose_answer_was_lost_goes_when_the_return_comes_too_late(
    assemble: Callable[..., Directory], sandbox: Sandbox
) -> None:
    """The membership ends without anybody naming it, so it must be known as applied."""
    directory = assemble(wait=0.0, restore_within=0.0)
    ada = directory.add_user("ada")
    crew = directory.add_group("crew")
    directory.deliver()
    sandbox.fault("PatchGroup", drop_answer=True)
    directory.change_members(crew, add=(ada,))
    directory.deliver()
    directory.make_everything_due()
    directory.deliver()
    assert sandbox.members("crew") == {"ada"}

    # Back before anything was delivered: only the directory ended the membership.
    directory.change_user(ada, active=False)
    directory.change_user(ada, active=True)
    directory.deliver()

    assert sandbox.is_active("ada")
    assert sandbox.members("crew") == set()


def test_what_is_never_shown_is_removed_after_a_lost_answer(
    directory: Directory, sandbox: Sandbox
) -> None:
    """The lost call was expected to be echoed; the next one says that it never is.

    AWS never shows a profileUrl (reference/identity-center.md, section 9).
    """
    ada = directory.add_user("ada")
    sandbox.fault("PatchUser", drop_answer=True)
    directory.change_user(ada, profile_url="https://a.example.org")
    assert sandbox.user("ada")["profileUrl"] == "https://a.example.org"
    directory.change_user(ada, profile_url=None, title="Boss")
    directory.make_everything_due()
    directory.deliver()
    assert "profileUrl" not in sandbox.user("ada")
