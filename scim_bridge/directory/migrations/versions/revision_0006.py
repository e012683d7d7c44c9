"""All processes keep one pace at each door of Identity Center."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    collation = "C" if op.get_bind().dialect.name == "postgresql" else None
    op.create_table(
        "paces",
        sa.Column("door", sa.String(64, collation=collation), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("free_at", sa.Float(), nullable=False),
        sa.Column("stopped_until", sa.Float(), nullable=False),
        sa.Column("halved_at", sa.Float(), nullable=False),
        sa.Column("halved_from", sa.Float()),
        sa.PrimaryKeyConstraint("door", name=op.f("pk_paces")),
    )
