"""What real clients send beside the standard: each deviation by name, and over HTTP.

Who sends what, and where it is written down, is with each rule (`scim_bridge.scim.dialect`): the
tables here are walked with its clients and its source as the test's id.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from scim_bridge.directory.audit import Action
from scim_bridge.directory.trail import trail
from scim_bridge.scim import credentials, reading
from scim_bridge.scim.dialect import MISSING_ENTRY, STRICT, TOLERANT, Dialect, Rule
from scim_bridge.scim.handler import MAX_NAME, MAX_NAMED
from scim_bridge.scim.provider import FullGroup, FullUser
from scim_bridge.scim.reading import (
    Reading,
    read_bulk,
    read_filter,
    read_patch,
    read_resource,
)
from scim_bridge.scim.shape import shape_of
from scim_bridge.scim.tolerances import LOGGED_EVERY, Tolerances
from tests.scim.conftest import (
    ENTERPRISE,
    GROUP,
    PATCH_OP,
    USER,
    Scim,
    assert_error,
    person,
)

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
CUSTOM = "urn:ietf:params:scim:schemas:extension:badges:2.0:User"
GUID = "11111111-2222-4333-8444-555555555555"
USERS, GROUPS = shape_of(FullUser), shape_of(FullGroup)
RULES = {rule.name: rule for rule in TOLERANT.rules}


def patch(*operations: Any, **message: Any) -> dict[str, Any]:
    return {"Operations": list(operations), **message}


def message(schema: str, *operations: Any, **members: Any) -> dict[str, Any]:
    return {"schemas": [schema], "Operations": list(operations), **members}


def op(op_: str, path: str | None = None, value: Any = ...) -> dict[str, Any]:
    members = {"op": op_, "path": path, "value": value}
    return {name: item for name, item in members.items() if item is not None and item is not ...}


Read = Callable[[Any, Dialect], Reading]


def as_user(payload: Any, dialect: Dialect) -> Reading:
    return read_resource(payload, USERS, dialect)


def as_group(payload: Any, dialect: Dialect) -> Reading:
    return read_resource(payload, GROUPS, dialect)


def as_patch(payload: Any, dialect: Dialect) -> Reading:
    return read_patch(payload, USERS, dialect)


def as_filter(payload: Any, dialect: Dialect) -> Reading:
    return read_filter(payload, USERS, dialect)


MESSAGES = {as_user: USER, as_group: GROUP, as_patch: PATCH_OP}


def whole(read: Read, payload: Any) -> Any:
    """A payload with the schemas that it needs, unless it has some or is a filter."""
    return {"schemas": [MESSAGES[read]], **payload} if read in MESSAGES else payload


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one rule makes of a payload."""

    rule: str
    read: Read
    sent: Any
    meant: Any
    dropped: tuple[str, ...] = ()


CASES = [
    Case(
        rule="password",
        read=as_user,
        sent={"password": "x", "title": "t"},
        meant={"title": "t"},
        dropped=("password",),
    ),
    Case(
        rule="password-in-patch",
        read=as_patch,
        sent=patch(op("replace", value={"Password": "x", "title": "t"})),
        meant=patch(op("replace", value={"title": "t"})),
        dropped=("Password",),
    ),
    Case(
        rule="password-in-patch",
        read=as_patch,
        sent=patch(op("replace", "password", "x")),
        meant=patch(op("add", value={})),
        dropped=("password",),
    ),
    Case(
        rule="schemas-missing",
        read=as_user,
        sent={"title": "t"},
        meant={"schemas": [USER], "title": "t"},
    ),
    Case(
        rule="schemas-missing",
        read=as_group,
        sent={"Schemas": []},
        meant={"schemas": [GROUP]},
    ),
    Case(
        rule="schemas-missing",
        read=as_patch,
        sent=patch(op("add", "title", "t"), schemas=None),
        meant=patch(op("add", "title", "t"), schemas=[PATCH_OP]),
    ),
    Case(
        rule="draft-uri",
        read=as_user,
        sent={
            "schemas": ["urn:scim:schemas:core:1.0", "urn:scim:schemas:extension:enterprise:1.0"],
            "urn:scim:schemas:extension:enterprise:1.0": {"department": "d"},
        },
        meant={"schemas": [USER, ENTERPRISE], ENTERPRISE: {"department": "d"}},
    ),
    Case(
        rule="draft-uri-in-path",
        read=as_patch,
        sent=patch(op("add", "urn:scim:schemas:extension:enterprise:2.0:User:department", "d")),
        meant=patch(op("add", f"{ENTERPRISE}:department", "d")),
    ),
    Case(
        rule="draft-uri-in-path",
        read=as_patch,
        sent=patch(
            op("add", value={"urn:scim:schemas:extension:enterprise:1.0": {"department": "d"}})
        ),
        meant=patch(op("add", value={ENTERPRISE: {"department": "d"}})),
    ),
    Case(
        rule="unknown-schema",
        read=as_group,
        sent={"schemas": [GROUP, ADSCIM]},
        meant={"schemas": [GROUP]},
    ),
    Case(
        rule="unknown-schema",
        read=as_group,
        sent={"schemas": [ADSCIM]},
        meant={"schemas": [GROUP]},
    ),
    Case(
        rule="dotted-extension",
        read=as_user,
        sent={f"{ENTERPRISE}.department": "d"},
        meant={f"{ENTERPRISE}:department": "d"},
    ),
    Case(
        rule="dotted-extension-in-path",
        read=as_patch,
        sent=patch(op("add", f"{ENTERPRISE}.department", "d")),
        meant=patch(op("add", f"{ENTERPRISE}:department", "d")),
    ),
    Case(
        rule="foreign-extension",
        read=as_user,
        sent={CUSTOM: {"badge": "7"}, "title": "t"},
        meant={"title": "t"},
        dropped=(CUSTOM,),
    ),
    Case(
        rule="foreign-extension-in-patch",
        read=as_patch,
        sent=patch(op("add", f"{CUSTOM}:badge", "7")),
        meant=patch(op("add", value={})),
        dropped=(f"{CUSTOM}:badge",),
    ),
    Case(
        rule="foreign-extension-in-patch",
        read=as_patch,
        sent=patch(op("replace", value={f"{CUSTOM}:badge": "7", "title": "t"})),
        meant=patch(op("replace", value={"title": "t"})),
        dropped=(f"{CUSTOM}:badge",),
    ),
    Case(
        rule="op-in-capitals",
        read=as_patch,
        sent=patch(op("Replace", "title", "t")),
        meant=patch(op("replace", "title", "t")),
    ),
    Case(
        rule="paths-as-keys",
        read=as_patch,
        sent=patch(
            op(
                "replace",
                value={"title": "t", "name.givenName": "A", f"{ENTERPRISE}:department": "d"},
            )
        ),
        meant=patch(
            op("replace", value={"title": "t"}),
            op("replace", "name.givenName", "A"),
            op("replace", f"{ENTERPRISE}:department", "d"),
        ),
    ),
    Case(
        rule="paths-as-keys",
        read=as_patch,
        sent=patch(op("add", value={'emails[type eq "work"].value': "a@b.example"})),
        meant=patch(op("add", 'emails[type eq "work"].value', "a@b.example")),
    ),
    Case(
        rule="paths-as-keys",
        read=as_patch,
        sent=patch(op("add", ENTERPRISE, {"manager.value": "7", "department": "d"})),
        meant=patch(
            op("add", ENTERPRISE, {"department": "d"}),
            op("add", f"{ENTERPRISE}:manager.value", "7"),
        ),
    ),
    Case(
        rule="remove-names-values",
        read=as_patch,
        sent=patch(op("remove", "emails", [{"value": "a"}])),
        meant=patch(op("remove", "emails", [{"value": "a"}])),
    ),
    Case(
        rule="boolean-in-path",
        read=as_patch,
        sent=patch(op("add", 'roles[primary eq "True"].value', "r")),
        meant=patch(op("add", "roles[primary eq true].value", "r")),
    ),
    Case(
        rule="one-element-list",
        read=as_patch,
        sent=patch(op("replace", "active", [False])),
        meant=patch(op("replace", "active", False)),
    ),
    Case(
        rule="one-element-list",
        read=as_patch,
        sent=patch(op("add", f"{ENTERPRISE}:manager", [{"$ref": None, "value": "7"}])),
        meant=patch(op("add", f"{ENTERPRISE}:manager", {"$ref": None, "value": "7"})),
    ),
    Case(
        rule="one-element-list",
        read=as_patch,
        sent=patch(
            op("add", 'emails[type eq "work"].value', [{"$ref": None, "value": "a@b.example"}])
        ),
        meant=patch(op("add", 'emails[type eq "work"].value', "a@b.example")),
    ),
    Case(
        rule="one-element-list",
        read=as_user,
        sent={"displayName": ["Ada"], "name": [{"givenName": ["A"]}]},
        meant={"displayName": "Ada", "name": {"givenName": "A"}},
    ),
    Case(
        rule="number-for-string",
        read=as_user,
        sent={"externalId": 7, ENTERPRISE: {"employeeNumber": 1001, "department": "d"}},
        meant={"externalId": "7", ENTERPRISE: {"employeeNumber": "1001", "department": "d"}},
    ),
    Case(
        rule="number-for-string",
        read=as_patch,
        sent=patch(op("replace", 'addresses[type eq "work"].postalCode', 8001)),
        meant=patch(op("replace", 'addresses[type eq "work"].postalCode', "8001")),
    ),
    Case(
        rule="number-for-string",
        read=as_patch,
        sent=patch(op("add", value={ENTERPRISE: {"employeeNumber": -1}})),
        meant=patch(op("add", value={ENTERPRISE: {"employeeNumber": "-1"}})),
    ),
    Case(
        rule="single-object",
        read=as_user,
        sent={"emails": {"value": "a@b.example"}},
        meant={"emails": [{"value": "a@b.example"}]},
    ),
    Case(
        rule="single-object",
        read=as_group,
        sent={"members": {"value": "7"}},
        meant={"members": [{"value": "7"}]},
    ),
    Case(
        rule="single-object",
        read=as_patch,
        sent=patch(op("replace", "emails", {"value": "a@b.example"})),
        meant=patch(op("replace", "emails", [{"value": "a@b.example"}])),
    ),
    Case(
        rule="empty-string",
        read=as_user,
        sent={"title": "", "name": {"middleName": ""}, ENTERPRISE: {"manager": {"value": ""}}},
        meant={
            "title": None,
            "name": {"middleName": None},
            ENTERPRISE: {"manager": {"value": None}},
        },
    ),
    Case(
        rule="empty-string",
        read=as_patch,
        sent=patch(op("add", f"{ENTERPRISE}:manager", "")),
        meant=patch({"op": "replace", "path": f"{ENTERPRISE}:manager", "value": None}),
    ),
    Case(
        rule="manager-string",
        read=as_patch,
        sent=patch(op("add", f"{ENTERPRISE}:manager", "7")),
        meant=patch(op("add", f"{ENTERPRISE}:manager", {"value": "7"})),
    ),
    Case(
        rule="manager-string",
        read=as_user,
        sent={ENTERPRISE: {"manager": "7"}},
        meant={ENTERPRISE: {"manager": {"value": "7"}}},
    ),
    Case(
        rule="boolean-string",
        read=as_user,
        sent={"active": "False", "roles": [{"value": "r", "primary": "True"}]},
        meant={"active": False, "roles": [{"value": "r", "primary": True}]},
    ),
    Case(
        rule="boolean-string",
        read=as_patch,
        sent=patch(op("replace", "emails[value pr].primary", "true")),
        meant=patch(op("replace", "emails[value pr].primary", True)),
    ),
    Case(
        rule="read-only-in-patch",
        read=as_patch,
        sent=patch(
            op(
                "replace",
                value={
                    "meta": {},
                    "groups": [],
                    ENTERPRISE: {"manager": {"value": "7", "displayName": "B"}},
                },
            )
        ),
        meant=patch(op("replace", value={ENTERPRISE: {"manager": {"value": "7"}}})),
        dropped=("groups",),
    ),
    Case(
        rule="unquoted-filter-value",
        read=as_filter,
        sent="externalId eq jyoung",
        meant='externalId eq "jyoung"',
    ),
    Case(
        rule="unquoted-filter-value",
        read=as_filter,
        sent=f"userName eq {GUID}",
        meant=f'userName eq "{GUID}"',
    ),
    Case(
        rule="manager-in-filter",
        read=as_filter,
        sent='id eq "manager eq" and manager eq "7"',
        meant=f'id eq "manager eq" and {ENTERPRISE}:manager.value eq "7"',
    ),
    Case(
        rule="boolean-in-filter",
        read=as_filter,
        sent='active eq "True" and title eq "true"',
        meant='active eq true and title eq "true"',
    ),
]


# Named by who sends it and where that is written down.
NAMED = [
    pytest.param(
        case, id=f"{number} {case.rule}: {RULES[case.rule].clients}; {RULES[case.rule].source}"
    )
    for number, case in enumerate(CASES)
]


def sent_and_meant(case: Case) -> tuple[Any, Any]:
    if case.rule == "schemas-missing":
        return case.sent, case.meant
    return whole(case.read, case.sent), whole(case.read, case.meant)


@pytest.mark.parametrize("case", NAMED)
def test_what_a_client_sends_is_read_as_it_is_meant(case: Case) -> None:
    """A tolerant client's payload becomes the standard's, by that one rule, and stays so."""
    sent, meant = sent_and_meant(case)
    before = json.dumps(sent)

    reading = case.read(sent, TOLERANT)

    assert reading == Reading(payload=meant, used=frozenset({case.rule}), dropped=case.dropped)
    assert json.dumps(sent) == before
    again = case.read(reading.payload, TOLERANT)
    assert again.payload == meant
    assert again.used <= {"remove-names-values"}


@pytest.mark.parametrize("case", NAMED)
def test_what_a_strict_client_sends_is_read_as_it_stands(case: Case) -> None:
    """Nothing is rewritten but a password, which nobody can keep."""
    sent, _ = sent_and_meant(case)

    reading = case.read(sent, STRICT)

    if case.rule.startswith("password"):
        assert reading.dropped == case.dropped
    else:
        assert (reading.payload, reading.used, reading.dropped) == (sent, frozenset(), ())
        assert {one.rule.name for one in reading.refused} <= {case.rule}


def test_every_rule_has_a_case() -> None:
    """A rule is described for the operator, and tried; one is carried out by scim2-models."""
    assert {case.rule for case in CASES} == RULES.keys() - {MISSING_ENTRY.name}
    assert all(rule.meaning and rule.clients and rule.source for rule in TOLERANT.rules)


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        # Nobody can know which of the two is meant.
        (as_user, {"displayName": ["Ada", "Bea"]}),
        (as_user, {"active": "yes"}),
        # Neither a truth nor a fraction is a number that somebody wrote down so.
        (as_user, {"title": True, ENTERPRISE: {"employeeNumber": 10.10}}),
        (as_user, {"active": 1, ENTERPRISE: {"manager": 7}}),
        (as_user, {f"{ENTERPRISE}.department": "d", f"{ENTERPRISE}:department": "e"}),
        (as_filter, "userName eq ada lovelace"),
        (as_filter, "userName eq ada"),
        (as_filter, "active eq true"),
        (as_filter, f"id eq {GUID} or active pr"),
        (as_filter, f"id ne {GUID}"),
        # What looks like something that matters is refused and not dropped.
        (as_user, {CUSTOM: {"actve": False}}),
        (as_user, {CUSTOM: [{"active": False}]}),
        (as_user, {CUSTOM: {"state": [{"active": False}]}}),
        (as_patch, patch(op("replace", f"{CUSTOM}:state", [{"active": False}]))),
        # Only a user has a password.
        (as_group, {"displayName": "Crew", "password": "x"}),
        (
            as_user,
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:Usr": {"department": "d"}},
        ),
        (
            as_user,
            {"urn:ietf:params:scim:schemas:extension:scimbrige:2.0:User": {"applications": []}},
        ),
        (as_user, {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Uesr"]}),
        (as_patch, patch(op("replace", f"{CUSTOM}:active", False))),
        (as_patch, patch(op("replace", f"{ENTERPRISE}:activ", False))),
        (as_patch, patch(op("replace", "urn:example:none:2.0:X:y", "x"))),
        (as_user, {"actve": False}),
        # Nobody leaves a group, and no list is emptied, because of an empty string.
        (as_user, {"emails": ""}),
        (as_group, {"members": ""}),
        (as_patch, patch(op("add", "emails", ""))),
        (as_patch, patch(op("replace", 'emails[type eq "work"]', ""))),
        (as_patch, patch(op("replace", value={"emails": ""}))),
        # A remove needs a path, and what it names is compared.
        (as_patch, patch(op("remove", value={"name.givenName": "x"}), schemas=[PATCH_OP])),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_what_may_be_meant_in_two_ways_is_left_as_it_is(read: Read, sent: Any) -> None:
    """It is refused afterwards: a misspelt "active" must not look applied."""
    sent = whole(read, sent)

    reading = read(sent, TOLERANT)

    assert reading.payload == sent
    assert reading.dropped == ()


# -- Properties ---------------------------------------------------------------------

TEXT = st.text(min_size=1, max_size=8)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"value": TEXT},
        optional={"type": st.sampled_from(["work", "home"]), "primary": st.booleans()},
    ),
    max_size=3,
)
VALID_USERS = st.fixed_dictionaries(
    {"userName": TEXT, "schemas": st.sampled_from([[USER], [USER, ENTERPRISE]])},
    optional={
        "externalId": TEXT,
        "name": st.fixed_dictionaries({}, optional={"givenName": TEXT, "familyName": TEXT}),
        "active": st.booleans(),
        "title": st.none() | TEXT,
        "emails": st.none() | ENTRIES,
        "roles": ENTRIES,
        ENTERPRISE: st.fixed_dictionaries(
            {},
            optional={
                "department": TEXT,
                "manager": st.fixed_dictionaries({"value": TEXT}, optional={"$ref": TEXT}),
            },
        ),
    },
)
VALUES_AT = st.one_of(
    st.tuples(st.sampled_from(["title", "name.givenName", f"{ENTERPRISE}:department"]), TEXT),
    st.tuples(st.sampled_from(["active", "emails[value pr].primary"]), st.booleans()),
    st.tuples(st.just("emails"), ENTRIES),
    st.tuples(st.just(f"{ENTERPRISE}:manager"), st.fixed_dictionaries({"value": TEXT})),
    st.tuples(st.just(ENTERPRISE), st.fixed_dictionaries({"department": TEXT})),
)
VALID_OPERATIONS = st.one_of(
    st.builds(lambda verb, at: op(verb, *at), st.sampled_from(["add", "replace"]), VALUES_AT),
    st.builds(
        lambda verb, value: op(verb, value=value),
        st.sampled_from(["add", "replace"]),
        VALID_USERS.map(lambda user: {n: v for n, v in user.items() if n != "schemas"}),
    ),
    st.sampled_from([op("remove", "title"), op("remove", 'emails[type eq "work"]')]),
)
VALID_PATCHES = st.lists(VALID_OPERATIONS, min_size=1, max_size=4).map(
    lambda operations: patch(*operations, schemas=[PATCH_OP])
)
# Anything a client might put where a value is meant, right or wrong.
LOOSE = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["", "True", "false", "x", CUSTOM]) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "value",
                    "$ref",
                    "type",
                    "primary",
                    "givenName",
                    "manager",
                    "displayName",
                    "name.givenName",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "schemas",
        "active",
        "title",
        "name",
        "emails",
        "roles",
        "groups",
        "meta",
        "id",
        "password",
        "name.givenName",
        ENTERPRISE,
        f"{ENTERPRISE}.manager",
        f"{ENTERPRISE}:manager",
        CUSTOM,
        f"{CUSTOM}:badge",
        "urn:scim:schemas:extension:enterprise:1.0",
        'roles[primary eq "True"].value',
    ]
)
OBJECTS = st.dictionaries(NAMES, LOOSE, max_size=4)
LOOSE_PATCHES = st.lists(
    st.builds(
        op, st.sampled_from(["Add", "replace", "remove"]), st.none() | NAMES, LOOSE | OBJECTS
    ),
    max_size=3,
).map(lambda operations: patch(*operations))


@given(VALID_USERS)
def test_a_user_that_keeps_to_the_standard_is_not_rewritten(user: dict[str, Any]) -> None:
    """No rule applies (RFC 7643): what is tolerated for one client costs no other anything."""
    assert as_user(user, TOLERANT) == Reading(payload=user)


@given(VALID_PATCHES)
def test_a_patch_that_keeps_to_the_standard_is_not_rewritten(message: dict[str, Any]) -> None:
    """No rule applies (RFC 7644, section 3.5.2)."""
    assert as_patch(message, TOLERANT) == Reading(payload=message)


DRAFT_AND_DOT = {
    "op": "Add",
    "path": "urn:scim:schemas:extension:enterprise:1.0",
    "value": {"schemas": None, f"{ENTERPRISE}.manager": None},
}


@example({}, {"Operations": [DRAFT_AND_DOT]})
@given(OBJECTS, LOOSE_PATCHES)
def test_what_was_read_once_is_read_the_same_again(
    resource: dict[str, Any], message: dict[str, Any]
) -> None:
    """Reading never fails, whatever is sent, and a second reading changes nothing."""
    for read, sent in ((as_user, resource), (as_patch, message)):
        reading = read(sent, TOLERANT)
        assert read(reading.payload, TOLERANT).payload == reading.payload


@given(st.text(alphabet='manger activeqTu". ()', max_size=30))
def test_a_filter_read_once_is_read_the_same_again(expression: str) -> None:
    """Reading never fails, whatever is sent."""
    reading = as_filter(expression, TOLERANT)
    assert as_filter(reading.payload, TOLERANT).payload == reading.payload


def test_each_operation_of_a_bulk_request_is_read_by_itself() -> None:
    """By its method and its endpoint; what nobody serves is left to be refused."""
    payload = patch(
        {
            "method": "POST",
            "path": "/Users",
            "data": {"schemas": [USER], "active": "False", "password": "x"},
        },
        {
            "method": "patch",
            "path": "/Groups/7",
            "data": patch(op("Add", "members", []), schemas=[PATCH_OP]),
        },
        {"method": "POST", "path": "/Robots", "data": {"active": "False"}},
        7,
    )

    reading = read_bulk(payload, {"users": USERS, "groups": GROUPS}, TOLERANT)
    user, group, robot, nothing = reading.operations

    assert reading.used == {"schemas-missing"}
    assert reading.payload["schemas"] == [BULK]
    assert reading.payload["Operations"][0]["data"] == {"schemas": [USER], "active": False}
    assert reading.payload["Operations"][2:] == payload["Operations"][2:]
    assert (user.dropped, group.used) == (("password",), {"op-in-capitals"})
    assert robot.used == nothing.used == frozenset()


# -- Counting and logging -----------------------------------------------------------


def test_each_use_is_counted_and_told_once_an_hour() -> None:
    """By client and rule, with the rule's meaning in words."""
    counted, now = [], [0.0]
    tolerances = Tolerances(lambda *use: counted.append(use), clock=lambda: now[0])
    rule: Rule = RULES["boolean-string"]

    with capture_logs() as logs:
        tolerances.used("entra", [rule])
        tolerances.used("entra", [rule])
        tolerances.used("hr", [rule])
        now[0] = LOGGED_EVERY
        tolerances.used("entra", [rule])

    assert counted == [("entra", rule.name)] * 2 + [("hr", rule.name), ("entra", rule.name)]
    assert [one["client"] for one in logs] == ["entra", "hr", "entra"]
    assert all((one["rule"], one["meaning"]) == (rule.name, rule.meaning) for one in logs)


# -- Over HTTP ----------------------------------------------------------------------


@pytest.fixture
def strict(scim: Scim) -> Scim:
    """The same endpoint as `scim`, for a client that is held to the standard."""
    return replace(scim, token=credentials.add(scim.database, "strict", dialect="strict").token)


def in_group(scim: Scim, *people: str) -> tuple[str, list[str]]:
    """A group of these people, and their ids."""
    ids = [scim.user(name)["id"] for name in people]
    return scim.group("Crew", *ids)["id"], ids


WORK = 'emails[type eq "work"].value'
# What is sent about a user, what then is there at which path, and what a strict client is told.
PATCHES = {
    "E: a missing entry is made": (
        op("add", WORK, "a@b.example"),
        ("emails", [{"value": "a@b.example", "type": "work"}]),
        "noTarget",
    ),
    "E-flag: replace as well": (
        op("replace", WORK, "a@b.example"),
        ("emails", [{"value": "a@b.example", "type": "work"}]),
        "noTarget",
    ),
    "E: a bare manager": (
        op("add", f"{ENTERPRISE}:manager", "7"),
        (ENTERPRISE, {"manager": {"value": "7"}}),
        "invalidValue",
    ),
    "E: an empty manager is none": (
        op("add", f"{ENTERPRISE}:manager", ""),
        (ENTERPRISE, None),
        "invalidValue",
    ),
    "E-old: lists of one": (
        op("replace", "displayName", [{"$ref": None, "value": "A"}]),
        ("displayName", "A"),
        "invalidValue",
    ),
    "O: a list of one boolean": (
        op("replace", "active", [False]),
        ("active", False),
        "invalidValue",
    ),
    "E-old: a dotted extension": (
        op("add", f"{ENTERPRISE}.department", "d"),
        (ENTERPRISE, {"department": "d"}),
        "invalidPath",
    ),
    "E: a role by a string": (
        op("add", 'roles[primary eq "True"].value', "r"),
        ("roles", [{"value": "r", "primary": True}]),
        "invalidFilter",
    ),
    "HR: a role by a boolean in capitals": (
        op("add", "roles[primary eq TRUE].value", "r"),
        ("roles", [{"value": "r", "primary": True}]),
        "invalidFilter",
    ),
    "E-flag: paths as keys of their own extension": (
        op("replace", ENTERPRISE, {f"{ENTERPRISE}:department": "d"}),
        (ENTERPRISE, {"department": "d"}),
        "invalidValue",
    ),
    "E: op in capitals": (op("REPLACE", "NICKNAME", "A"), ("nickName", "A"), "invalidValue"),
    "E: a boolean as a string": (
        op("replace", "active", "False"),
        ("active", False),
        "invalidValue",
    ),
    "O-AIW: an empty active": (op("replace", "active", ""), ("active", True), "invalidValue"),
    "E-flag: paths as keys": (
        op("replace", value={"displayName": "A", f"{ENTERPRISE}:department": "d"}),
        (ENTERPRISE, {"department": "d"}),
        "invalidValue",
    ),
    "E-flag: a path within an extension as key": (
        op("add", ENTERPRISE, {"manager.value": "7"}),
        (ENTERPRISE, {"manager": {"value": "7"}}),
        "invalidValue",
    ),
    "names of attributes in any case": (
        op("replace", value={"TITLE": "t", ENTERPRISE.upper(): {"Department": "d"}}),
        (ENTERPRISE, {"department": "d"}),
        None,
    ),
    "O: read-only values echoed": (
        op("replace", value={"meta": {"resourceType": "User"}, "groups": [], "title": "t"}),
        ("title", "t"),
        "mutability",
    ),
    "S: the extension as the path": (
        op("add", ENTERPRISE, {"department": "d"}),
        (ENTERPRISE, {"department": "d"}),
        None,
    ),
    "S: the extension in a value": (
        op("add", value={ENTERPRISE: {"department": "d"}}),
        (ENTERPRISE, {"department": "d"}),
        None,
    ),
    "S: the manager's name": (
        op(
            "add",
            value={
                ENTERPRISE: {"manager": {"value": "7", "displayName": "B", "$ref": "../Users/7"}}
            },
        ),
        (f"{ENTERPRISE}.manager.value", "7"),
        "mutability",
    ),
    "HR: a number": (
        op("add", f"{ENTERPRISE}:employeeNumber", 1001),
        (ENTERPRISE, {"employeeNumber": "1001"}),
        "invalidValue",
    ),
    "a truth is no text": (op("add", "title", True), "invalidValue", "invalidValue"),
    "HR: one object for a list": (
        op("add", value={"roles": {"value": "r"}}),
        ("roles", [{"value": "r"}]),
        "invalidValue",
    ),
    "HR: one object for a list, at a path": (
        op("replace", "roles", {"value": "r"}),
        ("roles", [{"value": "r"}]),
        "invalidValue",
    ),
    "E: a foreign extension": (op("add", f"{CUSTOM}:badge", "7"), (CUSTOM, None), "invalidPath"),
    "O: a password": (op("replace", value={"password": "secret"}), ("password", None), None),
    "a missing entry of a type nobody suggests": (
        op("add", 'emails[type eq "wrok"].value', "a@b.example"),
        "noTarget",
        "noTarget",
    ),
    "a misspelt active": (op("replace", value={"actve": False}), "invalidValue", "invalidValue"),
}


def held(resource: dict[str, Any], path: str) -> Any:
    found: Any = resource.get(path)
    if found is None and path.startswith(f"{ENTERPRISE}."):
        found = resource.get(ENTERPRISE)
        for part in path.removeprefix(f"{ENTERPRISE}.").split("."):
            found = (found or {}).get(part)
    return found


@pytest.mark.parametrize(("sent", "expected", "refusal"), PATCHES.values(), ids=PATCHES)
def test_what_clients_patch_on_users(
    scim: Scim, strict: Scim, sent: dict[str, Any], expected: Any, refusal: str | None
) -> None:
    """A tolerant client gets what it means; a strict one is told what RFC 7644 says of it."""
    lenient, firm = scim.user("ada")["id"], scim.user("bob")["id"]

    answer = scim.patch(f"/Users/{lenient}", sent)
    if isinstance(expected, str):
        assert_error(answer, 400, expected)
    else:
        assert answer.status_code == 200, answer.text
        assert held(answer.json, expected[0]) == expected[1]
        assert scim.get(f"/Users/{lenient}").json == answer.json
    refused = strict.patch(f"/Users/{firm}", sent)
    if refusal:
        assert_error(refused, 400, refusal)
    else:
        assert refused.status_code == 200, refused.text


# What is sent as a user, what then is there, and whether a strict client may send it.
CREATIONS = {
    "E: an unknown schema": ({"schemas": [USER, ADSCIM]}, ("title", None), False),
    "E: schemas of a draft": ({"schemas": ["urn:scim:schemas:core:1.0"]}, ("title", None), False),
    "E: schemas null": ({"schemas": None}, ("title", None), False),
    "HR: no schemas": ({"schemas": ...}, ("title", None), False),
    "HR: schemas of nothing": ({"schemas": []}, ("title", None), False),
    "E: roles with a string": (
        {"roles": [{"value": "r", "primary": "True"}]},
        ("roles", [{"value": "r", "primary": True}]),
        False,
    ),
    "HR: one object for a list": (
        {"emails": {"value": "a@b.example"}},
        ("emails", [{"value": "a@b.example", "primary": True}]),
        False,
    ),
    "HR: empties": (
        {
            "title": "",
            "nickName": None,
            "addresses": [{"type": "work", "locality": ""}],
            ENTERPRISE: {"manager": {"value": ""}},
        },
        ("addresses", None),
        True,
    ),
    "HR: a bare manager": (
        {ENTERPRISE: {"manager": "7"}},
        (ENTERPRISE, {"manager": {"value": "7"}}),
        False,
    ),
    "E: a foreign extension": (
        {"schemas": [USER, CUSTOM], CUSTOM: {"badge": "7"}},
        (CUSTOM, None),
        False,
    ),
    "O: the server's own": (
        {"id": "", "meta": {"version": "x"}, "groups": [{"value": "7"}], "password": "x"},
        ("groups", None),
        True,
    ),
    "E-old: lists of one": ({"title": ["t"]}, ("title", "t"), False),
    "HR: a number": (
        {ENTERPRISE: {"employeeNumber": 1001}},
        (ENTERPRISE, {"employeeNumber": "1001"}),
        False,
    ),
}


@pytest.mark.parametrize(("sent", "expected", "allowed"), CREATIONS.values(), ids=CREATIONS)
@pytest.mark.parametrize("method", ["POST", "PUT", "Bulk"])
def test_what_clients_create_and_replace(
    scim: Scim, strict: Scim, method: str, sent: dict[str, Any], expected: Any, allowed: bool
) -> None:
    """The same by POST, PUT and Bulk (RFC 7643, sections 2 and 3)."""

    def send(client: Scim, who: str) -> tuple[int, dict[str, Any]]:
        body = {name: value for name, value in (person(who) | sent).items() if value is not ...}
        if method == "POST":
            answer = client.post("/Users", body)
        elif method == "PUT":
            answer = client.put(f"/Users/{client.user(who)['id']}", body)
        else:
            step = {"method": "POST", "path": "/Users", "bulkId": "1", "data": body}
            (done,) = client.post("/Bulk", patch(step, schemas=[BULK])).json["Operations"]
            if done["status"] != "201":
                return int(done["status"]), done["response"]
            answer = client.get(f"/Users/{done['location'].rpartition('/')[2]}")
        return answer.status_code, answer.json

    status, user = send(scim, "ada")
    assert status in (200, 201), user
    path, value = expected
    assert without_primary(user.get(path)) == without_primary(value)
    status, refusal = send(strict, "bob")
    assert (status in (200, 201)) is allowed, refusal


def without_primary(value: Any) -> Any:
    """The mark of the primary e-mail may be filled in."""
    if not isinstance(value, list):
        return value
    return [{n: v for n, v in entry.items() if n != "primary"} for entry in value]


def test_a_remove_with_names_takes_out_those_and_nobody_else(scim: Scim, strict: Scim) -> None:
    """E, E-old: RFC 7644, section 3.5.2.2, would empty the group; strict clients are refused."""
    group, (ada, bob, cia) = in_group(scim, "ada", "bob", "cia")
    named = op("Remove", "members", [{"$ref": None, "value": ada}])

    assert_error(strict.patch(f"/Groups/{group}", named), 400, "invalidValue")
    assert scim.members(group) == {ada, bob, cia}
    assert scim.patch(f"/Groups/{group}", named).status_code == 204
    assert scim.patch(f"/Groups/{group}", op("remove", "members", [])).status_code == 204
    assert scim.members(group) == {bob, cia}
    assert scim.patch(f"/Groups/{group}", op("remove", "members")).status_code == 204
    assert scim.members(group) == set()


@pytest.mark.parametrize("verb", ["add", "replace"])
@pytest.mark.parametrize("pathless", [False, True])
def test_an_empty_string_takes_nobody_out_of_a_group(scim: Scim, verb: str, pathless: bool) -> None:
    """HR: an empty string is no list; it is refused, whatever an empty string means elsewhere."""
    group, (ada,) = in_group(scim, "ada")
    sent = op(verb, value={"members": ""}) if pathless else op(verb, "members", "")

    assert_error(scim.patch(f"/Groups/{group}", sent), 400, "invalidValue")
    assert scim.members(group) == {ada}


def test_a_group_is_renamed_with_its_own_id_in_the_value(scim: Scim, strict: Scim) -> None:
    """O: the id is compared, members stay, and another group's id is refused as what it is."""
    group, (ada,) = in_group(scim, "ada")
    renamed = op("replace", value={"id": group, "displayName": "Deck"})

    for client in (scim, strict):
        assert client.patch(f"/Groups/{group}", renamed).status_code == 204
    assert scim.get(f"/Groups/{group}").json["displayName"] == "Deck"
    assert scim.members(group) == {ada}
    wrong = op("replace", value={"id": GUID, "displayName": "Hold"})
    assert_error(scim.patch(f"/Groups/{group}", wrong), 400, "mutability")


def test_a_group_is_made_with_a_schema_of_microsofts(scim: Scim, strict: Scim) -> None:
    """E: without this tolerance no group can be made at all."""
    body = {"schemas": [GROUP, ADSCIM], "displayName": "Crew", "members": []}

    assert_error(strict.post("/Groups", body), 400, "invalidSyntax")
    assert scim.post("/Groups", body).json["schemas"] == [GROUP]


@pytest.mark.parametrize(
    ("query", "found", "allowed"),
    [
        ("externalId eq e-7", 1, False),
        ("externalId eq nobody", 0, False),
        ("userName eq ada@example.com", 1, False),
        ('USERNAME  Eq  "ADA@example.com"', 1, True),
        ('username Co "ada"', 1, True),
        ('active eq "True"', 1, False),
        ("active eq True", 1, False),
        ("emails[primary ne TRUE]", 1, False),
        ('manager eq "7"', 1, False),
        (f'{ENTERPRISE}:department eq "d"', 1, True),
        ('emails[type eq "work"].value eq "ada@example.com" and active eq true', 1, True),
        (f'userName eq "{GUID}"', 0, True),
    ],
)
def test_what_clients_look_for(
    scim: Scim, strict: Scim, query: str, found: int, allowed: bool
) -> None:
    """E, E-old, P1, HR; by GET with a trailing ampersand and by POST."""
    scim.user(
        externalId="e-7",
        emails=[{"value": "ada@example.com", "type": "work"}],
        **{ENTERPRISE: {"department": "d", "manager": {"value": "7"}}},
    )

    page = scim.get(f"/Users/?filter={quote(query)}&").json
    assert (page["totalResults"], len(page.get("Resources", []))) == (found, found)
    assert scim.post("/Users/.search", {"filter": query}).json["totalResults"] == found
    answer = strict.get(f"/Users?filter={quote(query)}")
    if allowed:
        assert answer.json["totalResults"] == found
    else:
        assert_error(answer, 400, "invalidFilter")


@pytest.mark.parametrize("query", ["userName eq ada", "title eq two words", "userName eq", "ada"])
def test_any_other_bare_word_is_refused_and_never_finds_everybody(scim: Scim, query: str) -> None:
    """RFC 7644, section 3.4.2.2: 400 invalidFilter."""
    scim.user()

    assert_error(scim.get(f"/Users?filter={quote(query)}"), 400, "invalidFilter")


@pytest.mark.parametrize(
    "query",
    [
        "userName eq 'ada@example.com'",
        "id eq 'x'",
        "externalId EQ 'e-7'",
        "title eq \"it's\" and not (displayName  co 'x y')",
        "emails[type eq 'work']",
        "manager eq '7'",
    ],
)
@pytest.mark.parametrize("dialect", ["tolerant", "strict"])
def test_single_quotes_are_refused_and_never_find_nobody(
    scim: Scim, strict: Scim, query: str, dialect: str
) -> None:
    """RFC 7644, section 3.4.2.2: a string is one of JSON. The remedy is told, by GET and POST."""
    scim.user(externalId="e-7")
    client = scim if dialect == "tolerant" else strict

    read = client.get(f"/Users?filter={quote(query)}")
    posted = client.post("/Users/.search", {"schemas": [SEARCH], "filter": query})

    assert "use double quotes" in assert_error(read, 400, "invalidFilter")
    assert "use double quotes" in assert_error(posted, 400, "invalidFilter")


@pytest.mark.parametrize("dialect", ["tolerant", "strict"])
def test_single_quotes_in_a_path_are_refused_as_in_a_filter(
    scim: Scim, strict: Scim, dialect: str
) -> None:
    """RFC 7644, sections 3.5.2 and 3.12, in a PATCH and in one of a Bulk request."""
    client = scim if dialect == "tolerant" else strict
    group, (ada,) = in_group(scim, "ada")
    for path, operation in (
        (f"/Users/{ada}", op("add", "emails[type eq 'work'].value", "a@b.example")),
        (f"/Groups/{group}", op("remove", f"members[value eq '{ada}']")),
    ):
        step = {"method": "PATCH", "path": path, "data": message(PATCH_OP, operation)}
        refused = client.patch(path, operation)
        (done,) = client.post("/Bulk", message(BULK, step)).json["Operations"]

        assert "use double quotes" in assert_error(refused, 400, "invalidFilter")
        assert done["response"]["scimType"] == "invalidFilter"
        assert "use double quotes" in done["response"]["detail"]
    assert scim.members(group) == {ada}


def test_a_quote_within_a_string_is_none(scim: Scim) -> None:
    """An apostrophe, and what looks like a comparison, are found; a filter that is wrong in another
    way is told so.
    """
    scim.user(title="it's eq 'x'")

    query = quote("title eq \"it's eq 'x'\"")
    assert scim.get(f"/Users?filter={query}").json["totalResults"] == 1
    answer = scim.get(f"/Users?filter={query}%20and")
    assert "double" not in assert_error(answer, 400, "invalidFilter")


def test_whether_somebody_is_in_a_group_can_be_asked(scim: Scim, strict: Scim) -> None:
    """E-old: `members eq` compares the value; the id always comes along."""
    group, (ada,) = in_group(scim, "ada")

    for client in (scim, strict):
        for who, number in ((ada, 1), (GUID, 0)):
            query = quote(f'id eq "{group}" and members eq "{who}"')
            page = client.get(f"/Groups?filter={query}&attributes=id").json
            assert page["totalResults"] == number


# The rows of the list of quirks that need no rule: each is an act and what must then be so.


def probe(scim: Scim) -> None:
    page = scim.get(f"/Users?filter=userName+eq+%22{GUID}%22").json
    assert (page["totalResults"], page.get("Resources", [])) == (0, [])


def look_without_members(scim: Scim) -> None:
    group, _ = in_group(scim, "ada")
    query = quote('displayName eq "crew"')
    for path in (f"/Groups/{group}?", f"/Groups?filter={query}&"):
        found = scim.get(f"{path}excludedAttributes=members").json
        assert "members" not in str(found)
        assert group in str(found)


def rename_without_path(scim: Scim) -> None:
    group, (ada,) = in_group(scim, "ada")
    scim.patch(f"/Groups/{group}", op("replace", value={"displayName": "Deck"}))
    assert scim.members(group) == {ada}


def send_json(scim: Scim) -> None:
    body = json.dumps(person()).encode()
    headers = {"Accept": "*/*"}
    answer = scim.send(
        "POST", "/Users", data=body, content_type="application/json", headers=headers
    )
    assert (answer.status_code, answer.content_type) == (201, "application/scim+json")


def count_what_is_on_the_page(scim: Scim) -> None:
    scim.user()
    beyond = scim.get("/Users?startIndex=5&count=100000").json
    assert (beyond["itemsPerPage"], beyond["totalResults"]) == (0, 1)


def send_a_duplicate(scim: Scim) -> None:
    scim.user()
    scim.group()
    assert_error(scim.post("/Users", person(userName="ADA@example.com")), 409, "uniqueness")
    assert_error(scim.post("/Groups", {"displayName": "crew"}), 409, "uniqueness")


def deactivate(scim: Scim) -> None:
    group, (ada,) = in_group(scim, "ada")
    scim.patch(f"/Users/{ada}", op("Replace", "active", "False"))
    assert scim.get(f"/Users/{ada}").json["active"] is False
    assert scim.get("/Users?filter=userName+sw+%22ada%22").json["totalResults"] == 1
    assert scim.members(group) == {ada}


def delete(scim: Scim) -> None:
    group, (ada, bob) = in_group(scim, "ada", "bob")
    assert scim.delete(f"/Users/{ada}").status_code == 204
    assert_error(scim.delete(f"/Users/{ada}"), 404)
    assert scim.get("/Users?filter=userName+sw+%22ada%22").json["totalResults"] == 0
    assert scim.members(group) == {bob}


def add_twice_and_remove_nobody(scim: Scim) -> None:
    group, (ada,) = in_group(scim, "ada")
    bob = scim.user("bob")["id"]
    add = op("Add", "members", [{"$ref": None, "value": ada}])
    gone = op("remove", f'members[value eq "{bob}"]')
    assert [scim.patch(f"/Groups/{group}", one).status_code for one in (add, gone)] == [204] * 2
    assert [one["value"] for one in scim.get(f"/Groups/{group}").json["members"]] == [ada]


def replace_members(scim: Scim) -> None:
    group, (_, bob) = in_group(scim, "ada", "bob")
    scim.patch(f"/Groups/{group}", op("replace", "members", [{"value": bob, "display": "Bob"}]))
    assert scim.members(group) == {bob}
    scim.put(f"/Groups/{group}", {"displayName": "Crew"})
    assert scim.members(group) == set()


def send_odd_characters(scim: Scim) -> None:
    sent = {
        "externalId": "a|b:c&d",
        "displayName": "Zoë  Ångström & Søn",
        "emails": [{"value": "Ada@Example.COM", "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "+49 (0)30 / 12-34", "type": "mobile"}],
    }
    user = scim.user(**sent)
    assert {name: user[name] for name in sent} == sent
    assert scim.get("/Users?filter=externalId+eq+%22A%7Cb:c%26d%22").json["totalResults"] == 0
    assert scim.get("/Users?filter=externalId+eq+%22a%7Cb:c%26d%22").json["totalResults"] == 1


def leave_out_what_may_be_filled_in(scim: Scim) -> None:
    user = scim.user(active=None, emails=[{"value": "ada@example.com"}])
    assert user["active"] is True
    nameless = assert_error(scim.post("/Users", {"userName": "bob"}), 400, "invalidValue")
    assert "name.givenName" in nameless


def read_what_is_served(scim: Scim) -> None:
    for path in ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig"):
        assert "null" not in scim.get(path).text


ROWS = (
    probe,
    look_without_members,
    rename_without_path,
    send_json,
    count_what_is_on_the_page,
    send_a_duplicate,
    deactivate,
    delete,
    add_twice_and_remove_nobody,
    replace_members,
    send_odd_characters,
    leave_out_what_may_be_filled_in,
    read_what_is_served,
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_what_needs_no_rule_is_answered_as_clients_need_it(
    scim: Scim, row: Callable[[Scim], None]
) -> None:
    """E, O, G, PF, S and HR alike; none of it departs from the standard."""
    row(scim)


# -- Nothing is dropped in silence --------------------------------------------------


def warnings(scim: Scim) -> list[Any]:
    return [entry for entry in trail(scim.database) if entry.action == Action.WARNING]


@pytest.mark.parametrize("dialect", ["tolerant", "strict"])
def test_a_password_is_named_in_the_audit_trail_and_never_kept(
    scim: Scim, strict: Scim, dialect: str
) -> None:
    """O: accepted, dropped, never returned (RFC 7643, section 4.1.1), for any client."""
    client = scim if dialect == "tolerant" else strict

    user = client.post("/Users", person(password="hunter2")).json
    client.put(f"/Users/{user['id']}", person(password="hunter2", title="t"))
    client.patch(f"/Users/{user['id']}", op("replace", "password", "hunter2"))
    step = {"method": "POST", "path": "/Users", "bulkId": "1", "data": person("bob", password="x")}
    client.post("/Bulk", patch(step, schemas=[BULK]))

    found = warnings(scim)
    assert [entry.facts["dropped"] for entry in found] == [["password"]] * 4
    assert [entry.resource_id == user["id"] for entry in found] == [True] * 3 + [False]
    assert "hunter2" not in str(list(trail(scim.database)))
    assert "password" not in client.get(f"/Users/{user['id']}").json


def test_a_foreign_extension_is_named_in_the_audit_trail(scim: Scim) -> None:
    """E, O: by its URN, never its values; and sent again it changes nothing (no new version)."""
    body = person(**{CUSTOM: {"badge": "secret"}})
    user = scim.post("/Users", body).json
    again = scim.put(f"/Users/{user['id']}", body)

    assert [entry.facts["dropped"] for entry in warnings(scim)] == [[CUSTOM], [CUSTOM]]
    assert again.headers["ETag"] == user["meta"]["version"]
    assert "secret" not in str(list(trail(scim.database)))


def test_a_request_that_fails_warns_of_nothing(scim: Scim) -> None:
    """The warning is kept or lost with the change."""
    scim.user()

    assert scim.post("/Users", person(password="x")).status_code == 409
    assert warnings(scim) == []


def test_a_group_that_is_echoed_is_named_in_the_audit_trail(scim: Scim) -> None:
    """O, S: nobody leaves a group by a PATCH of the user, and that is told (RFC 7643, 4.1.2)."""
    group, (ada,) = in_group(scim, "ada")

    answer = scim.patch(f"/Users/{ada}", op("replace", value={"groups": [], "meta": {}}))

    assert answer.status_code == 200
    assert scim.members(group) == {ada}
    assert [entry.facts["dropped"] for entry in warnings(scim)] == [["groups"]]


def test_what_is_dropped_is_named_without_values_and_not_without_end(scim: Scim) -> None:
    """A filter in a path may hold personal data, which the facts of an entry never do."""
    ada = scim.user("ada")["id"]
    path = "urn:scim:schemas:extension:acme:1.0:phones"
    scim.patch(f"/Users/{ada}", op("replace", f'{path}[value eq "+49-secret"].x', 1))
    many = {f"{CUSTOM}:badge{number}{'z' * 300}": 1 for number in range(100, 150)}
    scim.patch(f"/Users/{ada}", op("replace", value=many))

    one, several = [entry.facts for entry in warnings(scim)]
    assert one == {"dropped": [path]}
    assert (len(several["dropped"]), several["others"]) == (MAX_NAMED, 30)
    assert max(map(len, several["dropped"])) == MAX_NAME


def test_what_the_libraries_let_pass_is_refused_to_a_strict_client(strict: Scim) -> None:
    """In the rule's words (RFC 7643, section 2.3.2; RFC 7644, section 3.5.2), by Bulk as well."""
    ada = strict.user("ada")["id"]
    step = {"method": "POST", "path": "/users", "bulkId": "1", "data": person("bob", active="yes")}
    ask = quote('active eq "True"')

    (result,) = strict.post("/Bulk", patch(step, schemas=[BULK])).json["Operations"]
    boolean = strict.put(f"/Users/{ada}", person(active=""))
    capital = strict.patch(f"/Users/{ada}", op("Replace", "title", "t"))

    assert (result["status"], result["response"]["scimType"]) == ("400", "invalidValue")
    assert "a string stands for a boolean" in result["response"]["detail"]
    assert "a string stands for a boolean" in assert_error(boolean, 400, "invalidValue")
    assert "op is written Add" in assert_error(capital, 400, "invalidValue")
    assert_error(strict.get(f"/Users?filter={ask}"), 400, "invalidFilter")
    assert strict.get("/Users").json["totalResults"] == 1


# What is sent where, with the ids of a user and a group; what a strict client is told; and which
# tolerance it is for another client. None: nobody may send it.
Request = tuple[str, str, dict[str, Any]]
LOOSE_REQUESTS: dict[str, tuple[Request, str, str | None]] = {
    "a user without schemas": (
        ("PUT", "/Users/{ada}", {**person(), "schemas": []}),
        "schemas is missing",
        "schemas-missing",
    ),
    "a PATCH without schemas": (
        ("PATCH", "/Users/{ada}", patch(op("add", "title", "t"))),
        "schemas is missing",
        "schemas-missing",
    ),
    "a Bulk request without schemas": (
        ("POST", "/Bulk", patch({"method": "DELETE", "path": "/Users/{ada}"})),
        "schemas is missing",
        "schemas-missing",
    ),
    "a search without schemas": (
        ("POST", "/Users/.search", {"filter": "title pr"}),
        "schemas is missing",
        "schemas-missing",
    ),
    "a path as a key": (
        ("PATCH", "/Users/{ada}", message(PATCH_OP, op("add", value={"name.givenName": "A"}))),
        "name.givenName: a path stands for the name of an attribute",
        "paths-as-keys",
    ),
    "a path with a schema as a key": (
        ("PATCH", "/Users/{ada}", message(PATCH_OP, op("add", value={f"{USER}:title": "t"}))),
        f"{USER}:title: a path stands for",
        "paths-as-keys",
    ),
    "an operation and no list of them": (
        ("PATCH", "/Users/{ada}", message(PATCH_OP, Operations=op("add", "title", "t"))),
        "Operations: must be a list, not an object",
        None,
    ),
    "an e-mail and no list of them": (
        ("PUT", "/Users/{ada}", person(emails={"value": "a@b.example"})),
        "emails: one object comes where a list is meant",
        "single-object",
    ),
    "a member and no list of them": (
        (
            "PUT",
            "/Groups/{crew}",
            {"schemas": [GROUP], "displayName": "Crew", "members": {"value": "{ada}"}},
        ),
        "members: one object comes where a list is meant",
        "single-object",
    ),
    "a member in a value": (
        (
            "PATCH",
            "/Groups/{crew}",
            message(PATCH_OP, op("add", value={"members": {"value": "{ada}"}})),
        ),
        "members: one object comes where a list is meant",
        "single-object",
    ),
}


@pytest.mark.parametrize(("request_", "told", "rule"), LOOSE_REQUESTS.values(), ids=LOOSE_REQUESTS)
def test_a_strict_client_is_told_what_departs_from_the_standard(
    scim: Scim, strict: Scim, request_: Request, told: str, rule: str | None
) -> None:
    """RFC 7643, sections 2.4 and 3, RFC 7644, sections 3.1 and 3.5.2. For others it is counted."""
    ids = {"{ada}": scim.user()["id"], "{crew}": scim.group()["id"]}
    before = [scim.get(path).json for path in ("/Users", "/Groups")]
    text = json.dumps(request_)
    for name, number in ids.items():
        text = text.replace(name, number)

    def send(client: Scim) -> TestResponse:
        return client.send(*json.loads(text))

    assert told in assert_error(send(strict), 400, "invalidValue")
    assert [scim.get(path).json for path in ("/Users", "/Groups")] == before
    with capture_logs() as logs:
        answer = send(scim)
    assert (answer.status_code < 300) is (rule is not None), answer.text
    assert [one["rule"] for one in logs if one.get("action") == "tolerate"] == [rule] * bool(rule)


def test_one_value_may_be_added_to_a_list_as_it_is(scim: Scim, strict: Scim) -> None:
    """RFC 7644, section 3.5.2.1: no array is needed, so nothing had to be tolerated."""
    crew, ada = scim.group()["id"], scim.user()["id"]

    with capture_logs() as logs:
        for client in (scim, strict):
            answer = client.patch(f"/Groups/{crew}", op("add", "members", {"value": ada}))
            assert answer.status_code == 204, answer.text
    assert [one["value"] for one in scim.get(f"/Groups/{crew}").json["members"]] == [ada]
    assert [one for one in logs if one.get("action") == "tolerate"] == []


@pytest.mark.parametrize("dialect", ["tolerant", "strict"])
def test_a_group_has_no_password_to_drop(scim: Scim, strict: Scim, dialect: str) -> None:
    """RFC 7643, section 4.2: an attribute that nobody knows is refused."""
    client = scim if dialect == "tolerant" else strict

    answer = client.post("/Groups", {"schemas": [GROUP], "displayName": "Crew", "password": "x"})

    assert_error(answer, 400, "invalidSyntax")


def test_an_endpoint_of_a_bulk_operation_has_no_case(scim: Scim) -> None:
    """As in the path of a single request."""
    step = {"method": "POST", "path": "/users", "bulkId": "1", "data": person(active="False")}

    with capture_logs() as logs:
        (result,) = scim.post("/Bulk", patch(step)).json["Operations"]

    assert result["status"] == "201"
    rules = [one["rule"] for one in logs if one.get("action") == "tolerate"]
    assert rules == ["schemas-missing", "boolean-string"]


def test_a_tolerance_is_told_once_and_only_for_what_is_valid(scim: Scim) -> None:
    """A request that is refused needed none."""
    with capture_logs() as logs:
        scim.post("/Users", person(active="False", actve=False))
        step = {"method": "POST", "path": "/Users", "bulkId": "1"}
        wrong = {**step, "data": person(active="False", actve=False)}
        scim.post("/Bulk", patch(wrong, schemas=[BULK]))
        bob = f"/Users/{scim.user('bob')['id']}"
        other_id = patch(op("replace", value={"name.givenName": "A", "id": "another"}))
        assert_error(scim.send("PATCH", bob, other_id), 400, "mutability")
        assert_error(scim.patch(bob, op("replace", "name.givenName", "")), 400, "mutability")
        nobody = {**step, "method": "PATCH", "path": "/Users/nobody", "data": other_id}
        (done,) = scim.post("/Bulk", patch(nobody, schemas=[BULK])).json["Operations"]
        assert done["status"] == "404"
        assert [one for one in logs if one.get("action") == "tolerate"] == []
        scim.post("/Users", person(active="False"))

    assert [one["rule"] for one in logs if one.get("action") == "tolerate"] == ["boolean-string"]


# -- Bodies that need no rule --------------------------------------------------------

MEMBER_NAMES: tuple[str, ...] = (
    "userName",
    "USERNAME",
    "active",
    "name",
    "emails",
    "roles",
    "groups",
    "id",
    "password",
)
MEMBER_NAMES += (
    ENTERPRISE,
    f"{ENTERPRISE}.department",
    f"{ENTERPRISE}:department",
    CUSTOM,
    "no such",
)
MEMBER_VALUES: tuple[Any, ...] = ("x", "", "True", True, 5, None, [], ["x"], {"value": "x"})
MEMBER_VALUES += ([{"value": "x"}], [{"value": "", "primary": "true"}], {"givenName": "Ada"})
MEMBER_VALUES += (
    {"familyName": 5},
    {"manager": "x"},
    {"manager": {"value": "x"}},
    {"department": "x"},
)
LISTED_SCHEMAS = ([USER], [USER, ENTERPRISE], [USER.lower()], [USER, CUSTOM], [], None, USER)


@given(
    schemas=st.sampled_from(LISTED_SCHEMAS),
    members=st.dictionaries(
        st.sampled_from(MEMBER_NAMES), st.sampled_from(MEMBER_VALUES), max_size=4
    ),
    dialect=st.sampled_from([TOLERANT, STRICT]),
)
@example(schemas=[USER], members={"userName": "x", "emails": [{"value": "x"}]}, dialect=STRICT)
def test_a_body_that_is_taken_as_it_is_needs_no_rule(
    schemas: Any, members: dict[str, Any], dialect: Dialect
) -> None:
    """What is written as the schemas have it is told at one look: every rule leaves it alone."""
    body = {"schemas": schemas, **members}
    with mock.patch.object(reading, "_is_plain_resource", return_value=False):
        walked = read_resource(body, USERS, dialect)
    assert read_resource(body, USERS, dialect) == walked
