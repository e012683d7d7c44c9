"""The suite `fuzz`: what must never be answered is seen, and the bridge answers none of it."""

import json
import random
from dataclasses import replace

from click.testing import CliRunner

from conformance.result import Exchange, Outcome
from conformance.suites.fuzz import (
    Fuzz,
    bent,
    media_type,
    no_error,
    server_error,
    slowness,
    traceback,
)
from conformance.target import Target
from scim_bridge.cli import main
from scim_bridge.sandbox import SandboxServer
from tests.cli.operation import in_front_of, serving
from tests.conformance.conftest import SCIM, broken, discovery

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
GOOD = Exchange(
    method="GET",
    url="http://127.0.0.1/Users",
    sent="",
    status=200,
    headers={"content-type": f"{SCIM};charset=utf-8"},
    received="{}",
    seconds=0.1,
)


def fuzzed(answer, *, number, **options):
    """The results of a fuzzing run against a server that answers this."""
    with broken(answer) as server, Target(server.url, "a-token") as target:
        results = list(Fuzz(requests=number, **options).run(target, "run"))
        return {one.name: one for one in results}, server.asked


def test_what_is_wrong_with_an_answer_is_seen():
    """One way each in which it can be wrong, and the ways in which it is not."""
    refusal = replace(GOOD, status=404, received=json.dumps({"schemas": [ERROR], "status": "404"}))
    told = {"schemas": [ERROR], "status": 404}

    assert not any(wrong(GOOD) for wrong in (server_error, media_type, traceback, no_error))
    assert not no_error(refusal)
    assert not slowness(GOOD, 2.0)
    assert not server_error(replace(GOOD, status=501))
    assert server_error(replace(GOOD, status=503)) == "it answered 503"
    assert media_type(replace(GOOD, headers={"Content-Type": "text/html"}))
    assert slowness(replace(GOOD, seconds=2.5), 2.0) == "it took 2.50 s"
    assert traceback(replace(GOOD, received='{"detail": "Traceback (most recent call last)"}'))
    assert traceback(replace(GOOD, received='{"detail": "File \\"/app/x.py\\", line 7"}'))
    assert no_error(replace(refusal, received="<h1>Not found</h1>"))
    assert no_error(replace(refusal, received=json.dumps(told)))


def test_a_server_that_breaks_is_seen_at_each_endpoint():
    """A 500 with a page of HTML, as frameworks give it, fails the endpoint that gave it."""

    def answer(method, path):
        if method == "PATCH":
            return 500, "text/html", "<pre>Traceback (most recent call last):</pre>"
        refused = json.dumps({"schemas": [ERROR], "status": "404"})
        return discovery(path) or (404, SCIM, refused)

    results, asked = fuzzed(answer, number=200)

    failed = {name for name, one in results.items() if one.outcome is Outcome.failed}
    assert failed == {
        f"{label}: {check}"
        # What fits no operation is sometimes a PATCH, too.
        for label in ("PATCH /Users/{id}", "no operation")
        for check in (
            "a SCIM answer, never HTML",
            "an error is a SCIM error",
            "no server error",
            "no traceback",
        )
    }
    wrong = results["PATCH /Users/{id}: no server error"]
    assert wrong.exchanges[0].method == "PATCH"
    assert "answers: it answered 500" in wrong.reason
    assert {"POST", "PUT", "PATCH", "GET", "DELETE"} <= {method for method, _ in asked}


def test_an_answer_that_is_not_as_the_schemas_say_is_seen():
    """RFC 7643 7: what a server publishes of its attributes holds for its answers."""
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "active": "yes"}

    def answer(method, path):
        return discovery(path) or (200, SCIM, json.dumps(user))

    results, _ = fuzzed(answer, number=120)

    wrong = results["GET /Users/{id}: as its schemas say"]
    assert wrong.outcome is Outcome.failed
    assert "active" in wrong.exchanges[0].received


def test_a_server_that_goes_away_ends_the_suite():
    """Five requests without an answer are enough, and what was sent is told."""
    gone = []

    def answer(method, path):
        if method == "PATCH":
            gone.append(path)
            # The connection is closed without an answer.
            return None
        return discovery(path) or (404, SCIM, json.dumps({"schemas": [ERROR], "status": "404"}))

    results, _ = fuzzed(answer, number=10_000)

    assert len(gone) == 5
    assert results["the server answers to the end"].outcome is Outcome.failed
    assert results["PATCH /Users/{id}: no server error"].exchanges[0].status == 0


def test_the_same_seed_sends_the_same_requests():
    """What failed once can be sent again."""
    first, second = (
        fuzzed(lambda _, path: discovery(path) or (404, SCIM, "{}"), number=60)[1] for _ in range(2)
    )

    assert first == second


def test_a_body_is_bent_in_one_place():
    """One value becomes another, at any depth, and the original stays as it was."""
    body = {"a": [{"b": "c"}], "d": {"e": 7}}
    chances = [bent(body, random.Random(seed)) for seed in range(40)]

    assert body == {"a": [{"b": "c"}], "d": {"e": 7}}
    assert all(one != body for one in chances)
    assert any(one["d"] == body["d"] and isinstance(one["a"], list) for one in chances)


def test_the_bridge_stands_it(tmp_path):
    """A bridge in front of the sandbox: no 5xx, no HTML, no traceback, and its trail verifies."""
    with SandboxServer() as sandbox:
        file = in_front_of(sandbox, tmp_path, more="[delivery]\nwait = 0\n")
        with serving(file) as served, Target(f"{served.url}/scim/v2", served.token) as target:
            # How long an answer takes is measured where nothing else runs.
            results = list(Fuzz(requests=250, slow=60).run(target, "run"))
            left = target.clean()
        verified = CliRunner().invoke(main, ["--config", str(file), "audit", "verify"])

    failed = [one for one in results if one.outcome is Outcome.failed]
    assert not failed, [(one.name, one.reason, one.exchanges[:1]) for one in failed]
    assert left == []
    assert verified.exit_code == 0, verified.output
