"""Checks and conversions of the values of settings.

A check raises `ValidationError`, whose message never repeats the value: it might be a secret.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path

import platformdirs
from environs import ValidationError

from domain import mail, money
from orderly import signing_keys

# An origin as browsers send it (RFC 6454, section 6.1): no path, not even a slash.
# `:*` at the end stands for any port.
_ORIGIN = re.compile(r"https?://([a-z0-9.\-]+|\[[0-9a-f:.]+\])(:([0-9]+|\*))?", re.ASCII)

# A name or an IPv4 address, or an IPv6 address in brackets, as in the header `Host`.
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.ASCII | re.IGNORECASE)

# It is inserted into mails between < and >.
_WEB_ADDRESS = re.compile(r'https?://[^\s<>"\\`#]+', re.ASCII | re.IGNORECASE)

# The mails about orders, by the names that a setting uses for them.
ORDER_MAILS = {kind.removeprefix("ORDER_").lower(): kind for kind in mail.ORDER_KINDS}

_INTEGER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


# A worker that has nothing to do pauses for up to 6 seconds.
_SILENCE_SECONDS = range(10, 3601)


def items(text: str) -> list[str]:
    """Return the items of a list that is separated by commas."""
    return [item for item in map(str.strip, text.split(",")) if item]


def absolute_path(path: str | None) -> Path | None:
    """Return a path of a file or directory, absolute."""
    return None if path is None else Path(path).expanduser().absolute()


def data_directory(path: str | None) -> Path:
    """Return the data directory, by default in the user's home directory."""
    return absolute_path(path) or platformdirs.user_data_path("orderly", appauthor=False)


def can_trace(traces: bool) -> None:
    """Refuse traces if OpenTelemetry is not installed."""
    try:
        missing = traces and find_spec("opentelemetry.exporter.otlp.proto.http") is None
    except ModuleNotFoundError:  # a parent package is missing
        missing = True
    if missing:
        raise ValidationError("Needs OpenTelemetry: run `pip install 'orderly-api[otel]'`.")


def can_use_stripe(_key: str) -> None:
    """Refuse a key if Stripe's library is not installed."""
    if find_spec("stripe") is None:
        raise ValidationError("Needs Stripe's library: run `pip install 'orderly-api[stripe]'`.")


def postgresql_url(url: str) -> None:
    """Refuse a text that is not a URL of PostgreSQL."""
    from psycopg2 import ProgrammingError  # noqa: PLC0415  # slow to import, and needed only for this
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    try:
        parameters = parse_dsn(url)
    except ProgrammingError:
        # libpq's own message repeats parts of the value.
        raise ValidationError(
            "Not a PostgreSQL URL, such as postgresql://user:password@host:5432/name."
        ) from None
    if not _INTEGER.fullmatch(parameters.get("connect_timeout", "0")):
        raise ValidationError("Its connect_timeout is not a whole number of seconds.")


def networks(addresses: str) -> None:
    """Refuse a text that is not a list of addresses and networks."""
    try:
        for address in addresses.split(","):
            ip_network(address.strip())
    except ValueError:
        raise ValidationError(
            "Not a list of IP addresses or networks (10.0.0.0/8), separated by commas."
        ) from None


def hosts(hosts: str) -> None:
    """Refuse a text that is not a list of host names."""
    for host in items(hosts):
        if not _HOST.fullmatch(host):
            raise ValidationError(
                "Not a list of host names without ports (shop.example.com), separated by commas."
            )


def silence(seconds: int) -> None:
    """Refuse a time that is shorter than a pause of a worker; 0 means no limit."""
    if seconds != 0 and seconds not in _SILENCE_SECONDS:
        low, high = _SILENCE_SECONDS[0], _SILENCE_SECONDS[-1]
        raise ValidationError(f"Must be 0, or from {low} to {high} (inclusive).")


def currency(code: str) -> None:
    """Refuse an unknown currency."""
    try:
        money.exponent(code)
    except ValueError:
        raise ValidationError("Not an ISO 4217 currency code, such as EUR.") from None


def mail_address(text: str) -> None:
    """Refuse a text that is not one mail address, with or without a name."""
    name, address = parseaddr(text)
    try:
        Address(name, addr_spec=address)
    except (HeaderParseError, ValueError, IndexError):
        address = ""
    if "@" not in address or not text.isprintable():
        raise ValidationError("Not a mail address, such as The Shop <shop@example.com>.")


def web_address(text: str) -> None:
    """Refuse a text that is not the address of a page."""
    if not _WEB_ADDRESS.fullmatch(text):
        raise ValidationError("Not the address of a page, such as https://shop.example.com/.")


def order_mails(text: str) -> list[str]:
    """Return the kinds of mail that a list such as `placed,shipped` names; `none` names none."""
    names = [] if text == "none" else items(text)
    if set(names) - set(ORDER_MAILS):
        raise ValidationError(
            f"Not a list of {', '.join(ORDER_MAILS)}, separated by commas, or none."
        )
    return [ORDER_MAILS[name] for name in names]


def long_enough(key: str) -> None:
    """Refuse a signing key that is too short."""
    if len(key.encode()) < signing_keys.MINIMUM_BYTES:
        raise ValidationError(f"Shorter than {signing_keys.MINIMUM_BYTES} bytes.")


def each_long_enough(keys: str) -> None:
    """Refuse signing keys, separated by white space, of which one is too short."""
    for key in keys.split():
        long_enough(key)


def origins(origins: str) -> None:
    """Refuse a text that is not a list of origins."""
    for origin in items(origins):
        if not _ORIGIN.fullmatch(origin):
            raise ValidationError(
                "Not a list of origins (https://shop.example.com), separated by commas. "
                "`:*` stands for any port."
            )


def origin_pattern(origins: str) -> re.Pattern[str] | None:
    """Return a pattern that matches these origins; None if there are none."""
    patterns = [re.escape(one).replace(r":\*", ":[0-9]{1,5}") for one in items(origins)]
    return re.compile("|".join(patterns)) if patterns else None
