"""The sandbox as a server: connections stay open, many are served, and it ends when it is told."""

import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

from scim_bridge.sandbox import BEARER_TOKEN, TENANT, Behaviour, SandboxServer

HEADERS = {"Authorization": f"Bearer {BEARER_TOKEN}"}


def raw(server: SandboxServer, text: bytes) -> bytes:
    """What comes back on a connection of its own."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        connection.sendall(text)
        parts = list(iter(lambda: connection.recv(65536), b""))
    return b"".join(parts)


def test_its_addresses_are_known_once_it_runs(server):
    """url, scim_endpoint and port; it is bound to loopback by default."""
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.scim_endpoint == f"{server.url}/{TENANT}/scim/v2"
    assert server.host == "127.0.0.1"


def test_two_servers_share_nothing():
    """Each has its own port and its own state."""
    with SandboxServer() as one, SandboxServer(behaviour=Behaviour(bearer_token="two")) as two:
        assert one.port != two.port
        response = requests.get(f"{two.scim_endpoint}/Users", headers=HEADERS, timeout=10)
        assert response.status_code == 401
        response = requests.get(f"{one.scim_endpoint}/Users", headers=HEADERS, timeout=10)
        assert response.status_code == 200


def test_a_connection_is_used_again_and_again(server, sandbox):
    """HTTP/1.1 keep-alive: requests on one connection are answered one after the other."""
    line = f"/{TENANT}/scim/v2/Users HTTP/1.1\r\nHost: x\r\n".encode()
    token = f"Authorization: Bearer {BEARER_TOKEN}\r\n".encode()
    body = b"{}"
    post = b"POST " + line + token + b"Content-Length: 2\r\n\r\n" + body
    get = b"GET " + line + token + b"Connection: close\r\n\r\n"
    answer = raw(server, post + post + get)
    assert answer.count(b"HTTP/1.1 400") == 2
    assert answer.count(b"HTTP/1.1 200") == 1
    assert sandbox.calls() == {"CreateUser": {"400": 2}, "ListUsers": {"200": 1}}


def test_a_body_in_chunks_is_read_whole(sandbox, person):
    """RFC 9112 section 7.1: a recipient MUST be able to parse the chunked transfer coding."""

    def chunks():
        yield b'{"userName": "ada", "displayName": "Ada",'
        yield b'"name": {"givenName": "Ada", "familyName": "L"}}'

    url = f"{sandbox.server.scim_endpoint}/Users"
    assert sandbox.session.post(url, data=chunks(), timeout=10).status_code == 201
    assert sandbox.get("/Users").json()["totalResults"] == 1


@pytest.mark.parametrize("length", ["99999999999", "-1", "many"])
def test_a_body_that_cannot_be_read_ends_the_connection(server, length):
    """A length beyond all measure, or none at all, is a 413; nothing is waited for."""
    answer = raw(server, f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/json" in answer


def test_head_and_options_are_answered_without_a_fuss(server):
    """Methods that SCIM does not use break nothing."""
    assert requests.head(server.url, timeout=10).status_code == 200
    assert requests.options(server.url, timeout=10).status_code == 200


def test_calls_from_many_threads_lose_nothing(sandbox, person):
    """Every call is done once and whole: of ten creates of one name exactly one succeeds."""
    url = f"{sandbox.server.scim_endpoint}/Users"

    def create(number: int) -> int:
        body = person(f"user{number % 10}")
        return requests.post(url, json=body, headers=HEADERS, timeout=30).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(create, range(100)))
    assert sorted(set(statuses)) == [201, 409]
    assert statuses.count(201) == len(sandbox.state()["users"]) == 10
    assert sandbox.calls() == {"CreateUser": {"201": 10, "409": 90}}


def test_a_caller_that_goes_away_disturbs_nobody(server, sandbox, capfd):
    """A connection that is cut in the middle leaves no trace in the log."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    assert sandbox.get("/Users").status_code == 200
    assert capfd.readouterr().err == ""


def test_a_stopped_server_is_gone_and_open_connections_are_closed():
    """stop returns when nobody is answered any more, also while a call is waiting."""
    server = SandboxServer()
    server.start()
    with requests.Session() as session:
        fault = {"operation": "*", "delay": 30}
        session.post(f"{server.url}/_sandbox/faults", json=fault, timeout=10)
        ended = threading.Event()

        def wait_for_an_answer() -> None:
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{server.scim_endpoint}/Users", headers=HEADERS, timeout=20)
            ended.set()

        thread = threading.Thread(target=wait_for_an_answer)
        thread.start()
        while session.get(f"{server.url}/_sandbox/faults", timeout=10).json()["faults"]:
            pass
        server.stop()
        thread.join(10)
        assert ended.is_set()
        with pytest.raises(requests.ConnectionError):
            session.get(server.url, timeout=10)
    server.stop()


def test_a_restarted_server_has_its_port_and_people():
    """An outage of Identity Center loses nobody."""
    server = SandboxServer()
    with server:
        port = server.port
        body = {"userName": "a", "name": {"givenName": "A", "familyName": "B"}, "displayName": "A"}
        url = f"{server.scim_endpoint}/Users"
        assert requests.post(url, json=body, headers=HEADERS, timeout=10).status_code == 201
    with server:
        assert server.port == port
        assert requests.get(url, headers=HEADERS, timeout=10).json()["totalResults"] == 1


def test_a_taken_port_is_an_error(server):
    """Two programs cannot listen at one address."""
    with pytest.raises(OSError, match="in use"):
        SandboxServer(port=server.port).start()


def test_each_call_is_announced():
    """A person who watches sees one line for each call."""
    lines: list[str] = []
    with SandboxServer(announce=lines.append) as server:
        requests.get(f"{server.scim_endpoint}/Users", headers=HEADERS, timeout=10)
        requests.get(f"{server.scim_endpoint}/Users", timeout=10)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "ListUsers 200 GET /Users",
        "ListUsers 401 GET /Users - there is no Authorization header",
    ]


SERVE = """
from scim_bridge.sandbox import Behaviour, serve
from functools import partial
say = partial(print, flush=True)
serve(host="127.0.0.1", port=0, behaviour=Behaviour(), announce=say)
say("the end")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_told_to_end(number):
    """SIGINT and SIGTERM end it cleanly, with exit code 0 and nothing on standard error."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[4]
        assert urlsplit(address).hostname == "127.0.0.1"
        assert requests.get(address, timeout=10).status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.splitlines()[-2:] == ["The sandbox has stopped.", "the end"]
    assert err == ""
