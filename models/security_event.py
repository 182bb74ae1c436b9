"""The security log: entries are appended and read, never changed.

The personal data of an event (IP address, user agent) is in a separate table, so that it can be
erased without changing the log.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import JOIN, SQL, TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter
from database.table import InstantField, Table, check, foreign_key, index, primary_key
from models.user import UserTable


class SecurityEventTable(Table):
    """Security events, such as sign-ins, revoked sessions and changed roles."""

    id = UUIDField()
    type = TextField()
    user = foreign_key(UserTable, "fk_security_event_user_id", null=True)
    actor_user = foreign_key(UserTable, "fk_security_event_actor_user_id", null=True)
    session_id = UUIDField(null=True)
    from_role = TextField(null=True)
    to_role = TextField(null=True)
    product_id = UUIDField(null=True)
    # Depends on the type: an operation id, the code of an error, or the policy of a rate limit.
    detail = TextField(null=True)
    # Written only by servers of version 0.3 during a rolling upgrade; otherwise empty.
    address = TextField(constraints=[SQL("DEFAULT ''")])
    user_agent = TextField(constraints=[SQL("DEFAULT ''")])
    request_id = TextField()
    created_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "security_event"
        constraints = (
            primary_key("pk_security_event", "id"),
            check(
                "ck_security_event_type",
                "type IN ('REGISTERED', 'SIGNED_IN', 'SIGN_IN_FAILED', 'SIGNED_OUT',"
                " 'REFRESH_TOKEN_REUSED', 'PASSWORD_CHANGED', 'PASSWORD_CHANGE_FAILED',"
                " 'SESSION_REVOKED', 'ROLE_CHANGED', 'USER_DISABLED', 'USER_ENABLED',"
                " 'RATE_LIMITED', 'ACCESS_DENIED', 'REGISTRATION_REFUSED', 'DATA_EXPORTED',"
                " 'PRODUCTS_IMPORTED', 'PRODUCT_CREATED', 'PRODUCT_UPDATED', 'PRODUCT_ARCHIVED',"
                " 'PRODUCT_RESTORED', 'STOCK_ADJUSTED', 'PASSWORD_RESET', 'EMAIL_VERIFIED',"
                " 'EMAIL_CHANGE_REQUESTED', 'EMAIL_CHANGE_FAILED', 'EMAIL_CHANGED',"
                " 'USER_DELETED', 'USER_DELETION_FAILED')",
            ),
            check(
                "ck_security_event_role",
                "(type = 'ROLE_CHANGED') = (from_role IS NOT NULL AND to_role IS NOT NULL)",
            ),
        )


index(SecurityEventTable, "ix_security_event_created_at", "created_at, id")
index(SecurityEventTable, "ix_security_event_user_id", "user_id, created_at, id")


class SecurityEventSourceTable(Table):
    """The client that caused an event: personal data, which is deleted to erase a person.

    `user_id` is the person to whom the data belongs: the actor of the event or, if the actor is not
    known, the user whom the event concerns. No column is a foreign key: its check would lock the
    event, which the privileges of the log forbid.
    """

    event_id = UUIDField()
    user_id = UUIDField(null=True)
    address = TextField()
    user_agent = TextField()

    class Meta:
        """The table's name and constraints."""

        table_name = "security_event_source"
        constraints = (primary_key("pk_security_event_source", "event_id"),)


index(
    SecurityEventSourceTable,
    "ix_security_event_source_user_id",
    "user_id",
    where="user_id IS NOT NULL",
)


class SecurityEvent(NamedTuple):
    """One entry of the security log."""

    id: UUID
    type: str
    user_id: UUID | None
    actor_user_id: UUID | None
    session_id: UUID | None
    from_role: str | None
    to_role: str | None
    product_id: UUID | None
    detail: str | None
    address: str
    user_agent: str
    request_id: str
    created_at: datetime


_COLUMNS = (
    SecurityEventTable.id,
    SecurityEventTable.type,
    SecurityEventTable.user,
    SecurityEventTable.actor_user,
    SecurityEventTable.session_id,
    SecurityEventTable.from_role,
    SecurityEventTable.to_role,
    SecurityEventTable.product_id,
    SecurityEventTable.detail,
    fn.coalesce(SecurityEventSourceTable.address, SecurityEventTable.address),
    fn.coalesce(SecurityEventSourceTable.user_agent, SecurityEventTable.user_agent),
    SecurityEventTable.request_id,
    SecurityEventTable.created_at,
)

LOG: Listing[SecurityEvent] = Listing(
    SecurityEventTable.select(*_COLUMNS).join(
        SecurityEventSourceTable,
        JOIN.LEFT_OUTER,
        on=SecurityEventSourceTable.event_id == SecurityEventTable.id,
    ),
    SecurityEvent._make,
    id_field=SecurityEventTable.id,
    sorts={
        "created_at": Sort(SecurityEventTable.created_at, datetime, lambda event: event.created_at)
    },
    filters={
        "types": SecurityEventTable.type == fn.any(Parameter("types", "text[]")),
        "user_id": SecurityEventTable.user == Parameter("user_id"),
        "created_from": SecurityEventTable.created_at >= Parameter("created_from"),
        "created_to": SecurityEventTable.created_at < Parameter("created_to"),
    },
    keys={"user_id"},
)

# Inserts both rows in one round trip, but no address of a deleted person. Written as SQL, since
# Peewee does not support data-modifying common table expressions (CTEs).
INSERT = Command(
    """
    WITH event AS (
        INSERT INTO security_event (id, type, user_id, actor_user_id, session_id, from_role,
            to_role, product_id, detail, request_id, created_at)
        VALUES (%(event_id)s, %(type)s, %(user_id)s, %(actor_user_id)s, %(session_id)s,
            %(from_role)s, %(to_role)s, %(product_id)s, %(detail)s, %(request_id)s,
            clock_timestamp())
        RETURNING id, coalesce(actor_user_id, user_id) AS person
    )
    INSERT INTO security_event_source (event_id, user_id, address, user_agent)
    SELECT id, person, %(address)s, %(user_agent)s FROM event
    WHERE NOT EXISTS (SELECT FROM users WHERE users.id = person AND deleted_at IS NOT NULL)
    """
)

ERASE_PERSON = Command(
    SecurityEventSourceTable.delete().where(
        SecurityEventSourceTable.user_id == Parameter("user_id")
    )
)
