"""How does gunicorn serve the bridge over HTTP?"""

import gc
import logging
import select
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker
from scim2_models import Error

from scim_bridge.app import create_app
from scim_bridge.cli.parent import end_with
from scim_bridge.settings import Settings

# The longest first line of a request that gunicorn can be told to take, in bytes.
LONGEST_LINE = 8190
# How much of a refused request is still taken in, so that its sender reads the answer, and for
# how long.
DRAIN_BYTES = 8 * 1024 * 1024
DRAIN_SECONDS = 2.0
# How long a thread waits for the next request of a connection before it gives it back, in seconds.
SOON = 0.02
# How long requests that are under way may take when the bridge is stopped, in seconds.
GRACE = 30

# Linux has it.
_CORK: int | None = getattr(socket, "TCP_CORK", None)

log = logging.getLogger(__name__)


class Web(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, with the bridge as its application and a socket that listens already."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        super().__init__()

    def load_config(self) -> None:
        server = self._settings.server
        for name, value in {
            "bind": f"fd://{self._listener.fileno()}",
            "workers": server.processes,
            "threads": server.threads,
            "worker_class": ScimWorker,
            "logger_class": BridgeLog,
            "graceful_timeout": GRACE,
            "limit_request_line": LONGEST_LINE,
            # Proxies are believed as [server] trusted_proxies says, by the application alone.
            "forwarded_allow_ips": "",
            # Its socket would be made in the home folder, for a tool that nobody here uses.
            "control_socket_disable": True,
            "post_fork": lambda arbiter, _worker: end_with(arbiter.pid),
            "worker_exit": lambda _arbiter, worker: _closed(worker),
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in each worker after it was forked."""
        app = create_app(self._settings)
        app.wsgi_app = _corked(app.wsgi_app)  # type: ignore[method-assign]
        # What is there now stays: collecting garbage must not look at all of it again and again.
        gc.collect()
        gc.freeze()
        return app


def _closed(worker: ThreadWorker) -> None:
    """Let go of the database: SQLite folds its log into the file when the last one does."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["bridge"].close()


class BridgeLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn says, where and how the bridge says things; only what is wrong."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)

    def access(self, *_: Any) -> None:
        """The bridge counts requests and audits changes; there is no access log."""


class ScimWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Answers requests in threads. What is no HTTP request is answered with a SCIM error."""

    def handle(self, conn: Any) -> Any:
        """Answer a request, and those that follow it at once on its connection.

        To hand a connection to the thread that watches all of them and back takes as long as a
        read. That is needed only where connections wait for a thread.
        """
        if not conn.initialized:
            # gunicorn asks this of its listener, which is too late for who came before: their
            # answers, head and body, would be 40 ms apart.
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answered = self._answer(conn)
        while answered is True and self._has_threads_for_all and _is_asked_again(conn):
            answered = self._answer(conn)
        return answered

    def _answer(self, conn: Any) -> Any:
        answered = super().handle(conn)
        if answered is True:
            # What `_corked` holds back. A connection that ends here sends it anyway.
            _cork(conn.sock, on=False)
        return answered

    @property
    def _has_threads_for_all(self) -> bool:
        return bool(self.alive and self.nr_conns <= self.cfg.threads)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Stop taking connections. At the end, take those that have been made, and close the
        address: clients that wait for an answer get one, and nobody waits for none.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            while self._took(listener):
                continue
            listener.close()

    def _took(self, listener: Any) -> bool:
        """Take a connection that has been made. False: there was none."""
        before = self.nr_conns
        self.accept(listener)
        return bool(self.nr_conns > before)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that did not reach the application (RFC 7644, section 3.12)."""
        status, detail = refusal(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request could not be answered", exc_info=exc)
        with suppress(OSError):
            client.settimeout(DRAIN_SECONDS)
            client.sendall(_answer(status, detail))
            _drain(client)


def _corked(application: Any) -> Any:
    """The application, whose answers come as one: gunicorn sends the head before the body."""

    def answer(environ: Any, start_response: Any) -> Any:
        _cork(environ["gunicorn.socket"], on=True)
        return application(environ, start_response)

    return answer


def _cork(connection: socket.socket, *, on: bool) -> None:
    """Hold back what fills no packet, or send it."""
    if _CORK is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _CORK, on)


def _is_asked_again(conn: Any) -> bool:
    """Whether the next request of a connection comes soon."""
    if conn.parser.unreader.buf.getvalue():
        return True
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(SOON * 1000))


def refusal(error: Exception) -> tuple[HTTPStatus, str]:
    """What a client is told about a request that gunicorn could not read."""
    match error:
        case LimitRequestLine():
            return HTTPStatus.REQUEST_URI_TOO_LONG, (
                f"The address is longer than {LONGEST_LINE} bytes. Send a long filter in the body "
                "of POST /.search (RFC 7644, section 3.4.3)."
            )
        case LimitRequestHeaders():
            return (
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The headers are larger than this server takes.",
            )
        case ParseException():
            return HTTPStatus.BAD_REQUEST, "What was sent is not a request of HTTP/1.1."
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, "The request could not be answered."


def _answer(status: HTTPStatus, detail: str) -> bytes:
    body = Error(status=status.value, detail=detail).model_dump_json().encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/scim+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _drain(client: socket.socket) -> None:
    """Take in what is still being sent: a connection that is reset takes the answer with it."""
    client.shutdown(socket.SHUT_WR)
    end, taken = time.monotonic() + DRAIN_SECONDS, 0
    while taken < DRAIN_BYTES and time.monotonic() < end:
        part = client.recv(65536)
        if not part:
            return
        taken += len(part)
