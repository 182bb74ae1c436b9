"""The invariants of the shop's data, each as a query for the rows that violate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from database.statement import Statement


class Finding(NamedTuple):
    """A violation: the invariant, the row that violates it, and what the row contains."""

    invariant: str
    subject: str
    detail: str


# The maximum number of findings per invariant: more would only repeat the same error.
_MAX_FINDINGS = 100

_VIOLATIONS = {
    "stock is not negative": """
        SELECT 'product ' || product_id, 'stock is ' || quantity FROM stock WHERE quantity < 0
    """,
    "every product has a stock quantity": """
        SELECT 'product ' || product.id, 'has no row in the table stock'
        FROM product LEFT JOIN stock ON stock.product_id = product.id
        WHERE stock.product_id IS NULL
    """,
    "stock is the sum of its movements": """
        SELECT 'product ' || product_id,
            'stock is ' || quantity || ', movements sum to ' || coalesce(moved, 0)
        FROM stock LEFT JOIN (
            SELECT product_id, sum(delta) AS moved FROM stock_movement GROUP BY product_id
        ) AS ledger USING (product_id)
        WHERE quantity <> coalesce(moved, 0)
    """,
    "an order's total is the sum of its lines": """
        SELECT 'order ' || id, 'total is ' || total || ', lines sum to ' || coalesce(summed, 0)
        FROM orders LEFT JOIN (
            SELECT order_id, sum(unit_price * quantity::numeric) AS summed
            FROM order_item GROUP BY order_id
        ) AS lines ON lines.order_id = orders.id
        WHERE summed IS NULL OR total <> summed
    """,
    "cancelled and returned orders, and no others, have returned their units once": """
        SELECT 'order ' || coalesce(item.order_id, moved.order_id)
                || ', product ' || coalesce(item.product_id, moved.product_id),
            'should have taken ' || coalesce(held, 0) || ', movements sum to ' || coalesce(taken, 0)
        FROM (
            SELECT order_id, product_id,
                CASE WHEN status = ANY (%(holding_units)s) THEN quantity ELSE 0 END AS held
            FROM order_item JOIN orders ON orders.id = order_item.order_id
        ) AS item FULL JOIN (
            SELECT order_id, product_id, -sum(delta) AS taken
            FROM stock_movement WHERE order_id IS NOT NULL GROUP BY order_id, product_id
        ) AS moved ON moved.order_id = item.order_id AND moved.product_id = item.product_id
        WHERE coalesce(held, 0) <> coalesce(taken, 0) OR item.order_id IS NULL
    """,
    "the units of every line item were taken from stock once": """
        SELECT 'order ' || item.order_id || ', product ' || item.product_id,
            'ordered ' || item.quantity || ', taken ' || coalesce(-movement.delta, 0)
        FROM order_item AS item LEFT JOIN stock_movement AS movement
            ON movement.order_id = item.order_id AND movement.product_id = item.product_id
            AND movement.kind = 'ORDER'
        WHERE movement.delta IS DISTINCT FROM -item.quantity
    """,
    "a status is reached only by allowed transitions": """
        SELECT 'order ' || order_id, 'went from ' || coalesce(before, 'nothing') || ' to ' || after
            || ' by ' || actor_kind
        FROM (
            SELECT order_id, type, actor_kind, to_status AS after, from_status AS recorded,
                lag(to_status) OVER (PARTITION BY order_id ORDER BY created_at, id) AS before
            FROM order_event
        ) AS transition
        WHERE recorded IS DISTINCT FROM before
            OR type IN ('PLACED', 'STATUS_CHANGED')
                AND actor_kind || ' ' || coalesce(before, '') || '>' || after
                    <> ALL (%(transitions)s)
            OR type NOT IN ('PLACED', 'STATUS_CHANGED') AND before <> after
    """,
    "an order has the status of its last event, and its version is the number of events": """
        SELECT 'order ' || id, 'is ' || status || ' at version ' || version || ', last event is '
            || coalesce(last, 'nothing') || ', events ' || coalesce(events, 0)
        FROM orders LEFT JOIN (
            SELECT order_id, count(*) AS events,
                (array_agg(to_status ORDER BY created_at DESC, id DESC))[1] AS last
            FROM order_event GROUP BY order_id
        ) AS timeline ON timeline.order_id = orders.id
        WHERE status IS DISTINCT FROM last OR version <> coalesce(events, 0)
    """,
    "an order was placed by at most one idempotency key, of the same user": """
        SELECT 'order ' || order_id, 'placed by ' || count(*) || ' keys'
        FROM idempotency_key WHERE order_id IS NOT NULL GROUP BY order_id HAVING count(*) > 1
        UNION ALL
        SELECT 'order ' || order_id, 'belongs to another user than its idempotency key'
        FROM idempotency_key JOIN orders ON orders.id = order_id
        WHERE orders.user_id <> idempotency_key.user_id
    """,
    # amount_paid is null for orders that are older than the payment table.
    "an order's amounts are the sums of its payments and refunds": """
        SELECT 'order ' || id, 'paid ' || amount_paid || ' and refunded ' || amount_refunded
            || ', payments sum to ' || coalesce(captured, 0) || ' and '
            || coalesce(returned, 0)
        FROM orders LEFT JOIN (
            SELECT order_id, sum(amount) FILTER (WHERE status = 'SUCCEEDED') AS captured,
                sum(amount_refunded) AS returned
            FROM payment GROUP BY order_id
        ) AS money ON money.order_id = orders.id
        WHERE amount_paid <> coalesce(captured, 0) OR amount_refunded <> coalesce(returned, 0)
            OR amount_paid IS NULL AND captured IS NOT NULL
    """,
    "a payment's refunded amount is the sum of its refunds, and at most its amount": """
        SELECT 'payment ' || id, status || ', amount ' || amount || ', refunded '
            || amount_refunded || ', refunds sum to ' || coalesce(returned, 0)
        FROM payment LEFT JOIN (
            SELECT payment_id, sum(amount) FILTER (WHERE status <> 'FAILED') AS returned
            FROM refund GROUP BY payment_id
        ) AS ledger ON ledger.payment_id = payment.id
        WHERE amount_refunded <> coalesce(returned, 0) OR amount_refunded > amount
            OR amount_refunded > 0 AND status <> 'SUCCEEDED'
    """,
    "the payments of a paid order cover its total": """
        SELECT 'order ' || id, 'is ' || status || ', total ' || total || ', paid ' || amount_paid
        FROM orders
        WHERE status NOT IN ('PENDING', 'CANCELLED') AND amount_paid < total
    """,
    # Unless an administrator has kept the money, or the provider has rejected the refund.
    "a cancelled order holds no money": """
        SELECT 'order ' || id, 'paid ' || amount_paid || ', refunded ' || amount_refunded
        FROM orders
        WHERE status = 'CANCELLED' AND amount_paid > amount_refunded AND NOT EXISTS (
            SELECT FROM order_event WHERE order_event.order_id = orders.id
                AND type IN ('PAYMENT_KEPT', 'REFUND_FAILED')
        )
    """,
}


def _statement(invariant: str, violations: str) -> Statement[Finding]:
    return Statement(
        f"{violations} ORDER BY 1 LIMIT {_MAX_FINDINGS}",
        lambda columns: Finding(invariant, *columns),
        prepared=False,
        name=f"audit {invariant}",
    )


INVARIANTS: Mapping[str, Statement[Finding]] = {
    invariant: _statement(invariant, violations) for invariant, violations in _VIOLATIONS.items()
}
