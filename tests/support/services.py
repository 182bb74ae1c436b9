"""What tests pass to services: actors and products."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from domain.actor import Actor
from services.products import Product

PASSWORD = "blackberry strudel"


class AddProduct(Protocol):
    """Creates a product and returns it."""

    def __call__(self, stock: int = 10, price: int = 1000, **fields: Any) -> Product: ...


def make_actor(user_id: UUID | None, role: str | None, *, user_agent: str = "Firefox") -> Actor:
    """Return an actor, as the HTTP layer creates it for a request."""
    return Actor(user_id, role, None, "request-1", "127.0.0.1", user_agent)
