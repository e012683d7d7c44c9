"""Which suites are there? Each is a module with a class that keeps to `Suite`."""

from collections.abc import Iterator
from typing import Protocol

from conformance.result import Result
from conformance.target import Target


class Suite(Protocol):
    """A set of checks.

    A check that fails is a failed `Result`, never an exception; only a server that cannot be
    reached (`requests.RequestException`) ends a suite.
    """

    # What `--suite` takes.
    name: str
    # What it checks, in a line.
    about: str

    def number(self) -> int | None:
        """How many results `run` will give, if that is known beforehand."""

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Check the server. ``run`` is a short word, fresh per run, for names that must be new."""
