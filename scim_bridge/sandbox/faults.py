"""When does the sandbox misbehave, and how?

Faults are ordered at run time over `POST /_sandbox/faults`; a throttle is part of the behaviour.
Neither is locked; who uses them from several threads must lock.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

# SCIM's descriptions of itself.
_NO_LISTS = ("ListSchemas", "ListResourceTypes")


class UnknownFault(ValueError):
    """A fault that the sandbox cannot have."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, for which calls and how often."""

    # An operation as AWS names it, those of the APIs with the prefix of their IAM actions
    # (identitystore:CreateUser), `sso:*` for all of one API, or "*" for all there are.
    operation: str
    status: int | None = None
    # The error's name, of an API only; its status is AWS's unless `status` says otherwise.
    error: str | None = None
    # The Reason beside it, such as KMS_ACCESS_DENIED.
    reason: str | None = None
    # How many calls it still hits; None is for ever.
    times: int | None = 1
    # How many matching calls it still spares.
    after: int = 0
    # The work is done, whatever `status` says, and the connection closed without an answer.
    drop_answer: bool = False
    # A list answers an empty page.
    empty: bool = False
    # Seconds before the work begins.
    delay: float = 0
    # Only calls whose path, query or body has this text.
    match: str | None = None
    # Seconds, for a Retry-After header beside `status`, or RetryAfterSeconds in an API's error.
    retry_after: int | None = None

    def concerns(self, operation: str, text: str) -> bool:
        api = f"{operation.partition(':')[0]}:*"
        named = self.operation in ("*", operation) or self.operation == api
        fits = not self.empty or is_list(operation)
        return named and fits and (self.match is None or self.match in text)

    @property
    def denies(self) -> bool:
        """Whether it answers before the caller is looked at, as a revoked token would."""
        return self.status in (401, 403) and self.error is None and not self.drop_answer

    @property
    def refuses(self) -> bool:
        return (self.status is not None or self.error is not None) and not self.drop_answer


def is_list(operation: str) -> bool:
    """Whether an operation lists what is held, so that an answer of it can be empty."""
    name = operation.rpartition(":")[2]
    return name.startswith("List") and name not in _NO_LISTS


NO_FAULT = Fault(operation="*", times=0)


def parse_fault(body: object) -> Fault:
    """The fault that `body` orders; raises UnknownFault, naming what is wrong with it."""
    if not isinstance(body, dict):
        raise UnknownFault('the body must be an object such as {"operation": "*", "status": 500}')
    unknown = sorted(body.keys() - _FIELDS.keys())
    if unknown:
        raise UnknownFault(f"{unknown[0]}: is not known, only {', '.join(_FIELDS)}")
    if "operation" not in body:
        raise UnknownFault('operation: is required, as AWS names it, or "*"')
    for name, value in body.items():
        fits, wanted = _FIELDS[name]
        if not fits(value):
            raise UnknownFault(f"{name}: must be {wanted}")
    times = body.get("times", 1)
    return Fault(**{**body, "times": None if times == -1 else times})


def _is_whole(value: object, *, least: int, most: int = 10**9) -> bool:
    return type(value) is int and least <= value <= most


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "operation": (lambda value: isinstance(value, str) and value != "", 'a name or "*"'),
    "status": (
        lambda value: value is None or _is_whole(value, least=400, most=599),
        "an error status, 400 to 599, or null",
    ),
    "error": (
        lambda value: value is None or (isinstance(value, str) and value != ""),
        "the name of an error or null",
    ),
    "reason": (
        lambda value: value is None or (isinstance(value, str) and value != ""),
        "a text or null",
    ),
    "times": (
        lambda value: value in (None, -1) or _is_whole(value, least=1),
        "a number of calls, or null or -1 for ever",
    ),
    "after": (lambda value: _is_whole(value, least=0), "a number of calls"),
    "drop_answer": (_is_flag, "true or false"),
    "empty": (_is_flag, "true or false"),
    "delay": (
        lambda value: type(value) in (int, float) and value >= 0,  # type: ignore[operator]
        "a number of seconds",
    ),
    "match": (lambda value: value is None or isinstance(value, str), "a text or null"),
    "retry_after": (
        lambda value: value is None or _is_whole(value, least=0),
        "a whole number of seconds or null",
    ),
}


class Faults:
    """The faults that are ordered, in their order."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def shown(self) -> list[dict[str, object]]:
        return [asdict(fault) for fault in self._ordered]

    def strike(self, operation: str, text: str, *, denying: bool) -> Fault:
        """The first fault that hits this call, or NO_FAULT.

        Each fault before it that concerns the call spares it, and one less from then on.
        """
        for place, fault in enumerate(self._ordered):
            if fault.denies != denying or not fault.concerns(operation, text):
                continue
            if fault.after == 0:
                self._use_up(place)
                return fault
            self._ordered[place] = replace(fault, after=fault.after - 1)
        return NO_FAULT

    def _use_up(self, place: int) -> None:
        fault = self._ordered[place]
        if fault.times == 1:
            del self._ordered[place]
        elif fault.times is not None:
            self._ordered[place] = replace(fault, times=fault.times - 1)


class Throttle:
    """A token bucket: so many calls a second, and no more than a second's worth at once."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = max(1.0, rate)
        self._tokens, self._seen = self._most, clock()

    def admits(self) -> bool:
        """Whether this call is within the rate; takes a token when it is."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
