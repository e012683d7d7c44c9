"""`restore`: the directory is put back to a backup, or knows that it was."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import func, select, text

from scim_bridge.cli.copying import key_of, progress, sqlite_file
from scim_bridge.cli.invocation import Invocation, advise, audited, opened, pass_invocation
from scim_bridge.cli.output import day, json_option, print_json, when
from scim_bridge.directory import backup, migration, tables
from scim_bridge.directory.backup import Place, Report
from scim_bridge.directory.database import Database, connect
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer, verify
from scim_bridge.errors import BridgeError, MigrationMissing, OperatorError
from scim_bridge.scim.credentials import keep_ended
from scim_bridge.settings import Settings
from scim_bridge.sync.rewind import rewind

NEXT = """\
Nothing is sent to Identity Center before `scim-bridge resume`, and what happened after the backup
is not known. So, in this order:
  1. `scim-bridge client list`: {tokens}
  2. Start the bridge, and have every client push everything once more (a full synchronisation).
  3. `scim-bridge extract`, then `scim-bridge drift`: what Identity Center holds and the backup does
     not know. Who left since is shown as disabled: `scim-bridge deprovision`. Who came since is not
     managed: `scim-bridge adopt`. Where Identity Center is right: `scim-bridge drift --accept`.
  4. `scim-bridge plan --calls`: what would be sent. Then `scim-bridge resume`.
Erasures that were made since (`scim-bridge purge`) have to be made again."""

_INSTEAD = (
    "pg_restore --clean --dbname=URL FILE`, and then `scim-bridge restore --rewound --reason WHY"
)
# Who else is connected to a database of PostgreSQL.
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scim-bridge'
    AND datname = current_database() AND pid != pg_backend_pid()"""

REVOKED = "tokens that were revoked since are revoked, newer ones do not work."
WORKING = "tokens that were revoked since work again, newer ones do not."


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What is in force now."""

    database: str
    # The time of the last thing that is recorded, in seconds since 1970; None: nothing is.
    until: float | None
    # The database that was there before; None: there was none.
    replaced: str | None
    # The last seal of the trail.
    head: str
    # Whether tokens that were revoked since could be seen in the database that was there.
    tokens_stay_revoked: bool


@click.command()
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=False
)
@click.option(
    "--rewound",
    is_flag=True,
    help="The database was put back by other means (pg_restore, a snapshot): make it safe.",
)
@json_option
@audited()
@pass_invocation
def command(invocation: Invocation, file: Path | None, *, rewound: bool, as_json: bool) -> None:
    """Put the directory back to FILE, a copy that `scim-bridge backup` made.

    Only while no bridge, worker or other command uses the database. FILE is checked first, a
    version of the schema that is older is brought to this one, and the database that was there is
    kept beside it. Afterwards delivery is paused, since Identity Center has gone on without this
    directory: what to look at before `scim-bridge resume` is printed.

    A database that was put back with its own tools does not know that it went back in time: say so
    with --rewound instead of FILE, before a bridge is started.

    \b
    Examples:
      scim-bridge restore /var/backups/scim-bridge-2027-05-01.db --reason "disk lost, ticket 4711"
      scim-bridge restore --rewound --reason "pg_restore of 1 May, ticket 4711"
    """
    if rewound == (file is not None):
        raise click.UsageError("name either FILE or --rewound")
    settings = invocation.settings()
    if file is None:
        done = _rewound(settings)
    else:
        path = sqlite_file(settings, instead=_INSTEAD)
        if file.resolve() == path.resolve():
            raise OperatorError(f"{file} is the database itself; name a backup")
        done = _restored(settings, path, file, quiet=as_json)
    if as_json:
        print_json({**asdict(done), "until": when(done.until), "paused": True})
        return
    click.echo(f"{done.database} holds what was recorded until {day(done.until)}.")
    if done.replaced is not None:
        click.echo(f"The database that was there is kept: {done.replaced}")
    click.echo(f"Head of the audit trail: {done.head}")
    click.echo(advise(NEXT.format(tokens=REVOKED if done.tokens_stay_revoked else WORKING)))


def _rewound(settings: Settings) -> Restored:
    """Make a database safe to work with that was put back by other means."""
    _refuse_in_use(connect(settings.database))
    with opened(settings) as database:
        return _gone_back(database, load_key(settings.audit, database), None)


def _refuse_in_use(database: Database) -> None:
    """Raise `OperatorError` while a bridge or a command uses a database."""
    if database.path is not None:
        with backup.alone(database.path):
            return
    try:
        with database.reading() as connection:
            others = connection.scalar(text(_OTHERS))
    finally:
        database.close()
    if others:
        raise OperatorError(
            f"a bridge has {others} connections to the database: stop every bridge, worker and "
            "command that works with it, and try again"
        )


def _restored(settings: Settings, path: Path, file: Path, *, quiet: bool) -> Restored:
    draft = backup.draft_of(path)
    aside = path.with_name(f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        with backup.alone(path) as place, progress(quiet=quiet) as step:
            backup.taken_in(file, draft)
            ready = _made_ready(settings, draft, file, place, step)
            was_there = place.set_aside(aside)
            place.fill(draft, report=step("restoring"))
    finally:
        backup.discard(draft)
    return replace(ready, database=str(path), replaced=str(aside) if was_there else None)


def _made_ready(
    settings: Settings, draft: Path, file: Path, place: Place, step: Callable[[str], Report]
) -> Restored:
    """Check a copy and make it safe to work with. Returns what it holds."""
    copy = Database(f"sqlite:///{draft.absolute()}")
    try:
        try:
            key = key_of(settings, copy)
            backup.check(copy, key, report=step("checking"))
        except BridgeError as error:
            raise _unusable(error, draft, file) from error
        migration.upgrade(copy)
        return _gone_back(copy, key, place)
    finally:
        copy.close()


def _gone_back(database: Database, key: bytes, place: Place | None) -> Restored:
    """Have a directory know that it went back in time, to where another one is or was."""
    with database.reading() as connection:
        until = connection.scalar(select(func.max(tables.audit.c.at)))
    rewind(database, reason=_reason(until), facts=_facts(until, place))
    stay_revoked = place is not None and _keep_revoked(database, place)
    sealer = Sealer(database, key)
    while sealer.seal():
        continue
    return Restored(
        database=database.engine.url.render_as_string(),
        until=until,
        replaced=None,
        head=verify(database, key).head,
        tokens_stay_revoked=stay_revoked,
    )


def _unusable(error: BridgeError, draft: Path, file: Path) -> OperatorError:
    said = str(error).replace(str(draft), str(file))
    if isinstance(error, MigrationMissing) and "no tables" in said:
        said = "it is no database of scim-bridge"
    return OperatorError(f"{file} is not restored, and nothing was changed: {said}")


def _reason(until: float | None) -> str:
    return f"restored from a backup of {day(until)}; compare with Identity Center first"


def _keep_revoked(copy: Database, place: Place) -> bool:
    """Revoke what was revoked since the backup. False: nobody can read the database from then."""
    clients = place.read("SELECT id, revoked_at FROM clients WHERE revoked_at IS NOT NULL")
    tokens = place.read("SELECT digest, expires_at FROM client_tokens WHERE expires_at IS NOT NULL")
    if clients is None or tokens is None:
        return False
    keep_ended(copy, clients_ended=clients, tokens_ended=tokens)
    return True


def _facts(until: float | None, place: Place | None) -> dict[str, object]:
    """What the trail must tell: which part of it is no longer in it."""
    last = place and place.read("SELECT id, seal FROM audit_seals ORDER BY id DESC LIMIT 1")
    replaced = {"seals": last[0][0], "head": last[0][1]} if last else None
    return {"until": when(until), "at": when(time.time()), "replaced": replaced}
