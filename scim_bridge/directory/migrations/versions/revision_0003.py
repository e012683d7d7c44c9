"""The tables of access: assignments, extraction, drift, alerts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("target", "id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "alerts",
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("cause", name=op.f("pk_alerts")),
    )
    op.create_table(
        "applications",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("target", "arn", name=op.f("pk_applications")),
    )
    op.create_table(
        "applied_assignments",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("permission_set", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "target",
            "kind",
            "principal_id",
            "account_id",
            "permission_set",
            "application",
            name=op.f("pk_applied_assignments"),
        ),
    )
    op.create_table(
        "assignment_requests",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("permission_set", sa.Text(), nullable=False),
        sa.Column("operation", sa.String(length=8), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "target",
            "kind",
            "principal_id",
            "account_id",
            "permission_set",
            name=op.f("pk_assignment_requests"),
        ),
    )
    op.create_table(
        "assignments",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=12), server_default="", nullable=False),
        sa.Column("permission_set", sa.Text(), server_default="", nullable=False),
        sa.Column("permission_set_arn", sa.Text(), nullable=True),
        sa.Column("application", sa.Text(), server_default="", nullable=False),
        sa.Column("application_arn", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Float(), nullable=False),
        sa.Column("valid_to", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index(
        "ix_assignments_account", "assignments", ["account_id", "valid_to"], unique=False
    )
    op.create_index(
        "uq_assignments_current",
        "assignments",
        ["kind", "resource_id", "account_id", "permission_set", "application", "origin"],
        unique=True,
        sqlite_where=sa.text("valid_to IS NULL"),
        postgresql_where=sa.text("valid_to IS NULL"),
    )

    op.create_table(
        "departures",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("target", "kind", "item", name=op.f("pk_departures")),
    )
    op.create_table(
        "drift",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("target", "item", name=op.f("pk_drift")),
    )
    op.create_table(
        "disappearances",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("target", "kind", "item", name=op.f("pk_disappearances")),
    )
    op.create_table(
        "observed_assignments",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("permission_set", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "target",
            "kind",
            "principal_id",
            "account_id",
            "permission_set",
            "application",
            name=op.f("pk_observed_assignments"),
        ),
    )
    op.create_index(
        "ix_observed_assignments_account",
        "observed_assignments",
        ["target", "account_id"],
        unique=False,
    )

    op.create_table(
        "pauses",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_pauses")),
    )
    op.create_table(
        "permission_sets",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("session_seconds", sa.Integer(), nullable=False),
        sa.Column("policies", DOCUMENT, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("target", "arn", name=op.f("pk_permission_sets")),
    )
    op.create_table(
        "repairs",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repairs")),
    )
    op.create_index("ix_repairs_item", "repairs", ["target", "item", "at"], unique=False)
    op.create_index("ix_runs_kind", "runs", ["kind", "id"], unique=False)

    op.create_table(
        "session_cuts",
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("permission_set", sa.Text(), nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=36), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "target", "permission_set", "principal_id", name=op.f("pk_session_cuts")
        ),
    )
    op.create_table(
        "taken",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=36), nullable=False),
        sa.Column("group_id", sa.Text(), server_default="", nullable=False),
        sa.Column("account_id", sa.String(length=12), server_default="", nullable=False),
        sa.Column("permission_set", sa.Text(), server_default="", nullable=False),
        sa.Column("application", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("restored_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_taken")),
    )
    op.create_index("ix_taken_person", "taken", ["target", "person"], unique=False)

    op.add_column(
        "clients",
        sa.Column("entitlements", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("pending", sa.Column("denied", sa.Text(), nullable=True))
    op.add_column("held", sa.Column("lost", sa.Text(), server_default="", nullable=False))
    op.drop_index("uq_held", table_name="held")
    op.create_index(
        "uq_held", "held", ["target", "category", "person", "group_id", "lost"], unique=True
    )
