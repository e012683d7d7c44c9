"""`adopt`: take over an Identity Center that is in use already."""

from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress as ProgressBar

from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.extract import extracted, print_results, watch_of
from scim_bridge.cli.invocation import Invocation, audited, pass_invocation
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import json_option, print_json, print_table
from scim_bridge.errors import OperatorError
from scim_bridge.plan.matching import Clash, Match, Stranger
from scim_bridge.plan.state import Kind
from scim_bridge.sync.adoption import Adopted, Proposal
from scim_bridge.sync.extraction import KINDS, Extracted
from scim_bridge.sync.watch import Watch

# As many rows are shown to people of what is simply taken over.
MOST_ROWS = 50
BOTH: tuple[Kind, ...] = ("user", "group")


@click.command()
@click.option("--yes", is_flag=True, help="Do it. Without this nothing is written.")
@json_option
@audited()
@pass_invocation
def command(invocation: Invocation, *, yes: bool, as_json: bool) -> None:
    """Take over the users, groups, memberships and assignments that Identity Center holds.

    Identity Center is read, and who is there is matched with the directory by externalId, userName,
    primary e-mail and displayName. With --yes matches are linked, and who is not in the directory
    gets a record there, with the memberships and assignments that were found (origin "adopted":
    any client may take them away). Nothing is created, changed or deleted at Identity Center by
    it, and no externalId is given to anybody.

    Conflicts are left alone: who is like several people, is protected, or is linked already.

    \b
    Example:
      scim-bridge adopt
      scim-bridge adopt --yes --reason "take over from Okta, ticket 4711"
    """
    with assembled(invocation.settings()) as bridge:
        watch = watch_of(bridge)
        results = _read(watch, quiet=as_json)
        proposal = watch.adoption.proposal()
        could_read_access = all(one.ending == "ok" for one in results if one.kind == "assignments")
        done = None
        if yes:
            done = _adopt(watch, proposal, access=could_read_access, quiet=as_json)
        if as_json:
            print_json(_as_dict(proposal, done, access=could_read_access))
        else:
            _print(proposal, done, access=could_read_access)


def _read(watch: Watch, *, quiet: bool) -> list[Extracted]:
    """Read everything. Raises `OperatorError` if users, groups or memberships cannot be."""
    results = extracted(watch, KINDS, quiet=quiet)
    needed = ("users", "groups", "memberships")
    if failed := [one for one in results if one.kind in needed and one.ending != "ok"]:
        if not quiet:
            print_results(results)
        why = "; ".join(f"{one.kind}: {one.reason}" for one in failed)
        raise OperatorError(f"Identity Center could not be read, so nothing is adopted: {why}")
    return results


def _adopt(watch: Watch, proposal: Proposal, *, access: bool, quiet: bool) -> Adopted:
    console = Console(stderr=True)
    with ProgressBar(
        console=console, transient=True, disable=quiet or not console.is_terminal
    ) as bar:
        task = bar.add_task("adopting", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return watch.adoption.adopt(proposal, access=access, report=report)


def _as_dict(proposal: Proposal, done: Adopted | None, *, access: bool) -> dict[str, Any]:
    return {
        "matches": [_match_as_dict(one) for one in _matches(proposal)],
        "conflicts": [_clash_as_dict(one) for one in _clashes(proposal, done)],
        "new": [_stranger_as_dict(one) for one in _unknown(proposal)],
        "only_in_directory": {f"{kind}s": list(proposal.only_here[kind]) for kind in BOTH},
        "assignments_read": access,
        "adopted": None
        if done is None
        else {
            "linked": done.linked,
            "created": done.created,
            "memberships": done.memberships,
            "assignments": done.assignments,
        },
    }


def _stranger_as_dict(one: Stranger) -> dict[str, Any]:
    return {"kind": one.kind, "target_id": one.id, "name": one.name}


def _match_as_dict(one: Match) -> dict[str, Any]:
    return {**_stranger_as_dict(one.stranger), "id": one.resource, "by": list(one.by)}


def _clash_as_dict(one: Clash) -> dict[str, Any]:
    return {**_stranger_as_dict(one.stranger), "why": one.why}


def _matches(proposal: Proposal) -> Iterator[Match]:
    for kind in BOTH:
        yield from proposal.of(kind).matches


def _unknown(proposal: Proposal) -> Iterator[Stranger]:
    for kind in BOTH:
        yield from proposal.of(kind).unknown


def _clashes(proposal: Proposal, done: Adopted | None) -> Iterator[Clash]:
    for kind in BOTH:
        yield from proposal.of(kind).clashes
    yield from done.clashes if done else ()


def _print(proposal: Proposal, done: Adopted | None, *, access: bool) -> None:
    _print_rows(
        "Matches, to be linked",
        ("at Identity Center", "in the directory", "by"),
        [(_called(one.stranger), one.resource, ", ".join(one.by)) for one in _matches(proposal)],
    )
    _print_rows(
        "Not in the directory, to be recorded there",
        ("at Identity Center", "id"),
        [(_called(one), one.id) for one in _unknown(proposal)],
    )
    _print_rows(
        "Conflicts, left alone",
        ("at Identity Center", "why"),
        [(_called(one.stranger), printable(one.why)) for one in _clashes(proposal, done)],
    )
    for kind in BOTH:
        if here := proposal.only_here[kind]:
            click.echo(f"{len(here)} {kind}s are only in the directory so far.")
    if not access:
        click.echo("! The assignments could not be read: none is taken over.")
    if done is None:
        click.echo("Nothing was written. To do it: scim-bridge adopt --yes")
        return
    click.echo(
        f"{done.linked} linked, {done.created} recorded, with {done.memberships} memberships and "
        f"{done.assignments} assignments."
    )


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    click.echo(f"{title}: {len(rows)}")
    if not rows:
        return
    print_table(columns, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        click.echo(f"… and {len(rows) - MOST_ROWS} more (--json)")
    click.echo()


def _called(stranger: Stranger) -> str:
    return f"{stranger.kind} {printable(stranger.name) or stranger.id}"
