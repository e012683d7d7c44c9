"""`drift`: what did somebody change at Identity Center by hand?"""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from scim_bridge.app import Bridge
from scim_bridge.cli.assembled import assembled, refuse_delivery
from scim_bridge.cli.extract import watch_of
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.cli.names import group_names, principal_names, printable, user_names
from scim_bridge.cli.output import json_option, print_json, print_table
from scim_bridge.plan.drift import Difference, Unmanaged
from scim_bridge.sync.drift import Found
from scim_bridge.sync.watch import Watch

# As many of what is not managed are listed for people.
MOST_UNMANAGED = 50

_WORDS = {
    "changed": "changed by hand",
    "disabled": "disabled by hand",
    "enabled": "enabled by hand",
    "deleted": "deleted by hand",
    "member-added": "member added by hand",
    "member-removed": "member removed by hand",
    "assignment-added": "assignment added by hand",
    "assignment-removed": "assignment removed by hand",
}


@click.command()
@click.option("--repair", is_flag=True, help="Bring back what the bridge applied, now.")
@click.option(
    "--accept", is_flag=True, help="Take it over into the directory, except for who is active."
)
@json_option
@audited()
@pass_invocation
@click.pass_context
def command(
    context: click.Context, invocation: Invocation, *, repair: bool, accept: bool, as_json: bool
) -> None:
    """List what differs from what the bridge applied, as the last extraction saw it.

    \b
    With [drift] on_managed = "repair" or "accept" it is put right, or taken over, after each
    extraction. What was put right three times within a day is contested and left.

    What nobody in the directory is linked to is listed apart; scim-bridge adopt takes it over. The
    exit code is 1 if anything differs (after --repair or --accept: still), 0 if nothing does.

    \b
    Example:
      scim-bridge extract && scim-bridge drift
    """
    if repair and accept:
        raise click.UsageError("--repair and --accept are opposites; give one of them.")
    with assembled(invocation.settings()) as bridge:
        watch_of(bridge)
        if repair:
            refuse_delivery(bridge)
        seen = [_Looked(bridge, watch, repair=repair, accept=accept) for watch in bridge.watches]
        if repair:
            bridge.worker().run_once()
        first, *others = (one.shown() for one in seen)
        if as_json:
            elsewhere = {one.target: one.as_dict() for one in others}
            print_json({**first.as_dict(), **({"targets": elsewhere} if elsewhere else {})})
        else:
            first.print(was_repair=repair)
            for one in others:
                click.echo(f"\nAt {one.target}:")
                one.print(was_repair=repair)
    context.exit(1 if any(one.found for one in (first, *others)) else 0)


class _Looked:
    """What was done about the differences at one target."""

    def __init__(self, bridge: Bridge, watch: Watch, *, repair: bool, accept: bool) -> None:
        self.bridge = bridge
        self.drift = watch.drift
        found = self.drift.found()
        if accept and self.drift.may_accept:
            self.drift.accept(found)
        self.repaired: list[Difference] = self.drift.repair(found) if repair else []

    def shown(self) -> "_Shown":
        """How it stands now."""
        drift = self.drift
        return _Shown(
            self.bridge,
            drift.states(drift.found()),
            self.repaired,
            drift.unmanaged(),
            drift.target,
        )


class _Shown:
    """What was found, with the names that people know."""

    def __init__(
        self,
        bridge: Bridge,
        found: Sequence[Found],
        repaired: Sequence[Difference],
        unmanaged: Sequence[Unmanaged],
        target: str,
    ) -> None:
        self.target = target
        self.found = found
        self.repaired = repaired
        self.unmanaged = unmanaged
        differences = [*(one.difference for one in found), *repaired]
        self._names = _names(bridge, target, differences)

    def as_dict(self) -> dict[str, Any]:
        return {
            "drift": [{**self._dict(one.difference), "state": one.state} for one in self.found],
            "repaired": [self._dict(one) for one in self.repaired],
            "unmanaged": [
                {"kind": one.kind, "ids": list(one.ids), "name": one.name or None}
                for one in self.unmanaged
            ],
        }

    def _dict(self, difference: Difference) -> dict[str, Any]:
        is_member = difference.what in ("member-added", "member-removed")
        return {
            "kind": difference.kind,
            "id": difference.id,
            "name": self._names.get(difference.id),
            "what": difference.what,
            "attributes": list(difference.attributes),
            "member": difference.name if is_member else None,
            "member_name": self._names.get(difference.name) if is_member else None,
            "assignment": None if is_member or not difference.name else difference.name,
        }

    def print(self, *, was_repair: bool) -> None:
        if was_repair:
            click.echo(f"{len(self.repaired)} put right.")
        if self.found:
            print_table(
                ("what", "difference", "state"),
                [
                    (self._called(one.difference), self._told(one.difference), one.state)
                    for one in self.found
                ],
            )
        else:
            click.echo("Nothing differs from what the bridge applied, as far as it was read.")
        self._print_unmanaged()

    def _print_unmanaged(self) -> None:
        if not self.unmanaged:
            return
        click.echo(f"\nNot managed by the bridge ({len(self.unmanaged)}):")
        print_table(
            ("what", "name", "id"),
            [
                (one.kind, printable(one.name) or "-", printable(" ".join(one.ids)))
                for one in self.unmanaged[:MOST_UNMANAGED]
            ],
        )
        if len(self.unmanaged) > MOST_UNMANAGED:
            click.echo(f"… and {len(self.unmanaged) - MOST_UNMANAGED} more (--json)")

    def _called(self, difference: Difference) -> str:
        return f"{difference.kind} {self._names.get(difference.id, difference.id)}"

    def _told(self, difference: Difference) -> str:
        named = difference.name and self._names.get(difference.name, difference.name)
        more = named or ", ".join(difference.attributes)
        words = _WORDS[difference.what]
        return f"{words}: {printable(more)}" if more else words


def _names(bridge: Bridge, target: str, differences: Sequence[Difference]) -> Mapping[str, str]:
    database = bridge.database
    ids = {one.id for one in differences}
    members = {one.name for one in differences if one.what.startswith("member")}
    return {
        **user_names(database, ids),
        **group_names(database, ids),
        **principal_names(database, target, members),
    }
