"""Who asks: the one fact about a request that every use case may need."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import UUID

CLIENT = "CLIENT"
ADMIN = "ADMIN"

# RFC 4291, section 2.5.4: what lies behind it is for one network to hand out as it likes.
_SUBNET_BITS = 64
_LONGEST_ADDRESS = 64
_LONGEST_USER_AGENT = 200


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

    @property
    def kept_address(self) -> str:
        """As much of the address as is kept of it."""
        return self.address[:_LONGEST_ADDRESS]

    @property
    def kept_user_agent(self) -> str:
        """As much of the user agent as is kept of it, less NULs, which PostgreSQL cannot hold."""
        return self.user_agent.replace("\0", "")[:_LONGEST_USER_AGENT]

    @property
    def network(self) -> str:
        """What addresses one household or machine has: an IPv4 address, or the /64 of an IPv6 one.

        Empty where the address is not known.
        """
        try:
            address = ip_address(self.address.partition("%")[0])
        except ValueError:
            return self.kept_address
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is None:
                return str(ip_network((address, _SUBNET_BITS), strict=False))
            address = address.ipv4_mapped
        return str(address)
