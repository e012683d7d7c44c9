"""A client has a dialect, and a group can be in a group."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "clients", sa.Column("dialect", sa.String(16), server_default="tolerant", nullable=False)
    )
    current = sa.text("valid_to IS NULL")
    op.create_table(
        "nestings",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("group_id", sa.String(36), nullable=False),
        sa.Column("inner_id", sa.String(36), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Float(), nullable=False),
        sa.Column("valid_to", sa.Float()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nestings")),
    )
    op.create_index(
        "uq_nestings_current",
        "nestings",
        ["group_id", "inner_id"],
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )
    op.create_index("ix_nestings_inner", "nestings", ["inner_id", "valid_to"])
