"""Is the database at this version's schema, and how does it get there?

The migrations are part of the package and need no file beside it. One upgrade is one transaction:
it is done wholly or not at all, and two processes do it one after the other. It only adds: the
version before it still reads and writes while machines are upgraded one after the other.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from scim_bridge.directory.database import Database
from scim_bridge.errors import MigrationMissing

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Bring the database to this version's schema. Does nothing when it is there."""
    with database.transaction() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(database: Database, *, running: bool = False) -> None:
    """Refuse a database that is not at this version's schema.

    `running`: the process began before the upgrade of a newer version. It may go on, since a
    migration never breaks the version before it: machines are upgraded one after the other.

    Raises `MigrationMissing`, which names the command that mends it.
    """
    if _is_older(database, newer_is_fine=running):
        raise MigrationMissing("the database is of an older version; run `scim-bridge db upgrade`")


def check_known(database: Database) -> None:
    """Refuse a database that `upgrade` cannot bring to this version's schema: of a newer one, or
    without tables. Raises `MigrationMissing`.
    """
    _is_older(database)


def _is_older(database: Database, *, newer_is_fine: bool = False) -> bool:
    script = ScriptDirectory.from_config(_config())
    with database.reading() as connection:
        present = MigrationContext.configure(connection).get_current_heads()
    known = {revision.revision for revision in script.walk_revisions()}
    if not set(present) <= known:
        if newer_is_fine:
            return False
        raise MigrationMissing(
            "the database was made by a newer scim-bridge; install that version or restore a backup"
        )
    if not present:
        raise MigrationMissing("the database has no tables yet; run `scim-bridge db upgrade`")
    return present != (script.get_current_head(),)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
