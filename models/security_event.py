"""The security log: entries are appended and read, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter
from database.table import InstantField, Table, check, index, primary_key, reference
from models.user import UserTable


class SecurityEventTable(Table):
    """Security events, such as sign-ins, revoked sessions and changed roles."""

    id = UUIDField()
    type = TextField()
    user = reference(UserTable, "fk_security_event_user_id", null=True)
    actor_user = reference(UserTable, "fk_security_event_actor_user_id", null=True)
    session_id = UUIDField(null=True)
    from_role = TextField(null=True)
    to_role = TextField(null=True)
    product_id = UUIDField(null=True)
    # Depends on the type: an operation id, the code of an error, or the policy of a rate limit.
    detail = TextField(null=True)
    address = TextField()
    user_agent = TextField()
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
                " 'PRODUCT_RESTORED', 'STOCK_ADJUSTED')",
            ),
            check(
                "ck_security_event_role",
                "(type = 'ROLE_CHANGED') = (from_role IS NOT NULL AND to_role IS NOT NULL)",
            ),
        )


index(SecurityEventTable, "ix_security_event_created_at", "created_at, id")
index(SecurityEventTable, "ix_security_event_user_id", "user_id, created_at, id")


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
    SecurityEventTable.address,
    SecurityEventTable.user_agent,
    SecurityEventTable.request_id,
    SecurityEventTable.created_at,
)

LOG: Listing[SecurityEvent] = Listing(
    SecurityEventTable.select(*_COLUMNS),
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
)

INSERT = Command(
    SecurityEventTable.insert(
        {
            SecurityEventTable.id: Parameter("event_id"),
            SecurityEventTable.type: Parameter("type"),
            SecurityEventTable.user: Parameter("user_id"),
            SecurityEventTable.actor_user: Parameter("actor_user_id"),
            SecurityEventTable.session_id: Parameter("session_id"),
            SecurityEventTable.from_role: Parameter("from_role"),
            SecurityEventTable.to_role: Parameter("to_role"),
            SecurityEventTable.product_id: Parameter("product_id"),
            SecurityEventTable.detail: Parameter("detail"),
            SecurityEventTable.address: Parameter("address"),
            SecurityEventTable.user_agent: Parameter("user_agent"),
            SecurityEventTable.request_id: Parameter("request_id"),
            SecurityEventTable.created_at: fn.clock_timestamp(),
        }
    )
)
