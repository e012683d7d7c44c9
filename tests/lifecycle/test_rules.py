"""Whom rules mean, from when to when, and what is kept for how long."""

from datetime import UTC, datetime

import pytest

from scim_bridge.lifecycle.rule_file import RuleFiles
from scim_bridge.lifecycle.rules import decide, verdict
from scim_bridge.scim.provider import FullUser
from scim_bridge.settings import Safety

DAY = 86400.0


def rules(text):
    return RuleFiles(FullUser, Safety()).read(text).rules


def rule(more=""):
    (one,) = rules(f'[[rule]]\nname = "r"\nwhen = \'title sw "Eng"\'\ngroups = ["g"]\n{more}')
    return one


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_days_count_from_their_begin_to_their_end():
    """A last day is a day of work."""
    one = rule("from = 2027-01-01\nuntil = 2027-01-31")
    moments = ["2026-12-31T23:59:59", "2027-01-01T00:00:00", "2027-01-31T23:59:59", "2027-02-01"]
    found = [verdict(one, {"title": "Eng"}, active=True, now=at(moment)) for moment in moments]
    assert [each.holds for each in found] == [False, True, True, False]
    assert found[0].changes == at("2027-01-01")
    assert found[1].changes == at("2027-02-01")


@pytest.mark.parametrize(
    ("value", "holds"),
    [("2027-01-31", True), ("2026-01-31", False), (None, True), ("soon", False)],
)
def test_a_date_may_come_from_the_person(value, holds):
    """Without a value there is no such date; with one that is no date nothing is given."""
    person = {"title": "Eng", "nickName": value}
    found = verdict(rule('until = "nickName"'), person, active=True, now=at("2026-06-01"))
    assert found.holds is holds


def test_what_is_lost_is_kept_for_its_grace():
    """From the moment it is lost, whenever it is looked at again, and not twice."""
    one, now = rule('grace = "2d"'), 1000.0
    lost = decide([one], {"title": "Sales"}, active=True, now=now, gave={"r"})
    assert lost.lapsing == {"r": now + 2 * DAY}
    assert lost.due == now + 2 * DAY
    later = decide(
        [one], {"title": "Sales"}, active=True, now=now + DAY, gave={"r"}, lapses=lost.lapsing
    )
    assert later.lapsing == lost.lapsing
    over = decide(
        [one], {"title": "Sales"}, active=True, now=now + 2 * DAY, gave={"r"}, lapses=lost.lapsing
    )
    assert not over.lapsing
    assert over.due is None
    back = decide(
        [one], {"title": "Eng"}, active=True, now=now + DAY, gave={"r"}, lapses=lost.lapsing
    )
    assert back.giving.keys() == {"r"}
    assert not back.lapsing


def test_grace_after_a_last_day_begins_with_its_end():
    """However late it is looked at."""
    one = rule('until = 2027-01-31\ngrace = "2d"')
    found = decide([one], {"title": "Eng"}, active=True, now=at("2027-02-02"), gave={"r"})
    assert found.lapsing == {"r": at("2027-02-03")}


def test_a_leaver_has_nothing_and_no_grace():
    """Whatever was lapsing before."""
    one = rule('grace = "2d"')
    found = decide([one], {"title": "Eng"}, active=False, now=1.0, gave={"r"}, lapses={"r": 9e9})
    assert not found.giving
    assert not found.lapsing
    assert found.due is None
