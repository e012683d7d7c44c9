"""How does one call reach Identity Center, and its answer come back?"""

import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, TypedDict
from urllib.parse import urlsplit

import requests
import structlog
from requests.adapters import HTTPAdapter

from scim_bridge import __version__
from scim_bridge.errors import DoorClosed, TargetError, Unavailable
from scim_bridge.identity_center.circuit import Circuit, CutShort
from scim_bridge.identity_center.clock import ahead
from scim_bridge.identity_center.credentials import Auth
from scim_bridge.identity_center.deadline import bounded, within
from scim_bridge.identity_center.doors import Door, ScimDoor
from scim_bridge.identity_center.exchange import Answer, Call
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.settings import IdentityCenter

log = structlog.get_logger(__name__)

# Distinctive, so that AWS's CloudTrail tells the bridge's calls from others. AWS is reported to
# block a PATCH without one.
USER_AGENT = f"scim-bridge/{__version__} (+python-requests)"
# A call that gets no answer in so many seconds is a sign of an outage, even if its caller would
# have had no more time for it. A healthy call takes a fraction of a second.
PATIENT = 2.0


class Haste(TypedDict, total=False):
    """How a call is to be paced."""

    # It takes access away: it overtakes the calls that wait.
    urgent: bool
    # A time of the monotonic clock, after which nothing is sent and nothing waited for.
    deadline: float | None


class Transport:
    """Sends calls to one door of Identity Center: paced, signed, in time, with translated errors.

    TLS certificates are always verified (``REQUESTS_CA_BUNDLE`` adds a private authority), and
    redirects never followed. Nothing is sent twice, except what was refused with credentials that
    have been replaced since. One object serves all threads.

    :raises SettingsError: the settings do not say where the endpoint is.
    """

    def __init__(
        self,
        settings: IdentityCenter,
        *,
        pacer: Pacer,
        circuit: Circuit,
        door: Door | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door: Door = door or ScimDoor(settings)
        self._timeout = settings.timeout
        self._pacer = pacer
        self._circuit = circuit
        self._clock = clock
        self._called = f"called {circuit.whose}"
        self._unanswered = f"no answer of {circuit.whose}"
        self._thread = threading.local()
        # Seconds that this machine's clock was ahead of the last answer's, also of a refusal.
        self.ahead: float | None = None

    @property
    def circuit(self) -> Circuit:
        return self._circuit

    def ask(self, call: Call, *, urgent: bool = False, deadline: float | None = None) -> Answer:
        """Make one call, and return what Identity Center answered to it.

        ``deadline`` is a time of ``clock``. Each call also ends after ``settings.timeout`` seconds.

        :raises Refused: 400 and other refusals of the request itself.
        :raises Conflict: a unique value is taken.
        :raises Missing: a principal the call names is not there.
        :raises DoorClosed: credentials, rights or address; the message says what to do.
        :raises AccessDenied: IAM refuses this operation (the APIs only).
        :raises QuotaExceeded: a quota is used up (the APIs only).
        :raises Throttled: throttled, or no turn before ``deadline``: the call was not done.
        :raises Unavailable: 5xx, no connection or no answer: the call may have been done.
        :raises CircuitOpen: not sent, since the door is known to be closed.
        """
        self._circuit.check()
        with self._pacer.turn(urgent=urgent, deadline=deadline), self._circuit.calling():
            return self._done(call, deadline=deadline)

    def _done(self, call: Call, *, deadline: float | None) -> Answer:
        begun = self._clock()
        ends = begun + self._timeout
        if deadline is not None and deadline < ends:
            ends = deadline
        try:
            return self._answered(call, ends=ends)
        except Unavailable as error:
            if self._clock() < ends or ends - begun >= min(PATIENT, self._timeout):
                raise
            raise CutShort(error.detail, status=error.status) from error

    def _answered(self, call: Call, *, ends: float) -> Answer:
        auth = self._door.authority.auth()
        answer, error = self._sent(call, auth, ends=ends)
        refused = answer.status in (400, 401, 403) and isinstance(error, DoorClosed)
        if refused and self._door.authority.renew(auth):
            answer, error = self._sent(call, self._door.authority.auth(), ends=ends)
        if error is not None:
            raise error
        return answer

    def _sent(self, call: Call, auth: Auth, *, ends: float) -> tuple[Answer, TargetError | None]:
        """Send a call once; the answer, and the error it stands for."""
        begun = self._clock()
        answer = self._exchanged(call, auth, ends=ends)
        error = self._door.failure(call, answer)
        log.info(
            self._called,
            door=self._door.name,
            operation=call.operation,
            status=answer.status,
            seconds=round(self._clock() - begun, 3),
            request_id=answer.request_id,
        )
        return answer, error

    def _exchanged(self, call: Call, auth: Auth, *, ends: float) -> Answer:
        left = ends - self._clock()
        if left <= 0:
            raise Unavailable(f"{call.operation}: not sent, since its time was over")
        with within(left) as deadline:
            try:
                response = self._request(call, auth, seconds=left)
            except requests.RequestException as error:
                lost = _lost(call, error, setting=self._door.setting, late=deadline.passed)
                log.warning(
                    self._unanswered,
                    door=self._door.name,
                    operation=call.operation,
                    reason=lost.detail,
                )
                raise lost from error
        self.ahead = ahead(response.headers.get("Date"), now=time.time())
        if deadline.passed:
            raise Unavailable(f"{call.operation}: the answer did not come in time")
        return self._door.answer(
            status=response.status_code, headers=response.headers, content=response.content
        )

    def _request(self, call: Call, auth: Auth, *, seconds: float) -> requests.Response:
        letter = self._door.letter(call)
        return self._session().request(
            call.method,
            letter.url,
            data=letter.content,
            headers=dict(letter.headers),
            auth=auth,
            timeout=seconds,
            allow_redirects=False,
        )

    def _session(self) -> requests.Session:
        """This thread's session: requests promises nothing for one that is shared."""
        if not hasattr(self._thread, "session"):
            self._thread.session = _session(self._door)
        session: requests.Session = self._thread.session
        return session


class _BoundedAdapter(HTTPAdapter):
    """An adapter whose connections end with the deadline of their call."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        bounded(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return bounded(super().proxy_manager_for(*args, **kwargs))


def _session(door: Door) -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    session.headers["Accept"] = door.accept
    session.mount("https://", _BoundedAdapter())
    session.mount("http://", _BoundedAdapter())
    # A sandbox on this machine is never reached through a proxy.
    session.trust_env = not _on_this_machine(door.base)
    return session


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lost(call: Call, error: requests.RequestException, *, setting: str, late: bool) -> TargetError:
    """Translate an exception of requests, whose own text would repeat the address and filter."""
    match error:
        # requests finds these before anything is sent. They are ValueErrors, all of them.
        case ValueError():
            return DoorClosed(
                f"{call.operation}: {setting} cannot be used ({type(error).__name__})"
            )
        case _ if late:
            reason = "no answer in time"
        case requests.ConnectTimeout():
            reason = "no connection in time"
        case requests.Timeout():
            reason = "no answer in time"
        case requests.exceptions.SSLError():
            reason = "no trusted TLS connection: check REQUESTS_CA_BUNDLE and any proxy between"
        case requests.exceptions.ProxyError():
            reason = "the proxy does not let the call through"
        case _:
            reason = f"no connection, or it broke before the answer came ({_deepest(error)})"
    return Unavailable(f"{call.operation}: {reason}")


def _deepest(error: BaseException) -> str:
    """The first cause of an error: "Connection refused" rather than five layers above it."""
    seen: BaseException = error
    while (cause := seen.__cause__ or seen.__context__) is not None:
        seen = cause
    return (seen.strerror if isinstance(seen, OSError) else None) or type(seen).__name__
