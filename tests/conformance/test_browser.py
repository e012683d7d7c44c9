"""The page as a person sees it, in a real browser: chromium, which .ci/run installs."""

import json
import os
import re
import shutil
import subprocess
from html import unescape

import pytest

from conformance import report
from conformance.result import Outcome
from tests.conformance.conftest import a_result, a_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# Does what a person does, and writes down what is then to be seen.
SCRIPT = """
<script>
const seen = () => document.body.innerText;
const told = {first: seen(), ground: getComputedStyle(document.body).backgroundColor};
const closed = document.querySelector("details:not([open]) summary");
if (closed) { closed.click(); told.opened = seen(); }
document.querySelector("#show-skipped").click(); told.skipped = seen();
document.querySelector("#show-all").click(); told.all = seen();
const focusable = [...document.querySelectorAll("a[href], summary, input, [tabindex]")];
told.focusable = focusable.filter(one => (one.focus(), document.activeElement === one)).length;
told.expected = focusable.filter(one => one.checkVisibility()).length;
told.wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
const kept = document.createElement("pre");
kept.id = "kept"; kept.textContent = JSON.stringify(told);
document.body.append(kept);
</script>
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Open a page: what its script wrote down. In CI, a missing browser fails the test."""
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("there is no chromium: apt-get install -y chromium")
    assert CHROMIUM is not None, "there is no chromium: apt-get install -y chromium"
    profile = tmp_path_factory.mktemp("profile")

    def opened(file, *options):
        done = subprocess.run(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", "--disable-background-networking"),
                *(f"--user-data-dir={profile}", "--dump-dom", *options, f"file://{file}"),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        return done.stdout

    return opened


@pytest.fixture
def seen(chromium, tmp_path):
    """What is to be seen of a run's page, before and after a person clicks."""

    def look(ran, *options):
        page = report.as_html(ran)
        # The page itself forbids scripts.
        page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
        file = tmp_path / "report.html"
        file.write_text(page.replace("</body>", f"{SCRIPT}</body>"))
        kept = re.search(r'<pre id="kept">(.*?)</pre>', chromium(file, *options), re.DOTALL)
        return json.loads(unescape(kept[1]))

    return look


def a_usual_run():
    return a_run(
        a_result(),
        a_result(name="a second failure", reason="another reason"),
        a_result(name="a good check", outcome=Outcome.passed, reason="", exchanges=()),
        a_result(suite="fuzz", name="a check not made", outcome=Outcome.skipped, exchanges=()),
    )


def test_a_person_sees_failures_first_and_opens_them(seen):
    """Title, counts by suite, each failure with its clause and reason; a click shows the talk."""
    told = seen(a_usual_run())

    first = told["first"]
    assert "SCIM conformance of https://scim.example.com/v2" in first
    assert "1 passed, 2 failed, 1 skipped" in first
    assert re.search(r"patch Every form of PATCH\s+1\s+2\s+0\s+0", first)
    assert "RFC 7644 3.5.2.3" in first
    assert 'got 500, not 200 & no "detail"' in first
    # The first failure is open, the second is not yet.
    assert first.count("https://scim.example.com/v2/Users/1") == 1
    assert told["opened"].count("https://scim.example.com/v2/Users/1") == 2
    assert "<h1>Oops & <script>alert(1)</script></h1>" in told["opened"]
    assert "a good check" not in first


def test_a_person_chooses_what_is_shown(seen):
    """By outcome, with what a keyboard reaches."""
    told = seen(a_usual_run())

    assert "a check not made" in told["skipped"]
    assert "a second failure" not in told["skipped"]
    assert all(name in told["all"] for name in ("a check not made", "a second failure"))
    assert "a good check" in told["all"]
    assert told["focusable"] == told["expected"] > 8


def test_the_page_is_readable_in_light_and_dark_and_on_a_narrow_screen(seen):
    """It follows what the person's system is set to, and never scrolls sideways."""
    light = seen(a_usual_run(), "--window-size=400,800")
    dark = seen(a_usual_run(), "--blink-settings=preferredColorScheme=0")

    assert light["ground"] != dark["ground"]
    assert not light["wide"]


def test_a_run_without_failures_shows_all(seen):
    """Nobody has to choose anything to see that all is well."""
    told = seen(a_run(a_result(name="a good check", outcome=Outcome.passed, exchanges=())))

    assert "a good check" in told["first"]
    assert "✓ 1 passed" in told["first"]
