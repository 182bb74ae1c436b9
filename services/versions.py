"""Optimistic concurrency control: a change is made only to a version that the client has seen."""

from __future__ import annotations

from collections.abc import Collection

from domain.errors import PreconditionFailed


def require_version(version: int, expected_versions: Collection[int] | None) -> None:
    """Check the version of what will be changed; None accepts any version.

    Raises:
        PreconditionFailed: it is none of the expected versions.
    """
    if expected_versions is not None and version not in expected_versions:
        raise PreconditionFailed
