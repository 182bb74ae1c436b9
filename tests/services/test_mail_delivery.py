"""Mails about orders: what a real mail server receives, and what happens if it refuses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from domain.actor import Actor
from domain.address import ShippingAddress
from domain.mail import GIVE_UP_AFTER_SECONDS, ORDER_KINDS
from integrations.mail.rendering import MailTemplates
from integrations.mail.smtp import SmtpSender
from services import mail_delivery, orders, process, users
from services.mail_setup import MailSetup
from services.orders import Order
from tests.support.database import Sql
from tests.support.services import AddProduct
from tests.support.smtp_server import SmtpServer, smtp_server

GREYLISTED = "451 4.7.1 Try again later"
UNKNOWN = "550 5.1.1 No such user"
ADDRESS = ShippingAddress("Ada Lovelace", "12 St James's Square", "London", "GB", None, "SW1Y 4JH")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SmtpServer]:
    with smtp_server(tmp_path) as server:
        use(server.sender())
        yield server


def use(sender: SmtpSender, templates: MailTemplates | None = None, **fields: Any) -> None:
    """Send mail in this process by a sender."""
    configuration = {"mail_kinds": frozenset(ORDER_KINDS), **fields}
    process.bind(
        replace(process.configuration(), **configuration),
        mail=MailSetup(
            sender,
            templates or MailTemplates(),
            Address("Adas Läden", addr_spec="shop@example.com"),
            "https://shop.example.com/",
        ),
    )


@pytest.fixture
def place(client: Actor, add_product: AddProduct) -> Callable[..., Order]:
    """Return a function that places an order of two mugs."""

    def place(**fields: Any) -> Order:
        mug = add_product(name=fields.pop("name", "Blue mug"), sku=fields.pop("sku", "MUG"))
        order, _ = orders.create_order(
            actor=client, items=[(mug.id, 2)], idempotency_key=None, **fields
        )
        return order

    return place


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def outcomes(sql: Sql) -> list[tuple[Any, ...]]:
    return sql("SELECT kind, outcome, attempts FROM mail ORDER BY created_at")


def test_a_placed_order_is_confirmed_by_mail(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    order = place(shipping_address=ADDRESS)

    assert mail_delivery.send_due() == 1

    (message,) = server.messages
    assert server.recipients == ["client0@example.com"] == [message["To"]]
    assert server.encrypted == [True]
    assert message["From"] == "Adas Läden <shop@example.com>"
    assert message["Subject"] == f"Your order {order.number}"
    assert message["Message-ID"] == f"<order_placed.{order.id.hex}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert abs(message["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=5)
    for kind in ("plain", "html"):
        content = text_of(message, kind)
        assert "2 x Blue mug: 20.00 EUR" in content
        assert "Total: 20.00 EUR" in content
        assert "Ada Lovelace, 12 St James" in content
        assert "https://shop.example.com/" in content
    assert outcomes(sql) == [("ORDER_PLACED", "SENT", 1)]
    assert mail_delivery.send_due() == 0


def test_each_step_of_an_order_is_announced_once(
    server: SmtpServer, place: Callable[..., Order], admin: Actor
):
    order = place()
    for status in ("PAID", "PAID", "SHIPPED", "DELIVERED"):
        orders.update_order_status(
            actor=admin,
            order_id=order.id,
            status=status,
            tracking_number="TRACK-1" if status == "SHIPPED" else None,
            expected_versions=None,
        )

    assert mail_delivery.send_due() == 3

    assert [message["Subject"] for message in server.messages] == [
        f"Your order {order.number}",
        f"Payment received for order {order.number}",
        f"Order {order.number} is on its way",
    ]
    assert "Tracking number: TRACK-1" in text_of(server.messages[-1])


def test_a_cancelled_order_and_its_refund_are_announced(
    server: SmtpServer, place: Callable[..., Order], admin: Actor
):
    order = place()
    orders.update_order_status(
        actor=admin, order_id=order.id, status="PAID", tracking_number=None, expected_versions=None
    )
    orders.cancel_order(
        actor=admin, order_id=order.id, reason="Out of stock.", expected_versions=None
    )

    mail_delivery.send_due()

    texts = {message["Subject"]: text_of(message) for message in server.messages}
    assert texts.keys() == {
        f"Payment received for order {order.number}",
        f"Order {order.number} is cancelled",
        f"Refund for order {order.number}",
    }
    assert "What you have paid is returned" in texts[f"Order {order.number} is cancelled"]
    assert "we have returned 20.00 EUR" in texts[f"Refund for order {order.number}"]
    # The reason is for the staff.
    assert all("Out of stock." not in text for text in texts.values())


def test_names_are_neither_markup_nor_headers(server: SmtpServer, place: Callable[..., Order]):
    place(name="[Win](https://evil.example/) <b>now</b> *x*\nBcc: eve@example.com")

    mail_delivery.send_due()

    (message,) = server.messages
    name = "[Win](https://evil.example/) <b>now</b> *x* Bcc: eve@example.com"
    assert f"- 2 x {name}: 20.00 EUR" in text_of(message)
    html = text_of(message, "html")
    assert "[Win](https://evil.example/) &lt;b&gt;now&lt;/b&gt; *x* Bcc" in html
    assert 'href="https://evil' not in html
    assert message["Bcc"] is None


def test_mails_of_a_kind_that_is_turned_off_are_not_written(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    use(server.sender(), mail_kinds=frozenset(ORDER_KINDS) - {"ORDER_PLACED"})
    place()

    assert mail_delivery.send_due() == 0
    assert outcomes(sql) == []


def test_nobody_gets_mail_to_a_disabled_account_or_about_an_order_cancelled_before(
    server: SmtpServer, place: Callable[..., Order], client: Actor, sql: Sql
):
    first, _ = place(sku="A"), place(sku="B")
    orders.cancel_order(actor=client, order_id=first.id, reason=None, expected_versions=None)
    assert client.user_id is not None
    sql("DELETE FROM mail WHERE kind = 'ORDER_CANCELLED'")
    users.disable_user(user_id=client.user_id)

    assert mail_delivery.send_due() == 2

    assert server.messages == []
    assert outcomes(sql) == [("ORDER_PLACED", "NOT_NEEDED", 1)] * 2


def test_a_greylisted_mail_is_sent_later_and_the_others_at_once(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    server.replies_to_recipients.append(GREYLISTED)
    first, second = place(sku="A"), place(sku="B")

    assert mail_delivery.send_due() == 2

    assert [message["Subject"] for message in server.messages] == [f"Your order {second.number}"]
    [(failure, seconds)] = sql(
        "SELECT failure, extract(epoch FROM next_attempt_at - now())::integer FROM mail"
        " WHERE outcome IS NULL"
    )
    assert failure == GREYLISTED
    assert 20 <= seconds <= 30
    sql("UPDATE mail SET next_attempt_at = now() WHERE outcome IS NULL")
    assert mail_delivery.send_due() == 1
    assert server.messages[1]["Message-ID"] == f"<order_placed.{first.id.hex}@example.com>"


@pytest.mark.parametrize("command", ["recipient", "data"])
def test_a_mail_that_is_refused_for_ever_is_not_sent_again(
    server: SmtpServer, place: Callable[..., Order], sql: Sql, command: str
):
    replies = server.replies_to_recipients if command == "recipient" else server.replies_to_data
    replies.append(UNKNOWN)
    place()

    assert mail_delivery.send_due() == 1

    assert sql("SELECT outcome, failure FROM mail") == [("REFUSED", UNKNOWN)]
    assert process.state().mails_given_up == 1
    assert mail_delivery.send_due() == 0


def test_while_the_server_is_down_all_mails_wait(
    tmp_path: Path, place: Callable[..., Order], sql: Sql
):
    with smtp_server(tmp_path) as server:
        port = server.port
    use(server.sender())
    place(sku="A")
    place(sku="B")

    assert mail_delivery.send_due() == 0  # and the second mail was not even tried

    assert outcomes(sql) == [("ORDER_PLACED", None, 1), ("ORDER_PLACED", None, 0)]
    with smtp_server(tmp_path, port=port) as server:
        use(server.sender())
        sql("UPDATE mail SET next_attempt_at = now()")
        assert mail_delivery.send_due() == 2
        assert len(server.messages) == 2


def test_a_slow_server_delays_only_mail(server: SmtpServer, place: Callable[..., Order], sql: Sql):
    server.seconds_to_reply = 0.5
    place(sku="A")
    place(sku="B")

    assert mail_delivery.send_due() == 2

    assert len(server.messages) == 2
    assert outcomes(sql) == [("ORDER_PLACED", "SENT", 1)] * 2


def test_a_server_that_does_not_reply_in_time_gets_the_mail_again_under_the_same_id(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    use(server.sender(timeout_seconds=0.5))
    server.seconds_to_reply = 2.0
    place()

    assert mail_delivery.send_due() == 0  # the server may have accepted it or not

    assert outcomes(sql) == [("ORDER_PLACED", None, 1)]
    server.seconds_to_reply = 0.0
    sql("UPDATE mail SET next_attempt_at = now()")
    assert mail_delivery.send_due() == 1
    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"]


def test_a_mail_is_given_up_after_two_days(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    server.replies_to_recipients.append(GREYLISTED)
    place()
    sql("UPDATE mail SET created_at = now() - %s * interval '1 second'", GIVE_UP_AFTER_SECONDS)

    assert mail_delivery.send_due() == 1

    assert sql("SELECT outcome, failure FROM mail") == [("GIVEN_UP", GREYLISTED)]
    assert process.state().mails_given_up == 1


def test_an_expired_mail_is_not_sent_and_its_details_are_erased(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    place()
    sql('UPDATE mail SET expires_at = now(), details = \'{"token": "secret"}\'')

    assert mail_delivery.send_due() == 1

    assert server.messages == []
    assert sql("SELECT outcome, details FROM mail") == [("EXPIRED", None)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "wrong"}, "535"),
        ({"host": "127.0.0.1"}, "certificate"),
        ({"ca_file": None}, "certificate"),
        ({"security": "tls"}, "SSL"),
        ({"username": None}, "530"),
    ],
    ids=["password", "host name", "authority", "security", "no authentication"],
)
def test_a_wrong_setting_loses_no_mail_and_says_why(
    server: SmtpServer, place: Callable[..., Order], sql: Sql, changes: dict[str, Any], reason: str
):
    use(server.sender(**changes))
    place()

    assert mail_delivery.send_due() == 0

    [(outcome, failure)] = sql("SELECT outcome, failure FROM mail")
    assert outcome is None
    assert reason in failure
    assert server.messages == []


# aiosmtpd does not know that the connection is encrypted from its beginning.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_mail_is_sent_by_tls_too(tmp_path: Path, place: Callable[..., Order]):
    with smtp_server(tmp_path, tls=True) as server:
        use(server.sender(security="tls"))
        place()

        assert mail_delivery.send_due() == 1
        assert len(server.messages) == 1


def test_a_shop_replaces_templates_and_a_broken_one_loses_no_mail(
    server: SmtpServer, place: Callable[..., Order], sql: Sql, tmp_path: Path
):
    directory = tmp_path / "templates"
    directory.mkdir()
    template = directory / "order_placed.md"
    template.write_text("Subject: Danke\n\nBestellung {{ order.numer }}\n")
    use(server.sender(), MailTemplates(directory))
    order = place()

    assert mail_delivery.send_due() == 1

    [(failure,)] = sql("SELECT failure FROM mail WHERE outcome IS NULL")
    assert "order_placed.md: " in failure
    assert "numer" in failure
    template.write_text("Subject: Danke\n\nBestellung {{ order.number }}\n")
    use(server.sender(), MailTemplates(directory))
    sql("UPDATE mail SET next_attempt_at = now()")
    assert mail_delivery.send_due() == 1
    assert text_of(server.messages[0]) == f"Bestellung {order.number}\n"


def test_mails_that_are_done_are_deleted_after_30_days(
    server: SmtpServer, place: Callable[..., Order], sql: Sql
):
    place(sku="A")
    mail_delivery.send_due()
    place(sku="B")
    sql("UPDATE mail SET done_at = now() - interval '29 days' WHERE done_at IS NOT NULL")
    assert mail_delivery.purge() == 0
    sql("UPDATE mail SET done_at = now() - interval '31 days' WHERE done_at IS NOT NULL")

    assert mail_delivery.purge() == 1
    assert outcomes(sql) == [("ORDER_PLACED", None, 0)]
