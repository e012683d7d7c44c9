"""How one call reaches Identity Center and its answer comes back: single wire cases."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import structlog

from scim_bridge import __version__
from scim_bridge.errors import (
    CircuitOpen,
    DoorClosed,
    Missing,
    Refused,
    SettingsError,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.circuit import FAILURES, Circuit
from scim_bridge.identity_center.exchange import Call
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.transport import Transport
from scim_bridge.settings import IdentityCenter

BASE = "https://scim.us-east-1.amazonaws.com/tenant/scim/v2"
USERS = f"{BASE}/Users"
LIST = Call(operation="ListUsers", method="GET", path="Users")
CREATE = Call(operation="CreateUser", method="POST", path="Users", body={"userName": "zoë"})
PATCH = Call(operation="PatchUser", method="PATCH", path="Users/1", body={}, names_principal=True)
Settings = Callable[..., IdentityCenter]


class Pace(Pacer):
    """A pacer without pauses, which knows how its turns were asked for."""

    def __init__(self) -> None:
        super().__init__(1e6)
        self.asked: list[dict[str, Any]] = []

    def turn(self, **how: Any) -> Any:
        self.asked.append(how)
        return super().turn(**how)


@pytest.fixture(name="wire")
def _wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        yield wire


@pytest.fixture(name="pace")
def _pace() -> Pace:
    return Pace()


@pytest.fixture(name="circuit")
def _circuit() -> Circuit:
    return Circuit()


@pytest.fixture(name="transport")
def _transport(settings: Settings, pace: Pace, circuit: Circuit) -> Transport:
    """A transport to the address AWS gives, where only `wire` answers."""
    return Transport(settings(scim_endpoint=f"{BASE}/"), pacer=pace, circuit=circuit)


def bearer(settings: Settings, **overrides: Any) -> Transport:
    values = {"scim_endpoint": BASE, "auth": "bearer", **overrides}
    return Transport(settings(**values), pacer=Pace(), circuit=Circuit())


def test_a_call_goes_out_signed_and_named(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """One slash between base and path, a distinctive User-Agent, SCIM content, a signature."""
    wire.post(USERS, json={"id": "1"}, status=201, headers={"x-amzn-RequestId": "r-1"})
    answer = transport.ask(CREATE)
    assert (answer.status, answer.body, answer.request_id) == (201, {"id": "1"}, "r-1")
    request = wire.calls[0].request
    assert request.headers["User-Agent"] == f"scim-bridge/{__version__} (+python-requests)"
    assert request.headers["Content-Type"] == "application/scim+json"
    assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=sandbox/")
    assert json.loads(request.body) == {"userName": "zoë"}


def test_a_bearer_token_is_not_overridden_by_a_netrc_file(
    settings: Settings,
    wire: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """requests takes credentials from ~/.netrc where a call has no auth of its own."""
    (tmp_path / "netrc").write_text(
        "machine scim.us-east-1.amazonaws.com login somebody password else\n"
    )
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wire.get(USERS, json={})
    bearer(settings).ask(LIST)
    assert wire.calls[0].request.headers["Authorization"] == "Bearer sandbox-token"


def test_a_query_is_sent_as_it_was_built(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """%20 and never +, and the bare key `cursor` without an equals sign."""
    wire.get(USERS, json={})
    transport.ask(
        Call(
            operation="ListUsers",
            method="GET",
            path="Users",
            query="cursor&filter=a%20eq%20%22b%22",
        )
    )
    assert wire.calls[0].request.url == f"{USERS}?cursor&filter=a%20eq%20%22b%22"


def test_urgency_and_deadline_reach_the_pacer(
    transport: Transport, wire: responses.RequestsMock, pace: Pace
) -> None:
    """Removals go first, and a request thread does not wait beyond its time."""
    wire.get(USERS, json={})
    deadline = time.monotonic() + 9
    transport.ask(LIST, urgent=True, deadline=deadline)
    assert pace.asked == [{"urgent": True, "deadline": deadline}]


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_open_the_circuit(
    settings: Settings, wire: responses.RequestsMock, auth: str, status: int
) -> None:
    """The message tells an operator what to do; the next call is not sent."""
    wire.get(USERS, status=status, body="<html>no</html>", content_type="text/html")
    transport = bearer(settings, auth=auth)
    with pytest.raises(DoorClosed) as caught:
        transport.ask(LIST)
    words = 'auth = "bearer"' if auth == "sigv4" else "SANDBOX_TOKEN"
    assert words in caught.value.detail
    assert "text/html" in caught.value.detail
    with pytest.raises(CircuitOpen) as refused:
        transport.ask(LIST)
    assert caught.value.detail in refused.value.detail
    assert len(wire.calls) == 1
    assert transport.circuit.cause == caught.value.detail


def test_missing_credentials_open_the_circuit(
    transport: Transport, wire: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent without a signature."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(DoorClosed, match="AWS_ACCESS_KEY_ID"):
        transport.ask(LIST)
    assert transport.circuit.state == "open"
    assert len(wire.calls) == 0


def test_replaced_credentials_are_tried_at_once(
    settings: Settings, wire: responses.RequestsMock, tmp_path: Path
) -> None:
    """A key that was rotated in its file costs no minute of waiting."""
    keys = tmp_path / "keys"

    def write(key: str) -> None:
        keys.write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key=s\n")

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        new = "Credential=NEW/" in request.headers["Authorization"]
        return (200 if new else 403, {}, "{}")

    wire.add_callback("GET", USERS, callback=answer)
    transport = bearer(settings, auth="sigv4", credentials_file=keys)
    write("NEW")
    transport.ask(LIST)
    wire.calls.reset()
    write("OLD")
    transport = bearer(settings, auth="sigv4", credentials_file=keys)
    with pytest.raises(DoorClosed):
        transport.ask(LIST)
    transport = bearer(settings, auth="sigv4", credentials_file=keys)
    transport._door.authority.auth()
    write("NEW")
    transport.ask(LIST)
    assert transport.circuit.state == "closed"
    assert [call.response.status_code for call in wire.calls] == [403, 403, 200]


@pytest.mark.parametrize("retry_after", [None, 3.0])
def test_a_throttle_answer_is_soft_and_slows_the_pace(
    transport: Transport,
    wire: responses.RequestsMock,
    pace: Pace,
    retry_after: float | None,
) -> None:
    """429 with and without Retry-After."""
    headers = {} if retry_after is None else {"Retry-After": "3"}
    wire.get(USERS, status=429, headers=headers)
    with pytest.raises(Throttled) as caught:
        transport.ask(LIST)
    assert caught.value.retry_after == retry_after
    assert pace.rate == 500_000.0
    assert transport.circuit.state == "closed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError("x"), "no connection"),
        (requests.ConnectTimeout("x"), "no connection in time"),
        (requests.ReadTimeout("x"), "no answer in time"),
        (requests.exceptions.SSLError("x"), "REQUESTS_CA_BUNDLE"),
        (requests.exceptions.ProxyError("x"), "proxy"),
        (requests.exceptions.ChunkedEncodingError("x"), "no connection"),
    ],
)
def test_a_lost_answer_is_unavailable(
    transport: Transport, wire: responses.RequestsMock, error: Exception, words: str
) -> None:
    """The call may have been done: it is not sent again here, and the message has no query."""
    wire.get(USERS, body=error)
    call = Call(operation="ListUsers", method="GET", path="Users", query="filter=ada")
    with pytest.raises(Unavailable, match=words) as caught:
        transport.ask(call)
    assert "ada" not in caught.value.detail
    assert len(wire.calls) == 1


def test_five_lost_answers_open_the_circuit(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """An outage must not stall every request for its whole timeout."""
    wire.get(USERS, status=503)
    for _ in range(FAILURES):
        with pytest.raises(Unavailable):
            transport.ask(LIST)
    with pytest.raises(CircuitOpen):
        transport.ask(LIST)


def test_an_open_circuit_does_not_wait_for_a_turn(
    transport: Transport, wire: responses.RequestsMock, pace: Pace
) -> None:
    """Who is refused anyway takes no place in the queue."""
    wire.get(USERS, status=401)
    with pytest.raises(DoorClosed):
        transport.ask(LIST)
    with pytest.raises(CircuitOpen):
        transport.ask(LIST)
    assert len(pace.asked) == 1


def test_refusals_and_404s_leave_the_circuit_closed(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """They are answers."""
    wire.post(USERS, status=400, json={"detail": "violates schema"})
    wire.patch(f"{USERS}/1", status=404)
    for _ in range(FAILURES):
        with pytest.raises(Refused, match="violates schema"):
            transport.ask(CREATE)
        with pytest.raises(Missing):
            transport.ask(PATCH)
    assert transport.circuit.state == "closed"


def test_redirects_are_not_followed(transport: Transport, wire: responses.RequestsMock) -> None:
    """Credentials go to the endpoint of the settings and nowhere else."""
    wire.get(USERS, status=302, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(DoorClosed, match="scim_endpoint"):
        transport.ask(LIST)
    assert len(wire.calls) == 1


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://x/scim", "http://"])
def test_an_address_that_is_none_is_a_closed_door(settings: Settings, endpoint: str) -> None:
    """It is the operator's to mend, not a failure of somebody's change."""
    transport = bearer(settings, scim_endpoint=endpoint)
    with pytest.raises(DoorClosed, match="scim_endpoint"):
        transport.ask(LIST)


def test_settings_without_an_address_are_refused_at_once(settings: Settings) -> None:
    """Every missing key is named."""
    with pytest.raises(SettingsError) as caught:
        Transport(settings(scim_endpoint=None, region=None), pacer=Pace(), circuit=Circuit())
    assert [problem.where for problem in caught.value.problems] == [
        "identity_center.scim_endpoint",
        "identity_center.region",
    ]


def test_tls_is_verified(transport: Transport) -> None:
    """There is no way to turn it off."""
    assert transport._session().verify is True


def test_every_thread_has_its_own_session(transport: Transport) -> None:
    """requests does not promise that a session can be shared."""
    sessions = [transport._session()]
    thread = threading.Thread(target=lambda: sessions.append(transport._session()))
    thread.start()
    thread.join(5)
    assert transport._session() is sessions[0]
    assert sessions[0] is not sessions[1]


def test_each_call_is_logged_without_personal_data(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """A constant message with operation, status, seconds and AWS's request id."""
    wire.get(USERS, json={}, headers={"x-amzn-RequestId": "r-1"})
    with structlog.testing.capture_logs() as logs:
        transport.ask(Call(operation="ListUsers", method="GET", path="Users", query="filter=ada"))
    (entry,) = logs
    assert entry.pop("seconds") >= 0
    assert entry == {
        "event": "called Identity Center",
        "log_level": "info",
        "door": "scim",
        "operation": "ListUsers",
        "status": 200,
        "request_id": "r-1",
    }


def test_a_call_without_an_answer_is_logged_too(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """With the reason in words, and without the query."""
    wire.get(USERS, body=requests.ReadTimeout("x"))
    call = Call(operation="ListUsers", method="GET", path="Users", query="filter=ada")
    with structlog.testing.capture_logs() as logs, pytest.raises(Unavailable):
        transport.ask(call)
    assert logs == [
        {
            "event": "no answer of Identity Center",
            "log_level": "warning",
            "door": "scim",
            "operation": "ListUsers",
            "reason": "ListUsers: no answer in time",
        }
    ]


def test_no_secret_is_in_any_message(settings: Settings, wire: responses.RequestsMock) -> None:
    """Neither the secret key nor the token, whatever goes wrong."""
    wire.get(USERS, status=403, body="no")
    for auth in ("sigv4", "bearer"):
        transport = bearer(settings, auth=auth)
        with structlog.testing.capture_logs() as logs, pytest.raises(DoorClosed) as caught:
            transport.ask(LIST)
        for text in (str(caught.value), str(logs), str(transport.circuit.standing)):
            assert "sandbox-secret" not in text
            assert "sandbox-token" not in text


# --- The time of a call, over real connections ---------------------------------------------------


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/t/scim/v2"


def test_a_call_ends_after_its_timeout(settings: Settings) -> None:
    """`[identity_center] timeout` is for the whole call."""
    with silent_server() as endpoint:
        transport = bearer(settings, scim_endpoint=endpoint, timeout=0.2)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="no answer in time"):
            transport.ask(LIST)
        assert time.monotonic() - begun < 1


def test_a_call_ends_at_the_deadline_of_its_caller(settings: Settings) -> None:
    """A client is answered after `[delivery] wait`, and that is no failure of Identity Center."""
    with silent_server() as endpoint:
        transport = bearer(settings, scim_endpoint=endpoint, timeout=20)
        begun = time.monotonic()
        for _ in range(FAILURES):
            with pytest.raises(Unavailable, match="no answer in time"):
                transport.ask(LIST, deadline=time.monotonic() + 0.05)
        assert time.monotonic() - begun < 2
        assert transport.circuit.state == "closed"


def test_a_long_silence_counts_even_if_the_caller_ends_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage must not stall every request for the whole `[delivery] wait`."""
    monkeypatch.setattr("scim_bridge.identity_center.transport.PATIENT", 0.05)
    with silent_server() as endpoint:
        transport = bearer(settings, scim_endpoint=endpoint, timeout=20)
        for _ in range(FAILURES):
            with pytest.raises(Unavailable):
                transport.ask(LIST, deadline=time.monotonic() + 0.1)
        assert transport.circuit.state == "open"


def test_an_outage_within_the_deadline_still_counts(settings: Settings) -> None:
    """A refused connection says something about the door, whoever asked."""
    transport = bearer(settings, scim_endpoint="http://127.0.0.1:1/t/scim/v2", timeout=20)
    for _ in range(FAILURES):
        with pytest.raises(Unavailable, match="Connection refused"):
            transport.ask(LIST, deadline=time.monotonic() + 5)
    assert transport.circuit.state == "open"


def test_nothing_is_sent_after_the_deadline(
    transport: Transport, wire: responses.RequestsMock
) -> None:
    """Not even a call whose turn has come: the lease it was made under may be gone."""
    wire.get(USERS, json={})
    with pytest.raises(Throttled):
        transport.ask(LIST, deadline=time.monotonic() - 0.001)
    assert len(wire.calls) == 0


def test_a_sandbox_on_this_machine_is_not_reached_through_a_proxy(
    settings: Settings, sandbox: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo works behind a company's proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    transport = Transport(settings(), pacer=Pace(), circuit=Circuit())
    assert transport.ask(LIST).status == 200
