"""Raises the number of files that this process may open to what its connections need."""

from __future__ import annotations

from orderly.server.connection_guard import RESERVED_CONNECTIONS
from orderly.settings import Settings, SettingsError

# For libraries, logs, and pipes to other processes.
_OTHER_FILES = 128


def allow_open_files(settings: Settings) -> None:
    """Raise the soft limit if necessary; server processes inherit it.

    Raises:
        SettingsError: the hard limit of the system is too low.
    """
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # Windows has no such limit
        return
    needed = settings.max_connections + RESERVED_CONNECTIONS + settings.threads + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        message = f"Needs {needed} open files, and the system allows {hard} (`ulimit -Hn`)."
        raise SettingsError([("ORDERLY_MAX_CONNECTIONS", message)])
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
