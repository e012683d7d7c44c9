"""Sandboxes as processes, one for each kind of authentication, and bridges in front of them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite(
    "tests.acceptance.installation", "tests.acceptance.kills", "tests.acceptance.doors"
)

from tests.acceptance.installation import (  # noqa: E402 - their asserts are rewritten
    Center,
    Installation,
    center,
    install,
)


@pytest.fixture(scope="session", autouse=True)
def _scrubbed() -> Iterator[None]:
    """As for every test, and also for what is started before the first."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("AWS_", "SCIM_BRIDGE_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def bearer_center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with center(tmp_path_factory.mktemp("bearer"), "bearer") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def sigv4_center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with center(tmp_path_factory.mktemp("sigv4"), "sigv4") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sigv4_center: Center) -> Iterator[Center]:
    """An Identity Center that holds nobody; bridges sign what they send it."""
    yield sigv4_center
    sigv4_center.reset()


@pytest.fixture
def bearer_sandbox(bearer_center: Center) -> Iterator[Center]:
    """The same, for bridges that send an access token."""
    yield bearer_center
    bearer_center.reset()


@pytest.fixture
def installed(sandbox: Center, tmp_path: Path) -> Callable[..., Installation]:
    """Install a bridge in front of `sandbox`; see `install`."""

    def installed(**options: Any) -> Installation:
        return install(sandbox, tmp_path / "bridge", **options)

    return installed


@pytest.fixture
def show(pytestconfig: pytest.Config, capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Put a measured figure on the terminal, whether the test passes or not.

    One of several processes of the tests has no terminal: its figures are with the test's output.
    """
    terminal = pytestconfig.pluginmanager.get_plugin("terminalreporter")

    def show(figure: str) -> None:
        if terminal is None:
            print(figure)  # noqa: T201 - pytest keeps it
            return
        with capfd.disabled():
            terminal.write_line(f"\n{figure}")

    return show
