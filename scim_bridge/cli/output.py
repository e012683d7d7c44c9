"""How does a command print: tables for people, JSON for scripts, times for both?"""

import json
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What a terminal shows in one line, in characters.
_WIDTH = 80
# Wider than any table gets.
_WIDEST = 100_000
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_json_line(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table as wide as its content: a value in a pipe is never cut."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        # Text is printed as it is: a name is not markup.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    Console(width=_WIDEST, highlight=False).print(table)


def print_wrapped(text: str, *, indent: str = "") -> None:
    """A sentence in lines that a terminal shows; a long name or address is never cut."""
    more = f"{indent}  "
    for line in textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=more,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        click.echo(line)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: clients choose names."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t")) and cell != "-" else cell


def when(seconds: float | None) -> str | None:
    """A time as JSON has it, RFC 3339 in UTC."""
    return None if seconds is None else _utc(seconds).isoformat(timespec="seconds")


def lasting(seconds: float) -> str:
    """A length of time as a person says it: 12 s, 5 min, 3 h, 2 d."""
    for length, unit in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def day(seconds: float | None, *, never: str = "-") -> str:
    """A time as a person reads it."""
    return never if seconds is None else f"{_utc(seconds):%Y-%m-%d %H:%M} UTC"


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
