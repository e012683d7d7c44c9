"""How are the figures shown? As tables, as JSON, and as a plot of cost against size."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.targets import Measured, Row


def show(console: Console, measured: Measured, rows: Sequence[Row], memory: Any) -> None:
    names = list(dict.fromkeys(name for by_server in measured.values() for name in by_server))
    table = Table(box=box.MARKDOWN, title="median / p95, ms")
    table.add_column("request")
    for name in names:
        table.add_column(name, justify="right")
    for case, by_server in measured.items():
        cells = (by_server.get(name) for name in names)
        table.add_row(case, *(f"{one.median:.2f} / {one.p95:.2f}" if one else "" for one in cells))
    console.print(table)
    for name, mebibytes in memory.items():
        console.print(f"{name}: {mebibytes:.0f} MiB resident at the end")
    console.print(_targets(rows))


def _targets(rows: Sequence[Row]) -> Table:
    table = Table(box=box.MARKDOWN, title="what is to be reached")
    for name in ("what", "reached", "at most", "", ""):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row.what, _number(row.reached), _number(row.limit), row.unit, "✓" if row.ok else "✗"
        )
    return table


def _number(value: float) -> str:
    if 0 < value <= 0.2:
        return f"1/{1 / value:.0f}"
    return f"{value:.2f}"


def as_json(measured: Measured, rows: Iterable[Row], **more: Any) -> str:
    return json.dumps(
        {
            **more,
            "milliseconds": {
                case: {name: asdict(one) for name, one in by_server.items()}
                for case, by_server in measured.items()
            },
            "targets": [{**asdict(row), "ok": row.ok} for row in rows],
        },
        indent=2,
    )


# Cost against size: what is drawn, and from which case.
LINES = (
    ("PATCH add one member", "PATCH add 1 to"),
    ("list of 100, page 99", "list, page 99"),
    ("filter userName eq", "userName eq"),
    ("filter displayName co", "displayName co"),
)


def plot(path: Path, points: dict[str, list[tuple[int, float]]]) -> None:
    """Draw lines of (size, milliseconds). Needs the `benchmarks` extra."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, line in points.items():
        sizes, costs = zip(*sorted(line), strict=True)
        stock = name.startswith("stock")
        axes.plot(
            sizes, costs, marker="o", label=name, linestyle="--" if stock else "-", linewidth=1.5
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("people in the directory; for PATCH, members of the group")
    axes.set_ylabel("median, ms")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
