"""Filters and sorting in SQL mean what scim2-models means in memory."""

import re
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import (
    EnterpriseUser,
    Group,
    InvalidFilterException,
    ScimFilter,
    SearchRequest,
    User,
)
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    Not,
    Present,
    ValuePath,
)
from sqlalchemy import event, func, select

from scim_bridge.directory import filters, kinds, tables
from scim_bridge.directory.plain_searches import plain_search
from scim_bridge.directory.resources import Resources
from tests.conftest import Fresh
from tests.directory.population import (
    ENTERPRISE,
    GROUP,
    USER,
    add_group,
    add_user,
    emails,
    everyone,
    fill,
    names,
    request,
    stored_in,
    texts,
    types,
    users,
)
from tests.plans import reads_all, steps

Person = User[EnterpriseUser]

TEXT_OPERATORS = list(CompareOperator)
EQUALITY = [CompareOperator.eq, CompareOperator.ne]
times = st.sampled_from(["2000-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00"])
certificates = st.sampled_from(["YWI=", "YWJj", "eg=="])
nulls_or_flags = st.sampled_from([None, True, False])

# What can be asked of a user: the attribute, its operators and its operands.
ASKED: list[tuple[str, list[CompareOperator], Any]] = [
    *((name, TEXT_OPERATORS, texts | st.none()) for name in (
        "id", "externalId", "userName", "displayName", "title", "nickName", "name.givenName",
        "name.familyName", "phoneNumbers", "phoneNumbers.display", "roles.value", "emails.display",
        "addresses.locality", "emails.type", "groups", "groups.display", "groups.type", "schemas",
        "meta.resourceType", "meta.version", f"{ENTERPRISE}:department",
        f"{ENTERPRISE}:manager.value", "username", "NAME.familyname",
    )),
    ("emails", EQUALITY, emails | st.none()),
    ("emails.value", EQUALITY, emails | st.none()),
    ("emails", [CompareOperator.co, CompareOperator.sw, CompareOperator.ew], texts),
    ("active", EQUALITY, nulls_or_flags),
    ("emails.primary", EQUALITY, nulls_or_flags),
    ("x509Certificates.value", EQUALITY, certificates | st.none()),
    ("meta.created", [op for op in CompareOperator if op not in ("co", "sw", "ew")], times),
    ("meta.lastModified", TEXT_OPERATORS[2:5], texts),
    ("name", TEXT_OPERATORS, texts | st.none()),
    ("addresses", TEXT_OPERATORS, texts | st.none()),
]  # fmt: skip
PRESENT = [
    "id", "title", "active", "name", "name.familyName", "emails", "emails.value", "emails.type",
    "emails.primary", "addresses", "roles", "groups", "groups.display", "schemas", "meta",
    "meta.created", "externalId", f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager",
    "x509Certificates", "noSuchThing",
]  # fmt: skip
# Inside "emails[…]" and the like.
ENTRY: list[tuple[str, list[CompareOperator], Any]] = [
    ("display", TEXT_OPERATORS, texts | st.none()),
    ("type", TEXT_OPERATORS, types),
    ("primary", EQUALITY, nulls_or_flags),
    ("value", [CompareOperator.co, CompareOperator.sw, CompareOperator.ew], texts),
]


def path(name: str) -> AttrPath:
    uri, _, rest = name.rpartition(":")
    attr, _, sub = rest.partition(".")
    return AttrPath(attr=attr, sub_attr=sub or None, uri=uri or None)


@st.composite
def comparisons(draw: st.DrawFn, asked: list[tuple[str, list[CompareOperator], Any]]) -> FilterNode:
    name, operators, operands = draw(st.sampled_from(asked))
    return Comparison(path(name), draw(st.sampled_from(operators)), draw(operands))


def combined(leaves: st.SearchStrategy[FilterNode]) -> st.SearchStrategy[FilterNode]:
    return st.recursive(
        leaves,
        lambda inner: (
            inner.map(Not)
            | st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1])
            | st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1])
        ),
        max_leaves=4,
    )


def presence(*present: str) -> st.SearchStrategy[FilterNode]:
    return st.sampled_from(present).map(path).map(Present)


value_paths = st.builds(
    ValuePath,
    st.sampled_from(["emails", "phoneNumbers", "roles"]).map(path),
    combined(comparisons(ENTRY) | presence("value", "type", "primary", "noSuchThing")),
)
group_paths = st.builds(
    ValuePath,
    st.just(path("groups")),
    combined(
        comparisons(
            [
                ("value", TEXT_OPERATORS, texts),
                ("display", TEXT_OPERATORS, texts),
                ("type", TEXT_OPERATORS, texts | st.sampled_from(["direct", "indirect"])),
            ]
        )
    ),
)
schema_paths = st.builds(
    ValuePath,
    st.just(path("schemas")),
    combined(
        comparisons(
            [
                (
                    "value",
                    TEXT_OPERATORS,
                    texts | st.sampled_from([None, ENTERPRISE.upper(), 5, True]),
                )
            ]
        )
        | presence("value", "other")
    ),
)
questions = combined(
    comparisons(ASKED) | presence(*PRESENT) | value_paths | group_paths | schema_paths
)
people = st.lists(users, min_size=1, max_size=5)
teams = st.lists(st.tuples(names, st.lists(st.integers(0, 6), max_size=4)), max_size=3)


def matching(resources: Resources, asked: str) -> set[str | None]:
    return {each.id for each in resources.search([USER], request(Person, filter=asked)).resources}


@given(people=people, teams=teams, asked=st.lists(questions, min_size=15, max_size=15))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_a_filter_keeps_what_the_evaluator_of_scim2_models_keeps(
    fresh: Fresh, people: Any, teams: Any, asked: list[FilterNode]
) -> None:
    """Every operator, over every kind of attribute, as `ScimFilter.match` (RFC 7644 §3.4.2.2)."""
    with stored_in(fresh) as resources:
        fill(resources, people, teams)
        stored = everyone(resources)
        with resources.reading():
            for node in asked:
                scim_filter: Any = ScimFilter[Person](node)  # type: ignore[valid-type]
                compiled = filters.condition(scim_filter, Person, tables.users)
                query = tables.users.select().where(compiled)
                found = {row.id for row in resources.database.connection.execute(query)}
                assert found == {each.id for each in stored if scim_filter.match(each)}, str(node)


SORTS = [
    "id", "userName", "displayName", "title", "name.familyName", "active", "emails", "emails.type",
    "emails.primary", "roles.display", "phoneNumbers", "addresses.country", "groups",
    "groups.display", "schemas", "meta.created", "meta.version", "meta.resourceType",
    "externalId", f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value",
]  # fmt: skip


def in_memory(search: SearchRequest[Any], stored: list[Any]) -> list[str]:
    """The order that the in-memory storage of scim2-server gives: by value, then by id."""

    def key(resource: Any) -> tuple[bool, Any, str]:
        value = search.sort_value(resource)
        return value is None, "" if value is None else value, resource.id

    descending = search.sort_order == SearchRequest.SortOrder.descending
    return [each.id for each in sorted(stored, key=key, reverse=descending)]


@given(people=people, teams=teams, sort_by=st.lists(st.sampled_from(SORTS), min_size=6, max_size=6))
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
def test_a_sorted_search_has_the_order_of_scim2_models(
    fresh: Fresh, people: Any, teams: Any, sort_by: list[str]
) -> None:
    """By the primary or first value, missing values last when ascending (RFC 7644 §3.4.2.3)."""
    with stored_in(fresh) as resources, resources.operation():
        fill(resources, people, teams)
        stored = everyone(resources)
        for name in sort_by:
            for sort_order in ("ascending", "descending"):
                search = request(Person, sort_by=name, sort_order=sort_order)
                found = [each.id for each in resources.search([USER], search).resources]
                assert found == in_memory(search, stored), (name, sort_order)


@given(
    people=people,
    teams=teams,
    sort_by=st.sampled_from([*SORTS, None]),
    sort_order=st.sampled_from(["ascending", "descending"]),
    count=st.integers(1, 3),
)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_cursors_walk_the_collection_forward_and_back(
    fresh: Fresh, people: Any, teams: Any, sort_by: str | None, sort_order: str, count: int
) -> None:
    """Each resource is on one page, in order, and the way back has the same pages (RFC 9865)."""
    with stored_in(fresh) as resources, resources.operation():
        fill(resources, people, teams)
        sorting = {"sort_by": sort_by, "sort_order": sort_order} if sort_by else {}
        search = request(Person, Group, cursor="", count=count, **sorting)
        whole = [
            each.id
            for each in resources.search([USER, GROUP], request(Person, Group, **sorting)).resources
        ]
        pages = [resources.search([USER, GROUP], search)]
        while pages[-1].next is not None:
            pages.append(resources.search([USER, GROUP], search, position=pages[-1].next))
        assert [each.id for page in pages for each in page.resources] == whole
        assert {page.total for page in pages} == {len(whole)}
        back = [pages[-1]]
        while back[-1].previous is not None:
            back.append(resources.search([USER, GROUP], search, position=back[-1].previous))
        assert [[each.id for each in page.resources] for page in reversed(back)] == [
            [each.id for each in page.resources] for page in pages
        ]


@given(people=people, teams=teams)
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_groups_are_found_by_their_members_and_names(fresh: Fresh, people: Any, teams: Any) -> None:
    """`members` is filtered as if the members were in the resource, groups in it as well."""
    with stored_in(fresh) as resources, resources.operation():
        fill(resources, people, teams)
        stored = everyone(resources, GROUP)
        some_id = everyone(resources)[0].id
        inner = next((one.id for one in stored), "none")
        for asked in (
            f'members.value eq "{inner}"',
            'members.type eq "Group"',
            'members[type eq "Group" and value pr]',
            f'members eq "{some_id}"',
            f'members.value ne "{some_id}"',
            f'members[value eq "{some_id}" and type eq "user"]',
            f'not (members.value eq "{some_id}")',
            "members pr",
            "members.display pr",
            "members.value eq null",
            'members.type co "SE"',
            'displayName co "A"',
            'displayName sw "é" or externalId pr',
        ):
            search = request(Group, filter=asked)
            assert search.filter is not None
            found = {each.id for each in resources.search([GROUP], search).resources}
            assert found == {each.id for each in stored if search.filter.match(each)}, asked


def test_every_email_of_a_person_is_looked_at(resources: Resources) -> None:
    """`emails.value eq` finds a person by an address that is not the primary one."""
    both = [{"value": "work@a.example", "primary": True}, {"value": "home@a.example"}]
    person = add_user(resources, "ada", emails=both)
    assert matching(resources, 'emails.value eq "HOME@a.example"') == {person.id}
    assert matching(resources, 'emails[primary eq true and value eq "home@a.example"]') == set()


def test_case_is_ignored_beyond_ascii(resources: Resources) -> None:
    """SQLite's own `lower` would miss this person; RFC 7643 §2.2 has strings ignore case."""
    person = add_user(resources, "ÉVA", displayName="e\u0301va")
    assert matching(resources, 'userName eq "éva" and displayName eq "ÉVA"') == {person.id}


def test_wildcards_of_sql_are_plain_characters(resources: Resources) -> None:
    """`%` and `_` in an operand match only themselves."""
    person = add_user(resources, "a_b%c")
    add_user(resources, "axbyc")
    assert matching(resources, 'userName co "_b%"') == {person.id}


def test_a_missing_attribute_negates_to_a_match(resources: Resources) -> None:
    """No condition is NULL: `not` of a comparison with a missing value is true."""
    person = add_user(resources, "ada")
    assert matching(resources, 'not (title eq "Boss")') == {person.id}
    assert matching(resources, 'not (emails[type eq "work"])') == {person.id}
    assert matching(resources, 'not (groups.display co "a")') == {person.id}


def test_a_deleted_user_is_found_by_no_filter(resources: Resources) -> None:
    """A deleted resource is gone from lists and filters (RFC 7644 §3.6)."""
    person = add_user(resources, "ada", title="Boss")
    group = add_group(resources, "Admins", person.id)
    resources.delete(USER, person.id)
    assert matching(resources, 'title eq "Boss" or not (title eq "Boss")') == set()
    found = resources.search([GROUP], request(Group, filter=f'members eq "{person.id}"'))
    assert found.resources == []
    assert resources.get(GROUP, group.id).members is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "asked",
    [
        'meta.location eq "https://scim.example/Users/1"',
        "meta.location pr",
        'groups.$ref eq "https://scim.example/Groups/1"',
        'groups[$ref co "Groups"]',
        'meta.created gt "2011-05-13T04:42:34"',
    ],
)
def test_what_cannot_be_told_from_the_directory_is_refused(
    resources: Resources, asked: str
) -> None:
    """A filter that cannot be compiled is a 400 `invalidFilter`, never an empty page."""
    add_user(resources, "ada")
    with pytest.raises(InvalidFilterException):
        matching(resources, asked)


def test_half_a_character_is_refused(resources: Resources) -> None:
    """A lone surrogate cannot be sent to a database; it is no server error."""
    with pytest.raises(InvalidFilterException):
        matching(resources, r'userName eq "\ud800"')


@pytest.mark.parametrize(("sort_by", "same"), [("meta.location", "id"), ("groups.$ref", "groups")])
def test_an_address_is_sorted_by_the_id_it_ends_with(
    resources: Resources, sort_by: str, same: str
) -> None:
    """Whatever URL a client uses, all addresses begin alike."""
    for name in ("ada", "bob", "cia"):
        add_group(resources, f"Friends of {name}", add_user(resources, name).id)
    add_user(resources, "dan")

    for order in ("ascending", "descending"):
        found, expected = (
            resources.search([USER], request(Person, sort_by=one, sort_order=order)).resources
            for one in (sort_by, same)
        )
        assert [each.id for each in found] == [each.id for each in expected]


def chain(terms: int, operator: str) -> str:
    return f" {operator} ".join(f'title eq "{term}"' for term in range(terms))


@pytest.mark.parametrize("operator", ["or", "and"])
def test_a_filter_of_the_longest_allowed_length_works(resources: Resources, operator: str) -> None:
    """The limit lies within what the database parses."""
    assert matching(resources, chain(filters.MAX_TERMS, operator)) == set()


def test_a_longer_filter_is_refused(resources: Resources) -> None:
    """Before anything is compiled, with the limit named."""
    with pytest.raises(InvalidFilterException, match=str(filters.MAX_TERMS)):
        matching(resources, chain(filters.MAX_TERMS + 1, "or"))


def test_a_filter_of_ten_thousand_terms_is_never_compiled(
    resources: Resources,
) -> None:
    """Compiling it is not even begun."""
    search = request(Person, filter=chain(10_000, "or"))
    begun = time.perf_counter()
    with pytest.raises(InvalidFilterException):
        resources.search([USER], search)
    assert time.perf_counter() - begun < 30


def nested(depth: int) -> FilterNode:
    """The nesting that takes most of SQLite's parser: and within or within and …"""
    node: FilterNode = ValuePath(path("emails"), Comparison(path("type"), CompareOperator.eq, "a"))
    for level in range(depth):
        other = Present(path("name"))
        node = Not(other & node) if level % 2 else other | node
    return node


def test_the_deepest_allowed_filter_works(resources: Resources) -> None:
    """At the limit the database still parses it, in a search of several types too."""
    depth = 0
    while max(level for _, level in filters._nodes(nested(depth + 1))) <= filters.MAX_DEPTH:
        depth += 1
    search = request(Person, Group, filter=str(nested(depth)), sort_by="emails")
    assert resources.search([USER, GROUP], search).total == 0


def test_a_deeper_filter_is_refused(resources: Resources) -> None:
    """With the limit named, and no server error."""
    with pytest.raises(InvalidFilterException, match=str(filters.MAX_DEPTH)):
        matching(resources, str(nested(filters.MAX_DEPTH)))


INDEXED = (
    # Both have the name: to PostgreSQL they are alike as long as nobody was deleted.
    (kinds.USER, 'userName eq "ada"', "uq_users_user_name|ix_users_deleted_name"),
    (kinds.USER, 'externalId eq "1"', "ix_users_external_id"),
    (kinds.USER, 'displayName eq "Ada"', "ix_users_display_name"),
    (kinds.USER, 'emails.value eq "a@b.example"', "uq_user_emails"),
    (kinds.USER, 'emails eq "a@b.example"', "uq_user_emails"),
    (kinds.USER, f'{ENTERPRISE}:employeeNumber eq "1"', "ix_users_employee_number"),
    (kinds.USER, f'{ENTERPRISE}:department eq "Ops"', "ix_users_department"),
    (kinds.USER, "active eq false", "ix_users_active"),
    (kinds.USER, 'id eq "1"', "sqlite_autoindex_users_1|pk_users|ix_users_live"),
    (kinds.USER, 'meta.lastModified gt "2026-01-01T00:00:00Z"', "ix_users_last_modified"),
    (kinds.USER, 'groups.value eq "1"', "uq_memberships_current"),
    (kinds.GROUP, 'displayName eq "Ops"', "uq_groups_display_name|ix_groups_deleted_name"),
    (kinds.GROUP, 'externalId eq "1"', "ix_groups_external_id"),
    (kinds.GROUP, 'members.value eq "1"', "ix_memberships_member"),
    (kinds.GROUP, 'id eq "1"', "sqlite_autoindex_groups_1|pk_groups|ix_groups_live"),
    (kinds.GROUP, 'meta.lastModified gt "2026-01-01T00:00:00Z"', "ix_groups_last_modified"),
)


def test_a_filter_that_clients_send_often_uses_an_index(resources: Resources) -> None:
    """The look-ups that clients make before every change do not read the whole table."""
    stored = [
        {"userName": f"u{n}", "externalId": f"{n}", "displayName": f"U {n}", "active": n % 100 > 0,
         "emails": [{"value": f"u{n}@b.example"}],
         ENTERPRISE: {"employeeNumber": f"{n}", "department": f"D {n % 100}"}}
        for n in range(1000)
    ]  # fmt: skip
    common = {"created": 0.0, "version": 1}
    with resources.database.transaction() as connection:
        for kind, documents in (
            (kinds.USER, stored),
            (kinds.GROUP, [{**one, "displayName": one["userName"]} for one in stored]),
        ):
            connection.execute(
                kind.table.insert(),
                [
                    {"id": f"{n}", "last_modified": n, **common, **kind.columns(document)}
                    for n, document in enumerate(documents)
                ],
            )
        connection.execute(
            tables.memberships.insert(),
            [
                {"group_id": f"{n}", "member_id": f"{n}", "origin": "x", "valid_from": 0}
                for n in range(1000)
            ],
        )
        connection.exec_driver_sql("ANALYZE")
    for kind, asked, index in INDEXED:
        model = Person if kind is kinds.USER else Group
        search = request(model, filter=asked)
        with resources.reading():
            order = resources._order([kind], search)
            query = select(func.count()).select_from(order.collection)
            compiled = query.compile(
                resources.database.engine, compile_kwargs={"literal_binds": True}
            )
            plan = steps(resources.database.connection, str(compiled))
            kept = _kept_plan(resources, kind, request(model, filter=asked, count=5))
        for way in (plan, kept):
            assert way is None or re.search(index, way), (asked, way)
            assert way is None or not reads_all(way, kind.table.name), (asked, way)


def _kept_plan(resources: Resources, kind: kinds.Kind, search: SearchRequest[Any]) -> str | None:
    """The plan of the statement that is kept for a search, if it is a plain one."""
    connection = resources.database.connection
    run: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        run.append((statement, parameters))

    plain = plain_search(kind, resources.models[kind.type_name], search)
    if plain is None:
        return None
    event.listen(resources.database.engine, "before_cursor_execute", note)
    plain.page(connection, None)
    event.remove(resources.database.engine, "before_cursor_execute", note)
    return steps(connection, *run[0])


def test_who_is_in_a_group_through_another_is_found_as_shown(resources: Resources) -> None:
    """`groups` says indirect (RFC 7643 §4.1.2), once and only where it is not direct as well."""
    nesting = Resources(resources.database, nested="flatten")
    ada, bob = (add_user(nesting, name).id for name in ("ada", "bob"))
    inner = add_group(nesting, "inner", ada, bob).id
    outer = add_group(nesting, "outer", inner, bob).id

    assert matching(nesting, f'groups.value eq "{outer}"') == {ada, bob}
    assert matching(nesting, 'groups.type eq "indirect"') == {ada}
    assert matching(nesting, f'groups[value eq "{outer}" and type eq "direct"]') == {bob}
    assert matching(nesting, 'groups.display eq "outer" and groups.display eq "inner"') == {
        ada,
        bob,
    }
