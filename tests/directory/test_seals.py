"""`scim_bridge.directory.seals`: the chain of seals finds every change of the audit trail."""

import contextlib
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from scim_bridge.directory import seals
from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.directory.seals import GENESIS, Sealer, verify
from scim_bridge.directory.tables import audit, audit_personal, audit_seals
from scim_bridge.errors import AuditBroken

KEY = bytes(range(32))
ANOTHER_KEY = bytes(32)


def write(database: Database, *user_names: str) -> None:
    for user_name in user_names:
        with database.transaction():
            record(
                database,
                action=Action.UPDATE,
                kind="user",
                resource_id=f"id-of-{user_name}",
                related_id="other",
                facts={"attributes": ["title"]},
                personal={"before": {"title": "a"}, "after": {"title": "b"}},
                target_request_id=f"aws-{user_name}",
                user_name=user_name,
            )


@pytest.fixture
def sealed(database: Database) -> Database:
    """Three seals over the rows 1-3, 4-6 and 7-9, and row 10, which is not sealed."""
    for batch in (("ada", "bob", "cy"), ("dee", "eve", "fay"), ("gus", "hal", "ivy")):
        write(database, *batch)
        assert Sealer(database, KEY).seal() == 3
    write(database, "jo")
    return database


# What a database says that takes no such value: SQLite takes a text for a number, others do not.
REFUSALS = (IntegrityError, DataError, ProgrammingError)


def tamper(database: Database, *statements: str, **values: object) -> None:
    """Change the database as somebody would who can write to it but does not have the key."""
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def test_a_trail_as_it_was_written_verifies_and_is_counted(sealed):
    """``audit verify`` counts what is sealed and what is not yet."""
    found = verify(sealed, KEY)
    assert (found.rows, found.sealed, found.unsealed, found.seals) == (10, 9, 1, 3)
    assert found.erased == 0
    assert len(bytes.fromhex(found.head)) == 32


def test_an_empty_trail_verifies(database):
    """A bridge that was never used has nothing to hide; its head stays in every later chain."""
    found = verify(database, KEY)
    assert (found.rows, found.seals, found.head) == (0, 0, GENESIS)
    write(database, "ada")
    Sealer(database, KEY).seal()
    assert verify(database, KEY, head=found.head).sealed == 1


def test_every_column_of_an_entry_is_sealed():
    """All but where the seal puts the row, which verification compares by itself."""
    assert set(seals._SEALED) == {column.name for column in audit.c} - {"seal_id", "position"}
    assert {*seals._HEADER, "seal"} == {column.name for column in audit_seals.c}


@pytest.mark.parametrize(
    ("what", "statements"),
    [
        ("row 5", ["UPDATE audit SET actor = 'client:other' WHERE id = 5"]),
        ("rows 4 to 6", ["UPDATE audit SET outcome = 'refused' WHERE id = 5"]),
        ("a value of another type", ["UPDATE audit SET facts = x'7b7d' WHERE id = 5"]),
        ("a time that is none", ["UPDATE audit SET at = 'noon' WHERE id = 5"]),
        ("a seal's time that is none", ["UPDATE audit_seals SET sealed_at = x'00' WHERE id = 2"]),
        ("seal 2", ["DELETE FROM audit WHERE id = 5"]),
        ("seal 2", ["DELETE FROM audit WHERE id = 6"]),
        ("seal 2", ["DELETE FROM audit WHERE seal_id = 2"]),
        ("seal 3", ["DELETE FROM audit WHERE id = 9"]),
        ("seal 2", ["UPDATE audit SET seal_id = NULL, position = NULL WHERE id = 6"]),
        ("position NULL", ["UPDATE audit SET position = NULL WHERE id = 5"]),
        (
            "swapped positions",
            ["UPDATE audit SET position = 5 - position WHERE seal_id = 2 AND position > 1"],
        ),
        (
            "swapped ids",
            [
                "UPDATE audit SET id = -5 WHERE id = 5",
                "UPDATE audit SET id = 5 WHERE id = 6",
                "UPDATE audit SET id = 6 WHERE id = -5",
            ],
        ),
        (
            "swapped between batches",
            [
                "UPDATE audit SET seal_id = 9 WHERE id = 3",
                "UPDATE audit SET seal_id = 1, position = 3 WHERE id = 4",
                "UPDATE audit SET seal_id = 2, position = 1 WHERE id = 3",
            ],
        ),
        (
            "an inserted row",
            [
                "INSERT INTO audit (id, at, actor, action, outcome, facts, seal_id, position) "
                "VALUES (99, 1, 'bridge', 'create', 'ok', '{}', 2, 4)"
            ],
        ),
        (
            "a row under a seal to come",
            [
                "INSERT INTO audit (id, at, actor, action, outcome, facts, seal_id, position) "
                "VALUES (99, 1, 'bridge', 'create', 'ok', '{}', 4, 1)"
            ],
        ),
        (
            "a row under seal 0",
            [
                "INSERT INTO audit (id, at, actor, action, outcome, facts, seal_id, position) "
                "VALUES (99, 1, 'bridge', 'create', 'ok', '{}', 0, 1)"
            ],
        ),
        ("a removed first seal", ["DELETE FROM audit_seals WHERE id = 1"]),
        ("a removed seal", ["DELETE FROM audit_seals WHERE id = 2"]),
        ("a removed last seal", ["DELETE FROM audit_seals WHERE id = 3"]),
        ("all seals removed", ["DELETE FROM audit_seals"]),
        (
            "a removed batch",
            ["DELETE FROM audit_seals WHERE id = 2", "DELETE FROM audit WHERE seal_id = 2"],
        ),
        (
            "a removed batch, the rest moved up",
            [
                "DELETE FROM audit_seals WHERE id = 2",
                "DELETE FROM audit WHERE seal_id = 2",
                "UPDATE audit_seals SET id = 2 WHERE id = 3",
                "UPDATE audit SET seal_id = 2 WHERE seal_id = 3",
            ],
        ),
        (
            "a removed batch, the rest moved up and joined",
            [
                "UPDATE audit_seals SET previous = (SELECT seal FROM audit_seals WHERE id = 1) "
                "WHERE id = 3",
                "DELETE FROM audit_seals WHERE id = 2",
                "DELETE FROM audit WHERE seal_id = 2",
                "UPDATE audit_seals SET id = 2 WHERE id = 3",
                "UPDATE audit SET seal_id = 2 WHERE seal_id = 3",
            ],
        ),
        (
            "swapped batches",
            [
                "UPDATE audit_seals SET id = 9 WHERE id = 2",
                "UPDATE audit_seals SET id = 2 WHERE id = 3",
                "UPDATE audit_seals SET id = 3 WHERE id = 9",
                "UPDATE audit SET seal_id = 5 - seal_id WHERE seal_id IN (2, 3)",
            ],
        ),
        (
            "a seal before the first",
            ["INSERT INTO audit_seals SELECT 0, sealed_at, 0, key_id, previous, seal "
             "FROM audit_seals WHERE id = 1"],
        ),
        ("a changed digest", ["UPDATE audit SET personal_digest = NULL WHERE id = 5"]),
        (
            "an added personal part",
            [
                "UPDATE audit SET personal_digest = NULL WHERE id = 5",
                "UPDATE audit_personal SET user_name_folded = x'00' WHERE audit_id = 5",
            ],
        ),
        (
            "swapped personal parts",
            [
                "UPDATE audit_personal SET audit_id = 99 WHERE audit_id = 5",
                "UPDATE audit_personal SET audit_id = 5 WHERE audit_id = 6",
                "UPDATE audit_personal SET audit_id = 6 WHERE audit_id = 99",
            ],
        ),
        (
            "a personal part digested anew",
            [
                "UPDATE audit_personal SET content = '{}' WHERE audit_id = 5",
                "UPDATE audit SET personal_digest = '00' WHERE id = 5",
            ],
        ),
    ],
)  # fmt: skip
def test_tampering_is_found(sealed, what, statements):
    """A changed, removed, inserted or reordered row or seal breaks the chain (design: audit)."""
    try:
        tamper(sealed, *statements)
    except REFUSALS:
        # PostgreSQL takes no value of another type.
        return
    with pytest.raises(AuditBroken):
        verify(sealed, KEY)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit SET actor = 'x' WHERE id = 5", "seal 2 .* rows 4 to 6"),
        ("UPDATE audit_personal SET content = '{}' WHERE audit_id = 5", "personal part of row 5"),
        ("DELETE FROM audit WHERE id = 5", "row 6 is at position 3 of seal 2 where 2 is due"),
        ("DELETE FROM audit WHERE id = 6", "seal 2 was made over 3 rows, 2 are there"),
        ("DELETE FROM audit_seals WHERE id = 2", "seal 2 is missing"),
        ("DELETE FROM audit_seals WHERE id = 3", "row 7 says it is sealed"),
        ("UPDATE audit_seals SET previous = seal WHERE id = 2", "seal 2 does not follow"),
        ("UPDATE audit_seals SET key_id = 'x' WHERE id = 2", "seal 2 was made with another key"),
    ],
)
def test_the_first_place_that_differs_is_named(sealed, statement, told):
    """An auditor is told where to look."""
    tamper(sealed, statement)
    with pytest.raises(AuditBroken, match=told):
        verify(sealed, KEY)


# A personal part that leaves its row is an erasure, and swapping two is tested above.
COLUMNS = [
    column
    for table in (audit, audit_personal, audit_seals)
    for column in table.c
    if column is not audit_personal.c.audit_id
]
VALUES = st.none() | st.integers(-10, 10) | st.text("0ab{}", max_size=4) | st.floats(0, 1e9)


class TakenBack(Exception):
    """Ends a transaction whose changes are not to be kept."""


@pytest.mark.parametrize("column", COLUMNS, ids=str)
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(number=st.integers(1, 9), value=VALUES)
def test_any_change_of_any_single_field_is_found(sealed, column, number, value):
    """Whatever is written into whatever column of a sealed row, a seal or a personal part."""
    table = column.table
    [key] = table.primary_key
    number = -(-number // 3) if table is audit_seals else number
    # In plain SQL, so that neither the values read nor the one written are converted on the way.
    kind = "typeof" if sealed.engine.dialect.name == "sqlite" else "pg_typeof"
    everything = text(f"SELECT *, {kind}({column.name}) FROM {table.name} ORDER BY 1")  # noqa: S608
    change = text(
        f"UPDATE {table.name} SET {column.name} = :value WHERE {key.name} = :number"  # noqa: S608
    )
    with contextlib.suppress(TakenBack), sealed.transaction() as connection:
        before = connection.execute(everything).all()
        # What the database itself refuses, nobody has done.
        with contextlib.suppress(*REFUSALS), connection.begin_nested():
            connection.execute(change, {"value": value, "number": number})
        if connection.execute(everything).all() != before:
            with pytest.raises(AuditBroken):
                verify(sealed, KEY)
        raise TakenBack
    assert verify(sealed, KEY).sealed == 9


def test_another_key_does_not_verify(sealed):
    """Whoever makes up a trail without the key is found; so is a key file that was mixed up."""
    with pytest.raises(AuditBroken, match="another key"):
        verify(sealed, ANOTHER_KEY)


def test_a_chain_made_up_with_another_key_is_found(sealed):
    """Sealing everything anew needs the key, even if it claims to be made with the right one."""
    [key_id] = set(column(sealed, "SELECT key_id FROM audit_seals"))
    tamper(sealed, "DELETE FROM audit_seals", "UPDATE audit SET seal_id = NULL, actor = 'bridge'")
    Sealer(sealed, ANOTHER_KEY).seal()
    tamper(sealed, "UPDATE audit_seals SET key_id = :key_id", key_id=key_id)
    with pytest.raises(AuditBroken, match="seal 1 does not fit"):
        verify(sealed, KEY)


def test_a_tail_that_was_cut_off_is_found_with_the_head(sealed):
    """A shorter chain is a whole chain; only a head kept elsewhere knows that it was longer."""
    head = verify(sealed, KEY).head
    tamper(sealed, "DELETE FROM audit WHERE id > 6", "DELETE FROM audit_seals WHERE id = 3")
    assert verify(sealed, KEY).seals == 2
    with pytest.raises(AuditBroken, match=head):
        verify(sealed, KEY, head=head)


def test_a_tail_that_was_cut_off_and_replaced_is_found_with_the_head(sealed):
    """The bridge goes on sealing after a cut; the old head is not in the new chain."""
    head = verify(sealed, KEY).head
    tamper(sealed, "DELETE FROM audit WHERE id > 6", "DELETE FROM audit_seals WHERE id = 3")
    write(sealed, "kim", "lou", "max")
    assert Sealer(sealed, KEY).seal() == 3
    with pytest.raises(AuditBroken, match=head):
        verify(sealed, KEY, head=head)


def test_a_head_from_earlier_is_still_in_the_chain(sealed):
    """A head stays good for ever: the trail only grows after it."""
    head = verify(sealed, KEY).head
    assert Sealer(sealed, KEY).seal() == 1
    later = verify(sealed, KEY, head=head)
    assert (later.sealed, later.unsealed) == (10, 0)
    assert later.head != head


def test_an_erased_personal_part_keeps_the_chain_whole(sealed):
    """Erasing a person takes the personal part and its salt; the digest alone stays sealed."""
    tamper(sealed, "DELETE FROM audit_personal WHERE audit_id IN (2, 5)")
    found = verify(sealed, KEY)
    assert (found.sealed, found.erased) == (9, 2)


def test_a_chain_longer_than_what_is_read_at_once_verifies(database, monkeypatch):
    """The walk is cut into chunks; what is found does not depend on where."""
    monkeypatch.setattr(seals, "_SEALS_AT_ONCE", 2)
    monkeypatch.setattr(seals, "_ROWS_AT_ONCE", 3)
    write(database, *"abcdefghijkl")
    while Sealer(database, KEY, batch=5).seal():
        pass
    told: list[int] = []
    assert verify(database, KEY, progress=told.append).sealed == 12
    assert told == [5, 10, 12]
    tamper(database, "DELETE FROM audit_seals WHERE id = 2")
    with pytest.raises(AuditBroken, match="seal 2 is missing"):
        verify(database, KEY)


def test_a_batch_is_limited_and_in_the_order_of_ids(database):
    """After a stop there may be many rows to seal; each seal takes some, the oldest first."""
    write(database, *"abcde")
    sealer = Sealer(database, KEY, batch=2)
    assert [sealer.seal() for _ in range(4)] == [2, 2, 1, 0]
    assert [tuple(row) for row in every(database, "SELECT seal_id, position FROM audit")] == [
        (1, 1), (1, 2), (2, 1), (2, 2), (3, 1),
    ]  # fmt: skip


def test_a_row_that_becomes_visible_late_is_in_a_later_batch(database):
    """On PostgreSQL a lower id may be committed after a higher one was sealed."""
    write(database, "ada", "bob")
    tamper(
        database,
        "UPDATE audit_personal SET audit_id = 9 WHERE audit_id = 2",
        "UPDATE audit SET id = 9 WHERE id = 2",
    )
    sealer = Sealer(database, KEY)
    assert sealer.seal() == 2
    tamper(
        database,
        "INSERT INTO audit (id, at, actor, action, outcome, facts) "
        "VALUES (5, 1, 'bridge', 'create', 'ok', '{}')",
    )
    assert sealer.seal() == 1
    assert verify(database, KEY).seals == 2


def test_a_row_of_an_open_transaction_waits(database):
    """Only what is committed is sealed."""
    write(database, "ada")
    with contextlib.suppress(TakenBack), database.transaction():
        record(database, action=Action.CREATE)
        found: list[int] = []
        other = threading.Thread(target=lambda: found.append(unsealed_rows(database)))
        other.start()
        other.join()
        raise TakenBack
    assert found == [1]
    assert Sealer(database, KEY).seal() == 1


def test_nothing_is_sealed_with_another_key_than_the_chains(sealed):
    """A mixed-up key file must not begin a second chain that no key verifies as one."""
    with pytest.raises(AuditBroken, match="seal 3 was made with another key"):
        Sealer(sealed, ANOTHER_KEY).seal()
    assert Sealer(sealed, KEY).seal() == 1
    assert verify(sealed, KEY).unsealed == 0


def test_a_lease_held_by_another_process_leaves_the_work_to_it(sealed):
    """One at a time: the rows wait for the one who holds the lease."""
    tamper(sealed, "UPDATE locks SET leased_until = :until", until=sealed.clock() + 5)
    assert Sealer(sealed, KEY).seal() == 0
    assert verify(sealed, KEY).unsealed == 1


def test_a_lease_that_ran_out_is_taken_over(sealed):
    """A sealer that died holds nobody up for longer than its lease."""
    tamper(sealed, "UPDATE locks SET leased_until = :until", until=sealed.clock() - 1)
    assert Sealer(sealed, KEY).seal() == 1


def test_a_sealer_that_lost_its_lease_writes_nothing(sealed):
    """Fenced: somebody who slept through the lease cannot add a second seal over the same rows."""

    def while_it_sleeps_another_one_seals() -> float:
        tamper(sealed, "UPDATE locks SET leased_until = 0")
        assert Sealer(sealed, KEY).seal() == 1
        return 0.0

    assert Sealer(sealed, KEY, clock=while_it_sleeps_another_one_seals).seal() == 0
    found = verify(sealed, KEY)
    assert (found.seals, found.sealed, found.unsealed) == (4, 10, 0)


def test_a_lease_taken_from_a_sealer_before_anything_was_sealed_stops_it(sealed):
    """The number of the lease decides, not whether somebody has sealed meanwhile."""

    def somebody_takes_over() -> float:
        tamper(sealed, "UPDATE locks SET number = number + 1")
        return 0.0

    assert Sealer(sealed, KEY, clock=somebody_takes_over).seal() == 0
    assert verify(sealed, KEY).unsealed == 1


def test_sealers_in_several_threads_make_one_chain(database):
    """Any process may seal; while others write, each row is under one seal of one chain."""

    def seal_until_done() -> None:
        sealer = Sealer(database, KEY, batch=4)
        while not done.is_set() or unsealed_rows(database):
            sealer.seal()

    done = threading.Event()
    threads = [threading.Thread(target=seal_until_done) for _ in range(3)]
    for thread in threads:
        thread.start()
    write(database, *(f"user-{number}" for number in range(40)))
    done.set()
    for thread in threads:
        thread.join()
    found = verify(database, KEY)
    assert (found.sealed, found.unsealed) == (40, 0)


SEAL_IN_A_PROCESS = f"""
import sys
from scim_bridge.directory.database import Database
from scim_bridge.directory.seals import Sealer
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(sum(Sealer(database, bytes.fromhex("{KEY.hex()}"), batch=1).seal() for _ in range(60)))
database.close()
"""


def test_sealers_in_two_processes_make_one_chain(database):
    """The lease is in the database, so it also holds between processes."""
    write(database, *(f"user-{number}" for number in range(60)))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SEAL_IN_A_PROCESS, database.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    counts = [int(process.communicate("go\n")[0]) for process in reversed(processes)]
    found = verify(database, KEY)
    assert found.sealed == found.seals == sum(counts)


def every(database: Database, statement: str):
    with database.reading() as connection:
        return connection.execute(text(statement)).all()


def column(database: Database, statement: str) -> list[object]:
    return [value for (value,) in every(database, statement)]


def unsealed_rows(database: Database) -> int:
    return len(every(database, "SELECT id FROM audit WHERE seal_id IS NULL"))
