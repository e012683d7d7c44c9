"""What does a command work with, and in whose name?"""

import getpass
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scim_bridge.errors import OperatorError

if TYPE_CHECKING:
    from scim_bridge.directory.database import Database
    from scim_bridge.settings import Loaded, Settings

OPERATOR_VARIABLE = "SCIM_BRIDGE_OPERATOR"

_COMMAND = re.compile(r"\bscim-bridge (?=[a-z])")


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One run of the command line."""

    # As given with --config.
    config: Path | None
    environ: Mapping[str, str]

    def loaded(self) -> "Loaded":
        """The settings and where they came from. Raises `SettingsError`."""
        # Whoever asks for help does not wait for the libraries of the settings.
        from scim_bridge.settings import read

        return read(self.config, self.environ)

    def settings(self) -> "Settings":
        """The settings. Raises `SettingsError`."""
        return self.loaded().settings

    @contextmanager
    def database(self, *, create: bool = False) -> Iterator["Database"]:
        """The directory's database, at this version's schema. See `opened`."""
        with opened(self.settings(), create=create) as database:
            yield database

    def pasteable(self, text: str) -> str:
        """A text whose commands use the settings of this one, so that they can be pasted."""
        if self.config is None:
            return text
        command = f"scim-bridge --config {shlex.quote(str(self.config))} "
        return _COMMAND.sub(lambda _: command, text)


pass_invocation = click.make_pass_decorator(Invocation)


def advise(text: str) -> str:
    """What a command says, with commands that can be pasted. See `Invocation.pasteable`."""
    context = click.get_current_context(silent=True)
    invocation = context.find_object(Invocation) if context else None
    return invocation.pasteable(text) if invocation else text


@contextmanager
def opened(settings: "Settings", *, create: bool = False) -> Iterator["Database"]:
    """The directory's database, at this version's schema.

    One that is missing or empty is made if told so. Raises `OperatorError` when it is missing,
    `MigrationMissing` when it has another schema, `DatabaseUnavailable` when it does not answer.
    """
    from scim_bridge.directory import migration
    from scim_bridge.directory.database import connect

    database = connect(settings.database)
    try:
        if create:
            _create(database)
        else:
            _refuse_missing(database)
        migration.check(database)
        yield database
    finally:
        database.close()


def audited(*, needs_reason: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command whose acts are audited under the operator's name, with the reason."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--operator",
            envvar=OPERATOR_VARIABLE,
            help=f"Your name for the audit trail. Otherwise {OPERATOR_VARIABLE}, or your login.",
        )
        @click.option("--reason", required=needs_reason, help="Why, for the audit trail.")
        def under_a_name(
            *args: Any, operator: str | None, reason: str | None, **options: Any
        ) -> Any:
            from scim_bridge.directory.actor import Actor, acting

            with acting(Actor(name=f"operator:{operator or _login()}", reason=reason)):
                return command(*args, **options)

        return update_wrapper(under_a_name, command)

    return decorate


def _refuse_missing(database: "Database") -> None:
    """A command that looks for a directory does not make an empty one by mistake."""
    if database.path is not None and not database.path.exists():
        raise OperatorError(
            f"there is no database {database.path}: check [database] url, or make a new one with "
            "`scim-bridge db upgrade`"
        )


def _create(database: "Database") -> None:
    from sqlalchemy import inspect

    from scim_bridge.directory import migration
    from scim_bridge.directory.database import translated

    with translated():
        is_new = not inspect(database.engine).get_table_names()
    if is_new:
        migration.upgrade(database)
        click.echo(f"A new directory was made: {database.path}", err=True)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return f"uid-{os.getuid()}"
