"""Schemas and ledgers, by Alembic: what may never be rebuilt is changed only here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sijill.errors import SijillError

if TYPE_CHECKING:
    from warehouse.database import Warehouse

_FOLDER = Path(__file__).parent
_LOCK = 7_205_759_403  # any constant: two processes must not migrate one database at once


def upgrade(warehouse: Warehouse, progress: Callable[[str], None] | None = None) -> None:
    """Bring the database to the code's newest revision; nothing happens when it is there.

    Raises:
        SijillError: the database was migrated by a newer version of the code.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    with warehouse.engine.connect() as connection:
        connection.execute(sa.text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            present = None
            if connection.execute(sa.text("select to_regclass('audit.alembic_version')")).scalar():
                present = connection.execute(
                    sa.text("select version_num from audit.alembic_version")
                ).scalar()
            connection.commit()
            if present == scripts.get_current_head():
                return
            known = {script.revision for script in scripts.walk_revisions()}
            if present is not None and present not in known:
                raise SijillError(
                    f"The database is at revision {present}, which this version of the code does not know.",
                    expected=f"at most revision {scripts.get_current_head()}",
                    action="run the newer version of the code that migrated it",
                )
            if progress:
                progress("migrating the database")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(sa.text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
