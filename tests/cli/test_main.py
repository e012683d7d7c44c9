"""How every command begins and ends."""

import re
from collections.abc import Iterator

import click
import pytest

from scim_bridge import __version__
from scim_bridge.cli import COMMANDS, main


def _paths() -> Iterator[tuple[str, ...]]:
    context = click.Context(main)
    for name in COMMANDS:
        yield (name,)
        command = main.get_command(context, name)
        yield from ((name, inner) for inner in getattr(command, "commands", {}))


@pytest.mark.parametrize("path", list(_paths()), ids=" ".join)
def test_every_command_explains_itself(path, run):
    """Each command and subcommand has a help text with an example of itself."""
    _, _, example = run(*path, "--help").stdout.partition("Example")

    assert re.search(rf"scim-bridge (--config \S+ )?{' '.join(path)}\b", example)


def test_the_commands_are_listed_with_what_they_do(run):
    """Without a command the help is shown, with one line for each command."""
    said = run("--help").stdout

    for name in COMMANDS:
        assert f"\n  {name} " in said


def test_the_version_is_told(run):
    """--version names the package and its version."""
    assert run("--version").stdout == f"scim-bridge, version {__version__}\n"


@pytest.mark.parametrize("arguments", [("fly",), ("client", "add"), ("--colour", "audit")])
def test_what_is_not_understood_is_exit_code_2(arguments, run):
    """A wrong command, a missing argument and an unknown option are told apart from failures."""
    assert "Usage: " in run(*arguments, expect=2).stderr


def test_a_failure_is_one_line_and_exit_code_1(run):
    """An error of the bridge is said in one line on stderr, without a traceback."""
    result = run("client", "revoke", "okta", expect=1)

    assert result.stderr.splitlines()[-1] == (
        "error: there is no client okta: `scim-bridge client list` shows them"
    )
    assert result.stdout == ""


def test_every_problem_of_the_settings_is_listed(run):
    """Settings that cannot be used are told with each problem, by key or variable."""
    said = run(
        "client",
        "list",
        expect=1,
        SCIM_BRIDGE_SERVER__PORT="x",
        SCIM_BRIDGE_LOG__LEVEL="loud",
    ).stderr

    assert said.startswith("error: the settings cannot be used:\n  SCIM_BRIDGE_SERVER__PORT: ")
    assert "\n  SCIM_BRIDGE_LOG__LEVEL: " in said


def test_a_new_database_gets_its_schema_by_itself(run, folder):
    """The first command on a fresh machine works, and says that it made a directory."""
    said = run("client", "list")

    assert "There is no client yet" in said.stdout
    assert "A new directory was made: " in said.stderr
    assert (folder / "scim-bridge.db").exists()
    assert run("client", "list").stderr == ""


def test_an_older_schema_is_an_error_that_names_the_remedy(run, database):
    """A database of another version is never upgraded in passing."""
    run("client", "list")
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")

    assert "scim-bridge db upgrade" in run("client", "list", expect=1).stderr


def test_a_database_that_cannot_be_opened_is_told(run, folder):
    """A path that does not exist is an error in words."""
    said = run("client", "list", expect=1, SCIM_BRIDGE_DATABASE__URL="sqlite:////no/where/x.db")

    assert said.stderr.startswith("error: the database does not answer: ")
