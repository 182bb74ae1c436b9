"""The unit of comparison: one change between two versions of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Node = Mapping[str, Any]


class Direction(Enum):
    """Who sends the data that a schema describes: clients, or the server."""

    REQUEST = "in requests"
    RESPONSE = "in responses"


@dataclass(frozen=True, slots=True)
class Change:
    """One change between two documents, and whether it may break a working client."""

    place: str
    message: str
    breaking: bool

    def __str__(self) -> str:
        return f"{'BREAKING' if self.breaking else 'compatible':10}  {self.place}: {self.message}"
