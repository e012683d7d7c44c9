"""The migrations make exactly the tables that the code uses."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, select, text

from scim_bridge.directory import migration
from scim_bridge.directory.database import Database
from scim_bridge.directory.migration import check, upgrade
from scim_bridge.directory.tables import metadata, user_emails
from scim_bridge.errors import MigrationMissing

# What PostgreSQL knows of every column and index, whatever the order of the columns.
COLUMNS = """
    SELECT table_name, column_name, udt_name, character_maximum_length, collation_name,
           is_nullable, column_default
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name != 'alembic_version' ORDER BY 1, 2"""
INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename != 'alembic_version' ORDER BY 1"""


def schema(connection: Connection) -> Sequence[object]:
    """Every table and index, as the database holds its definition, columns in any order."""
    if connection.dialect.name == "postgresql":
        return [
            tuple(row) for each in (COLUMNS, INDEXES) for row in connection.exec_driver_sql(each)
        ]
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
    )
    return sorted((name, sorted(_parts(sql))) for name, sql in rows)


def _parts(sql: str) -> list[str]:
    """The columns and constraints of a definition. A column that was added later stands last."""
    one_line = " ".join(sql.split())
    head, _, inside = one_line.partition("(")
    return [head, *re.split(r", (?![^(]*\))", inside.removesuffix(")").strip())]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings(
    "ignore:autogenerate skipping metadata-specified expression-based index"
)
def test_the_migrated_schema_is_that_of_the_metadata(database: Database) -> None:
    """Alembic finds nothing to add, drop or change. It cannot compare expressions in indexes."""
    by_expression = {
        index.name
        for table in metadata.tables.values()
        for index in table.indexes
        if not all(isinstance(each, Column) for each in index.expressions)
    }
    options = {
        "compare_type": True,
        "include_object": lambda _object, name, *_: name not in by_expression,
    }
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_migrated_schema_is_the_same_word_for_word(database: Database) -> None:
    """Partial indexes, names, nullability and collations included, which Alembic leaves out."""
    with database.reading() as connection:
        migrated = schema(connection)
    with database.transaction() as connection:
        # The functions of PostgreSQL stay; SQLite's are the connection's own.
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert schema(connection) == migrated


def test_a_database_without_tables_is_refused(tmp_path: Path) -> None:
    """The refusal names the command that mends it."""
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(MigrationMissing, match="scim-bridge db upgrade"):
        check(database)
    upgrade(database)
    check(database)
    database.close()


def test_an_upgrade_can_be_repeated(database: Database) -> None:
    """It does nothing to a database that is there already."""
    upgrade(database)
    check(database)


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    """Upgrading would not help; an older program must not write to it."""
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationMissing, match="newer"):
        check(database)
    # A process that began before goes on until it is replaced.
    check(database, running=True)


def test_the_version_before_can_still_write(database: Database) -> None:
    """While machines are upgraded one after the other: what it writes is found by the new one."""
    insert = text(
        "INSERT INTO users (id, document, user_name, user_name_folded, active, created, "
        "last_modified, version) VALUES (:id, :document, 'Ada', 'ada', :active, 0, 0, 1)"
    )
    person = {"id": "1", "active": True, "document": '{"emails": [{"value": "ADA@b.example"}]}'}
    found = select(user_emails.c.email_folded)
    with database.transaction() as connection:
        connection.execute(insert, person)
        assert connection.scalars(found).all() == ["ada@b.example"]
        other = '{"emails": [{"value": "a@b.example"}, {"value": "A@b.example"}, {}]}'
        connection.execute(text("UPDATE users SET document = :document"), {"document": other})
        assert connection.scalars(found).all() == ["a@b.example"]
        connection.execute(text("UPDATE users SET document = '{}'"))
        assert connection.scalars(found).all() == []


def test_people_from_before_the_upgrade_are_found_by_their_addresses(tmp_path: Path) -> None:
    """The rows of addresses are filled from the documents that are there."""
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    with database.transaction() as connection:
        config = migration._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.exec_driver_sql(
            "INSERT INTO users (id, document, user_name, user_name_folded, active, created, "
            """last_modified, version) VALUES ('1', '{"emails": [{"value": "A@b.example"}]}', """
            "'Ada', 'ada', 1, 0, 0, 1)"
        )
    upgrade(database)
    with database.reading() as connection:
        assert connection.scalars(select(user_emails.c.email_folded)).all() == ["a@b.example"]
    database.close()


def test_a_path_with_a_percent_sign_works(tmp_path: Path) -> None:
    """Alembic's configuration would read it as an interpolation."""
    folder = tmp_path / "50%"
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'new.db'}")
    upgrade(database)
    check(database)
    database.close()
