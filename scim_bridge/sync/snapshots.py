"""What does the whole directory look like, in files that other systems read?

Users, groups and memberships as they are effective: who is inactive is in no group here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, select, union

from scim_bridge.connectors.snapshot import write_csv, write_jsonl
from scim_bridge.directory import locks
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.nesting import PAIRS
from scim_bridge.directory.tables import ENTERPRISE, groups, memberships, runs, users
from scim_bridge.settings import Snapshot
from scim_bridge.sync.beside import Beside
from scim_bridge.sync.journal import forget_runs, journalled

# A process that dies while it writes keeps others from writing for so long, in seconds.
TURN_SECONDS = 3600.0
# What could not be written is tried again after so many seconds, or its interval if shorter.
TRY_AGAIN = 300.0
KEEP_RUNS = 30 * 86_400.0

USER_COLUMNS = (
    "id",
    "userName",
    "externalId",
    "active",
    "displayName",
    "givenName",
    "familyName",
    "email",
    "title",
    "userType",
    "employeeNumber",
    "department",
    "division",
    "costCenter",
    "organization",
    "manager",
)
GROUP_COLUMNS = ("id", "displayName", "externalId")
MEMBERSHIP_COLUMNS = ("groupId", "group", "userId", "userName")


class Snapshots:
    """Writes the directory into one folder, as often as it is set, by one process at a time."""

    def __init__(self, database: Database, name: str, settings: Snapshot) -> None:
        self.database = database
        self.name = name
        self.settings = settings
        self._run = run_of(name)
        self._beside = Beside("snapshot", self.write, connector=name)

    def look(self) -> None:
        """Begin to write what is due. Returns at once."""
        self._beside.begin(self._is_due)

    def stop(self) -> None:
        """Wait for what is being written; half a file never takes the place of a whole one."""
        self._beside.stop()

    def write(self) -> Mapping[str, int] | None:
        """Write everything now. Returns how much; None: another process is at it.

        Raises `NotSent` when the folder cannot be written.
        """
        with locks.turn(self.database, self._run, TURN_SECONDS) as is_ours:
            if not is_ours:
                return None
            forget_runs(self.database, self._run, older_than=KEEP_RUNS)
            with journalled(self.database, self._run) as run, self.database.reading():
                run.counts = self._files()
                return run.counts

    def _is_due(self) -> bool:
        every = self.settings.interval
        if not every:
            return False
        query = select((now() - runs.c.started).label("age"), runs.c.outcome)
        query = query.where(runs.c.kind == self._run).order_by(runs.c.id.desc()).limit(1)
        with self.database.reading() as connection:
            last = connection.execute(query).one_or_none()
        if last is None:
            return True
        return bool(last.age >= (every if last.outcome == "ok" else min(every, TRY_AGAIN)))

    # -- The files, all of one state of the directory -------------------

    def _files(self) -> dict[str, int]:
        folder = self.settings.folder
        if self.settings.type == "csv":
            return {
                "users": write_csv(
                    folder / "users.csv", USER_COLUMNS, map(_user_row, self._rows(_USERS))
                ),
                "groups": write_csv(
                    folder / "groups.csv",
                    GROUP_COLUMNS,
                    ((one.id, one.display_name, one.external_id) for one in self._rows(_GROUPS)),
                ),
                "memberships": write_csv(
                    folder / "memberships.csv",
                    MEMBERSHIP_COLUMNS,
                    map(tuple, self._rows(_MEMBERSHIPS)),
                ),
            }
        return {
            "users": write_jsonl(
                folder / "users.jsonl",
                ({"id": one.id, **one.document} for one in self._rows(_USERS)),
            ),
            "groups": write_jsonl(folder / "groups.jsonl", self._groups()),
        }

    def _groups(self) -> Iterator[dict[str, Any]]:
        """Each group with its members: both are read in the order of the groups."""
        parts = groupby(self._rows(_MEMBERSHIPS), key=lambda row: row.group_id)
        members = next(parts, None)
        for group in self._rows(_GROUPS):
            listed: list[dict[str, Any]] = []
            if members is not None and members[0] == group.id:
                listed = [{"value": one.user_id, "display": one.user_name} for one in members[1]]
                members = next(parts, None)
            yield {"id": group.id, **group.document, "members": listed}

    def _rows(self, query: Select[Any]) -> Iterator[Row[Any]]:
        streamed = query.execution_options(yield_per=1000)
        yield from self.database.connection.execute(streamed)


@dataclass(frozen=True, kw_only=True)
class SnapshotStanding:
    """How a connector's last snapshots ended."""

    # Since the last whole one was written, in seconds; None: none was. And what it held.
    age: float | None
    counts: Mapping[str, int]
    # How the last one ended, whole or not; None: there was none.
    outcome: str | None


def snapshot_standing(database: Database, name: str) -> SnapshotStanding:
    """How the snapshots of a connector stand now."""
    last = (
        select(runs.c.outcome, runs.c.counts, (now() - runs.c.ended).label("age"))
        .where(runs.c.kind == run_of(name), runs.c.ended.is_not(None))
        .order_by(runs.c.id.desc())
        .limit(1)
    )
    with database.reading() as connection:
        row = connection.execute(last).one_or_none()
        whole = connection.execute(last.where(runs.c.outcome == "ok")).one_or_none()
    return SnapshotStanding(
        age=whole.age if whole else None,
        counts=whole.counts if whole else {},
        outcome=row.outcome if row else None,
    )


def run_of(name: str) -> str:
    """The name of a connector's snapshots in the journal."""
    return f"snapshot@{name}"


def _user_row(row: Row[Any]) -> tuple[Any, ...]:
    document: Mapping[str, Any] = row.document
    name = document.get("name") or {}
    work = document.get(ENTERPRISE) or {}
    return (
        row.id,
        row.user_name,
        row.external_id,
        str(row.active).lower(),
        document.get("displayName"),
        name.get("givenName"),
        name.get("familyName"),
        _email(document),
        document.get("title"),
        document.get("userType"),
        work.get("employeeNumber"),
        work.get("department"),
        work.get("division"),
        work.get("costCenter"),
        work.get("organization"),
        (work.get("manager") or {}).get("value"),
    )


def _email(document: Mapping[str, Any]) -> str | None:
    emails = document.get("emails") or []
    primary = next((one for one in emails if one.get("primary")), emails[0] if emails else {})
    address: str | None = primary.get("value")
    return address


def _memberships() -> Select[Any]:
    """Who is effectively in which group, through others too."""
    direct = select(memberships.c.group_id, memberships.c.member_id).where(
        memberships.c.valid_to.is_(None)
    )
    through = (
        select(PAIRS.c.group_id, memberships.c.member_id)
        .join(memberships, memberships.c.group_id == PAIRS.c.inner_id)
        .where(memberships.c.valid_to.is_(None))
    )
    inside = union(direct, through).subquery()
    return (
        select(
            groups.c.id.label("group_id"),
            groups.c.display_name.label("group"),
            users.c.id.label("user_id"),
            users.c.user_name,
        )
        .select_from(inside)
        .join(groups, groups.c.id == inside.c.group_id)
        .join(users, users.c.id == inside.c.member_id)
        .where(groups.c.deleted_at.is_(None), users.c.deleted_at.is_(None), users.c.active)
        .order_by(groups.c.id, users.c.id)
    )


_USERS = select(users).where(users.c.deleted_at.is_(None)).order_by(users.c.id)
_GROUPS = select(groups).where(groups.c.deleted_at.is_(None)).order_by(groups.c.id)
_MEMBERSHIPS = _memberships()
