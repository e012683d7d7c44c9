"""Identity Center as a source: what another SCIM client does there comes to the directory."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from scim_bridge.directory import tables
from scim_bridge.directory.takeover import SOURCE
from scim_bridge.settings import Safety
from scim_bridge.sync.subjects import Naming
from tests.sync.conftest import Directory, Sandbox
from tests.sync.test_drift import calls
from tests.sync.watching import Watched, watching


@pytest.fixture
def watched(assemble, sandbox: Sandbox) -> Watched:
    return watching(assemble(naming=Naming(is_source=True)), sandbox, source=True)


def records(watched: Watched) -> dict[str, Any]:
    """The live users of the directory by name."""
    with watched.directory.database.reading() as connection:
        rows = connection.execute(tables.users.select().where(tables.users.c.deleted_at.is_(None)))
        return {row.user_name: row for row in rows}


def active(watched: Watched) -> dict[str, bool]:
    return {name: row.active for name, row in records(watched).items()}


def group_named(watched: Watched, name: str) -> str:
    with watched.directory.database.reading() as connection:
        table = tables.groups
        found = connection.scalar(
            table.select().where(table.c.display_name == name, table.c.deleted_at.is_(None))
        )
    return str(found)


def members(watched: Watched, group: str) -> set[str]:
    """The userNames of a group's members in the directory."""
    ids = watched.directory.members(group_named(watched, group))
    return {name for name, row in records(watched).items() if row.id in ids}


def origins(watched: Watched) -> set[str]:
    with watched.directory.database.reading() as connection:
        rows = connection.execute(tables.memberships.select())
        return {row.origin for row in rows if row.valid_to is None}


def held(directory: Directory) -> list[Any]:
    with directory.database.reading():
        return list(directory.held.losses())


def edit(sandbox: Sandbox, name: str, **values: Any) -> None:
    """What another SCIM client sets."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
    sandbox._by_hand("PATCH", f"Users/{sandbox.user(name)['id']}", body)


def test_what_only_identity_center_has_enters_and_follows_without_a_call(watched, sandbox):
    """People, groups, memberships and their changes, at each extraction; nothing is sent back."""
    sandbox.make_user("ada", title="Clerk")
    sandbox.make_user("jane")
    sandbox.make_group("staff", "ada")
    sandbox.forget_calls()

    watched.extract()
    assert active(watched) == {"ada": True, "jane": True}
    assert members(watched, "staff") == {"ada"}
    assert origins(watched) == {SOURCE}

    edit(sandbox, "ada", title="King")
    sandbox.join("staff", "jane")
    sandbox.leave("staff", "ada")
    sandbox.forget_calls()
    for _ in range(2):
        watched.extract()
        watched.directory.deliver()

    assert records(watched)["ada"].document["title"] == "King"
    assert members(watched, "staff") == {"jane"}
    assert calls(watched) == {}
    assert watched.found() == []
    assert {row.actor for row in watched.directory.audited("create")} == {SOURCE}


def test_who_is_disabled_there_is_disabled_here_within_one_extraction(watched, sandbox):
    """And enabled with the next; but nobody whom a client deactivated comes back by that."""
    sandbox.make_user("ada")
    sandbox.make_user("jane")
    sandbox.make_group("staff", "ada")
    watched.extract()

    edit(sandbox, "ada", active=False)
    sandbox.forget_calls()
    watched.extract("users")
    assert active(watched)["ada"] is False
    watched.directory.deliver()
    assert calls(watched) == {}

    edit(sandbox, "ada", active=True)
    watched.extract()
    assert active(watched)["ada"] is True
    assert members(watched, "staff") == {"ada"}

    sandbox.make_user("new", active=False)
    watched.extract()
    assert active(watched)["new"] is False
    edit(sandbox, "new", active=True)
    watched.extract()
    assert active(watched)["new"] is True

    watched.directory.change_user(records(watched)["jane"].id, active=False)
    watched.directory.deliver()
    watched.age_everything()
    edit(sandbox, "jane", active=True)
    watched.extract()
    assert active(watched)["jane"] is False


def test_who_disappears_is_inactive_after_two_extractions_and_never_made_anew(watched, sandbox):
    """A disappearance is a deprovision; a client that wants the person back is obeyed."""
    for name in ("ada", "bob", "jane"):
        sandbox.make_user(name)
    sandbox.make_group("staff", "ada", "bob")
    watched.extract()
    ada = records(watched)["ada"].id

    sandbox.remove_user("ada")
    watched.extract()
    assert active(watched)["ada"] is True
    watched.extract()
    assert active(watched) == {"ada": False, "bob": True, "jane": True}
    watched.directory.change_user(ada, title="Clerk")
    watched.directory.deliver()
    watched.extract()
    assert sandbox.names() == {"bob", "jane"}

    watched.directory.change_user(ada, active=True)
    watched.directory.deliver()
    watched.age_everything()
    watched.extract()
    assert sandbox.is_active("ada")
    assert active(watched)["ada"] is True


def test_a_new_person_is_never_taken_for_one_who_disappeared(watched, sandbox):
    """Of the same name, with another principal: nothing of what the other had comes to them."""
    for name in ("ada", "bob", "jane"):
        sandbox.make_user(name)
    watched.extract()
    earlier = records(watched)["ada"].id
    engineers = watched.directory.add_group("engineers", earlier)
    watched.directory.deliver()
    watched.age_everything()

    sandbox.remove_user("ada")
    sandbox.make_user("ada")
    for _ in range(3):
        watched.extract()
    watched.directory.deliver()

    new = records(watched)["ada"]
    assert new.id != earlier
    assert new.active
    assert watched.directory.members(engineers) == set()
    assert sandbox.members("engineers") == set()


def test_what_the_bridge_wrote_is_no_news_and_what_a_client_gave_stays(watched, sandbox):
    """A pushed person and group never become the source's, whatever is done to them by hand."""
    jane = watched.directory.add_user("jane")
    group = watched.directory.add_group("engineers", jane)
    watched.directory.deliver()
    watched.age_everything()
    for _ in range(2):
        watched.extract()
    with watched.directory.database.reading() as connection:
        assert connection.execute(tables.sourced.select()).all() == []

    sandbox.leave("engineers", "jane")
    edit(sandbox, "jane", title="King", active=False)
    for _ in range(2):
        watched.extract()

    assert watched.directory.members(group) == {jane}
    assert active(watched) == {"jane": True}
    assert watched.found() == [
        ("engineers", "member-removed"), ("jane", "changed"), ("jane", "disabled"),
    ]  # fmt: skip


def test_a_group_that_disappears_is_ended(watched, sandbox):
    sandbox.make_user("ada")
    sandbox.make_group("staff", "ada")
    sandbox.make_group("crew", "ada")
    watched.extract()

    sandbox.remove_group("staff")
    for _ in range(2):
        watched.extract()
    watched.directory.deliver()

    assert group_named(watched, "staff") == "None"
    assert members(watched, "crew") == {"ada"}
    assert sandbox.groups() == {"crew"}


def test_an_empty_source_is_an_error_and_not_a_mass_leaving(watched, sandbox):
    """Also of a single person: the list says nobody, and nobody leaves."""
    sandbox.make_user("ada")
    watched.extract()

    sandbox.fault("identitystore:ListUsers", empty=True, times=None)
    for _ in range(3):
        assert watched.extract("users")["users"].ending == "empty"

    assert active(watched) == {"ada": True}


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_brake_holds_a_mass_leaving_until_an_operator_decides(assemble, sandbox, decision):
    """Meanwhile nobody is made anew or enabled there, though somebody writes to them.

    Approved, they are inactive; rejected, they stay, and are there again.
    """
    directory: Directory = assemble(naming=Naming(is_source=True), safety=Safety())
    watched = watching(directory, sandbox, source=True)
    names = [f"person{number}" for number in range(16)]
    for name in names:
        sandbox.make_user(name)
    watched.extract()

    for name in names[:4]:
        sandbox.remove_user(name)
    for name in names[4:7]:
        edit(sandbox, name, active=False)
    for _ in range(2):
        watched.extract()
    left = [name for name, is_active in active(watched).items() if not is_active]
    assert len(left) == 5
    waiting = [name for name in names[:7] if name not in left]
    for name in waiting:
        directory.change_user(records(watched)[name].id, title="Clerk")
    directory.deliver()
    assert sandbox.names() == set(names[4:])
    assert not any(sandbox.is_active(name) for name in names[4:7])

    (set_id,) = {loss.set_id for loss in held(directory)}
    getattr(directory.decisions, decision)(set_id)
    directory.deliver()
    for _ in range(2):
        watched.extract("users")

    assert held(directory) == []
    if decision == "approve":
        left += waiting
    assert sorted(name for name, is_active in active(watched).items() if not is_active) == sorted(
        left
    )
    stay = set(names) - set(left)
    assert {name for name in sandbox.names() if sandbox.is_active(name)} == stay


@dataclass
class Both:
    """Somebody at Identity Center and a client of the bridge, who do anything in any order.

    Each changes their own people; the client also puts everybody into its own groups.
    """

    watched: Watched
    chance: random.Random
    hand: list[str] = field(default_factory=list)
    crews: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    serial: Iterator[int] = field(default_factory=itertools.count)

    def act(self) -> None:
        acts: list[Callable[[], Any]]
        acts = [self.hire, self.hire, self.edit, self.switch, self.remove, self.remake]
        acts += [self.crew, self.join, self.leave, self.push, self.change, self.team, self.move]
        acts += [self.watched.extract, self.watched.extract, self.watched.directory.deliver]
        self.chance.choice(acts)()

    def rest(self) -> None:
        """Until everything has come where it belongs."""
        for _ in range(4):
            self.watched.directory.make_everything_due()
            self.watched.directory.deliver()
            self.watched.age_everything()
            self.watched.extract()

    @property
    def sandbox(self) -> Sandbox:
        return self.watched.sandbox

    def there(self) -> list[str]:
        """One of the people made by hand who are there; none if there are none."""
        there = sorted(set(self.hand) & self.sandbox.names())
        return [self.chance.choice(there)] if there else []

    def hire(self) -> None:
        self.hand.append(f"h{next(self.serial)}")
        self.sandbox.make_user(self.hand[-1])

    def edit(self) -> None:
        for name in self.there():
            edit(self.sandbox, name, title=f"T{next(self.serial)}")

    def switch(self) -> None:
        for name in self.there():
            edit(self.sandbox, name, active=self.chance.random() < 0.5)

    def remove(self) -> None:
        for name in self.there():
            self.sandbox.remove_user(name)

    def remake(self) -> None:
        for name in self.there():
            self.sandbox.remove_user(name)
            self.sandbox.make_user(name)

    def crew(self) -> None:
        self.crews.append(f"g{next(self.serial)}")
        self.sandbox.make_group(self.crews[-1], *self.there())

    def join(self) -> None:
        for name in self.there():
            for group in self.crews[-2:]:
                if name not in self.sandbox.members(group):
                    self.sandbox.join(group, name)

    def leave(self) -> None:
        for group in self.crews[-2:]:
            for name in sorted(self.sandbox.members(group))[:1]:
                self.sandbox.leave(group, name)

    def push(self) -> None:
        self.pushed.append(self.watched.directory.add_user(f"c{next(self.serial)}"))

    def change(self) -> None:
        for user in self.pushed[-2:]:
            self.watched.directory.change_user(user, active=self.chance.random() < 0.5)

    def team(self) -> None:
        team = self.watched.directory.add_group(f"k{next(self.serial)}", *self.pushed[:2])
        self.teams.append(team)

    def move(self) -> None:
        people = [row.id for row in records(self.watched).values()]
        for team in self.teams[-2:]:
            if people:
                change = self.chance.choice(["add", "remove"])
                who = [self.chance.choice(people)]
                self.watched.directory.change_members(team, **{change: who})


@pytest.mark.parametrize("seed", [3, 7])
def test_whatever_both_sides_do_it_comes_to_rest_and_goes_in_no_circle(watched, seed):
    """Then another round makes no call and no version, and both sides agree on everybody."""
    both = Both(watched=watched, chance=random.Random(seed))
    for _ in range(30):
        both.act()
    both.rest()

    versions = {name: row.version for name, row in records(watched).items()}
    watched.sandbox.forget_calls()
    watched.extract()
    watched.directory.make_everything_due()
    watched.directory.deliver()

    assert calls(watched) == {}
    assert versions == {name: row.version for name, row in records(watched).items()}
    here = records(watched)
    for user in watched.sandbox.state()["users"]:
        name = user["userName"]
        assert here[name].active == user["active"], name
        assert here[name].document.get("title") == user.get("title"), name
    gone = here.keys() - watched.sandbox.names()
    assert not any(here[name].active for name in gone)
    now_active = {name for name, row in here.items() if row.active}
    for group in both.crews:
        assert members(watched, group) & now_active == watched.sandbox.members(group) & now_active
