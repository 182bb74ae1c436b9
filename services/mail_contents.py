"""What each kind of mail says: the recipient, and the values for its template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from database.transactions import autocommit
from domain import mail as kinds
from domain import money
from domain.order_status import CANCELLED
from models import order as orders
from models import user as users
from models.mail import Mail
from models.order import Order
from services import account_mail_contents
from services.account_mail_contents import MailContent
from services.order_transitions import expires_at

__all__ = ["MailContent", "content_of"]


@autocommit
def content_of(mail: Mail) -> MailContent | None:
    """Return the content of a mail; None if it is not needed any more.

    Nobody needs a mail to a disabled account, or about an order that was cancelled before the mail
    about placing it was sent.
    """
    return _CONTENT_OF_KIND[mail.kind](mail)


def _order_mail(mail: Mail) -> MailContent | None:
    return _about_order(mail, mail.subject_id)


def _order_placed(mail: Mail) -> MailContent | None:
    order = orders.FIND.one(order_id=mail.subject_id)
    return None if order is None or order.status == CANCELLED else _order_mail(mail)


def _order_refunded(mail: Mail) -> MailContent | None:
    content = _about_order(mail, UUID(mail.details["order_id"]))
    if content is None:
        return None
    amount = _amount(mail.details["amount"], mail.details["currency"])
    return content._replace(values={**content.values, "amount": amount})


def _about_order(mail: Mail, order_id: UUID) -> MailContent | None:
    user = users.FIND.one(user_id=mail.user_id)
    order = orders.FIND.one(order_id=order_id)
    if user is None or not user.active or order is None:
        return None
    return MailContent(mail.recipient or user.email, {"order": _order_values(order)})


def _order_values(order: Order) -> dict[str, Any]:
    expiry = expires_at(order)
    return {
        "number": order.number,
        "lines": [
            {
                "quantity": item.quantity,
                "name": item.name,
                "unit_price": _amount(item.unit_price, order.currency),
                "subtotal": _amount(item.subtotal, order.currency),
            }
            for item in order.items
        ],
        "total": _amount(order.total, order.currency),
        "tracking_number": order.tracking_number,
        "address": _address_lines(order),
        "expires_at": None if expiry is None else _time(expiry),
        "is_refunded": order.amount_refunded > 0,
    }


def _address_lines(order: Order) -> list[str]:
    address = order.shipping_address
    if address is None:
        return []
    city = " ".join(filter(None, (address.postal_code, address.city)))
    lines = (
        address.recipient,
        address.addition,
        address.street,
        city,
        address.region,
        address.country,
    )
    return [line for line in lines if line]


def _amount(amount: int, currency: str) -> str:
    return f"{money.in_major_units(amount, currency)} {currency}"


def _time(instant: datetime) -> str:
    return f"{instant:%d %B %Y, %H:%M} UTC".lstrip("0")


_CONTENT_OF_KIND: Mapping[str, Callable[[Mail], MailContent | None]] = {
    kinds.ORDER_PLACED: _order_placed,
    kinds.ORDER_PAID: _order_mail,
    kinds.ORDER_SHIPPED: _order_mail,
    kinds.ORDER_CANCELLED: _order_mail,
    kinds.ORDER_REFUNDED: _order_refunded,
    **account_mail_contents.CONTENT_OF_KIND,
}
