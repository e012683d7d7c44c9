"""`snapshot`: write the directory into the folders of its csv and jsonl connectors now."""

from collections.abc import Mapping, Sequence

import click

from scim_bridge.cli.invocation import Invocation, opened, pass_invocation
from scim_bridge.cli.output import json_option, print_json, print_table
from scim_bridge.errors import OperatorError
from scim_bridge.settings import Settings, Snapshot
from scim_bridge.sync.snapshots import Snapshots


@click.command()
@click.argument("names", nargs=-1, metavar="[CONNECTOR]...")
@json_option
@pass_invocation
def command(invocation: Invocation, *, names: Sequence[str], as_json: bool) -> None:
    """Write the whole directory into the folder of each csv or jsonl connector now.

    serve and worker do it by themselves, as often as the connector's interval says. A file is
    replaced once the new one is on the disk as a whole.

    \b
    Example:
      scim-bridge snapshot lake
    """
    settings = invocation.settings()
    written: dict[str, Mapping[str, int]] = {}
    with opened(settings) as database:
        for name, one in _chosen(settings, names).items():
            counts = Snapshots(database, name, one).write()
            if counts is None:
                raise OperatorError(f"{name} is being written by another process just now")
            written[name] = counts
    if as_json:
        print_json({"snapshots": {name: dict(counts) for name, counts in written.items()}})
        return
    print_table(
        ("connector", "written"),
        [
            (name, ", ".join(f"{count} {what}" for what, count in counts.items()))
            for name, counts in written.items()
        ],
    )


def _chosen(settings: Settings, names: Sequence[str]) -> dict[str, Snapshot]:
    there = {name: one for name, one in settings.connector.items() if isinstance(one, Snapshot)}
    unknown = [name for name in names if name not in there]
    if unknown or not there:
        what = f"no connector {unknown[0]!r}" if unknown else "no connector"
        raise OperatorError(
            f"there is {what} of type csv or jsonl: the settings have "
            f"{', '.join(there) or 'none'}; a [[connector]] section makes one"
        )
    return {name: there[name] for name in names or there}
