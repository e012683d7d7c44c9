"""The container, the compose file, the units and their guide: what they say of the bridge is so."""

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from configparser import ConfigParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner

from scim_bridge.cli import main
from scim_bridge.cli.processes import STOP_WITHIN
from scim_bridge.settings import load
from scim_bridge.settings.schemas import SECTIONS
from tests.cli.conftest import _unconfigured_log  # noqa: F401 - used by every test

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "container" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(
    (DEPLOY / "container" / "compose.yaml").read_text(encoding="utf-8")
)
BRIDGES = [name for name in COMPOSE["services"] if name.startswith("bridge-")]
GUIDE = (DEPLOY / "README.md").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
BINARY = "/opt/scim-bridge/bin/scim-bridge"


@pytest.fixture
def understood(monkeypatch):
    """Whether the command line takes these arguments; nothing of them is done."""
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)

    def understood(*arguments: str) -> bool:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"{arguments}: {result.output}"
        return True

    return understood


# -- The guide --------------------------------------------------------------


def test_every_command_of_the_guide_is_understood(understood, tmp_path, monkeypatch):
    """Each as it stands; through compose and sudo too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    flowing = " ".join(GUIDE.split())
    commands = [
        found for found in re.findall(r"`scim-bridge ([^`]+)`", flowing) if "…" not in found
    ]
    commands += re.findall(
        r"^\s*[$#] sudo -u scim-bridge \S+/scim-bridge (.*)", GUIDE, re.MULTILINE
    )
    commands += re.findall(r"docker compose run --rm bridge-1 (.*)", GUIDE)

    assert len(commands) > 15
    for command in commands:
        # A command that is only named need not be whole.
        named = command if " " in command else f"{command} --help"
        assert understood(*shlex.split(named))


def test_what_the_guide_names_exists():
    """Files, settings and services."""
    for path in re.findall(r"\]\(([\w./-]+)\)", GUIDE):
        assert (DEPLOY / path).exists(), path
    for pattern in re.findall(r"deploy/[\w./*-]+", GUIDE):
        assert list(ROOT.glob(pattern.rstrip("."))), pattern
    for section, key in re.findall(r"`\[(\w+)\] (\w+)", GUIDE):
        assert key in SECTIONS[section].fields
    for services in re.findall(r"docker compose (?:run --rm|up .*--wait) ([\w-]+)", GUIDE):
        assert services in COMPOSE["services"]


# -- The container ----------------------------------------------------------


def _instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [
        (name, value)
        for name, _, value in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def _last(name: str) -> str:
    return [value for each, value in _instructions() if each == name][-1]


def test_the_image_is_built_from_what_is_there():
    """What is copied exists and is not kept from Docker; the base has no registry's name."""
    kept = [
        line.removeprefix("!")
        for line in (DEPLOY / "container" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for name, value in _instructions():
        if name == "COPY" and not value.startswith("--from"):
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source
        if name == "FROM":
            assert re.fullmatch(r"python:3\.\d+-slim( AS build)?", value)
    assert DOCKERFILE.count("--require-hashes") == 2


def test_the_package_is_built_by_what_is_pinned_for_it():
    """Every requirement of the build has a hash, and each is at the version of the checks."""
    pins = (DEPLOY / "container" / "build-requirements.txt").read_text(encoding="utf-8")
    checked = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9-]+==\S+", pins, flags=re.MULTILINE)

    assert any(pin.startswith("hatchling==") for pin in pinned)
    assert all(pin in checked for pin in pinned)
    assert pins.count("--hash=sha256:") >= len(pinned)
    assert "://" not in pins


def test_the_image_has_the_driver_of_the_database_in_the_compose_file():
    """Where the driver is an extra of the package, the image's requirements have it too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (DEPLOY / "requirements.txt").read_text(encoding="utf-8")

    for driver in project["optional-dependencies"].get("postgresql", ()):
        assert re.search(rf"^{re.escape(driver.partition('>')[0])}==", pins, re.MULTILINE)


def test_the_image_runs_the_bridge_and_is_not_root(understood):
    user, _, group = _last("USER").partition(":")
    command = [*yaml.safe_load(_last("ENTRYPOINT")), *yaml.safe_load(_last("CMD"))]

    assert int(user) > 0 < int(group)
    assert command[0] == "scim-bridge"
    assert understood(*command[1:])
    assert _last("VOLUME") == _last("WORKDIR") == "/var/lib/scim-bridge"


class _Health(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path in ("/healthz", "/readyz") else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_checks_tell_who_can_serve(status, is_healthy, monkeypatch):
    monkeypatch.setattr(_Health, "status", status)
    image = yaml.safe_load(_last("HEALTHCHECK").partition("CMD ")[2])
    composed = COMPOSE["services"][BRIDGES[0]]["healthcheck"]["test"][1:]
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _, option, code in (image, composed):
            here = code.replace(":8080/", f":{server.server_port}/")
            assert here != code
            ended = subprocess.run([sys.executable, option, here], check=False, capture_output=True)
            assert (ended.returncode == 0) is is_healthy
        server.shutdown()


@pytest.mark.parametrize("file", ["settings.toml", "compose.toml"])
def test_the_settings_that_come_with_them_are_valid(file, tmp_path):
    text = (DEPLOY / "container" / file).read_text(encoding="utf-8")
    if file == "compose.toml":
        # Whatever databases this version takes: the address is the compose file's business.
        text = re.sub(r'url = "postgresql.*"', f'url = "sqlite:///{tmp_path}/x.db"', text)
    settings = tmp_path / "scim-bridge.toml"
    settings.write_text(text)

    load(settings, {})


# -- Compose ----------------------------------------------------------------


def test_two_bridges_and_a_database_share_no_more_than_they_need():
    """Nobody can write outside of a volume and /tmp, has a capability, or reaches the database."""
    services = COMPOSE["services"]

    assert len(BRIDGES) == 2
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service, name
        assert set(service["secrets"]) <= set(COMPOSE["secrets"]), name
        for variable in service.get("environment", {}):
            assert "PASS" not in variable or variable.endswith("FILE"), variable
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
    assert services["database"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", BRIDGES)
def test_a_bridge_waits_for_the_schema_and_may_end_well(name, understood):
    service = COMPOSE["services"][name]

    assert service["depends_on"]["schema"]["condition"] == "service_completed_successfully"
    assert int(service["stop_grace_period"].removesuffix("s")) > STOP_WITHIN
    assert understood(*COMPOSE["services"]["schema"]["command"])


def test_the_secrets_that_the_settings_name_are_mounted():
    settings = (DEPLOY / "container" / "compose.toml").read_text(encoding="utf-8")
    named = re.findall(r"/run/secrets/([\w-]+)", f"{settings}{COMPOSE['x-bridge']['environment']}")
    url = re.search(r"://(\w+)@(\w+)/(\w+)", settings)
    database = COMPOSE["services"]["database"]["environment"]

    assert sorted(named) == sorted(COMPOSE["x-bridge"]["secrets"])
    assert url.groups() == (database["POSTGRES_USER"], "database", database["POSTGRES_DB"])
    for secret in COMPOSE["secrets"].values():
        assert f"secrets/{Path(secret['file']).name}" in GUIDE


# -- Units ------------------------------------------------------------------


def _unit(file: Path) -> ConfigParser:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(file, encoding="utf-8")
    return unit


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_a_unit_runs_a_command_of_the_bridge_that_may_do_nothing_else(file, understood):
    service = _unit(file)["Service"]
    command = re.search(rf"{BINARY} ([a-z]+[^']*)", service["ExecStart"])[1]

    assert understood(*shlex.split(command.replace("$$", "$").replace("%%", "%")))
    assert service["User"] == "scim-bridge"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    if service["Type"] != "oneshot":
        assert int(service["TimeoutStopSec"]) > STOP_WITHIN
        # The bridge tells its own processes when to end.
        assert service["KillMode"] == "mixed"
        assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"


def test_the_variables_of_the_units_are_settings():
    texts = [file.read_text() for file in (DEPLOY / "systemd").rglob("*") if file.is_file()]
    for section, key in re.findall(r"SCIM_BRIDGE_([A-Z_]+?)__([A-Z_]+)=", "".join(texts)):
        assert key.lower() in SECTIONS[section.lower()].fields


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path):
    """`systemd-analyze verify` finds nothing to say."""
    shutil.copytree(DEPLOY / "systemd", tmp_path / "units")
    units = [*(tmp_path / "units").glob("*.service"), *(tmp_path / "units").glob("*.timer")]
    for unit in units:
        unit.write_text(unit.read_text().replace(BINARY, "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in verified.stderr.splitlines() if "scim-bridge" in line]
    assert (verified.returncode, ours) == (0, [])
