"""Does a filter find what it means, and is refused when it is none (RFC 7644 section 3.4.2.2)?

The suite makes the people and groups of ``data/population.json`` and sends each filter of
``data/filters.json``. A case has the keys of those it ``matches``, or ``valid``: false for
400 invalidFilter, null for any answer that is no server error. ``choice`` marks what the RFC leaves
open. Only the population counts: other resources of the server do not disturb.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from conformance.cases import data, outcome
from conformance.result import Outcome, Result
from conformance.target import Answer, Target
from conformance.template import Variables, filled

SEARCH_REQUEST = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
PAGE = 200
# What tells the population from other resources, for a server that holds more than a page of them.
OWN = {"Users": 'userName co "-{run}"', "Groups": 'displayName ew " {run}"'}
# Every so many cases one is also sent as a search by POST.
SEARCHED = 5

Case = Mapping[str, Any]


class NoPopulation(Exception):
    """The server did not make somebody of the population."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """Who is searched: the ids of those whom the suite made, by their keys."""

    run: str
    variables: Variables
    keys: Mapping[str, str]


class Filters:
    """The filters of ``data/filters.json``."""

    name = "filters"
    about = "Filters: every operator and form, and what is none (RFC 7644 section 3.4.2.2)"

    def __init__(self) -> None:
        self._cases: list[Case] = data("filters.json")
        self._searches = self._cases[::SEARCHED]

    def number(self) -> int:
        """One result for each filter, and one more for those that are searched by POST."""
        return len(self._cases) + len(self._searches)

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Make the population, and ask for it by each filter."""
        target.exchanges()
        try:
            population = populate(target, run)
        except NoPopulation as problem:
            yield self._result(
                "the population", "RFC 7644 3.3", Outcome.failed, str(problem), target
            )
            return
        for case in self._cases:
            yield self._checked(target, population, case, via="GET")
        for case in self._searches:
            yield self._checked(target, population, case, via="POST")

    def _checked(self, target: Target, population: Population, case: Case, *, via: str) -> Result:
        begun = time.monotonic()
        reason = _reason(_Asking(target=target, population=population, via=via), case)
        name = case["name"] if via == "GET" else f"{case['name']}, by .search"
        result = outcome(
            reason,
            grave=reason.startswith("server error"),
            open_to_choice=case.get("choice", False),
        )
        clause = case["section"] if via == "GET" else "RFC 7644 3.4.3"
        return self._result(name, clause, result, reason, target, time.monotonic() - begun)

    def _result(
        self,
        name: str,
        clause: str,
        result: Outcome,
        reason: str,
        target: Target,
        seconds: float = 0.0,
    ) -> Result:
        return Result(
            suite=self.name,
            name=name,
            clause=clause,
            outcome=result,
            reason=reason,
            exchanges=target.exchanges(),
            seconds=seconds,
        )


def populate(target: Target, run: str) -> Population:
    """Make the people and groups of ``data/population.json``.

    :raises NoPopulation: If one of them is not made.
    """
    variables = Variables(run=run, RUN=run.upper())
    keys = {}
    for kind, resources in data("population.json").items():
        for key, resource in resources.items():
            answer = target.send("POST", f"/{kind.capitalize()}", filled(resource, variables))
            if answer.status != 201 or not isinstance(answer.json, dict):
                raise NoPopulation(f"{key} was not made: {answer.status} {answer.text[:300]}")
            variables[key] = answer.json["id"]
            keys[answer.json["id"]] = key
    return Population(run=run, variables=variables, keys=keys)


@dataclass(frozen=True, kw_only=True)
class _Asking:
    """Asks a server for the population."""

    target: Target
    population: Population
    # GET with a query, or POST to .search.
    via: str

    def first(self, endpoint: str, text: str) -> Answer:
        query = {"filter": text, "startIndex": 1, "count": PAGE}
        if self.via == "POST":
            body = {"schemas": [SEARCH_REQUEST], **query}
            return self.target.send("POST", f"/{endpoint}/.search", body)
        return self.target.send("GET", f"/{endpoint}?{urlencode(query)}")

    def found(self, endpoint: str, text: str) -> tuple[Answer, list[str]]:
        """The answer, and the keys of whom it lists, in order.

        If there is more than a page, the filter is asked again for the population only.
        """
        answer = self.first(endpoint, text)
        if answer.status == 200 and _cut_short(answer.json):
            own = OWN[endpoint].format(run=self.population.run)
            answer = self.first(endpoint, f"({text}) and {own}")
        keys = self.population.keys
        listed = [str(one.get("id")) for one in _resources(answer.json)]
        return answer, sorted(keys[one] for one in listed if one in keys)


def _reason(asking: _Asking, case: Case) -> str:
    text = filled(case["filter"], asking.population.variables)
    answer, found = asking.found(case["endpoint"], text)
    if answer.status >= 500:
        return f"server error {answer.status}: {answer.text[:200]}"
    if "matches" in case:
        return _about_found(case, answer, found)
    return _about_refusal(answer) if case["valid"] is False else ""


def _about_found(case: Case, answer: Answer, found: list[str]) -> str:
    if answer.status != 200:
        return f"refused with {answer.status}: {answer.text[:300]}"
    if found == sorted(case["matches"]):
        return ""
    return f"found {', '.join(found) or 'nobody'}; wanted: {', '.join(case['matches']) or 'nobody'}"


def _about_refusal(answer: Answer) -> str:
    body = answer.json if isinstance(answer.json, dict) else {}
    if answer.status == 400 and body.get("scimType") == "invalidFilter":
        return ""
    return f"{answer.status} {answer.text[:200]}; wanted: 400 invalidFilter"


def _resources(body: Any) -> list[Mapping[str, Any]]:
    listed = body.get("Resources") if isinstance(body, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _cut_short(body: Any) -> bool:
    total = body.get("totalResults") if isinstance(body, dict) else None
    return isinstance(total, int) and total > len(_resources(body))
