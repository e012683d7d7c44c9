"""`python -m conformance`: any server is checked to the end, told about, and left as it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from conformance.__main__ import command
from conformance.result import Outcome, Result
from conformance.run import run
from conformance.suites.catalogue import SUITES
from conformance.target import Target
from tests.conformance.conftest import ROOT, SCIM, TOKEN, broken, discovery


@pytest.fixture(scope="session")
def whole(stock, tool, tmp_path_factory):
    """All suites against the stock server: the folder with the reports, and what was said."""
    folder = tmp_path_factory.mktemp("whole")
    said = tool(stock.url, "--report", "report", "--fuzz-requests", "100", expect=1, folder=folder)
    return folder, said


class Quiet:
    """Watches a run and says nothing."""

    def began(self, suite): ...

    def came(self, result): ...

    def ended(self, suite): ...


class Making:
    """A suite that makes a user, and then does as it is told."""

    name = "making"
    about = "makes a user"

    def __init__(self, then):
        self._then = then

    def number(self):
        return None

    def run(self, target, run):
        target.send("POST", "/Users", {"userName": f"making-{run}"})
        yield Result(suite=self.name, name="made", clause="-", outcome=Outcome.passed)
        self._then(target)


def test_a_stock_server_is_checked_to_the_end(whole, stock):
    """Every suite runs, the server's real failures are told, and nothing is left behind."""
    folder, said = whole
    told = json.loads((folder / "report/report.json").read_text())
    failed = [one for one in told["results"] if one["outcome"] == "failed"]

    assert [suite["name"] for suite in told["suites"]] == [suite.name for suite in SUITES]
    assert "The suite runs to its end" not in {one["name"] for one in failed}
    # scim2-server's /Schemas lacks the schemas of discovery, which scim2-tester asks for.
    assert ("tester", "core schemas validation") in {(one["suite"], one["name"]) for one in failed}
    assert "Missing mandatory core schemas" in said.stdout
    assert all(one["reason"] and one["clause"] for one in failed)
    assert told["failed"] is True
    assert told["left"] == []
    assert stock.held() == 0


def test_the_reports_agree_and_show_no_token(whole):
    """JUnit, JSON and the page are written beside each other; nothing shows the token."""
    folder, said = whole
    files = sorted((folder / "report").iterdir())
    told = json.loads((folder / "report/report.json").read_text())
    root = ElementTree.parse(folder / "report/junit.xml").getroot()  # noqa: S314 - our own

    assert [file.name for file in files] == ["junit.xml", "report.html", "report.json"]
    assert int(root.get("tests")) == len(told["results"]) == len(root.findall(".//testcase"))
    assert int(root.get("failures")) == len(root.findall(".//failure"))
    assert not any(TOKEN in text for text in (said.stdout, said.stderr))
    assert not any(TOKEN in file.read_text() for file in files)
    # Nothing but the reports was written where the tool ran.
    assert [one.name for one in folder.iterdir()] == ["report"]


def test_json_is_alone_on_stdout(stock, tool, tmp_path):
    """A script reads stdout; whoever watches reads stderr."""
    said = tool(stock.url, "--suite", "sanity", "--json", expect=0, folder=tmp_path)

    told = json.loads(said.stdout)
    assert {one["suite"] for one in told["results"]} == {"sanity"}
    assert "sanity: " in said.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["http://127.0.0.1:1/scim/v2"], "Check the address"),
        (["ftp://example.com"], "give https://HOST/scim/v2"),
        (["https://me:secret@example.com/scim"], "give --token instead"),
        (["http://127.0.0.1:1", "--suite", "nonsense"], "there is no suite nonsense"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_checked_is_told_with_the_remedy(arguments, advice):
    """Exit code 2, what to do, and no traceback."""
    said = CliRunner().invoke(command, arguments)

    assert said.exit_code == 2
    assert advice in said.stderr
    assert said.stdout == ""


def test_a_refused_token_is_told(stock):
    """RFC 7644 2: a server answers 401, which is no failure of the server."""
    said = CliRunner().invoke(command, [stock.url, "--token", "wrong"])

    assert said.exit_code == 2
    assert "SCIM_TOKEN" in said.stderr


def test_what_is_no_scim_server_is_told():
    """An address that is a level too high is the usual mistake."""
    with broken(lambda *_: (404, "text/html", "<h1>Not here</h1>")) as server:
        said = CliRunner().invoke(command, [server.url])

    assert "what comes before /Users" in said.stderr


def test_an_address_that_knows_neither_endpoint_is_told(stock):
    """A server of SCIM answers a wrong path with JSON as well."""
    said = CliRunner().invoke(command, [f"{stock.url}/Users/none", "--token", TOKEN])

    assert said.exit_code == 2
    assert "what comes before /Users" in said.stderr


def test_a_report_that_cannot_be_written_is_told_before_the_run(tmp_path):
    """A run takes minutes."""
    file = tmp_path / "file"
    file.write_text("")
    with broken(lambda *_: (200, SCIM, "{}")) as server:
        said = CliRunner().invoke(command, [server.url, "--report", str(file / "report")])

    assert said.exit_code == 2
    assert "cannot be written" in said.stderr
    assert server.asked == []


def test_the_help_names_every_suite():
    """Whoever reads --help knows what can be asked for."""
    [option] = [one for one in command.params if one.name == "names"]

    assert all(suite.name in option.help for suite in SUITES)


def _raise(error):
    def then(_):
        raise error

    return then


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("odd answer")])
def test_what_was_made_is_removed_however_a_suite_ends(error, stock):
    """Ctrl-C and a suite that breaks leave no user behind; a broken suite fails the run."""
    with Target(stock.url, TOKEN) as target:
        ran = run(target, [Making(_raise(error)), Making(lambda _: None)], Quiet())

    stopped = isinstance(error, KeyboardInterrupt)
    assert ran.stopped is stopped
    assert ran.failed
    assert len(ran.results) == (1 if stopped else 3)
    assert stock.held() == 0


def test_what_cannot_be_removed_is_named():
    """It is for a person to remove, who must know it."""

    def answer(method, path):
        if method == "POST":
            return 201, "application/scim+json", '{"id": "42"}'
        if method == "DELETE":
            return 500, "text/html", "no"
        return discovery(path) or (404, "text/plain", "")

    with broken(answer) as server, Target(server.url, TOKEN) as target:
        ran = run(target, [Making(lambda _: None)], Quiet())

    assert ran.left == ("/Users/42 (the server answered 500)",)


def test_a_token_that_a_server_echoes_is_masked():
    """No record of a request or an answer holds it."""
    echo = broken(lambda *_: (200, "text/plain", f"you sent {TOKEN}"))
    with echo as server, Target(server.url, TOKEN) as target:
        target.send("GET", f"/Users?token={TOKEN}")
        [exchange] = target.exchanges()

    assert TOKEN not in repr(exchange)
    assert exchange.received == "you sent ***"


def test_the_end_by_a_signal_leaves_nothing_behind(stock, tmp_path):
    """SIGTERM in the middle of a run: what was made is removed, what was found is reported."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "conformance", stock.url, "--suite", "fuzz"),
            *("--fuzz-requests", "100000", "--token", TOKEN, "--report", str(tmp_path)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _until(lambda: stock.held() > 3)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()

    # 1, or the signal itself: Python tells either, after it was caught.
    assert process.returncode != 0, said
    assert "Stopped before its end" in said
    assert json.loads(Path(tmp_path, "report.json").read_text())["stopped"] is True
    assert stock.held() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_request_made_is_removed_though_a_signal_came_before_its_answer(number):
    """Else a person would stay on the server, and nobody would be told."""

    def answer(method, path):
        if method == "POST":
            os.kill(os.getpid(), number)
            return 201, SCIM, '{"id": "made-meanwhile"}'
        return 204, SCIM, ""

    with broken(answer) as server, Target(server.url, TOKEN) as target, target.stoppable():
        with pytest.raises(KeyboardInterrupt):
            target.send("POST", "/Users", {"userName": "ada"})
        # Hypothesis, for one, swallows the exception: then the next request is not sent.
        with pytest.raises(KeyboardInterrupt):
            target.send("GET", "/Users")
        assert target.clean() == []

    assert server.asked == [("POST", "/Users"), ("DELETE", "/Users/made-meanwhile")]


def test_a_signal_is_not_forgotten_with_a_request_that_fails():
    """Else the run would go on, and whoever stopped it would wait for ever."""

    def answer(_method, _path):
        os.kill(os.getpid(), signal.SIGTERM)

    with (
        broken(answer) as server,
        Target(server.url, TOKEN) as target,
        target.stoppable(),
        pytest.raises(KeyboardInterrupt),
    ):
        target.send("POST", "/Users", {"userName": "ada"})


def _until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
