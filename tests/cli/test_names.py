"""How the people and groups of a sentence are called."""

import pytest

from scim_bridge.cli.names import called, listed, people, printable


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], ""),
        (["ada"], "ada"),
        (["ada", "ben"], "ada and ben"),
        (["ada", "ben", "cy"], "ada, ben and cy"),
        (["ada", "ben", "cy", "di"], "ada, ben, cy and 1 more"),
    ],
)
def test_names_are_listed_as_in_a_sentence(names, sentence):
    """What is too much is counted, not cut off in silence."""
    assert listed(names, most=3) == sentence


def test_who_has_no_name_is_called_by_the_id():
    """Somebody whom the directory does not know is still told apart."""
    assert called({"1": "zoe"}, ["1", "2"]) == ["2", "zoe"]


def test_one_person_is_not_people():
    """Counts read as words."""
    assert (people(1), people(2)) == ("1 person", "2 people")


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\u202eb", "a\nb", "a\x9bb"])
def test_a_name_cannot_write_to_the_terminal(name):
    """No line break or escape sequence that somebody chose for a name reaches a terminal."""
    assert printable(name).isprintable()
    assert printable("zoë 田中") == "zoë 田中"
