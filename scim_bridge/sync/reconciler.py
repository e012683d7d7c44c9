"""One pass: bring one resource at the target to what the directory wants, under its lease."""

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import structlog

from scim_bridge.directory.actor import caused_by
from scim_bridge.directory.database import Database
from scim_bridge.errors import (
    CircuitOpen,
    DoorClosed,
    Missing,
    Refused,
    TargetError,
    Throttled,
    TryLater,
    Unavailable,
)
from scim_bridge.identity_center.center import Center
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.changes import (
    AddMembers,
    Change,
    DisableUser,
    EnableUser,
    RemoveMembers,
)
from scim_bridge.plan.changes import subject as subject_of
from scim_bridge.plan.diff import surplus
from scim_bridge.plan.state import Group, TakeAway, User
from scim_bridge.sync.attempt import Attempts, Inline, StillThere
from scim_bridge.sync.marks import Intent, Key, Lease, LeaseLost, Mark, Marks, State
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.planning import Planning, Step
from scim_bridge.sync.record import Declined, Done, Ending, Recorder
from scim_bridge.sync.restoration import record_memberships

log = structlog.get_logger(__name__)

# The longest pause between two tries, in seconds: of a removal, and of anything else.
REMOVAL_PAUSE = 10.0
PAUSE = 60.0

# A pass that has done something this many times, and still finds a difference, ends: a target that
# keeps showing something else is not asked without end. New writes count too; they are due at once.
MOST_ROUNDS = 20

# Asking for this many people one by one costs no more than reading a page or two of the group.
ASK_ONE_BY_ONE = 3


# Somebody is not enabled before they are out of the groups they are to lose; but after this many
# tries they are: a group that nobody can be taken out of must not keep them from work for good.
WAITS_FOR_GROUPS = 5


# A change, and the answer with which it was refused together with others.
_Try = tuple[Change, StillThere | None]

# What a pass may take, in seconds, that is under way when the process is to end. Most end whole.
ENDS_WITHIN = 5.0


class StillMember(TryLater):
    """Somebody who is to be enabled has yet to lose access they had before."""


class Unsettled(TryLater):
    """The target does what it is asked and shows something else."""


class BeingStopped(TryLater):
    """The process ends: what a pass has yet to do is left to the next one."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a pass came to."""

    state: State
    # The refusal for good, when there was one.
    refused: Refused | None = None
    error: str | None = None
    # The target has taken something up and has yet to end it.
    under_way: bool = False


@dataclass(kw_only=True)
class _Pass:
    """What one pass has learned so far."""

    lease: Lease
    # Monotonic; None: each call has its own full time.
    deadline: float | None
    # False: additions of members are left to the worker, which collects them.
    additions: bool
    mark: Mark | None = None
    endings: list[Ending] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    declined_members: set[str] = field(default_factory=set)
    # The generations whose target side was read for what is to be taken away.
    looked: set[int] = field(default_factory=set)
    # Whether groups were asked to let somebody go who is to be enabled.
    let_go: bool = False


class Reconciler:
    """Brings resources of the directory to one target, one at a time."""

    def __init__(
        self,
        *,
        database: Database,
        center: Center,
        marks: Marks,
        observations: Observations,
        planning: Planning,
        recorder: Recorder,
        call_seconds: float = 20.0,
        quiet: float = 0.5,
        jitter: Callable[[float], float] = lambda most: random.uniform(most / 2, most),
        inline: Inline = Inline(),  # noqa: B008 - frozen
        detour: Center | None = None,
    ) -> None:
        self.database = database
        self.center = center
        self.marks = marks
        self.observations = observations
        self.planning = planning
        self.recorder = recorder
        self.attempts = Attempts(database, center, marks, observations, recorder, inline, detour)
        self.call_seconds = call_seconds
        self.quiet = quiet
        self.jitter = jitter
        self._ends_at = math.inf

    def end_soon(self) -> None:
        """Have every pass end within `ENDS_WITHIN`, after the call that it is at then. What was
        done is written down, and the rest is due at once for whoever comes next.
        """
        self._ends_at = min(self._ends_at, time.monotonic() + ENDS_WITHIN)

    def reconcile(
        self, lease: Lease, *, deadline: float | None = None, additions: bool = True
    ) -> Outcome:
        """Run a pass under a lease and give the lease back.

        Reads what is desired again after its calls, until nothing differs, `MOST_ROUNDS` times at
        most. Never raises for what the target does: the mark then stays and says why.
        """
        this = _Pass(lease=lease, deadline=deadline, additions=additions)
        try:
            return self._until_nothing_differs(this)
        except LeaseLost as error:
            return self._lost(this, error)
        except TargetError as error:
            return self._postpone(this, error)

    def _until_nothing_differs(self, this: _Pass) -> Outcome:
        self._reread(this)
        changes: tuple[Change, ...] = ()
        for _ in range(MOST_ROUNDS):
            self._look_before_taking_away(this)
            with self.database.transaction():
                step = self._next_step(this)
                changes = self._to_do(this, step)
                leaver = self._stripped(this, step)
                if not changes and leaver is None:
                    return self._settle(this, step)
                losing = self._losing(this, changes) if leaver is None else []
                if not losing:
                    self.recorder.begin(changes)
            if losing:
                self._let_go(this, losing)
                continue
            if leaver is not None:
                changes = self._from_unknown_groups(this, leaver)
            self._carry_out(this, changes)
        done = sorted({type(change).__name__ for change in changes})
        raise Unsettled(
            f"something still differed after {MOST_ROUNDS} rounds, the last of {', '.join(done)}: "
            f"{self.center.circuit.whose} takes it and shows something else, or writes keep coming"
        )

    # -- Planning and doing ---------------------------------------------

    def _next_step(self, this: _Pass) -> Step:
        """Write down what was done and read everything again."""
        self.marks.renew(this.lease)
        self._write_down(this)
        this.mark = self.marks.read(this.lease.key)
        return self.planning.next_step(this.mark)

    def _to_do(self, this: _Pass, step: Step) -> tuple[Change, ...]:
        """The changes of a step that were not refused in this pass and are not the worker's."""
        refused = [ending.change for ending in this.declined]
        changes = (_without(change, this.declined_members) for change in step.changes)
        return tuple(
            change
            for change in changes
            if change is not None
            and change not in refused
            and (this.additions or not isinstance(change, AddMembers))
        )

    def _carry_out(self, this: _Pass, changes: Iterable[Change]) -> None:
        """Make changes, one after the other. Of several members, who is refused is found out.

        Raises `StillThere` in the end when a removal was refused: it does not stop the others.
        """
        left: deque[_Try] = deque((change, None) for change in changes)
        refused: StillThere | None = None
        # What planned the first call has just renewed the lease for it.
        is_first = True
        while left:
            if not is_first:
                self._write_down_between_calls(this)
            is_first = False
            change, refused_before = left.popleft()
            if refused_before is not None and refused is not None and refused.denied is not None:
                # Nor would the other door let anybody else out.
                continue
            try:
                with caused_by(_read(this).requests):
                    ending = self.attempts.make(
                        change, deadline=self._deadline(this), refused=refused_before
                    )
            except StillThere as error:
                parts = _apart(change, self.attempts.barred(change), error)
                left.extendleft(reversed(parts))
                refused = refused if parts else error
                continue
            if isinstance(ending, Declined):
                left.extendleft((half, None) for half in reversed(self._decline(this, ending)))
                continue
            this.endings.append(ending)
            if not isinstance(ending, Done) and subject_of(change) == this.lease.key.id:
                # What was planned for the resource no longer fits what is there. A group that a
                # leaver was in, and that is gone, says nothing about the others.
                break
        if refused is not None:
            raise refused

    def _decline(self, this: _Pass, ending: Declined) -> tuple[Change, ...]:
        """Keep a refusal; or, of several members, ask for each half of them."""
        halves = _halves(ending.change)
        if halves:
            return halves
        if isinstance(ending.change, AddMembers):
            this.declined_members.update(ending.change.members)
        this.declined.append(ending)
        this.endings.append(ending)
        return ()

    def _write_down_between_calls(self, this: _Pass) -> None:
        """Write down what the last call came to, and hold the lease for all of the next."""
        with self.database.transaction():
            self.marks.renew(this.lease)
            self._write_down(this)
        self._refuse_to_go_on()

    def _refuse_to_go_on(self) -> None:
        if time.monotonic() > self._ends_at:
            raise BeingStopped("the bridge was stopped in the middle, and goes on when it runs")

    def _write_down(self, this: _Pass) -> None:
        if this.endings:
            with caused_by(_read(this).requests):
                for ending in this.endings:
                    self.recorder.write(ending)
        this.endings.clear()

    def _deadline(self, this: _Pass) -> float:
        own = time.monotonic() + self.call_seconds
        return own if this.deadline is None else min(own, this.deadline)

    def _for_next_page(self, this: _Pass) -> float:
        """The time of a list's next page: a long list must not outlast the lease."""
        self._refuse_to_go_on()
        self.marks.renew(this.lease)
        return self._deadline(this)

    def _haste(self, this: _Pass) -> Haste:
        return {"urgent": _read(this).urgent, "deadline": self._deadline(this)}

    # -- Reading the target ---------------------------------------------

    def _reread(self, this: _Pass) -> None:
        """After a lost answer or a lost holder, see what the target really holds."""
        key = this.lease.key
        with self.database.reading():
            this.mark = mark = self.marks.read(key)
            if not mark.reread:
                return
            link = self.observations.link(key)
            subject = self.planning.subject(mark)
        if link is None:
            self._find(this, subject)
            return
        read = self.center.user if key.kind == "user" else self.center.group
        haste = self._haste(this)
        principal = read(link.target_id, **haste)
        members = self._members(this, link.target_id) if key.kind == "group" and principal else None
        with self.database.transaction():
            self.marks.forget_reread(this.lease)
            if principal is None:
                self.recorder.drop_link(link)
                return
            self.recorder.see(key, principal)
            if members is not None:
                self._see_members(this, principal.id, members)

    def _find(self, this: _Pass, subject: User | Group | None) -> None:
        """Look for what an earlier creation, whose answer was lost, may have made."""
        key = this.lease.key
        found = None
        if subject is not None:
            found = self.attempts.lost.found(key, subject.external_id, **self._haste(this))
        with self.database.transaction():
            self.marks.forget_reread(this.lease)
            if found is None:
                return
            if self.observations.linked_to(key.kind, found.id) is None:
                self.recorder.found(key, found)

    def _look_before_taking_away(self, this: _Pass) -> None:
        """See who is in a group, before people go whom the bridge may not have put there."""
        key = this.lease.key
        if key.kind != "group":
            return
        with self.database.reading():
            mark = self.marks.read(key)
            this.mark = mark
            link = self.observations.link(key)
            _, known = self.observations.members(link.target_id) if link else (None, frozenset())
        if link is None or mark.generation in this.looked:
            return
        this.looked.add(mark.generation)
        unknown = mark.take_away.named - known
        if mark.take_away.everyone or mark.take_away.linked or len(unknown) > ASK_ONE_BY_ONE:
            members = self._members(this, link.target_id)
            with self.database.transaction():
                self.marks.renew(this.lease)
                self._see_members(this, link.target_id, members)
            return
        for member in sorted(unknown):
            is_member = self._is_member(this, link.target_id, member)
            with self.database.transaction():
                self.marks.renew(this.lease)
                if is_member:
                    self.observations.see_member(link.target_id, member)

    def _members(self, this: _Pass, group: str) -> frozenset[str]:
        turn_page = partial(self._for_next_page, this)
        return self.center.members(group, turn_page=turn_page, **self._haste(this))

    def _see_members(self, this: _Pass, group: str, members: frozenset[str]) -> None:
        """Remember who is in a group, but never that somebody is out who is yet to be taken out.

        An answer may be empty or partial; to take out who is out already changes nothing.
        """
        subject = self.planning.subject(_read(this))
        leaving = surplus(subject) if isinstance(subject, Group) else frozenset()
        self.observations.see_members(group, members | leaving)

    def _is_member(self, this: _Pass, group: str, member: str) -> bool:
        """Whether somebody is in a group. Who is gone is in none."""
        haste = self._haste(this)
        try:
            return self.center.is_member(group, member, **haste)
        except Missing:
            if self.center.user(member, **haste) is not None:
                raise
            return False

    # -- Leavers --------------------------------------------------------

    def _stripped(self, this: _Pass, step: Step) -> User | None:
        """The person whose memberships are to be taken away now, once in this pass.

        A leaver, once they are disabled; or somebody hired again, before they are enabled, who
        still holds what was to be taken from their earlier record.
        """
        user, mark = step.subject, _read(this)
        if not isinstance(user, User) or user.principal is None or user.desired is None:
            return None
        disabled_first = any(isinstance(change, DisableUser) for change in step.changes)
        waits = step.held or disabled_first or not mark.take_away.everyone
        if waits or mark.generation in this.looked:
            return None
        this.looked.add(mark.generation)
        return user

    def _from_unknown_groups(self, this: _Pass, leaver: User) -> tuple[Change, ...]:
        """Take a leaver out of every group Identity Center reports.

        Groups the directory knows lose the person under their own leases. The changes returned are
        for the others; there the group is named by its id at the target.
        """
        principal = str(leaver.principal)
        groups = self.center.groups_of(principal, **self._haste(this))
        with self.database.transaction(), caused_by(_read(this).requests):
            self.marks.renew(this.lease)
            known = self.observations.resources("group", groups)
            record_memberships(
                self.database, self.observations.target, leaver.id, principal, groups
            )
            named = TakeAway(named=frozenset({principal}))
            for group_id in sorted(known.values()):
                key = Key(kind="group", id=group_id)
                self.marks.mark(Intent(key=key, urgent=True, take_away=named))
            for group in known:
                self.observations.see_member(group, principal)
        return tuple(
            RemoveMembers(group=group, principal=group, members=(principal,))
            for group in sorted(groups - known.keys())
        )

    # -- Hired again ----------------------------------------------------

    def _losing(self, this: _Pass, changes: Iterable[Change]) -> list[Key]:
        """The groups somebody who is about to be enabled is in, and is to be taken out of first."""
        enabled = [change.principal for change in changes if isinstance(change, EnableUser)]
        if not enabled or (this.let_go and _read(this).attempts >= WAITS_FOR_GROUPS):
            return []
        (member,) = enabled
        groups = self.observations.resources("group", self.observations.groups_of(member))
        keys = [Key(kind="group", id=group_id) for group_id in sorted(groups.values())]
        return [key for key in keys if self._loses(key, member)]

    def _loses(self, group: Key, member: str) -> bool:
        mark = self.marks.find(group)
        if mark is None or mark.state != "pending":
            return False
        subject = self.planning.subject(mark)
        return isinstance(subject, Group) and member in surplus(subject)

    def _let_go(self, this: _Pass, groups: Iterable[Key]) -> None:
        """Revoke before grant: have these groups delivered, each under its own lease.

        Raises `StillMember` when that has been tried in this pass.
        """
        if this.let_go:
            raise StillMember("enabled once they are out of the groups they had before")
        this.let_go = True
        for key in groups:
            lease = self.marks.claim(key)
            if lease is not None:
                self.reconcile(lease, deadline=this.deadline, additions=False)

    # -- Ending ---------------------------------------------------------

    def _settle(self, this: _Pass, step: Step) -> Outcome:
        mark = _read(this)
        refused = _refusal(this.declined, step.changes)
        error = refused.detail if refused is not None else None
        if step.waits is not None:
            self.marks.postpone(this.lease, mark, delay=REMOVAL_PAUSE, error=step.waits)
            return Outcome(state="pending", error=step.waits)
        if not this.additions and any(isinstance(c, AddMembers) for c in step.changes):
            self.marks.leave(this.lease, mark, due_in=self.quiet, keep_take_away=bool(step.held))
            return Outcome(state="pending", refused=refused, error=error)
        state: State = "clear"
        if refused is not None:
            state = "failed"
        elif step.held:
            state = "held"
        elif step.suppressed:
            state = "suppressed"
        self.marks.settle(this.lease, mark, state, error=error, keep_take_away=bool(step.held))
        return Outcome(state=state, refused=refused, error=error)

    def _postpone(self, this: _Pass, error: TargetError) -> Outcome:
        """Write down what was done and leave the rest for later."""
        mark = _read(this)
        try:
            with self.database.transaction():
                self.marks.renew(this.lease)
                self._write_down(this)
                self.marks.postpone(
                    this.lease,
                    mark,
                    delay=self._pause(mark, error),
                    error=str(error),
                    reread=isinstance(error, Unavailable | Missing),
                    denied=error.denied if isinstance(error, StillThere) else None,
                )
        except LeaseLost as lost:
            return self._lost(this, lost)
        return Outcome(state="pending", error=str(error))

    def _lost(self, this: _Pass, error: LeaseLost) -> Outcome:
        """Leave the rest to who has taken over. What was done stays done, and is audited."""
        log.warning("lease lost", kind=this.lease.key.kind, id=this.lease.key.id)
        with self.database.transaction(), caused_by(this.mark.requests if this.mark else ()):
            for ending in this.endings:
                if isinstance(ending, Done):
                    self.recorder.audit(ending)
        this.endings.clear()
        return Outcome(state="pending", error=str(error))

    def _pause(self, mark: Mark, error: TargetError) -> float:
        """How long to wait before the next try, in seconds."""
        if isinstance(error, BeingStopped):
            return 0.0
        if isinstance(error, CircuitOpen | DoorClosed):
            return self._until_next_probe()
        # Everybody who leaves meanwhile waits for the same permission.
        is_denied = isinstance(error, StillThere) and error.denied is not None
        most = REMOVAL_PAUSE if mark.urgent and not is_denied else PAUSE
        if isinstance(error, Throttled) and error.retry_after is not None:
            return min(error.retry_after, PAUSE)
        return self.jitter(min(most, 0.5 * 2.0 ** min(mark.attempts, 10)))

    def _until_next_probe(self) -> float:
        probe = self.center.circuit.next_probe
        if probe is None:
            return 1.0
        # No longer than any pause, whatever happened to the clock since the probe was set.
        return min(max(0.0, (probe - datetime.now(UTC)).total_seconds()) + 0.2, PAUSE)


def _read(this: _Pass) -> Mark:
    if this.mark is None:
        raise RuntimeError("a pass reads its mark first")
    return this.mark


def _refusal(declined: Iterable[Declined], changes: Iterable[Change]) -> Refused | None:
    """The last refusal of something that is still to be done: a newer write may have replaced it.

    Of additions, whose single members are refused, the members decide.
    """
    changes = tuple(changes)
    additions = (change for change in changes if isinstance(change, AddMembers))
    joining = {member for change in additions for member in change.members}
    still = [
        ending.error
        for ending in declined
        if ending.change in changes
        or (isinstance(ending.change, AddMembers) and joining.intersection(ending.change.members))
    ]
    return still[-1] if still else None


def _halves(change: Change) -> tuple[Change, ...]:
    """A change of several members as two; nothing where there is nothing to divide."""
    if not isinstance(change, AddMembers | RemoveMembers) or len(change.members) < 2:
        return ()
    middle = len(change.members) // 2
    return (
        replace(change, members=change.members[:middle]),
        replace(change, members=change.members[middle:]),
    )


def _apart(change: Change, barred: frozenset[str], error: StillThere) -> list[_Try]:
    """A refused change in parts: who only the detour can take out, one by one, and the others; or
    halves, until it is found out who it is.
    """
    if not barred or not isinstance(change, RemoveMembers) or len(change.members) < 2:
        return [(half, None) for half in _halves(change)]
    others = tuple(member for member in change.members if member not in barred)
    together: list[_Try] = [(replace(change, members=others), None)] if others else []
    alone = (replace(change, members=(member,)) for member in sorted(barred))
    return [*together, *((one, error) for one in alone)]


def _without(change: Change, members: set[str]) -> Change | None:
    """An addition without these members."""
    if not isinstance(change, AddMembers) or not members:
        return change
    left = tuple(member for member in change.members if member not in members)
    return replace(change, members=left) if left else None
