"""How far each connector has been told of what was changed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    collation = "C" if op.get_bind().dialect.name == "postgresql" else None
    op.create_table(
        "feeds",
        sa.Column("connector", sa.String(64, collation=collation), primary_key=True),
        sa.Column("seal_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("told_at", sa.Float),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.Float),
        sa.Column("next_attempt_at", sa.Float, nullable=False),
        sa.Column("last_error", sa.Text(collation=collation)),
    )
