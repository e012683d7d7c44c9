"""What users and groups are entitled to, as rows that begin and end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import ResourceType
from sqlalchemy import insert, select

from scim_bridge.directory import assignments, tables
from scim_bridge.directory.assignments import NO_TURN, Turn
from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import NamedGrant, Stated
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.write import Write
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant
from scim_bridge.scim.provider import (
    AccountAssignment,
    FullGroup,
    FullUser,
    GroupEntitlements,
    Provider,
    UserEntitlements,
)
from scim_bridge.settings import Settings

ACCOUNT = "111122223333"
ARNS = {"read": "arn:aws:sso:::permissionSet/i/ps-read", "admin": "arn:aws:sso:::permissionSet/i/a"}
DAY = 24 * 3600.0


def resolve(named: NamedGrant) -> Grant | None:
    """As a catalogue that knows two permission sets; `new` is not known yet."""
    if named.application:
        return None
    arn = ARNS.get(named.permission_set, named.permission_set)
    known = arn.startswith("arn:")
    return AccountGrant(account=named.account, permission_set=arn) if known else None


def named(permission_set: str) -> NamedGrant:
    return NamedGrant(account=ACCOUNT, permission_set=permission_set)


def grant(permission_set: str) -> AccountGrant:
    return AccountGrant(account=ACCOUNT, permission_set=ARNS[permission_set])


READ, ADMIN, NEW, READ_ARN = (
    named("read"), named("admin"), named("new"), named(ARNS["read"]),
)  # fmt: skip
KIRO = NamedGrant(application="Kiro")


def key(one: NamedGrant) -> Grant | NamedGrant:
    return resolve(one) or one


@dataclass
class Ledger:
    """The grants of one group, changed at ever later times."""

    database: Database
    at: float = 0

    def state(self, *grants: NamedGrant, named: Sequence[NamedGrant] = ()) -> Turn:
        self.at += 1
        return assignments.state(
            self.database,
            "group",
            "g",
            Stated(grants=grants, named=named),
            origin="client:okta",
            at=self.at,
            resolve=resolve,
        )

    def current(self) -> list[NamedGrant]:
        return assignments.current(self.database, "group", ["g"]).get("g", [])

    def rows(self) -> list[Any]:
        with self.database.reading() as connection:
            return list(connection.execute(select(tables.assignments)))

    def clear(self) -> None:
        with self.database.transaction() as connection:
            connection.execute(tables.assignments.delete())


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


grants = st.lists(st.sampled_from([READ, ADMIN, NEW, READ_ARN, KIRO]), max_size=5)


@given(statements=st.lists(st.tuples(grants, grants), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_statement_makes_what_it_states_the_set_that_is_held(
    ledger: Ledger, statements: list[tuple[list[NamedGrant], list[NamedGrant]]]
) -> None:
    """Whatever was there before, and under whatever names: two names of a grant are one."""
    ledger.clear()
    for stated, taken in statements:
        before = ledger.current()
        turn = ledger.state(*stated, named=taken)
        after = ledger.current()

        fresh = {key(one) for one in stated if one not in before}
        gone = {key(one) for one in taken} - fresh
        held = {key(one) for one in after}
        assert held == {key(one) for one in stated} - gone
        assert len(held) == len(after)
        assert set(turn.granted) == grants_of(held - {key(one) for one in before})
        assert set(turn.revoked) >= grants_of({key(one) for one in before} - held)
        assert not held & set(turn.revoked)
        assert turn.changed == (set(before) != set(after))
    assert all(row.valid_to is None or row.valid_from < row.valid_to for row in ledger.rows())


def grants_of(keys: set[Grant | NamedGrant]) -> set[Grant]:
    return {one for one in keys if not isinstance(one, NamedGrant)}


def test_the_same_statement_again_changes_no_row(ledger: Ledger) -> None:
    """A row that stays keeps its beginning and its origin."""
    ledger.state(READ, NEW)
    first = ledger.rows()

    assert ledger.state(NEW, READ) == NO_TURN
    assert ledger.rows() == first


def test_another_name_of_a_grant_begins_a_row_that_an_undo_leaves(ledger: Ledger) -> None:
    """The row says who named it and how; the grant itself neither begins nor ends."""
    ledger.state(READ_ARN)

    turn = ledger.state(READ)

    assert (turn.begun, turn.ended, turn.rows) == ((READ,), (READ_ARN,), ())
    assert (turn.granted, turn.revoked) == ((), ())


def test_a_grant_keeps_its_arn_when_its_name_comes_to_mean_another(database: Database) -> None:
    """A rename at AWS takes nothing away and gives nothing."""
    catalogue = Catalogue(database, "identity-center")
    known(database, read=ARNS["read"])
    state = Stated(grants=[READ])
    arguments = {"origin": "client:okta", "resolve": catalogue.grant}
    assignments.state(database, "group", "g", state, at=1, **arguments)  # type: ignore[arg-type]
    known(database, renamed=ARNS["read"], read=ARNS["admin"])

    again = assignments.state(database, "group", "g", state, at=2, **arguments)  # type: ignore[arg-type]
    ended = assignments.end_resource(database, "group", "g", at=3, resolve=catalogue.grant)

    assert again == NO_TURN
    assert ended.revoked == (grant("read"),)


def test_names_are_resolved_once_an_extraction_shows_them(database: Database) -> None:
    """Permission sets and applications; a name that two applications have stays open."""
    stated = Stated(grants=[READ, NEW, KIRO, NamedGrant(application="Twice")])
    catalogue = Catalogue(database, "identity-center")
    assignments.state(
        database, "user", "u", stated, origin="client:okta", at=1, resolve=catalogue.grant
    )
    known(database, read=ARNS["read"])
    with database.transaction() as connection:
        for arn, name in (("arn:k", "Kiro"), ("arn:1", "Twice"), ("arn:2", "Twice")):
            connection.execute(
                insert(tables.applications).values(
                    target="identity-center", arn=arn, name=name, at=0
                )
            )

    assert assignments.resolve_names(database, catalogue.grant) == 2
    assert assignments.resolve_names(database, catalogue.grant) == 0

    ended = assignments.end_resource(database, "user", "u", at=2, resolve=lambda _named: None)
    assert set(ended.revoked) == {grant("read"), ApplicationGrant(application="arn:k")}


def known(database: Database, **arns: str) -> None:
    """Let these be the permission sets of the last extraction."""
    table = tables.permission_sets
    with database.transaction() as connection:
        connection.execute(table.delete())
        for name, arn in arns.items():
            connection.execute(
                insert(table).values(
                    target="identity-center", arn=arn, name=name, session_seconds=1, policies={},
                    at=0,
                )
            )  # fmt: skip


# -- Through the life of users and groups -------------------------------------------------------


@dataclass
class Directory:
    """A directory on a clock that is set by hand."""

    database: Database
    restore_within: float = 30 * DAY
    now: float = 1_000_000.0
    writes: list[Write] = field(default_factory=list)

    def __post_init__(self) -> None:
        provider = Provider(Settings())
        self.user_type: ResourceType = provider.user
        self.group_type: ResourceType = provider.group
        self.resources = Resources(
            self.database,
            models=provider.directory_models,
            written=self.writes.append,
            resolve=resolve,
            restore_within=self.restore_within,
            clock=lambda: self.now,
        )

    def user(self, *permission_sets: str) -> str:
        user = FullUser(user_name="ada@example.com", active=True)
        user[UserEntitlements] = UserEntitlements(account_assignments=entries(permission_sets))
        created = self.resources.create(self.user_type, user)
        return str(created.id)

    def group(self, *permission_sets: str, name: str = "Crew") -> str:
        group = FullGroup(display_name=name)
        group[GroupEntitlements] = GroupEntitlements(account_assignments=entries(permission_sets))
        return str(self.resources.create(self.group_type, group).id)

    def held(self, resource_id: str, kind: Any = "user") -> list[str]:
        found = assignments.current(self.database, kind, [resource_id]).get(resource_id, [])
        return [one.permission_set for one in found]


def entries(permission_sets: Sequence[str]) -> list[AccountAssignment]:
    return [AccountAssignment(account_id=ACCOUNT, permission_set=one) for one in permission_sets]


@pytest.fixture
def directory(database: Database) -> Directory:
    return Directory(database)


def test_a_deletion_ends_what_was_granted(directory: Directory) -> None:
    """The rows stay, for the history; the write tells what ended."""
    user, group = directory.user("read"), directory.group("admin", "new")

    directory.resources.delete(directory.user_type, user)
    directory.resources.delete(directory.group_type, group)

    of_user, of_group = directory.writes[-2:]
    assert (of_user.revoked, of_group.revoked) == ((grant("read"),), (grant("admin"),))
    assert set(of_group.ended) == {ADMIN, NEW}
    assert directory.held(user) == directory.held(group, "group") == []


def test_a_return_in_time_restores_and_a_late_one_ends(directory: Directory) -> None:
    """Design 3: what was given since the deactivation is meant for the return."""
    user = directory.user("read")
    resources = directory.resources
    resources.set_active(user, active=False)
    assert directory.held(user) == ["read"]
    directory.now += 29 * DAY
    resources.set_active(user, active=True)
    assert directory.held(user) == ["read"]

    resources.set_active(user, active=False)
    directory.now += DAY
    assignments.state(
        directory.database, "user", user, Stated(grants=[READ, ADMIN]), origin="operator:me",
        at=directory.now, resolve=resolve,
    )  # fmt: skip
    directory.now += 30 * DAY
    resources.set_active(user, active=True)

    assert directory.held(user) == ["admin"]
    assert directory.writes[-1].revoked == (grant("read"),)


def test_a_late_return_keeps_what_the_same_write_states(directory: Directory) -> None:
    """Who reactivates somebody and says what they get, means it."""
    user = directory.user("read", "admin")
    directory.resources.set_active(user, active=False)
    directory.now += 31 * DAY
    returning = directory.resources.get(directory.user_type, user)
    returning["active"] = True

    directory.resources.update(directory.user_type, returning, stated=Stated(grants=[READ]))

    assert directory.held(user) == ["read"]
    assert (directory.writes[-1].granted, directory.writes[-1].revoked) == ((), (grant("admin"),))


def test_an_update_that_states_no_grants_leaves_them(directory: Directory) -> None:
    """Drift that is accepted, and whoever else changes a document, revokes nothing."""
    group = directory.group("read")

    directory.resources.update(
        directory.group_type, FullGroup(id=group, display_name="Watch"), members="kept"
    )

    assert directory.held(group, "group") == ["read"]
    assert (directory.writes[-1].revoked, directory.writes[-1].entitlements) == ((), False)


def test_an_undo_takes_back_what_the_write_began_and_not_what_it_ended(
    directory: Directory,
) -> None:
    """Taking access away is never undone (design 4)."""
    group = directory.group("read")
    directory.resources.update(
        directory.group_type, FullGroup(id=group, display_name="Crew"), members="kept",
        stated=Stated(grants=[ADMIN, NEW]),
    )  # fmt: skip

    undone = directory.resources.undo(directory.writes[-1])

    assert undone is not None
    assert undone.revoked == (grant("admin"),)
    assert undone.version == undone.version_before + 1
    assert directory.held(group, "group") == []
    assert directory.resources.undo(directory.writes[-2]) is None


def test_an_undo_leaves_a_grant_that_was_given_another_name(directory: Directory) -> None:
    """It was held before the write."""
    group = directory.group(ARNS["read"])
    directory.resources.update(
        directory.group_type, FullGroup(id=group, display_name="Other"), members="kept",
        stated=Stated(grants=[READ]),
    )  # fmt: skip

    directory.resources.undo(directory.writes[-1])

    assert directory.held(group, "group") == ["read"]


def test_a_rejected_deletion_gives_the_grants_back(directory: Directory) -> None:
    """With their origin; the write tells of them."""
    user = directory.user("read", "new")
    directory.resources.delete(directory.user_type, user)
    directory.now += 60

    directory.resources.reinstate(user)

    assert directory.held(user) == ["read", "new"]
    assert directory.writes[-1].entitlements


def test_a_refused_creation_grants_nothing(directory: Directory) -> None:
    """Its undo ends everything."""
    user = directory.user("read")

    directory.resources.undo(directory.writes[-1])

    assert directory.held(user) == []
