"""What goes wrong with assignments and provisionings after they were asked for?

They are ordered over `POST /_sandbox/assignment-faults`: how long one takes, with which reason it
fails, how often it is in conflict first.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from scim_bridge.sandbox.faults import UnknownFault

_KINDS = ("create", "delete", "provision")


@dataclass(frozen=True, kw_only=True)
class AssignmentFault:
    """What happens to which changes; what is None is not asked about."""

    # By name or ARN.
    permission_set: str | None = None
    account_id: str | None = None
    principal_id: str | None = None
    # "create", "delete" or "provision".
    operation: str | None = None
    # How long it takes instead of `assignment_seconds`.
    seconds: float | None = None
    # The FailureReason with which it ends FAILED.
    fail: str | None = None
    # How many calls get a ConflictException before any of the above.
    conflicts: int = 0
    # How many changes it still hits; None is for ever. Conflicts do not count.
    times: int | None = None

    def shown(self) -> dict[str, object]:
        values = asdict(self)
        return {wire: values[name] for wire, (name, _, _) in _FIELDS.items()}

    def concerns(
        self,
        kind: str,
        *,
        permission_set: tuple[str, str],
        account_id: str | None,
        principal_id: str | None,
    ) -> bool:
        return (
            self.operation in (None, kind)
            and (self.permission_set is None or self.permission_set in permission_set)
            and self.account_id in (None, account_id)
            and self.principal_id in (None, principal_id)
        )


NO_FAULT = AssignmentFault()


def parse_assignment_fault(body: object) -> AssignmentFault:
    """The fault that `body` orders; raises UnknownFault, naming what is wrong with it."""
    if not isinstance(body, dict):
        raise UnknownFault(
            'the body must be an object such as {"permissionSet": "X", "seconds": 5}'
        )
    given = {}
    for wire, value in body.items():
        if wire not in _FIELDS:
            raise UnknownFault(f"{wire}: is not known, only {', '.join(_FIELDS)}")
        name, fits, wanted = _FIELDS[wire]
        if not fits(value):
            raise UnknownFault(f"{wire}: must be {wanted}")
        given[name] = value
    return AssignmentFault(**given)


def _is_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and value != "")


_FIELDS: dict[str, tuple[str, Callable[[object], bool], str]] = {
    "permissionSet": ("permission_set", _is_text, "a name, an ARN or null"),
    "accountId": ("account_id", _is_text, "an account's number or null"),
    "principalId": ("principal_id", _is_text, "an id or null"),
    "operation": (
        "operation",
        lambda value: value is None or value in _KINDS,
        f"one of {', '.join(_KINDS)}, or null",
    ),
    "seconds": (
        "seconds",
        lambda value: value is None or (type(value) in (int, float) and value >= 0),  # type: ignore[operator]
        "a number of seconds or null",
    ),
    "fail": ("fail", _is_text, "a reason or null"),
    "conflicts": (
        "conflicts",
        lambda value: type(value) is int and value >= 0,
        "a number of calls",
    ),
    "times": (
        "times",
        lambda value: value is None or (type(value) is int and value > 0),
        "a number of changes or null",
    ),
}


class AssignmentFaults:
    """The faults that are ordered, in their order."""

    def __init__(self) -> None:
        self._ordered: list[AssignmentFault] = []

    def order(self, fault: AssignmentFault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def shown(self) -> list[dict[str, object]]:
        return [fault.shown() for fault in self._ordered]

    def strike(
        self,
        kind: str,
        *,
        permission_set: tuple[str, str],
        account_id: str | None,
        principal_id: str | None,
    ) -> AssignmentFault:
        """The first fault that concerns the change, or NO_FAULT; uses one conflict or time up."""
        for place, fault in enumerate(self._ordered):
            if fault.concerns(
                kind,
                permission_set=permission_set,
                account_id=account_id,
                principal_id=principal_id,
            ):
                self._use_up(place)
                return fault
        return NO_FAULT

    def _use_up(self, place: int) -> None:
        fault = self._ordered[place]
        if fault.conflicts:
            left = replace(fault, conflicts=fault.conflicts - 1)
            if left.conflicts or left.seconds is not None or left.fail is not None:
                self._ordered[place] = left
            else:
                del self._ordered[place]
        elif fault.times == 1:
            del self._ordered[place]
        elif fault.times is not None:
            self._ordered[place] = replace(fault, times=fault.times - 1)
