"""What was measured, what had to be reached, and was it?"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Bound = Literal["at most", "at least", ""]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure; without a bound it is only told."""

    name: str
    value: float
    unit: str = ""
    bound: Bound = ""
    target: float = 0.0

    @property
    def is_met(self) -> bool:
        match self.bound:
            case "at most":
                return self.value <= self.target
            case "at least":
                return self.value >= self.target
            case _:
                return True

    def line(self) -> str:
        value = f"{self.value:,.3f}".rstrip("0").rstrip(".")
        line = f"  {self.name:<58} {value:>12} {self.unit:<6}"
        if not self.bound:
            return line.rstrip()
        verdict = "" if self.is_met else "   MISSED"
        return f"{line} {self.bound} {self.target:g}{verdict}"


def say(text: str) -> None:
    """Tell the person who watches how far it is."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(title: str, figures: Sequence[Figure], file: Path | None) -> int:
    """Print the figures and write them to a file. Returns the exit code."""
    say(f"\n{title}")
    for figure in figures:
        say(figure.line())
    missed = [figure for figure in figures if not figure.is_met]
    if file is not None:
        rows = [{**asdict(figure), "met": figure.is_met} for figure in figures]
        file.write_text(json.dumps({"title": title, "figures": rows}, indent=2) + "\n")
    say(f"  {len(missed)} of {len(figures)} missed" if missed else "  all reached")
    return 1 if missed else 0
