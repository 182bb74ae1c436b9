"""The business errors. `orderly/http/problems.py` maps the `code` of each to an HTTP status.

The docstring of an error is its message, a format string over its attributes.
"""
# ruff: noqa: N818  # the names say what is wrong, without the suffix "Error"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar
from uuid import UUID

from domain.product_file import LineFault


class DomainError(Exception):
    """The request violates a business rule."""

    code: ClassVar[str]

    def __str__(self) -> str:
        return (type(self).__doc__ or self.code).format_map(vars(self))

    def attributes(self) -> dict[str, object]:
        """Return the attributes, as values that can be serialized to JSON."""
        return {
            name: _as_json(value) for name, value in vars(self).items() if not name.startswith("_")
        }


@dataclass(frozen=True, slots=True)
class UnderstockedLine:
    """A line item whose product has less stock than requested."""

    product_id: UUID
    requested: int
    available: int


@dataclass(frozen=True, slots=True)
class UnavailableLine:
    """A line item whose product does not exist or is archived."""

    product_id: UUID
    requested: int


@dataclass(eq=False)
class NotFound(DomainError):
    """The {kind} does not exist, or you have no access to it."""

    code: ClassVar[str] = "not_found"
    kind: str


class EmailTaken(DomainError):
    """This email is already registered."""

    code = "email_taken"


class InvalidCredentials(DomainError):
    """The email or the password is incorrect."""

    code = "invalid_credentials"


class SessionExpired(DomainError):
    """The session has expired or was ended. Sign in again."""

    code = "session_expired"


class RefreshRaced(DomainError):
    """Another request of this client has just refreshed the session."""

    code = "refresh_raced"


@dataclass(eq=False)
class PasswordRejected(DomainError):
    """The password is refused: {reason}."""

    code: ClassVar[str] = "password_rejected"
    reason: str


class CurrentPasswordWrong(DomainError):
    """The current password is incorrect."""

    code = "current_password_wrong"


class TokenInvalid(DomainError):
    """The token is unknown, expired or used, or a newer mail has replaced it."""

    code = "token_invalid"


class EmailNotVerified(DomainError):
    """Your email address is not verified."""

    code = "email_not_verified"


class LastAdministrator(DomainError):
    """The shop needs an active administrator, and this is the only one."""

    code = "last_administrator"


class UserDeleted(DomainError):
    """The user was deleted and cannot be changed."""

    code = "user_deleted"


@dataclass(eq=False)
class OrdersInProgress(DomainError):
    """Orders of this account are not finished yet."""

    code: ClassVar[str] = "orders_in_progress"
    order_numbers: Sequence[str]


@dataclass(eq=False)
class TooManyAttempts(DomainError):
    """Too many attempts. Try again in {retry_after} seconds."""

    code: ClassVar[str] = "too_many_attempts"
    policy: str
    quota: int
    window_seconds: int
    retry_after: int
    # The key of the counter: the policy, and a digest of the network or account. Not for clients.
    bucket: str

    def attributes(self) -> dict[str, object]:
        """Return the attributes that the response contains."""
        return {name: value for name, value in super().attributes().items() if name != "bucket"}


class SkuTaken(DomainError):
    """Another product has this SKU."""

    code = "sku_taken"


@dataclass(eq=False)
class StockBelowZero(DomainError):
    """The stock is {available} and cannot become negative."""

    code: ClassVar[str] = "stock_below_zero"
    available: int
    delta: int


@dataclass(eq=False)
class StockTooLarge(DomainError):
    """The stock would exceed the maximum of 1000000000 units."""

    code: ClassVar[str] = "stock_too_large"
    available: int
    delta: int


@dataclass(eq=False)
class StockNotAsExpected(DomainError):
    """The stock is {available}, but the request expected {expected}."""

    code: ClassVar[str] = "stock_not_as_expected"
    available: int
    expected: int


@dataclass(eq=False)
class ImportRefused(DomainError):
    """Nothing was imported: lines of the file are invalid."""

    code: ClassVar[str] = "import_refused"
    faulty: int
    faults: Sequence[LineFault]

    def __str__(self) -> str:
        lines = "1 line is" if self.faulty == 1 else f"{self.faulty} lines are"
        return f"Nothing was imported: {lines} invalid."


@dataclass(eq=False)
class InsufficientStock(DomainError):
    """There is not enough stock for every line item of the order."""

    code: ClassVar[str] = "insufficient_stock"
    lines: Sequence[UnderstockedLine]


@dataclass(eq=False)
class ProductsUnavailable(DomainError):
    """The order contains products that are not for sale."""

    code: ClassVar[str] = "products_unavailable"
    lines: Sequence[UnavailableLine | UnderstockedLine]


class AmountOverflow(DomainError):
    """The amount is too large to be represented exactly in JSON."""

    code = "amount_too_large"


@dataclass(eq=False)
class TransitionNotAllowed(DomainError):
    """An order that is {current} cannot become {requested}."""

    code: ClassVar[str] = "transition_not_allowed"
    current: str
    requested: str
    allowed: Sequence[str]


@dataclass(eq=False)
class OrderNotShipped(DomainError):
    """The order is {current}; it can have a tracking number only once it is SHIPPED."""

    code: ClassVar[str] = "order_not_shipped"
    current: str


@dataclass(eq=False)
class TrackingNumberDiffers(DomainError):
    """The order has another tracking number. To correct it, use update_order."""

    code: ClassVar[str] = "tracking_number_differs"
    tracking_number: str | None


@dataclass(eq=False)
class OrderNotPayable(DomainError):
    """The order cannot be paid: its status is {current}, and {balance} minor units are unpaid."""

    code: ClassVar[str] = "order_not_payable"
    current: str
    balance: int


@dataclass(eq=False)
class PaymentInProgress(DomainError):
    """Another payment of this order is still open."""

    code: ClassVar[str] = "payment_in_progress"
    payment_id: UUID


@dataclass(eq=False)
class PaymentProviderNotEnabled(DomainError):
    """This shop does not accept payments by {provider}."""

    code: ClassVar[str] = "payment_provider_not_enabled"
    provider: str
    enabled: Sequence[str]


@dataclass(eq=False)
class PaymentExceedsBalance(DomainError):
    """The amount exceeds the outstanding balance of {balance} minor units."""

    code: ClassVar[str] = "payment_exceeds_balance"
    balance: int


@dataclass(eq=False)
class PaymentNotCancelable(DomainError):
    """A payment that is {payment_status} cannot be canceled."""

    code: ClassVar[str] = "payment_not_cancelable"
    payment_status: str


@dataclass(eq=False)
class PaymentNotOpen(DomainError):
    """The payment is no longer open, or already has another outcome."""

    code: ClassVar[str] = "payment_not_open"
    payment_status: str


@dataclass(eq=False)
class RefundExceedsCaptured(DomainError):
    """Only {refundable} minor units of this payment can still be refunded."""

    code: ClassVar[str] = "refund_exceeds_captured"
    refundable: int


class InvalidSignature(DomainError):
    """The signature of the notification is missing, invalid or too old."""

    code = "invalid_signature"


class PreconditionFailed(DomainError):
    """The resource has changed since it was read."""

    code = "precondition_failed"


class IdempotencyKeyReused(DomainError):
    """This idempotency key was already used for a different request."""

    code = "idempotency_key_reused"


class IdempotencyInFlight(DomainError):
    """The first request with this idempotency key is still running."""

    code = "idempotency_in_flight"


class Forbidden(DomainError):
    """This operation requires another role."""

    code = "forbidden"


class Unavailable(DomainError):
    """The database is busy or cannot be reached."""

    code = "service_unavailable"


@dataclass(eq=False)
class NotReady(Unavailable):
    """This server cannot take orders now: {reason}."""

    code: ClassVar[str] = "service_unavailable"
    reason: str


class PasswordHashingBusy(Unavailable):
    """The server is hashing too many passwords. Try again."""


class PaymentProviderUnavailable(Unavailable):
    """The payment provider did not answer in time. The payment may have been created there."""

    code = "payment_provider_unavailable"


class Locked(Unavailable):
    """Lock timeout: another request is changing the same data. Try again."""


def _as_json(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, UnderstockedLine | UnavailableLine):
        return {name: _as_json(member) for name, member in asdict(value).items()}
    if isinstance(value, LineFault):
        return value._asdict()
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value
