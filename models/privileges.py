"""The privileges on each table of the role that serves requests.

Ledgers and logs are append-only: rows of `stock_movement`, `order_item`, `order_event` and
`security_event` can be neither changed nor deleted. Rows of `security_event_source`,
`order_event_reason` and `order_event_change` can be deleted, to erase personal data. Users,
products, orders, payments, refunds and notifications of providers are never deleted. Row locks
(such as FOR UPDATE) require the privilege UPDATE.
"""

from __future__ import annotations

from database.migrations import MigrationTable
from database.table import Table
from models.account_token import AccountTokenTable
from models.idempotency_key import IdempotencyKeyTable
from models.mail import MailTable
from models.order import OrderItemTable, OrderTable
from models.order_event import OrderEventChangeTable, OrderEventReasonTable, OrderEventTable
from models.payment import PaymentTable
from models.payment_notification import PaymentNotificationTable
from models.product import ProductTable, StockTable
from models.refund import RefundTable
from models.security_event import SecurityEventSourceTable, SecurityEventTable
from models.session import RefreshTokenTable, SessionTable
from models.stock_movement import StockMovementTable
from models.throttle import ThrottleTable
from models.user import UserTable
from models.worker_heartbeat import WorkerHeartbeatTable

_READ = frozenset({"SELECT"})
_APPEND = _READ | {"INSERT"}
_CHANGE = _APPEND | {"UPDATE"}
_DELETE = _CHANGE | {"DELETE"}
_ERASE = _APPEND | {"DELETE"}

_BY_TABLE: dict[type[Table], frozenset[str]] = {
    MigrationTable: _READ,
    UserTable: _CHANGE,
    SessionTable: _DELETE,
    RefreshTokenTable: _DELETE,
    ProductTable: _CHANGE,
    StockTable: _CHANGE,
    StockMovementTable: _APPEND,
    OrderTable: _CHANGE,
    OrderItemTable: _APPEND,
    OrderEventTable: _APPEND,
    OrderEventReasonTable: _ERASE,
    OrderEventChangeTable: _ERASE,
    PaymentTable: _CHANGE,
    RefundTable: _CHANGE,
    PaymentNotificationTable: _CHANGE,
    IdempotencyKeyTable: _DELETE,
    SecurityEventTable: _APPEND,
    SecurityEventSourceTable: _ERASE,
    ThrottleTable: _DELETE,
    WorkerHeartbeatTable: _CHANGE,
    MailTable: _DELETE,
    AccountTokenTable: _DELETE,
}

RUNTIME = {table._meta.table_name: allowed for table, allowed in _BY_TABLE.items()}
