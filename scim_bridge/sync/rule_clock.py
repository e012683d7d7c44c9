"""When do rules say something else without anybody changing anything? Seen to by the worker."""

import time
from collections.abc import Callable

import structlog

from scim_bridge.directory.actor import BRIDGE, acting
from scim_bridge.directory.rulebook import FileStanding, FileWatch
from scim_bridge.directory.ruling import Ruling

log = structlog.get_logger(__name__)

# How often it is looked whether somebody's time has come, in seconds.
LOOK_EVERY = 2.0


class RuleClock:
    """Has people looked at when a rule begins or ends for them, and says when the file changed."""

    def __init__(
        self, ruling: Ruling, file: FileWatch, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ruling = ruling
        self._file = file
        self._clock = clock
        self._looked: float | None = None
        self._told: FileStanding | None = None

    def look(self) -> None:
        """Do what is due. Called as often as one likes."""
        if self._looked is not None and self._clock() - self._looked < LOOK_EVERY:
            return
        self._looked = self._clock()
        self._tell()
        with acting(BRIDGE):
            self._ruling.settle_all_due()

    def stop(self) -> None:
        """Nothing is left under way."""

    def _tell(self) -> None:
        standing = self._file.standing()
        if standing == self._told:
            return
        self._told = standing
        match standing.state:
            case "broken" | "missing":
                log.error("rules cannot be used", problems=list(standing.problems))
            case "changed":
                log.warning("rules were changed and are not applied", remedy="rules apply")
            case _:
                return
