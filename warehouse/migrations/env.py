"""Alembic's entry point; `warehouse.migrations.upgrade` hands it an open connection."""

import sqlalchemy as sa
from alembic import context

connection: sa.Connection = context.config.attributes["connection"]
connection.execute(sa.text("create schema if not exists audit"))
context.configure(connection=connection, target_metadata=None, version_table_schema="audit")
with context.begin_transaction():
    context.run_migrations()
