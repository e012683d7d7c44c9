"""When does a call end that gets no answer, and how is nothing sent after that?

An HTTP library's timeouts are for one step: each address that is tried, each read. Here one time
holds for the whole call: name look-up, connecting, sending, and reading the answer. It matters
since a lease on a resource is only as long as the calls that were made under it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError


class Deadline:
    """The end of one call. ``passed`` tells whether it came before the call's own end."""

    def __init__(self) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._socket: Any = None

    def guard(self, connected: Any) -> None:
        """Close ``connected`` when the time comes.

        :raises ConnectTimeoutError: the time has come already, so nothing may be sent.
        """
        with self._lock:
            if self.passed:
                raise ConnectTimeoutError("connected too late to send the request")
            self._socket = connected

    def release(self) -> None:
        """Leave the connection alone from now on: it serves the next call."""
        with self._lock:
            self._socket = None

    def strike(self) -> None:
        """End the call: whoever waits on the connection is woken."""
        with self._lock:
            self.passed = True
            if self._socket is not None:
                with suppress(OSError, TypeError):
                    # The plain method: TLS's own would change the object the reader is using.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current: ContextVar[Deadline | None] = ContextVar("deadline of this thread's call", default=None)


@contextmanager
def within(seconds: float) -> Iterator[Deadline]:
    """Give the call in the ``with`` block this many seconds, over connections of `bounded`."""
    deadline = Deadline()
    timer = threading.Timer(seconds, deadline.strike)
    timer.daemon = True
    before = _current.set(deadline)
    timer.start()
    try:
        yield deadline
    finally:
        deadline.release()
        timer.cancel()
        _current.reset(before)


def _guard(connected: Any) -> None:
    deadline = _current.get()
    if deadline is not None:
        deadline.guard(connected)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _guard(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _guard(self.sock)
        super().request(*args, **kwargs)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _guard(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _guard(self.sock)
        super().request(*args, **kwargs)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def bounded(manager: PoolManager) -> PoolManager:
    """Make the connections of a urllib3 pool manager end with the deadline of their call."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager
