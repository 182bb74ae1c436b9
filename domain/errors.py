"""Errors that carry facts; what HTTP makes of them is decided elsewhere, by their code.

An error's docstring is its message: a format string over its attributes.
"""
# ruff: noqa: N818  # named after what is wrong: each of them is an error

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar
from uuid import UUID

from domain.product_file import LineFault


class DomainError(Exception):
    """The request breaks a rule of the shop."""

    code: ClassVar[str]

    def __str__(self) -> str:
        return (type(self).__doc__ or self.code).format_map(vars(self))

    def facts(self) -> dict[str, object]:
        """Return the facts of the case, ready to be written as JSON."""
        return {
            name: _as_json(fact) for name, fact in vars(self).items() if not name.startswith("_")
        }


@dataclass(frozen=True, slots=True)
class ShortLine:
    """A line of an order that asks for more than there is."""

    product_id: UUID
    requested: int
    available: int


@dataclass(frozen=True, slots=True)
class UnavailableLine:
    """A line of an order whose product is unknown or archived."""

    product_id: UUID
    requested: int


@dataclass(eq=False)
class NotFound(DomainError):
    """There is no such {kind}, or it is not yours."""

    code: ClassVar[str] = "not_found"
    kind: str


class EmailTaken(DomainError):
    """Somebody has registered with this email already."""

    code = "email_taken"


class InvalidCredentials(DomainError):
    """Email or password is wrong."""

    code = "invalid_credentials"


class SessionExpired(DomainError):
    """The session is over: sign in again."""

    code = "session_expired"


class RefreshRaced(DomainError):
    """Another request of this client has just refreshed the session."""

    code = "refresh_raced"


@dataclass(eq=False)
class PasswordRejected(DomainError):
    """This password is refused: {reason}."""

    code: ClassVar[str] = "password_rejected"
    reason: str


class CurrentPasswordWrong(DomainError):
    """The current password is another one."""

    code = "current_password_wrong"


class LastAdministrator(DomainError):
    """The shop needs an active administrator, and there is no other."""

    code = "last_administrator"


@dataclass(eq=False)
class TooManyAttempts(DomainError):
    """There have been too many attempts: try again in {retry_after} seconds."""

    code: ClassVar[str] = "too_many_attempts"
    policy: str
    quota: int
    window_seconds: int
    retry_after: int


class SkuTaken(DomainError):
    """Another product has this SKU."""

    code = "sku_taken"


@dataclass(eq=False)
class StockBelowZero(DomainError):
    """There are only {available} in stock."""

    code: ClassVar[str] = "stock_below_zero"
    available: int
    delta: int


@dataclass(eq=False)
class StockTooLarge(DomainError):
    """The stock would be more than 1000000000."""

    code: ClassVar[str] = "stock_too_large"
    available: int
    delta: int


@dataclass(eq=False)
class StockNotAsExpected(DomainError):
    """There are {available} in stock where {expected} were expected."""

    code: ClassVar[str] = "stock_not_as_expected"
    available: int
    expected: int


@dataclass(eq=False)
class ImportRefused(DomainError):
    """Nothing was imported; faulty lines: {faulty}."""

    code: ClassVar[str] = "import_refused"
    faulty: int
    faults: Sequence[LineFault]


@dataclass(eq=False)
class InsufficientStock(DomainError):
    """There is not enough in stock for every line of the order."""

    code: ClassVar[str] = "insufficient_stock"
    lines: Sequence[ShortLine]


@dataclass(eq=False)
class ProductsUnavailable(DomainError):
    """The order names products that are not for sale."""

    code: ClassVar[str] = "products_unavailable"
    lines: Sequence[UnavailableLine | ShortLine]


class AmountOverflow(DomainError):
    """The amount is larger than the shop can write down exactly."""

    code = "amount_too_large"


@dataclass(eq=False)
class TransitionNotAllowed(DomainError):
    """An order that is {current} cannot become {requested}."""

    code: ClassVar[str] = "transition_not_allowed"
    current: str
    requested: str
    allowed: Sequence[str]


class PreconditionFailed(DomainError):
    """It has changed since it was read."""

    code = "precondition_failed"


class IdempotencyKeyReused(DomainError):
    """This idempotency key was used for another request."""

    code = "idempotency_key_reused"


class IdempotencyInFlight(DomainError):
    """The first request with this idempotency key is still running."""

    code = "idempotency_in_flight"


class Forbidden(DomainError):
    """This needs another role."""

    code = "forbidden"


class Unavailable(DomainError):
    """The shop's database is busy or cannot be reached."""

    code = "service_unavailable"


class Locked(Unavailable):
    """Others are working on the same for longer than one waits."""


def _as_json(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, ShortLine | UnavailableLine):
        return {name: _as_json(fact) for name, fact in asdict(value).items()}
    if isinstance(value, LineFault):
        return value._asdict()
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value
