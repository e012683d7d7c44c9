"""How does a scenario go with a server? Each step is a request, and what the answer must be.

A scenario is data: ``{"client" or "section", "headers", "vars", "needs", "steps"}``. A step has
``name``, ``method``, ``path``, and may have ``headers``, ``body`` or ``raw``, ``expect`` (see
`conformance.expectation`), ``capture`` and ``capture_headers`` for later steps, ``only_if`` (a
variable and its value), ``needs`` (what the ServiceProviderConfig must announce), ``section``,
``anonymous`` (without credentials), ``renames`` (another userName) and ``optional`` (only warns).
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from conformance.announced import NAMES_STAY, not_announced
from conformance.expectation import disappointments, reached
from conformance.result import Outcome, Result
from conformance.target import Answer, Target
from conformance.template import UnknownVariable, Variables, filled

Scenario = Mapping[str, Any]
Step = Mapping[str, Any]


def scenarios(folder: str) -> list[Scenario]:
    """The scenarios of a folder of this package, in the order of their files' names."""
    found = sorted((files("conformance") / folder).iterdir(), key=lambda file: file.name)
    return [json.loads(file.read_text("utf-8")) for file in found if file.name.endswith(".json")]


@dataclass(frozen=True, kw_only=True)
class Player:
    """Plays scenarios to one server."""

    suite: str
    target: Target
    run: str
    # The server's ServiceProviderConfig, as far as there is one.
    config: Mapping[str, Any] = field(default_factory=dict)
    # Whether steps that rename somebody make sense.
    renames: bool = True

    def play(self, scenario: Scenario) -> Iterator[Result]:
        """Play every step. One that lacks what an earlier step should have given is skipped."""
        variables = Variables(run=self.run, base=self.target.url)
        for key, template in scenario.get("vars", {}).items():
            variables[key] = filled(template, variables)
        for number, step in enumerate(scenario["steps"], 1):
            yield self._result(scenario, number, step, variables)

    def _result(self, scenario: Scenario, number: int, step: Step, variables: Variables) -> Result:
        begun = time.monotonic()
        self.target.exchanges()
        outcome, reason = self._outcome(scenario, step, variables)
        return Result(
            suite=self.suite,
            name=name(scenario, number, step),
            clause=clause(scenario, step),
            outcome=outcome,
            reason=reason,
            exchanges=self.target.exchanges(),
            seconds=time.monotonic() - begun,
        )

    def _outcome(self, scenario: Scenario, step: Step, variables: Variables) -> tuple[Outcome, str]:
        missing = not_announced(self.config, [*scenario.get("needs", ()), *step.get("needs", ())])
        if missing:
            return Outcome.skipped, missing
        if step.get("renames") and not self.renames:
            return Outcome.skipped, NAMES_STAY
        if step.get("anonymous") and self.target.token is None:
            return Outcome.skipped, "this run uses no token, so the server may ask for none"
        variable, value = step.get("only_if", ("run", self.run))
        if variables.get(variable) != value:
            return Outcome.skipped, f"{variable} is {variables.get(variable)!r} here"
        try:
            reasons = self._reasons(scenario, step, variables)
        except UnknownVariable as unknown:
            return Outcome.skipped, str(unknown)
        if not reasons:
            return Outcome.passed, ""
        bad = Outcome.warned if step.get("optional") else Outcome.failed
        return bad, "; ".join(reasons)

    def _reasons(self, scenario: Scenario, step: Step, variables: Variables) -> list[str]:
        answer = self._send(scenario, step, variables)
        reasons = list(disappointments(filled(step.get("expect", {}), variables), answer))
        if not reasons:
            reasons = list(_capture(step, answer, variables))
        return reasons

    def _send(self, scenario: Scenario, step: Step, variables: Variables) -> Answer:
        headers = {**scenario.get("headers", {}), **step.get("headers", {})}
        data = _sent(step, variables)
        if data is None and "Content-Type" not in step.get("headers", {}):
            headers.pop("Content-Type", None)
        return self.target.send(
            step["method"],
            filled(step["path"], variables),
            data=data,
            headers=filled(headers, variables),
            authorized=not step.get("anonymous", False),
        )


def name(scenario: Scenario, number: int, step: Step) -> str:
    """What the step is called. A client does some things twice, so its steps have numbers."""
    label: str = step["name"]
    return f"{number:02} {label}" if "client" in scenario else label


def clause(scenario: Scenario, step: Step) -> str:
    """The section that demands the step, or whose step it is."""
    if "client" in scenario:
        return f"{scenario['client']} · {step['name']}"
    section: str = step.get("section", scenario["section"])
    return section


def _sent(step: Step, variables: Variables) -> bytes | None:
    """What is sent: text as clients write it, which is UTF-8 and not escaped."""
    if "raw" in step:
        return str(filled(step["raw"], variables)).encode()
    if "body" in step:
        return json.dumps(filled(step["body"], variables), ensure_ascii=False).encode()
    return None


def _capture(step: Step, answer: Answer, variables: Variables) -> Iterator[str]:
    """Remember what later steps use; a reason for each thing that is not there."""
    for variable, path in step.get("capture", {}).items():
        found = reached(answer.json, path)
        if found:
            variables[variable] = found[0]
        else:
            yield f"the answer has no {path}"
    for variable, header in step.get("capture_headers", {}).items():
        if header in answer.headers:
            variables[variable] = answer.headers[header]
        else:
            yield f"the answer has no header {header}"
