"""Do the clients get along? Each dialogue is what one identity provider sends, step by step."""

from collections.abc import Iterator

from conformance.announced import renames
from conformance.player import Player, scenarios
from conformance.result import Result
from conformance.target import Target


class Dialogues:
    """The dialogues of ``conformance/dialogues``."""

    name = "dialogues"
    about = "What identity providers send, step by step"

    def __init__(self) -> None:
        self._dialogues = scenarios("dialogues")

    def number(self) -> int:
        """One result for each step."""
        return sum(len(dialogue["steps"]) for dialogue in self._dialogues)

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Play every dialogue, each with names of its own."""
        may_rename = renames(target)
        for number, dialogue in enumerate(self._dialogues, 1):
            player = Player(
                suite=self.name, target=target, run=f"{run}{number:02}", renames=may_rename
            )
            yield from player.play(dialogue)
