"""What rules say of people is so in the directory, whatever happens in whatever order."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from scim2_models import ForbiddenException, ResourceType

from scim_bridge.directory import memberships
from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.rulebook import Rulebook
from scim_bridge.directory.ruling import Ruling
from scim_bridge.directory.trail import trail
from scim_bridge.lifecycle.rule_file import RuleFiles
from scim_bridge.lifecycle.rules import decide
from scim_bridge.scim.provider import FullGroup, FullUser
from scim_bridge.settings import Safety

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
        user = self.resources.get(USERS, user_id)
        return sorted(one.display for one in user.groups or ())

    def group(self, name):
        with self.database.reading():
            return self.ruling._groups_named(file(("x", name)).rules)[name.lower()]

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
    before = ruled.resources.group_named(ruled.group("staff")).version
    ruled.change(ada, title="b")
    assert ruled.groups(ada) == ["staff"]
    assert {rule for _, rule in ruled.by_rules(ada)} == {"r1-b"}
    assert ruled.resources.group_named(ruled.group("staff")).version == before
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
    with pytest.raises(ForbiddenException, match="Rule r0-a gives this group"):
        ruled.resources.delete(GROUPS, ruled.group("staff"))
    group = ruled.resources.get(GROUPS, ruled.group("staff"))
    group.display_name = "personnel"
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


# -- Whatever the order ------------------------------------------------------------

BOOKS = (
    file(),
    file(("a", "one"), ("b", "two")),
    file(("a", "two"), ("b", "two"), ("c", "three")),
    file(("a", "one"), ("a", "three", 'grace = "1d"')),
)
TITLES = st.sampled_from(["a", "b", "c", None])
PEOPLE = st.integers(0, 3)


class AnyOrder(RuleBasedStateMachine):
    """Pushes, leavers, returns, clients' memberships and rule changes in any order."""

    make = None

    @initialize()
    def begin(self):
        self.close, self.ruled = type(self).make()
        self.book, self.people, self.given, self.count = BOOKS[0], {}, set(), 0
        for name in ("one", "two", "three"):
            self.ruled.resources.create(GROUPS, FullGroup(display_name=name))

    @rule(slot=PEOPLE, title=TITLES)
    def push(self, slot, title):
        if slot in self.people:
            self.ruled.change(self.people[slot], title=title)
        else:
            self.count += 1
            self.people[slot] = self.ruled.add(f"p{self.count}", title=title)

    @rule(slot=PEOPLE, active=st.booleans())
    def switch(self, slot, active):
        if slot in self.people:
            self.ruled.resources.set_active(self.people[slot], active=active)

    @rule(slot=PEOPLE)
    def leave_for_good(self, slot):
        if gone := self.people.pop(slot, None):
            self.ruled.resources.delete(USERS, gone)
            self.given = {(group, person) for group, person in self.given if person != gone}

    @rule(number=st.integers(0, len(BOOKS) - 1))
    def apply(self, number):
        self.book = BOOKS[number]
        foreseen = self.ruled.ruling.difference(self.book)
        before = self.all_groups()
        self.ruled.ruling.apply(self.book)
        after = self.all_groups()
        assert {(e.person, e.right.group) for e in foreseen.gains} == after - before
        assert {(e.person, e.right.group) for e in foreseen.losses} == before - after

    @rule(slot=PEOPLE, group=st.sampled_from(["one", "two"]), gives=st.booleans())
    def client(self, slot, group, gives):
        if slot not in self.people:
            return
        person = self.people[slot]
        self.ruled.move(group, **{"add" if gives else "remove": [person]})
        (self.given.add if gives else self.given.discard)((group, person))

    @rule(days=st.sampled_from([0.3, 1.0]))
    def time_goes_by(self, days):
        self.ruled.now += days * DAY
        while self.ruled.ruling.settle_due():
            continue

    def all_groups(self):
        return {(one, name) for one in self.people.values() for name in self.ruled.groups(one)}

    @invariant()
    def everybody_holds_what_is_computed_from_scratch(self):
        for person in getattr(self, "people", {}).values():
            user = self.ruled.resources.get(USERS, person)
            with self.ruled.database.reading():
                standing = self.ruled.ruling.standing(person)
            document = {"title": user.title}
            scratch = decide(self.book.rules, document, active=user.active, now=self.ruled.now)
            by_rules = {right.group for one in scratch.giving.values() for right in one.rights}
            kept = {"three"} if standing.lapses else set()
            assert not kept or user.active
            of_client = {group for group, member in self.given if member == person}
            assert set(self.ruled.groups(person)) <= by_rules | of_client | kept
            assert set(self.ruled.groups(person)) >= by_rules | of_client

    def teardown(self):
        self.close()


def test_whatever_the_order_people_hold_what_rules_say(fresh):
    """And clients' memberships are theirs; `difference` foretells exactly what `apply` does."""
    from hypothesis.stateful import run_state_machine_as_test

    from scim_bridge.directory.database import Database

    def make():
        context = fresh()
        database = Database(context.__enter__())

        def close():
            database.close()
            context.__exit__(None, None, None)

        return close, Ruled(database)

    machine = type("Machine", (AnyOrder,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
