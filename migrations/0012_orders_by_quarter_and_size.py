"""Indexes for lists by total within a time, and by time within totals, however many orders."""

# CONCURRENTLY works outside of a transaction alone. If it is interrupted it leaves an index that
# is not valid, so each step begins by dropping what an earlier try may have left.
atomic = False

_NEW = {
    # By total, quarter by quarter: the dearest of a week are found without all that are dearer,
    # and without the rest of the week. What is included lets the index alone tell what is in it.
    "ix_orders_quarter": (
        "(status, date_trunc('quarter', created_at AT TIME ZONE 'UTC'), total, id)"
        " INCLUDE (created_at)"
    ),
    # By time, for each length that a total has in digits: the latest of the dear ones are found
    # without all cheap ones that are later.
    "ix_orders_size": "(status, length(total::text), created_at, id) INCLUDE (total)",
}
# As many as there are new ones, so that placing an order writes no more than before. The list of
# all orders by age is put together from those of all statuses, as the one by total is.
_OLD = {
    "ix_orders_status_total": "(status, total, id)",
    "ix_orders_created_at": "(created_at, id)",
}


def up(_migrator, db):
    """Make the new ones, then drop those that are not needed any more."""
    _replace(db, _OLD, _NEW)


def down(_migrator, db):
    """Make the old ones again, then drop the new ones."""
    _replace(db, _NEW, _OLD)


def _replace(db, old, new):
    for name, columns in new.items():
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        db.execute_sql(f"CREATE INDEX CONCURRENTLY {name} ON orders {columns}")
    for name in old:
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
