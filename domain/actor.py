"""Who asks: the one fact about a request that every use case may need."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

CLIENT = "CLIENT"
ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who makes a request, and where it came from.

    `user_id`, `role` and `session_id` are None for somebody who is not signed in.
    """

    user_id: UUID | None
    role: str | None
    session_id: UUID | None
    request_id: str
    address: str
    user_agent: str

    @property
    def is_admin(self) -> bool:
        """Whether this one may do what administrators do."""
        return self.role == ADMIN
