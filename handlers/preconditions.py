"""Entity tags and the conditional requests made with them (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

_ENTITY_TAG = re.compile(r'(W/)?"([^"]*)"')
_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)


def entity_tag(*versions: int) -> str:
    """Return a strong entity tag; the first version is the one that changes are checked against."""
    return f'"{".".join(map(str, versions))}"'


def list_entity_tag(parts: Iterable[object]) -> str:
    """Return a strong entity tag of a page that is told apart by these parts."""
    return f'"{blake2b("|".join(map(str, parts)).encode(), digest_size=16).hexdigest()}"'


def digest(parts: Iterable[object]) -> int:
    """Return a number for an entity tag that changes when one of these parts does."""
    return int(blake2b("|".join(map(str, parts)).encode(), digest_size=6).hexdigest(), 16)


def is_unchanged(if_none_match: str | None, current: str) -> bool:
    """Tell whether a reader already has the current representation: answer 304 then."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return any(f'"{tag}"' == current for _, tag in _ENTITY_TAG.findall(if_none_match))


def expected_versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions a change is meant for; None where any will do.

    Weak tags and tags that were never ours match no version (RFC 9110, section 13.1.1).
    """
    if if_match is None or if_match.strip() == "*":
        return None
    strong = (tag.partition(".")[0] for weak, tag in _ENTITY_TAG.findall(if_match) if not weak)
    return frozenset(int(version) for version in strong if _VERSION.fullmatch(version))
