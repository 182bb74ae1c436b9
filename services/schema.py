"""The database schema: migrated by its owner, used by a role with fewer privileges."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from database import migrations, restore, roles, tls
from database.restore import TableRows
from database.transactions import transaction_without_timeout
from models import row_counts
from models.privileges import RUNTIME
from models.row_counts import RowCounts
from models.security_event import SecurityEventTable


def migrate(*, owner_url: str | None, progress: Callable[[str], None] | None = None) -> list[str]:
    """Apply pending migrations, and return their names.

    With the URL of the role that owns the tables, migrations run as that role, and the role of the
    bound database gets its privileges. Without it, the role of the bound database migrates.

    Raises:
        MigrationForbidden: migrations are pending, and the role may not apply them.
        MigrationError, Unavailable: see `database.migrations.apply`.
    """
    if owner_url is not None:
        names = migrations.apply(progress, url=owner_url)
        roles.grant(owner_url, roles.current_role(), RUNTIME)
        restore.finish(owner_url)  # last, so that an interrupted restore can be repeated until here
        return names
    if roles.may_migrate():
        names = migrations.apply(progress)
        restore.finish(None)
        return names
    if migrations.pending():
        raise migrations.MigrationForbidden(
            f"The role {roles.current_role()} may not change the tables. Run `orderly migrate` with"
            " the owner of the tables in ORDERLY_DATABASE_OWNER_URL."
        )
    return []


def tables() -> list[str]:
    """Return the names of all tables of a shop."""
    return sorted(RUNTIME)


def create_for_restore(owner_url: str, rows: Iterable[TableRows], *, last_migration: str) -> None:
    """Create the tables by the migrations up to `last_migration`, and insert rows.

    Drops the tables of an empty shop, or those that an interrupted restore left. `migrate` must be
    called afterwards.

    Raises:
        ShopNotEmpty, DatabaseInUse: see `database.restore.prepare`.
        RowsRefused: see `database.restore.load`.
        Unavailable: the database cannot be reached.
    """
    names = tables()
    restore.prepare(owner_url, names, row_counts.TABLES)
    migrations.apply(url=owner_url, last=last_migration)
    history = migrations.MigrationTable._meta.table_name
    restore.load(
        owner_url,
        [name for name in names if name != history],
        (table for table in rows if table.table != history),
    )


@transaction_without_timeout
def count_rows() -> RowCounts:
    """Return how many users, products and orders the shop has."""
    counts = row_counts.COUNT.one()
    assert counts is not None  # noqa: S101  # a query without FROM returns one row
    return counts


def is_log_protected() -> bool:
    """Return whether the role of the bound database cannot change the security log."""
    return not roles.bypasses_privileges(SecurityEventTable._meta.table_name)


def is_server_verified() -> bool:
    """Return whether the bound database's server is verified by TLS, or is on this machine."""
    return tls.is_server_verified()
