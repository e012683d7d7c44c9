"""The command line as an operator runs it: in a folder of its own, with a clean environment."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from scim_bridge.cli import main
from scim_bridge.directory.database import Database
from scim_bridge.sandbox import SandboxServer
from tests.cli.operation import Sandbox

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a command runs in, with nothing set by whoever runs the tests."""
    for name in os.environ:
        if name.startswith(("SCIM_BRIDGE_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "ada")
    return tmp_path


@pytest.fixture(autouse=True)
def _unconfigured_log() -> Iterator[None]:
    """Takes the command's log configuration back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def run() -> Run:
    """Run `scim-bridge` with these arguments and check its exit code."""

    def command(*arguments: str, expect: int = 0, **variables: str) -> Result:
        result = CliRunner().invoke(main, arguments, env=variables, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result

    return command


@pytest.fixture
def json_of(run: Run) -> Callable[..., Any]:
    """What `scim-bridge` prints with these arguments and --json."""

    def command(*arguments: str, **options: Any) -> Any:
        return json.loads(run(*arguments, "--json", **options).stdout)

    return command


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """An Identity Center on this machine."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(server: SandboxServer) -> Sandbox:
    """What is at that Identity Center."""
    return Sandbox(url=server.url)


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    """The database that the commands use."""
    database = Database(f"sqlite:///{folder}/scim-bridge.db")
    yield database
    database.close()
