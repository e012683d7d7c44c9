"""Is the audit trail still as it was written? Its chain of seals, made and verified.

A seal is one HMAC-SHA256 over a batch of rows and the seal before it, under a key that is not in
the database. So whoever can write the database can neither change, remove, insert nor reorder a
sealed row or seal unnoticed. Two things a chain cannot tell by itself: rows that were changed
before they were sealed (the worker seals every second), and a tail that was cut off whole (store
the head elsewhere, and give it to `verify`).
"""

import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Row,
    Table,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType

from scim_bridge.directory.audit import canonical, personal_digest
from scim_bridge.directory.database import Database, now
from scim_bridge.directory.tables import audit, audit_personal, audit_seals, locks
from scim_bridge.errors import AuditBroken

# The most rows under one seal.
BATCH = 10_000
# How long one sealer may take for a batch before another one may take over, in seconds.
LEASE_SECONDS = 30
LOCK = "audit-seal"
# What the first seal follows on, and the head of a trail without seals.
GENESIS = "0" * 64

# Seals read in one go by `verify`, and rows fetched at once.
_SEALS_AT_ONCE = 1_000
_ROWS_AT_ONCE = 2_000

# What a seal covers of itself and of each row, in this order, for good: another order or another
# column would break every seal made before. A column that is added later needs a second format.
_FORMAT = 1
_HEADER = ("id", "sealed_at", "rows", "key_id", "previous")
_SEALED = (
    "id",
    "at",
    "actor",
    "action",
    "kind",
    "resource_id",
    "related_id",
    "request_id",
    "target_request_id",
    "outcome",
    "facts",
    "personal_digest",
)
_AnyRow = Row[*tuple[Any, ...]]

_UNSEALED = audit.c.seal_id.is_(None)
_MAKE_LOCK = text(
    "INSERT INTO locks (name, leased_until, number) VALUES (:name, 0, 0) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `verify` found in a trail that is whole."""

    rows: int
    sealed: int
    unsealed: int
    seals: int
    # Sealed rows whose personal part was erased.
    erased: int
    # The last seal. Stored elsewhere, it finds a tail that is cut off later.
    head: str


class Sealer:
    """Seals what was written. Any process may have one; a lease lets one work at a time."""

    def __init__(
        self,
        database: Database,
        key: bytes,
        *,
        clock: Callable[[], float] = time.time,
        batch: int = BATCH,
    ) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._batch = batch

    def seal(self) -> int:
        """Seal the committed rows that are not, at most one batch, and return how many.

        Call it outside of a transaction. 0 also means that another process is at it. A row with
        a lower id that becomes visible later is in a later batch. Raises `AuditBroken` if the
        last seal was made with another key: nothing is sealed until the right one is back.
        """
        if not self._anything_to_seal():
            return 0
        number = self._take_lease()
        if number is None:
            return 0
        with self._database.reading() as connection:
            last = _last_seal(connection)
            rows = connection.execute(
                select(*_plain(audit, *_SEALED))
                .where(_UNSEALED)
                .order_by(audit.c.id)
                .limit(self._batch)
            ).all()
        return self._write(number, self._next_seal(last, rows), [row.id for row in rows])

    def _anything_to_seal(self) -> bool:
        with self._database.reading() as connection:
            if connection.scalar(select(audit.c.id).where(_UNSEALED).limit(1)) is None:
                return False
            self._check_key(_last_seal(connection))
        return True

    def _check_key(self, last: _AnyRow | None) -> None:
        if last is not None and last.key_id != _key_id(self._key):
            raise AuditBroken(
                f"seal {last.id} was made with another key than audit.key_file holds; "
                "put that key back, a chain has one key"
            )

    def _take_lease(self) -> int | None:
        """The number that fences what is written under the lease, or None if it is taken."""
        with self._database.transaction() as connection:
            connection.execute(_MAKE_LOCK, {"name": LOCK})
            taken = connection.execute(
                update(locks)
                .where(locks.c.name == LOCK, locks.c.leased_until <= now())
                .values(leased_until=now() + LEASE_SECONDS, number=locks.c.number + 1)
            )
            if taken.rowcount == 0:
                return None
            return connection.scalar(select(locks.c.number).where(locks.c.name == LOCK))

    def _next_seal(self, last: _AnyRow | None, rows: Sequence[_AnyRow]) -> dict[str, Any]:
        # Again, now that nobody else can add a seal: the very first one may have come in between.
        self._check_key(last)
        seal: dict[str, Any] = {
            "id": 1 if last is None else last.id + 1,
            "sealed_at": self._clock(),
            "rows": len(rows),
            "key_id": _key_id(self._key),
            "previous": GENESIS if last is None else last.seal,
        }
        mac = _begin(self._key, seal)
        for row in rows:
            mac.update(_line(row))
        return {**seal, "seal": mac.hexdigest()}

    def _write(self, number: int, seal: dict[str, Any], ids: list[int]) -> int:
        """Write the seal and give the lease back, or neither if the lease was lost meanwhile."""
        with self._database.transaction() as connection:
            given_back = connection.execute(
                update(locks)
                .where(locks.c.name == LOCK, locks.c.number == number)
                .values(leased_until=0)
            )
            if given_back.rowcount == 0 or not ids:
                return 0
            connection.execute(insert(audit_seals).values(**seal))
            connection.execute(
                update(audit)
                .where(audit.c.id == bindparam("row_id"))
                .values(seal_id=seal["id"], position=bindparam("at_position")),
                [
                    {"row_id": row_id, "at_position": position}
                    for position, row_id in enumerate(ids, start=1)
                ],
            )
        return len(ids)


def verify(
    database: Database,
    key: bytes,
    *,
    head: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Walk the whole chain and count what it holds, in flat memory.

    ``head`` is a seal that was the last one once: it must still be in the chain. ``progress`` is
    told the number of rows verified so far. Rows that are not yet sealed are only counted. Raises
    `AuditBroken`, which names the first row or seal that differs.
    """
    walk = _Walk(key=key, head=head)
    while _walk_on(database, walk, progress):
        pass
    if not walk.head_seen:
        raise AuditBroken(
            f"the seal {head} is not in the chain, which ends with seal {walk.seals}: "
            "the trail was cut off, or the head is of another trail"
        )
    unsealed = _rows_outside_the_chain(database)
    return Verification(
        rows=walk.rows + unsealed,
        sealed=walk.rows,
        unsealed=unsealed,
        seals=walk.seals,
        erased=walk.erased,
        head=walk.last,
    )


@dataclass(kw_only=True)
class _Walk:
    """How far the chain has been verified."""

    key: bytes
    head: str | None
    seals: int = 0
    rows: int = 0
    erased: int = 0
    last: str = GENESIS
    key_id: str = field(init=False)
    head_seen: bool = field(init=False)

    def __post_init__(self) -> None:
        self.key_id = _key_id(self.key)
        self.head_seen = self.head is None or self.head == GENESIS

    def check(self, seal: _AnyRow, rows: Iterable[_AnyRow]) -> None:
        self._check_order(seal)
        mac = _begin(self.key, seal._mapping)
        first, last, count = None, None, 0
        for count, row in enumerate(rows, start=1):
            first, last = first or row.id, row.id
            self._check_row(row, count)
            mac.update(_line(row))
        if count != seal.rows:
            raise AuditBroken(f"seal {seal.id} was made over {seal.rows} rows, {count} are there")
        if mac.hexdigest() != seal.seal:
            raise AuditBroken(
                f"seal {seal.id} does not fit: it, or one of its rows {first} to {last}, "
                "was changed, moved or put in another's place"
            )
        self.rows += count
        self.seals, self.last = seal.id, seal.seal
        self.head_seen = self.head_seen or seal.seal == self.head

    def _check_order(self, seal: _AnyRow) -> None:
        if seal.id != self.seals + 1:
            raise AuditBroken(f"seal {self.seals + 1} is missing")
        if seal.key_id != self.key_id:
            raise AuditBroken(
                f"seal {seal.id} was made with another key than audit.key_file holds, "
                "or was changed"
            )
        if seal.previous != self.last:
            raise AuditBroken(f"seal {seal.id} does not follow on the seal before it")

    def _check_row(self, row: _AnyRow, position: int) -> None:
        if row.position != position:
            raise AuditBroken(
                f"row {row.id} is at position {row.position} of seal {row.seal_id} "
                f"where {position} is due: a row was removed, added or moved"
            )
        if row.salt is None:
            self.erased += row.personal_digest is not None
        elif row.personal_digest != _digest(row):
            raise AuditBroken(f"the personal part of row {row.id} was changed")


def _walk_on(database: Database, walk: _Walk, progress: Callable[[int], None] | None) -> bool:
    """Verify the next seals. False when there are no more."""
    with database.reading() as connection:
        seals = connection.execute(
            select(*_plain(audit_seals, *_HEADER, "seal"))
            .where(audit_seals.c.id > walk.seals)
            .order_by(audit_seals.c.id)
            .limit(_SEALS_AT_ONCE)
        ).all()
        if not seals:
            return False
        with _rows(connection, seals[0].id, seals[-1].id) as rows:
            for seal, batch in _batches(seals, rows):
                walk.check(seal, batch)
                if progress is not None:
                    progress(walk.rows)
    return True


def _batches(
    seals: Sequence[_AnyRow], found: Iterable[_AnyRow]
) -> Iterator[tuple[_AnyRow, Iterable[_AnyRow]]]:
    """Each seal with the rows that say they are under it, in their order."""
    batches = groupby(found, key=lambda row: row.seal_id)
    seal_id, rows = next(batches, (None, iter(())))
    for seal in seals:
        if seal_id != seal.id:
            yield seal, ()
            continue
        yield seal, rows
        seal_id, rows = next(batches, (None, iter(())))


def _rows(connection: Connection, first: int, last: int) -> CursorResult[Any]:
    return connection.execute(
        select(
            *_plain(audit, *_SEALED, "seal_id", "position"),
            *_plain(audit_personal, "salt", "user_name_folded", "content"),
        )
        .outerjoin(audit_personal, audit_personal.c.audit_id == audit.c.id)
        .where(audit.c.seal_id.between(first, last))
        .order_by(audit.c.seal_id, audit.c.position)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )


def _rows_outside_the_chain(database: Database) -> int:
    """How many rows wait for a seal. Seals, and rows under seals, that are no part of it raise."""
    with database.reading() as connection:
        unsealed = connection.scalar(select(func.count()).select_from(audit).where(_UNSEALED))
        end = select(func.coalesce(func.max(audit_seals.c.id), 0)).scalar_subquery()
        row = connection.scalar(
            select(audit.c.id).where(or_(audit.c.seal_id < 1, audit.c.seal_id > end)).limit(1)
        )
        seal = connection.scalar(select(audit_seals.c.id).where(audit_seals.c.id < 1).limit(1))
    if row is not None:
        raise AuditBroken(f"row {row} says it is sealed, but its seal is missing")
    if seal is not None:
        raise AuditBroken(f"seal {seal} is no part of the chain, which begins with seal 1")
    return unsealed or 0


def _last_seal(connection: Connection) -> _AnyRow | None:
    return connection.execute(
        select(*_plain(audit_seals, *_HEADER, "seal")).order_by(audit_seals.c.id.desc()).limit(1)
    ).one_or_none()


def _plain(table: Table, *names: str) -> list[ColumnElement[Any]]:
    """These columns as the driver reads them: a value of a wrong type is found, not converted."""
    return [type_coerce(table.c[name], NullType()).label(name) for name in names]


def _key_id(key: bytes) -> str:
    return hmac.new(key, b"the key of an audit trail", sha256).hexdigest()[:16]


def _begin(key: bytes, seal: Mapping[Any, Any]) -> hmac.HMAC:
    values = [seal[name] for name in _HEADER]
    return hmac.new(key, _encoded(f"seal {seal['id']}", [_FORMAT, *values]), sha256)


def _line(row: _AnyRow) -> bytes:
    # JSON has no raw line break, so rows cannot be cut differently.
    return b"\n" + _encoded(f"row {row.id}", tuple(row)[: len(_SEALED)])


def _encoded(what: str, values: object) -> bytes:
    try:
        return canonical(values).encode()
    except TypeError as error:
        raise AuditBroken(f"{what} was changed: {error}") from error


def _digest(row: _AnyRow) -> str:
    try:
        return personal_digest(row.salt, row.user_name_folded, row.content)
    except TypeError:
        return "the name is not text any more"
