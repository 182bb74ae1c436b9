"""Runs `orderly` with the bugs that PLANTED_BUGS names: `python -m tests.support.planted_bugs`.

Each bug replaces one function of the application before the application is created.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from domain.actor import ADMIN
from domain.errors import UserDeleted
from handlers import orders as order_handlers
from handlers import preconditions
from services import orders, stock, users

BUGS: dict[str, Callable[[], None]] = {}


def plants(bug: Callable[[], None]) -> Callable[[], None]:
    BUGS[bug.__name__] = bug
    return bug


@plants
def undocumented_status() -> None:
    """`get_me` responds 409, which it does not document."""

    def refuse(**_arguments: Any) -> Any:
        raise UserDeleted

    users.get_me = refuse


@plants
def oversell() -> None:
    """Units that were ordered stay in stock."""
    create_order = orders.create_order

    def create_order_and_keep_stock(**arguments: Any) -> Any:
        placed = create_order(**arguments)
        if not placed.replayed:
            for product_id, quantity in arguments["items"]:
                stock.adjust_stock(
                    actor=arguments["actor"], product_id=product_id, delta=quantity, reason="FOUND"
                )
        return placed

    orders.create_order = create_order_and_keep_stock


@plants
def bola() -> None:
    """Every customer can read every order (broken object level authorization)."""
    find_order = orders.find_order

    def find_any_order(actor: Any, order_id: Any) -> Any:
        return find_order(actor._replace(role=ADMIN), order_id)

    orders.find_order = find_any_order


@plants
def wrong_etag() -> None:
    """The entity tag of an object does not change."""
    preconditions.entity_tag = lambda *_versions: '"1"'


@plants
def idempotency_ignored() -> None:
    """`create_order` ignores the Idempotency-Key."""
    order_handlers.parse_idempotency_key = lambda _value: None


for name in os.environ["PLANTED_BUGS"].split():
    BUGS[name]()

if __name__ == "__main__":
    from orderly.cli.main import main

    main()
