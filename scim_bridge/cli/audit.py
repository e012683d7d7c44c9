"""`audit`: what happened, who did it, and is the record of it whole?"""

from collections.abc import Iterable, Iterator
from itertools import islice

import click

from scim_bridge.cli.invocation import Invocation, opened, pass_invocation
from scim_bridge.cli.names import group_names, user_names
from scim_bridge.cli.output import json_option, print_json, print_json_line
from scim_bridge.cli.parameters import PointInTime
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import verify as verified
from scim_bridge.directory.trail import CHUNK, Entry, describe, trail


@click.group(invoke_without_command=True)
@click.option("--user", metavar="NAME", help="Only what is about the person with this userName.")
@click.option("--since", type=PointInTime(), help="Only since then: 2026-11-24T08:30, or 2h, 7d.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    user: str | None,
    since: float | None,
    as_json: bool,
) -> None:
    """Print the audit trail: what happened, when and by whom.

    Changes by clients, calls to Identity Center and acts of operators, in order. Where an entry has
    no name of its own, its user or group is called as the directory knows it now; --json has ids.

    \b
    Example:
      scim-bridge audit --user jane@example.com --since 30d
    """
    if context.invoked_subcommand is None:
        with invocation.database() as database:
            entries = trail(database, user_name=user, since=since)
            _print_json(entries) if as_json else _print(database, entries)


@command.command()
@click.option("--head", metavar="HASH", help="A seal noted earlier, which must still be there.")
@json_option
@pass_invocation
def verify(invocation: Invocation, *, head: str | None, as_json: bool) -> None:
    """Check that nobody changed, removed or reordered what was recorded.

    Note the head that it prints, outside this machine: given with --head the next time, it finds
    a tail that was cut off. Rows of the last moment may not be sealed yet; they are counted.

    \b
    Example:
      scim-bridge audit verify --head 5f1c…
    """
    settings = invocation.settings()
    with opened(settings) as database:
        key = load_key(settings.audit, database)
        found = verified(database, key, head=head)
    if as_json:
        print_json(vars(found))
        return
    click.echo(f"The trail is whole: {found.sealed} rows under {found.seals} seals.")
    click.echo(f"Not yet sealed: {found.unsealed}. Erased on request: {found.erased}.")
    click.echo(f"Head: {found.head}")


def _print_json(entries: Iterable[Entry]) -> None:
    for entry in entries:
        print_json_line(entry.as_dict())


def _print(database: Database, entries: Iterator[Entry]) -> None:
    while some := list(islice(entries, CHUNK)):
        ids = {id_ for one in some for id_ in (one.resource_id, one.related_id) if id_}
        names = {**user_names(database, ids), **group_names(database, ids)}
        for entry in some:
            click.echo(describe(entry, names))
