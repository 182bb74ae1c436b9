"""Entity tags, and the conditional requests that use them (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

from werkzeug.http import parse_etags

_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)


def entity_tag(version: int, *other_values: int) -> str:
    """Return a strong entity tag that changes if the version or one of the other values changes.

    `If-Match` compares only the version.
    """
    return f'"{".".join(map(str, (version, *other_values)))}"'


def list_entity_tag(parts: Iterable[object]) -> str:
    """Return a strong entity tag for a page of a list: a hash of its parts."""
    return f'"{_hash(parts, digest_size=16)}"'


def digest(parts: Iterable[object]) -> int:
    """Return a hash of parts of a resource, to use it as a value in `entity_tag`."""
    return int(_hash(parts, digest_size=6), 16)


def is_unchanged(if_none_match: str | None, current: str) -> bool:
    """Return whether `If-None-Match` matches the current entity tag, so that the response is 304.

    The comparison is weak (RFC 9110, section 13.1.2).
    """
    if if_none_match is None:
        return False
    tags = parse_etags(if_none_match)
    # Search for the tag with its quotes too: Werkzeug accepts tags without quotes, which the
    # contract does not.
    return tags.star_tag or (current in if_none_match and tags.contains_weak(current[1:-1]))


def expected_versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions in the entity tags of `If-Match`, or None if it matches any version.

    The comparison is strong (RFC 9110, section 13.1.1): weak tags match no version.
    """
    if if_match is None:
        return None
    tags = parse_etags(if_match)
    if tags.star_tag:
        return None
    # Ignore tags without quotes, as above.
    versions = (tag.partition(".")[0] for tag in tags if tag and f'"{tag}"' in if_match)
    return frozenset(int(version) for version in versions if _VERSION.fullmatch(version))


def _hash(parts: Iterable[object], *, digest_size: int) -> str:
    return blake2b("|".join(map(str, parts)).encode(), digest_size=digest_size).hexdigest()
