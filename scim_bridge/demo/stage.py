"""Where is the story played? A sandbox and a bridge on this machine, as processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from scim_bridge.demo.story import RULES
from scim_bridge.demo.watch import CLEARED
from scim_bridge.errors import OperatorError

LOOPBACK = "127.0.0.1"
# How long a process may take to answer, and to end, in seconds.
START_WITHIN = 30.0
STOP_WITHIN = 15.0
LOOK_AGAIN = 0.05
# How much of a log is shown when something went wrong.
LAST_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an HTTP request was answered."""

    status: int
    body: Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A sandbox and a bridge that run, and the one client of the bridge."""

    settings: Path
    port: int
    sandbox_port: int
    token: str
    processes: tuple[subprocess.Popen[bytes], ...]

    @property
    def scim_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/scim/v2"

    @property
    def sandbox_url(self) -> str:
        return f"http://{LOOPBACK}:{self.sandbox_port}"

    def send(self, method: str, path: str, body: Any) -> Answer:
        """Send a SCIM request as the HR system. Raises `OperatorError` without an answer."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/scim+json",
        }
        return _asked(self.port, method, f"/scim/v2{path}", body=body, headers=headers)

    def state(self) -> Any:
        """What the sandbox holds."""
        return _asked(self.sandbox_port, "GET", "/_sandbox/state").body

    def command(self, *arguments: str) -> str:
        """What `scim-bridge` prints with these arguments. Raises `OperatorError` if it fails."""
        return _command(self.settings, *arguments)

    def check(self) -> None:
        """Raise `OperatorError` if the sandbox or the bridge has ended."""
        if any(process.poll() is not None for process in self.processes):
            raise OperatorError("the bridge or the sandbox of the demo has ended")


@contextmanager
def stage(*, port: int | None, sandbox_port: int | None) -> Iterator[Stage]:
    """Set everything up in a folder of its own, and clear it away whatever happens.

    Ports are free ones unless given. An `OperatorError`, also one from the ``with`` block, is
    raised again with the last lines of the logs.
    """
    ports = _free_port(port), _free_port(sandbox_port)
    with (
        TemporaryDirectory(prefix="scim-bridge-demo-") as folder,
        _playing(Path(folder)) as players,
    ):
        try:
            yield _set_up(Path(folder), *ports, players)
        except OperatorError as error:
            raise OperatorError(f"{error}\n{_last_words(Path(folder))}") from error


def _set_up(folder: Path, port: int, sandbox_port: int, players: "Cast") -> Stage:
    settings = folder / "demo.toml"
    sandbox = ("sandbox", "--port", str(sandbox_port), "--write-config", str(settings))
    players.add(_started(folder / "sandbox.log", *sandbox))
    _wait(
        "the sandbox", players.processes, lambda: settings.exists() and _answers(sandbox_port, "/")
    )
    token = json.loads(_command(settings, "client", "add", "hr-system", "--json"))["token"]
    _put_rules_in_force(settings)
    bridge = ("--config", str(settings), "serve", "--port", str(port))
    players.add(_started(folder / "bridge.log", *bridge))
    _wait("the bridge", players.processes, lambda: _answers(port, "/readyz"))
    return Stage(
        settings=settings,
        port=port,
        sandbox_port=sandbox_port,
        token=token,
        processes=tuple(players.processes),
    )


def _put_rules_in_force(settings: Path) -> None:
    rules = settings.with_name("rules.toml")
    rules.write_text(RULES, encoding="utf-8")
    with settings.open("a", encoding="utf-8") as file:
        file.write(f'\n[lifecycle]\nrules = "{rules.name}"\n')
    _command(settings, "rules", "apply", "--yes")


# -- Processes --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cast:
    """The processes of the demo, and whoever ends them if the demo is killed."""

    processes: list[subprocess.Popen[bytes]]
    watch: IO[bytes]

    def add(self, process: subprocess.Popen[bytes]) -> None:
        self.processes.append(process)
        self._say(str(process.pid))

    def stop(self) -> None:
        """Stop all of them, the last one first."""
        for process in reversed(self.processes):
            _stop(process)
        self._say(CLEARED)

    def _say(self, line: str) -> None:
        with suppress(OSError):
            self.watch.write(f"{line}\n".encode())
            self.watch.flush()


@contextmanager
def _playing(folder: Path) -> Iterator[Cast]:
    """Processes, all of which are stopped at the end, also if this one is killed."""
    watch = subprocess.Popen(  # noqa: S603 - this very package
        [sys.executable, "-m", "scim_bridge.demo.watch", str(folder)],
        stdin=subprocess.PIPE,
        # What ends the demo is not for whoever clears up after it.
        start_new_session=True,
    )
    with watch:
        players = Cast(processes=[], watch=cast(IO[bytes], watch.stdin))
        try:
            yield players
        finally:
            players.stop()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _started(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - the bridge's own command
            _scim_bridge(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            # A Ctrl-C is for the demo, which then stops its processes in order.
            start_new_session=True,
        )


def _command(settings: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - the bridge's own command
        _scim_bridge("--config", str(settings), *arguments),
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise OperatorError(f"`scim-bridge {' '.join(arguments)}` failed: {said}")
    return done.stdout


def _scim_bridge(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scim_bridge", *arguments]


def as_typed() -> str:
    """What the person who watches types for `scim-bridge`."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name == "scim-bridge" else f"{sys.executable} -m scim_bridge"


def _environment() -> dict[str, str]:
    """The environment without settings: the demo touches nobody's database and no AWS account."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SCIM_BRIDGE_", "AWS_"))
    }


def _wait(
    what: str, processes: list[subprocess.Popen[bytes]], is_ready: Callable[[], bool]
) -> None:
    end = time.monotonic() + START_WITHIN
    while not is_ready():
        if processes[-1].poll() is not None:
            raise OperatorError(f"{what} ended at once")
        if time.monotonic() > end:
            raise OperatorError(f"{what} did not answer within {START_WITHIN:.0f} seconds")
        time.sleep(LOOK_AGAIN)


def _last_words(folder: Path) -> str:
    """The last lines of each log."""
    lines = []
    for log in sorted(folder.glob("*.log")):
        lines.append(f"The last lines of {log.name}:")
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()
        lines.extend(f"  {line}" for line in said[-LAST_LINES:])
    return "\n".join(lines)


# -- HTTP -------------------------------------------------------------------


def _free_port(wanted: int | None) -> int:
    try:
        with socket.create_server((LOOPBACK, wanted or 0)) as listener:
            port: int = listener.getsockname()[1]
            return port
    except OSError as error:
        raise OperatorError(f"port {wanted} cannot be used: {error.strerror}") from error


def _answers(port: int, path: str) -> bool:
    try:
        return _asked(port, "GET", path).status < 500
    except OperatorError:
        return False


def _asked(
    port: int, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    connection = HTTPConnection(LOOPBACK, port, timeout=30)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, body=content, headers=headers or {})
        response = connection.getresponse()
        return Answer(status=response.status, body=_content(response.read()))
    except (OSError, HTTPException) as error:
        raise OperatorError(f"{method} {path} was not answered: {error}") from error
    finally:
        connection.close()


def _content(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", errors="replace")
