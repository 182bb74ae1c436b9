"""The demo: fills an empty shop with sample products and two accounts to sign in with.

The passwords of the accounts are public: before a shop has real users, these accounts must be
disabled or get new passwords.
"""

from __future__ import annotations

from typing import NamedTuple

from database.transactions import autocommit, transaction
from domain.actor import ADMIN, CLIENT, DEMO, Actor
from domain.errors import EmailTaken, SkuTaken
from models import product as products
from models import user as users
from models.user import Credentials
from services import passwords
from services.hashing_queue import Client
from services.products import create_product
from services.users import create_admin, disable_user, register

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


ACCOUNTS = (
    Account("admin@orderly.example", "turquoise kettle 27", ADMIN),
    Account("client@orderly.example", "marmalade lantern 64", CLIENT),
)


def fill() -> Demo:
    """Create the demo's accounts if they are missing, and its products if there are none at all.

    Safe to repeat. A shop that has any product, archived or not, gets no products.
    """
    for account in ACCOUNTS:
        _create_account(account)
    try:
        created = _create_products()
    except SkuTaken:  # another process is filling the same shop
        created = 0
    return Demo(created, ACCOUNTS)


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
    # Check first: an attempt to register would count towards the rate limit.
    if _find_credentials(account.email) is not None:
        return
    name = account.role.capitalize()
    try:
        if account.role == ADMIN:
            create_admin(email=account.email, name=name, password=account.password)
        else:
            register(actor=_SYSTEM, email=account.email, name=name, password=account.password)
    except EmailTaken:  # another process is filling the same shop
        pass


@autocommit
def _find_credentials(email: str) -> Credentials | None:
    return users.FIND_CREDENTIALS.one(email=email)


@transaction
def _create_products() -> int:
    if products.FIND_ANY.one() is not None:
        return 0
    for sku, name, description, price, stock in _PRODUCTS:
        create_product(
            actor=_SYSTEM, sku=sku, name=name, description=description, price=price, stock=stock
        )
    return len(_PRODUCTS)


# SKU, name, description, price in minor units (cents, for most currencies), units in stock.
_PRODUCTS = (
    ("BEAN-ETH-250", "Ethiopia Guji, 250 g", "Washed; apricot, jasmine, black tea.", 1290, 80),
    ("BEAN-COL-250", "Colombia Huila, 250 g", "Washed; caramel, red apple, cocoa.", 1150, 120),
    ("BEAN-BRA-1000", "Brazil Cerrado, 1 kg", "Natural; hazelnut, dark chocolate.", 2990, 60),
    ("BEAN-KEN-250", "Kenya Nyeri, 250 g", "Washed; blackcurrant, grapefruit.", 1490, 35),
    ("BEAN-DEC-250", "Decaf Mexico, 250 g", "Water process; milk chocolate, fig.", 1250, 45),
    ("BEAN-ESP-1000", "House espresso, 1 kg", "Two beans, medium roast, thick crema.", 2690, 150),
    ("GRND-HAND-01", "Hand grinder", "Conical steel burrs, 36 clicks, 25 g of beans.", 8900, 18),
    ("GRND-ELEC-01", "Electric grinder", "64 mm flat burrs, doses by weight.", 34900, 6),
    ("BREW-V60-02", "Pour-over dripper", "Ceramic, for one to four cups.", 2450, 40),
    ("BREW-AERO-01", "Travel press", "Brews a cup in a minute, anywhere.", 3690, 52),
    ("BREW-FREN-08", "French press, 1 l", "Borosilicate glass, steel plunger.", 3290, 24),
    ("BREW-MOKA-06", "Moka pot, 6 cups", "Aluminium; not for induction hobs.", 2990, 30),
    ("KETL-GOOS-01", "Gooseneck kettle", "Holds its temperature to a degree, 0.9 l.", 12900, 9),
    ("SCAL-01", "Brewing scale", "0.1 g and a timer; charges by USB-C.", 4990, 22),
    ("FILT-02-100", "Paper filters, 100 pieces", "Bleached with oxygen, size 02.", 590, 400),
    ("FILT-METAL", "Metal filter", "Fits size 02; rinse it and use it again.", 1890, 15),
    ("MUG-BLUE-300", "Mug, blue, 300 ml", "Stoneware, glazed by hand.", 1690, 48),
    ("MUG-SAND-300", "Mug, sand, 300 ml", "Stoneware, glazed by hand.", 1690, 3),
    ("CUP-ESP-2", "Espresso cups, pair", "Porcelain, thick walls, 70 ml.", 1990, 26),
    ("GLAS-CORT-4", "Cortado glasses, set of 4", "Tempered glass, 130 ml.", 1490, 33),
    ("PITC-600", "Milk pitcher, 600 ml", "Steel, with a spout for latte art.", 2290, 20),
    ("CLEAN-TABS", "Cleaning tablets, 60 pieces", "For espresso machines.", 1390, 70),
    ("BOOK-BREW", "Brewing, step by step", "160 pages, hardcover.", 2800, 12),
    ("GIFT-BOX", "Tasting box", "Four coffees of 60 g each. Sold out until spring.", 1990, 0),
)
