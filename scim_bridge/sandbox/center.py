"""How does the Identity Center on this machine treat one call?

    latency -> what is blocked -> fault 401/403 -> authentication -> throttle -> fault -> work
            -> journal

One lock is held from the work to the entry in the journal, so that the journal has the order in
which things were done.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scim_bridge.sandbox.access import Access
from scim_bridge.sandbox.assignment_faults import AssignmentFault
from scim_bridge.sandbox.authentication import Received
from scim_bridge.sandbox.behaviour import APIS, Behaviour
from scim_bridge.sandbox.calls import Call, Holdings, ScimCall, api_call, text_of
from scim_bridge.sandbox.faults import NO_FAULT, Fault, Faults, Throttle
from scim_bridge.sandbox.journal import Entry, Journal
from scim_bridge.sandbox.operations import Answer, read_json
from scim_bridge.sandbox.refusals import Refused
from scim_bridge.sandbox.state import IdentityStore, new_id, utc_now


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
        self._behaviour = behaviour
        self._store, self._access = self._empty_store(), self._first_access()
        self._behave(behaviour)

    # The doors

    def answer(self, received: Received, *, tenant: str, path: str) -> Outcome:
        """Treat one call to the SCIM endpoint as Identity Center does, or as a fault says."""
        request_id = self._make_id()
        return self._treat(
            ScimCall(received=received, request_id=request_id, tenant=tenant, path=path)
        )

    def answer_api(self, received: Received) -> Outcome:
        """Treat one call to one of the APIs as AWS does, or as a fault says."""
        return self._treat(api_call(received, request_id=self._make_id()))

    def _treat(self, call: Call) -> Outcome:
        if self.behaviour.latency:
            self._sleep(self.behaviour.latency)
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
        call.check_in_front()
        denial = self._strike(call, denying=True)
        if denial.status is not None:
            raise call.told(denial)
        call.authenticate(self.behaviour, now=self._clock())
        with self._lock:
            rate = self.behaviour.rate(call.api)
            if rate is not None and not self._throttles[call.api].admits():
                raise call.throttled(rate)
        return self._strike(call, denying=False)

    def _strike(self, call: Call, *, denying: bool) -> Fault:
        with self._lock:
            return self._faults.strike(call.name, text_of(call), denying=denying)

    def _worked(self, call: Call, fault: Fault) -> Outcome:
        try:
            outcome = Outcome(answer=self._work(call, fault))
        except Refused as refusal:
            outcome = self._refused(call, refusal, fault)
        return replace(outcome, dropped=fault.drop_answer)

    def _work(self, call: Call, fault: Fault) -> Answer:
        if fault.refuses:
            raise call.told(fault)
        held = Holdings(store=self._store, access=self._access, behaviour=self._behaviour)
        return call.work(held, empty=fault.empty)

    def _refused(self, call: Call, refusal: Refused, fault: Fault) -> Outcome:
        answer = call.refused(refusal, fault, now=self._clock())
        return Outcome(answer=answer, reason=refusal.reason)

    def _recorded(self, call: Call, outcome: Outcome) -> Outcome:
        entry = self._entry(call, outcome)
        self._journal.record(entry)
        self._announce(entry.line())
        headers = {**outcome.answer.headers, "x-amzn-RequestId": call.request_id}
        return replace(outcome, answer=replace(outcome.answer, headers=headers))

    def _entry(self, call: Call, outcome: Outcome) -> Entry:
        headers = call.received.headers
        return Entry(
            time=self._clock().strftime("%H:%M:%S"),
            operation=call.name,
            status=outcome.answer.status,
            reason=outcome.reason,
            dropped=outcome.dropped,
            method=call.received.method,
            path=call.path,
            query=call.received.query,
            body=_as_json(call.received.body),
            content_type=headers.get("content-type"),
            auth=call.received.scheme,
            user_agent=headers.get("user-agent"),
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
            return {**self._store.everything(), **self._access.everything()}

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

    def assignment_faults(self) -> list[dict[str, object]]:
        with self._lock:
            return self._access.faults.shown()

    def order_assignment_fault(self, fault: AssignmentFault) -> None:
        with self._lock:
            self._access.faults.order(fault)

    def clear_assignment_faults(self) -> None:
        with self._lock:
            self._access.faults.clear()

    def clear_calls(self) -> None:
        with self._lock:
            self._journal.clear_counts()

    def reset(self) -> None:
        """Hold what was held after the start, which is nobody; the behaviour stays."""
        with self._lock:
            self._store, self._access = self._empty_store(), self._first_access()
            self._faults.clear()
            self._journal.clear()
            self._behave(self._behaviour)

    def _empty_store(self) -> IdentityStore:
        return IdentityStore(
            clock=self._clock, make_id=self._make_id, behaviour=lambda: self._behaviour
        )

    def _first_access(self) -> Access:
        return Access(clock=self._clock, make_id=self._make_id, behaviour=lambda: self._behaviour)

    def _behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._store.reindex()
        rates = {api: behaviour.rate(api) for api in APIS}
        self._throttles = {api: Throttle(rate) for api, rate in rates.items() if rate is not None}


def _as_json(body: bytes) -> object:
    """What was sent, for the journal: JSON where it can be read, else its text."""
    if not body:
        return None
    try:
        return read_json(body, None)
    except Refused:
        return body.decode(errors="replace")
