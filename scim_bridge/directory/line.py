"""Who of the threads that want the same goes first? Whoever came first."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Line:
    """A line in which threads stand until it is their turn."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Have one's turn for the block: once all who came before are through, or after so long."""
        mine = threading.Event()
        with self._changing:
            self._waiting.append(mine)
            self._call_first()
        try:
            mine.wait(seconds)
            yield
        finally:
            with self._changing:
                self._waiting.remove(mine)
                self._call_first()

    def _call_first(self) -> None:
        if self._waiting:
            self._waiting[0].set()
