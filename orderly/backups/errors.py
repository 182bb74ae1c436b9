"""Errors of backups. Each message says what is wrong and what to do."""

from __future__ import annotations


class BackupError(Exception):
    """A backup cannot be written, read or restored."""


class UpgradeError(BackupError):
    """An embedded database cannot be moved to another version of PostgreSQL."""
