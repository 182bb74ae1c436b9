"""The data of the demo: people, products, and orders in every status.

The contract's examples are about some of them: Ada, her orders, and what she has ordered. These
have the ids of the examples, so the requests that the documentation page fills in work in the demo.
`tests/unit/test_demo_data.py` compares them with the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from domain.actor import ADMIN, CLIENT
from domain.order_status import CANCELLED, DELIVERED, PAID, PENDING, RETURNED, SHIPPED


class Person(NamedTuple):
    """A user. Nobody knows the password, except for the accounts in `services/demo.py`."""

    id: UUID
    email: str
    name: str
    role: str = CLIENT
    address: tuple[str, str, str, str] = ("12 St James's Square", "SW1Y 4JH", "London", "GB")


class Article(NamedTuple):
    """A product; the price is in minor units, and `stock` is the quantity today."""

    sku: str
    name: str
    description: str
    price: int
    stock: int
    id: UUID | None = None


class PastOrder(NamedTuple):
    """An order. `payment` is the id of its payment at the sandbox; None means a bank transfer."""

    customer: Person
    days_ago: float
    status: str
    lines: Sequence[tuple[str, int]]
    id: UUID | None = None
    number: str | None = None
    payment: UUID | None = None
    note: str | None = None


ADA = Person(UUID("019a48c8-a3a0-7b1e-8f40-5c1d2e3f4a5b"), "ada@example.com", "Ada Lovelace")
GRACE = Person(
    UUID("019a48c8-a3a0-7c2f-9a51-6d2e3f4a5b6c"), "boss@example.com", "Grace Hopper", ADMIN
)
_ALAN = Person(
    UUID("019a48c8-b150-7a10-8c21-4d5e6f708192"),
    *("alan@example.com", "Alan Turing", CLIENT),
    ("78 High Street", "SK9 1PQ", "Wilmslow", "GB"),
)
_EMMY = Person(
    UUID("019a48c8-c2a8-7d42-9b13-5e6f708192a3"),
    *("emmy@example.com", "Emmy Noether", CLIENT),
    ("Hauptstraße 23", "91054", "Erlangen", "DE"),
)
_SOFIA = Person(
    UUID("019a48c8-d3f0-7e53-8a24-6f708192a3b4"),
    *("sofia@example.com", "Софья Ковалевская", CLIENT),
    ("Kungsgatan 4", "111 43", "Stockholm", "SE"),
)
PEOPLE = (ADA, GRACE, _ALAN, _EMMY, _SOFIA)

ADAS_PHONE = UUID("019ab001-1c40-7d52-8d84-9a5b6c7d8e9f")
PHONE = "Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"

GRINDER = Article(
    *("GRINDER-01", "Hand grinder", "Steel burrs, 30 g at a time.\nMade to be repaired."),
    *(6490, 20, UUID("019a48d0-11c8-7d30-8b62-7e3f4a5b6c7d")),
)
FILTERS = Article(
    *("FILTER-100", "Paper filters, 100", "", 590, 340),
    UUID("019a48d0-22d0-7e41-9c73-8f4a5b6c7d8e"),
)
ARCHIVED_MUG = Article(
    *("MUG-01", "Camping mug", "", 1990, 3, UUID("019a48d0-33e0-7f52-8d84-9a5b6c7d8e9f"))
)

_MORE_ARTICLES = (
    ("BEAN-ETH-250", "Ethiopia Guji, 250 g", "Washed; apricot, jasmine, black tea.", 1290, 80),
    ("BEAN-COL-250", "Colombia Huila, 250 g", "Washed; caramel, red apple, cocoa.", 1150, 120),
    ("BEAN-BRA-1000", "Brazil Cerrado, 1 kg", "Natural; hazelnut, dark chocolate.", 2990, 60),
    ("BEAN-KEN-250", "Kenya Nyeri, 250 g", "Washed; blackcurrant, grapefruit.", 1490, 35),
    ("BEAN-DEC-250", "Decaf Mexico, 250 g", "Water process; milk chocolate, fig.", 1250, 45),
    ("BEAN-ESP-1000", "House espresso, 1 kg", "Two beans, medium roast, thick crema.", 2690, 150),
    ("GRND-ELEC-01", "Electric grinder", "64 mm flat burrs, doses by weight.", 34900, 6),
    ("BREW-V60-02", "Pour-over dripper", "Ceramic, for one to four cups.", 2450, 40),
    ("BREW-AERO-01", "Travel press", "Brews a cup in a minute, anywhere.", 3690, 52),
    ("BREW-FREN-08", "French press, 1 l", "Borosilicate glass, steel plunger.", 3290, 24),
    ("BREW-MOKA-06", "Moka pot, 6 cups", "Aluminium; not for induction hobs.", 2990, 30),
    ("KETL-GOOS-01", "Gooseneck kettle", "Holds its temperature to a degree, 0.9 l.", 12900, 9),
    ("SCAL-01", "Brewing scale", "0.1 g and a timer; charges by USB-C.", 4990, 22),
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
ARTICLES = (GRINDER, FILTERS, ARCHIVED_MUG, *(Article(*one) for one in _MORE_ARTICLES))

_BASKET = ((GRINDER.sku, 1), (FILTERS.sku, 2))
PAID_ORDER = PastOrder(
    *(ADA, 2, PAID, _BASKET),
    id=UUID("019ab016-ab38-7b74-8fa6-bc7d8e9fa0b1"),
    number="ORD-7K3M-9Q2X",
    payment=UUID("019ab018-1c20-7d41-8b5e-3f6a7b8c9d0e"),
    note="Please ring twice.",
)
UNPAID_ORDER = PastOrder(
    *(ADA, 0.5, PENDING, _BASKET),
    id=UUID("019ab2f4-5e60-7c85-9ab7-cd8e9fa0b1c2"),
    number="ORD-4WD8-J5RT",
)
ORDER_BEING_PAID = PastOrder(
    *(ADA, 0.25, PENDING, _BASKET),
    id=UUID("019ab2f9-7d10-7d96-8bc8-de9fa0b1c2d3"),
    number="ORD-2HN6-C9YV",
    payment=UUID("019ab2fa-3a40-7ea7-9cd9-ef0b1c2d3e4f"),
)
ORDERS = (
    PastOrder(_ALAN, 40, DELIVERED, (("BEAN-ETH-250", 2), ("BREW-V60-02", 1))),
    PastOrder(_EMMY, 36, DELIVERED, (("KETL-GOOS-01", 1),)),
    PastOrder(_SOFIA, 33, RETURNED, (("MUG-SAND-300", 2),)),
    PastOrder(_ALAN, 27, CANCELLED, (("GRND-ELEC-01", 1),)),
    PastOrder(ADA, 24, DELIVERED, (("BEAN-KEN-250", 3), (FILTERS.sku, 1))),
    PastOrder(_EMMY, 19, DELIVERED, (("BEAN-ESP-1000", 1), ("CUP-ESP-2", 2))),
    PastOrder(_SOFIA, 12, DELIVERED, (("BREW-MOKA-06", 1), ("BEAN-BRA-1000", 1))),
    PastOrder(_ALAN, 6, SHIPPED, (("SCAL-01", 1),)),
    PastOrder(_EMMY, 4, SHIPPED, (("BOOK-BREW", 1), ("GLAS-CORT-4", 1)), note="A present."),
    PAID_ORDER,
    PastOrder(_SOFIA, 1.5, PAID, (("BREW-FREN-08", 1), ("BEAN-COL-250", 2))),
    PastOrder(_ALAN, 1, PAID, (("MUG-BLUE-300", 4),)),
    UNPAID_ORDER,
    ORDER_BEING_PAID,
    PastOrder(_EMMY, 0.1, PENDING, (("CLEAN-TABS", 1), ("PITC-600", 1))),
)
