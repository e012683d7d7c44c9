"""How does a run go: which suites, in which order, and what is left behind at the end?"""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import requests

from conformance.result import Exchange, Outcome, Result
from conformance.suites import Suite
from conformance.target import Target

# What the HTTP library says of a server that does not answer, and what of it says why.
_NO_ANSWER = re.compile(r"HTTPS?ConnectionPool\(.*\)|\('Connection aborted\.', .*\)", re.S)
_WHY = re.compile(r"\[(?:Errno -?\d+|SSL: \w+)\] ([^\"'()\[\]]+)|(?<=')([^']+)'\)+$|(timed out)")


class NoServer(Exception):
    """There is no SCIM server to check. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run that has ended: what it came to, and what it left behind."""

    url: str
    # In the names of everything that the run made.
    word: str
    started: datetime
    seconds: float
    requests: int
    # Each suite that was asked for, with what it is about.
    suites: dict[str, str]
    results: tuple[Result, ...]
    # What could not be removed from the server.
    left: tuple[str, ...]
    # Whether somebody stopped it before its end.
    stopped: bool

    @property
    def failed(self) -> bool:
        """Whether the server failed a check, or the run was not complete."""
        return self.stopped or any(one.outcome is Outcome.failed for one in self.results)

    def of(self, suite: str) -> list[Result]:
        return [one for one in self.results if one.suite == suite]

    def counts(self, suite: str | None = None) -> Counter[Outcome]:
        """How many checks came to each outcome, in a suite or in all."""
        return Counter(one.outcome for one in self.results if suite in (None, one.suite))


class Watcher(Protocol):
    """Is told how a run goes on."""

    def began(self, suite: Suite) -> None: ...

    def came(self, result: Result) -> None: ...

    def ended(self, suite: Suite) -> None: ...


def check(target: Target) -> None:
    """Make sure that there is a SCIM server that takes the token. Raises `NoServer`."""
    try:
        answer = target.send("GET", "/ServiceProviderConfig")
        # Many servers show what they can do to everybody (RFC 7644, 4).
        listed = target.send("GET", "/Users?count=1")
    except requests.RequestException as error:
        raise NoServer(
            f"{target.url} does not answer ({target.masked(_why(str(error)))}). Check the address, "
            "and that the server runs and can be reached from here."
        ) from error
    finally:
        target.exchanges()
    if refusal := next((one.status for one in (answer, listed) if one.status in {401, 403}), None):
        given = "is not taken" if target.token else "is needed"
        raise NoServer(
            f"{target.url} answered {refusal}: a token {given}. Give one that may read and "
            "write with --token, or in the environment as SCIM_TOKEN."
        )
    if not isinstance(answer.json, dict) or answer.status == listed.status == 404:
        said = f"{answer.status}" if isinstance(answer.json, dict) else f"{answer.status}, no JSON"
        raise NoServer(
            f"{target.url}/ServiceProviderConfig answered {said}. Give the base address of a SCIM "
            "server, what comes before /Users: https://HOST/scim/v2"
        )


def run(target: Target, suites: Sequence[Suite], watcher: Watcher) -> Ran:
    """Run the suites one after the other, and remove what they made in any case."""
    word = secrets.token_hex(4)
    started, begun = datetime.now(UTC), time.monotonic()
    results: list[Result] = []
    stopped = False
    try:
        for suite in suites:
            watcher.began(suite)
            for result in _results(suite, target, word):
                results.append(result)
                watcher.came(result)
            watcher.ended(suite)
    except KeyboardInterrupt:
        stopped = True
    finally:
        # What is sent to clean up checks nothing.
        asked = target.sent
        left = target.clean()
    return Ran(
        url=target.url,
        word=word,
        started=started,
        seconds=time.monotonic() - begun,
        requests=asked,
        suites={suite.name: suite.about for suite in suites},
        results=tuple(results),
        left=tuple(left),
        stopped=stopped,
    )


def _results(suite: Suite, target: Target, word: str) -> Iterator[Result]:
    """The suite's results. What ends it early is a failed one: a run never ends in a traceback."""
    begun = time.monotonic()
    try:
        for result in suite.run(target, word):
            now = time.monotonic()
            yield _told(target, result, seconds=result.seconds or now - begun)
            begun = now
    except requests.RequestException as error:
        reason = f"the suite was given up, since the server did not answer ({_why(str(error))})"
        yield _told(target, _given_up(suite, target, reason))
    except Exception as error:
        # A server may answer what no suite has thought of.
        reason = f"the suite was given up after {type(error).__name__}: {error}"
        yield _told(target, _given_up(suite, target, reason))


def _given_up(suite: Suite, target: Target, reason: str) -> Result:
    return Result(
        suite=suite.name,
        name="The suite runs to its end",
        clause="conformance",
        outcome=Outcome.failed,
        reason=reason,
        exchanges=_last(target.exchanges()),
    )


def _told(target: Target, result: Result, *, seconds: float = 0.0) -> Result:
    """A result as it is reported: without the token, and with requests if not well."""
    wanted = result.outcome in {Outcome.failed, Outcome.warned}
    return replace(
        result,
        name=target.masked(result.name),
        reason=target.masked(_plain(result.reason)),
        exchanges=result.exchanges if wanted else (),
        seconds=seconds,
    )


def _last(exchanges: Iterable[Exchange]) -> tuple[Exchange, ...]:
    return tuple(exchanges)[-3:]


def _plain(reason: str) -> str:
    """A reason, with a sentence for what the HTTP library says where a server does not answer."""
    return _NO_ANSWER.sub(lambda found: f"the server did not answer ({_why(found[0])})", reason)


def _why(said: str) -> str:
    """Why there was no answer, out of what the HTTP library says."""
    found = _WHY.search(said)
    return next(filter(None, found.groups())).strip() if found else said
