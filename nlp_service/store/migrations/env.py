"""Alembic's entry: runs the steps on the connection that the store gives it."""

from alembic import context

from nlp_service.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
