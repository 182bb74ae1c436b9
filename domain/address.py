"""Postal addresses, stored as they were entered."""

from __future__ import annotations

from typing import NamedTuple


class ShippingAddress(NamedTuple):
    """A postal address. `country` is an ISO 3166-1 alpha-2 code; optional lines may be None."""

    recipient: str
    street: str
    city: str
    country: str
    addition: str | None = None
    postal_code: str | None = None
    region: str | None = None

    def without_none(self) -> dict[str, str]:
        """Return the lines that are not None, by name."""
        return {name: part for name, part in self._asdict().items() if part is not None}
