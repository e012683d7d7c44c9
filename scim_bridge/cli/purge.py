"""`purge`: a person is erased on request."""

from dataclasses import replace

import click

from scim_bridge.app import Bridge
from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.cli.people import deliver
from scim_bridge.sync.pause import refuse_while_paused
from scim_bridge.sync.purge import Purge
from scim_bridge.sync.target import Target


@click.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask: for scripts.")
@audited(needs_reason=True)
@pass_invocation
def command(invocation: Invocation, user: str, *, yes: bool) -> None:
    """Erase USER (a userName) for good, on request.

    Takes every access away, deletes the person at Identity Center, and removes every personal value
    from the directory, its history and the audit trail, of earlier records of the same userName
    too. The chain of seals stays whole. This cannot be undone, and a backup made before still holds
    the person. A leaver needs no purge: they are disabled, and their record is kept.

    \b
    Example:
      scim-bridge purge jane@example.com --reason "request of 2027-05-01, ticket 4711"
    """
    with assembled(invocation.settings()) as bridge:
        refuse_while_paused(bridge.database)
        purge = purge_of(bridge)
        records = purge.records(user)
        if not yes:
            click.confirm(_question(user, len(records)), abort=True, err=True)
        purge.end(records)
        for user_id in records:
            purge.await_gifts(user_id)
            deliver(bridge, user_id)
            purge.erase(user_id)
    click.echo(f"Erased, as far as the bridge and Identity Center know: {', '.join(records)}")


def _question(user: str, records: int) -> str:
    earlier = f", with {records - 1} earlier records" if records > 1 else ""
    return f"Erase {user}{earlier} for good? This cannot be undone"


def purge_of(bridge: Bridge) -> Purge:
    """What erases people at every target of a bridge."""
    elsewhere = tuple(_at(bridge, one) for one in bridge.others)
    return replace(_at(bridge, bridge.target), elsewhere=elsewhere)


def _at(bridge: Bridge, one: Target) -> Purge:
    return Purge(
        database=bridge.database,
        resources=bridge.resources,
        users=bridge.provider.user,
        center=one.center,
        observations=one.observations,
        held=one.held,
        marks=tuple(lane.marks for lane in one.lanes),
        sso_admin=one.apis.sso_admin if one.apis else None,
        call_seconds=one.settings.timeout,
    )
