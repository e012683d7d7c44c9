"""Identity Center as a source: who entered the directory from there."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    collation = "C" if op.get_bind().dialect.name == "postgresql" else None
    op.create_table(
        "sourced",
        sa.Column("target", sa.String(64, collation=collation), nullable=False),
        sa.Column("kind", sa.String(8, collation=collation), nullable=False),
        sa.Column("resource_id", sa.String(36, collation=collation), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("target", "kind", "resource_id", name=op.f("pk_sourced")),
    )
