"""The JSON representations of database rows."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from handlers import representations
from services import process
from services.configuration import Configuration
from services.orders import Order, OrderItem

CREATED_AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
KETTLE = OrderItem(UUID(int=2), "KETTLE", "Kettle", unit_price=1250, quantity=3)
ORDER = Order(
    id=UUID(int=1),
    number="ORD-0000-0001",
    user_id=UUID(int=3),
    status="PENDING",
    currency="USD",
    total=3750,
    tracking_number=None,
    carrier=None,
    version=1,
    created_at=CREATED_AT,
    updated_at=CREATED_AT,
    amount_paid=0,
    amount_refunded=0,
    expires_at=None,
    shipping_address=None,
    note=None,
    items=(KETTLE,),
)


def test_an_order_keeps_its_currency_when_the_shops_currency_changes() -> None:
    process.bind(
        Configuration(signing_key=b"a signing key for tests, 32 bytes long", currency="EUR")
    )

    order = representations.order(ORDER)

    assert order["total"] == {"amount": 3750, "currency": "USD"}
    assert order["items"][0]["unit_price"] == {"amount": 1250, "currency": "USD"}
    assert order["items"][0]["subtotal"] == {"amount": 3750, "currency": "USD"}
