"""Which group is in which, and who is in them: as rows, and by statements over any graph."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, true

from scim_bridge.directory import nesting, tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.errors import OperatorError
from scim_bridge.settings import Groups
from tests.directory.population import GROUP, add_group, add_user

NODES = "abcdef"
EDGES = st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=12)


def reached(edges: set[tuple[str, str]], start: str) -> set[str]:
    """What a walk along the edges comes to, itself included, in plain Python."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += [inner for outer, inner in edges if outer == one]
    return found


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(EDGES, EDGES)
def test_a_statement_finds_what_a_walk_over_the_graph_finds(
    database: Database, edges: set[tuple[str, str]], ended: set[tuple[str, str]]
) -> None:
    """Inwards, outwards and for all at once; a circle does no harm, and what ended is over."""
    _make(database, edges, ended)
    inside = {one: reached(edges, one) for one in NODES}
    turned = {(inner, outer) for outer, inner in edges}
    around = {one: reached(turned, one) for one in NODES}

    for one in NODES:
        assert set(nesting.people(database, [one])) == {f"person-{each}" for each in inside[one]}
        assert set(nesting.outer_groups(database, [one])) == around[one] - {one}
        with database.reading() as connection:
            found = set(connection.scalars(nesting.groups_with(f"person-{one}")))
            paths = nesting.Paths(database, nesting.CURRENT)
        assert found == around[one]
        assert paths.outward(one).keys() == around[one] - {one}
    inherited = nesting.inherited_groups(database, [f"person-{one}" for one in NODES])
    for one in NODES:
        theirs = {each.group_id for each in inherited.get(f"person-{one}", ())}
        assert theirs - {one} == around[one] - {one}
    assert _pairs(database) == {(one, each) for one in NODES for each in inside[one]}


def _make(database: Database, edges: set[tuple[str, str]], ended: set[tuple[str, str]]) -> None:
    groups, users = tables.groups.c, tables.users.c
    row: Mapping[str, Any] = {
        "document": {}, "created": 1, "last_modified": 1, "version": 1,
    }  # fmt: skip
    origin = {"origin": "client:hr", "valid_from": 1}
    with database.transaction() as connection:
        for table in (tables.groups, tables.users, tables.memberships, tables.nestings):
            connection.execute(delete(table))
        for one in NODES:
            name = {groups.display_name.name: one, groups.display_name_folded.name: one}
            connection.execute(insert(tables.groups).values(id=one, **name, **row))
            known = {users.user_name.name: one, users.user_name_folded.name: one}
            connection.execute(
                insert(tables.users).values(id=f"person-{one}", active=True, **known, **row)
            )
            connection.execute(
                insert(tables.memberships).values(group_id=one, member_id=f"person-{one}", **origin)
            )
        for outer, inner in edges:
            connection.execute(
                insert(tables.nestings).values(group_id=outer, inner_id=inner, **origin)
            )
        for outer, inner in ended:
            connection.execute(
                insert(tables.nestings).values(group_id=outer, inner_id=inner, valid_to=2, **origin)
            )


def _pairs(database: Database) -> set[tuple[str, str]]:
    """Who is in which group, asked of all at once."""
    groups, users = tables.groups, tables.users
    every_pair = groups.join(users, true())
    query = (
        select(groups.c.id, users.c.id)
        .select_from(every_pair)
        .where(nesting.is_member(groups.c.id, users.c.id))
    )
    with database.reading() as connection:
        return {(one, person.removeprefix("person-")) for one, person in connection.execute(query)}


@pytest.fixture
def flat(resources: Resources) -> Resources:
    resources.nested = "flatten"
    return resources


def nestings(resources: Resources) -> list[tuple[str, str, bool]]:
    with resources.database.reading() as connection:
        rows = connection.execute(select(tables.nestings).order_by(tables.nestings.c.id)).all()
    return [(row.group_id, row.inner_id, row.valid_to is None) for row in rows]


def test_a_nesting_that_ended_keeps_its_row(flat: Resources) -> None:
    """History is rows; to put a group where it is already begins none."""
    inner, outer = add_group(flat, "Inner").id, add_group(flat, "Outer").id
    flat.change_members(outer, add=[inner])
    flat.change_members(outer, add=[inner])
    flat.change_members(outer, remove=[inner])
    flat.change_members(outer, add=[inner])

    assert nestings(flat) == [(outer, inner, False), (outer, inner, True)]


def test_a_refused_write_takes_its_nestings_back(flat: Resources) -> None:
    """As it does with memberships: row by row."""
    told = []
    flat.written = told.append
    ada = add_user(flat, "ada").id
    inner, outer = add_group(flat, "Inner", ada).id, add_group(flat, "Outer").id
    flat.change_members(outer, add=[inner])

    undone = flat.undo(told[-1])

    assert undone is not None
    assert (undone.unnested, undone.let_go) == ((inner,), (ada,))
    assert nestings(flat) == [(outer, inner, False)]


def test_nestings_are_not_left_over_when_groups_are_to_be_skipped(flat: Resources) -> None:
    """The bridge does not start with them: nobody would stand for the access they give."""
    inner, outer = add_group(flat, "Inner").id, add_group(flat, "Outer").id
    flat.change_members(outer, add=[inner])
    nesting.check(flat.database, Groups(nested="flatten"))
    with pytest.raises(OperatorError, match="scim-bridge unnest"):
        nesting.check(flat.database, Groups())

    assert flat.unnest() == 1

    nesting.check(flat.database, Groups())
    assert flat.get(GROUP, outer).members is None  # type: ignore[attr-defined]
