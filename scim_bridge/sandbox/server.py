"""How is the sandbox run on this machine?

A threaded HTTP/1.1 server of the standard library that keeps connections open, and that can close
one without an answer. It is made for loopback, for trying and testing, and for nothing else.
"""

import logging
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedReader, BytesIO
from types import TracebackType
from typing import IO, Any, Self, cast
from urllib.parse import unquote_to_bytes

from werkzeug.serving import DechunkedInput

from scim_bridge.sandbox.app import ANSWER_DROPPED, create_app
from scim_bridge.sandbox.behaviour import TENANT, Behaviour

LOOPBACK = "127.0.0.1"
# Far above what the endpoint takes; a larger body is not read, and the connection closed.
MOST_BYTES = 16 * 1024 * 1024

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, never bound to by default
_log = logging.getLogger(__name__)


class SandboxServer:
    """A sandbox that answers from its own threads, from `start` (or `with`) until `stop`.

    Port 0 takes a free one. `start` raises OSError when the address cannot be bound. `announce`
    gets one line for each call, from the thread that answers it.
    """

    def __init__(
        self,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        behaviour: Behaviour | None = None,
        announce: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.host, self.port = host, port
        self._app = create_app(behaviour or Behaviour(), announce=announce)
        self._listener: _Listener | None = None

    @property
    def url(self) -> str:
        """The base address, which is also the `endpoint_url` of a bridge in front of it."""
        host = LOOPBACK if self.host in _EVERYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def scim_endpoint(self) -> str:
        return f"{self.url}/{TENANT}/scim/v2"

    def start(self) -> None:
        self._listener = _Listener(self.host, self.port, self._app)
        self.port = self._listener.server_address[1]
        threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="sandbox",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """Answer nobody any more; open connections are closed. The state is kept for a restart."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.close_connections()
            self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def serve(*, host: str, port: int, behaviour: Behaviour, announce: Callable[[str], None]) -> None:
    """Run a sandbox until SIGINT or SIGTERM, from the main thread; returns when it has stopped.

    `announce` gets the lines for the person who watches: the addresses, then one for each call.
    Raises OSError when the address cannot be bound.
    """
    server = SandboxServer(host=host, port=port, behaviour=behaviour, announce=announce)
    with _interrupted_by_sigterm(), suppress(KeyboardInterrupt), server:
        announce(f"The sandbox answers at {server.url} (open it to see what there is)")
        announce(f"SCIM endpoint: {server.scim_endpoint}")
        threading.Event().wait()
    announce("The sandbox has stopped.")


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Listener(socketserver.ThreadingTCPServer):
    """Listens, gives every connection a thread, and knows which connections are open."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, app: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.app = app
        self._open: set[Any] = set()
        super().__init__((host, port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for request in tuple(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away is no error of the sandbox's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            _log.exception("a request could not be answered")


class _Connection(BaseHTTPRequestHandler):
    """One connection: reads a request, asks the application, writes the answer, and again."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    # An answer leaves in one piece: written in two, the second would wait for the other side.
    wbufsize = -1
    disable_nagle_algorithm = True
    error_content_type = "application/json"
    error_message_format = '{"message": "%(code)d %(message)s"}\n'

    def _answer(self) -> None:
        body = self._body()
        if body is None:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        environ = self._environ(body)
        status, headers, content = _asked(self.server.app, environ)
        if environ.get(ANSWER_DROPPED):
            self.close_connection = True
            return
        self._write(status, headers, content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def _body(self) -> bytes | None:
        """The body, or None when it is too large to be read."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            chunks = BufferedReader(DechunkedInput(cast(IO[bytes], self.rfile)))  # type: ignore[type-var]
            body = chunks.read(MOST_BYTES + 1)
            return body if len(body) <= MOST_BYTES else None
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return None
        return self.rfile.read(int(length))

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        host, port = self.server.server_address[:2]
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": self.path,
            "SERVER_NAME": str(host),
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name in set(map(str.lower, self.headers.keys())):
            key = name.upper().replace("-", "_")
            environ[f"HTTP_{key}"] = ",".join(self.headers.get_all(name, []))
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        # The body is at hand, however it was sent.
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("HTTP_CONTENT_LENGTH", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ

    def _write(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The application announces calls, with more than is known here."""


def _asked(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """The status line, headers and content that a WSGI application answers."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        started[:] = [status, headers]

    parts = app(environ, start_response)
    with closing(parts):
        content = b"".join(parts)
    return started[0], started[1], content
