"""`explain`: why has somebody an access, or why not?"""

import click

from scim_bridge.cli.access import person_named
from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import json_option, print_json
from scim_bridge.sync.explanation import Question, explain


@click.command()
@click.argument("user")
@click.option("--account", default="", metavar="ID", help="Only about this account.")
@click.option("--permission-set", default="", metavar="NAME", help="Only about this one.")
@json_option
@pass_invocation
def command(
    invocation: Invocation, *, user: str, account: str, permission_set: str, as_json: bool
) -> None:
    """Say why USER (a userName) has an access, or why not.

    \b
    Example:
      scim-bridge explain jane@example.com --account 111122223333 --permission-set Admin
    """
    question = Question(account=account, permission_set=permission_set)
    with invocation.database() as database:
        said = explain(database, person_named(database, user), question)
    if as_json:
        print_json(said)
        return
    for sentence in said:
        click.echo(printable(sentence))
