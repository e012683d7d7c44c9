"""What rules say of people is so in the directory, whatever happens in whatever order."""

from random import Random
from typing import Any

import pytest
from scim2_models import ForbiddenException, ResourceType
from sqlalchemy import select

from scim_bridge.directory import memberships
from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.rulebook import FileWatch, Rulebook
from scim_bridge.directory.ruling import Ruling
from scim_bridge.directory.tables import groups, users
from scim_bridge.directory.trail import trail
from scim_bridge.lifecycle.rule_file import RuleFiles
from scim_bridge.lifecycle.rules import decide
from scim_bridge.scim.provider import FullGroup, FullUser
from scim_bridge.settings import Safety
from scim_bridge.sync.rule_clock import RuleClock

USERS, GROUPS = ResourceType.from_resource(FullUser), ResourceType.from_resource(FullGroup)
FILES = RuleFiles(FullUser, Safety())
DAY = 86400.0


def file(*rules):
    """A file of rules: the title a rule is about, and what it gives."""
    text = ""
    for number, (title, group, *more) in enumerate(rules):
        name = f"r{number}-{title}"
        text += f'[[rule]]\nname = "{name}"\nwhen = \'title eq "{title}"\'\n'
        text += f'groups = ["{group}"]\n' + "".join(f"{line}\n" for line in more)
    return FILES.read(text)


@pytest.fixture
def ruled(database):
    return Ruled(database)


class Ruled:
    """A directory whose rules act."""

    def __init__(self, database):
        self.now = 1_800_000_000.0
        self.ruling = Ruling(database, Rulebook(database, FILES), clock=lambda: self.now)
        self.resources = Resources(
            database,
            models={"User": FullUser, "Group": FullGroup},
            written=self._written,
            clock=lambda: self.now,
        )
        self.ruling.connect(self.resources)
        self.database = database

    def _written(self, write):
        record_write(self.database, write)
        self.ruling.written(write)

    def add(self, name, **attributes):
        user = FullUser(user_name=name, active=True, **attributes)
        return self.resources.create(USERS, user).id

    def change(self, user_id, **attributes):
        user = self.resources.get(USERS, user_id)
        for name, value in attributes.items():
            setattr(user, name, value)
        self.resources.update(USERS, user)

    def groups(self, user_id):
        """The groups somebody is in, as a client sees it."""
        user: Any = self.resources.get(USERS, user_id)
        return sorted(one.display for one in user.groups or ())

    def group(self, name):
        with self.database.reading():
            return self.ruling._groups_named(file(("x", name)).rules)[name.lower()]

    def version(self, table, resource_id):
        with self.database.reading() as connection:
            return connection.scalar(select(table.c.version).where(table.c.id == resource_id))

    def by_rules(self, user_id):
        """What somebody holds by rules: group and rule."""
        with self.database.reading():
            return {(one.group, one.rule) for one in memberships.by_rules(self.database, [user_id])}

    def move(self, group, **changes):
        with acting(Actor(name="client:okta")):
            self.resources.change_members(self.group(group), **changes)


def test_what_two_rules_give_is_not_touched(ruled):
    """Neither the membership nor the versions of who is in it and of the group change."""
    ruled.ruling.apply(file(("a", "staff"), ("b", "staff")))
    ada = ruled.add("ada", title="a")
    before = ruled.version(groups, ruled.group("staff"))
    ruled.change(ada, title="b")
    assert ruled.groups(ada) == ["staff"]
    assert {rule for _, rule in ruled.by_rules(ada)} == {"r1-b"}
    assert ruled.version(groups, ruled.group("staff")) == before
    moved = [entry.action for entry in trail(ruled.database) if "member" in entry.action]
    assert moved == ["member-added"]


def test_a_rule_takes_only_what_it_gave(ruled):
    """A client's own membership stands beside it; and what a client states again is no gift."""
    ruled.ruling.apply(file(("a", "staff")))
    ada, bob = ruled.add("ada", title="a"), ruled.add("bob", title="a")
    ruled.move("staff", add=[ada])
    ruled.move("staff", replace=[ada, bob])
    for person in (ada, bob):
        ruled.change(person, title=None)
    assert (ruled.groups(ada), ruled.groups(bob)) == (["staff"], [])


def test_what_a_rule_gives_no_client_takes(ruled):
    """It stays, and the trail says why; the group can be neither deleted nor renamed."""
    ruled.ruling.apply(file(("a", "staff")))
    ada = ruled.add("ada", title="a")
    ruled.move("staff", remove=[ada])
    ruled.move("staff", replace=[])
    assert ruled.groups(ada) == ["staff"]
    warned = [entry for entry in trail(ruled.database) if entry.action == "warning"]
    assert [(entry.outcome, entry.actor) for entry in warned] == [
        ("kept by a rule", "client:okta")
    ] * 2
    group = ruled.resources.get(GROUPS, ruled.group("staff"))
    group.display_name = "personnel"
    with acting(Actor(name="client:okta")):
        with pytest.raises(ForbiddenException, match="Rule r0-a gives this group"):
            ruled.resources.delete(GROUPS, group.id)
        with pytest.raises(ForbiddenException, match="renamed"):
            ruled.resources.update(GROUPS, group)
        ruled.ruling.apply(file())
        ruled.resources.delete(GROUPS, group.id)


def test_grace_ends_by_the_clock_and_not_for_leavers(ruled):
    """What is lost by a change is kept for a while, and goes by itself; a leaver keeps nothing."""
    ruled.ruling.apply(file(("a", "staff", 'grace = "2d"')))
    ada, bob = ruled.add("ada", title="a"), ruled.add("bob", title="a")
    for person in (ada, bob):
        ruled.change(person, title="b")
    ruled.resources.set_active(bob, active=False)
    assert (ruled.groups(ada), ruled.groups(bob)) == (["staff"], [])
    ruled.now += 2 * DAY - 1
    assert ruled.ruling.settle_due() == 0
    ruled.now += 1
    assert ruled.ruling.settle_due() == 1
    assert ruled.groups(ada) == []
    [*_, last] = trail(ruled.database)
    assert last.facts == {"rule": "r0-a", "because": ["date"]}


def test_a_first_and_a_last_day_come_by_the_clock(ruled):
    """Nobody has to push anything for it."""
    ruled.ruling.apply(file(("a", "staff", "from = 2027-02-01", "until = 2027-02-02")))
    ada = ruled.add("ada", title="a")
    seen = [ruled.groups(ada)]
    for _ in range(20):
        ruled.now += DAY
        if ruled.ruling.settle_due():
            seen.append(ruled.groups(ada))
    assert seen == [[], ["staff"], []]


def test_a_rejected_loss_stays_given_by_the_operator(ruled):
    """A rule that does not give it any more must not take it at its next look."""
    ruled.ruling.apply(file(("a", "staff")))
    ada = ruled.add("ada", title="a")
    ruled.change(ada, title="b")
    with acting(Actor(name="operator:eve")):
        ruled.resources.reopen_membership(ruled.group("staff"), ada)
    ruled.change(ada, title="c")
    assert ruled.groups(ada) == ["staff"]


def test_one_persons_change_touches_only_that_persons_rows(ruled):
    """Nobody else's version is raised, and no group but those they come and go."""
    ruled.ruling.apply(file(("a", "one"), ("b", "two"), ("c", "three")))
    ada, bob = ruled.add("ada", title="a"), ruled.add("bob", title="a")
    cay = ruled.add("cay", title="c")

    def versions():
        with ruled.database.reading() as connection:
            found = {table: connection.execute(select(table.c.id, table.c.version)).all()
                     for table in (users, groups)}  # fmt: skip
        return {tuple(row) for rows in found.values() for row in rows}

    before = versions()
    ruled.change(ada, title="b")
    touched = {id_ for id_, _ in versions() - before}
    assert touched == {ada, ruled.group("one"), ruled.group("two")}
    assert (ruled.groups(bob), ruled.groups(cay)) == (["one"], ["three"])


def test_an_application_that_is_cut_short_is_finished_by_the_worker(ruled, monkeypatch):
    """From the moment the rules are in force everybody is due; whoever works next goes on."""
    ada = ruled.add("ada", title="a")
    with monkeypatch.context() as killed:
        killed.setattr(ruled.ruling, "settle_due", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            ruled.ruling.apply(file(("a", "staff")))
    assert ruled.groups(ada) == []
    RuleClock(ruled.ruling, FileWatch(ruled.ruling.rulebook, None)).look()
    assert ruled.groups(ada) == ["staff"]
    assert ruled.ruling.settle_due() == 0
    [added] = [entry for entry in trail(ruled.database) if entry.action == "member-added"]
    assert added.facts["because"] == [f"rules {file(('a', 'staff')).digest[:12]}"]


# -- Whatever the order ------------------------------------------------------------

BOOKS = (
    file(),
    file(("a", "one"), ("b", "two")),
    file(("a", "two"), ("b", "two"), ("c", "three")),
    file(("a", "one"), ("a", "three", 'grace = "1d"')),
)
TITLES = ("a", "b", "c", None)
NAMES = ("one", "two", "three")


class AnyOrder:
    """Pushes, leavers, returns, clients' memberships, time and rule changes in a random order."""

    def __init__(self, ruled, chance):
        self.ruled, self.chance = ruled, chance
        self.people, self.given, self.count = [], set(), 0
        for name in NAMES:
            ruled.resources.create(GROUPS, FullGroup(display_name=name))
        for _ in range(4):
            self.join()
        self.apply()

    def step(self):
        act = self.chance.choice(
            [self.push, self.push, self.switch, self.client, self.apply, self.leave, self.wait]
        )
        act()
        self.check()

    def join(self):
        self.count += 1
        title = self.chance.choice(TITLES)
        self.people.append(self.ruled.add(f"p{self.count}", title=title))

    def push(self):
        self.ruled.change(self.chance.choice(self.people), title=self.chance.choice(TITLES))

    def switch(self):
        person, active = self.chance.choice(self.people), self.chance.random() < 0.6
        self.ruled.resources.set_active(person, active=active)

    def leave(self):
        gone = self.chance.choice(self.people)
        self.ruled.resources.delete(USERS, gone)
        self.people.remove(gone)
        self.given = {(group, person) for group, person in self.given if person != gone}
        self.join()

    def client(self):
        person, group = self.chance.choice(self.people), self.chance.choice(NAMES[:2])
        gives = self.chance.random() < 0.5
        self.ruled.move(group, **{"add" if gives else "remove": [person]})
        (self.given.add if gives else self.given.discard)((group, person))

    def wait(self):
        self.ruled.now += self.chance.choice([0.3, 1.0]) * DAY
        while self.ruled.ruling.settle_due():
            continue

    def apply(self):
        self.book = self.chance.choice(BOOKS)
        foreseen, before = self.ruled.ruling.difference(self.book), self.all_groups()
        self.ruled.ruling.apply(self.book)
        after = self.all_groups()
        assert {(one.person, one.right.group) for one in foreseen.gains} == after - before
        assert {(one.person, one.right.group) for one in foreseen.losses} == before - after

    def all_groups(self):
        return {(one, name) for one in self.people for name in self.ruled.groups(one)}

    def check(self):
        """Everybody holds what is computed from scratch, and what clients gave."""
        for person in self.people:
            user = self.ruled.resources.get(USERS, person)
            scratch = decide(
                self.book.rules, {"title": user.title}, active=user.active, now=self.ruled.now
            )
            wanted = {right.group for one in scratch.giving.values() for right in one.rights}
            wanted |= {group for group, member in self.given if member == person}
            with self.ruled.database.reading():
                kept = {"three"} if self.ruled.ruling.standing(person).lapses else set()
            assert wanted <= set(self.ruled.groups(person)) <= wanted | kept
            assert user.active or not (kept or self.ruled.by_rules(person))


def test_whatever_the_order_people_hold_what_rules_say(ruled):
    """And clients' memberships are theirs; `difference` foretells exactly what `apply` does."""
    life = AnyOrder(ruled, Random(1))
    for _ in range(50):
        life.step()
