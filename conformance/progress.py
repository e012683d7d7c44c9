"""What does somebody see while a run goes on?"""

from types import TracebackType
from typing import Self

import click
import rich.progress
from rich.console import Console
from rich.text import Text

from conformance.result import Outcome, Result
from conformance.suites import Suite
from conformance.target import Target


class Progress:
    """A line on stderr that counts checks and requests; without a terminal, a line per suite."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._console = Console(stderr=True, highlight=False)
        self._checks = self._failed = 0
        self._line = rich.progress.Progress(
            rich.progress.SpinnerColumn(),
            _Said(self),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._line.add_task("", total=None)

    def __enter__(self) -> Self:
        self._line.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.stop()

    def began(self, suite: Suite) -> None:
        self._checks = self._failed = 0
        self._line.reset(self._task, total=suite.number(), description=suite.name)

    def came(self, result: Result) -> None:
        self._checks += 1
        self._failed += result.outcome is Outcome.failed
        self._line.advance(self._task)

    def ended(self, suite: Suite) -> None:
        if not self._console.is_terminal:
            click.echo(f"{suite.name}: {self.said()}", err=True)

    def said(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._checks} checks{failed}; {self._target.sent} requests so far"


class _Said(rich.progress.ProgressColumn):
    """What `Progress` says now: a suite may send many requests before its next check."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: rich.progress.Task) -> Text:
        return Text(f"{task.description}: {self._progress.said()}")
