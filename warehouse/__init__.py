"""PostgreSQL: the server, connections, schemas, migrations and bulk transfer.

What belongs here: getting a connection to an up-to-date database, and moving tables through Arrow.
What does not: what the tables mean. Each room owns its tables; the ledgers' definitions are
Alembic migrations in `warehouse/migrations/versions`, one file a room.
"""

from warehouse.database import Transaction, Warehouse
from warehouse.server import EmbeddedServer, ServerError

__all__ = ["EmbeddedServer", "ServerError", "Transaction", "Warehouse"]
