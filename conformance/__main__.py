"""`python -m conformance`: does a SCIM server keep to the RFCs, and work with real clients?"""

from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import requests
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import report
from conformance.progress import Progress
from conformance.result import Outcome, Result
from conformance.run import NoServer, Ran, check, run
from conformance.target import Target

if TYPE_CHECKING:
    from conformance.suites import Suite

# What a table in a pipe is as wide as, so that nothing in it is cut.
_WIDEST = 100_000
STYLES = {
    Outcome.passed: "green",
    Outcome.failed: "bold red",
    Outcome.warned: "yellow",
    Outcome.skipped: "dim",
}

suite_option = click.option(
    "--suite",
    "names",
    multiple=True,
    metavar="NAME",
    help="Run only this suite: tester, sanity, rfc, filters, patch, dialogues or fuzz. "
    "Can be repeated; otherwise all are run.",
)
report_option = click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write junit.xml, report.json and report.html into DIR.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the whole result as JSON, for scripts."
)
fuzz_option = click.option(
    "--fuzz-requests",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="How many requests the suite fuzz sends.",
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url")
@click.option(
    "--token",
    envvar="SCIM_TOKEN",
    help="The bearer token. Better given in the environment as SCIM_TOKEN: there, no list of "
    "processes shows it.",
)
@suite_option
@report_option
@json_option
@fuzz_option
@click.pass_context
def command(
    context: click.Context,
    *,
    url: str,
    token: str | None,
    names: tuple[str, ...],
    folder: Path | None,
    as_json: bool,
    fuzz_requests: int,
) -> None:
    """Run the SCIM server at URL through suites of checks and dialogues of real clients.

    URL is what comes before /Users. The run makes users and groups on the server, changes and
    removes them: use one that nobody depends on. What cannot be removed is named at the end.

    Exit codes: 0 the server failed nothing, 1 it failed something or the run was stopped, 2 the
    command was not understood or there is no such server.

    \b
    Examples:
      SCIM_TOKEN=… python -m conformance https://scim.example.com/scim/v2
      python -m conformance http://localhost:8080/v2 --suite tester --report build/scim
      python -m conformance http://localhost:8080/v2 --suite fuzz --fuzz-requests 5000
    """
    suites = chosen(names, fuzz_requests=fuzz_requests)
    context.exit(checked(url, token, suites, folder=folder, as_json=as_json))


def checked(
    url: str,
    token: str | None,
    suites: "list[Suite]",
    *,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Check a server, print and write what came of it, and return the exit code."""
    _refuse_unusable(url)
    if folder is not None:
        _refuse_unwritable(folder)
    try:
        # Whoever ends the process, what it made is removed first.
        with Target(url, token) as target, target.stoppable(), Progress(target) as progress:
            check(target)
            ran = run(target, suites, progress)
    except NoServer as error:
        raise click.UsageError(str(error)) from error
    _tell(ran, folder, as_json=as_json)
    return 1 if ran.failed else 0


def chosen(names: tuple[str, ...], *, fuzz_requests: int) -> "list[Suite]":
    """The suites of these names, or all. Raises `click.UsageError`."""
    try:
        from conformance.suites.catalogue import SUITES
        from conformance.suites.fuzz import Fuzz
    except ModuleNotFoundError as error:
        raise click.UsageError(
            f"{error.name} is missing: pip install 'scim-bridge[conformance]'"
        ) from error
    known = {suite.name: suite for suite in (*SUITES, Fuzz(requests=fuzz_requests))}
    if unknown := set(names) - known.keys():
        raise click.UsageError(
            f"there is no suite {', '.join(sorted(unknown))}; there are {', '.join(known)}"
        )
    return [suite for name, suite in known.items() if not names or name in names]


def _refuse_unusable(url: str) -> None:
    """Before anything is sent. A password in the address would be in every report."""
    try:
        parts = urlsplit(requests.Request("GET", url).prepare().url)
    except (requests.RequestException, ValueError):
        parts = None
    if parts is None or parts.scheme not in {"http", "https"}:
        raise click.UsageError(f"{url} is no address of a SCIM server: give https://HOST/scim/v2")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise click.UsageError("the address is to have no password, ? or #: give --token instead")


def _refuse_unwritable(folder: Path) -> None:
    """Before the run, which takes minutes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise click.UsageError(f"--report {folder} cannot be written: {error.strerror}") from error


def _tell(ran: Ran, folder: Path | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(report.as_json(ran))
    else:
        _print(ran)
    for one in ran.left:
        click.echo(f"! left behind, remove it by hand: {ran.url}{one}", err=True)
    if folder is None:
        return
    try:
        written = report.write(ran, folder)
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from error
    click.echo(f"Written: {', '.join(map(str, written))}", err=True)


def _print(ran: Ran) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_WIDEST, highlight=False)
    console.print(_summary(ran))
    for result in ran.results:
        if result.outcome is Outcome.failed:
            console.print(_failure(result))
    console.print(Text(report.verdict(ran), style="bold red" if ran.failed else "bold green"))


def _summary(ran: Ran) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("suite")
    for outcome in Outcome:
        table.add_column(outcome.value, justify="right")
    for suite in ran.suites:
        counts = ran.counts(suite)
        table.add_row(
            suite,
            *(
                Text(str(counts[one]), style=STYLES[one] if counts[one] else "dim")
                for one in Outcome
            ),
        )
    return table


def _failure(result: Result) -> Text:
    """Text is printed as it is: what a server says is no markup, and no control of a terminal."""
    said = "".join(one if one.isprintable() else " " for one in f"{result.name}: {result.reason}")
    return Text.assemble(
        ("✗ ", "bold red"), f"{result.suite}, ", (result.clause, "bold"), f": {said}"
    )


if __name__ == "__main__":
    command(prog_name="python -m conformance")
