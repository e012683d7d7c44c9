"""`python -m tests.benchmarks`: is the bridge as fast as it is to be, beside what is known?

Every server is started here, on this machine, and filled with the same people; one after the other
answers the same requests on one keep-alive connection. Progress is on stderr, the tables on stdout.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks import memory, report, targets
from tests.benchmarks.cases import Case, Figures, by_cursor, cases, measure
from tests.benchmarks.population import SIZES, Population
from tests.benchmarks.servers import DATABASES, Server, bridge, bridge_with_sandbox, floor, stock

FEW, MANY = 1_000, 100_000


@click.command()
@click.option("--users", default=10_000, show_default=True, help="People in the directory.")
@click.option("--few", default=FEW, show_default=True, help="People in a smaller one; 0: none.")
@click.option("--many", default=MANY, show_default=True, help="People in a larger one; 0: none.")
@click.option("--rounds", default=60, show_default=True, help="Requests of each kind.")
@click.option("--against", multiple=True, type=click.Choice(["stock"]), help="Measure it as well.")
@click.option("--only", help="Only cases whose name contains this.")
@click.option("--sandbox/--no-sandbox", default=True, help="Also in front of a sandbox.")
@click.option("--memory", "memory_too", is_flag=True, help="Compare the memory of a worker, too.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures.")
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Draw cost by size.")
def main(
    *,
    users: int,
    few: int,
    many: int,
    rounds: int,
    against: tuple[str, ...],
    only: str | None,
    sandbox: bool,
    memory_too: bool,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Measure the bridge beside a floor and, if asked, beside stock scim2-flask."""
    if plot_file and find_spec("matplotlib") is None:
        raise click.UsageError("--plot needs matplotlib: pip install 'scim-bridge[benchmarks]'")
    with tempfile.TemporaryDirectory(prefix="scim-bridge-benchmark-") as folder:
        measured, held = _measured(
            Path(folder),
            users=users,
            few=few,
            many=many,
            rounds=rounds,
            against=against,
            only=only,
            sandbox=sandbox,
        )
        grown = memory.rows(Path(folder), few=few, many=many) if memory_too else []
    found = [*(row for name in DATABASES for row in _rows(measured, name)), *grown]
    report.show(Console(width=200), measured, found, held)
    if json_file:
        json_file.write_text(
            report.as_json(measured, found, users=users, few=few, many=many, memory_mib=held)
        )
    if plot_file:
        report.plot(plot_file, _lines(measured, users=users, few=few, many=many))


def _measured(
    folder: Path,
    *,
    users: int,
    few: int,
    many: int,
    rounds: int,
    against: tuple[str, ...],
    only: str | None,
    sandbox: bool,
) -> tuple[dict[str, dict[str, Figures]], dict[str, float]]:
    """The figures by case and server, and what each server held in memory at the end."""
    population = Population(users=users, spare=rounds + 10)
    with ExitStack() as stack:

        def start(server: object) -> Server:
            started: Server = stack.enter_context(server)  # type: ignore[arg-type]
            _say(f"{started.name}: started with {started.population.users} people")
            return started

        servers = [
            start(bridge(folder / f"bridge-{name}", population, name=_named(name), database=made))
            for name, made in DATABASES.items()
        ]
        for name, size in ((targets.SMALL, few), (targets.LARGE, many)):
            if size:
                sized = Population(users=size, spare=rounds + 10)
                servers.append(start(bridge(folder / name, sized, name=name)))
        servers.append(start(floor(folder / "floor", population)))
        if "stock" in against:
            servers.append(start(stock(folder / "stock", population)))
        measured = {}
        for case in cases([size for size in SIZES if size <= max(users, many)]):
            if only is None or only in case.name:
                _say(case.name)
                measured[case.name] = measure(_asked(servers, case), case, rounds)
        measured.update(_by_cursor(servers, rounds, only))
        held = {server.name: server.memory() for server in servers}
    if sandbox and (only is None or only in "POST user"):
        _say("POST user, with a sandbox")
        with bridge_with_sandbox(folder / "sandbox", population, name=targets.SANDBOX) as sandboxed:
            posting = next(case for case in cases([]) if case.name == "POST user")
            measured["POST user"] |= measure([sandboxed], posting, rounds)
    return measured, held


def _rows(measured: targets.Measured, database: str) -> Iterator[targets.Row]:
    """What was reached on a database."""
    for row in targets.rows(measured, _named(database)):
        is_main = _named(database) == targets.MAIN
        yield row if is_main else replace(row, what=f"{row.what}, {database}")


def _named(database: str) -> str:
    return targets.MAIN if database == "SQLite" else f"{targets.MAIN} on {database}"


def _asked(servers: list[Server], case: Case) -> list[Server]:
    """Who can answer a case."""
    if case.name.startswith("floor"):
        return [server for server in servers if server.name in case.also]
    size = int(case.name.rpartition(" ")[2]) if case.name.startswith("PATCH add 1 to") else 0
    return [
        server
        for server in servers
        if (server.name.startswith(targets.MAIN) or server.name in case.also)
        and size <= server.population.users
    ]


def _by_cursor(
    servers: list[Server], rounds: int, only: str | None
) -> dict[str, dict[str, Figures]]:
    """The last page by cursor, which each bridge gives its own cursor for."""
    name = "list, by cursor"
    if only is not None and only not in name:
        return {}
    _say(name)
    bridges = [server for server in servers if server.name.startswith(targets.MAIN)]
    found: dict[str, Figures] = {}
    for server in bridges:
        case = Case(name=name, make=by_cursor(server))
        found |= measure([server], case, rounds)
    return {name: found}


def _lines(
    measured: dict[str, dict[str, Figures]], *, users: int, few: int, many: int
) -> dict[str, list[tuple[int, float]]]:
    """Cost by size, for the bridge and what it is compared with."""
    sizes = {targets.SMALL: few, targets.MAIN: users, targets.LARGE: many}
    found: dict[str, list[tuple[int, float]]] = {}
    for title, prefix in report.LINES:
        for case, by_server in measured.items():
            if not case.startswith(prefix):
                continue
            for name, figures in by_server.items():
                if prefix.startswith("PATCH"):
                    if name in (targets.LARGE, targets.STOCK):
                        who = "stock: " if name == targets.STOCK else ""
                        point = int(case.rpartition(" ")[2]), figures.median
                        found.setdefault(f"{who}{title}", []).append(point)
                elif name in sizes:
                    found.setdefault(title, []).append((sizes[name], figures.median))
                elif name == targets.STOCK:
                    found.setdefault(f"stock: {title}", []).append((users, figures.median))
    return found


_say = partial(print, file=sys.stderr, flush=True)

if __name__ == "__main__":
    main()
