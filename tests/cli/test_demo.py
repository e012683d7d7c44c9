"""`scim-bridge demo`: the first thing that a newcomer sees."""

import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.operation import is_running, running, until


@pytest.fixture
def temporary(folder, monkeypatch):
    """The folder in which the demo makes its own."""
    temporary = folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    return temporary


def test_the_story_holds(folder, temporary):
    """--exit ends after the story: what was sent, what is then held, what is on record."""
    # Settings of whoever runs it are not the demo's.
    with running(folder, "demo", "--exit", SCIM_BRIDGE_DATABASE__URL="nonsense") as demo:
        code = demo.process.wait(timeout=110)
        said = demo.said()

    assert code == 0, said
    titles = ["Before:", "1. The joiner", "2. The mover", "3. The leaver", "4. The returner"]
    assert [title for title in titles if title in said] == titles
    assert "→ POST /scim/v2/Users  (answered 201)" in said
    assert '{"op": "replace", "path": "active", "value": false}' in said
    leaver = said[said.index("3. The leaver") : said.index("4. The returner")]
    assert (
        "│ jane.doe@example.com │ no, disabled │ Product manager, Product │ none      │" in leaver
    )
    returner = said[said.index("4. The returner") : said.index("For the auditor")]
    assert (
        "│ jane.doe@example.com │ yes          │ Product manager, Product │ Product   │" in returner
    )
    assert "The trail is whole" in said
    assert said.count("✓") == 6
    assert list(temporary.iterdir()) == []


def test_what_it_tells_to_try_works(folder, temporary):
    """The commands at the end can be pasted as they stand; SIGTERM clears everything away."""
    with running(folder, "demo") as demo:
        until(lambda: demo.process.poll() is not None or "Ctrl-C" in demo.said(), within=90)
        family = demo.family()
        lines = demo.said().splitlines()
        hire, leave, look = (line for line in lines if line.startswith("curl "))
        [status] = (line for line in lines if line.endswith(" status") and " --config " in line)

        assert '"userName": "grace.kim@example.com"' in _pasted(hire)
        assert '"active": false' in _pasted(leave)
        assert "grace.kim@example.com" in _pasted(look)
        assert "Identity Center" in _pasted(status)
        assert demo.stop() == 0

    assert not any(map(is_running, family))
    assert list(temporary.iterdir()) == []


def test_a_ctrl_c_in_the_middle_leaves_nothing_behind(folder, temporary):
    """Whoever has seen enough gets their machine back as it was."""
    with running(folder, "demo") as demo:
        until(lambda: "1. The joiner" in demo.said(), within=60)
        family = demo.family()
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(timeout=60) == 1

    assert not any(map(is_running, family))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGHUP, signal.SIGKILL])
def test_it_takes_its_processes_with_it(ending, folder, temporary):
    """Also when its terminal is closed, or when it is killed and can do nothing itself."""
    with running(folder, "demo") as demo:
        until(lambda: "Before:" in demo.said(), within=60)
        family = demo.family()
        demo.process.send_signal(ending)
        demo.process.wait(timeout=60)

        until(lambda: not any(map(is_running, family)), within=60)

    assert len(family) > 4
    until(lambda: not any(temporary.iterdir()), within=30)


def test_a_failure_shows_what_the_bridge_said_last(folder, temporary):
    """If the bridge is lost, the demo ends with the last lines of the logs, and no traceback."""
    with running(folder, "demo") as demo:
        until(lambda: "Ctrl-C" in demo.said(), within=90)
        # The first of the bridge's processes has the lowest number: the others are its children.
        bridge = min(pid for pid in demo.family() if "serve" in _arguments(pid))
        os.kill(bridge, signal.SIGKILL)
        assert demo.process.wait(timeout=60) == 1
        said = demo.said()

    assert "error: the bridge or the sandbox of the demo has ended" in said
    assert "The last lines of bridge.log:\n  " in said
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []


def test_a_port_that_is_taken_is_told(run):
    """Nothing is started where somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])

        assert f"port {port} cannot be used" in run("demo", "--port", port, expect=1).stderr


def _pasted(line):
    """What a line prints that somebody pastes into a terminal."""
    done = subprocess.run(
        ["bash", "-c", line],  # noqa: S607 - the shell is what is tried
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    return done.stdout


def _arguments(pid):
    listed = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)],  # noqa: S607 - the machine's own
        capture_output=True,
        text=True,
        check=False,
    )
    return shlex.split(listed.stdout)
