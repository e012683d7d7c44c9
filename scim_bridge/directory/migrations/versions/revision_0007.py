"""Pages of live resources are found and counted in an index of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    live = sa.text("deleted_at IS NULL")
    for table in ("users", "groups"):
        op.create_index(
            f"ix_{table}_live",
            table,
            ["id", "display_name_folded", "deleted_at"],
            sqlite_where=live,
            postgresql_where=live,
        )
