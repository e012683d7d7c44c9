"""`config`: which settings are in force?"""

import click

from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.output import json_option, print_json, print_table
from scim_bridge.settings import DEFAULT, masked


@click.group()
def command() -> None:
    """Look at the settings.

    Settings come from one TOML file; a variable SCIM_BRIDGE_<SECTION>__<KEY> wins over it.

    \b
    Example:
      SCIM_BRIDGE_SERVER__PORT=9000 scim-bridge config show
    """


@command.command()
@json_option
@pass_invocation
def show(invocation: Invocation, *, as_json: bool) -> None:
    """Show every setting in force and where it came from, secrets masked.

    \b
    Example:
      scim-bridge --config /etc/scim-bridge/scim-bridge.toml config show
    """
    loaded = invocation.loaded()
    settings = {
        f"{section}.{key}": value
        for section, values in masked(loaded.settings).items()
        for key, value in values.items()
    }
    origins = dict(loaded.origins)
    for place, one in enumerate(loaded.settings.authorities, start=1):
        name = f"authority {place}"
        settings[name] = f"{one.client}: {', '.join(one.attributes)} ({one.on_conflict})"
        origins[name] = str(loaded.file)
    if as_json:
        print_json(
            {name: {"value": value, "from": origins[name]} for name, value in settings.items()}
        )
        return
    rows = [(name, _shown(value), origins[name]) for name, value in settings.items()]
    print_table(("setting", "value", "from"), rows)
    if set(origins.values()) == {DEFAULT}:
        click.echo("\nNothing is set: see deploy/settings.example.toml for what can be.")


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
