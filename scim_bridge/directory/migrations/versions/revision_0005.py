"""What filters ask of a document is found by indexes, and PostgreSQL compares as SQLite does."""

import sqlalchemy as sa
from alembic import op

from scim_bridge.directory import addresses, lowercase

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        _compare_as_sqlite()
        _index_on_postgresql()
    else:
        _index_on_sqlite()
    _keep_addresses(dialect)


def _compare_as_sqlite() -> None:
    """Texts in the order of their characters, documents as they were written."""
    for function in lowercase.functions():
        op.get_bind().exec_driver_sql(function)
    columns = sa.text(
        "SELECT c.table_name, c.column_name, c.udt_name, c.character_maximum_length AS length "
        "FROM information_schema.columns c JOIN information_schema.tables t "
        "USING (table_schema, table_name) WHERE table_schema = current_schema() "
        "AND t.table_type = 'BASE TABLE' AND c.table_name != 'alembic_version' "
        "AND c.udt_name IN ('text', 'varchar', 'jsonb') ORDER BY 1, c.ordinal_position"
    )
    changes: dict[str, list[str]] = {}
    for row in op.get_bind().execute(columns):
        wanted = {
            "text": 'text COLLATE "C"',
            "varchar": f'varchar({row.length}) COLLATE "C"',
            "jsonb": "json",
        }[row.udt_name]
        changes.setdefault(row.table_name, []).append(
            f'ALTER COLUMN "{row.column_name}" TYPE {wanted}'
        )
    for table, alterations in changes.items():
        op.execute(sa.text(f'ALTER TABLE "{table}" {", ".join(alterations)}'))
    op.execute(sa.text("ALTER TABLE pending ALTER COLUMN requests SET DEFAULT '[]'"))


def _index_on_postgresql() -> None:
    active = "json_extract_path_text(document, 'active')"
    flag = f"CASE {active} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    op.execute(sa.text(f"CREATE INDEX ix_users_active ON users (({flag}))"))
    for index, name in (("employee_number", "employeeNumber"), ("department", "department")):
        value = f"""json_extract_path_text(document, '{ENTERPRISE}', '{name}') COLLATE "C\""""
        op.execute(sa.text(_unbound(f"CREATE INDEX ix_users_{index} ON users (folded(({value})))")))


def _index_on_sqlite() -> None:
    active = """json_extract(document, '$."active"')"""
    op.execute(sa.text(f"CREATE INDEX ix_users_active ON users ({active})"))
    for index, name in (("employee_number", "employeeNumber"), ("department", "department")):
        value = f"""json_extract(document, '$."{ENTERPRISE}"."{name}"')"""
        op.execute(sa.text(_unbound(f"CREATE INDEX ix_users_{index} ON users (folded({value}))")))


def _keep_addresses(dialect: str) -> None:
    collation = "C" if dialect == "postgresql" else None
    op.create_table(
        addresses.TABLE,
        sa.Column("user_id", sa.String(36, collation=collation), nullable=False),
        sa.Column("email_folded", sa.Text(collation=collation), nullable=False),
    )
    op.create_index("uq_user_emails", addresses.TABLE, ["email_folded", "user_id"], unique=True)
    op.create_index("ix_user_emails_user", addresses.TABLE, ["user_id"])
    for statement in (*addresses.TRIGGERS[dialect], addresses.FILL[dialect]):
        op.get_bind().exec_driver_sql(statement)


def _unbound(statement: str) -> str:
    """A statement whose colons are no parameters."""
    return statement.replace(":", r"\:")
