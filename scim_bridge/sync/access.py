"""One pass: bring the account and application assignments of one resource to what they should be.

AWS takes its time with an account assignment: it answers at once that it has begun. So a pass
starts what there is room for, looks what became of what was started before, and ends; as long as
something is under way it is made due again. No thread waits for AWS to finish.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import assert_never

import structlog

from scim_bridge.directory.actor import caused_by
from scim_bridge.directory.database import Database
from scim_bridge.errors import (
    AccessDenied,
    CircuitOpen,
    Conflict,
    DoorClosed,
    Missing,
    Refused,
    TargetError,
    Throttled,
    TryLater,
    Unavailable,
)
from scim_bridge.identity_center.api_payloads import AssignmentStatus
from scim_bridge.identity_center.sso_admin import SsoAdmin
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.grants import (
    AccessChange,
    AccountGrant,
    ApplicationGrant,
    CreateApplicationAssignment,
    CreateAssignment,
    DeleteApplicationAssignment,
    DeleteAssignment,
    Grant,
    is_revocation,
    surplus_grants,
)
from scim_bridge.sync.access_planning import AccessPlanning, AccessStep
from scim_bridge.sync.access_record import AccessRecorder, operation_of
from scim_bridge.sync.attempt import StillThere
from scim_bridge.sync.grants import Holder, Operation, Request
from scim_bridge.sync.marks import Intent, Key, Lease, LeaseLost, Mark, Marks, State
from scim_bridge.sync.reconciler import PAUSE, REMOVAL_PAUSE, Outcome

log = structlog.get_logger(__name__)

# Between two looks at what AWS is doing, in seconds: at first, and at most.
FIRST_LOOK = 0.5
LAST_LOOK = 5.0
# The longest pause between two tries of what IAM does not allow, in seconds. Everybody who leaves
# meanwhile waits for the same permission.
DENIED_PAUSE = 300.0
# For so long a call whose answer was lost may still show its effect, in seconds.
UNCERTAIN_FOR = 60.0

NO_DOOR = (
    "identity_center.region is not set, so the SSO Admin API, which has account and application "
    "assignments, cannot be reached"
)


class _Busy(TryLater):
    """AWS is not done with an earlier write yet."""


@dataclass(kw_only=True)
class _Pass:
    """What one pass has learned so far."""

    lease: Lease
    mark: Mark
    holder: Holder
    # What kept a part of the pass from being done, in the order in which it came.
    obstacles: list[TargetError] = field(default_factory=list)
    # What AWS failed to take away in this pass: it is asked again in a later one.
    not_taken: set[Grant] = field(default_factory=set)
    # Applications that AWS refused to give: unlike account assignments they have no request.
    refusals: dict[Grant, str] = field(default_factory=dict)
    # Assignments must be read again before anything is concluded.
    reread: bool = False
    # What the principal holds was asked for, and may not be read.
    is_blind: bool = False
    # What it was shown to hold in this pass.
    shown: frozenset[Grant] = frozenset()
    # Changes that found no room beside what is outstanding.
    waiting: list[AccessChange] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return self.lease.key


class AccessReconciler:
    """Brings the assignments of resources to Identity Center, one resource at a time.

    `principal_marks` are the marks of users, groups and memberships at the same target.
    `sso_admin` is None when the settings do not say where its API is.
    """

    def __init__(
        self,
        *,
        database: Database,
        sso_admin: SsoAdmin | None,
        marks: Marks,
        principal_marks: Marks,
        planning: AccessPlanning,
        recorder: AccessRecorder,
        call_seconds: float = 20.0,
        first_look: float = FIRST_LOOK,
        jitter: Callable[[float], float] = lambda most: random.uniform(most / 2, most),
    ) -> None:
        self.database = database
        self.sso_admin = sso_admin
        self.marks = marks
        self.principal_marks = principal_marks
        self.planning = planning
        self.recorder = recorder
        self.grants = recorder.grants
        self.entitlements = planning.entitlements
        self.call_seconds = call_seconds
        self.first_look = first_look
        self.jitter = jitter
        # The generations for which everything a principal holds has been read, since the process
        # began: what is taken away in several passes is read once.
        self._looked: dict[Key, int] = {}

    def reconcile(self, lease: Lease) -> Outcome:
        """Run a pass under a lease and give the lease back.

        Never raises for what the target does: the mark then stays and says why.
        """
        try:
            with self.database.transaction():
                this = self._begin(lease)
                if isinstance(this, Outcome):
                    return this
            with caused_by(this.mark.requests):
                return self._carry_out(this)
        except LeaseLost as error:
            log.warning("lease lost", kind=lease.key.kind, id=lease.key.id)
            return Outcome(state="pending", error=str(error))

    def _begin(self, lease: Lease) -> _Pass | Outcome:
        """A pass; or what it came to, when nothing has to be asked of AWS."""
        self.marks.renew(lease)
        mark = self.marks.read(lease.key)
        holder = self.entitlements.holder(lease.key)
        step = self.planning.next_step(mark)
        if holder is None:
            return self._without_principal(lease, mark, step)
        self.grants.forget_failed(holder, but=mark.generation)
        if step.is_kept and not step.requests:
            return self._settle(lease, mark, "held", keep_take_away=True)
        if not (step.changes or step.requests or mark.take_away.everyone or mark.reread):
            return self._rest(lease, mark, step)
        if self.sso_admin is None:
            self.marks.postpone(lease, mark, delay=PAUSE, error=NO_DOOR)
            return Outcome(state="pending", error=NO_DOOR)
        return _Pass(lease=lease, mark=mark, holder=holder, reread=mark.reread)

    def _without_principal(self, lease: Lease, mark: Mark, step: AccessStep) -> Outcome:
        """Nothing can be given or taken yet. Who makes the link makes the mark due."""
        principal = self.principal_marks.find(lease.key)
        may_come = principal is not None and principal.state == "pending"
        if not step.entitled.desired and not step.unknown and not may_come:
            return self._settle(lease, mark, "clear")
        error = f"waits for the {lease.key.kind} to be at Identity Center"
        self.marks.postpone(lease, mark, delay=PAUSE, error=error)
        return Outcome(state="pending", error=error)

    def _carry_out(self, this: _Pass) -> Outcome:
        try:
            self._look(this)
            self._follow(this)
            self._start(this)
        except TargetError as error:
            this.obstacles.append(error)
        with self.database.transaction():
            self.marks.renew(this.lease)
            return self._end(this)

    # -- Reading what the principal holds -------------------------------

    def _look(self, this: _Pass) -> None:
        """Read what the principal holds, after a lost answer and before everything is taken."""
        looked = self._looked.get(this.key) == this.mark.generation
        if not this.reread and (looked or not this.mark.take_away.everyone):
            return
        try:
            self._look_at(this, AccountGrant, self._accounts(this))
            self._conclude(this)
            self._look_at(this, ApplicationGrant, self._applications(this))
        except AccessDenied as error:
            # What is known to be there is taken away all the same.
            this.obstacles.append(error)
            this.is_blind = True
            return
        self._looked[this.key] = this.mark.generation
        if not this.reread:
            self.marks.forget_reread(this.lease)

    def _accounts(self, this: _Pass) -> frozenset[Grant]:
        rows = self._door.assignments_of(
            this.holder.kind, this.holder.id, turn_page=lambda: self._turn_page(this),
            **self._haste(this),
        )  # fmt: skip
        return frozenset(row.grant for row in rows if _is_of(this.holder, row.kind, row.principal))

    def _applications(self, this: _Pass) -> frozenset[Grant]:
        rows = self._door.application_assignments_of(
            this.holder.kind, this.holder.id, turn_page=lambda: self._turn_page(this),
            **self._haste(this),
        )  # fmt: skip
        return frozenset(row.grant for row in rows if _is_of(this.holder, row.kind, row.principal))

    def _look_at(self, this: _Pass, what: type[Grant], shown: frozenset[Grant]) -> None:
        """Remember what was shown.

        What is to be taken away is asked for though it was not shown: an answer may be partial, and
        must never leave access standing.
        """
        with self.database.transaction():
            self.marks.renew(this.lease)
            entitled = self.entitlements.entitled(this.key, this.mark.take_away)
            known = {grant for grant in entitled.observed if isinstance(grant, what)}
            self.grants.see(this.holder, shown)
            this.shown |= shown
            if this.mark.reread:
                self.grants.gone(this.holder, known - shown - surplus_grants(entitled))

    def _conclude(self, this: _Pass) -> None:
        """What became of calls whose answers were lost, as far as it can be told already."""
        with self.database.transaction():
            self.marks.renew(this.lease)
            desired = self.entitlements.wanted(this.key).grants
            requests = self.grants.requests(this.holder)
            unanswered = [one for one in requests if one.request_id is None and one.error is None]
            unclear = [one for one in unanswered if _is_unclear(one, this.shown, desired)]
            for request in unanswered:
                if request not in unclear:
                    self.grants.forget(this.holder, request.grant)
        this.reread = bool(unclear)

    # -- What AWS is doing ----------------------------------------------

    def _follow(self, this: _Pass) -> None:
        """Ask what became of what AWS had begun."""
        with self.database.reading():
            requests = self.grants.requests(this.holder)
        for request in requests:
            if request.request_id is not None and request.error is None:
                self._follow_one(this, request, request.request_id)

    def _follow_one(self, this: _Pass, request: Request, request_id: str) -> None:
        gives = request.operation == "create"
        ask = self._door.creation_status if gives else self._door.deletion_status
        try:
            status = ask(request_id, urgent=not gives, deadline=self._deadline())
        except AccessDenied as error:
            this.obstacles.append(error)
            return
        except Missing:
            # AWS knows nothing of it any more: what the principal holds tells.
            with self.database.transaction():
                self.marks.renew(this.lease)
                self.grants.accepted(this.holder, request.grant, None)
            this.reread = True
            return
        with self.database.transaction():
            self.marks.renew(this.lease)
            self._write_down(this, request.operation, request.grant, status)

    def _write_down(
        self, this: _Pass, operation: Operation, grant: AccountGrant, status: AssignmentStatus
    ) -> None:
        """What AWS says of something it has begun."""
        who = this.key, this.holder, grant
        reason = status.failure_reason or "AWS gives no reason"
        match operation, status.state:
            case _, "IN_PROGRESS":
                self.grants.accepted(this.holder, grant, status.request_id)
            case "create", "SUCCEEDED":
                self.recorder.given(*who, request_id=status.request_id)
            case "delete", "SUCCEEDED":
                self.recorder.taken(*who, request_id=status.request_id)
            case "create", _:
                self.recorder.not_given(*who, reason, request_id=status.request_id)
            case "delete", _:
                self.recorder.not_taken(*who, reason, request_id=status.request_id)
                this.not_taken.add(grant)
                this.obstacles.append(_still_there(reason, status.request_id))

    # -- Asking for changes ---------------------------------------------

    def _start(self, this: _Pass) -> None:
        """Ask for what is to be changed, revocations first, as far as there is room."""
        with self.database.transaction():
            self.marks.renew(this.lease)
            step = self.planning.next_step(this.mark)
        for change in step.changes:
            if change.grant not in this.not_taken and not self._start_one(this, change):
                return

    def _start_one(self, this: _Pass, change: AccessChange) -> bool:
        """Ask for one change. False: there was a write meanwhile, and the rest may be wrong."""
        operation, grant = operation_of(change), change.grant
        with self.database.transaction():
            self.marks.renew(this.lease)
            if self.marks.read(this.key).generation != this.mark.generation:
                return False
            if not self._prepare(this, change):
                this.waiting.append(change)
                return True
        try:
            self._call(this, change)
        except Unavailable as error:
            with self.database.transaction():
                self.recorder.audit_unanswered(
                    this.key, operation, grant, request_id=error.request_id
                )
            raise
        except TargetError as error:
            with self.database.transaction():
                self.marks.renew(this.lease)
                self._not_done(this, change, error)
            if isinstance(error, DoorClosed | CircuitOpen | Throttled):
                raise
        return True

    def _prepare(self, this: _Pass, change: AccessChange) -> bool:
        """Note what is about to be asked for. False: there is no room for it."""
        operation, grant = operation_of(change), change.grant
        if isinstance(grant, AccountGrant) and not self.grants.take_slot(
            this.holder, grant, operation, generation=this.mark.generation
        ):
            return False
        if operation == "create":
            self.grants.expect(this.holder, grant)
        elif self._takes_what_nobody_gave(this, grant):
            self.grants.record_taken(this.key.id, grant)
        return True

    def _takes_what_nobody_gave(self, this: _Pass, grant: Grant) -> bool:
        leaves = this.key.kind == "user" and this.mark.take_away.everyone
        return leaves and self.entitlements.is_unmanaged(this.key, this.holder, grant)

    def _call(self, this: _Pass, change: AccessChange) -> None:
        door, who = self._door, this.holder
        haste: Haste = {"urgent": is_revocation(change), "deadline": self._deadline()}
        match change:
            case CreateAssignment(grant=grant):
                status = door.create_account_assignment(who.kind, who.id, grant, **haste)
                self._begun(this, "create", grant, status)
            case DeleteAssignment(grant=grant):
                status = door.delete_account_assignment(who.kind, who.id, grant, **haste)
                self._begun(this, "delete", grant, status)
            case CreateApplicationAssignment(grant=application):
                done = door.create_application_assignment(who.kind, who.id, application, **haste)
                self._done(this, "create", application, done.request_id)
            case DeleteApplicationAssignment(grant=application):
                done = door.delete_application_assignment(who.kind, who.id, application, **haste)
                self._done(this, "delete", application, done.request_id)
            case _:
                assert_never(change)

    def _begun(
        self, this: _Pass, operation: Operation, grant: AccountGrant, status: AssignmentStatus
    ) -> None:
        with self.database.transaction():
            # What AWS was asked is told, though somebody else may have taken over meanwhile.
            self.recorder.audit(
                this.key, operation, grant, request_id=status.request_id, outcome="begun"
            )
            if self._is_lost(this):
                return
            self._write_down(this, operation, grant, status)

    def _done(
        self, this: _Pass, operation: Operation, grant: ApplicationGrant, request_id: str | None
    ) -> None:
        with self.database.transaction():
            if self._is_lost(this):
                self.recorder.audit(this.key, operation, grant, request_id=request_id)
                return
            write = self.recorder.given if operation == "create" else self.recorder.taken
            write(this.key, this.holder, grant, request_id=request_id)

    def _is_lost(self, this: _Pass) -> bool:
        """Whether the lease was lost during a call. The next step under it raises `LeaseLost`."""
        try:
            self.marks.renew(this.lease)
        except LeaseLost:
            return True
        return False

    def _not_done(self, this: _Pass, change: AccessChange, error: TargetError) -> None:
        """What an answer means that is not yes."""
        operation, grant = operation_of(change), change.grant
        who = this.key, this.holder, grant
        match error:
            case Conflict():
                # An earlier write has not spread yet; or, of a creation, it is there already.
                self.recorder.not_asked(this.holder, grant)
                this.reread = True
                this.obstacles.append(_busy(error.detail, error))
            case Missing() if operation == "delete":
                self.recorder.gone(*who)
                self.recorder.audit(
                    this.key, operation, grant, request_id=error.request_id, outcome="gone"
                )
            case Missing() if self.entitlements.is_new(this.key):
                self.recorder.not_asked(this.holder, grant)
                this.obstacles.append(_busy(f"AWS does not know yet: {error.detail}", error))
            case Refused() | Missing() if operation == "create":
                self._declined(this, grant, error)
            case Refused():
                self.recorder.not_taken(*who, error.detail, request_id=error.request_id)
                this.obstacles.append(_still_there(error.detail, error.request_id))
            case _:
                self.recorder.not_asked(this.holder, grant)
                if not isinstance(error, DoorClosed | CircuitOpen | Throttled):
                    this.obstacles.append(error)

    def _declined(self, this: _Pass, grant: Grant, error: TargetError) -> None:
        """AWS will not give it. If it misses something, that may be the principal itself."""
        self.recorder.not_given(
            this.key, this.holder, grant, error.detail, request_id=error.request_id
        )
        if isinstance(grant, ApplicationGrant):
            this.refusals[grant] = error.detail
        if isinstance(error, Missing):
            self.principal_marks.mark(Intent(key=this.key, reread=True))

    # -- Ending ---------------------------------------------------------

    def _end(self, this: _Pass) -> Outcome:
        """Give the lease back with what is left to do, the most pressing first."""
        mark, step = this.mark, self.planning.next_step(this.mark)
        busy = [request for request in step.requests if request.error is None]
        takes = (
            this.reread
            or this.is_blind
            or self._has_to_look(this)
            or any(_is_unwanted(one, step) for one in busy)
            or any(map(is_revocation, step.changes))
        )
        if this.obstacles:
            if not (takes or step.held or step.is_kept):
                self.marks.relieve(this.lease, mark)
            return self._postpone(this, _worst(this.obstacles))
        if not (busy or this.waiting or this.reread):
            return self._rest(this.lease, mark, step, refusals=this.refusals.values())
        if takes:
            error = f"AWS has not yet taken away {self._listed(busy)}"
            self.marks.postpone(
                this.lease, mark, delay=self._next_look(busy), error=error, reread=this.reread
            )
        else:
            error = f"AWS has not yet given {self._listed(busy)}"
            self.marks.leave(
                this.lease,
                mark,
                due_in=self._next_look(busy),
                keep_take_away=bool(step.held) or step.is_kept,
                error=error,
            )
        return Outcome(state="pending", error=error, under_way=True)

    def _listed(self, requests: Iterable[Request]) -> str:
        names = self._names(one.grant for one in requests)
        return "; ".join(sorted(names.values())) or "what it was asked to"

    def _names(self, grants: Iterable[AccountGrant]) -> dict[AccountGrant, str]:
        """What each of these is called; nothing is read when there are none."""
        wanted = set(grants)
        called = self.entitlements.catalogue.permission_set_names() if wanted else {}
        return {
            one: f"{called.get(one.permission_set, one.permission_set)} in {one.account}"
            for one in wanted
        }

    def _has_to_look(self, this: _Pass) -> bool:
        """Whether what is to be taken away is not known yet: nothing that was asked showed it."""
        looked = self._looked.get(this.key) == this.mark.generation
        return this.mark.take_away.everyone and not looked

    def _rest(
        self, lease: Lease, mark: Mark, step: AccessStep, *, refusals: Iterable[str] = ()
    ) -> Outcome:
        """Nothing is under way, and nothing is left that can be done now."""
        failed = [one for one in step.requests if one.error is not None]
        names = self._names(one.grant for one in failed)
        failures = [*refusals, *(f"{names[one.grant]}: {one.error}" for one in failed)]
        if failures:
            if step.entitled.principal is not None:
                self.grants.forget_failed(Holder(kind=lease.key.kind, id=step.entitled.principal))
            return self._settle(
                lease, mark, "failed", error="; ".join(sorted(set(failures))),
                keep_take_away=bool(step.held) or step.is_kept,
            )  # fmt: skip
        if step.unknown:
            error = f"waits for the next extraction: {', '.join(step.unknown)} not known"
            keep = bool(step.held) or step.is_kept
            self.marks.leave(lease, mark, due_in=PAUSE, keep_take_away=keep, error=error)
            return Outcome(state="pending", error=error)
        if step.held or step.is_kept:
            return self._settle(lease, mark, "held", keep_take_away=True)
        if step.changes:
            # A write came during the pass: the next one does it.
            self.marks.postpone(lease, mark, delay=0.0, error="being delivered")
            return Outcome(state="pending", under_way=True)
        return self._settle(lease, mark, "clear")

    def _settle(
        self,
        lease: Lease,
        mark: Mark,
        state: State,
        *,
        error: str | None = None,
        keep_take_away: bool = False,
    ) -> Outcome:
        self._looked.pop(lease.key, None)
        self._forget_what_never_came(lease.key)
        settled = self.marks.settle(lease, mark, state, error=error, keep_take_away=keep_take_away)
        if settled and state == "clear":
            self._let_go(lease.key)
        return Outcome(state=state if settled else "pending", error=error)

    def _let_go(self, key: Key) -> None:
        """A group that is to be deleted has waited for its assignments to be gone."""
        if key.kind == "user" or self.entitlements.is_effective(key):
            return
        mark = self.principal_marks.find(key)
        if mark is not None and mark.state == "pending":
            self.principal_marks.mark(Intent(key=key))

    def _forget_what_never_came(self, key: Key) -> None:
        """What was asked for and not given is the bridge's no more."""
        holder = self.entitlements.holder(key)
        if holder is not None:
            for grant in self.grants.applied(holder) - self.grants.observed(holder):
                self.grants.not_given(holder, grant)

    def _postpone(self, this: _Pass, error: TargetError) -> Outcome:
        """Leave the rest for later."""
        self.marks.postpone(
            this.lease,
            this.mark,
            delay=self._delay(this.mark, error),
            error=str(error),
            reread=this.reread or isinstance(error, Unavailable | Missing),
            denied=error.action if isinstance(error, AccessDenied) else None,
        )
        if isinstance(error, Missing):
            self.principal_marks.mark(Intent(key=this.key, reread=True))
        return Outcome(state="pending", error=str(error), under_way=isinstance(error, _Busy))

    def _delay(self, mark: Mark, error: TargetError) -> float:
        """How long to wait before the next try, in seconds."""
        probe = self._door.circuit.next_probe
        if isinstance(error, CircuitOpen | DoorClosed) and probe is not None:
            return min(max(0.0, (probe - datetime.now(UTC)).total_seconds()) + 0.2, PAUSE)
        if isinstance(error, Throttled) and error.retry_after is not None:
            return min(error.retry_after, PAUSE)
        most = REMOVAL_PAUSE if mark.urgent else PAUSE
        if isinstance(error, AccessDenied):
            most = DENIED_PAUSE
        return self.jitter(min(most, 0.5 * 2.0 ** min(mark.attempts, 10)))

    def _next_look(self, busy: Iterable[Request]) -> float:
        """When to look again: soon after something was begun, and less often as it takes longer."""
        youngest = min((request.age for request in busy), default=0.0)
        return min(max(youngest, self.first_look), LAST_LOOK)

    # -- Calls ----------------------------------------------------------

    @property
    def _door(self) -> SsoAdmin:
        if self.sso_admin is None:
            raise RuntimeError(NO_DOOR)
        return self.sso_admin

    def _haste(self, this: _Pass) -> Haste:
        return {"urgent": this.mark.urgent, "deadline": self._deadline()}

    def _deadline(self) -> float:
        return time.monotonic() + self.call_seconds

    def _turn_page(self, this: _Pass) -> float:
        """The time of a list's next page: a long list must not outlast the lease."""
        self.marks.renew(this.lease)
        return self._deadline()


def _is_unwanted(request: Request, step: AccessStep) -> bool:
    """Whether what AWS is doing takes access away, or gives what has to be taken away again."""
    return request.operation == "delete" or request.grant not in step.entitled.desired


def _is_of(holder: Holder, kind: str, principal: str) -> bool:
    """Whether a row is the principal's own: AWS may show what a user has through groups, too."""
    return (kind, principal) == (holder.kind, holder.id)


def _is_unclear(request: Request, shown: frozenset[Grant], desired: frozenset[Grant]) -> bool:
    """Whether a call whose answer was lost may yet show an effect that nobody wants any more.

    One that is still wanted is simply made again.
    """
    gives = request.operation == "create"
    has_arrived = (request.grant in shown) == gives
    is_wanted = (request.grant in desired) == gives
    return not has_arrived and not is_wanted and request.age < UNCERTAIN_FOR


def _still_there(reason: str, request_id: str | None) -> StillThere:
    return StillThere(
        f"AWS refuses to take an assignment away and is asked again: {reason}",
        request_id=request_id,
    )


def _busy(detail: str, error: TargetError) -> _Busy:
    return _Busy(detail, status=error.status, request_id=error.request_id)


def _worst(obstacles: Iterable[TargetError]) -> TargetError:
    """The obstacle an operator has to know of: a missing permission, a door, else the last."""
    ranked = (AccessDenied, DoorClosed, CircuitOpen, StillThere, TargetError)
    found = list(obstacles)
    return next(error for kind in ranked for error in reversed(found) if isinstance(error, kind))
