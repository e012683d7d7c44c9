"""A directory, a target and what the bridge knows of it, made up by hypothesis for the laws."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import chain, product
from typing import Any, Literal, Self, assert_never

from hypothesis import settings
from hypothesis import strategies as st

from scim_bridge.lifecycle.access import Member, effective_members
from scim_bridge.plan.changes import (
    AddMembers,
    Change,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
    in_order,
)
from scim_bridge.plan.diff import diff_group, diff_user
from scim_bridge.plan.state import (
    NOTHING,
    Attributes,
    Group,
    GroupState,
    TakeAway,
    User,
    UserState,
)
from tests.plan.model import Account, Target, Team, id_of_new

# Timings on a busy machine say nothing about a pure function.
law = settings(deadline=None, max_examples=60)


@dataclass(kw_only=True)
class PersonRecord:
    """A person in the directory, and what the bridge knows of them at the target."""

    id: str
    desired: UserState | None
    applied: UserState | None = None
    principal: str | None = None


@dataclass(kw_only=True)
class GroupRecord:
    """A group in the directory, and what the bridge knows of it at the target."""

    id: str
    # None: deleted.
    attributes: Attributes | None
    # Ids in the directory.
    members: frozenset[str] = frozenset()
    applied: GroupState | None = None
    principal: str | None = None
    take_away: TakeAway = NOTHING
    when_deleted: Literal["empty", "remove"] = "empty"
    created_here: bool = True


@dataclass(kw_only=True)
class World:
    """All three sides at once, and one pass after the other over them."""

    target: Target = field(default_factory=Target)
    people: list[PersonRecord] = field(default_factory=list)
    groups: list[GroupRecord] = field(default_factory=list)

    def copy(self) -> Self:
        return deepcopy(self)

    # -- Planning -------------------------------------------------------

    def plan(self) -> tuple[Change, ...]:
        """The plan for everything, as a dry run shows it."""
        return in_order(
            chain(
                chain.from_iterable(diff_user(self.user(person)) for person in self.people),
                chain.from_iterable(diff_group(self.group(group)) for group in self.groups),
            )
        )

    def user(self, person: PersonRecord) -> User:
        return User(
            id=person.id,
            external_id=person.id,
            desired=person.desired,
            applied=person.applied,
            principal=person.principal,
            observed=self._observed_user(person.principal),
        )

    def group(self, group: GroupRecord) -> Group:
        return Group(
            id=group.id,
            external_id=group.id,
            desired=self._desired_group(group),
            applied=group.applied,
            principal=group.principal,
            observed=self._observed_group(group.principal),
            take_away=group.take_away,
            linked=frozenset(self.links()),
            when_deleted=group.when_deleted,
            created_here=group.created_here,
        )

    def links(self) -> dict[str, PersonRecord]:
        """The people by their principals."""
        return {person.principal: person for person in self.people if person.principal}

    def effective(self, group: GroupRecord) -> Iterator[PersonRecord]:
        """The people who should be in a group now."""
        wanted = effective_members(
            Member(user=person.id, active=person.desired is not None and person.desired.active)
            for person in self.people
            if person.id in group.members
        )
        return (person for person in self.people if person.id in wanted)

    def _desired_group(self, group: GroupRecord) -> GroupState | None:
        if group.attributes is None:
            return None
        members = (person.principal for person in self.effective(group))
        return GroupState(
            attributes=group.attributes,
            members=frozenset(member for member in members if member is not None),
        )

    def _observed_user(self, principal: str | None) -> UserState | None:
        if principal is None:
            return None
        held = self.target.users[principal]
        return UserState(attributes=dict(held.attributes), active=held.active)

    def _observed_group(self, principal: str | None) -> GroupState | None:
        if principal is None:
            return None
        held = self.target.groups[principal]
        return GroupState(attributes=dict(held.attributes), members=frozenset(held.members))

    # -- Applying -------------------------------------------------------

    def make(self, changes: Iterable[Change]) -> None:
        """Make these changes at the target and remember what was applied."""
        for change in changes:
            self._remember(change, self.target.apply(change))

    def lose_the_answer(self, change: Change) -> None:
        """Make a change whose answer never comes; what it created is found by its externalId."""
        principal = self.target.apply(change)
        match change:
            case CreateUser() | CreateGroup():
                self._remember(change, principal)
            case DeleteGroup():
                # The next look finds that it is gone.
                self._remember(change, principal)
            case _:
                pass

    def converge(self) -> list[tuple[Change, ...]]:
        """Plan and apply until nothing differs; returns the plans."""
        plans: list[tuple[Change, ...]] = []
        while plan := self.plan():
            assert len(plans) < 3, f"never ends: {plan}"
            plans.append(plan)
            self.make(plan)
        return plans

    def _remember(self, change: Change, principal: str) -> None:
        match change:
            case CreateUser() | DisableUser() | UpdateUser() | EnableUser():
                person = next(one for one in self.people if one.id == change.user)
                person.principal = principal
                person.applied = _user_after(change, person.applied)
            case DeleteGroup():
                group = next(one for one in self.groups if one.id == change.group)
                group.principal = None
                group.applied = None
            case CreateGroup() | UpdateGroup() | AddMembers() | RemoveMembers():
                group = next(one for one in self.groups if one.id == change.group)
                group.principal = principal
                group.applied = _group_after(change, group.applied)
            case _:
                assert_never(change)


def _user_after(
    change: CreateUser | DisableUser | UpdateUser | EnableUser, applied: UserState | None
) -> UserState:
    before = applied.attributes if applied else {}
    match change:
        case CreateUser():
            return UserState(attributes=change.attributes, active=change.active)
        case DisableUser():
            return UserState(attributes=before, active=False)
        case _:
            return UserState(attributes=_edited(before, change), active=True)


def _group_after(
    change: CreateGroup | UpdateGroup | AddMembers | RemoveMembers, applied: GroupState | None
) -> GroupState:
    before = applied or GroupState(attributes={})
    match change:
        case CreateGroup():
            return GroupState(attributes=change.attributes)
        case UpdateGroup():
            return replace(before, attributes=_edited(before.attributes, change))
        case AddMembers():
            return replace(before, members=before.members | set(change.members))
        case _:
            return replace(before, members=before.members - set(change.members))


def _edited(before: Attributes, change: UpdateUser | EnableUser | UpdateGroup) -> Attributes:
    after = {**before, **change.set}
    return {path: value for path, value in after.items() if path not in change.remove}


# -- What should come of it ------------------------------------------------


def outcome(world: World) -> dict[str, object]:
    """What the target should hold in the end, said one principal at a time (design, section 3)."""
    result = world.target.snapshot()
    for person in world.people:
        result |= _user_in_the_end(world, person)
    for group in world.groups:
        if _is_to_be_deleted(group):
            del result[str(group.principal)]
        else:
            result |= _group_in_the_end(world, group)
    return result


def _user_in_the_end(world: World, person: PersonRecord) -> dict[str, object]:
    desired = person.desired
    if desired is None:
        return {}
    if person.principal is None:
        if not desired.active and person.applied is not None:
            return {}
        return {id_of_new(person.id): (person.id, dict(desired.attributes), desired.active)}
    held = world.target.users[person.principal]
    if not desired.active:
        return {person.principal: (held.external_id, held.attributes, False)}
    given = person.applied.attributes if person.applied else {}
    stays = {path: value for path, value in held.attributes.items() if path not in given}
    return {person.principal: (held.external_id, {**stays, **desired.attributes}, True)}


def _is_to_be_deleted(group: GroupRecord) -> bool:
    deleted = group.attributes is None and group.principal is not None
    return deleted and group.when_deleted == "remove" and group.created_here


def _group_in_the_end(world: World, group: GroupRecord) -> dict[str, object]:
    wanted = {person.principal or id_of_new(person.id) for person in world.effective(group)}
    if group.principal is None:
        if group.attributes is None:
            return {}
        return {id_of_new(group.id): (group.id, dict(group.attributes), frozenset(wanted))}
    held = world.target.groups[group.principal]
    stays = {member for member in held.members if not is_ours_to_take(world, group, member)}
    if group.attributes is None:
        return {group.principal: (held.external_id, held.attributes, frozenset(stays))}
    attributes = {**held.attributes, **group.attributes}
    return {group.principal: (held.external_id, attributes, frozenset(stays | wanted))}


def is_ours_to_take(world: World, group: GroupRecord, member: str) -> bool:
    """Whether the bridge may take out a member whom nobody wants there (design, section 3)."""
    words = group.take_away
    put_there_by_the_bridge = group.applied is not None and member in group.applied.members
    replaced_as_a_whole = words.linked and member in world.links()
    return put_there_by_the_bridge or words.everyone or replaced_as_a_whole or member in words.named


# -- Strategies ------------------------------------------------------------

DEPARTMENT = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
OPTIONAL: dict[str, tuple[object, ...]] = {
    "title": ("Countess", "Analyst"),
    DEPARTMENT: ("Engines",),
    "emails": ([{"value": "a@example.com", "primary": True}],),
}


# Each choice is one draw from what is written out beforehand, which keeps the laws fast.


def attributes_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """A user's attributes: a name nobody else has, and others that are there or not."""
    names = [("userName", name), ("userName", f"{name}-before")]
    others = [[None, *((path, value) for value in values)] for path, values in OPTIONAL.items()]
    return st.sampled_from(
        [dict(pair for pair in chosen if pair is not None) for chosen in product(names, *others)]
    )


def user_states(name: str) -> st.SearchStrategy[UserState]:
    return st.builds(UserState, attributes=attributes_of(name), active=st.booleans())


def group_attributes_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([{"displayName": name}, {"displayName": f"{name} (old)"}])


def some_of(ids: Iterable[str]) -> st.SearchStrategy[frozenset[str]]:
    """Any of these, each as likely in as out."""
    ordered = sorted(ids)
    return st.integers(0, 2 ** len(ordered) - 1).map(
        lambda bits: frozenset(one for place, one in enumerate(ordered) if bits >> place & 1)
    )


def take_aways(linked: Iterable[str]) -> st.SearchStrategy[TakeAway]:
    """Nobody's words, a DELETE, a whole replace, removals by name, or several of them."""
    named = some_of(linked)
    return st.one_of(
        st.builds(TakeAway, named=named),
        st.builds(TakeAway, named=named, linked=st.just(True)),
        st.builds(TakeAway, named=named, linked=st.booleans(), everyone=st.just(True)),
    )


# Most are linked: what is not has fewer ways to go wrong.
mostly = st.sampled_from([True, True, True, False])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A few people and groups in every state they can be in, and strangers at the target."""
    world = World()
    for number in range(draw(st.integers(0, 2))):
        stranger = Account(external_id=None, attributes={"userName": f"x{number}"}, active=True)
        world.target.users[f"stranger-{number}"] = stranger
    for number in range(draw(st.integers(0, 3))):
        _add_person(draw, world, f"u{number}")
    for number in range(draw(st.integers(0, 2))):
        _add_group(draw, world, f"g{number}")
    return world


def _add_person(draw: st.DrawFn, world: World, name: str) -> None:
    person = PersonRecord(
        id=name,
        desired=draw(st.none() | user_states(name)),
        applied=draw(st.none() | user_states(name)),
    )
    if draw(mostly):
        person.principal = f"linked-{name}"
        world.target.users[person.principal] = Account(
            external_id=draw(st.sampled_from([name, None])),
            attributes=dict(draw(attributes_of(name))),
            active=draw(st.booleans()),
        )
    world.people.append(person)


def _add_group(draw: st.DrawFn, world: World, name: str) -> None:
    group = GroupRecord(
        id=name,
        attributes=draw(st.none() | group_attributes_of(name)),
        members=draw(some_of(person.id for person in world.people)),
        take_away=draw(take_aways(world.links())),
        when_deleted=draw(st.sampled_from(["empty", "remove"])),
        created_here=draw(st.booleans()),
    )
    if draw(mostly):
        group.principal = f"linked-{name}"
        world.target.groups[group.principal] = Team(
            external_id=name,
            attributes=dict(draw(group_attributes_of(name))),
            members=set(draw(some_of(world.target.users))),
        )
        group.applied = draw(st.none() | group_states(name, world.links()))
    world.groups.append(group)


def group_states(name: str, members: Iterable[str]) -> st.SearchStrategy[GroupState]:
    return st.builds(GroupState, attributes=group_attributes_of(name), members=some_of(members))
