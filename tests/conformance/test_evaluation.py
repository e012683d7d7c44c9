"""The plain evaluation of filters: what it finds is what the data says, and what the bridge finds.

RFC 7644, section 3.4.2.2.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.cases import data
from conformance.evaluation import NoFilter, meant, parsed
from conformance.suites.filters import Population, populate
from conformance.target import Target
from conformance.template import Variables, filled
from tests.conformance.bridge import RUN, bridge

CASES = data("filters.json")
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
TIME = "2026-11-24T10:00:00Z"


def population() -> tuple[Variables, dict[str, dict]]:
    """The people and groups of the data, as a server would answer them."""
    content = data("population.json")
    keys = [key for resources in content.values() for key in resources]
    variables = Variables({key: f"id-{key}" for key in keys}, run=RUN, RUN=RUN.upper())
    return variables, {
        kind.capitalize(): {
            key: {
                **filled(resource, variables),
                "id": variables[key],
                "meta": {
                    "resourceType": kind.capitalize().removesuffix("s"),
                    "created": TIME,
                    "lastModified": TIME,
                },
            }
            for key, resource in resources.items()
        }
        for kind, resources in content.items()
    }


@pytest.mark.parametrize(
    "case", [one for one in CASES if "matches" in one], ids=lambda c: c["name"]
)
def test_a_filter_means_what_the_data_says(case):
    """The expected answers were written by hand or agreed on by two servers."""
    variables, resources = population()

    found = meant(filled(case["filter"], variables), resources[case["endpoint"]])

    assert found == set(case["matches"])


@pytest.mark.parametrize(
    "case", [one for one in CASES if one.get("valid") is False], ids=lambda c: c["name"]
)
def test_what_is_no_filter_is_refused(case):
    """Figure 1 of RFC 7644."""
    with pytest.raises(NoFilter):
        parsed(filled(case["filter"], population()[0]))


# -- Filters that nobody thought of -----------------------------------------

TEXTS = {
    "userName": ["ada.quill", f"cy-lee-{RUN}", "", "_", "%", "GUS", ".example"],
    "displayName": ["Ada Quill", "ada quill", 'Cy "Ace" Lee', "Éli", "é", " ", "]", "Sons)"],
    "title": ["Engineer", "engineer", "Senior Engineer", "Director", "eng", "x"],
    "userType": ["Employee", "contractor", "Intern"],
    "nickName": ["addie", "back\\slash", "\\"],
    "externalId": [f"ext-001-{RUN}", f"EXT-001-{RUN}", "ext-", "EXT"],
    "name.givenName": ["Ada", "éli", "Éli", "d"],
    "name.familyName": ["O'Hara", "Lee", "Ångström", "n"],
    "locale": ["en-US", "EN-us"],
    "emails.value": [f"ada-{RUN}@nook.example", "meadow", "NOOK", "e"],
    "emails.type": ["work", "WORK", "home", "other", "fax"],
    "addresses.country": ["FR", "se"],
    "addresses.locality": ["Lyon", "upp"],
    "phoneNumbers.value": ["+1-555-0101", "555", "04"],
    "roles.value": ["admin", "auditor", "a"],
    "entitlements.type": ["desk", "key"],
    f"{ENTERPRISE}:department": ["Sales", "sales", "R&D", "&"],
    f"{ENTERPRISE}:employeeNumber": ["1001", "1002", "00"],
    f"{ENTERPRISE}:costCenter": ["CC-9", "cc"],
}
WITHIN = {
    "emails": {"value": TEXTS["emails.value"], "type": TEXTS["emails.type"]},
    "phoneNumbers": {"value": TEXTS["phoneNumbers.value"], "type": ["work", "mobile"]},
    "addresses": {"country": ["FR", "SE"], "type": ["work", "home"], "locality": ["Lyon"]},
    "roles": {"value": TEXTS["roles.value"]},
    "entitlements": {"value": ["desk-4", "key"], "type": ["desk", "key"]},
}
OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
TIMES = ["2011-05-13T04:42:34Z", "2999-01-01T00:00:00+02:00"]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def in_any_case(text: str):
    return st.sampled_from([text, text.upper(), text.title()]) if ":" not in text else st.just(text)


@st.composite
def comparisons(draw, attributes=TEXTS):
    name = draw(st.sampled_from(sorted(attributes)))
    if draw(st.integers(0, 5)) == 0:
        return f"{draw(in_any_case(name))} {draw(in_any_case('pr'))}"
    operator = draw(in_any_case(draw(st.sampled_from(OPERATORS))))
    value = draw(st.sampled_from(attributes[name]))
    return f"{draw(in_any_case(name))} {operator} {quoted(value)}"


@st.composite
def others(draw):
    """What is no text: booleans and times."""
    boolean = f"{draw(st.sampled_from(['eq', 'ne']))} {draw(st.sampled_from(['true', 'false']))}"
    ordering = draw(st.sampled_from(["gt", "ge", "lt", "le"]))
    time = f"{draw(st.sampled_from(['created', 'lastModified']))} {ordering}"
    return draw(
        st.sampled_from(
            [
                f"active {boolean}",
                f"emails.primary {boolean}",
                f"meta.{time} {quoted(draw(st.sampled_from(TIMES)))}",
            ]
        )
    )


def joined(terms):
    """Terms with and, or, not and parentheses."""
    pairs = st.tuples(terms, st.sampled_from(["and", "or", "AND"]), terms)
    return st.one_of(
        pairs.map(" ".join),
        pairs.map(lambda pair: f"({' '.join(pair)})"),
        terms.map(lambda term: f"not ({term})"),
    )


@st.composite
def selections(draw):
    """Filters on values, in brackets."""
    name = draw(st.sampled_from(sorted(WITHIN)))
    return f"{name}[{draw(st.recursive(comparisons(WITHIN[name]), joined, max_leaves=3))}]"


FILTERS = st.recursive(st.one_of(comparisons(), others(), selections()), joined, max_leaves=6)


@pytest.fixture
def target(database) -> Iterator[Target]:
    with bridge(database) as served:
        yield served


def test_the_bridge_finds_whom_a_filter_means(target: Target) -> None:
    """Whatever the filter: the answer is that of the evaluation over the same people."""
    people = populate(target, RUN)
    resources = {one["id"]: one for one in target.send("GET", "/Users?count=200").json["Resources"]}

    @settings(
        max_examples=200,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(FILTERS)
    def agree(text: str) -> None:
        answer = target.send("GET", f"/Users?{urlencode({'filter': text, 'count': 200})}")
        target.exchanges()
        assert answer.status == 200, (text, answer.text)
        found = {one["id"] for one in answer.json["Resources"]}
        assert _named(people, found) == _named(people, meant(text, resources)), text

    agree()


def _named(people: Population, ids: set[str]) -> list[str]:
    return sorted(people.keys[one] for one in ids)
