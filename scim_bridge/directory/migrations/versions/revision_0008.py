"""How much waits, for how long and why is read from indexes, however much it is."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_pending_unsettled": (["target", "state", "since"], "state != 'clear'"),
    "ix_pending_errors": (["target", "urgent", "next_attempt_at"], "last_error IS NOT NULL"),
    "ix_pending_revoking": (["target", "revoking_since"], "revoking_since IS NOT NULL"),
    "ix_pending_denied": (["target", "denied", "state"], "denied IS NOT NULL"),
}


def upgrade() -> None:
    for name, (columns, condition) in INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "pending", columns, sqlite_where=where, postgresql_where=where)
