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


def test_it_behaves_as_a_file_says(port, folder):
    """The file is what `scim-bridge probe --write` makes; what is given beside it adds to it."""
    (folder / "aws.toml").write_text('add_existing_member = "409"\nsigv4_on_scim = false\n')
    behaves = ("--behaviour", str(folder / "aws.toml"), "--strict-disabled")
    with _sandbox("--port", port, *behaves) as url:
        found = requests.get(f"{url}/_sandbox/behaviour", timeout=10).json()

    assert found["add_existing_member"] == "409"
    assert found["sigv4_on_scim"] is False
    assert found["strict_disabled"] is True
    assert found["unknown_member"] == "404"


def test_its_options_come_before_the_file(port, folder):
    """--throttle is for the SCIM endpoint and each API; --page-size is for every list."""
    (folder / "aws.json").write_text(
        '{"page_size": 50, "throttle_sso": 20, "strict_disabled": true}'
    )
    behaves = ("--behaviour", str(folder / "aws.json"), "--page-size", "2", "--throttle", "0.5")
    with _sandbox("--port", port, *behaves) as url:
        found = requests.get(f"{url}/_sandbox/behaviour", timeout=10).json()

    assert {name: found[name] for name in found if name.startswith("throttle")} == {
        "throttle": 0.5,
        "throttle_identitystore": 0.5,
        "throttle_sso": 0.5,
        "throttle_organizations": 0.5,
    }
    assert (found["page_size"], found["strict_disabled"]) == (2, True)


def test_it_keeps_to_the_documented_quota_and_takes_its_time(port):
    """--quotas throttles SSO Admin alone (AWS documents no other rate); --latency is in ms."""
    with _sandbox("--port", port, "--quotas", "--latency", "40") as url:
        found = requests.get(f"{url}/_sandbox/behaviour", timeout=10).json()

    assert (found["throttle"], found["throttle_sso"], found["latency"]) == (None, 20, 0.04)


@pytest.mark.parametrize(
    ("text", "told"),
    [("unheard_of = true", "unheard_of: there is no such behaviour"), ("{", "neither JSON")],
)
def test_a_file_that_says_no_behaviour_is_told(text, told, run, folder):
    """A mistyped switch must not pass for AWS's behaviour."""
    (folder / "aws.toml").write_text(text)

    assert told in " ".join(run("sandbox", "--behaviour", "aws.toml", expect=1).stderr.split())
    assert "cannot be read" in run("sandbox", "--behaviour", "none.toml", expect=1).stderr


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


@pytest.mark.parametrize(
    "options",
    [("--throttle", "0"), ("--page-size", "0"), ("--auth", "basic"), ("--port", "70000")],
)
def test_what_it_cannot_be_is_not_understood(options, run):
    """Options are checked before anything is started."""
    assert options[0] in run("sandbox", *options, expect=2).stderr
