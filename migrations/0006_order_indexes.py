"""Indexes for lists by total and for forgetting keys, made while orders go on being placed."""

# CONCURRENTLY works outside of a transaction alone. If it is interrupted it leaves an index that
# is not valid, so each step begins by dropping what an earlier try may have left.
atomic = False

_INDEXES = {
    # Takes the place of one on the total alone: a list that names no status is put together from
    # those of all statuses, and one that names some needs no other. There are as many indexes to
    # write for each order as before.
    "ix_orders_status_total": "orders (status, total, id)",
    # Keys are forgotten a day after they were first used, the oldest first.
    "ix_idempotency_key_created_at": "idempotency_key (created_at, user_id, key)",
}


def up(_migrator, db):
    """Make the new ones, then drop the one that is not needed any more."""
    for name, columns in _INDEXES.items():
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        db.execute_sql(f"CREATE INDEX CONCURRENTLY {name} ON {columns}")
    db.execute_sql("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_total")


def down(_migrator, db):
    """Make the old one again, then drop the new ones."""
    db.execute_sql("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_total")
    db.execute_sql("CREATE INDEX CONCURRENTLY ix_orders_total ON orders (total, id)")
    for name in _INDEXES:
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
