"""What does a command work with, and in whose name?"""

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click
from sqlalchemy import inspect

from scim_bridge.directory import migration
from scim_bridge.directory.actor import Actor, acting
from scim_bridge.directory.database import Database, translated
from scim_bridge.settings import Loaded, Settings, read

OPERATOR_VARIABLE = "SCIM_BRIDGE_OPERATOR"


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One run of the command line."""

    # As given with --config.
    config: Path | None
    environ: Mapping[str, str]

    def loaded(self) -> Loaded:
        """The settings and where they came from. Raises `SettingsError`."""
        return read(self.config, self.environ)

    def settings(self) -> Settings:
        """The settings. Raises `SettingsError`."""
        return self.loaded().settings

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The directory's database, at this version's schema. See `opened`."""
        with opened(self.settings()) as database:
            yield database


pass_invocation = click.make_pass_decorator(Invocation)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The directory's database, at this version's schema.

    One that is new and empty gets the schema. Raises `MigrationMissing` when it has an older one,
    `DatabaseUnavailable` when it does not answer.
    """
    database = Database(settings.database.url)
    try:
        _prepare(database)
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
            with acting(Actor(name=f"operator:{operator or _login()}", reason=reason)):
                return command(*args, **options)

        return update_wrapper(under_a_name, command)

    return decorate


def _prepare(database: Database) -> None:
    with translated():
        is_new = not inspect(database.engine).get_table_names()
    if is_new:
        migration.upgrade(database)
        click.echo(f"A new directory was made: {database.path}", err=True)
    migration.check(database)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return f"uid-{os.getuid()}"
