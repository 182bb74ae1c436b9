"""What the programs of all generators have in common: what they send, and the lines they print."""

from __future__ import annotations

import sys
from typing import Final, Literal

URL: Final = f"{sys.argv[1]}/api/v1"
GENERATOR: Final = sys.argv[2]

EMAIL: Final = f"{GENERATOR}@example.com"
NAME: Final = "Mary Somerville"
PASSWORD: Final = "juniper bridge 93 lantern"  # of a test's own account
ADMIN_EMAIL: Final = "admin@orderly.example"
ADMIN_PASSWORD: Final = "turquoise kettle 27"  # public: of the demo

_SKU = f"CSV-{GENERATOR.upper()}"
CSV: Final = f"sku,name,price,stock\r\n{_SKU},Paper filters,4.90,12\r\n"


def registered(email: str, role: Literal["CLIENT", "ADMIN"]) -> None:
    """Print the new user."""
    print(f"registered: {email} {role}")


def signed_in(token_type: str) -> None:
    """Print how to send the token."""
    print(f"signed in: {token_type}")


def found(sku: str, amount: int, currency: str) -> None:
    """Print a product."""
    print(f"found: {sku} {amount} {currency}")


def ordered(status: str, total: int) -> None:
    """Print a placed order."""
    print(f"ordered: {status} {total}")


def refused(status: int, code: str, requested: int | None, available: int | None) -> None:
    """Print why an order was refused."""
    print(f"refused: {status} {code}, wanted {requested}, there are {available}")


def imported(created: int) -> None:
    """Print the report of an import."""
    print(f"imported: {created} created")


def exported(file: str) -> None:
    """Print whether the exported file has the product that was imported."""
    print(f"exported: {'with the new product' if _SKU in file else file}")
