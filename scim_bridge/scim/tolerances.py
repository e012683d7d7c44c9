"""Which tolerances does each client need? Every use is counted, and told once an hour."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock

import structlog

from scim_bridge.scim.dialect import Rule

log = structlog.get_logger(__name__)

# How often the use of a rule by a client is logged at most, in seconds.
LOGGED_EVERY = 3600.0


def _uncounted(_client: str, _rule: str) -> None:
    """Nobody counts."""


@dataclass(kw_only=True)
class Needs:
    """What a request needs of its client's dialect, by the names of the rules.

    It counts once the request is done: what is refused was not tolerated.
    """

    rules: set[str] = field(default_factory=set)
    # What each operation of a Bulk request needs, which may fail by itself.
    operations: tuple[frozenset[str], ...] = ()

    def add_operations(self, done: Iterable[int]) -> None:
        """These operations of a Bulk request, by their positions, are done."""
        self.rules.update(*(self.operations[index] for index in done))


class Tolerances:
    """The uses of rules by clients, in this process."""

    def __init__(
        self,
        count: Callable[[str, str], None] = _uncounted,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._clock = clock
        self._logged: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def used(self, client: str, rules: Iterable[Rule]) -> None:
        """A client's request needed these rules."""
        for rule in rules:
            self._count(client, rule.name)
            if self._is_due(client, rule.name):
                log.info(
                    "a client departs from the standard",
                    action="tolerate",
                    client=client,
                    rule=rule.name,
                    meaning=rule.meaning,
                    source=rule.source,
                )

    def _is_due(self, client: str, rule: str) -> bool:
        now = self._clock()
        with self._lock:
            last = self._logged.get((client, rule))
            if last is not None and now - last < LOGGED_EVERY:
                return False
            self._logged[client, rule] = now
            return True
