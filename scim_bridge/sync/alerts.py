"""Who has to be told that something needs a person, and was told already?

Each cause is told once when it begins and once when it is over, by one process. What could not be
sent is tried again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog
from sqlalchemy import and_, delete, func, insert, select

from scim_bridge.connectors import mail, webhook
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.locks import turn
from scim_bridge.directory.tables import alerts, client_tokens, clients
from scim_bridge.errors import NotSent
from scim_bridge.settings import Alerts as AlertSettings
from scim_bridge.sync import TARGET
from scim_bridge.sync.feed import FeedStanding
from scim_bridge.sync.overview import Overview

log = structlog.get_logger(__name__)

# How often it is looked whether there is anything to tell, and how long a process has for it.
LOOK_EVERY = 5.0
LOCK, LOCK_SECONDS = "alerts", 120.0
# How long after a failure it is tried again, in seconds.
TRY_AGAIN_AFTER = 60.0
# So many days before its end a token is warned about.
TOKEN_DAYS = 30

_DAY = 86400.0
# A connector that takes nothing for so long needs a person, in seconds.
NOT_TOLD_FOR = 300.0


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Something that needs a person."""

    # The same as long as it is the same thing: "failed", "held:3f9a1c20", "overdue".
    id: str
    # One sentence, without anything personal, and what to do.
    text: str


def causes(present: Overview, *, stale: Sequence[str] = (), uncut: int = 0) -> Iterator[Cause]:
    """What in an overview needs a person. `stale`: the kinds whose extraction is too old; `uncut`:
    how many sessions of leavers could not be ended.
    """
    if failed := present.states.get("failed", 0):
        yield Cause(
            id="failed",
            text=f"{failed} changes were refused by Identity Center for good: scim-bridge status "
            "names them, scim-bridge sync --retry tries again",
        )
    for one in present.held_sets:
        yield Cause(
            id=f"held:{one.id}",
            text=f"the brake holds losses of access of {one.people} people, set {one.id}: "
            f"scim-bridge sync --approve {one.id} lets them pass, scim-bridge status says whether "
            "they can stay",
        )
    if present.overdue:
        yield Cause(
            id="overdue",
            text=f"{present.overdue} revocations of access have not reached Identity Center in "
            "time: scim-bridge status says what is in the way",
        )
    if uncut:
        yield Cause(
            id="uncut",
            text=f"{uncut} sessions of leavers could not be ended at once: scim-bridge audit says "
            "why, and until when they may live",
        )
    for kind in stale:
        yield Cause(
            id=f"stale:{kind}",
            text=f"the last complete extraction of {kind} is too old: scim-bridge extract "
            "shows why",
        )


def not_told(name: str, standing: FeedStanding) -> Iterator[Cause]:
    """The connector that has not taken an event for long."""
    if standing.failing is not None and standing.failing > NOT_TOLD_FOR:
        yield Cause(
            id=f"feed:{name}",
            text=f"connector {name} takes no events, and {standing.waiting} wait for it: "
            "scim-bridge status says why",
        )


def at_target(cause: Cause, target: str) -> Cause:
    """The same of another target than the first, which it names."""
    return Cause(id=f"{target}:{cause.id}", text=f"{target}: {cause.text}")


def ending_tokens(
    database: Database, expiries: Mapping[str, str | None], *, today: date
) -> Iterator[Cause]:
    """The tokens that end soon, or have ended: those of the targets, by name, and of clients.

    Of a client, the one that ends last counts: an overlap is no reason to worry.
    """
    for target, expires in expiries.items():
        end = date.max if expires is None else date.fromisoformat(expires)
        if (end - today).days <= TOKEN_DAYS:
            whose = "Identity Center" if target == TARGET else target
            yield Cause(
                id=f"token:{target}:{end}",
                text=f"the access token of {whose} ends on {end}: make a new one in the "
                "console under Settings, Automatic provisioning",
            )
    for name, ends_at in _ending_clients(database):
        end = datetime.fromtimestamp(ends_at, UTC).date()
        yield Cause(
            id=f"token:client:{name}:{end}",
            text=f"the last token of client {name} ends on {end}: scim-bridge client rotate {name}",
        )


def _ending_clients(database: Database) -> Sequence[tuple[str, float]]:
    last = func.max(client_tokens.c.expires_at)
    endless = func.sum(func.coalesce(client_tokens.c.expires_at * 0, 1))
    with database.reading() as connection:
        rows = connection.execute(
            select(clients.c.name, last)
            .join(client_tokens, client_tokens.c.client_id == clients.c.id)
            .where(clients.c.revoked_at.is_(None))
            .group_by(clients.c.id, clients.c.name)
            .having(and_(endless == 0, last < now() + TOKEN_DAYS * _DAY))
            .order_by(clients.c.name)
        )
        return [(name, ends_at) for name, ends_at in rows]


class Alerts:
    """Tells of causes as they begin and end. `present` lists those that stand now."""

    def __init__(
        self,
        database: Database,
        settings: AlertSettings,
        present: Callable[[], Sequence[Cause]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self.settings = settings
        self.present = present
        self.clock = clock
        self._next_look = 0.0

    @property
    def wanted(self) -> bool:
        return bool(self.settings.webhook_url or self.settings.mail_to)

    def keep_up(self) -> None:
        """Look whether there is anything to tell, every few seconds, and tell it."""
        if not self.wanted or self.clock() < self._next_look:
            return
        self._next_look = self.clock() + LOOK_EVERY
        try:
            with turn(self.database, LOCK, LOCK_SECONDS) as is_ours:
                if is_ours:
                    self._tell_all()
        except NotSent as error:
            self._next_look = self.clock() + TRY_AGAIN_AFTER
            log.warning("an alert could not be sent", reason=str(error))

    def _tell_all(self) -> None:
        standing = {cause.id: cause for cause in self.present()}
        told = self._told()
        for cause in standing.values():
            if cause.id not in told:
                self._tell("alert", cause.id, cause.text)
                self._remember(cause)
        for cause_id, text in told.items():
            if cause_id not in standing:
                self._tell("over", cause_id, f"over: {text}")
                self._forget(cause_id)

    def _tell(self, event: str, cause: str, text: str) -> None:
        if self.settings.webhook_url:
            webhook.post(
                self.settings.webhook_url,
                {"source": "scim-bridge", "event": event, "cause": cause, "text": text},
            )
        if self.settings.mail_to:
            mail.send(self.settings, subject=f"scim-bridge: {text[:100]}", text=text)

    # -- What was told, and by whom ------------------------------------

    def _told(self) -> Mapping[str, str]:
        with self.database.reading() as connection:
            return {row.cause: row.text for row in connection.execute(select(alerts))}

    def _remember(self, cause: Cause) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                insert(alerts).values(cause=cause.id, text=cause.text, sent_at=now())
            )

    def _forget(self, cause_id: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(delete(alerts).where(alerts.c.cause == cause_id))
