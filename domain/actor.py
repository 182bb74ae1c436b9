"""The actor of a request: who makes it, and from where."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from uuid import UUID

# The request ids that are stored when a command, not an HTTP request, makes a change.
COMMAND_LINE = "command-line"
DEMO = "demo"

CLIENT = "CLIENT"
ADMIN = "ADMIN"

# The usual size of an IPv6 subnet (RFC 4291, section 2.5.4): one client can use all its addresses.
_SUBNET_BITS = 64
_MAX_ADDRESS_CHARACTERS = 64
_MAX_USER_AGENT_CHARACTERS = 200


# A named tuple, since one is created for each request: a frozen dataclass takes twice the time.
class Actor(NamedTuple):
    """The user who makes a request, and the client that sends it.

    `user_id`, `role` and `session_id` are None if the client is anonymous.
    """

    user_id: UUID | None
    role: str | None
    session_id: UUID | None
    request_id: str
    address: str
    user_agent: str

    @property
    def is_admin(self) -> bool:
        """Whether the actor has the role ADMIN."""
        return self.role == ADMIN

    @property
    def stored_address(self) -> str:
        """The address, cut to the length that is stored."""
        return self.address[:_MAX_ADDRESS_CHARACTERS]

    @property
    def stored_user_agent(self) -> str:
        """The user agent, cut to the length that is stored. PostgreSQL cannot store NUL."""
        return self.user_agent.replace("\0", "")[:_MAX_USER_AGENT_CHARACTERS]

    @property
    def network(self) -> str:
        """The network of the address, for rate limits."""
        return network_of(self.address)


def network_of(address: str) -> str:
    """Return the network of an address: the addresses that one client can use.

    This is the IPv4 address itself, or the /64 network of an IPv6 address. If the address cannot be
    parsed, it is the address, cut to the length that is stored.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_MAX_ADDRESS_CHARACTERS]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, _SUBNET_BITS), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
