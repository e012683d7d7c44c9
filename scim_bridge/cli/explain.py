"""`explain`: why has somebody an access, or why not?"""

import json
from collections.abc import Sequence

import click

from scim_bridge.cli.access import person_named
from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import day, json_option, print_json, print_table, when
from scim_bridge.directory.provenance import Provenance, provenance
from scim_bridge.sync.explanation import Question, explain


@click.command()
@click.argument("user")
@click.option("--account", default="", metavar="ID", help="Only about this account.")
@click.option("--permission-set", default="", metavar="NAME", help="Only about this one.")
@click.option("--values", is_flag=True, help="Instead, say where each attribute comes from.")
@json_option
@pass_invocation
def command(
    invocation: Invocation,
    *,
    user: str,
    account: str,
    permission_set: str,
    values: bool,
    as_json: bool,
) -> None:
    """Say why USER (a userName) has an access, or why not.

    With --values, which client gave each attribute of the person, and when: with several sources,
    `[[authority]]` says who may.

    \b
    Examples:
      scim-bridge explain jane@example.com --account 111122223333 --permission-set Admin
      scim-bridge explain jane@example.com --values
    """
    if values:
        with invocation.database() as database:
            _show_values(provenance(database, person_named(database, user)), as_json=as_json)
        return
    question = Question(account=account, permission_set=permission_set)
    with invocation.database() as database:
        said = explain(database, person_named(database, user), question)
    if as_json:
        print_json(said)
        return
    for sentence in said:
        click.echo(printable(sentence))


def _show_values(found: Sequence[Provenance], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "attribute": one.attribute,
                    "value": one.value,
                    "from": one.origin,
                    "since": when(one.at),
                    "request": one.request_id,
                }
                for one in found
            ]
        )
        return
    print_table(
        ("attribute", "value", "from", "since"),
        [
            (one.attribute, printable(_shown(one.value)), printable(one.origin), day(one.at))
            for one in found
        ],
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
