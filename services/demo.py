"""The demo: fills an empty shop with products, people and orders, and accounts to sign in with.

The passwords of the accounts are public: before a shop has real users, these accounts must be
disabled or get new passwords.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from uuid_utils.compat import uuid7

from database.transactions import autocommit, autocommit_without_retry, transaction
from domain.actor import ADMIN, CLIENT, DEMO, Actor
from domain.errors import EmailTaken
from domain.money import Money
from domain.payments import PaymentState
from integrations.payments import sandbox
from integrations.payments.sandbox import Outcome, SandboxProvider
from models import demo as rows
from models import product as products
from models import user as users
from models.user import Credentials
from services import demo_history, passwords, payment_providers
from services.demo_data import ADA, ARTICLES, PEOPLE, Person
from services.hashing_queue import Client
from services.process import configuration
from services.users import create_admin, disable_user

_SYSTEM = Actor(None, None, None, request_id=DEMO, address="", user_agent="")
_HASHING_CLIENT = Client(_SYSTEM.network, "demo")


class Account(NamedTuple):
    """An account of the demo. Its password is public, so it must not exist in a real shop."""

    email: str
    password: str
    role: str


class Demo(NamedTuple):
    """The number of products that were created, and the accounts of the demo."""

    products: int
    accounts: tuple[Account, ...]


# The customer in the contract's examples.
CUSTOMER = Account(ADA.email, "brew-42-slow-mornings", CLIENT)
ACCOUNTS = (
    Account("admin@orderly.example", "turquoise kettle 27", ADMIN),
    Account("client@orderly.example", "marmalade lantern 64", CLIENT),
    CUSTOMER,
)


def fill() -> Demo:
    """Create the demo's accounts if they are missing, and its products if there are none at all.

    Safe to repeat. A shop that has any product, archived or not, gets no products.
    """
    for account in ACCOUNTS:
        if account.email != ADA.email:  # her id is that of the contract's examples
            _create_account(account)
    return Demo(_create_history(), ACCOUNTS)


@autocommit
def is_empty() -> bool:
    """Return whether the shop has no product and no user, so that the demo may fill it."""
    return products.FIND_ANY.one() is None and users.FIND_ANY.one() is None


def exposed_accounts() -> list[Account]:
    """Return the accounts to which anyone can sign in with the demo's public passwords."""
    return [account for account in ACCOUNTS if _exposed_credentials(account) is not None]


def disable_exposed_accounts() -> list[Account]:
    """Disable the accounts that `exposed_accounts` returns, and revoke their sessions.

    Safe to repeat. An account with a new password is not changed.
    """
    disabled = []
    for account in ACCOUNTS:
        credentials = _exposed_credentials(account)
        if credentials is not None:
            disable_user(user_id=credentials.user.id)
            disabled.append(account)
    return disabled


def _exposed_credentials(account: Account) -> Credentials | None:
    credentials = _find_credentials(account.email)
    if credentials is None or not credentials.user.active:
        return None
    matches = passwords.verify(account.password, credentials.password_hash, _HASHING_CLIENT).matches
    return credentials if matches else None


def _create_account(account: Account) -> None:
    if _find_credentials(account.email) is not None:
        return
    name = account.role.capitalize()
    try:
        if account.role == ADMIN:
            create_admin(email=account.email, name=name, password=account.password)
        else:
            _insert_customer(
                Person(uuid7(), account.email, name),
                passwords.hash_password(account.password, _HASHING_CLIENT),
            )
    except EmailTaken:  # another process is filling the same shop
        pass


@autocommit_without_retry
def _insert_customer(person: Person, password_hash: str) -> None:
    # A registration would send a mail, and could be refused by the rate limit.
    demo_history.insert_people({person: password_hash})


@autocommit
def _find_credentials(email: str) -> Credentials | None:
    return users.FIND_CREDENTIALS.one(email=email)


def _create_history() -> int:
    """Create the people, products and orders of the demo; return the number of products."""
    if _has_products():
        return 0
    _pay_in_sandbox()
    passwords_by_email = {account.email: account.password for account in ACCOUNTS}
    unknown_password = secrets.token_urlsafe()
    hashes = {
        password: passwords.hash_password(password, _HASHING_CLIENT)
        for password in {passwords_by_email[ADA.email], unknown_password}
    }
    return _insert_history(
        {
            person: hashes[passwords_by_email.get(person.email, unknown_password)]
            for person in PEOPLE
        }
    )


@autocommit
def _has_products() -> bool:
    return products.FIND_ANY.one() is not None


@transaction
def _insert_history(password_hashes: Mapping[Person, str]) -> int:
    rows.LOCK.execute()
    if products.FIND_ANY.one() is not None:  # another process has filled the same shop
        return 0
    demo_history.insert(password_hashes)
    return len(ARTICLES)


def _pay_in_sandbox() -> None:
    """Create the payments at the sandbox, so that they can be paid, canceled and refunded."""
    if sandbox.NAME not in payment_providers.enabled():
        return
    provider = payment_providers.find(sandbox.NAME)
    assert isinstance(provider, SandboxProvider)  # noqa: S101  # no other provider has this name
    for payment_id, total, is_paid in demo_history.sandbox_payments():
        amount = Money(total, configuration().currency)
        created = provider.create(payment_id, amount, order_number="")
        if is_paid and created.state is PaymentState.PENDING:
            provider.settle(created.reference, Outcome.SUCCEED)
