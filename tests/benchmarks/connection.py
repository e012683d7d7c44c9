"""How long does a server take to answer? One keep-alive connection, with little of its own cost."""

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# How long an answer may take, in seconds.
PATIENCE = 600.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it is sent to any of the servers."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: bytes
    # From the first byte sent to the last byte read.
    milliseconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """A connection to a server on this machine, opened again if the server closed it."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._port = port
        lines = {"Host": f"127.0.0.1:{port}", **headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket: socket.socket | None = None

    def send(self, request: Request) -> Answer:
        """Send a request and time its answer; making the request and connecting is not timed."""
        message = self._message(request)
        try:
            return self._timed(message)
        except ConnectionError:
            # It was closed while nothing was sent: no request is lost in that.
            self.close()
            return self._timed(message)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _message(self, request: Request) -> bytes:
        body = b"" if request.body is None else json.dumps(request.body).encode()
        head = f"{request.method} {request.path} HTTP/1.1\r\n{self._headers}"
        if body:
            head += f"Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    def _timed(self, message: bytes) -> Answer:
        connected = self._connected()
        start = time.perf_counter()
        connected.sendall(message)
        status, body, stays = _read(connected)
        took = time.perf_counter() - start
        if not stays:
            self.close()
        return Answer(status=status, body=body, milliseconds=took * 1000)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket


def _read(connected: socket.socket) -> tuple[int, bytes, bool]:
    """The status and body of an answer, and whether the connection stays open."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += _part(connected)
    head, _, body = found.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    parts, missing = [body], int(headers.get("content-length", "0")) - len(body)
    while missing > 0:
        parts.append(_part(connected))
        missing -= len(parts[-1])
    stays = headers.get("connection", "").lower() != "close"
    return int(first.split()[1]), b"".join(parts), stays


def _part(connected: socket.socket) -> bytes:
    part = connected.recv(1 << 20)
    if not part:
        raise ConnectionResetError("the server closed the connection")
    return part
