"""Who may call the SCIM endpoint: clients, their tokens, and what is made of a token that comes in.

A token is kept as its SHA-256 digest. It is 256 random bits, so there is no dictionary to try and
no salt is needed, and it can be looked up by the digest. A slow password hash would only slow down
each request.
"""

import hmac
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, insert, select, update

from scim_bridge.directory import audit
from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.prepared import Prepared
from scim_bridge.directory.tables import client_tokens, clients
from scim_bridge.errors import DatabaseUnavailable, OperatorError
from scim_bridge.scim.dialect import DialectName

# So that a token is known for one where it should not be, in a log or a repository.
PREFIX = "scb_"
# How long a client's earlier token lives on after a rotation, in seconds.
OVERLAP = 86400.0
# How many tokens of a client may be live at once.
MOST_TOKENS = 2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN_BYTES = 32
# `last_used_at` is for people: it is written at most this often, in seconds.
_USED_EVERY = 60

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Client:
    """Somebody whose token was accepted."""

    name: str
    read_only: bool
    # Whether it may say what users and groups are granted.
    entitlements: bool = False
    # How far it may depart from the standards (`scim_bridge.scim.dialect`).
    dialect: DialectName = "tolerant"


class Rejection(StrEnum):
    """Why a token was not accepted. For the log and the audit trail; a caller is never told."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True)
class IssuedToken:
    """A token that was just made: the only time it can be seen."""

    name: str
    read_only: bool
    entitlements: bool
    dialect: DialectName
    token: str = field(repr=False)
    # Seconds since 1970, as all times here.
    created: float
    expires: float | None


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """What is known of a token, which is not the token."""

    created: float
    expires: float | None
    last_used: float | None

    def is_live(self, now: float) -> bool:
        return self.expires is None or now < self.expires


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A client, and its tokens from the oldest to the newest."""

    name: str
    read_only: bool
    entitlements: bool
    dialect: DialectName
    created: float
    revoked: float | None
    tokens: tuple[TokenRecord, ...]


def authenticate(database: Database, token: str, *, clock: Clock = time.time) -> Client | Rejection:
    """The client whose token this is, or why it is not accepted.

    When a token was last used is written at most once a minute, and never fails a request.
    """
    now = clock()
    found = _by_token(database, token)
    if found is None:
        return Rejection.UNKNOWN
    if found.revoked_at is not None:
        return Rejection.REVOKED
    if found.expires_at is not None and found.expires_at <= now:
        return Rejection.EXPIRED
    if found.last_used_at is None or now - found.last_used_at >= _USED_EVERY:
        database.afterwards(partial(_note_use, database, found.digest, now))
    return Client(
        name=found.name,
        read_only=bool(found.read_only),
        entitlements=bool(found.entitlements),
        dialect=found.dialect,
    )


def add(
    database: Database,
    name: str,
    *,
    read_only: bool = False,
    entitlements: bool = False,
    dialect: DialectName = "tolerant",
    expires_days: float | None = None,
    clock: Clock = time.time,
) -> IssuedToken:
    """Register a client and make its first token. The act is audited.

    Raises `OperatorError` when the name cannot be used or a client has it, and for a client that
    may only read and yet say what users and groups are granted.
    """
    if read_only and entitlements:
        raise OperatorError(
            f"client {name} cannot be read-only and set entitlements: choose one of the two"
        )
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"a client cannot be named {name!r}: use up to 64 letters, digits, dots, dashes and "
            "underscores, beginning with a letter or digit"
        )
    with database.transaction() as connection:
        if _live(database, name) is not None:
            raise OperatorError(
                f"there is a client {name} already: give it a new token with "
                f"`scim-bridge client rotate {name}`, or choose another name"
            )
        client_id, now = str(uuid.uuid4()), clock()
        connection.execute(
            insert(clients).values(
                id=client_id,
                name=name,
                read_only=read_only,
                entitlements=entitlements,
                dialect=dialect,
                created=now,
            )
        )
        issued = _issue(
            database,
            client_id,
            name=name,
            read_only=read_only,
            entitlements=entitlements,
            dialect=dialect,
            now=now,
            lifetime=None if expires_days is None else _seconds(expires_days),
        )
        _record(
            database,
            Action.CLIENT_ADDED,
            client_id,
            name,
            clock,
            expires=issued.expires,
            entitlements=entitlements,
            dialect=dialect,
        )
        return issued


def rotate(
    database: Database,
    name: str,
    *,
    overlap: float = OVERLAP,
    expires_days: float | None = None,
    clock: Clock = time.time,
) -> IssuedToken:
    """Make a new token for a client; what it has ends after `overlap` seconds. Audited.

    The new token lives as long as the newest was meant to, unless `expires_days` says otherwise.
    Raises `OperatorError` when there is no such client, or it has two live tokens and `overlap`
    would make a third.
    """
    with database.transaction():
        client, now = _required(database, name), clock()
        tokens = _tokens(database, client.id)
        live = [token for token in tokens if _as_record(token).is_live(now)]
        if overlap > 0 and len(live) >= MOST_TOKENS:
            raise OperatorError(
                f"client {name} has {len(live)} live tokens already: wait until the older one "
                "has ended, or end them all at once with `--overlap 0`"
            )
        _end(database, live, at=now + overlap)
        issued = _issue(
            database,
            client.id,
            name=name,
            read_only=client.read_only,
            entitlements=client.entitlements,
            dialect=client.dialect,
            now=now,
            lifetime=_lifetime(tokens, expires_days),
        )
        _record(database, Action.CLIENT_ROTATED, client.id, name, clock, expires=issued.expires)
        return issued


def revoke(database: Database, name: str, *, clock: Clock = time.time) -> None:
    """End a client and all its tokens at once. The act is audited; the name is free again.

    Raises `OperatorError` when there is no such client.
    """
    with database.transaction() as connection:
        client = _required(database, name)
        connection.execute(
            update(clients).where(clients.c.id == client.id).values(revoked_at=clock())
        )
        _record(database, Action.CLIENT_REVOKED, client.id, name, clock)


def keep_ended(
    database: Database,
    *,
    clients_ended: Iterable[tuple[str, float]],
    tokens_ended: Iterable[tuple[str, float]],
) -> None:
    """End clients (by id) and tokens (by digest) as they were ended elsewhere. None is revived.

    For a directory that was put back to a backup: what was revoked since stays so.
    """
    with database.transaction() as connection:
        for client_id, at in clients_ended:
            connection.execute(
                update(clients)
                .where(clients.c.id == client_id, clients.c.revoked_at.is_(None))
                .values(revoked_at=at)
            )
        for digest, at in tokens_ended:
            token = connection.execute(
                select(client_tokens).where(client_tokens.c.digest == digest)
            ).all()
            _end(database, token, at=at)


def registrations(database: Database) -> tuple[Registration, ...]:
    """Every client there is and was, by name and age, with its tokens."""
    with database.reading() as connection:
        rows = connection.execute(select(clients).order_by(clients.c.name, clients.c.created)).all()
        return tuple(
            Registration(
                name=row.name,
                read_only=row.read_only,
                entitlements=row.entitlements,
                dialect=row.dialect,
                created=row.created,
                revoked=row.revoked_at,
                tokens=tuple(_as_record(token) for token in _tokens(database, row.id)),
            )
            for row in rows
        )


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


class _Found(NamedTuple):
    """A token, and whose it is."""

    digest: str
    expires_at: float | None
    last_used_at: float | None
    name: str
    # On SQLite these two are 0 or 1.
    read_only: bool
    entitlements: bool
    dialect: DialectName
    revoked_at: float | None


# Every request asks it.
_BY_DIGEST = Prepared(
    select(
        client_tokens.c.digest,
        client_tokens.c.expires_at,
        client_tokens.c.last_used_at,
        clients.c.name,
        clients.c.read_only,
        clients.c.entitlements,
        clients.c.dialect,
        clients.c.revoked_at,
    )
    .join(clients, clients.c.id == client_tokens.c.client_id)
    .where(client_tokens.c.digest == bindparam("digest"))
)


def _by_token(database: Database, token: str) -> _Found | None:
    digest = _digest(token)
    with database.reading() as connection:
        row = _BY_DIGEST.row(connection, digest=digest)
    # Whatever the database takes for equal, only the same digest is.
    return _Found(*row) if row and hmac.compare_digest(row[0], digest) else None


def _note_use(database: Database, digest: str, now: float) -> None:
    # The time of use is worth no client's request: a locked database is met by the request itself.
    with suppress(DatabaseUnavailable), database.transaction() as connection:
        connection.execute(
            update(client_tokens).where(client_tokens.c.digest == digest).values(last_used_at=now)
        )


def _live(database: Database, name: str) -> Row[Any] | None:
    return database.connection.execute(
        select(clients).where(clients.c.name == name, clients.c.revoked_at.is_(None))
    ).first()


def _required(database: Database, name: str) -> Row[Any]:
    client = _live(database, name)
    if client is None:
        raise OperatorError(f"there is no client {name}: `scim-bridge client list` shows them")
    return client


def _tokens(database: Database, client_id: str) -> list[Row[Any]]:
    return list(
        database.connection.execute(
            select(client_tokens)
            .where(client_tokens.c.client_id == client_id)
            .order_by(client_tokens.c.created)
        )
    )


def _issue(
    database: Database,
    client_id: str,
    *,
    name: str,
    read_only: bool,
    entitlements: bool,
    dialect: DialectName,
    now: float,
    lifetime: float | None,
) -> IssuedToken:
    token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    expires = None if lifetime is None else now + lifetime
    database.connection.execute(
        insert(client_tokens).values(
            digest=_digest(token), client_id=client_id, created=now, expires_at=expires
        )
    )
    return IssuedToken(
        name=name,
        read_only=read_only,
        entitlements=entitlements,
        dialect=dialect,
        token=token,
        created=now,
        expires=expires,
    )


def _end(database: Database, tokens: Iterable[Row[Any]], *, at: float) -> None:
    """End these tokens at that time, or when they would have ended, whichever comes first."""
    for token in tokens:
        if token.expires_at is None or token.expires_at > at:
            database.connection.execute(
                update(client_tokens)
                .where(client_tokens.c.digest == token.digest)
                .values(expires_at=at)
            )


def _lifetime(tokens: list[Row[Any]], expires_days: float | None) -> float | None:
    if expires_days is not None:
        return _seconds(expires_days)
    newest = tokens[-1]
    return None if newest.expires_at is None else float(newest.expires_at - newest.created)


def _seconds(days: float) -> float:
    return timedelta(days=days).total_seconds()


def _as_record(token: Row[Any]) -> TokenRecord:
    return TokenRecord(
        created=token.created, expires=token.expires_at, last_used=token.last_used_at
    )


def _record(
    database: Database, action: Action, client_id: str, name: str, clock: Clock, **facts: object
) -> None:
    audit.record(
        database,
        action=action,
        kind="client",
        resource_id=client_id,
        facts={"name": name, **facts},
        clock=clock,
    )
