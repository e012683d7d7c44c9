"""How are the running sessions of a leaver ended at once (`[deprovision] cut_sessions`)?

By a denial in the inline policy of each permission set the person could reach, for as long as a
session begun before may live. Without the setting, it is only written down until when that is.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    update,
)

from scim_bridge.directory import locks
from scim_bridge.directory.actor import BRIDGE, acting
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.locks import turn
from scim_bridge.directory.nesting import groups_with
from scim_bridge.directory.tables import (
    assignments,
    audit,
    held,
    links,
    losses,
    observed,
    observed_assignments,
    observed_memberships,
    permission_sets,
    session_cuts,
    users,
)
from scim_bridge.directory.write import Write
from scim_bridge.errors import Missing, TargetError, TryLater
from scim_bridge.identity_center.sso_admin import SsoAdmin
from scim_bridge.plan.session_policy import UnreadablePolicy, with_denial
from scim_bridge.sync import TARGET, at_which
from scim_bridge.sync.beside import Beside
from scim_bridge.sync.pause import paused

log = structlog.get_logger(__name__)

# A session of the access portal that is cached may begin role sessions for up to an hour more
# (IAM Identity Center user guide, "Authentication sessions").
PORTAL_SECONDS = 3600.0
# The longest session a permission set may give: assumed of one that was never read.
LONGEST_SECONDS = 12 * 3600

LOCK, LOCK_SECONDS = "session cuts", 300.0
# How often it is looked whether there is anything to do, and how long a provisioning is awaited.
LOOK_EVERY = 1.0
TRY_AGAIN_AFTER = 30.0
PROVISIONED_WITHIN = 60.0
POLL_EVERY = 0.5

_cuts = session_cuts.c


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The permission sets somebody could reach, with the longest session of each, in seconds."""

    sessions: Mapping[str, int]

    def ends(self, at: float) -> float | None:
        """When the last session begun until `at` has ended; None if there can be none."""
        if not self.sessions:
            return None
        return at + max(self.sessions.values()) + PORTAL_SECONDS


def reach(database: Database, target: str, user_id: str) -> Reach:
    """What a person could reach: as observed at the target, and as the directory gives it."""
    with database.reading() as connection:
        principal = connection.scalar(
            select(links.c.target_id).where(
                links.c.target == target, links.c.kind == "user", links.c.resource_id == user_id
            )
        )
        arns = _observed(database, target, principal) if principal else set[str]()
        arns |= _entitled(database, user_id)
        rows = connection.execute(select(permission_sets.c.arn, permission_sets.c.session_seconds))
        known = {row.arn: row.session_seconds for row in rows}
    return Reach(sessions={arn: known.get(arn, LONGEST_SECONDS) for arn in sorted(arns)})


def _observed(database: Database, target: str, principal: str) -> set[str]:
    seen, inside = observed_assignments.c, observed_memberships.c
    joined = select(inside.group_id).where(inside.target == target, inside.member_id == principal)
    query = select(seen.permission_set).where(
        seen.target == target,
        seen.permission_set != "",
        or_(
            (seen.kind == "user") & (seen.principal_id == principal),
            (seen.kind == "group") & seen.principal_id.in_(joined),
        ),
    )
    return set(database.connection.scalars(query))


def _entitled(database: Database, user_id: str) -> set[str]:
    given, joined = assignments.c, groups_with(user_id)
    query = select(given.permission_set_arn).where(
        given.valid_to.is_(None),
        given.permission_set_arn.is_not(None),
        or_(
            (given.kind == "user") & (given.resource_id == user_id),
            (given.kind == "group") & given.resource_id.in_(joined),
        ),
    )
    return set(database.connection.scalars(query))


class Cuts:
    """Writes down whose sessions are to end, and brings it to the permission sets."""

    def __init__(
        self,
        database: Database,
        target: str,
        sso_admin: SsoAdmin | None,
        *,
        wanted: bool,
        brake: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.database = database
        self.target = target
        self.sso_admin = sso_admin
        self.wanted = wanted
        self.brake = brake
        self.clock = clock
        self.sleep = sleep
        self._lock = LOCK if target == TARGET else f"{LOCK}@{target}"
        self._next_look = 0.0
        # When a permission set whose policy could not be written is tried again.
        self._not_before: dict[str, float] = {}
        self._beside = Beside("cutting of sessions", self._bring_all, target=target)

    # -- In the write's transaction ------------------------------------

    def written(self, write: Write) -> None:
        """Begin a cut for a leaver and end it for a returner. Before memberships are marked."""
        if write.leaves:
            self._begin(write.id)
        elif write.returns and not write.is_new:
            self._end(write.id)

    def _begin(self, user_id: str) -> None:
        found = reach(self.database, self.target, user_id)
        ends = found.ends(self.database.clock())
        if ends is None:
            return
        record(
            self.database,
            action=Action.SESSIONS,
            kind="user",
            resource_id=user_id,
            facts={
                "sessions may live until": _moment(ends),
                "cut at once": self.wanted,
                "permission sets": len(found.sessions),
                **at_which(self.target),
            },
        )
        principal = self._principal(user_id)
        if self.wanted and self.sso_admin is not None and principal is not None:
            self._want(user_id, principal, found)

    def _want(self, user_id: str, principal: str, found: Reach) -> None:
        connection, at = self.database.connection, self.database.clock()
        connection.execute(
            delete(session_cuts).where(
                _cuts.target == self.target,
                _cuts.principal_id == principal,
                _cuts.permission_set.in_(found.sessions),
            )
        )
        connection.execute(
            session_cuts.insert(),
            [
                {
                    "target": self.target,
                    "permission_set": arn,
                    "principal_id": principal,
                    "person": user_id,
                    "until": at + seconds + PORTAL_SECONDS,
                    "state": "wanted",
                    "at": at,
                }
                for arn, seconds in found.sessions.items()
            ],
        )

    def _end(self, user_id: str) -> None:
        self.database.connection.execute(
            update(session_cuts)
            .where(_cuts.target == self.target, _cuts.person == user_id)
            .values(state="ended")
        )

    def _principal(self, user_id: str) -> str | None:
        found: str | None = self.database.connection.scalar(
            select(links.c.target_id).where(
                links.c.target == self.target,
                links.c.kind == "user",
                links.c.resource_id == user_id,
            )
        )
        return found

    # -- At Identity Center --------------------------------------------

    def look(self) -> None:
        """Begin with what is due, in the background. Called as often as one likes."""
        if self._beside.is_under_way or self.clock() < self._next_look:
            return
        self._next_look = self.clock() + LOOK_EVERY
        self._beside.begin(self._due)

    def stop(self) -> None:
        """Wait for the policy that is being written; what is left is done by the next run."""
        self._beside.stop()

    def bring(self) -> None:
        """Put denials in and take them out, where that is due. One process at a time does it."""
        with turn(self.database, self._lock, LOCK_SECONDS) as is_ours:
            for permission_set in self._due() if is_ours else ():
                if not self._beside.stopping.is_set():
                    locks.keep(self.database, self._lock, LOCK_SECONDS)
                    self._bring(permission_set)

    def _bring_all(self) -> None:
        with acting(BRIDGE):
            self.bring()

    def _due(self) -> Sequence[str]:
        """The permission sets whose policy is not as it should be. None while all is paused."""
        new = and_(_cuts.state.in_(("wanted", "failed")), self._has_passed())
        with self.database.reading() as connection:
            if paused(self.database) is not None:
                return []
            due = connection.scalars(
                select(_cuts.permission_set)
                .where(
                    _cuts.target == self.target,
                    or_(new, _cuts.state == "ended", _cuts.until <= now()),
                )
                .distinct()
                .order_by(_cuts.permission_set)
            ).all()
        at = self.clock()
        return [one for one in due if self._not_before.get(one, at) <= at]

    def _has_passed(self) -> ColumnElement[bool]:
        """Whether the brake has let somebody's leaving pass: it was counted, or approved."""
        if not self.brake:
            return true()
        counted = exists().where(
            losses.c.target == self.target,
            losses.c.category == "disable",
            losses.c.person == _cuts.person,
            losses.c.at >= _cuts.at - 1.0,
        )
        approved = exists().where(
            held.c.target == self.target,
            held.c.category == "disable",
            held.c.person == _cuts.person,
            held.c.state == "approved",
        )
        disabled = exists().where(
            observed.c.target == self.target,
            observed.c.kind == "user",
            observed.c.target_id == _cuts.principal_id,
            observed.c.active.is_(False),
        )
        return or_(counted, approved, disabled)

    def _bring(self, permission_set: str) -> None:
        """Bring one permission set's inline policy to what is wanted, and provision it."""
        rows = self._rows(permission_set)
        at = self.database.clock()
        standing = [row for row in rows if row.is_wanted and row.until > at]
        try:
            placed = self._provisioned(permission_set, [row.principal_id for row in standing])
        except Missing:
            self._forget(permission_set)
            return
        except (TargetError, UnreadablePolicy, TimeoutError) as error:
            self._fail(permission_set, str(error))
            return
        with self.database.transaction():
            for row in rows:
                self._settle(row, placed=row.principal_id in placed, wanted=row in standing)

    def _rows(self, permission_set: str) -> Sequence[Row[tuple[object, ...]]]:
        with self.database.reading() as connection:
            is_wanted = or_(
                _cuts.state.in_(("standing", "full")),
                and_(_cuts.state.in_(("wanted", "failed")), self._has_passed()),
            )
            waits = and_(_cuts.state.in_(("wanted", "failed")), not_(self._has_passed()))
            return connection.execute(
                select(session_cuts, is_wanted.label("is_wanted"))
                .where(not_(waits))
                .where(_cuts.target == self.target, _cuts.permission_set == permission_set)
                .order_by(_cuts.at, _cuts.principal_id)
            ).all()

    def _provisioned(self, permission_set: str, people: Iterable[str]) -> frozenset[str]:
        """Write the policy and see it provisioned. Returns whom it denies.

        Raises `TargetError`, `UnreadablePolicy`, and `TimeoutError` while AWS still works at it.
        """
        present = self._api().get_inline_policy(permission_set, urgent=True)
        policy = with_denial(present, people)
        if policy.document is None:
            if present:
                self._api().delete_inline_policy(permission_set, urgent=True)
        elif policy.document != present:
            self._api().put_inline_policy(permission_set, policy.document, urgent=True)
        self._provision(permission_set)
        return frozenset(policy.placed)

    def _api(self) -> SsoAdmin:
        if self.sso_admin is None:
            raise TryLater("[identity_center] region is not set, so no session can be cut")
        return self.sso_admin

    def _provision(self, permission_set: str) -> None:
        status = self._api().provision_permission_set(permission_set, urgent=True)
        end = self.clock() + PROVISIONED_WITHIN
        while status.state == "IN_PROGRESS":
            if self.clock() >= end:
                raise TimeoutError("Identity Center has not yet provisioned the permission set")
            self.sleep(POLL_EVERY)
            status = self._api().provisioning_status(status.request_id, urgent=True)
        if status.state == "FAILED":
            raise TimeoutError(f"the provisioning failed: {status.failure_reason}")

    def _forget(self, permission_set: str) -> None:
        """The permission set is gone, and with it the sessions it gave."""
        with self.database.transaction() as connection:
            connection.execute(
                delete(session_cuts).where(
                    _cuts.target == self.target, _cuts.permission_set == permission_set
                )
            )

    def _fail(self, permission_set: str, reason: str) -> None:
        self._not_before[permission_set] = self.clock() + TRY_AGAIN_AFTER
        log.warning("sessions could not be cut", permission_set=permission_set, reason=reason)
        with self.database.transaction() as connection:
            connection.execute(
                update(session_cuts)
                .where(
                    _cuts.target == self.target,
                    _cuts.permission_set == permission_set,
                    _cuts.state == "wanted",
                )
                .values(state="failed", error=reason)
            )

    def _settle(self, row: Row[tuple[object, ...]], *, placed: bool, wanted: bool) -> None:
        """Write down what became of one person's cut, unless a write has changed it meanwhile."""
        same = (
            (_cuts.target == self.target)
            & (_cuts.permission_set == row.permission_set)
            & (_cuts.principal_id == row.principal_id)
            & (_cuts.at == row.at)
            & (_cuts.state == row.state)
        )
        connection = self.database.connection
        if not wanted:
            changed = connection.execute(delete(session_cuts).where(same)).rowcount
            self._audit(row, "ended") if changed else None
            return
        state = "standing" if placed else "full"
        error = None if placed else "the inline policy of the permission set is full"
        if row.state != state:
            connection.execute(update(session_cuts).where(same).values(state=state, error=error))
            self._audit(row, "cut" if placed else "no room")

    def _audit(self, row: Row[tuple[object, ...]], outcome: str) -> None:
        record(
            self.database,
            action=Action.SESSION_CUT,
            kind="user",
            resource_id=str(row.person),
            outcome=outcome,
            facts={
                "permission set": row.permission_set,
                "until": _moment(row.until),
                **at_which(self.target),
            },
        )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def hand_over(database: Database, target: str, old: str, new: str) -> None:
    """Somebody is hired again: the cuts of the earlier record end, as with any return."""
    database.connection.execute(
        update(session_cuts)
        .where(_cuts.target == target, _cuts.person == old)
        .values(person=new, state="ended")
    )


def sessions_until(database: Database, person: str) -> float | None:
    """Until when sessions of somebody who left may live, in seconds since 1970.

    None when they returned, when there can be none any more, or when all were cut.
    """
    noted = (
        select(audit.c.facts)
        .where(audit.c.resource_id == person, audit.c.action == Action.SESSIONS)
        .order_by(audit.c.id.desc())
        .limit(1)
    )
    with database.reading() as connection:
        facts = connection.scalar(noted)
        active = connection.scalar(
            select(users.c.active).where(users.c.id == person, users.c.deleted_at.is_(None))
        )
        uncut = connection.scalar(
            select(_cuts.person).where(_cuts.person == person, _cuts.state != "standing").limit(1)
        )
    if facts is None or active:
        return None
    said = json.loads(facts)
    until = datetime.fromisoformat(said["sessions may live until"]).timestamp()
    cut = said["cut at once"] and uncut is None
    return None if cut or until <= database.clock() else until


def uncut(database: Database, target: str) -> int:
    """How many sessions should have been cut and could not be."""
    query = select(func.count()).where(_cuts.target == target, _cuts.state.in_(("full", "failed")))
    with database.reading() as connection:
        return connection.scalar(query) or 0
