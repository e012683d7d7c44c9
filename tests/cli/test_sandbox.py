"""`scim-bridge sandbox`: what it is started with, and what it writes for a bridge."""

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from scim_bridge.settings import load

ROOT = Path(__file__).parents[2]


@contextmanager
def _sandbox(*arguments):
    """A running `scim-bridge sandbox`: its first address, and all it says until it is stopped."""
    command = [sys.executable, "-m", "scim_bridge", "sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            lines = iter(process.stdout.readline, "")
            yield next(found[0] for line in lines if (found := re.search(r"http://[\d.:]+", line)))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)


@pytest.fixture
def port():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def test_it_serves_and_stops(port):
    """It answers at the port that was asked for, with nobody in it, until it is interrupted."""
    with _sandbox("--port", port) as url:
        assert url == f"http://127.0.0.1:{port}"
        assert requests.get(f"{url}/_sandbox/state", timeout=10).json()["users"] == []


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_it_writes_settings_that_a_bridge_can_use(auth, port, folder):
    """--write-config gives a file without problems, in front of this sandbox, the brake off."""
    file = folder / "sandbox.toml"
    with _sandbox("--port", port, "--write-config", str(file), "--auth", auth) as url:
        settings = load(file, {})

    assert settings.identity_center.auth == auth
    assert settings.identity_center.scim_endpoint.startswith(f"{url}/")
    assert settings.safety.brake is False
    assert (folder / "sandbox.toml.credentials").exists()


def test_a_port_that_is_taken_is_told(run):
    """The remedy is named, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])

        assert "choose another --port" in run("sandbox", "--port", port, expect=1).stderr


def test_settings_need_a_port_that_is_known(run):
    """With --port 0 nobody knows the address before the sandbox runs."""
    assert "--port" in run("sandbox", "--port", "0", "--write-config", "x.toml", expect=2).stderr


@pytest.mark.parametrize("options", [("--throttle", "0"), ("--auth", "basic"), ("--port", "70000")])
def test_what_it_cannot_be_is_not_understood(options, run):
    """Options are checked before anything is started."""
    assert options[0] in run("sandbox", *options, expect=2).stderr
