"""Does the server do what RFC 7643, 7644 and 9865 say, section by section?

PATCH and filters have suites of their own. A feature that the ServiceProviderConfig does not
announce is skipped.
"""

import time
from collections.abc import Iterator, Sequence

from conformance.announced import config, not_announced, renames
from conformance.cases import outcome
from conformance.cursors import CHECKS, Check, Shelf
from conformance.player import Player, scenarios
from conformance.result import Outcome, Result
from conformance.target import Target


class Rfc:
    """The scenarios of ``data/rfc``, and the checks of `conformance.cursors`."""

    name = "rfc"
    about = "RFC 7643, 7644 and 9865, section by section"

    def __init__(self) -> None:
        self._scenarios = scenarios("data/rfc")

    def number(self) -> int:
        """One result for each step and each check."""
        return sum(len(scenario["steps"]) for scenario in self._scenarios) + len(CHECKS)

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Play the scenarios, then page and send too much."""
        announced = config(target)
        player = Player(
            suite=self.name, target=target, run=run, config=announced, renames=renames(target)
        )
        for scenario in self._scenarios:
            yield from player.play(scenario)
        shelf = Shelf(target=target, run=run, config=announced)
        shelf.fill()
        for name, section, needs, check in CHECKS:
            yield self._checked(shelf, name, section, needs, check)

    def _checked(
        self, shelf: Shelf, name: str, section: str, needs: Sequence[str], check: Check
    ) -> Result:
        begun = time.monotonic()
        shelf.target.exchanges()
        missing = not_announced(shelf.config, needs)
        reason = missing or check(shelf)
        return Result(
            suite=self.name,
            name=name,
            clause=section,
            outcome=Outcome.skipped if missing else outcome(reason),
            reason=reason,
            exchanges=shelf.target.exchanges(),
            seconds=time.monotonic() - begun,
        )
