"""How to trigger each error code of the contract: functions that change a valid request."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from uuid import uuid4

import httpx2

from domain.account_tokens import EMAIL_CHANGE
from orderly.verification.client import INITIAL_STOCK, ExampleClient
from orderly.verification.requests import NotReachable, Request, cookie_name

# Changes the request, or sends it itself and returns the response.
Trigger = Callable[[ExampleClient, Request], httpx2.Response | None]


WRONG_PASSWORD = "brew-42-fast-mornings"  # noqa: S105

# By the error code, or by the operationId and the error code.
TRIGGERS: dict[str, Trigger] = {}
# Their attempts have a lower limit than the requests of a client.
LIMITED_ATTEMPTS = (
    *("register", "login", "issue_token", "refresh_session", "change_password"),
    *("request_password_reset", "confirm_password_reset"),
    *("request_email_verification", "confirm_email_verification", "change_email"),
    *("create_payment", "cancel_payment", "delete_me", "delete_user"),
)
# Their rate limit counts failed attempts only.
_LIMITED_BY_FAILURES = {
    *("login", "issue_token", "change_password", "change_email", "delete_me", "delete_user"),
}


def triggers(*keys: str) -> Callable[[Trigger], Trigger]:
    """Use a function to trigger these error codes."""

    def register(trigger: Trigger) -> Trigger:
        TRIGGERS.update(dict.fromkeys(keys, trigger))
        return trigger

    return register


@triggers("malformed_request")
def add_undocumented_parameter(_client: ExampleClient, request: Request) -> None:
    request.query["undocumented"] = "1"


@triggers("unauthenticated")
def remove_credentials(_client: ExampleClient, request: Request) -> None:
    request.session = None


@triggers("invalid_token")
def use_forged_access_token(client: ExampleClient, request: Request) -> None:
    request.headers["Authorization"] = f"Bearer {client.examples['tokens']['access_token']}"


@triggers("invalid_credentials")
def use_wrong_password(client: ExampleClient, request: Request) -> None:
    request.body = {**client.examples["credentials"], "password": WRONG_PASSWORD}


@triggers("refresh_session session_expired")
def use_unknown_refresh_cookie(client: ExampleClient, request: Request) -> None:
    name = cookie_name(client.contract, "refreshAuth")
    token = client.examples["refresh_token"]["refresh_token"]
    request.headers["Cookie"] = f"{name}={token}"


@triggers("session_expired")
def disable_the_user_first(client: ExampleClient, request: Request) -> httpx2.Response | None:
    return client.disable_user_of(request)


@triggers("create_order session_expired")
def disable_the_user_of_a_shop_that_requires_verified_addresses(
    client: ExampleClient, request: Request
) -> httpx2.Response | None:
    client.require_verified_emails()
    request.to_strict_server = True
    return client.disable_user_of(request)


@triggers("issue_token session_expired")
def send_unknown_refresh_token(client: ExampleClient, request: Request) -> None:
    request.body = client.examples["refresh_token"]


@triggers("forbidden")
def sign_in_without_the_role(client: ExampleClient, request: Request) -> None:
    request.session = client.sign_in_ada()


@triggers("cross_site_request")
def send_from_another_site(_client: ExampleClient, request: Request) -> None:
    if request.operation_id != "refresh_session":
        request.use_cookie()
    request.headers["Sec-Fetch-Site"] = "cross-site"


@triggers("not_found")
def use_unknown_ids(_client: ExampleClient, request: Request) -> None:
    request.path = {name: str(uuid4()) for name in request.path}


@triggers("email_taken", "sku_taken", "refresh_raced")
def send_the_request_twice(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)


@triggers("update_product sku_taken")
def use_the_sku_of_another_product(client: ExampleClient, request: Request) -> None:
    request.body = {"sku": client.create_product()["sku"]}


@triggers("password_rejected")
def choose_a_common_password(_client: ExampleClient, request: Request) -> None:
    for name in {"password", "new_password"} & request.body.keys():
        request.body[name] = "password1234"


@triggers("current_password_wrong")
def use_wrong_current_password(_client: ExampleClient, request: Request) -> None:
    request.body["current_password"] = WRONG_PASSWORD


@triggers("confirm_email_verification email_taken")
def confirm_the_email_of_another_user(client: ExampleClient, request: Request) -> None:
    email = client.examples["new_email"]["email"]
    request.body["token"] = client.mail_token(EMAIL_CHANGE, email)
    another = {**client.examples["registration"], "email": email}
    client.send_successfully(client.request("register", another))


@triggers("create_order email_not_verified")
def use_the_server_that_requires_a_verified_email(client: ExampleClient, request: Request) -> None:
    client.require_verified_emails()
    request.to_strict_server = True


@triggers("token_invalid")
def use_the_token_twice(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)


@triggers("issue_token refresh_raced")
def use_the_refresh_token_twice(client: ExampleClient, request: Request) -> None:
    request.body = {"refresh_token": client.sign_in_ada().refresh_token}
    client.send_successfully(request)


@triggers("insufficient_stock")
def order_more_than_the_stock(_client: ExampleClient, request: Request) -> None:
    request.body["items"][0]["quantity"] = 10_000


@triggers("products_unavailable")
def order_an_unknown_product(_client: ExampleClient, request: Request) -> None:
    request.body["items"][0]["product_id"] = str(uuid4())


@triggers("transition_not_allowed")
def skip_statuses(_client: ExampleClient, request: Request) -> None:
    request.body = {"status": "DELIVERED"}


@triggers("tracking_number_differs")
def ship_with_another_tracking_number(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)
    request.body = {"status": "SHIPPED", "tracking_number": "ANOTHER-1"}


@triggers("order_not_shipped")
def set_a_tracking_number_too_early(client: ExampleClient, request: Request) -> None:
    request.body = client.examples["tracking_correction"]


@triggers("cancel_order transition_not_allowed")
def ship_the_order_first(client: ExampleClient, request: Request) -> None:
    client.update_order_status(request.path["order_id"], "PAID", "SHIPPED")


@triggers("last_administrator")
def demote_the_only_administrator(client: ExampleClient, request: Request) -> None:
    client.become_only_administrator()
    request.session = client.sign_in_admin()
    request.path["user_id"] = request.session.user_id
    request.body = {"role": "CLIENT"}


@triggers("delete_me last_administrator", "delete_user last_administrator")
def delete_the_only_administrator(client: ExampleClient, request: Request) -> None:
    client.become_only_administrator()
    request.session = client.sign_in_admin()
    request.body = {"current_password": client.admin_password}
    if request.path:
        request.path["user_id"] = request.session.user_id


@triggers("delete_me orders_in_progress", "delete_user orders_in_progress")
def place_an_order_before(client: ExampleClient, _request: Request) -> None:
    client.create_order(client.sign_in_ada())


@triggers("user_deleted")
def delete_the_user_before(client: ExampleClient, request: Request) -> None:
    deletion = client.request("delete_user", {"current_password": client.admin_password})
    deletion.session, deletion.path = request.session, request.path
    client.send_successfully(deletion)


@triggers("precondition_failed")
def send_outdated_etag(_client: ExampleClient, request: Request) -> None:
    request.headers["If-Match"] = '"0"'


@triggers("payload_too_large")
def send_a_body_that_is_too_large(_client: ExampleClient, request: Request) -> None:
    request.content = b" " * (1 << 20)


@triggers("import_products payload_too_large")
def send_a_file_that_is_too_large(client: ExampleClient, request: Request) -> None:
    request.content = b" " * (client.examples["file_too_large"]["max_bytes"] + 1)


@triggers("unsupported_media_type")
def send_another_media_type(_client: ExampleClient, request: Request) -> None:
    request.media_type = "text/plain"


@triggers("idempotency_key_reused")
def use_the_key_for_another_order(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)
    request.body["items"][0]["quantity"] += 1


@triggers("idempotency_in_flight")
def hold_the_key(client: ExampleClient, request: Request) -> httpx2.Response | None:
    return client.hold_idempotency_key(request)


@triggers("import_products sku_taken")
def create_a_product_of_the_file_concurrently(
    client: ExampleClient, request: Request
) -> httpx2.Response | None:
    return client.create_product_during(request)


@triggers("too_many_attempts")
def exceed_the_limit_of_requests(client: ExampleClient, request: Request) -> httpx2.Response | None:
    if not client.has_strict_server:
        return client.reach_request_limit(request)
    other = client.request("list_products")
    for limited in (request, other):
        limited.to_strict_server = limited.may_be_limited = True
    while client.send(other).status_code != HTTPStatus.TOO_MANY_REQUESTS:
        pass
    return None


@triggers(*(f"{name} too_many_attempts" for name in LIMITED_ATTEMPTS))
def exceed_the_limit_of_attempts(client: ExampleClient, request: Request) -> httpx2.Response | None:
    if request.operation_id in _LIMITED_BY_FAILURES:
        field = "current_password" if "current_password" in request.body else "password"
        request.body[field] = WRONG_PASSWORD
    if not client.has_strict_server:
        # Its limits are too high to be reached, but that of all requests is not.
        return client.reach_request_limit(request)
    request.to_strict_server = request.may_be_limited = True
    for _ in range(2):
        client.send(request)
        if request.operation_id == "refresh_session":
            request.session = client.sign_in_ada()  # a refresh token is valid only once
    return None


@triggers("stock_below_zero")
def remove_more_than_the_stock(_client: ExampleClient, request: Request) -> None:
    request.body = {"delta": -INITIAL_STOCK - 1, "reason": "LOST"}


@triggers("stock_too_large")
def exceed_the_maximum_stock(client: ExampleClient, request: Request) -> None:
    schema = client.contract.document["components"]["schemas"]["NewProduct"]
    maximum = schema["properties"]["stock"]["maximum"]
    request.path["product_id"] = client.create_product(stock=maximum)["id"]
    request.body = {"delta": 1, "reason": "FOUND"}


@triggers("stock_not_as_expected")
def expect_another_stock(_client: ExampleClient, request: Request) -> None:
    request.body = {"set_to": 1, "expected": INITIAL_STOCK + 1, "reason": "COUNTED"}


@triggers("import_refused")
def send_an_invalid_file(_client: ExampleClient, request: Request) -> None:
    request.content = b'"'


@triggers("cancel_order forbidden")
def keep_the_money_without_the_role(client: ExampleClient, request: Request) -> None:
    request.body = client.examples["cancellation_without_refund"]


@triggers("order_not_payable")
def pay_the_order_before(client: ExampleClient, request: Request) -> None:
    client.record_manual_payment(request.path["order_id"])


@triggers("payment_in_progress")
def start_another_payment_before(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)
    request.headers["Idempotency-Key"] = str(uuid4())


@triggers("payment_provider_not_enabled")
def choose_an_unknown_provider(_client: ExampleClient, request: Request) -> None:
    request.body = {"provider": "example"}


@triggers("payment_exceeds_balance")
def record_more_than_the_balance(client: ExampleClient, request: Request) -> None:
    request.body["amount"] = client.money(1_000_000_000)


@triggers("payment_not_cancelable")
def let_the_money_arrive_before(client: ExampleClient, request: Request) -> None:
    read = client.request("get_payment")
    read.session, read.path = request.session, request.path
    client.record_manual_payment(client.send_successfully(read).json()["order_id"])


@triggers("refund_exceeds_captured")
def refund_more_than_the_payment(client: ExampleClient, request: Request) -> None:
    request.body["amount"] = client.money(1_000_000_000)


@triggers("create_payment idempotency_key_reused")
def use_the_key_for_another_payment(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)
    request.body = client.examples["bank_transfer"]


@triggers("record_manual_payment idempotency_key_reused")
def use_the_key_for_another_manual_payment(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)
    request.body["method"] = "OTHER"


@triggers("create_refund idempotency_key_reused")
def use_the_key_for_another_refund(client: ExampleClient, request: Request) -> None:
    client.send_successfully(request)
    request.body["reason"] = "Another reason."


@triggers("create_product idempotency_key_reused", "adjust_stock idempotency_key_reused")
def use_the_key_of_another_request(client: ExampleClient, request: Request) -> None:
    request.headers["Idempotency-Key"] = str(uuid4())
    client.send_successfully(request)
    is_adjustment = request.operation_id == "adjust_stock"
    request.body = client.examples["stock_change" if is_adjustment else "new_product"] | (
        {"reason": "LOST"} if is_adjustment else {}
    )


@triggers("invalid_signature")
def sign_another_body(client: ExampleClient, request: Request) -> None:
    request.headers.update(client.notification_headers(b"{}"))


@triggers("receive_payment_notification not_found")
def notify_of_another_provider(_client: ExampleClient, request: Request) -> None:
    request.path["provider"] = "example"


@triggers("receive_payment_notification payload_too_large")
def send_a_notification_that_is_too_large(_client: ExampleClient, request: Request) -> None:
    request.content = b" " * (256 * 1024 + 1)


@triggers("list_sandbox_mail not_found")
def use_the_server_without_mail(client: ExampleClient, request: Request) -> None:
    if not client.has_strict_server:
        raise NotReachable("The deployment keeps its mails: ORDERLY_SANDBOX_MAIL is true.")
    request.to_strict_server = True


@triggers("payment_not_open")
def decline_the_payment_before(client: ExampleClient, request: Request) -> None:
    request.body = {"outcome": "DECLINE"}
    client.send_successfully(request)
    request.body = {"outcome": "SUCCEED"}
