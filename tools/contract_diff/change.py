"""The unit of comparison: one change between two versions of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Node = Mapping[str, Any]


class Direction(Enum):
    """Whether a schema describes what clients send, or what they read."""

    REQUEST = "in requests"
    RESPONSE = "in responses"

    def is_breaking(self, *, stricter: bool, looser: bool) -> bool:
        """Return whether a change of a schema breaks clients.

        A stricter schema breaks clients that send it. A looser schema breaks clients that read it.
        """
        return stricter if self is Direction.REQUEST else looser


@dataclass(frozen=True, slots=True)
class Change:
    """One change between two documents, and whether it may break a working client."""

    location: str
    message: str
    breaking: bool

    def __str__(self) -> str:
        return (
            f"{'BREAKING' if self.breaking else 'compatible':10}  {self.location}: {self.message}"
        )
