"""What do backup and restore share: which database, and how far is it?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress as ProgressBar

from scim_bridge.directory.backup import Report
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import key_file, load_key
from scim_bridge.settings import Settings


def sqlite_file(settings: Settings, *, instead: str) -> Path:
    """The file of the directory. A database that is no file is a usage error with the remedy."""
    url = settings.database.url
    path = Database(url).path if url.startswith("sqlite") else None
    if path is None:
        raise click.UsageError(
            "[database] url is no SQLite file. Back up PostgreSQL with its own tools: "
            f"`{instead}`; and with the audit key of [audit] key_file, apart from it."
        )
    return path


def key_of(settings: Settings, copy: Database) -> bytes:
    """The key that seals the directory, for a copy of it that lies elsewhere."""
    file = key_file(settings.audit, Database(settings.database.url))
    return load_key(replace(settings.audit, key_file=file), copy)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str], Report]]:
    """Reports of steps by their names, as bars where somebody looks."""
    console = Console(stderr=True)
    with ProgressBar(
        console=console, transient=True, disable=quiet or not console.is_terminal
    ) as bar:

        def step(name: str) -> Report:
            task = bar.add_task(name, total=None)
            return lambda done, total: bar.update(task, completed=done, total=total or None)

        yield step
