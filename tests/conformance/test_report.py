"""What a run leaves to be read: every report tells the same, whatever a server answered."""

import json
import re
from xml.etree import ElementTree

from conformance import report
from conformance.result import Outcome
from tests.conformance.conftest import a_result, a_run


def test_junit_is_what_ci_servers_read():
    """Counts, the clause as part of the class name, and the request and answer of a failure."""
    ran = a_run(
        a_result(),
        a_result(outcome=Outcome.passed, reason="", exchanges=()),
        a_result(outcome=Outcome.warned),
        a_result(suite="fuzz", outcome=Outcome.skipped, exchanges=(), reason="no Bulk"),
    )
    root = ElementTree.fromstring(report.as_junit(ran))  # noqa: S314 - our own

    patch, fuzz = root
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "1", "1")
    assert (patch.get("tests"), patch.get("failures")) == ("3", "1")
    assert patch.get("time") == "1.500"
    assert patch[0].get("classname") == "patch.RFC 7644 3.5.2.3"
    assert patch[0].get("name") == "replace of <everything>"
    told = patch[0].find("failure").text
    assert "> PATCH https://scim.example.com/v2/Users/1" in told
    assert "<h1>Oops & <script>" in told
    assert fuzz[0].find("skipped").get("message") == "no Bulk"


def test_no_answer_breaks_a_report(tmp_path):
    """Control characters, half surrogate pairs and endless bodies are reported all the same."""
    odd = a_result(name="\x00\x1b[31m", reason="\ud800 \x0b \uffff", clause="\x01")
    exchange = odd.exchanges[0]
    endless = a_result(
        exchanges=(type(exchange)(**{**vars(exchange), "received": "a" * 1_000_000 + "\x00"}),)
    )
    files = {file.name: file for file in report.write(a_run(odd, endless), tmp_path / "a/b")}

    ElementTree.parse(files["junit.xml"])  # noqa: S314 - our own
    assert json.loads(files["report.json"].read_text())["results"][0]["clause"] == "\x01"
    assert "more characters)" in files["report.html"].read_text()
    assert all(file.stat().st_size < 200_000 for file in files.values())


def test_the_page_is_safe_and_needs_nothing_else():
    """What a server answers is shown, never run; no address is loaded."""
    page = report.as_html(a_run(a_result(), left=("/Users/<1>",)))

    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "/Users/&lt;1&gt;" in page
    assert not re.search(r"<link|<img|@import|url\(|src=|href=\"(?!#)", page)


def test_json_is_the_whole_result():
    """A script finds the counts, every check and what was left behind."""
    told = json.loads(report.as_json(a_run(a_result(), left=("/Users/1",), stopped=True)))

    assert told["suites"][0]["counts"] == {"passed": 0, "failed": 1, "warned": 0, "skipped": 0}
    assert told["results"][0]["exchanges"][0]["status"] == 500
    assert told["left"] == ["/Users/1"]
    assert (told["failed"], told["stopped"]) == (True, True)


def test_warnings_and_skipped_checks_fail_no_run():
    """Only a failed check does, or a run that was stopped."""
    mild = [a_result(outcome=outcome) for outcome in Outcome if outcome is not Outcome.failed]

    assert not a_run(*mild).failed
    assert a_run(*mild, a_result()).failed
    assert a_run(*mild, stopped=True).failed
