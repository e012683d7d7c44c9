"""`extract`: read Identity Center again, completely, now."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID

from scim_bridge.app import Bridge
from scim_bridge.cli.assembled import assembled
from scim_bridge.cli.invocation import Invocation, advise, audited, pass_invocation
from scim_bridge.cli.names import printable
from scim_bridge.cli.output import json_option, print_json, print_table
from scim_bridge.errors import OperatorError
from scim_bridge.sync.extraction import KINDS, Extracted, ExtractionKind, Report
from scim_bridge.sync.source import last_followed
from scim_bridge.sync.watch import Watch


@click.command()
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Read only this; may be given several times.",
)
@click.option(
    "--believe",
    is_flag=True,
    help="Believe it even if most of what was known is missing: you have looked.",
)
@json_option
@audited()
@pass_invocation
@click.pass_context
def command(
    context: click.Context,
    invocation: Invocation,
    *,
    kinds: Sequence[ExtractionKind],
    believe: bool,
    as_json: bool,
) -> None:
    """Read users, groups, memberships, permission sets and assignments from Identity Center.

    serve and worker do it by themselves ([extraction] interval). Nobody is disabled and nothing is
    taken away because of what is read. What has disappeared counts as gone after a second reading
    and a direct look. The exit code is 1 if anything could not be read.

    \b
    Example:
      scim-bridge extract --kind users --kind groups
    """
    with assembled(invocation.settings()) as bridge:
        first = watch_of(bridge)
        read = {
            watch.extraction.sightings.target: extracted(
                watch, kinds or KINDS, believe=believe, quiet=as_json
            )
            for watch in bridge.watches
        }
        followed = last_followed(bridge.database) if first.source else {}
    results = [one for some in read.values() for one in some]
    if as_json:
        source = {"source": dict(followed)} if followed else {}
        print_json(
            {
                "extractions": [
                    {**as_dict(one), "target": target}
                    for target, some in read.items()
                    for one in some
                ],
                **source,
            }
        )
    else:
        for target, some in read.items():
            if len(read) > 1:
                click.echo(f"From {target}:")
            print_results(some)
        if followed:
            _print_followed(followed)
    context.exit(0 if all(one.ending == "ok" for one in results) else 1)


def _print_followed(followed: Mapping[str, int]) -> None:
    """What the directory took over, and where what it did not take is told."""
    told = ", ".join(f"{count} {name}" for name, count in followed.items() if name != "clashes")
    click.echo(f"Taken over from Identity Center, which is a source: {told}.")
    if followed.get("held"):
        click.echo(advise("The brake holds who left: scim-bridge status"))
    if followed.get("clashes"):
        click.echo(advise(f"{followed['clashes']} cannot be taken over: scim-bridge adopt"))


def watch_of(bridge: Bridge) -> Watch:
    """What reads Identity Center. Raises `OperatorError` when the settings do not say where."""
    if bridge.watch is None:
        raise OperatorError(
            "Identity Center can only be read with AWS credentials and a region: set "
            "[identity_center] region"
        )
    return bridge.watch


def extracted(
    watch: Watch, kinds: Sequence[ExtractionKind], *, believe: bool = False, quiet: bool = False
) -> list[Extracted]:
    """Read these kinds, with a progress bar where somebody looks."""
    with _progress(quiet=quiet) as report:
        return watch.schedule.read_now(kinds, report=report, believe=believe)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Report]:
    console = Console(stderr=True)
    with ProgressBar(
        console=console, transient=True, disable=quiet or not console.is_terminal
    ) as bar:
        tasks: dict[ExtractionKind, TaskID] = {}

        def report(kind: ExtractionKind, done: int, total: int) -> None:
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=total or None)
            bar.update(tasks[kind], completed=done, total=total or None)

        yield report


def as_dict(one: Extracted) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "outcome": one.ending,
        "counts": dict(one.counts),
        "seconds": round(one.seconds, 3),
        "reason": one.reason,
    }


def print_results(results: Sequence[Extracted]) -> None:
    print_table(
        ("what", "outcome", "found", "took", "why"),
        [
            (
                one.kind,
                one.ending,
                ", ".join(f"{count} {name}" for name, count in one.counts.items()) or "-",
                f"{one.seconds:.1f} s",
                printable(one.reason or "-"),
            )
            for one in results
        ],
    )
