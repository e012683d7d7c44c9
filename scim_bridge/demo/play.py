"""How is the story told, step by step, and does each step hold?"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scim_bridge.demo.stage import Stage, as_typed
from scim_bridge.demo.story import (
    ENTERPRISE,
    JANE,
    PATCH,
    STORY,
    USER,
    Held,
    Request,
    Scene,
    held,
)
from scim_bridge.errors import OperatorError

# How long Identity Center may take to hold what it should, in seconds.
HOLD_WITHIN = 15.0
LOOK_AGAIN = 0.1

INTRODUCTION = """\
A company keeps its people in an HR system, and gives them access to AWS through IAM Identity \
Center. scim-bridge stands between: the HR system pushes every change to it over SCIM, a standard \
HTTP API for people and groups, and the bridge brings Identity Center to the same state.

Everything here runs on this machine: the bridge, and a sandbox that plays Identity Center. This \
demo plays the HR system. Where ids would stand, it shows names: <jane>.\
"""


class Player:
    """Plays the HR system: sends, shows what was sent, and looks at what came of it."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        # The bridge's ids of people and groups, by the names that the story has for them.
        self._ids: dict[str, str] = {}
        # Identity Center's id of each person, by userName.
        self._accounts: dict[str, str] = {}

    def play(self) -> None:
        """Tell the whole story. Raises `OperatorError` at the first step that does not hold."""
        for scene in STORY:
            self._play(scene)
        self._show_record()

    def _play(self, scene: Scene) -> None:
        self._begin(scene.title)
        self._say(scene.happens)
        self._say("\nThe HR system sends to the bridge:")
        for request in scene.requests:
            self._send(request.with_ids(self._ids))
        self._await(scene)
        self._say("\nIdentity Center now holds:")
        self._console.print(_table(scene.then))
        self._confirm(scene.means)

    def _send(self, request: Request) -> None:
        """Send a request and show it. The answer must be a success (RFC 7644, section 3.12)."""
        answer = self._stage.send(request.method, request.path, request.body)
        self._show(request, answer.status)
        if not 200 <= answer.status < 300:
            raise OperatorError(
                f"{request.method} {request.path} was answered {answer.status}: {answer.body}"
            )
        if request.named is not None:
            self._ids[request.named] = answer.body["id"]

    def _show(self, request: Request, status: int) -> None:
        path = f"{request.method} /scim/v2{self._readable(request.path)}"
        self._console.print(
            Text.assemble("  → ", (path, "bold"), (f"  (answered {status})", "dim"))
        )
        content = json.dumps(_short(request.body), ensure_ascii=False)
        self._console.print(Padding(Text(self._readable(content)), (0, 0, 0, 4)))

    def _readable(self, text: str) -> str:
        """Names where there are ids, and the long name of a schema made short."""
        for name, value in self._ids.items():
            text = text.replace(value, f"<{name}>")
        return text.replace(ENTERPRISE, "…enterprise:2.0:User")

    def _await(
        self,
        scene: Scene,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until Identity Center holds what it should; `OperatorError` if it never does."""
        end = clock() + HOLD_WITHIN
        while (found := held(state := self._stage.state())) != scene.then:
            if clock() > end:
                raise OperatorError(
                    f"the story does not hold at {scene.title!r}. Identity Center should hold\n"
                    f"{_lines(scene.then)}\nand holds\n{_lines(found)}"
                )
            sleep(LOOK_AGAIN)
        self._recognise(state)

    def _recognise(self, state: Mapping[str, Any]) -> None:
        """Nobody was deleted and created anew: that would be somebody else to AWS."""
        for user in state["users"]:
            account = self._accounts.setdefault(user["userName"], user["id"])
            if account != user["id"]:
                raise OperatorError(f"{user['userName']} has another account than before")

    # -- The auditor ----------------------------------------------------

    def _show_record(self) -> None:
        """What an auditor asks for: who changed what, and is the record whole?"""
        self._begin("For the auditor: what happened to Jane?")
        self._run("status", "--wait", "15")
        trail = self._run("audit", "--user", JANE, shown=self._shortened)
        if not all(change in trail for change in ("CreateUser", "DisableUser", "EnableUser")):
            raise OperatorError(f"the audit trail does not tell that {JANE} left and returned")
        self._run("audit", "verify")
        self._confirm("Every change is on record, with who made it and what it led to.")

    def _run(self, *arguments: str, shown: Callable[[str], str] = str) -> str:
        self._console.print(Text(f"\n$ scim-bridge {' '.join(arguments)}", style="bold"))
        output = self._stage.command(*arguments)
        self._console.print(Text(shown(output.rstrip())), soft_wrap=True)
        return output

    def _shortened(self, trail: str) -> str:
        """The trail without dates, ids and details, to be read by people."""
        lines = (self._readable(line) for line in trail.splitlines())
        return "\n".join([*map(_without_details, lines), "(shortened here: ids and attributes)"])

    # -- Words ----------------------------------------------------------

    def _begin(self, title: str) -> None:
        self._console.print()
        self._console.rule(Text(title, style="bold"), align="left")

    def _say(self, text: str) -> None:
        self._console.print(Text(text))

    def _confirm(self, text: str) -> None:
        self._console.print(Text.assemble(("✓ ", "green"), text))


def introduce(console: Console) -> None:
    console.print(Panel(Text(INTRODUCTION), title="scim-bridge", padding=(1, 2)))
    console.print(Text("Starting the sandbox and the bridge …", style="dim"))


def _without_details(line: str) -> str:
    """A line of the trail without its day, and of its details only the change at the target."""
    told, _, details = line.partition(" [")
    change = re.search(r"\bchange (\w+)", details)
    return f"  {told[11:]}{f' ({change[1]})' if change else ''}"


def _short(body: dict[str, Any]) -> Any:
    """The body without what is always the same."""
    if "Operations" in body:
        operations = body["Operations"]
        return operations[0] if len(operations) == 1 else operations
    return {key: value for key, value in body.items() if key != "schemas"}


def _lines(people: Iterable[Held]) -> str:
    return "\n".join(
        f"  {one.user_name}: {_state(one)}; {_work(one)}; in {_groups(one)}" for one in people
    )


def _table(people: Iterable[Held]) -> Table:
    table = Table("person", "may sign in?", "title, department", "groups")
    for one in people:
        style = "" if one.enabled else "dim"
        table.add_row(
            Text(one.user_name),
            Text(_state(one)),
            Text(_work(one)),
            Text(_groups(one)),
            style=style,
        )
    return table


def _state(one: Held) -> str:
    return "yes" if one.enabled else "no, disabled"


def _work(one: Held) -> str:
    return f"{one.title}, {one.department}"


def _groups(one: Held) -> str:
    return ", ".join(sorted(one.groups)) or "none"


def show_how_to_go_on(stage: Stage, console: Console) -> None:
    """What a newcomer can type next. Each command works as it stands."""
    console.print()
    console.rule(Text("Now you", style="bold"), align="left")
    for line in (
        f"SCIM URL         {stage.scim_url}",
        f"Token            {stage.token}",
        f"Identity Center  {stage.sandbox_url}/_sandbox/state",
        "",
        "In another terminal, hire Grace, let Jane go again, and look at Identity Center:",
        "",
        *_curl_lines(stage),
        "",
        "The operator's side (there are also plan, sync, audit, deprovision, doctor …):",
        "",
        f"{as_typed()} --config {stage.settings} status",
        "",
        "The bridge goes on until you press Ctrl-C; then everything of the demo is deleted.",
    ):
        console.print(Text(line), soft_wrap=True)


def _curl_lines(stage: Stage) -> tuple[str, ...]:
    headers = f"-H 'Authorization: Bearer {stage.token}' -H 'Content-Type: application/scim+json'"
    grace = {
        "schemas": [USER],
        "userName": "grace.kim@example.com",
        "name": {"givenName": "Grace", "familyName": "Kim"},
        "active": True,
    }
    leaves = {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
    jane = next(one for one in _users(stage) if one["userName"] == JANE)["id"]
    return (
        f"curl {headers} {stage.scim_url}/Users -d '{json.dumps(grace)}'",
        f"curl {headers} {stage.scim_url}/Users/{jane} -X PATCH -d '{json.dumps(leaves)}'",
        f"curl {stage.sandbox_url}/_sandbox/state",
    )


def _users(stage: Stage) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = stage.send("GET", "/Users", None).body["Resources"]
    return users
