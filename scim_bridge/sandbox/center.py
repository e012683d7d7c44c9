"""How does the Identity Center on this machine treat one call?

    missing User-Agent -> fault 401/403 -> authentication -> throttle -> fault -> work -> journal

One lock is held from the work to the entry in the journal, so that the journal has the order in
which things were done.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from scim_bridge.sandbox.authentication import Received, authenticate
from scim_bridge.sandbox.behaviour import TENANT, Behaviour
from scim_bridge.sandbox.faults import NO_FAULT, Fault, Faults, Throttle
from scim_bridge.sandbox.journal import Entry, Journal
from scim_bridge.sandbox.operations import (
    Answer,
    Operation,
    list_page,
    operation_of,
    perform,
    read_json,
)
from scim_bridge.sandbox.refusals import (
    Failing,
    Refused,
    access_denied,
    told_to_answer,
    unauthorized,
)
from scim_bridge.sandbox.state import IdentityStore, new_id, utc_now

_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to the SCIM endpoint; `path` is below it, such as `/Users`."""

    received: Received
    tenant: str
    path: str
    request_id: str

    @property
    def operation(self) -> Operation:
        return operation_of(self.received.method, self.path)

    @property
    def scim_endpoint(self) -> str:
        return f"http://{self.received.headers.get('host', 'localhost')}/{self.tenant}/scim/v2"

    def header(self, name: str) -> str | None:
        return self.received.headers.get(name)

    def text(self) -> str:
        """Everything that a fault's `match` may be found in."""
        query = self.received.query
        return "\n".join(
            [self.path, query, unquote(query), self.received.body.decode(errors="replace")]
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a call ended: the answer, why it is a refusal, and whether the caller gets to see it."""

    answer: Answer
    reason: str | None = None
    dropped: bool = False


class Center:
    """The state, the faults and the journal of one sandbox."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        make_id: Callable[[], str] = new_id,
        announce: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._clock, self._sleep, self._make_id = clock, sleep, make_id
        self._announce = announce
        self._lock = threading.RLock()
        self._faults, self._journal = Faults(), Journal()
        self._store = self._empty_store()
        self._behave(behaviour)

    # The SCIM endpoint

    def answer(self, received: Received, *, tenant: str, path: str) -> Outcome:
        """Treat one call as Identity Center does, or as a fault says."""
        call = Call(received=received, tenant=tenant, path=path, request_id=self._make_id())
        try:
            fault = self._admit(call)
        except Refused as refusal:
            with self._lock:
                return self._recorded(call, self._refused(call, refusal, NO_FAULT))
        if fault.delay:
            self._sleep(fault.delay)
        with self._lock:
            return self._recorded(call, self._worked(call, fault))

    def _admit(self, call: Call) -> Fault:
        """Let the call in, with the fault that hits it; raises Refused when it stays outside."""
        # AWS is reported to block PATCH without one. [observed by clients]
        if call.received.method == "PATCH" and not call.header("user-agent"):
            raise access_denied("a PATCH without a User-Agent is blocked")
        denial = self._strike(call, denying=True)
        if denial.status is not None:
            raise told_to_answer(denial.status)
        if call.tenant != TENANT:
            raise unauthorized(f"the tenant is not {TENANT}")
        authenticate(call.received, self.behaviour, now=self._clock())
        with self._lock:
            if self._throttle is not None and not self._throttle.admits():
                raise Failing(429, f"more than {self.behaviour.throttle} calls per second")
        return self._strike(call, denying=False)

    def _strike(self, call: Call, *, denying: bool) -> Fault:
        with self._lock:
            return self._faults.strike(call.operation.name, call.text(), denying=denying)

    def _worked(self, call: Call, fault: Fault) -> Outcome:
        try:
            outcome = Outcome(answer=self._work(call, fault))
        except Refused as refusal:
            outcome = self._refused(call, refusal, fault)
        return replace(outcome, dropped=fault.drop_answer)

    def _work(self, call: Call, fault: Fault) -> Answer:
        if fault.status is not None and not fault.drop_answer:
            raise told_to_answer(fault.status)
        received, operation = call.received, call.operation
        if fault.empty:
            return list_page(operation.name, received.query, store=self._store, empty=True)
        sent = received.method in _WITH_BODY
        return perform(
            operation,
            read_json(received.body, call.header("content-type")) if sent else None,
            received.query,
            store=self._store,
            strict_disabled=self.behaviour.strict_disabled,
            scim_endpoint=call.scim_endpoint,
        )

    def _refused(self, call: Call, refusal: Refused, fault: Fault) -> Outcome:
        body = refusal.body(request_id=call.request_id, now=self._clock())
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        answer = Answer(status=refusal.status, body=body, headers=headers)
        return Outcome(answer=answer, reason=refusal.reason)

    def _recorded(self, call: Call, outcome: Outcome) -> Outcome:
        entry = self._entry(call, outcome)
        self._journal.record(entry)
        self._announce(entry.line())
        headers = {**outcome.answer.headers, "x-amzn-RequestId": call.request_id}
        return replace(outcome, answer=replace(outcome.answer, headers=headers))

    def _entry(self, call: Call, outcome: Outcome) -> Entry:
        return Entry(
            time=self._clock().strftime("%H:%M:%S"),
            operation=call.operation.name,
            status=outcome.answer.status,
            reason=outcome.reason,
            dropped=outcome.dropped,
            method=call.received.method,
            path=call.path,
            query=call.received.query,
            body=_as_json(call.received.body),
            content_type=call.header("content-type"),
            auth=call.received.scheme,
            user_agent=call.header("user-agent"),
            request_id=call.request_id,
        )

    # The controls

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    def change_behaviour(self, changes: Mapping[str, object]) -> Behaviour:
        """Behave otherwise from the next call on; raises UnknownBehaviour."""
        with self._lock:
            self._behave(self._behaviour.changed(changes))
            return self._behaviour

    def state(self) -> dict[str, Any]:
        with self._lock:
            return self._store.everything()

    def calls(self) -> dict[str, dict[str, int]]:
        with self._lock:
            return self._journal.calls()

    def requests(self) -> list[dict[str, object]]:
        with self._lock:
            return self._journal.requests()

    def faults(self) -> list[dict[str, object]]:
        with self._lock:
            return self._faults.shown()

    def order_fault(self, fault: Fault) -> None:
        with self._lock:
            self._faults.order(fault)

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def clear_calls(self) -> None:
        with self._lock:
            self._journal.clear_counts()

    def reset(self) -> None:
        """Hold nobody and nothing, as after the start; the behaviour stays."""
        with self._lock:
            self._store = self._empty_store()
            self._faults.clear()
            self._journal.clear()
            self._behave(self._behaviour)

    def _empty_store(self) -> IdentityStore:
        return IdentityStore(clock=self._clock, make_id=self._make_id)

    def _behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._throttle = None if behaviour.throttle is None else Throttle(behaviour.throttle)


def _as_json(body: bytes) -> object:
    """What was sent, for the journal: JSON where it can be read, else its text."""
    if not body:
        return None
    try:
        return read_json(body, None)
    except Refused:
        return body.decode(errors="replace")
