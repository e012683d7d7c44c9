"""`backup`: a copy of the directory, made while the bridge runs."""

from pathlib import Path
from typing import Any

import click

from scim_bridge.cli.copying import key_of, progress, sqlite_file
from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.output import json_option, print_json
from scim_bridge.directory import backup
from scim_bridge.directory.database import Database
from scim_bridge.directory.seals import Verification
from scim_bridge.errors import OperatorError
from scim_bridge.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_invocation
def command(invocation: Invocation, file: Path, *, as_json: bool) -> None:
    """Copy the directory to FILE, while the bridge runs and writes.

    Everything that was answered before it began is in the copy. It is checked like `scim-bridge
    audit verify` does, and takes the place of an earlier FILE only when it is whole. It holds
    personal data and digests of tokens: keep it like the database, and the audit key, which is not
    in it, apart from it.

    \b
    Example:
      scim-bridge backup /var/backups/scim-bridge-$(date +%F).db
    """
    settings = invocation.settings()
    path = sqlite_file(settings, instead="pg_dump --format=custom --file=FILE URL")
    if not path.exists():
        raise OperatorError(f"there is no database {path}: check [database] url")
    if file.resolve() == path.resolve():
        raise OperatorError(f"{file} is the database itself; name another file")
    found = _backed_up(settings, path, file, quiet=as_json)
    if as_json:
        print_json(_as_dict(file, found))
        return
    click.echo(f"Backed up to {file}.")
    click.echo(f"Its audit trail is whole: {found.sealed} rows under {found.seals} seals.")
    click.echo(f"Head: {found.head}")


def _backed_up(settings: Settings, path: Path, file: Path, *, quiet: bool) -> Verification:
    draft = backup.draft_of(file)
    try:
        with progress(quiet=quiet) as step:
            backup.snapshot(path, draft, report=step("copying"))
            copy = Database(f"sqlite:///{draft.absolute()}")
            try:
                found = backup.check(copy, key_of(settings, copy), report=step("checking"))
            finally:
                copy.close()
            backup.keep(draft, file)
    finally:
        backup.discard(draft)
    return found


def _as_dict(file: Path, found: Verification) -> dict[str, Any]:
    return {"file": str(file.absolute()), "bytes": file.stat().st_size, **vars(found)}
