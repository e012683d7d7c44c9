"""How is something done beside the deliveries, in a thread of its own and once at a time?"""

import threading
from collections.abc import Callable

import structlog

from scim_bridge.errors import BridgeError

log = structlog.get_logger(__name__)

# How long is waited at the end for what is under way, in seconds.
END_WITHIN = 5.0


class Beside:
    """One thing that is begun when it is due. It looks at `stopping` where it can end early.

    `what` it is and the `facts` are told when it goes wrong. Several may share `stopping`.
    """

    def __init__(
        self,
        what: str,
        act: Callable[[], object],
        *,
        stopping: threading.Event | None = None,
        **facts: str,
    ) -> None:
        self.stopping = stopping or threading.Event()
        self._what = what
        self._act = act
        self._facts = facts
        self._thread: threading.Thread | None = None

    @property
    def is_under_way(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self, is_due: Callable[[], object]) -> None:
        """Begin if it is due, unless it is under way or is to stop. Returns at once."""
        if not self.stopping.is_set() and not self.is_under_way and is_due():
            name = ":".join((self._what, *self._facts.values()))
            self._thread = threading.Thread(target=self._done, name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(END_WITHIN)

    def _done(self) -> None:
        try:
            self._act()
        except BridgeError as error:
            log.warning("interrupted", what=self._what, reason=str(error), **self._facts)
        except Exception:
            # A defect here must stop neither deliveries nor the next try.
            log.exception("failed", what=self._what, **self._facts)
