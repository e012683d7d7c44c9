"""The command line: which commands are there, and how does each begin and end?

A command is a module of this package with a click command named `command`. To add one, write the
module and name it in COMMANDS. Modules are imported when they are asked for, so that a short
command does not wait for the libraries of a long one, and --help waits for none.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

from scim_bridge import __version__
from scim_bridge.cli.invocation import Invocation, advise
from scim_bridge.errors import BridgeError, SettingsError


class Listed(NamedTuple):
    """A command as it is found, and as it is listed."""

    module: str
    # In one line, so that --help imports no module.
    does: str


COMMANDS = {
    "access": Listed("access", "Show what people hold, now or at a moment in the past."),
    "adopt": Listed("adopt", "Take over an Identity Center that is in use already."),
    "audit": Listed("audit", "Print the audit trail: what happened, when and by whom."),
    "backup": Listed("backup", "Copy the directory to a file while the bridge runs."),
    "client": Listed("clients", "Manage the clients of the SCIM endpoint and their tokens."),
    "config": Listed("config", "Look at the settings."),
    "conformance": Listed("conformance", "Check the bridge against the RFCs and real clients."),
    "db": Listed("database", "Look after the directory's database."),
    "demo": Listed("demo", "Show on this machine what the bridge does, with a story."),
    "deprovision": Listed("deprovision", "Take every access away from a person at once."),
    "doctor": Listed("doctor", "Check that everything is in place, and say what to do."),
    "drift": Listed("drift", "Show what was changed at Identity Center by hand."),
    "explain": Listed("explain", "Say why somebody has an access, or why not."),
    "extract": Listed("extract", "Read Identity Center completely now."),
    "pause": Listed("pause", "Stop all delivery."),
    "plan": Listed("plan", "Show what a sync would do, and change nothing."),
    "probe": Listed("probe", "Find out what AWS does where it documents nothing."),
    "purge": Listed("purge", "Erase a person for good, on request."),
    "reactivate": Listed("reactivate", "Give a person their access back."),
    "report": Listed("report", "Write reports for an auditor: who left, came and moved."),
    "restore": Listed("restore", "Put the directory back to a backup."),
    "resume": Listed("resume", "Let delivery go on."),
    "rules": Listed("rules", "Say what people get by rules of joining, moving and leaving."),
    "sandbox": Listed("sandbox", "Run an Identity Center on this machine, for trying."),
    "serve": Listed("serve", "Serve SCIM clients, and deliver what they push."),
    "snapshot": Listed("snapshot", "Write the directory into files for other systems."),
    "status": Listed("status", "Show what has yet to reach Identity Center, and why."),
    "sync": Listed("sync", "Deliver everything that waits, and decide what is held."),
    "unnest": Listed("unnest", "Take every group out of the groups it is in."),
    "worker": Listed("worker", "Deliver what waits, without serving anybody."),
}


class Failure(click.ClickException):
    """What was asked for failed: said on stderr without a traceback, exit code 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


class Commands(click.Group):
    """The commands of COMMANDS. An error of the bridge becomes a `Failure`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{COMMANDS[cmd_name].module}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].does) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            raise Failure(advise(_words(error))) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The settings file. Otherwise SCIM_BRIDGE_CONFIG names it, or ./scim-bridge.toml is "
    "taken if there is one.",
)
@click.version_option(__version__, prog_name="scim-bridge")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """A SCIM 2.0 server in front of AWS IAM Identity Center.

    Identity providers and HR systems push people and groups to the bridge over SCIM; the bridge
    brings Identity Center to the same state and keeps the record of who had what, and why.

    Exit codes: 0 all went well, 1 what was asked failed, 2 the command was not understood.

    \b
    Try it without an AWS account:
      scim-bridge demo
    Then, for a real Identity Center:
      scim-bridge client add okta
      scim-bridge doctor
      scim-bridge serve
    """
    from scim_bridge import log
    from scim_bridge.settings import Log

    # Until a command knows the settings: libraries are heard on stderr, when something is wrong.
    log.configure(Log(level="warning"))
    context.obj = Invocation(config=config, environ=os.environ)


def _words(error: BridgeError) -> str:
    match error:
        case SettingsError(problems=problems) if len(problems) > 1:
            listed = "\n".join(f"  {problem}" for problem in problems)
            return f"the settings cannot be used:\n{listed}"
        case _:
            return str(error)
