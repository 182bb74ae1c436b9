"""The settings of a deployment, read from environment variables and validated before the start.

docs/settings.md describes each variable for operators.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environs import Env, EnvValidationError, validate

from domain import mail
from orderly import settings_values, signing_keys
from orderly.secret_files import SUFFIX, read_secret_files
from services.configuration import Configuration

if TYPE_CHECKING:
    from database.binding import TimeLimits

PREFIX = "ORDERLY_"
ADMIN_PASSWORD_VARIABLE = "ORDERLY_ADMIN_PASSWORD"  # noqa: S105  # only `create-admin` reads it

HANDLERS = ("greenlets", "threads")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "json", "console")
# Argon2id: passes, memory in KiB, lanes. "standard" is OWASP's second choice. "strong"
# has the passes and memory of RFC 9106's second choice (section 4). "cheapest" is for tests.
PASSWORD_HASHES: Mapping[str, tuple[int, int, int]] = {
    "standard": (2, 19456, 1),
    "strong": (3, 65536, 1),
    "cheapest": (1, 8, 1),
}

# Attempts in the window that services/throttling.py defines for each.
_LIMITS = {
    "sign_in": 10,
    "registration": 20,
    "refresh": 60,
    "password_change": 10,
    "account_mail": 5,
    "payment": 30,
}
# In a test system: `orderly verify` registers and signs in often.
_TEST_LIMIT = 100_000
_ATTEMPTS = validate.Range(1, 1_000_000)
_UP_TO_AN_HOUR = validate.Range(0, 3600)
_MILLISECONDS = validate.Range(0, 3_600_000)

# A week: customers of a test system can choose to pay by hand.
_TEST_MANUAL_PAYMENT_MINUTES = 7 * 24 * 60

# RFC 8314, section 3.3; RFC 6409, section 3.1; RFC 5321.
_SMTP_PORTS = {"tls": 465, "starttls": 587, "none": 25}

# The prefixes of Stripe's keys for real money.
_LIVE_KEYS = ("sk_live_", "rk_live_")
# One is useless without the other.
_STRIPE_SECRETS = ("ORDERLY_STRIPE_SECRET_KEY", "ORDERLY_STRIPE_WEBHOOK_SECRET")


# Kubernetes sets these variables in every pod if a service is named "orderly".
_KUBERNETES = re.compile(r"ORDERLY_(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP)).*", re.ASCII)


class SettingsError(Exception):
    """Settings are invalid. `errors` are pairs of a setting's name and a message.

    No message repeats a value: it might be a secret.
    """

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{name}: {message}" for name, message in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process. A field `name` is the environment variable `ORDERLY_NAME`."""

    # None: the embedded PostgreSQL in `data_dir`.
    database_url: str | None = field(repr=False)
    # The role that owns the tables. None: the role of `database_url`.
    database_owner_url: str | None = field(repr=False)
    data_dir: Path
    # As root: the account that runs the embedded PostgreSQL. None: see orderly/embedded/run_as.py.
    database_system_user: str | None
    host: str
    port: int
    workers: int
    threads: int
    # How long a request may wait for one of these while the server is overloaded.
    queue_target_ms: int
    # How old a response about the catalogue may be, for requests without credentials. 0: no cache.
    catalogue_cache_seconds: int
    # After SIGTERM, how long readiness is 503 before new connections are refused.
    drain_seconds: int
    # How long the start waits for a database that cannot be reached.
    database_wait_seconds: int
    # The limits that PostgreSQL enforces. 0: those of the role or of the server apply.
    statement_timeout_ms: int
    lock_timeout_ms: int
    # How long a transaction may wait for this process, so that a frozen one releases its locks.
    idle_in_transaction_timeout_ms: int
    # After how much silence a connection to a lost machine ends, on both sides.
    database_keepalive_seconds: int
    # Per server process.
    max_connections: int
    # Of one client, in the window that orderly/http/request_limit.py defines. 0: no limit.
    request_limit: int
    request_head_seconds: int
    # How long a client may take to send a body (plus one second for each 4 KiB), and to read a part
    # of a response.
    transfer_seconds: int
    # How handlers wait for PostgreSQL: in greenlets on the event loop, or in threads.
    handlers: str
    trusted_proxies: str
    # Empty: any host.
    allowed_hosts: str
    currency: str
    cookie_secure: bool
    # None: generated when it is first needed, and stored in `data_dir`.
    signing_key: str | None = field(repr=False)
    other_signing_keys: str | None = field(repr=False)
    cors_origins: str
    access_token_minutes: int
    refresh_token_days: int
    # 0: unpaid orders never expire.
    order_expiry_minutes: int
    # The same for an order that will be paid by hand; 0: customers cannot choose that.
    manual_payment_expiry_minutes: int
    # Both or none: with them, customers can pay by Stripe.
    stripe_secret_key: str | None = field(repr=False)
    stripe_webhook_secret: str | None = field(repr=False)
    # None: Stripe's own. Another one is for tests.
    stripe_url: str | None
    # Whether customers can pay by the sandbox, without money.
    sandbox_payments: bool
    # Signs the sandbox's notifications. None: generated, and stored in `data_dir`.
    sandbox_secret: str | None = field(repr=False)
    # The mail server. None: mails are kept in the sandbox, or the shop sends none.
    smtp_host: str | None
    smtp_port: int
    smtp_security: str
    smtp_username: str | None
    smtp_password: str | None = field(repr=False)
    # The authorities that verify the server's certificate. None: those of the system.
    smtp_ca_file: Path | None
    # The header `From`, such as `The Shop <shop@example.com>`.
    mail_from: str | None
    # Where links in mails lead to.
    shop_url: str | None
    # Templates that replace the usual ones.
    mail_templates: Path | None
    order_mails: str
    # Whether mails are kept where everyone can read them, instead of sent.
    sandbox_mail: bool
    # Whether only users with a verified address can place orders.
    verified_email_required: bool
    # Whether `serve` runs the background worker too.
    worker: bool
    # After how many seconds without any worker `serve` is not ready. 0: it needs none.
    worker_silence_seconds: int
    # Where the worker of `serve` writes daily backups. None: it writes none.
    backup_dir: Path | None
    backups_kept: int
    session_days: int
    sign_in_limit: int
    registration_limit: int
    refresh_limit: int
    password_change_limit: int
    account_mail_limit: int
    payment_limit: int
    password_hash: str
    validate_responses: bool
    # Whether `orderly verify` may create and change data: see docs/how-to/contract-testing.md.
    test_system: bool
    # Whether the example storefront is served too.
    storefront: bool
    # Whether the storefront shows the public password of the demo's customer.
    demo: bool
    # Whether the administration page is served too.
    admin_page: bool
    log_level: str
    log_format: str
    # None: standard error.
    log_file: Path | None
    # The share of successful requests that are logged, from 0 to 1.
    log_sample_rate: float
    # 0: no request, or no statement, is logged as slow.
    slow_request_ms: int
    slow_statement_ms: int
    # None: no metrics.
    metrics_port: int | None
    metrics_host: str
    # Where the processes of a server report metrics: `serve` creates it. None: they do not.
    metrics_dir: Path | None
    # Whether requests are traced with OpenTelemetry.
    traces: bool
    # Of the embedded PostgreSQL, whose log then contains values. None: not logged.
    postgresql_log_statements_ms: int | None
    postgresql_log_plans_ms: int | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Return the settings in environment variables, by default those of this process.

        An empty variable counts as not set.

        Raises:
            SettingsError: variables are invalid or unknown; reports all of them.
        """
        reader = _Reader(os.environ if environ is None else environ)
        settings = cls(**_read(reader))
        errors = reader.errors()
        errors += settings._mail_errors()
        if (settings.stripe_secret_key or "").startswith(_LIVE_KEYS):
            errors += [
                (f"{PREFIX}{name}", "Must be false with a live secret key of Stripe.")
                for name in ("SANDBOX_PAYMENTS", "TEST_SYSTEM")
                if getattr(settings, name.lower())
            ]
        if errors:
            raise SettingsError(errors)
        return settings

    def _mail_errors(self) -> list[tuple[str, str]]:
        """Return (name, message) of the mail settings that do not fit together."""
        if self.smtp_host is None:
            if self.verified_email_required and not self.sandbox_mail:
                return [("ORDERLY_VERIFIED_EMAIL_REQUIRED", "Needs ORDERLY_SMTP_HOST.")]
            return []
        errors = [
            (name, "Must be set together with ORDERLY_SMTP_HOST.")
            for name, value in (
                ("ORDERLY_MAIL_FROM", self.mail_from),
                ("ORDERLY_SHOP_URL", self.shop_url),
            )
            if value is None
        ]
        if self.sandbox_mail:
            errors.append(("ORDERLY_SANDBOX_MAIL", "Must be false with ORDERLY_SMTP_HOST."))
        if self.smtp_username is not None and self.smtp_security == "none":
            # Everybody on the way could read the password.
            errors.append(("ORDERLY_SMTP_SECURITY", "Must not be none with ORDERLY_SMTP_USERNAME."))
        return errors

    def as_environment(self) -> dict[str, str]:
        """Return these settings as environment variables.

        To pass them to another process, use `environment_of_child`.
        """
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            PREFIX + name.upper(): str(value) for name, value in values.items() if value is not None
        }

    def environment_of_child(self) -> dict[str, str]:
        """Return the environment for a child process: that of this process, with these settings.

        It has no other variables of Orderly: a secret that `replace` has removed from the settings
        must not reach the child, and `..._FILE` cannot be set together with the value.
        """
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return {**others, **self.as_environment()}

    def configuration(self) -> Configuration:
        """Return the settings that services and handlers use. Generates a signing key if needed.

        Raises:
            SettingsError: the signing key cannot be read or stored.
        """
        time_cost, memory_kib, parallelism = PASSWORD_HASHES[self.password_hash]
        signing_key, other_signing_keys = self.signing_keys()
        return Configuration(
            signing_key=signing_key,
            other_signing_keys=other_signing_keys,
            cookie_secure=self.cookie_secure,
            allowed_origins=self.allowed_origins,
            currency=self.currency,
            access_token_seconds=self.access_token_minutes * 60,
            refresh_token_seconds=self.refresh_token_days * 24 * 3600,
            order_expiry_minutes=self.order_expiry_minutes,
            manual_payment_expiry_minutes=self.manual_payment_expiry_minutes,
            worker_silence_seconds=self.worker_silence_seconds,
            # A provider that does not answer must not occupy all threads.
            payment_calls_at_once=max(1, self.threads // 4),
            session_seconds=self.session_days * 24 * 3600,
            argon2_time_cost=time_cost,
            argon2_memory_kib=memory_kib,
            argon2_parallelism=parallelism,
            password_hashes_at_once=self._password_hashes_at_once(),
            password_hashes_waiting=self._password_hashes_waiting(),
            sign_in_limit=self.sign_in_limit,
            registration_limit=self.registration_limit,
            refresh_limit=self.refresh_limit,
            password_change_limit=self.password_change_limit,
            account_mail_limit=self.account_mail_limit,
            payment_limit=self.payment_limit,
            mail_kinds=self._mail_kinds(),
            verified_email_required=self.verified_email_required,
        )

    def signing_keys(self) -> tuple[bytes, tuple[bytes, ...]]:
        """Return the key that signs now, and the other keys that are accepted.

        Raises:
            SettingsError: no key is set, and none can be read or stored.
        """
        others = tuple(key.encode() for key in (self.other_signing_keys or "").split())
        if self.signing_key is not None:
            return self.signing_key.encode(), others
        try:
            ring = signing_keys.load_or_create(self.data_dir)
        except signing_keys.SigningKeyError as error:
            raise SettingsError([("ORDERLY_DATA_DIR", str(error))]) from error
        now = datetime.now(UTC)
        return ring.signing(now), (*ring.others(now), *others)

    @property
    def time_limits(self) -> TimeLimits:
        """The time limits of connections to PostgreSQL, as arguments of `binding.bind`."""
        return {
            "statement_timeout": self.statement_timeout_ms / 1000,
            "lock_timeout": self.lock_timeout_ms / 1000,
            "idle_in_transaction_timeout": self.idle_in_transaction_timeout_ms / 1000,
            "keepalive": self.database_keepalive_seconds,
        }

    @property
    def slow_request_seconds(self) -> float:
        """How long a request takes that is logged as slow."""
        return self.slow_request_ms / 1000 or math.inf

    @property
    def slow_statement_seconds(self) -> float:
        """How long a statement takes that is logged as slow."""
        return self.slow_statement_ms / 1000 or math.inf

    @property
    def allowed_origins(self) -> re.Pattern[str] | None:
        """Matches the origins of other websites whose pages may call the API with cookies."""
        return settings_values.origin_pattern(self.cors_origins)

    @property
    def allowed_host_names(self) -> tuple[str, ...]:
        """The names of this server in the `Host` header of requests; empty if any is allowed."""
        return tuple(settings_values.items(self.allowed_hosts))

    def _mail_kinds(self) -> frozenset[str]:
        if self.smtp_host is None and not self.sandbox_mail:
            return frozenset()
        wanted = set(settings_values.order_mails(self.order_mails))
        return frozenset(
            kind for kind in mail.KINDS if kind not in mail.ORDER_KINDS or kind in wanted
        )

    def _password_hashes_at_once(self) -> int:
        # One for each core except one, divided among the workers, but at most a quarter of a
        # worker's threads: sign-ins must not block all other requests.
        return max(1, min(((os.cpu_count() or 1) - 1) // self.workers, self.threads // 4))

    def _password_hashes_waiting(self) -> int:
        # Running and waiting hashes together use at most three quarters of the threads.
        return max(1, self.threads * 3 // 4 - self._password_hashes_at_once())


# The settings that can also be read from files: those that `repr` leaves out.
SECRETS = tuple(PREFIX + one.name.upper() for one in fields(Settings) if not one.repr)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to a server that listens on this address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Reader(Env):
    """Reads variables from a mapping or from files, and records which names were read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(eager=False, prefix=PREFIX)
        from_files, self._file_errors = read_secret_files(environ, SECRETS)
        self._given = {name: value for name, value in environ.items() if value.strip()}
        self._given |= from_files
        self._read_names = {ADMIN_PASSWORD_VARIABLE, ADMIN_PASSWORD_VARIABLE + SUFFIX}
        self._read_names |= {name + SUFFIX for name in SECRETS}

    def _get_value(self, env_key: str, default: Any) -> Any:
        self._read_names.add(env_key)
        return self._given.get(env_key, default)

    def errors(self) -> list[tuple[str, str]]:
        """Return (name, message) of each invalid, missing or unknown variable, in this order."""
        found = []
        try:
            self.seal()
        except EnvValidationError as error:
            messages: Mapping[str, Any] = error.error_messages  # type: ignore[assignment]
            found = [(name, " ".join(map(str, texts))) for name, texts in sorted(messages.items())]
        found += self._file_errors
        invalid_files = {name.removesuffix(SUFFIX) for name, _ in self._file_errors}
        for name, other in (_STRIPE_SECRETS, _STRIPE_SECRETS[::-1]):
            if name in self._given and other not in self._given.keys() | invalid_files:
                found.append((other, f"Must be set together with {name}."))
        for name in sorted(self._given.keys() - self._read_names):
            if name.startswith(PREFIX) and not _KUBERNETES.fullmatch(name):
                found.append((name, f"There is no such setting{self._hint(name)}"))
        return found

    def _hint(self, name: str) -> str:
        known = [read.removeprefix(PREFIX) for read in sorted(self._read_names)]
        similar = get_close_matches(name.removeprefix(PREFIX), known, n=1)
        return f"; did you mean {PREFIX}{similar[0]}?" if similar else "."


def _read(env: _Reader) -> dict[str, Any]:
    database, server = _read_database(env), _read_server(env)
    is_embedded = database["database_url"] is None
    is_test = server["test_system"]
    return {
        **database,
        **server,
        **_read_accounts(env, is_embedded=is_embedded, is_test=is_test),
        **_read_orders(env, is_local=is_embedded and is_loopback(server["host"]), is_test=is_test),
        **_read_mail(env, is_local=is_embedded and is_loopback(server["host"])),
        **_read_observability(env),
    }


def _read_database(env: _Reader) -> dict[str, Any]:
    return {
        "database_url": env.str("DATABASE_URL", None, validate=settings_values.postgresql_url),
        "database_owner_url": env.str(
            "DATABASE_OWNER_URL", None, validate=settings_values.postgresql_url
        ),
        "database_system_user": env.str("DATABASE_SYSTEM_USER", None),
        "database_wait_seconds": env.int("DATABASE_WAIT_SECONDS", 60, validate=_UP_TO_AN_HOUR),
        "statement_timeout_ms": env.int("STATEMENT_TIMEOUT_MS", 10_000, validate=_MILLISECONDS),
        "lock_timeout_ms": env.int("LOCK_TIMEOUT_MS", 3_000, validate=_MILLISECONDS),
        "idle_in_transaction_timeout_ms": env.int(
            "IDLE_IN_TRANSACTION_TIMEOUT_MS", 5_000, validate=_MILLISECONDS
        ),
        "database_keepalive_seconds": env.int(
            "DATABASE_KEEPALIVE_SECONDS", 60, validate=validate.Range(6, 7200)
        ),
        "postgresql_log_statements_ms": env.int(
            "POSTGRESQL_LOG_STATEMENTS_MS", None, validate=_MILLISECONDS
        ),
        "postgresql_log_plans_ms": env.int("POSTGRESQL_LOG_PLANS_MS", None, validate=_MILLISECONDS),
    }


def _read_server(env: _Reader) -> dict[str, Any]:
    worker = env.bool("WORKER", True)
    return {
        "data_dir": settings_values.data_directory(env.str("DATA_DIR", None)),
        "host": env.str("HOST", "127.0.0.1"),
        "port": env.int("PORT", 8000, validate=validate.Range(0, 65535)),
        "workers": env.int("WORKERS", 1, validate=validate.Range(1, 256)),
        "threads": env.int("THREADS", 16, validate=validate.Range(1, 256)),
        "handlers": env.str("HANDLERS", "greenlets", validate=validate.OneOf(HANDLERS)),
        "queue_target_ms": env.int("QUEUE_TARGET_MS", 200, validate=validate.Range(10, 10_000)),
        "catalogue_cache_seconds": env.int("CATALOGUE_CACHE_SECONDS", 1, validate=_UP_TO_AN_HOUR),
        "drain_seconds": env.int("DRAIN_SECONDS", 0, validate=_UP_TO_AN_HOUR),
        "max_connections": env.int("MAX_CONNECTIONS", 1000, validate=validate.Range(1, 1_000_000)),
        "request_limit": env.int("REQUEST_LIMIT", 3000, validate=validate.Range(0, 10_000_000)),
        "request_head_seconds": env.int(
            "REQUEST_HEAD_SECONDS", 15, validate=validate.Range(1, 3600)
        ),
        "transfer_seconds": env.int("TRANSFER_SECONDS", 30, validate=validate.Range(1, 3600)),
        "trusted_proxies": env.str("TRUSTED_PROXIES", "", validate=settings_values.networks),
        "allowed_hosts": env.str("ALLOWED_HOSTS", "", validate=settings_values.hosts),
        "cors_origins": env.str("CORS_ORIGINS", "", validate=settings_values.origins),
        "validate_responses": env.bool("VALIDATE_RESPONSES", False),
        "test_system": env.bool("TEST_SYSTEM", False),
        "storefront": env.bool("STOREFRONT", False),
        "demo": env.bool("DEMO", False),
        "admin_page": env.bool("ADMIN_PAGE", False),
        "worker": worker,
        "worker_silence_seconds": env.int(
            "WORKER_SILENCE_SECONDS", 120 if worker else 0, validate=settings_values.silence
        ),
        "backup_dir": settings_values.absolute_path(env.str("BACKUP_DIR", None)),
        "backups_kept": env.int("BACKUPS_KEPT", 7, validate=validate.Range(1, 10_000)),
    }


def _read_accounts(env: _Reader, *, is_embedded: bool, is_test: bool) -> dict[str, Any]:
    return {
        # Browsers do not send Secure cookies over plain HTTP, which a first run uses.
        "cookie_secure": env.bool("COOKIE_SECURE", not is_embedded),
        "signing_key": env.str("SIGNING_KEY", None, validate=settings_values.long_enough),
        "other_signing_keys": env.str(
            "OTHER_SIGNING_KEYS", None, validate=settings_values.each_long_enough
        ),
        "access_token_minutes": env.int(
            "ACCESS_TOKEN_MINUTES", 10, validate=validate.Range(1, 24 * 60)
        ),
        "refresh_token_days": env.int("REFRESH_TOKEN_DAYS", 30, validate=validate.Range(1, 400)),
        "session_days": env.int("SESSION_DAYS", 180, validate=validate.Range(1, 3650)),
        "password_hash": env.str(
            "PASSWORD_HASH", "standard", validate=validate.OneOf(tuple(PASSWORD_HASHES))
        ),
        **{
            f"{name}_limit": env.int(
                f"{name.upper()}_LIMIT", _TEST_LIMIT if is_test else default, validate=_ATTEMPTS
            )
            for name, default in _LIMITS.items()
        },
    }


def _read_orders(env: _Reader, *, is_local: bool, is_test: bool) -> dict[str, Any]:
    stripe_key = env.str("STRIPE_SECRET_KEY", None, validate=settings_values.can_use_stripe)
    return {
        "currency": env.str("CURRENCY", "EUR", validate=settings_values.currency),
        "order_expiry_minutes": env.int(
            "ORDER_EXPIRY_MINUTES", 60, validate=validate.Range(0, 366 * 24 * 60)
        ),
        "manual_payment_expiry_minutes": env.int(
            "MANUAL_PAYMENT_EXPIRY_MINUTES",
            _TEST_MANUAL_PAYMENT_MINUTES if is_test else 0,
            validate=validate.Range(0, 366 * 24 * 60),
        ),
        "stripe_secret_key": stripe_key,
        "stripe_webhook_secret": env.str("STRIPE_WEBHOOK_SECRET", None),
        "stripe_url": env.str("STRIPE_URL", None),
        # Not by default where other people can order: they would get goods without paying.
        "sandbox_payments": env.bool("SANDBOX_PAYMENTS", is_local and stripe_key is None),
        "sandbox_secret": env.str("SANDBOX_SECRET", None, validate=settings_values.long_enough),
    }


def _read_mail(env: _Reader, *, is_local: bool) -> dict[str, Any]:
    host = env.str("SMTP_HOST", None)
    security = env.str("SMTP_SECURITY", "starttls", validate=validate.OneOf(tuple(_SMTP_PORTS)))
    return {
        "smtp_host": host,
        "smtp_port": env.int(
            "SMTP_PORT", _SMTP_PORTS.get(security, 587), validate=validate.Range(1, 65535)
        ),
        "smtp_security": security,
        "smtp_username": env.str("SMTP_USERNAME", None),
        "smtp_password": env.str("SMTP_PASSWORD", None),
        "smtp_ca_file": settings_values.absolute_path(env.str("SMTP_CA_FILE", None)),
        "mail_from": env.str("MAIL_FROM", None, validate=settings_values.mail_address),
        "shop_url": env.str("SHOP_URL", None, validate=settings_values.web_address),
        "mail_templates": settings_values.absolute_path(env.str("MAIL_TEMPLATES", None)),
        "order_mails": env.str(
            "ORDER_MAILS",
            ",".join(settings_values.ORDER_MAILS),
            validate=settings_values.order_mails,
        ),
        # Not by default where other people can read them: a mail may contain a secret link.
        "verified_email_required": env.bool("VERIFIED_EMAIL_REQUIRED", False),
        "sandbox_mail": env.bool("SANDBOX_MAIL", is_local and host is None),
    }


def _read_observability(env: _Reader) -> dict[str, Any]:
    return {
        "log_level": env.str("LOG_LEVEL", "info", validate=validate.OneOf(LOG_LEVELS)),
        "log_format": env.str("LOG_FORMAT", "auto", validate=validate.OneOf(LOG_FORMATS)),
        "log_file": settings_values.absolute_path(env.str("LOG_FILE", None)),
        "log_sample_rate": env.float("LOG_SAMPLE_RATE", 1.0, validate=validate.Range(0, 1)),
        "slow_request_ms": env.int("SLOW_REQUEST_MS", 1000, validate=_MILLISECONDS),
        "slow_statement_ms": env.int("SLOW_STATEMENT_MS", 500, validate=_MILLISECONDS),
        "metrics_port": env.int("METRICS_PORT", None, validate=validate.Range(0, 65535)),
        "metrics_host": env.str("METRICS_HOST", "127.0.0.1"),
        "metrics_dir": settings_values.absolute_path(env.str("METRICS_DIR", None)),
        "traces": env.bool("TRACES", False, validate=settings_values.can_trace),
    }
