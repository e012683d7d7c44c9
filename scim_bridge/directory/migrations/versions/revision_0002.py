"""A mark names the client requests it goes back to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column(
        "pending", sa.Column("requests", DOCUMENT, server_default=sa.text("'[]'"), nullable=False)
    )
