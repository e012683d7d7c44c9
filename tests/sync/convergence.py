"""What should Identity Center hold in the end? What clients do, as values, and a model of it.

The model shares nothing with the bridge. It knows the words of the clients, in their order, and
what was done at Identity Center by hand; nothing of marks, leases, calls and faults.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal, assert_never

from hypothesis import strategies as st

PEOPLE = ("ann", "bob")
GROUPS = ("red", "blue", "green")
# Made by hand at Identity Center: the directory knows neither.
STRANGER = "stranger"
OUTSIDE = "outside"

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# -- What a client does --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Hire:
    """POST of a user: a new one, or one who was deleted before."""

    name: str
    attributes: Mapping[str, Any]
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class Change:
    """PUT or PATCH of a user. An attribute that is None is removed; `active` None is not meant."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    active: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Leave:
    """DELETE of a user."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """POST of a group: a new one, or one that was deleted before."""

    group: str
    members: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Rename:
    """PATCH of a group's name."""

    group: str
    to: str


@dataclass(frozen=True, kw_only=True)
class Move:
    """PATCH of a group that names who joins and who goes."""

    group: str
    join: frozenset[str]
    go: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Replace:
    """PUT of a group, or a PATCH that states its whole list of members."""

    group: str
    members: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Dissolve:
    """DELETE of a group."""

    group: str


Act = Hire | Change | Leave | Found | Rename | Move | Replace | Dissolve

people = st.sampled_from(PEOPLE)
groups = st.sampled_from(GROUPS)
_some_people = st.frozensets(people, max_size=2)
_attributes = st.fixed_dictionaries(
    {},
    optional={
        "displayName": st.sampled_from(["Ace", "Bee"]),
        "title": st.sampled_from([None, "Analyst", "Boss"]),
        "department": st.sampled_from([None, "Sales"]),
        # Identity Center takes it and never shows it.
        "profileUrl": st.sampled_from([None, "https://a.example.org", "https://b.example.org"]),
        # Which of the two addresses that a person may have.
        "email": st.sampled_from([None, 0, 1]),
        "manager": st.none() | people,
    },
)
hires = st.builds(
    Hire, name=people, attributes=_attributes, active=st.sampled_from([True, True, False])
)
edits = st.builds(Change, name=people, attributes=_attributes)
activations = st.builds(
    Change, name=people, attributes=st.just({}) | _attributes, active=st.booleans()
)
leaves = st.builds(Leave, name=people)
foundings = st.builds(Found, group=groups, members=_some_people)
renames = st.builds(Rename, group=groups, to=groups)
moves = st.builds(Move, group=groups, join=_some_people, go=_some_people)
replacements = st.builds(Replace, group=groups, members=_some_people)
dissolutions = st.builds(Dissolve, group=groups)
acts = st.one_of(
    hires, edits, activations, leaves, foundings, renames, moves, replacements, dissolutions
)

# -- The model -----------------------------------------------------------------------------

# Of a membership that was made by hand:
#   stays   until a client's words take it away
#   leaves  its person left or was deactivated; if they are back before that was delivered, it may
#           still be there
#   goes    a client's words took it away
#   may     it came while something else was on its way: nobody can say
ByHand = Literal["stays", "leaves", "goes", "may"]


@dataclass(kw_only=True)
class Person:
    """A person with one user name, through all their records."""

    record: str
    live: bool
    active: bool
    attributes: dict[str, Any]
    # Every value that an attribute ever had, as text: what is inactive gets no update.
    had: dict[str, set[str]] = field(default_factory=dict)
    # The groups they were put into while they were inactive.
    given_since: set[str] = field(default_factory=set)

    @property
    def effective(self) -> bool:
        return self.live and self.active


@dataclass(kw_only=True)
class Team:
    """A group of the directory, live or deleted."""

    record: str
    name: str
    live: bool = True
    members: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


class Model:
    """What the directory holds, and what Identity Center should.

    `restores`: who is reactivated returns to the memberships they had. `own_addresses`: no two
    people ever have the same e-mail address.
    """

    def __init__(self, *, restores: bool, own_addresses: bool) -> None:
        self.restores = restores
        self.own_addresses = own_addresses
        self.people: dict[str, Person] = {}
        self.teams: dict[str, Team] = {}
        # By the record of the group (or `OUTSIDE`) and the name of the person.
        self.by_hand: dict[tuple[str, str], ByHand] = {}
        # The person of every record there ever was.
        self.person_of: dict[str, str] = {}

    # -- What may be done -------------------------------------------------------

    def fitted(self, act: Act) -> Act | None:
        """The nearest act that a client can do, and may expect to reach Identity Center.

        It is about other people or another group if those that were named cannot be meant.
        """
        match act:
            case Hire():
                return self._with_name(act, [one for one in PEOPLE if not self.is_live(one)])
            case Change() | Leave():
                return self._with_name(act, [one for one in PEOPLE if self.is_live(one)])
            case Found():
                free = [one for one in GROUPS if self.team(one) is None]
                return self._with_group(act, free)
            case Rename() | Move() | Replace() | Dissolve():
                live = [one for one in GROUPS if self.team(one) is not None]
                return self._with_group(act, live)
            case _:
                assert_never(act)

    def _with_name(self, act: Hire | Change | Leave, names: list[str]) -> Act | None:
        if not names:
            return None
        named = replace(act, name=act.name if act.name in names else names[0])
        if isinstance(named, Leave) or self._address_is_free(named):
            return named
        others = {name: value for name, value in named.attributes.items() if name != "email"}
        return replace(named, attributes=others)

    def _with_group(
        self, act: Found | Rename | Move | Replace | Dissolve, names: list[str]
    ) -> Act | None:
        if not names:
            return None
        named = replace(act, group=act.group if act.group in names else names[0])
        live = frozenset(filter(self.is_live, PEOPLE))
        match named:
            case Found() | Replace():
                return replace(named, members=named.members & live)
            case Move():
                return replace(named, join=named.join & live, go=named.go & live)
            case Rename():
                team = self.team(named.group)
                return named if team and self._name_is_free(team, named.to) else None
            case Dissolve():
                return named
            case _:
                assert_never(named)

    def is_live(self, name: str) -> bool:
        return name in self.people and self.people[name].live

    def team(self, name: str) -> Team | None:
        """The live group of a name."""
        return next((team for team in self.teams.values() if team.live and team.name == name), None)

    def attributes(self, act: Hire | Change) -> dict[str, Any]:
        """The attributes that are set, with the address and the manager's record in full."""
        given = dict(act.attributes)
        if given.get("email") is not None:
            given["email"] = self._address(act.name, given["email"])
        if given.get("manager") is not None:
            manager = self.people.get(given["manager"])
            given["manager"] = manager.record if manager else None
        return given

    def _address(self, name: str, number: int) -> str:
        whose = name if self.own_addresses else "shared"
        return f"{whose}{number}@example.org"

    def _address_is_free(self, act: Hire | Change) -> bool:
        email = self.attributes(act).get("email")
        others = (person for name, person in self.people.items() if name != act.name)
        return email is None or all(
            person.attributes.get("email") != email for person in others if person.live
        )

    def _name_is_free(self, team: Team, name: str) -> bool:
        """Whether a group can be renamed to it.

        A deleted group keeps its name at Identity Center, where nobody else can have it; and two
        groups that swap their names in one go would wait for each other.
        """
        holders = [other for other in self.teams.values() if name in other.names]
        return name != team.name and all(
            other is team or (other.live and other.name not in {name, *team.names})
            for other in holders
        )

    # -- What was done ------------------------------------------------------------

    def learn(self, act: Act, *, record: str | None = None) -> None:
        """A client did something, and it was committed. `record`: the id of what is new."""
        match act:
            case Hire():
                self._hired(act, str(record))
            case Change():
                self._changed(act)
            case Leave():
                self._left(self.people[act.name], act.name)
            case Found():
                self._founded(act, str(record))
            case Rename():
                self._live(act.group).names.add(act.to)
                self._live(act.group).name = act.to
            case Move():
                self._moved(act)
            case Replace():
                self._replaced(act)
            case Dissolve():
                self._dissolved(self._live(act.group))
            case _:
                assert_never(act)

    def _live(self, name: str) -> Team:
        team = self.team(name)
        assert team is not None
        return team

    def _hired(self, act: Hire, record: str) -> None:
        given, earlier = self.attributes(act), self.people.get(act.name)
        person = Person(record=record, live=True, active=act.active, attributes={})
        person.had = earlier.had if earlier else {}
        self.people[act.name], self.person_of[record] = person, act.name
        self._set(person, {"displayName": act.name.title(), **given})

    def _changed(self, act: Change) -> None:
        person = self.people[act.name]
        self._set(person, self.attributes(act))
        if act.active is None or act.active == person.active:
            return
        person.active = act.active
        if act.active:
            self._returned(person, act.name)
        else:
            person.given_since.clear()
            self._taken("leaves", {pair for pair in self.by_hand if pair[1] == act.name})

    def _set(self, person: Person, given: Mapping[str, Any]) -> None:
        person.attributes.update(given)
        for name in ATTRIBUTES:
            person.had.setdefault(name, set()).add(str(person.attributes.get(name)))

    def _returned(self, person: Person, name: str) -> None:
        for pair, standing in self.by_hand.items():
            if pair[1] == name and standing == "leaves":
                self.by_hand[pair] = "may"
        if not self.restores:
            for team in self.teams.values():
                if team.record not in person.given_since:
                    team.members.discard(name)

    def _left(self, person: Person, name: str) -> None:
        person.live = False
        for team in self.teams.values():
            team.members.discard(name)
        self._taken("goes", {pair for pair in self.by_hand if pair[1] == name})

    def _founded(self, act: Found, record: str) -> None:
        names = {act.group}
        for old in self._deleted_with(act.group):
            names |= self.teams.pop(old.record).names
            for pair in [pair for pair in self.by_hand if pair[0] == old.record]:
                self.by_hand[record, pair[1]] = self.by_hand.pop(pair)
        team = Team(record=record, name=act.group, names=names)
        self.teams[record] = team
        self._joined(team, act.members)

    def _deleted_with(self, name: str) -> list[Team]:
        return [team for team in self.teams.values() if not team.live and team.name == name]

    def _moved(self, act: Move) -> None:
        team = self._live(act.group)
        self._joined(team, act.join - act.go)
        team.members -= act.go
        self._taken("goes", {(team.record, name) for name in act.go})

    def _replaced(self, act: Replace) -> None:
        team = self._live(act.group)
        self._joined(team, act.members)
        team.members &= act.members
        self._taken("goes", {(team.record, name) for name in PEOPLE if name not in act.members})

    def _joined(self, team: Team, names: Iterable[str]) -> None:
        for name in set(names) - team.members:
            team.members.add(name)
            self.people[name].given_since.add(team.record)

    def _dissolved(self, team: Team) -> None:
        team.live = False
        team.members.clear()
        self._taken("goes", {pair for pair in self.by_hand if pair[0] == team.record})

    def _taken(self, how: Literal["leaves", "goes"], pairs: set[tuple[str, str]]) -> None:
        for pair in pairs & self.by_hand.keys():
            if self.by_hand[pair] != "goes":
                self.by_hand[pair] = how

    def may_be_refused(self, act: Act) -> bool:
        """Whether the model can tell what is left of it: who returns too late loses for good."""
        return self.restores or not (isinstance(act, Change) and act.active)

    def after_refusal(self, act: Act, after: "Model") -> "Model":
        """This model, to which `act` led and was undone. `after` is what it had led to."""
        match act:
            case Hire() if act.name in self.people:
                # What was linked to the earlier record is linked to the one that was undone.
                record = after.people[act.name].record
                self.people[act.name].record = record
                self.person_of[record] = act.name
            case Change() if act.active:
                pairs = {pair for pair in self.by_hand if pair[1] == act.name}
                self._taken("leaves", pairs)
            case _:
                pass
        return self

    def rest(self, state: Mapping[str, Any]) -> None:
        """Everything has arrived at Identity Center, which holds this: doubts are over."""
        center, names = Held.read(state), {OUTSIDE: OUTSIDE}
        for team in self.teams.values():
            if team.live:
                team.names = {team.name}
                names[team.record] = team.name
        self.by_hand = {
            (record, name): "stays"
            for (record, name), standing in self.by_hand.items()
            if standing in ("stays", "may") and name in center.members[names[record]]
        }

    # -- What should be -----------------------------------------------------------

    def differences(self, state: Mapping[str, Any]) -> list[str]:
        """In which ways the state of Identity Center is not what it should be, in words."""
        center = Held.read(state)
        return list(
            chain(
                self._wrong_people(center), self._wrong_groups(center), self._wrong_members(center)
            )
        )

    def _wrong_people(self, center: "Held") -> Iterable[str]:
        if unknown := center.users.keys() - self.people.keys() - {STRANGER}:
            yield f"nobody asked for {sorted(unknown)}"
        for name, person in self.people.items():
            if name not in center.users:
                if person.live:
                    yield f"{name} is missing"
                continue
            held = center.users[name]
            if held["active"] != person.effective:
                yield f"{name} is {'enabled' if held['active'] else 'disabled'}"
            for attribute in ATTRIBUTES:
                shown = held.get(attribute)
                if shown not in self._acceptable(person, attribute, center):
                    yield f"{name} has {attribute} {shown!r}, not {person.attributes!r}"

    def _acceptable(self, person: Person, attribute: str, center: "Held") -> set[str | None]:
        """What an attribute may be. Who is inactive keeps what they had when they became so.

        But an address that somebody else needs; and a manager who was not there yet may be missing.
        """
        wanted = {person.attributes.get(attribute)}
        if not person.effective:
            wanted = {None if value == "None" else value for value in person.had[attribute]}
            wanted |= {None} if attribute in ("email", "manager") else set()
        if attribute != "manager":
            return wanted
        return {one for record in wanted for one in self._principals(record, center)}

    def _principals(self, record: str | None, center: "Held") -> set[str | None]:
        """Which principal a manager is: of an earlier record it may be forgotten."""
        name = self.person_of.get(record or "")
        principal = center.ids.get(name or "")
        latest = name is not None and self.people[name].record == record
        return {principal} if latest else {principal, None}

    def _wrong_groups(self, center: "Held") -> Iterable[str]:
        for team in self.teams.values():
            if team.live and team.name not in center.members:
                yield f"the group {team.name} is missing"
        known = set(chain.from_iterable(team.names for team in self.teams.values()))
        if unknown := center.members.keys() - known - {OUTSIDE}:
            yield f"nobody asked for the groups {sorted(unknown)}"

    def _wrong_members(self, center: "Held") -> Iterable[str]:
        live = {team.name: team for team in self.teams.values() if team.live}
        for group, members in center.members.items():
            team = live.get(group)
            record = OUTSIDE if group == OUTSIDE else team.record if team else None
            for name in (*PEOPLE, STRANGER):
                given = team is not None and name in team.members and self.people[name].effective
                by_hand = self.by_hand.get((record or "", name))
                if not given and by_hand == "may":
                    continue
                if (name in members) != (given or by_hand == "stays"):
                    yield (
                        f"{name} is {'' if name in members else 'not '}in {group} "
                        f"(given: {given}, by hand: {by_hand})"
                    )


# -- What Identity Center holds ------------------------------------------------------------

ATTRIBUTES = ("displayName", "title", "department", "profileUrl", "email", "manager")


@dataclass(frozen=True, kw_only=True)
class Held:
    """The state of the sandbox by names: its users, and who is in which group."""

    users: Mapping[str, Mapping[str, Any]]
    ids: Mapping[str, str]
    members: Mapping[str, set[str]]

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> "Held":
        names = {user["id"]: user["userName"] for user in state["users"]}
        members: dict[str, set[str]] = {group["id"]: set() for group in state["groups"]}
        for membership in state["memberships"]:
            members[membership["groupId"]].add(names[membership["userId"]])
        return cls(
            users={user["userName"]: _flat(user) for user in state["users"]},
            ids={name: user_id for user_id, name in names.items()},
            members={group["displayName"]: members[group["id"]] for group in state["groups"]},
        )


def _flat(user: Mapping[str, Any]) -> dict[str, Any]:
    post = user.get(ENTERPRISE, {})
    return {
        **{name: user.get(name) for name in ("active", "displayName", "title", "profileUrl")},
        "department": post.get("department"),
        "manager": post.get("manager", {}).get("value"),
        "email": next((email["value"] for email in user.get("emails", [])), None),
    }


def scim(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """All attributes of a person as SCIM names them, the absent ones as None."""
    email, manager = attributes.get("email"), attributes.get("manager")
    post = {
        "department": attributes.get("department"),
        "manager": {"value": manager} if manager else None,
    }
    return {
        **{name: attributes.get(name) for name in ("displayName", "title", "profileUrl")},
        "emails": [{"value": email}] if email else None,
        ENTERPRISE: post if any(post.values()) else None,
    }
