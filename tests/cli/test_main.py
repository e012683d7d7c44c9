"""How every command begins and ends."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from scim_bridge import __version__
from scim_bridge.cli import COMMANDS, main

IDENTITY_CENTER = {
    "SCIM_BRIDGE_IDENTITY_CENTER__REGION": "us-east-1",
    "SCIM_BRIDGE_IDENTITY_CENTER__SCIM_ENDPOINT": "http://127.0.0.1:9/scim/v2",
}


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
    run("db", "upgrade")
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
    said = run("client", "add", "okta")

    assert "A new directory was made: " in said.stderr
    assert (folder / "scim-bridge.db").exists()
    assert run("client", "list").stderr == ""


@pytest.mark.parametrize(
    "command",
    ["audit", "audit verify", "client list", "client revoke okta", "doctor", "status", "plan",
     "sync", "deprovision jane --reason x"],
)  # fmt: skip
def test_a_missing_database_is_told_and_not_made(command, run, folder, monkeypatch):
    """A command run in the wrong folder does not answer for an empty directory."""
    for name, value in IDENTITY_CENTER.items():
        monkeypatch.setenv(name, value)

    said = run(*command.split(), expect=1)

    assert "there is no database scim-bridge.db" in said.output
    assert len(said.stderr.splitlines()) <= 1
    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_database_is_told(run, folder):
    """[database] url names a text file: one line, and the file is left as it is."""
    notes = folder / "notes.txt"
    notes.write_text("not a database\n" * 1000)

    for command in ("client list", "client add okta", "db upgrade"):
        said = run(*command.split(), expect=1, SCIM_BRIDGE_DATABASE__URL=f"sqlite:///{notes}")
        assert said.stderr.startswith("error: the file is not an SQLite database")
        assert len(said.stderr.splitlines()) == 1
    assert notes.read_text() == "not a database\n" * 1000


def test_a_command_leaves_one_file_that_is_its_owners(run, folder, monkeypatch):
    """Whoever copies the database has all of it; other users of the machine read none of it."""
    before = os.umask(0o022)
    try:
        run("client", "add", "okta")
        run("client", "list")
    finally:
        os.umask(before)

    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_advice_can_be_pasted(run, folder):
    """A command that is told names the settings file that was given, quoted for a shell."""
    file = folder / "my settings.toml"
    file.write_text('[database]\nurl = "sqlite:///x.db"\n')

    said = run("--config", str(file), "status", expect=1).stderr

    assert f"`scim-bridge --config '{file}' db upgrade`" in said
    assert "`scim-bridge db upgrade`" in run("status", expect=1).stderr


def test_help_waits_for_no_library():
    """`scim-bridge --help` answers at once: it imports nothing that takes long."""
    code = (
        "import sys; from scim_bridge.cli import main; main(['--help'], standalone_mode=False); "
        "print(sorted({'sqlalchemy', 'pydantic', 'flask', 'botocore', 'rich'} & {*sys.modules}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.endswith("[]\n")


def test_an_older_schema_is_an_error_that_names_the_remedy(run, database):
    """A database of another version is never upgraded in passing."""
    run("db", "upgrade")
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")

    assert "scim-bridge db upgrade" in run("client", "list", expect=1).stderr


def test_a_database_that_cannot_be_opened_is_told(run, folder):
    """A path that does not exist is an error in words."""
    said = run(
        "client", "add", "okta", expect=1, SCIM_BRIDGE_DATABASE__URL="sqlite:////no/where/x.db"
    )

    assert said.stderr.startswith("error: the database does not answer: ")
