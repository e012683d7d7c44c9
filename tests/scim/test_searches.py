"""Searches that are like an earlier one: read once, and meant as if each were read."""

from unittest import mock
from urllib.parse import quote

import pytest
from scim2_models import SearchRequest

from scim_bridge.scim.provider import FullUser
from scim_bridge.scim.searches import LONGEST, MOST, Searches, likeness
from scim_bridge.scim.service import Service
from tests.scim.conftest import Scim, assert_error


def _look_up(scim: Scim, written: str, **parameters: str) -> list[str]:
    query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    answer = scim.get(f"/Users?filter={quote(written)}&{query}")
    assert answer.status_code == 200, answer.text
    return [one["userName"] for one in answer.json["Resources"]]


def test_the_same_question_for_somebody_else_is_read_once(scim: Scim) -> None:
    """What is remembered is the question, never whom it was asked for."""
    ada, bob = scim.user("ada"), scim.user("bob")
    assert _look_up(scim, 'userName eq "ada@example.com"') == [ada["userName"]]
    with mock.patch.object(Service, "read_search", side_effect=AssertionError):
        assert _look_up(scim, 'userName eq "BOB@example.com"') == [bob["userName"]]
        assert _look_up(scim, 'userName eq "nobody@example.com"') == []


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ('userName eq "{}" or userName pr', ("ada", "bob", "eve")),
        ('userName eq "{}"', ("a\\u0064a", "a\\u0065a", "\u00d6")),
        ('active eq "{}"', ("True", "FALSE", "true")),
        ('meta.created eq "{}Z"', ("2026-01-01T00:00:00", "2026-01-01T00:00:01", "2026-01-01")),
    ],
    ids=["more than one term", "an escape", "a rule of a dialect", "a time"],
)
def test_what_may_depend_on_the_text_is_read_each_time(
    scim: Scim, written: str, texts: tuple[str, ...]
) -> None:
    """Only a plain text means the same wherever it stands."""
    scim.user("ada")
    reading = mock.patch.object(Service, "read_search", autospec=True, side_effect=_read_search)
    with reading as read:
        for text in texts:
            scim.get(f"/Users?filter={quote(written.format(text))}")
    assert read.call_count == len(texts)


_read_search = Service.read_search


def test_a_text_that_is_no_value_is_refused_however_often_it_is_sent(scim: Scim) -> None:
    """RFC 7644, section 3.4.2.2: also after a value of the same attribute was accepted."""
    for value in ("2026-01-01T00:00:00Z", "yesterday", "yesterday"):
        answer = scim.get("/Users?filter=" + quote(f'meta.created eq "{value}"'))
        if value == "yesterday":
            assert_error(answer, 400, "invalidFilter")
    for _ in range(2):
        assert_error(scim.get("/Users?filter=" + quote('password eq "x"')), 400, "invalidFilter")


def test_a_cursor_serves_only_the_text_it_was_given_for(scim: Scim) -> None:
    """RFC 9865, section 2: a cursor belongs to its query."""
    for who in ("ada", "bob", "eve"):
        scim.user(who)
    path = "/Users?count=1&filter=" + quote('userName co "{}"', safe="{}")
    cursor = scim.get(path.format("example") + "&cursor=").json["nextCursor"]
    assert scim.get(f"{path.format('example')}&cursor={cursor}").json["nextCursor"]
    assert_error(scim.get(f"{path.format('exam')}&cursor={cursor}"), 400, "invalidCursor")


def test_what_is_remembered_is_bounded() -> None:
    """Whoever asks something new each time does not fill the memory."""
    read, kept = SearchRequest[FullUser](), Searches()
    asked = [likeness("strict", (), {"startIndex": f"{number}"}) for number in range(MOST + 1)]
    for one in asked:
        kept.remember(one, read)
    long = likeness("strict", (), {"filter": "x" * LONGEST})
    kept.remember(long, read)

    assert kept.like(asked[-1]) is read
    assert kept.like(asked[0]) is None
    assert kept.like(long) is None
