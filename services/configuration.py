"""What the deployment decides about the shop's rules, handed down once at start."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Configuration:
    """The shop's settings that rules depend on. Durations are in seconds, memory in KiB."""

    signing_key: bytes = field(repr=False)
    # Accepted as well, but nothing is signed by them: keys to come, and keys that were.
    other_signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    currency: str = "EUR"
    issuer: str = "orderly"
    audience: str = "orderly"
    access_token_seconds: int = 900
    refresh_token_seconds: int = 30 * 24 * 3600
    # However often it is refreshed, a session ends so long after the sign-in.
    session_seconds: int = 180 * 24 * 3600
    # How long two tabs that refresh at once are taken for what they are, not for a theft.
    refresh_grace_seconds: int = 10
    # OWASP's second choice for Argon2id: 19 MiB, two passes, one lane.
    argon2_time_cost: int = 2
    argon2_memory_kib: int = 19456
    argon2_parallelism: int = 1
    # How long an order may wait for its payment; 0 is for ever.
    order_expiry_minutes: int = 60
    # Each hash takes a core whole: more at once than there are only make everybody wait longer.
    password_hashes_at_once: int = 2
    # What services/throttling.py makes quotas of.
    sign_in_limit: int = 10
    registration_limit: int = 20
    refresh_limit: int = 60
    password_change_limit: int = 10


_configured: list[Configuration] = []


def configure(configuration: Configuration) -> None:
    """Set the configuration of this process, in place of any set before."""
    _configured[:] = [configuration]


def configuration() -> Configuration:
    """Return the configuration of this process.

    Raises:
        RuntimeError: nobody has called `configure` yet.
    """
    if not _configured:
        raise RuntimeError("services.configuration.configure() has not been called")
    return _configured[0]
