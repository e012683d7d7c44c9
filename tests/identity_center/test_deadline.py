"""One time for a whole call, after which nothing is sent and nothing waited for."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from scim_bridge.identity_center.deadline import bounded, within

Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve) -> Iterator[str]:
    """A server that treats every connection as `serve` does."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def trickle(*, head: bytes, forever: bytes) -> Serve:
    """Answers a byte at a time, so that no single read ever waits long."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        try:
            connection.sendall(head)
            for _ in range(200):
                connection.sendall(forever)
                time.sleep(0.02)
        except OSError:
            return

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(lambda connection: time.sleep(1), id="silence"),
        pytest.param(trickle(head=b"HTTP/1.1 200 OK\r\nX: ", forever=b"x"), id="head"),
        pytest.param(
            trickle(head=b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", forever=b"x"),
            id="body",
        ),
    ],
)
def test_a_call_ends_in_its_time_however_slowly_the_answer_comes(serve: Serve) -> None:
    """A timeout of each read would never strike while a byte comes now and then."""
    with server(serve) as url:
        pool = bounded(PoolManager(retries=Retry(0)))
        begun = time.monotonic()
        # What was read of a head that broke off may look like a whole one: `passed` tells.
        with within(0.2) as deadline, suppress(HTTPError):
            pool.request("GET", url, timeout=10)
        assert deadline.passed
        assert time.monotonic() - begun < 0.8
        pool.clear()


def test_nothing_is_sent_over_a_connection_that_came_too_late() -> None:
    """A slow name look-up or connect must not make a change after the lease has gone."""
    received = []

    def serve(connection: socket.socket) -> None:
        connection.settimeout(0.5)
        received.append(connection.recv(65536))

    with server(serve) as url:
        pool = bounded(PoolManager(retries=Retry(0)))
        with within(30) as deadline:
            deadline.strike()
            with pytest.raises(HTTPError, match="too late"):
                pool.request("GET", url)
        pool.clear()
    assert received in ([], [b""])


def test_a_connection_outlives_the_deadline_of_a_call_that_is_over() -> None:
    """The next call uses the same connection, under its own deadline."""
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with server(serve) as url:
        pool = bounded(PoolManager(retries=Retry(0)))
        for _ in range(3):
            with within(0.15) as deadline:
                assert pool.request("GET", url).data == b"ok"
            time.sleep(0.2)
            assert not deadline.passed
        pool.clear()
    assert len(connections) == 1


def test_a_reused_connection_is_under_the_deadline_too() -> None:
    """Not only a connection that was opened for the call."""
    answers = iter([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            answer = next(answers, None)
            if answer is None:
                time.sleep(1)
                return
            connection.sendall(answer)

    with server(serve) as url:
        pool = bounded(PoolManager(retries=Retry(0)))
        with within(5):
            pool.request("GET", url)
        begun = time.monotonic()
        with within(0.2) as deadline, pytest.raises(HTTPError):
            pool.request("GET", url)
        assert deadline.passed
        assert time.monotonic() - begun < 0.8
        pool.clear()
