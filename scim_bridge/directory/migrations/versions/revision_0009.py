"""The rules of joining, moving and leaving: which are in force, and what time will change."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def string(length: int) -> sa.String:
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rulebooks",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("digest", string(64), nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("applied_by", TEXT, nullable=False),
        sa.Column("applied_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rulebooks"),
    )
    op.create_table(
        "rule_lapses",
        sa.Column("person", string(36), nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("person", "rule", name="pk_rule_lapses"),
    )
    op.create_table(
        "rule_dues",
        sa.Column("person", string(36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_rule_dues"),
    )
    op.create_index("ix_rule_dues_at", "rule_dues", ["at"])
