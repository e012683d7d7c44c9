"""The SCIM server under test: sends requests, remembers what they made, and takes it away again."""

import json
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

import requests

from conformance.result import Exchange

SCIM = "application/scim+json"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The JSON of the body, or None if there is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Target:
    """A SCIM server, by its base address (what comes before ``/Users``) and a bearer token.

    Every request is recorded until `exchanges` takes it, without the token; one that got no answer
    has the status 0. What a POST or Bulk made is remembered, so that `clean` can remove it.
    """

    def __init__(self, url: str, token: str | None, *, timeout: float = 60) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.timeout = timeout
        # How many requests were sent, for whoever watches.
        self.sent = 0
        self._session = requests.Session()
        self._recorded: list[Exchange] = []
        self._made: dict[str, None] = {}
        # Whether a signal asked for the end, and whether what a request makes is not yet known.
        self._ends = False
        self._is_making = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM raise `KeyboardInterrupt`, in the main thread.

        While a POST is on its way they wait for its answer: what it made would be forgotten. A
        second signal does not wait. Whoever swallows the exception meets it again with the next
        request.
        """
        ends = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._end) for number in ends}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        waits = self._is_making and not self._ends
        self._ends = True
        if not waits:
            raise KeyboardInterrupt

    def _go_on(self) -> None:
        if self._ends:
            raise KeyboardInterrupt

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
    ) -> Answer:
        """Send a request. ``body`` is sent as SCIM JSON; ``data`` as it is.

        :raises requests.RequestException: If there is no answer.
        :raises KeyboardInterrupt: If a signal asked for the end (`stoppable`).
        """
        self._go_on()
        if body is not None:
            data = json.dumps(body).encode()
        sent = {"Accept": SCIM}
        if data is not None:
            sent["Content-Type"] = SCIM
        if authorized and self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        sent.update(headers or {})
        address = path if path.startswith(f"{self.url}/") else f"{self.url}{path}"
        self._is_making = method == "POST"
        try:
            return self._sent(method, path, address, data, sent)
        finally:
            self._is_making = False
            self._go_on()

    def _sent(
        self, method: str, path: str, address: str, data: bytes | None, sent: Mapping[str, str]
    ) -> Answer:
        begun = time.monotonic()
        self.sent += 1
        try:
            response = self._session.request(
                method,
                address,
                data=data,
                headers=sent,
                timeout=self.timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            lost = Answer(status=0, headers={}, text=f"There was no answer: {error}")
            self._record(method, address, data, lost, begun)
            raise
        answer = Answer(status=response.status_code, headers=response.headers, text=response.text)
        self._record(method, response.url, data, answer, begun)
        self._remember(method, path, answer)
        return answer

    def masked(self, text: str) -> str:
        """A text without the token: a server may echo what it was sent."""
        if not self.token:
            return text
        # One of a few letters, on a server for trying, is part of other words, too.
        token = re.escape(self.token)
        return re.sub(token if len(self.token) > 7 else rf"\b{token}\b", "***", text)

    def exchanges(self) -> tuple[Exchange, ...]:
        """What was sent and answered since this was last asked."""
        taken, self._recorded = tuple(self._recorded), []
        return taken

    def made(self, path: str) -> None:
        """Remember a resource that something else made, by its path or address."""
        self._made[path] = None

    def clean(self) -> list[str]:
        """Delete what the run made, groups first. Returns what could not be deleted, and why."""
        paths = sorted(self._made, key=lambda path: "/Groups/" not in path)
        left = []
        self._ends = False
        while paths:
            try:
                if problem := self._removed(paths[0]):
                    left.append(f"{paths[0]} ({problem})")
            except KeyboardInterrupt:
                left += [f"{path} (stopped)" for path in paths]
                break
            del paths[0]
        self._made.clear()
        self._recorded.clear()
        return left

    def _removed(self, path: str) -> str:
        """Delete a resource. Returns what was wrong, if anything was."""
        try:
            status = self.send("DELETE", path).status
        except requests.RequestException:
            return "no answer"
        return "" if status in {200, 204, 404} else f"the server answered {status}"

    def _record(
        self, method: str, url: str, data: bytes | None, answer: Answer, begun: float
    ) -> None:
        self._recorded.append(
            Exchange(
                method=method,
                url=self.masked(url),
                sent=self.masked((data or b"").decode(errors="replace")),
                status=answer.status,
                headers={name: self.masked(value) for name, value in answer.headers.items()},
                received=self.masked(answer.text),
                seconds=time.monotonic() - begun,
            )
        )

    def _remember(self, method: str, path: str, answer: Answer) -> None:
        """What a POST made. Some servers answer 200 to it, or give no Location."""
        body = answer.json if isinstance(answer.json, dict) else {}
        if method != "POST" or answer.status not in {200, 201}:
            return
        if location := answer.headers.get("Location"):
            self._remember_location(location)
        elif isinstance(body.get("id"), str):
            self.made(f"{path.partition('?')[0].rstrip('/').removeprefix(self.url)}/{body['id']}")
        operations = body.get("Operations")
        for operation in operations if isinstance(operations, list) else ():
            if isinstance(operation, dict) and str(operation.get("status")) == "201":
                self._remember_location(operation.get("location"))

    def _remember_location(self, location: Any) -> None:
        """The path below the base address: a proxy may know the server by another one."""
        if isinstance(location, str) and location:
            self.made("/" + "/".join(location.rstrip("/").rsplit("/", 2)[-2:]))
