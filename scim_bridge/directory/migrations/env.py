"""Runs the migrations in the transaction that `scim_bridge.directory.migration` has opened."""

from alembic import context

from scim_bridge.directory.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most of a table: later revisions make it anew.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
