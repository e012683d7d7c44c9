"""Does the server stand what nobody would send: thousands of odd requests of every kind?"""

import copy
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.errors import SchemathesisError

from conformance import openapi
from conformance.openapi import Kind
from conformance.result import Exchange, Outcome, Result
from conformance.target import SCIM, Target
from conformance.traffic import Asked, Traffic

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
# Says what is wrong with the answer to an operation, or to what is none; or nothing.
Problem = Callable[[Operation | None, Exchange], str]

# The same seed sends the same requests to the same server.
SEED = 1
# Longer than this no client should wait for an answer, in seconds.
SLOW = 2.0
# After so many requests in a row without an answer the server is taken for gone.
_GONE = 5
# How many examples of one failure are kept.
_KEPT = 3
# So many resources of each kind are there to be changed when a wave of requests begins.
_MADE = 6
# In a wave each operation is asked so often as a client means it, so often with one thing bent, and
# so often wildly; and so many requests fit no operation.
_MEANT, _NEARLY, _WILD, _STRAY = 6, 3, 3, 16
# Here there is little to be meant.
_DISCOVERY = ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Me")
# One of so many wild requests is what schemathesis finds unfitting: those take long to be made.
_UNFITTING = 3
# One of so many bodies of wild requests is spoilt as bytes.
_SPOILT = 2
_ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        2**70,
        10**400,
        1e300,
        "",
        " a ",
        "\u0000",
        "\ud83d",
        "\ud83d\ude00",
    ),
    *([], [[]], [None], {}, {"value": None}, {"$ref": "/Users/1"}, "É" * 3000, "x" * 100_000),
    *("2026-13-45T99:00:00Z", "%_\\'\"", "../Users", "a" * 255 + "@example.com"),
)
_ODD_TEXTS = (
    *openapi.ODD,
    *("-1", "99999999999999999999", "1e3", "\ud83d", "?", "#", "userName eq", "(" * 900),
    *("not (" * 150 + "active pr" + ")" * 150, " or ".join(["active pr"] * 200), 'a eq "\\u0000"'),
)
_ODD_HEADERS = (
    *({"Content-Type": one} for one in ("text/html", "application/xml", "x", "", "a/b;charset=x")),
    {"Content-Type": "application/json; charset=utf-16"},
    *({"Accept": one} for one in ("text/html", "*/*;q=0", "x", ",,;q=a", "application/json")),
    *({"If-Match": one} for one in ("", "x", 'W/"', '"a","b"', "*, *", "é", "W/" * 500)),
    *({"If-None-Match": one} for one in ("*", "W/", ",", '"\\"')),
    *({"X-Request-Id": one} for one in ("", "x" * 3000, "é", "{}", "%s%n")),
    *({name: "garbage"} for name in ("If-Modified-Since", "Range", "Expect-CT", "Cookie")),
    *({"X-HTTP-Method-Override": "DELETE"}, {"X-Forwarded-Host": "a b"}, {"Host": "a.example"}),
)
_ODD_BODIES = (
    *(b"", b"[]", b"[{}]", b"null", b"7", b'"a"', b"{", b"\xff\xfe{}", b"\x00", b"NaN", b"{}{}"),
    *(b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"\\u0000":1}', b"\xef\xbb\xbf{}"),
    *(b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b"9" * 5000),
    b'{"schemas":["a"],"schemas":[],"userName":"a","USERNAME":"b","Operations":{},"op":[]}',
)
_ODD_PATHS = (
    *(
        "/nowhere",
        "//Users",
        "/Users/%2F",
        "/Users/",
        "/Users//",
        "/Users/%00",
        "/Users/%ff",
        "/Users/%2e%2e/x",
    ),
    *("/users", "/Users/a/b/c", "/Me", "/Me/x", "/Bulk/1", "/.search/1", "/Users/.search/", "/%"),
    *("/Users?count=9&count=a&=&&", "/Users?filter", "/Users?%00=%ff", "/Users;a=b", "/Schemas/a"),
    *("/Users?attributes=" + "a," * 900, "/Groups/" + "x" * 3000, "/Users?cursor=%F0%9F"),
)
_TRACEBACK = re.compile(
    r"Traceback \(most recent|File \\?\"[^\"]+\", line \d|^\s+at [\w.$]+\([\w.]+:\d+\)",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A request, with the operation that it is or nearly is."""

    asked: Asked
    operation: Operation | None = None

    @property
    def label(self) -> str:
        return self.operation.label if self.operation else "no operation"


@dataclass(kw_only=True)
class Tally:
    """What the answers to an operation came to, for one thing that they must be."""

    answers: int = 0
    wrong: int = 0
    reason: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    def add(self, problem: str, exchange: Exchange) -> None:
        self.answers += 1
        if not problem:
            return
        self.wrong += 1
        self.reason = self.reason or problem
        if len(self.exchanges) < _KEPT:
            self.exchanges.append(exchange)


class Fuzz:
    """Requests made by schemathesis from an OpenAPI of the server's own schemas.

    Only resources that it made itself are ever changed or removed.
    """

    name = "fuzz"

    def __init__(self, *, requests: int = 500, slow: float = SLOW) -> None:
        self.about = f"{requests} requests by chance (seed {SEED}) over all endpoints"
        self._requests = requests
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._checks: dict[str, tuple[str, Problem]] = {
            "no server error": ("RFC 9110 15.6", lambda _, exchange: server_error(exchange)),
            "a SCIM answer, never HTML": ("RFC 7644 3.1", lambda _, exchange: media_type(exchange)),
            "no traceback": ("RFC 7644 7", lambda _, exchange: traceback(exchange)),
            f"within {slow:g} s": ("conformance", lambda _, exchange: slowness(exchange, slow)),
            "an error is a SCIM error": ("RFC 7644 3.12", lambda _, exchange: no_error(exchange)),
            "as its schemas say": ("RFC 7643 7", misshapen),
        }

    def number(self) -> int | None:
        return None

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Request after request, each counted for all that its answer must be."""
        self._tallies.clear()
        with TemporaryDirectory() as folder:
            # What hypothesis keeps is of no use afterwards, and not wanted where somebody works.
            set_hypothesis_home_dir(folder)
            yield from self._found(target, run)

    def _found(self, target: Target, run: str) -> Iterator[Result]:
        found = discovered(target)
        if not found:
            yield self._result(
                "what the server publishes can be understood",
                "RFC 7644 4",
                "/Schemas and /ResourceTypes name no resource that could be sent",
            )
            return
        begun, lost, chance = target.sent, 0, random.Random(SEED)
        traffic = Traffic(found, chance)
        shots = _shots(target, found, traffic, run, chance)
        while lost < _GONE and target.sent - begun < self._requests:
            shot = next(shots)
            exchange = _answered(target, shot.asked)
            traffic.learn(shot.asked, exchange.status, _json(exchange))
            lost = lost + 1 if exchange.status == 0 else 0
            self._count(shot, exchange)
        gone = (
            "" if lost < _GONE else f"it gave no answer {_GONE} times in a row, so this ends here"
        )
        yield self._result("the server answers to the end", "conformance", gone)
        yield from self._results()

    def _count(self, shot: Shot, exchange: Exchange) -> None:
        for name, (_, problem) in self._checks.items():
            tally = self._tallies.setdefault((shot.label, name), Tally())
            tally.add(problem(shot.operation, exchange), exchange)

    def _results(self) -> Iterator[Result]:
        for (label, name), tally in sorted(self._tallies.items()):
            reason = f"{tally.wrong} of {tally.answers} answers: {tally.reason}"
            yield self._result(
                f"{label}: {name}",
                self._checks[name][0],
                reason if tally.wrong else "",
                exchanges=tuple(tally.exchanges),
            )

    def _result(
        self, name: str, clause: str, reason: str, *, exchanges: tuple[Exchange, ...] = ()
    ) -> Result:
        return Result(
            suite=self.name,
            name=name,
            clause=clause,
            outcome=Outcome.failed if reason else Outcome.passed,
            reason=reason,
            exchanges=exchanges,
        )


# -- What an answer must be -------------------------------------------------


def server_error(exchange: Exchange) -> str:
    """501 says that something is not offered, which is no error of the server."""
    if exchange.status == 0:
        return exchange.received
    wrong = exchange.status >= 500 and exchange.status != 501
    return f"it answered {exchange.status}" if wrong else ""


def media_type(exchange: Exchange) -> str:
    if not exchange.received or exchange.status == 0:
        return ""
    given = _header(exchange, "Content-Type")
    return (
        "" if given.partition(";")[0].strip().lower() == SCIM else f"its type is {given or 'none'}"
    )


def traceback(exchange: Exchange) -> str:
    return "it shows a traceback" if _TRACEBACK.search(exchange.received) else ""


def slowness(exchange: Exchange, limit: float) -> str:
    return f"it took {exchange.seconds:.2f} s" if exchange.seconds > limit else ""


def no_error(exchange: Exchange) -> str:
    """A refusal has a body that says so, with its own status as a string."""
    if exchange.status < 400 or exchange.method == "HEAD":
        return ""
    body = _json(exchange)
    if not isinstance(body, dict) or f"{openapi.MESSAGES}Error" not in (body.get("schemas") or ()):
        return f"{exchange.status} comes without a SCIM error"
    told = body.get("status")
    return "" if told == str(exchange.status) else f"{exchange.status} calls itself {told!r}"


def misshapen(operation: Operation | None, exchange: Exchange) -> str:
    """What is wrong with a good answer, by the schemas that the server publishes."""
    if operation is None or not 200 <= exchange.status < 300 or not exchange.received:
        return ""
    answer = schemathesis.Response(
        status_code=exchange.status,
        headers={"content-type": [SCIM]},
        content=exchange.received.encode(errors="replace"),
        request=requests.Request(exchange.method, exchange.url).prepare(),
        elapsed=exchange.seconds,
        verify=True,
    )
    try:
        operation.validate_response(answer)
    except UnicodeError:
        # Half of a surrogate pair, which a server gives back as it was given.
        return ""
    except (FailureGroup, SchemathesisError, AssertionError) as error:
        first = error.exceptions[0] if isinstance(error, FailureGroup) else error
        return " ".join(str(first).split())[:500]
    return ""


# -- What is sent -----------------------------------------------------------


def discovered(target: Target) -> list[Kind]:
    """The resource types of the server, as it publishes them."""
    listed = []
    for path in ("/Schemas", "/ResourceTypes"):
        body = target.send("GET", path).json
        listed.append(body.get("Resources") if isinstance(body, dict) else body)
    target.exchanges()
    return openapi.kinds(*listed)


def made(target: Target, found: list[Kind], traffic: Traffic, word: str) -> None:
    """Make resources that may be changed and removed, where there are too few."""
    for kind in found:
        for number in range(_MADE - len(traffic.ids[kind.endpoint])):
            asked = Asked(
                method="POST", path=kind.endpoint, body=_usual(kind, f"fuzz-{word}-{number}")
            )
            answer = target.send(asked.method, asked.path, asked.body)
            traffic.learn(asked, answer.status, answer.json)
    target.exchanges()


def _usual(kind: Kind, name: str) -> dict[str, Any]:
    """A resource that most servers take."""
    values = {
        "userName": f"{name}@example.com",
        "displayName": name,
        "name": {"givenName": "Fuzz", "familyName": name},
        "emails": [{"value": f"{name}@example.com", "type": "work", "primary": True}],
    }
    known = {one.get("name") for one in kind.attributes}
    return {"schemas": [kind.urn], **{key: one for key, one in values.items() if key in known}}


def _standing_in(endpoint: str) -> list[str]:
    """What stands for ids in wild requests before there are any."""
    return [f"a-{endpoint.strip('/')}-{number}" for number in range(_MADE)]


def _shots(
    target: Target, found: list[Kind], traffic: Traffic, word: str, chance: random.Random
) -> Iterator[Shot]:
    """Requests without end, wave after wave: some of every operation, and some of none."""
    document = openapi.document(
        found, ids={kind.endpoint: _standing_in(kind.endpoint) for kind in found}
    )
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    operations = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    # Deletions come last, so that the others find what they change.
    operations.sort(key=lambda one: one.method.lower() == "delete")
    sources = [Source(operation) for operation in operations]
    for wave in itertools.count():
        made(target, found, traffic, f"{word}w{wave}")
        for source in sources:
            yield from _of_one(source, target, traffic, SEED + wave, chance)
        for _ in range(_STRAY):
            yield Shot(asked=stray(traffic, chance))


def _of_one(
    source: "Source", target: Target, traffic: Traffic, start: int, chance: random.Random
) -> Iterator[Shot]:
    """A wave's requests of one operation."""
    operation = source.operation
    method, path = operation.method.upper(), operation.path
    described = path.startswith(_DISCOVERY)
    for number in range(0 if described else _MEANT + _NEARLY):
        asked = traffic.request(method, path)
        yield Shot(
            operation=operation, asked=asked if number < _MEANT else nearly(asked, traffic, chance)
        )
    for case in source.cases(start=start):
        if (sent := _wild(target, case, traffic, chance)) is not None:
            yield Shot(operation=operation, asked=sent)


class Source:
    """Where the wild requests of an operation come from. Slow to begin, so there is one each."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._fitting = operation.as_strategy(schemathesis.GenerationMode.POSITIVE)
        self._unfitting = operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)

    def cases(self, *, start: int) -> list[Case]:
        """The cases of a wave, always the same for the same start."""
        # Where there is no body, what fits is odd enough: a path or a filter may be anything.
        unfitting = _WILD // _UNFITTING if self.operation.body else 0
        return [
            *_drawn(self._fitting, number=_WILD - unfitting, start=start),
            *_drawn(self._unfitting, number=unfitting, start=start),
        ]


def _drawn(strategy: SearchStrategy[Case], *, number: int, start: int) -> list[Case]:
    drawn: list[Case] = []
    if not number:
        return drawn

    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(case: Case) -> None:
        drawn.append(case)

    # Where nothing can be unfitting, there is nothing to be drawn.
    with suppress(HypothesisException, SchemathesisError):
        draw()
    return drawn[:number]


def _wild(target: Target, case: Case, traffic: Traffic, chance: random.Random) -> Asked | None:
    """A case as it goes over the wire, or None if HTTP has no way to send it."""
    given = ("method", "url", "params", "headers", "cookies", "json", "data")
    try:
        kwargs = case.as_transport_kwargs(base_url=target.url)
        sent = requests.Request(
            **{name: kwargs[name] for name in given if name in kwargs}
        ).prepare()
    except (requests.RequestException, ValueError, UnicodeError):
        return None
    url, body = sent.url or "", _bytes(sent.body)
    for endpoint, ids in traffic.ids.items():
        for standing_in, real in zip(_standing_in(endpoint), ids, strict=False):
            url = url.replace(standing_in, quote(real, safe=""))
            body = body.replace(standing_in.encode(), real.encode())
    if not url.startswith(f"{target.url}/"):
        return None
    if body and chance.randrange(_SPOILT) == 0:
        body = _spoilt(body, chance)
    headers = {name: value for name, value in sent.headers.items() if name != "Content-Length"}
    return Asked(
        method=str(sent.method), path=url.removeprefix(target.url), headers=headers, body=body
    )


def nearly(asked: Asked, traffic: Traffic, chance: random.Random) -> Asked:
    """The request with one thing bent: a value of its body or query, a header, or its resource."""
    path, _, query = asked.path.partition("?")
    parts = query.split("&") if query else []
    ways = ["header", "header", *["query"] * (3 if parts else 1), *["id"] * (path.count("/") > 1)]
    match chance.choice(["body"] * 4 if asked.body and chance.randrange(5) else ways):
        case "body":
            return replace(asked, body=bent(asked.body, chance))
        case "header":
            return replace(asked, headers=chance.choice(_ODD_HEADERS))
        case "query":
            name = chance.choice(parts or ["attributes"]).partition("=")[0]
            others = [one for one in parts if not one.startswith(f"{name}=")]
            odd = f"{name}={_quoted(chance.choice(_ODD_TEXTS))}"
            return replace(asked, path=f"{path}?{'&'.join([*others, odd])}")
        case _:
            odd = _quoted(chance.choice(_ODD_TEXTS[1:]))
            return replace(asked, path=f"{path.rpartition('/')[0]}/{odd}")


def stray(traffic: Traffic, chance: random.Random) -> Asked:
    """A request that no operation describes: its method, path, headers and body go not together."""
    there = [f"{endpoint}/{one}" for endpoint, ids in traffic.ids.items() for one in ids]
    known = ("/", "/Users", "/Groups", "/Bulk", "/.search", "/Schemas", "/ServiceProviderConfig")
    method = chance.choice(["HEAD", "OPTIONS", "TRACE", "GET", "POST", "PUT", "PATCH", "BREW"])
    return Asked(
        method=method,
        path=chance.choice([*known, *_ODD_PATHS, *there]),
        headers=chance.choice([{}, *_ODD_HEADERS]),
        body=b"" if method in {"HEAD", "TRACE"} else chance.choice(_ODD_BODIES),
    )


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


def bent(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A body in which one value, at any depth, is one that nobody expects there."""
    body = copy.deepcopy(body)
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [body]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one)))
        places += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], dict | list)]
    if places:
        where, key = chance.choice(places)
        where[key] = chance.choice(_ODD)
    return body


def _spoilt(body: bytes, chance: random.Random) -> bytes:
    """A body that is cut off, changed, no UTF-8, said twice, or another altogether."""
    at = chance.randrange(len(body) + 1)
    return chance.choice(
        [
            body[:at],
            body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :],
            body[:at] + chance.choice([b"\xff\xfe\x00", b"\\ud800"]) + body[at:],
            b"[" + body + b"]",
            b"{" + body[1:-1] + b"," + body[1:-1] + b"}",
            chance.choice(_ODD_BODIES),
        ]
    )


def _answered(target: Target, asked: Asked) -> Exchange:
    """Send a request. One without an answer is an exchange with the status 0."""
    with suppress(requests.RequestException):
        target.send(
            asked.method, asked.path, data=_bytes(asked.body) or None, headers=asked.headers
        )
    return target.exchanges()[-1]


def _bytes(body: Any) -> bytes:
    """What goes over the wire: JSON, if it is not text or bytes already."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode(errors="surrogatepass")
    return b"" if body is None else json.dumps(body).encode()


def _header(exchange: Exchange, name: str) -> str:
    return next(
        (value for key, value in exchange.headers.items() if key.lower() == name.lower()), ""
    )


def _json(exchange: Exchange) -> Any:
    try:
        return json.loads(exchange.received)
    except (ValueError, RecursionError):
        return None
