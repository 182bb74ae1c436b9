"""Where things are sent: the lines of a postal address, kept as they were given."""

from __future__ import annotations

from typing import NamedTuple


class ShippingAddress(NamedTuple):
    """A postal address. The country is its ISO 3166-1 alpha-2 code; None is left out."""

    recipient: str
    street: str
    city: str
    country: str
    addition: str | None = None
    postal_code: str | None = None
    region: str | None = None

    def given(self) -> dict[str, str]:
        """Return the parts that there are, by name."""
        return {name: part for name, part in self._asdict().items() if part is not None}
