"""`db`: is the directory's database at this version's schema?"""

import click

from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.directory import migration
from scim_bridge.directory.database import connect


@click.group()
def command() -> None:
    """Look after the directory's database.

    \b
    Example:
      scim-bridge db upgrade
    """


@command.command()
@pass_invocation
def upgrade(invocation: Invocation) -> None:
    """Bring the database to this version's schema, after an update of the bridge.

    Stop the bridge and make a copy of the database first. Running it twice does no harm.

    \b
    Example:
      scim-bridge db upgrade
    """
    database = connect(invocation.settings().database)
    try:
        migration.upgrade(database)
        click.echo(f"The database is at this version's schema: {database.path}")
    finally:
        database.close()
