"""What is each user and group entitled to, and who said so? Rows that begin and end.

A row keeps the names its giver used, and the ARN once it is known: a rename at AWS takes nothing
away. Two names of one grant are one grant.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update

from scim_bridge.directory.catalogue import Resolve, columns
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import NamedGrant, Stated
from scim_bridge.directory.memberships import RULE, about, chunks
from scim_bridge.directory.tables import assignments
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant
from scim_bridge.plan.state import Kind

_columns = assignments.c
CURRENT = _columns.valid_to.is_(None)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Which grants of a resource began and ended."""

    # As they are named in the rows that began and ended.
    begun: tuple[NamedGrant, ...] = ()
    ended: tuple[NamedGrant, ...] = ()
    # By ARN, as far as it is known: what is held now and was not before, and what is not held any
    # more or was named to be taken away.
    granted: tuple[Grant, ...] = ()
    revoked: tuple[Grant, ...] = ()
    # The rows that began a grant that was not there under another name.
    rows: tuple[int, ...] = ()
    # What was to be taken away and is still there, since a rule gives it.
    kept: tuple[NamedGrant, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.begun or self.ended)

    def then(self, later: "Turn") -> "Turn":
        """This turn and a later one of the same resource, as one."""
        granted, revoked = set(self.granted), set(self.revoked)
        return Turn(
            begun=self.begun + later.begun,
            ended=self.ended + later.ended,
            granted=_grants((granted - set(later.revoked)) | (set(later.granted) - revoked)),
            revoked=_grants((revoked - set(later.granted)) | (set(later.revoked) - granted)),
            rows=self.rows + later.rows,
            kept=self.kept + later.kept,
        )


NO_TURN = Turn()

# What tells one grant from another: the grant itself, or its name while that is all there is.
_Key = Grant | NamedGrant


@dataclass(frozen=True, kw_only=True)
class _Held:
    """One current row."""

    id: int
    named: NamedGrant
    key: _Key
    origin: str

    @property
    def is_by_rule(self) -> bool:
        return self.origin.startswith(RULE)


def current(
    database: Database, kind: Kind, resource_ids: Iterable[str]
) -> dict[str, list[NamedGrant]]:
    """What each resource is entitled to, as it was named, in the order in which it came."""
    found: dict[str, dict[NamedGrant, None]] = {}
    with database.reading() as connection:
        for chunk in chunks(resource_ids):
            rows = connection.execute(
                select(assignments)
                .where(_columns.kind == kind, _columns.resource_id.in_(chunk), CURRENT)
                .order_by(_columns.id)
            )
            for row in rows:
                found.setdefault(row.resource_id, {})[_named(row)] = None
    return {resource_id: list(named) for resource_id, named in found.items()}


def state(
    database: Database,
    kind: Kind,
    resource_id: str,
    stated: Stated,
    *,
    origin: str,
    at: float,
    resolve: Resolve,
) -> Turn:
    """Make what a client stated the grants of a resource, by ending and beginning what differs.

    What is stated under a new name counts as stated last. What is named to be taken away ends under
    whatever name it is there, unless the same statement gives it under a new one. What a rule
    gives stays, and to state it gives nothing.
    """

    def key(named: NamedGrant) -> _Key:
        return resolve(named) or named

    with database.transaction():
        everything = _held(database, kind, resource_id, key)
        by_rule = {row.key: row.named for row in everything if row.is_by_rule}
        held = [row for row in everything if not row.is_by_rule]
        present = {row.named: row.key for row in held}
        named_keys = {named: present.get(named) or key(named) for named in stated.grants}
        wanted = {
            named: one
            for named, one in named_keys.items()
            if named in present or one not in by_rule
        }
        new = {named: one for named, one in wanted.items() if named not in present}
        taken = {key(named) for named in stated.named} - set(new.values())
        renamed = set(new.values())
        kept = {
            row.named
            for row in held
            if row.named in wanted and row.key not in taken and row.key not in renamed
        }
        last = {one: named for named, one in new.items()}
        ended = [row for row in held if row.named not in kept]
        _end(database, at, _columns.id.in_([row.id for row in ended]))
        rows = _begin(database, kind, resource_id, last, origin=origin, at=at)
        before = {row.key for row in everything}
        after = {row.key for row in held if row.named in kept} | set(last) | set(by_rule)
        unstated = set(by_rule) - set(named_keys.values())
        return Turn(
            kept=tuple(named for one, named in by_rule.items() if one in unstated),
            begun=tuple(last.values()),
            ended=tuple(dict.fromkeys(row.named for row in ended)),
            granted=_grants(after - before),
            revoked=_grants((before | taken) - after),
            rows=tuple(row for one, row in rows.items() if one not in before),
        )


@dataclass(frozen=True, kw_only=True, order=True)
class Given:
    """That a rule grants a user something."""

    member: str
    named: NamedGrant
    rule: str


def by_rules(database: Database, user_ids: Sequence[str] | None = None) -> Iterator[Given]:
    """What rules grant these users now, or all users."""
    query = select(assignments).where(
        CURRENT, _columns.kind == "user", _columns.origin.startswith(RULE)
    )
    for each in about(query, _columns.resource_id, user_ids):
        for row in database.connection.execute(each):
            yield Given(
                member=row.resource_id, named=_named(row), rule=row.origin.removeprefix(RULE)
            )


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a user is granted before and after a `turn`, by what tells grants apart."""

    before: Mapping[_Key, NamedGrant]
    after: Mapping[_Key, NamedGrant]

    @property
    def granted(self) -> Mapping[_Key, NamedGrant]:
        return {key: named for key, named in self.after.items() if key not in self.before}

    @property
    def revoked(self) -> Mapping[_Key, NamedGrant]:
        return {key: named for key, named in self.before.items() if key not in self.after}


def foreseen(
    database: Database,
    user_ids: Sequence[str],
    *,
    end: Collection[Given],
    begin: Collection[Given],
    resolve: Resolve,
) -> dict[str, Foreseen]:
    """What comes of ending and beginning what rules grant these users."""
    known: dict[NamedGrant, _Key] = {}

    def key(named: NamedGrant) -> _Key:
        # The same few grants for many people: each is looked for once.
        if named not in known:
            known[named] = resolve(named) or named
        return known[named]

    before: dict[str, dict[_Key, NamedGrant]] = {user_id: {} for user_id in user_ids}
    after: dict[str, dict[_Key, NamedGrant]] = {user_id: {} for user_id in user_ids}
    ended = {(given.member, given.named, f"{RULE}{given.rule}") for given in end}
    for given in sorted(begin):
        after[given.member][key(given.named)] = given.named
    for chunk in chunks(user_ids):
        rows = database.connection.execute(
            select(assignments)
            .where(_columns.kind == "user", _columns.resource_id.in_(chunk), CURRENT)
            .order_by(_columns.id)
        )
        for row in rows:
            named = _named(row)
            one = _known(row) or key(named)
            before[row.resource_id][one] = named
            if (row.resource_id, named, row.origin) not in ended:
                after[row.resource_id][one] = named
    return {user_id: Foreseen(before=before[user_id], after=after[user_id]) for user_id in user_ids}


def turn(
    database: Database,
    user_id: str,
    *,
    end: Collection[Given],
    begin: Collection[Given],
    at: float,
    resolve: Resolve,
) -> Turn:
    """End and begin what rules grant one user. What stays granted neither begins nor ends."""
    moved = foreseen(database, [user_id], end=end, begin=begin, resolve=resolve)[user_id]
    for given in end:
        _end(
            database,
            at,
            _columns.kind == "user",
            _columns.resource_id == user_id,
            _columns.origin == f"{RULE}{given.rule}",
            _columns.account_id == given.named.account,
            _columns.permission_set == given.named.permission_set,
        )
    for given in sorted(begin):
        one = {resolve(given.named) or given.named: given.named}
        _begin(database, "user", user_id, one, origin=f"{RULE}{given.rule}", at=at)
    return Turn(
        begun=tuple(moved.granted.values()),
        ended=tuple(moved.revoked.values()),
        granted=_grants(moved.granted),
        revoked=_grants(moved.revoked),
    )


def end_rows(database: Database, rows: Sequence[int], *, at: float, resolve: Resolve) -> Turn:
    """End these rows, as far as they have not ended."""
    return _ended(_end(database, at, _columns.id.in_(rows)), resolve) if rows else NO_TURN


def end_resource(
    database: Database,
    kind: Kind,
    resource_id: str,
    *,
    at: float,
    resolve: Resolve,
    begun_by: float | None = None,
) -> Turn:
    """End everything that a resource is entitled to (that had begun by a time)."""
    begun = [] if begun_by is None else [_columns.valid_from <= begun_by]
    of_resource = (_columns.kind == kind, _columns.resource_id == resource_id)
    return _ended(_end(database, at, *of_resource, *begun), resolve)


def reopen(
    database: Database, kind: Kind, resource_id: str, *, ended_at: float, at: float
) -> tuple[NamedGrant, ...]:
    """Begin again what a resource was entitled to until a time."""
    with database.transaction() as connection:
        ended = connection.execute(
            select(assignments)
            .where(
                _columns.kind == kind,
                _columns.resource_id == resource_id,
                _columns.valid_to == ended_at,
            )
            .order_by(_columns.id)
        ).all()
        for row in ended:
            again = {**row._mapping, "valid_from": at, "valid_to": None}
            del again["id"]
            connection.execute(insert(assignments).values(**again))
        return tuple(map(_named, ended))


def begin_again(
    database: Database,
    kind: Kind,
    resource_id: str,
    grant: Grant,
    *,
    origin: str,
    at: float,
    resolve: Resolve,
) -> Turn | None:
    """Begin again, with its former origin, the row of a grant that ended last. What a rule gave
    gets the `origin` of who gives it back.

    None when the resource never was granted it, `NO_TURN` when it is.
    """
    with database.transaction() as connection:
        rows = connection.execute(
            select(assignments)
            .where(_columns.kind == kind, _columns.resource_id == resource_id)
            .order_by(_columns.valid_to.desc(), _columns.id.desc())
        ).all()
        of_grant = [row for row in rows if (_known(row) or resolve(_named(row))) == grant]
        if not of_grant:
            return None
        if any(row.valid_to is None for row in of_grant):
            return NO_TURN
        again = {**of_grant[0]._mapping, "valid_from": at, "valid_to": None}
        if again["origin"].startswith(RULE):
            # A rule that still gave it would give it itself.
            again["origin"] = origin
        del again["id"]
        connection.execute(insert(assignments).values(**again))
        return Turn(begun=(_named(of_grant[0]),), granted=(grant,))


def resolve_names(database: Database, resolve: Resolve) -> int:
    """Write down which grants are meant, of all that were only named so far. Returns how many."""
    settled = 0
    with database.transaction() as connection:
        unknown = connection.execute(
            select(assignments).where(
                CURRENT, _columns.permission_set_arn.is_(None), _columns.application_arn.is_(None)
            )
        ).all()
        for row in unknown:
            if grant := resolve(_named(row)):
                connection.execute(
                    update(assignments).where(_columns.id == row.id).values(**columns(grant))
                )
                settled += 1
    return settled


def _held(
    database: Database, kind: Kind, resource_id: str, key: Callable[[NamedGrant], _Key]
) -> list[_Held]:
    rows = database.connection.execute(
        select(assignments)
        .where(_columns.kind == kind, _columns.resource_id == resource_id, CURRENT)
        .order_by(_columns.id)
    )
    return [
        _Held(
            id=row.id,
            named=_named(row),
            key=_known(row) or key(_named(row)),
            origin=row.origin,
        )
        for row in rows
    ]


def _begin(
    database: Database,
    kind: Kind,
    resource_id: str,
    grants: dict[_Key, NamedGrant],
    *,
    origin: str,
    at: float,
) -> dict[_Key, int]:
    """Begin a row for each of these. Returns the rows."""
    begun: dict[_Key, int] = {}
    for one, named in grants.items():
        arn = {} if isinstance(one, NamedGrant) else columns(one)
        begun[one] = database.connection.execute(
            insert(assignments)
            .values(
                kind=kind,
                resource_id=resource_id,
                account_id=named.account,
                permission_set=named.permission_set,
                application=named.application,
                origin=origin,
                valid_from=at,
                **arn,
            )
            .returning(_columns.id)
        ).scalar_one()
    return begun


def _end(database: Database, at: float, *which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    with database.transaction() as connection:
        return connection.execute(
            update(assignments).where(CURRENT, *which).values(valid_to=at).returning(assignments)
        ).all()


def _ended(rows: Sequence[Row[Any]], resolve: Resolve) -> Turn:
    keys = {_known(row) or resolve(_named(row)) for row in rows}
    return Turn(
        ended=tuple(dict.fromkeys(map(_named, rows))),
        revoked=_grants(key for key in keys if key is not None),
    )


def _grants(keys: Iterable[_Key]) -> tuple[Grant, ...]:
    known = [key for key in keys if not isinstance(key, NamedGrant)]
    return tuple(sorted(known, key=str))


def _named(row: Row[Any]) -> NamedGrant:
    return NamedGrant(
        account=row.account_id, permission_set=row.permission_set, application=row.application
    )


def _known(row: Row[Any]) -> Grant | None:
    """The grant of a row, if its ARN was written down."""
    if row.permission_set_arn:
        return AccountGrant(account=row.account_id, permission_set=row.permission_set_arn)
    return ApplicationGrant(application=row.application_arn) if row.application_arn else None
