"""A PostgreSQL server that needs no setup: for a first run, a shop on one machine, and tests.

The server is a child process, and stops when Orderly stops, even after kill -9.
"""

from orderly.embedded.errors import (
    DataDirectoryInUseError,
    EmbeddedDatabaseError,
    StartFailedError,
    UnsupportedSystemError,
    UnusableDirectoryError,
)
from orderly.embedded.server import EmbeddedPostgreSQL, running_runtime_url, running_url

__all__ = [
    "DataDirectoryInUseError",
    "EmbeddedDatabaseError",
    "EmbeddedPostgreSQL",
    "StartFailedError",
    "UnsupportedSystemError",
    "UnusableDirectoryError",
    "running_runtime_url",
    "running_url",
]
