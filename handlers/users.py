"""People and their accounts."""

from __future__ import annotations

from typing import Any

from domain.actor import Actor
from handlers import representations
from services import users

Answer = tuple[Any, int, dict[str, Any]]


def get_me(actor: Actor) -> Answer:
    """Answer the account of the one who asks."""
    return representations.user(users.get_me(actor=actor)), 200, {}
