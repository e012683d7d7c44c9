"""Does PATCH do what RFC 7644 section 3.5.2 says? Each case is a resource, operations and the end.

A case of ``data/patches.json`` has ``before`` (one of the ``states``), ``operations`` (or a whole
``body``, or ``raw`` text), and what may come of it: ``after`` and ``or`` hold what is other than
before (null: no value), ``error`` a status and scimType. ``choice`` marks what the RFC leaves open,
``tolerance`` what only this client sends: either is a warning where a server does otherwise. A case
that ``renames`` is skipped where the server announces that userName cannot be changed.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.announced import NAMES_STAY, renames
from conformance.cases import data, outcome, user
from conformance.difference import difference
from conformance.result import Outcome, Result
from conformance.target import Answer, Target
from conformance.template import Variables, filled

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Case = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, and whether that is so whatever the RFC leaves open."""

    reason: str = ""
    grave: bool = False


class Patches:
    """The PATCH cases of ``data/patches.json``."""

    name = "patch"
    about = "PATCH: every form of path, order, atomicity, errors (RFC 7644 section 3.5.2)"

    def __init__(self) -> None:
        content = data("patches.json")
        self._states: dict[str, Any] = content["states"]
        self._cases: list[Case] = content["cases"]

    def number(self) -> int:
        """One result for each case."""
        return len(self._cases)

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Make people and a group to name, then each resource, patch it and look at it."""
        helpers, may_rename = _helpers(target, run), renames(target)
        for number, case in enumerate(self._cases):
            begun = time.monotonic()
            target.exchanges()
            if case.get("renames") and not may_rename:
                result, reason = Outcome.skipped, NAMES_STAY
            else:
                result, reason = self._tried(target, case, _named(helpers, f"{run}.{number}"))
            yield Result(
                suite=self.name,
                name=case["name"],
                clause=case["section"],
                outcome=result,
                reason=reason,
                exchanges=target.exchanges(),
                seconds=time.monotonic() - begun,
            )

    def _tried(self, target: Target, case: Case, variables: Variables) -> tuple[Outcome, str]:
        endpoint, state = f"/{case['resource']}s", filled(self._states[case["before"]], variables)
        extensions = [name for name in state if name.startswith("urn:")]
        body = {"schemas": [CORE + case["resource"], *extensions], **state}
        created = target.send("POST", endpoint, body)
        before = created.json
        if created.status != 201 or not isinstance(before, dict) or "id" not in before:
            return Outcome.failed, f"the resource was not made: {created.status} {created.text}"
        lost = difference(state, before)
        if lost:
            return Outcome.failed, f"the server did not keep what was created: {lost}"
        variables["self"] = before["id"]
        finding = _patched(target, case, variables, f"{endpoint}/{before['id']}", before)
        open_to_choice = case.get("choice", False) or "tolerance" in case
        grave = finding.grave
        return outcome(finding.reason, grave=grave, open_to_choice=open_to_choice), finding.reason


def _helpers(target: Target, run: str) -> Variables:
    """Three people and a group that cases name."""
    variables = Variables()
    for key in ("u1", "u2", "u3"):
        name = f"patch.{run}.helper.{key}"
        made = target.send("POST", "/Users", user(name)).json
        variables[key] = made.get("id", "") if isinstance(made, dict) else ""
        variables[f"{key}name"], variables[f"{key.upper()}NAME"] = name, name.upper()
    body = {"schemas": [f"{CORE}Group"], "displayName": f"Patch {run} helper"}
    made = target.send("POST", "/Groups", body).json
    variables["g1"] = made.get("id", "") if isinstance(made, dict) else ""
    return variables


def _named(helpers: Variables, word: str) -> Variables:
    """The helpers and the names of one case's own resource."""
    name = f"patch.{word}@example.com"
    return Variables(helpers, u=name, U=name.upper(), g=f"Patch {word}", w=word)


def _patched(
    target: Target, case: Case, variables: Variables, path: str, before: Mapping[str, Any]
) -> Finding:
    answer = _sent(target, case, variables, path)
    now = target.send("GET", path).json
    if not isinstance(now, dict):
        return Finding(reason=f"the resource cannot be read after {answer.status}", grave=True)
    if answer.status >= 500:
        return Finding(reason=f"server error {answer.status}: {answer.text[:200]}", grave=True)
    if answer.status not in (200, 204):
        return _refused(case, answer, difference(before, now))
    return _done(case, variables, answer, before, now)


def _sent(target: Target, case: Case, variables: Variables, path: str) -> Answer:
    if "raw" in case:
        return target.send("PATCH", path, data=case["raw"].encode())
    body = {"schemas": [PATCH_OP], "Operations": case.get("operations")}
    return target.send("PATCH", path, filled(case.get("body", body), variables))


def _refused(case: Case, answer: Answer, changed: str) -> Finding:
    if changed:
        reason = f"answered {answer.status} and changed the resource nevertheless: {changed}"
        return Finding(reason=reason, grave=True)
    error = case.get("error")
    if error is None:
        return Finding(reason=f"refused with {answer.status}: {answer.text[:300]}")
    body = answer.json
    scim_type = (body.get("scimType") or "") if isinstance(body, dict) else ""
    if answer.status in error["status"] and scim_type in error["scimType"]:
        return Finding()
    return Finding(reason=f"{answer.text[:300]}; wanted: {_wanted(error)}")


def _done(
    case: Case,
    variables: Variables,
    answer: Answer,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
) -> Finding:
    told = answer.json if answer.status == 200 else now
    if not isinstance(told, dict) or "id" not in told:
        return Finding(reason="200 without the resource", grave=True)
    untrue = difference(told, now)
    if untrue:
        return Finding(reason=f"what GET says is not what PATCH answered: {untrue}", grave=True)
    if "after" not in case:
        change = difference(before, now) or "nothing changed"
        return Finding(reason=f"{answer.status} ({change}); wanted: {_wanted(case['error'])}")
    ends = [{**before, **filled(end, variables)} for end in [case["after"], *case.get("or", [])]]
    wrong = [difference(end, now) for end in ends]
    return Finding(reason="" if "" in wrong else wrong[0])


def _wanted(error: Mapping[str, Any]) -> str:
    statuses = " or ".join(map(str, error["status"]))
    return f"{statuses} {' or '.join(error['scimType'])}"
