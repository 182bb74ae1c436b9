"""Erases personal data from every table. A row that others refer to stays, with ids only.

`tests/services/test_erased_data.py` searches all columns of the database for the data of a deleted
person: a new table or column that can name a person needs a statement here.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from database.statement import Command, Statement
from domain.order_status import IN_PROGRESS

_IN_PROGRESS = ", ".join(f"'{status}'" for status in IN_PROGRESS)

# Locks all orders of a user, so that their status, payments and refunds do not change.
LOCK_ORDERS: Statement[UUID] = Statement(
    "SELECT id FROM orders WHERE user_id = %(user_id)s ORDER BY id FOR NO KEY UPDATE",
    lambda columns: columns[0],
)

# The numbers of the orders that block the deletion of a user: in progress, or with an open payment
# or refund.
FIND_IN_PROGRESS: Statement[str] = Statement(
    f"""
    SELECT number FROM orders WHERE user_id = %(user_id)s AND (
        status IN ({_IN_PROGRESS})
        OR EXISTS (
            SELECT FROM payment LEFT JOIN refund ON refund.payment_id = payment.id
            WHERE payment.order_id = orders.id
                AND (payment.status IN ('PENDING', 'PROCESSING') OR refund.status = 'PENDING')
        )
    )
    ORDER BY created_at, id LIMIT %(limit)s
    """,  # noqa: S608  # only constants are interpolated
    lambda columns: columns[0],
)

# Erases the addresses, notes and tracking of orders, and increments their versions, so that their
# ETags change. Adds an event to each timeline.
ERASE_ORDERS = Command(
    """
    WITH erased AS (
        UPDATE orders SET shipping_address = NULL, note = NULL, tracking_number = NULL,
            carrier = NULL, version = version + 1,
            updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond')
        FROM unnest(%(order_ids)s::uuid[], %(event_ids)s::uuid[]) AS wanted (order_id, event_id)
        WHERE orders.id = wanted.order_id
        RETURNING id, status, updated_at, event_id
    )
    INSERT INTO order_event (id, order_id, type, from_status, to_status, actor_kind, actor_user_id,
        request_id, created_at)
    SELECT event_id, id, 'PERSONAL_DATA_ERASED', status, status, 'PERSON', %(actor_user_id)s,
        %(request_id)s, updated_at
    FROM erased
    """
)

DELETE_REASONS = Command(
    """
    DELETE FROM order_event_reason WHERE event_id IN (
        SELECT id FROM order_event WHERE order_id = ANY (%(order_ids)s::uuid[])
    )
    """
)

DELETE_CHANGES = Command(
    """
    DELETE FROM order_event_change WHERE event_id IN (
        SELECT id FROM order_event WHERE order_id = ANY (%(order_ids)s::uuid[])
    )
    """
)

# The reference of a manual payment is a note of the staff. That of a provider stays: it is the link
# between the ledger and the provider's books.
ERASE_PAYMENTS = Command(
    """
    UPDATE payment SET client_secret = NULL, redirect_url = NULL,
        reference = CASE WHEN provider <> 'manual' THEN reference END,
        version = version + 1, updated_at = clock_timestamp()
    WHERE order_id = ANY (%(order_ids)s::uuid[])
    """
)

ERASE_REFUNDS = Command(
    """
    UPDATE refund SET reason = NULL FROM payment
    WHERE payment.id = refund.payment_id AND refund.reason IS NOT NULL
        AND payment.order_id = ANY (%(order_ids)s::uuid[])
    """
)

ERASE_NOTIFICATIONS = Command(
    """
    UPDATE payment_notification SET body = '' FROM payment
    WHERE payment.id = payment_notification.payment_id
        AND payment.order_id = ANY (%(order_ids)s::uuid[])
    """
)

# Notifications that were not applied yet have no payment, but say which one they concern.
ERASE_WAITING_NOTIFICATIONS = Command(
    """
    UPDATE payment_notification AS waiting SET body = ''
    FROM payment JOIN orders ON orders.id = payment.order_id
    WHERE waiting.next_check_at IS NOT NULL AND orders.user_id = %(user_id)s
        AND payment.provider = waiting.provider
        AND (waiting.news->>'payment_id' = payment.id::text
            OR waiting.news->>'payment_reference' = payment.reference)
    """
)

# The ids and times stay until the rows are purged: all processes must refuse the access tokens.
ERASE_SESSIONS = Command(
    "UPDATE session SET user_agent = '', address = '', network = '' WHERE user_id = %(user_id)s"
)

DELETE_REFRESH_TOKENS = Command(
    """
    DELETE FROM refresh_token
    WHERE session_id IN (SELECT id FROM session WHERE user_id = %(user_id)s)
    """
)

DELETE_ACCOUNT_TOKENS = Command("DELETE FROM account_token WHERE user_id = %(user_id)s")

DELETE_IDEMPOTENCY_KEYS = Command("DELETE FROM idempotency_key WHERE user_id = %(user_id)s")

# Includes mails that an anonymous client requested for this email. Finished mails have neither
# recipient nor details.
DELETE_MAILS = Command(
    """
    DELETE FROM mail WHERE user_id = %(user_id)s
        OR next_attempt_at IS NOT NULL AND (recipient = %(email)s OR details->>'email' = %(email)s)
    """
)

# Replaces email and name, deletes the password hash, disables the account, and increments the
# password version. The new email is in the reserved domain `invalid` (RFC 2606), so no mail can be
# delivered.
ERASE_USER: Statement[datetime] = Statement(
    """
    UPDATE users SET email = %(email)s, name = %(name)s, password_hash = '', active = false,
        password_version = password_version + 1, email_verified = false,
        deleted_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE id = %(user_id)s
    RETURNING deleted_at
    """,
    lambda columns: columns[0],
)
