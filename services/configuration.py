"""The settings that the shop's rules depend on, passed in at start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings of services and handlers. Durations are in seconds, memory is in KiB."""

    signing_key: bytes = field(repr=False)
    # Keys that verify access tokens but do not sign: new ones not yet in use, and retired ones.
    other_signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    # Whether session cookies are sent over HTTPS only.
    cookie_secure: bool = True
    # Other origins whose pages may send unsafe requests with the session cookies.
    allowed_origins: re.Pattern[str] | None = None
    currency: str = "EUR"
    issuer: str = "orderly"
    audience: str = "orderly"
    access_token_seconds: int = 900
    refresh_token_seconds: int = 30 * 24 * 3600
    # A session ends this long after the sign-in, however often it is refreshed.
    session_seconds: int = 180 * 24 * 3600
    # Within this time a second use of a refresh token counts as a race of two tabs, not as theft.
    refresh_grace_seconds: int = 10
    # The second Argon2id configuration that OWASP recommends: 19 MiB, 2 iterations, parallelism 1.
    argon2_time_cost: int = 2
    argon2_memory_kib: int = 19456
    argon2_parallelism: int = 1
    # How long an order may stay unpaid before it expires; 0 means for ever.
    order_expiry_minutes: int = 60
    # The same for orders whose customer chose to pay manually, such as by bank transfer; 0 means
    # that customers cannot choose this.
    manual_payment_expiry_minutes: int = 0
    # Whether only users with a verified address can place orders.
    verified_email_required: bool = False
    # The kinds of mail that the shop sends; empty if it sends none.
    mail_kinds: frozenset[str] = frozenset()
    # After how many seconds without any worker this process is not ready. 0: it needs none.
    worker_silence_seconds: int = 0
    # The maximum of concurrent calls to one provider: each call occupies a thread and a request.
    payment_calls_at_once: int = 4
    # Each hash uses one core: more concurrent hashes than cores only make all of them slower.
    password_hashes_at_once: int = 2
    # Requests that wait for a hash occupy threads that other requests need.
    password_hashes_waiting: int = 10
    # Rate limits: see services/throttling.py.
    sign_in_limit: int = 10
    registration_limit: int = 20
    refresh_limit: int = 60
    password_change_limit: int = 10
    payment_limit: int = 30
    account_mail_limit: int = 5
