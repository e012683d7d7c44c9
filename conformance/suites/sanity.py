"""What does scim-sanity say, a probe of the life of a user and a group?"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from scim_sanity.http_client import SCIMClient, SCIMResponse
from scim_sanity.probe import tests
from scim_sanity.probe.report import ProbeResult
from scim_sanity.response_validator import ServerResponseValidator

from conformance.result import Exchange, Outcome, Result
from conformance.target import Target

OUTCOMES = {
    ProbeResult.PASS: Outcome.passed,
    ProbeResult.WARN: Outcome.warned,
    ProbeResult.FAIL: Outcome.failed,
    ProbeResult.ERROR: Outcome.failed,
    ProbeResult.SKIP: Outcome.skipped,
}
CLAUSES = {
    "POST": "RFC 7644 3.3",
    "GET": "RFC 7644 3.4.1",
    "PUT": "RFC 7644 3.5.1",
    "PATCH": "RFC 7644 3.5.2",
    "DELETE": "RFC 7644 3.6",
}
# What scim-sanity fails and the RFCs allow: which check, its reason, and where it is allowed.
ALLOWED = (
    (r"PATCH /\w+/\{id\}", r"got 204", "RFC 7644 3.5.2 leaves a server the choice of 200 and 204"),
    (
        r"PATCH /Groups/\{id\} add member",
        r"got 40[04]",
        "the member does not exist, and no RFC demands that a server takes it",
    ),
)
AGENTS = ("Agent", "AgenticApplication")

Share = tuple[ProbeResult, tuple[Exchange, ...]]


class Sanity:
    """scim-sanity over HTTP in its strict mode, phase by phase."""

    name = "sanity"
    about = "scim-sanity: headers, metadata and errors through the life of a user and a group"

    def number(self) -> int | None:
        return None

    def run(self, target: Target, run: str) -> Iterator[Result]:
        target.exchanges()
        client, validator = _Client(target), ServerResponseValidator(strict=True)
        yield from self._phase(
            target, "RFC 7644 4", lambda: tests.test_discovery(client, validator)
        )
        supported = tests.discover_supported_resources(client)
        target.exchanges()
        for kind, check in _lives(client, validator).items():
            if kind in supported:
                yield from self._phase(target, None, check)
            else:
                yield self._unsupported(kind)
        yield from self._phase(
            target, "RFC 7644 3.4.2", lambda: tests.test_search(client, validator)
        )
        yield from self._phase(
            target, "RFC 7644 3.12", lambda: tests.test_error_handling(client, validator)
        )

    def _phase(
        self, target: Target, clause: str | None, check: Callable[[], list[ProbeResult]]
    ) -> Iterator[Result]:
        found = check()
        for one, exchanges in shared(found, target.exchanges()):
            yield self._result(
                one, clause or CLAUSES.get(one.name.split()[0], "scim-sanity"), exchanges
            )

    def _result(self, one: ProbeResult, clause: str, exchanges: tuple[Exchange, ...]) -> Result:
        outcome, reason = OUTCOMES[one.status], one.message or ""
        if outcome is Outcome.failed and (why := allowed(one)):
            outcome, reason = Outcome.warned, f"{reason} ({why})"
        return Result(
            suite=self.name,
            name=one.name,
            clause=clause,
            outcome=outcome,
            reason=reason,
            exchanges=exchanges,
        )

    def _unsupported(self, kind: str) -> Result:
        draft = "draft-abbey-scim-agent-extension-00" if kind in AGENTS else "RFC 7643 4"
        return Result(
            suite=self.name,
            name=f"The life of a resource of type {kind}",
            clause=draft,
            outcome=Outcome.skipped,
            reason=f"/ResourceTypes names no {kind}",
        )


def _lives(
    client: SCIMClient, validator: ServerResponseValidator
) -> dict[str, Callable[[], list[ProbeResult]]]:
    made: list[dict[str, Any]] = []
    return {
        "User": lambda: tests.test_user_lifecycle(client, validator, made),
        "Group": lambda: tests.test_group_lifecycle(client, validator, made),
        "Agent": lambda: tests.test_agent_lifecycle(client, validator, made),
        "AgenticApplication": lambda: tests.test_agentic_application_lifecycle(
            client, validator, made
        ),
    }


def allowed(one: ProbeResult) -> str:
    """Why the RFCs allow what was found, or nothing."""
    for name, reason, why in ALLOWED:
        if re.search(name, one.name) and re.search(reason, one.message or ""):
            return why
    return ""


def shared(found: list[ProbeResult], exchanges: tuple[Exchange, ...]) -> Iterator[Share]:
    """Each result with its request: scim-sanity sends one per check, in order, and tells neither.

    A result whose method does not come next speaks of the same request as the one before.
    """
    waiting = list(exchanges)
    last: tuple[Exchange, ...] = ()
    for one in found:
        method = one.name.split()[0]
        if waiting and (method == waiting[0].method or method not in CLAUSES):
            last = (waiting.pop(0),) if method in CLAUSES else last
        yield one, last


class _Client(SCIMClient):  # type: ignore[misc]  # scim-sanity has no types
    """scim-sanity's client over the target, so that everything is recorded and removed."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.url)
        self._target = target

    def _request_with_requests(
        self, method: str, url: str, headers: dict[str, str], payload: dict[str, Any] | None
    ) -> SCIMResponse:
        answer = self._target.send(method, url, payload, headers=headers)
        return SCIMResponse(answer.status, dict(answer.headers), answer.text)
