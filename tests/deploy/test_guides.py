"""The guides for identity providers: what they say of the bridge is so, and their steps work."""

import csv
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import click
import pytest
import requests
from click.testing import CliRunner

from scim_bridge.cli import main
from scim_bridge.settings import Settings, load
from scim_bridge.settings.schemas import SECTIONS
from tests.acceptance.installation import SECRETS, Center, Installation, center, install
from tests.cli.conftest import _unconfigured_log  # noqa: F401 - used by every test
from tests.cli.operation import PATCH, free_port

GUIDES = Path(__file__).parents[2] / "deploy" / "identity-providers"
HR_PUSH = GUIDES / "hr_push.py"
PEOPLE = GUIDES / "people.csv"
GUIDES_BY_NAME = {file.name: file.read_text(encoding="utf-8") for file in GUIDES.glob("*.md")}
PROVIDERS = ("entra-id.md", "okta.md", "google-workspace.md", "ping.md", "sap.md", "hr-push.md")
# A setting with a value that is said to be the default: "(`[adopt] inline = "never"`)".
DEFAULT = re.compile(r"\(`(\[\w+\] \w+ = [^`]+)`\)|`(\[\w+\] \w+ = [^`]+)`, the default")
# The same without the line breaks.
FLOWING = {name: " ".join(text.split()) for name, text in GUIDES_BY_NAME.items()}
every_guide = pytest.mark.parametrize("guide", sorted(GUIDES_BY_NAME))


# -- What the guides say ----------------------------------------------------


@every_guide
def test_every_command_in_a_guide_is_understood(guide, monkeypatch):
    """Each is parsed as it stands, and nothing of it is done."""
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)
    typed = [one.command.partition(" > ")[0] for one in shown_in(GUIDES_BY_NAME[guide])]
    inline = re.findall(r"`(scim-bridge [^`]+)`", FLOWING[guide])
    commands = [command for command in (*typed, *inline) if command.startswith("scim-bridge ")]
    assert commands
    for command in commands:
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert result.exit_code == 0, f"{command}: {result.output}"


@every_guide
def test_every_setting_in_a_guide_exists(guide):
    named = re.findall(r"`\[(\w+)\] (\w+)", FLOWING[guide])
    assert {
        (section, key) for section, key in named if key not in SECTIONS[section].fields
    } == set()


@every_guide
def test_every_value_in_a_guide_is_one_that_the_setting_takes(guide, tmp_path):
    blocks = re.findall(r"```toml\n(.*?)```", GUIDES_BY_NAME[guide], re.DOTALL)
    inline = [
        f"[{section}]\n{setting}"
        for section, setting in re.findall(r"`\[(\w+)\] (\w+ = [^`]+)`", FLOWING[guide])
    ]
    file = tmp_path / "scim-bridge.toml"
    for settings in (*blocks, *inline):
        file.write_text(textwrap.dedent(settings), encoding="utf-8")
        load(file, {})


@every_guide
def test_what_a_guide_calls_the_default_is_the_default(guide, tmp_path):
    file = tmp_path / "scim-bridge.toml"
    for setting in map("".join, DEFAULT.findall(FLOWING[guide])):
        file.write_text(setting.replace("] ", "]\n", 1), encoding="utf-8")
        here = {"SCIM_BRIDGE_DATABASE__URL": Settings().database.url}
        assert load(file, here) == Settings(), setting


def test_the_figures_of_the_common_page_are_those_of_the_settings():
    """What no client may touch, how long groups come back, and what the brake lets through."""
    text, settings = FLOWING["README.md"], Settings()
    assert " and ".join(f"`{name}`" for name in settings.safety.protected) + " by default" in text
    assert (
        f"`[deprovision] restore_within` ({settings.deprovision.restore_within / 86400:.0f} days)"
        in text
    )
    percent, people = settings.safety.max_deprovision_percent, settings.safety.max_deprovisions
    assert f"more than {percent:.0f} % of the people, or {people} of them" in text
    assert len(DEFAULT.findall(text)) >= 3


@every_guide
def test_every_link_in_a_guide_leads_somewhere(guide):
    for path, anchor in re.findall(r"\]\((?!https://)([^)#]*)#?([^)]*)\)", GUIDES_BY_NAME[guide]):
        target = (GUIDES / (path or guide)).resolve()
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings]
            assert anchor in slugs, anchor


@pytest.mark.parametrize("guide", PROVIDERS)
def test_every_provider_guide_answers_the_same_questions(guide):
    text = FLOWING[guide].casefold()
    asked = {
        *("# prerequisites ", "# set it up ", "scim-bridge client add", "nameid", "**matching**"),
        *("https://bridge.example.com/scim/v2", "username_changes", "nested groups"),
        "(readme.md#how-to-see-that-it-works)",
    }
    if guide != "hr-push.md":
        asked |= {"# attribute mappings", "# what happens ", "# limits and how they look "}
        asked |= {"one test person", "not checked against a tenant", "# sources "}
    assert {each for each in asked if each not in text} == set()


def test_each_guide_is_in_the_index():
    for name in {*GUIDES_BY_NAME, HR_PUSH.name} - {"README.md"}:
        assert f"({name})" in GUIDES_BY_NAME["README.md"]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with center(tmp_path_factory.mktemp("center"), "bearer") as sandbox:
        yield sandbox


@pytest.fixture
def installed(sandbox: Center, tmp_path: Path) -> Iterator[Installation]:
    """A bridge in front of an Identity Center that holds nobody."""
    yield install(sandbox, tmp_path / "bridge", more="[extraction]\nmargin = 0\n")
    sandbox.reset()


def hr_push(url: str, token: str, people: Path, expect: int = 0) -> str:
    """Run the example as an operator does; what it says on stderr."""
    ended = subprocess.run(
        [sys.executable, str(HR_PUSH), str(people)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "SCIM_URL": url, "SCIM_TOKEN": token},
    )
    assert ended.returncode == expect, ended.stdout + ended.stderr
    return ended.stderr


def rows() -> list[dict[str, str]]:
    with PEOPLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(folder: Path, people: list[dict[str, str]]) -> Path:
    file = folder / "people.csv"
    with file.open("w", encoding="utf-8", newline="") as text:
        lines = csv.DictWriter(text, fieldnames=list(rows()[0]))
        lines.writeheader()
        lines.writerows(people)
    return file


def changes(sandbox: Center) -> set[str]:
    """What was changed at Identity Center since `forget_calls`: the calls that were no reads."""
    reads = ("Get", "List", "Describe", "IsMember", "ServiceProviderConfig")
    made = {name for name, by in sandbox.calls().items() if any(key < "300" for key in by)}
    return {name for name in made if not name.rpartition(":")[2].startswith(reads)}


# -- The HR push ------------------------------------------------------------


def test_the_hr_push_brings_people_and_takes_leavers(installed, sandbox, tmp_path):
    """Everybody arrives, and a second run writes nothing. Who is absent stays as they are."""
    with installed.serving() as bridge:
        url = f"{bridge.url}/scim/v2"
        hr_push(url, bridge.token, PEOPLE)
        bridge.arrive()
        here = {row["userName"] for row in rows() if row["status"] == "active"}
        assert sandbox.active() == dict.fromkeys(here, True)
        assert sandbox.user("anders.ångström@example.com")["name"]["familyName"] == "Ångström"

        sandbox.forget_calls()
        hr_push(url, bridge.token, PEOPLE)
        bridge.arrive()
        assert changes(sandbox) == set()

        ada, grace, *_ = rows()
        moved = {**grace, "familyName": "Murray"}
        hr_push(url, bridge.token, written(tmp_path, [{**ada, "status": "left"}, moved]))
        bridge.arrive()
        assert sandbox.active() == {**dict.fromkeys(here, True), ada["userName"]: False}
        assert sandbox.user(grace["userName"])["name"]["familyName"] == "Murray"

        hr_push(url, bridge.token, PEOPLE)
        bridge.arrive()
        assert sandbox.active() == dict.fromkeys(here, True)


def test_one_person_whom_the_bridge_refuses_stops_nobody_else(installed, sandbox, tmp_path):
    ada, grace, anders, charles = rows()
    people = [{**ada, "familyName": ""}, {**grace, "status": "on leave"}, anders, charles]
    with installed.serving() as bridge:
        url = f"{bridge.url}/scim/v2"
        said = hr_push(url, bridge.token, written(tmp_path, people), expect=1)
        bridge.arrive()
    assert "name.familyName" in said
    assert "'on leave' is neither active nor left" in said
    assert "2 of 4 people failed" in said
    assert sandbox.active() == {anders["userName"]: True}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"", "each line of"),
        (b"userName,status\nada@example.com,left\n", "has to have the columns ['userName', "),
        (PEOPLE.read_bytes() + b"bob@example.com,Bob\n", "each line of"),
        (PEOPLE.read_bytes().replace(b"Ada,", b"Ada,B.,"), "each line of"),
        ("userName,status\nåsa@example.com,left\n".encode("latin-1"), "CSV file in UTF-8"),
        (PEOPLE.read_bytes() + b'"bob', "CSV file in UTF-8"),
    ],
)
def test_a_file_that_the_hr_push_cannot_read_is_told_in_one_line(tmp_path, content, told):
    """Nothing is sent of it, as half an export would be: nobody listens at the address."""
    file = tmp_path / "people.csv"
    if content is not None:
        file.write_bytes(content)

    said = hr_push("http://127.0.0.1:1/scim/v2", "token", file, expect=1)

    assert said.startswith("Nothing was sent: ")
    assert said.count("\n") == 1
    assert told in said
    assert str(file) in said


class Busy(BaseHTTPRequestHandler):
    """Answers each method first with 429 or 503, and then as if all went well."""

    asked: list[str]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(self.command)
        is_first = self.asked.count(self.command) == 1
        status = (429 if self.command == "GET" else 503) if is_first else 201
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body if status == 201 and body else json.dumps({"Resources": []}).encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def test_the_hr_push_waits_when_it_is_told_to(tmp_path):
    """RFC 6585, section 4, and RFC 9110, section 15.6.4: 429 and 503 with Retry-After."""
    asked: list[str] = []
    handler = type("Handler", (Busy,), {"asked": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/scim/v2"
        hr_push(url, "token", written(tmp_path, rows()[:1]))
        server.shutdown()
    assert asked == ["GET", "GET", "POST", "POST"]


@pytest.mark.parametrize("missing", ["SCIM_URL", "SCIM_TOKEN"])
def test_the_hr_push_says_in_one_line_what_it_is_not_told(monkeypatch, missing):
    monkeypatch.setattr(sys, "argv", [str(HR_PUSH), str(PEOPLE)])
    monkeypatch.setenv("SCIM_URL", "http://127.0.0.1:1/scim/v2")
    monkeypatch.setenv("SCIM_TOKEN", "token")
    monkeypatch.delenv(missing)

    with pytest.raises(SystemExit, match=r"^Nothing was sent: SCIM_URL and SCIM_TOKEN have to be"):
        runpy.run_path(str(HR_PUSH))


def test_the_hr_push_ends_when_its_token_is_not_accepted(tmp_path):
    """RFC 7644, section 3.12: 401 is the same for everybody."""
    asked: list[str] = []

    class Unauthorized(Busy):
        def do_GET(self) -> None:
            asked.append(self.command)
            self.send_error(401)

    with HTTPServer(("127.0.0.1", 0), Unauthorized) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        said = hr_push(f"http://127.0.0.1:{server.server_port}/scim/v2", "old", PEOPLE, expect=1)
        server.shutdown()

    assert said == "Stopped, nothing more is sent: SCIM_TOKEN is not accepted (401)\n"
    assert asked == ["GET"]


def test_the_hr_push_does_not_wait_for_a_bridge_that_is_away(tmp_path):
    """Each person is told of, and the run ends: with waits it would last minutes for each."""
    said = hr_push(f"http://127.0.0.1:{free_port()}/scim/v2", "token", PEOPLE, expect=1)
    assert said.count("Connection refused") == len(rows())
    assert "4 of 4 people failed" in said


# -- The cut-over -----------------------------------------------------------

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A command in a guide, and the lines that are said to come of it."""

    command: str
    lines: tuple[str, ...]

    def is_what_was(self, said: str) -> bool:
        """Whether it said that. "…" is the rest of a line, and alone any number of lines."""
        wanted = "\n".join(
            r"[\s\S]*" if line == "…" else re.escape(line).replace("…", ".*") for line in self.lines
        )
        lines = [line.rstrip() for line in said.splitlines()]
        return re.fullmatch(wanted, "\n".join(lines)) is not None


def shown_in(text: str) -> list[Shown]:
    """The commands of a guide's ``console`` blocks, in order."""
    found = []
    for indent, block in re.findall(r"^( *)```console\n(.*?)^ *```$", text, re.M | re.S):
        lines = [line.removeprefix(indent).rstrip() for line in block.splitlines()]
        for part in re.split(r"^\$ ", "\n".join(lines), flags=re.M)[1:]:
            command, *said = part.rstrip("\n").split("\n")
            found.append(Shown(command=command, lines=tuple(said)))
    return found


def sections(text: str) -> dict[str, str]:
    """What stands below each heading of the second level."""
    parts = re.split(r"^## (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


class Operator:
    """Types what a guide says, in the folder of an installation."""

    def __init__(self, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(installation.folder)
        monkeypatch.setenv("SCIM_BRIDGE_CONFIG", str(installation.folder / "bridge.toml"))

    def types(self, text: str) -> str:
        """Run every command of a text; all they said. Each has to say what the text shows."""
        return "".join(self._run(shown) for shown in shown_in(text))

    def _run(self, shown: Shown) -> str:
        program, *words = shlex.split(shown.command.partition(" > ")[0])
        if program == "scim-bridge":
            result = CliRunner().invoke(main, words, catch_exceptions=False)
            status, said = result.exit_code, result.output
            if file := shown.command.partition(" > ")[2]:
                Path(file).write_text(result.stdout, encoding="utf-8")
                said = result.stderr
        else:
            ended = subprocess.run(
                ["sh", "-c", shown.command],  # noqa: S607 - the machine's own
                capture_output=True,
                text=True,
                check=False,
            )
            status, said = ended.returncode, ended.stdout + ended.stderr
        assert status == 0, f"{shown.command}: {said}"
        assert shown.is_what_was(said), f"{shown.command}:\n{said}"
        return said


@dataclass(kw_only=True)
class Provider:
    """An identity provider: it looks people up, sends everything, and remembers nothing."""

    url: str
    token: str

    def send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        assert answer.ok, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else {}

    def find(self, kind: str, condition: str) -> str | None:
        found = self.send("GET", f"/{kind}?filter={condition}").get("Resources")
        return str(found[0]["id"]) if found else None

    def user(self, name: str, *, active: bool = True) -> str:
        """Look for somebody by externalId, as Entra ID does, and send the whole user, as Okta."""
        body = {
            "schemas": [CORE_USER],
            "externalId": f"provider-{name}",
            "userName": f"{name}@example.com",
            "displayName": name.title(),
            "name": {"givenName": name.title(), "familyName": "Tester"},
            "emails": [{"value": f"{name}@example.com", "type": "work", "primary": True}],
            "active": active,
        }
        known = self.find("Users", f'externalId eq "provider-{name}"')
        if known is None:
            return str(self.send("POST", "/Users", body)["id"])
        self.send("PUT", f"/Users/{known}", {**body, "id": known})
        return known

    def group(self, name: str, *members: str) -> str:
        known = self.find("Groups", f'displayName eq "{name}"')
        if known is None:
            known = str(
                self.send("POST", "/Groups", {"schemas": [CORE_GROUP], "displayName": name})["id"]
            )
        joining = [{"op": "add", "path": "members", "value": [{"value": one} for one in members]}]
        self.send("PATCH", f"/Groups/{known}", {"schemas": [PATCH], "Operations": joining})
        return known

    def push(self) -> dict[str, str]:
        people = {
            name: self.user(name, active=name != "charles") for name in ("ada", "grace", "charles")
        }
        self.group("Engineering", *people.values())
        return people


def test_the_cut_over_goes_as_the_guide_says(installed, sandbox, monkeypatch):
    """A provider's Identity Center is adopted, its first push writes nothing, and it goes back.

    That a push of everybody writes nothing, at any size, is `tests/acceptance/test_adoption`.
    """
    steps = sections(GUIDES_BY_NAME["cut-over.md"])
    operator = Operator(installed, monkeypatch)
    for file in installed.folder.glob("bridge.db*"):
        file.unlink()
    settings = tomllib.loads((installed.folder / "bridge.toml").read_text())
    aws = Provider(url=settings["identity_center"]["scim_endpoint"], token=SECRETS["bearer"])
    ids = aws.push()
    aws.group("AWSControlTowerAdmins", ids["ada"])
    before = sandbox.state()
    sandbox.forget_calls()

    token = re.search(r"^scb_\S+$", operator.types(steps["1. Prepare"]), re.MULTILINE)[0]
    operator.types(steps["3. Adopt"])
    pausing, pushing = steps["4. Let the provider push, while nothing is delivered"].split(
        "First one person"
    )
    one, everybody = pushing.split("Then everybody")
    with installed.serving() as bridge:
        provider = Provider(url=f"{bridge.url}/scim/v2", token=token)
        operator.types(pausing)
        provider.user("ada")
        assert "client:entra created user" not in operator.types(one)
        provider.push()
        assert "create" not in operator.types(everybody)
        operator.types(steps["5. Deliver"])
        assert changes(sandbox) == set()
        assert sandbox.state() == before

        operator.types(steps["6. Close the old door"])
        provider.group("Engineering", provider.user("linus"))
        provider.user("grace", active=False)
        bridge.arrive()
        operator.types(steps["Back"])
        last = dict.fromkeys(("ada", "linus"), True) | dict.fromkeys(("grace", "charles"), False)
        assert sandbox.active() == {f"{name}@example.com": active for name, active in last.items()}
        assert sandbox.memberships()["Engineering"] == {"ada@example.com", "linus@example.com"}
    # Back at the old door: everybody is found under the id of before, and can be written.
    assert aws.push() == ids
    assert sandbox.active()["grace@example.com"] is True
    assert aws.find("Users", 'externalId eq "provider-linus"') is None
    assert aws.find("Users", 'userName eq "linus@example.com"')
