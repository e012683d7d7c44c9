"""What counts as a change that somebody made by hand?"""

import pytest

from scim_bridge.plan.drift import Difference, changed_attributes, is_contested

SENT = {"userName": "ada", "title": "Countess", "profileUrl": "https://example.com/ada"}
ECHO = {"userName": "ada", "title": "Countess", "locale": "en"}


def changed(shown, desired=None, **options):
    options = {"applied": SENT, "echo": ECHO, **options}
    return changed_attributes(shown=shown, desired=desired, **options)


def test_what_is_as_it_was_sent_has_not_changed():
    assert changed({**SENT, "locale": "en"}) == ()


def test_a_changed_a_removed_and_an_added_value_are_changes():
    shown = {"userName": "ada", "profileUrl": SENT["profileUrl"], "nickName": "A"}
    assert changed(shown) == ("nickName", "title")


def test_what_the_target_adds_by_itself_is_nobodys_change():
    assert changed({**SENT, "locale": "fr"}) == ()


def test_what_the_directory_wants_by_now_is_no_change():
    assert changed({**SENT, "title": "Lady"}, {**SENT, "title": "Lady"}) == ()
    assert changed({**SENT, "title": "Lady"}, SENT) == ("title",)


def test_what_the_directory_wants_gone_and_is_gone_is_no_change():
    shown = {path: value for path, value in SENT.items() if path != "title"}
    assert changed(shown, shown) == ()


def test_of_some_principals_only_what_was_sent_is_compared():
    assert changed({**SENT, "description": "by hand"}, added=False) == ()


def test_the_same_item_is_the_same_whichever_attributes_it_is_about():
    one = Difference(kind="user", id="1", what="changed", attributes=("title",))
    assert one == Difference(kind="user", id="1", what="changed", attributes=("nickName",))


@pytest.mark.parametrize(("repairs", "contested"), [(2, False), (3, True), (4, True)])
def test_three_repairs_in_a_day_are_a_contest(repairs, contested):
    assert is_contested(repairs=repairs) is contested
