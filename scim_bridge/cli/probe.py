"""`probe`: what does this Identity Center do where AWS's documentation says nothing?"""

import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scim_bridge.cli.invocation import Invocation, pass_invocation
from scim_bridge.cli.output import json_option, print_json
from scim_bridge.errors import OperatorError
from scim_bridge.identity_center.apis import connect_apis
from scim_bridge.identity_center.probe import Found, Probe
from scim_bridge.plan.grants import AccountGrant
from scim_bridge.settings import IdentityCenter

PREFIX = "scim-bridge-probe-"


@click.command()
@json_option
@click.option("--yes", is_flag=True, help="Do not ask before anything is written.")
@click.option(
    "--write",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what was found to FILE, for `scim-bridge sandbox --behaviour FILE` "
    "(JSON if it ends in .json, else TOML).",
)
@click.option(
    "--assign",
    nargs=2,
    metavar="PERMISSION_SET ACCOUNT",
    help="Also give this permission set (name or ARN) in this account to a group of nobody real.",
)
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    as_json: bool,
    yes: bool,
    file: Path | None,
    assign: tuple[str, str] | None,
) -> None:
    """Find out what Identity Center does where AWS documents nothing.

    Users and groups named scim-bridge-probe-… are made for it, and removed again in any case. They
    cannot sign in: they have neither a password nor an identity at your provider. The exit code is
    1 if something could not be removed; it is named.

    \b
    Example:
      scim-bridge probe --write aws.toml
      scim-bridge sandbox --behaviour aws.toml
    """
    settings = invocation.settings().identity_center
    name = PREFIX + secrets.token_hex(4)
    grant = _grant(settings, assign) if assign else None
    if not yes:
        click.confirm(_warning(settings, name, grant), abort=True, err=True)
    probe = Probe(settings, name=name, grant=grant)
    found, left = _asked(probe, quiet=as_json)
    if file is not None:
        _write(file, found)
    if as_json:
        print_json(_as_dict(found, left))
    elif file is not None:
        click.echo(f"Written to {file}: scim-bridge sandbox --behaviour {file}")
    for one in left:
        click.echo(f"! left behind, remove it by hand: {one}", err=True)
    context.exit(1 if left else 0)


def _warning(settings: IdentityCenter, name: str, grant: AccountGrant | None) -> str:
    given = (
        f", gives {grant.permission_set} in {grant.account} to two of the groups" if grant else ""
    )
    return (
        f"This creates about twenty users and groups named {name}-… in {settings.written_to}"
        f"{given}, and removes them again. Go on?"
    )


def _asked(probe: Probe, *, quiet: bool) -> tuple[list[Found], list[str]]:
    """Everything that was found, and what is left. What was made is removed in any case."""
    found: list[Found] = []
    try:
        for one in probe.answers():
            found.append(one)
            if not quiet:
                click.echo(f"{'?' if one.value is None else '✓'} {one.said}")
    except KeyboardInterrupt:
        click.echo("Stopped. What was made is removed.", err=True)
        if left := _removed(probe):
            raise OperatorError(f"left behind, remove by hand: {'; '.join(left)}") from None
        raise
    except BaseException:
        _removed(probe)
        raise
    return found, _removed(probe)


def _removed(probe: Probe) -> list[str]:
    """Remove what was made; returns what is left, and why."""
    try:
        return probe.throwaways.remove()
    except KeyboardInterrupt:
        return [str(trace) for trace in probe.throwaways.left]


def _write(file: Path, found: Sequence[Found]) -> None:
    switches = {one.switch: one.value for one in found if one.value is not None}
    if file.suffix == ".json":
        text = json.dumps(switches, indent=2) + "\n"
    else:
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in switches.items()]
        text = "# What scim-bridge probe found.\n" + "".join(lines)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error


def _as_dict(found: Sequence[Found], left: Sequence[str]) -> dict[str, Any]:
    return {"found": [vars(one) for one in found], "left": list(left)}


def _grant(settings: IdentityCenter, assign: tuple[str, str]) -> AccountGrant:
    """The assignment that may be made; the permission set is looked up if it is a name."""
    named, account = assign
    if not re.fullmatch(r"\d{12}", account):
        raise click.BadParameter(f"{account} is no account: give its twelve digits")
    if named.startswith("arn:"):
        return AccountGrant(account=account, permission_set=named)
    admin = connect_apis(settings).sso_admin
    for arn in admin.list_permission_sets():
        if admin.describe_permission_set(arn).name == named:
            return AccountGrant(account=account, permission_set=arn)
    raise click.BadParameter(f"there is no permission set {named}")
