"""Chooses the user that PostgreSQL runs as, since PostgreSQL refuses to run as root.

As an ordinary user, PostgreSQL runs as that user. As root, there are two ways:

- In a user namespace, root appears as user `nobody` to PostgreSQL. This needs no change of file
  owners, but ordinary containers forbid user namespaces.
- As an existing system account: `nobody`, unless a setting names another one. This account owns the
  database cluster and the socket. It may lack permission for their parent directories: PostgreSQL
  inherits open descriptors of both, and opens them as `/proc/self/fd/N`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orderly.embedded.errors import UnsupportedSystemError

DEFAULT_ACCOUNT = "nobody"
_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that PostgreSQL's programs run as."""

    uid: int
    gid: int
    # The account's name, if it is not the user that Orderly runs as.
    account: str | None = None
    # The beginning of each command, such as `unshare` with its options.
    prefix: tuple[str, ...] = ()

    def take_ownership(self, path: Path) -> None:
        """Make this user the owner of a file or a directory with all its contents.

        The owner differs at the first start, or if the previous start used another account.

        Raises:
            UnsupportedSystemError: this process is root, but may not change the owner.
        """
        if os.geteuid() != 0 or path.stat().st_uid == self.uid:
            return
        try:
            if path.is_dir():
                for _, directories, files, parent in os.fwalk(path.resolve(), topdown=False):
                    for name in (*directories, *files):
                        os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)
            os.chown(path, self.uid, self.gid)  # last, so that an interrupted change is repeated
        except OSError as error:
            raise UnsupportedSystemError(
                f"PostgreSQL refuses to run as root, and root cannot make user {self.uid} the "
                f"owner of {path}: {error.strerror}. Run orderly as another user, or set "
                "ORDERLY_DATABASE_URL."
            ) from error

    @contextmanager
    def inherited_paths(self) -> Iterator[InheritedPaths]:
        """Yield the paths to pass to a program, which must be started within the block."""
        paths = InheritedPaths(by_descriptor=self.account is not None)
        try:
            yield paths
        finally:
            for descriptor in paths.descriptors:
                os.close(descriptor)


@dataclass(slots=True)
class InheritedPaths:
    """Translates paths for a program whose user lacks permission for the parent directories."""

    by_descriptor: bool
    # Must be inherited by the program.
    descriptors: list[int] = field(default_factory=list)

    def of(self, path: Path) -> str:
        """Return the path with which the program can open a file or directory."""
        if not self.by_descriptor:
            return str(path)
        descriptor = os.open(path, os.O_RDONLY)
        self.descriptors.append(descriptor)
        return str(_DESCRIPTORS / str(descriptor))


def choose_user(account: str | None) -> RunAs:
    """Return the user for PostgreSQL's programs; as root, the account if one is named.

    Raises:
        UnsupportedSystemError: this process is root, and there is no way to run PostgreSQL.
    """
    if os.geteuid() != 0:
        return RunAs(os.geteuid(), os.getegid())
    system_account = _system_account(account or DEFAULT_ACCOUNT)
    # The user must have an account: initdb looks up its name.
    prefix = ("unshare", "--user", f"--map-user={system_account.uid}")
    if account is None and _works(prefix):
        return RunAs(0, 0, prefix=prefix)
    return system_account


def _works(prefix: tuple[str, ...]) -> bool:
    try:
        subprocess.run([*prefix, "true"], capture_output=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _system_account(name: str) -> RunAs:
    import pwd  # noqa: PLC0415  # missing on Windows

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise UnsupportedSystemError(
            f"PostgreSQL refuses to run as root, and there is no account {name!r} to run it as. "
            "Name an existing account in ORDERLY_DATABASE_SYSTEM_USER, run orderly as another "
            "user, or set ORDERLY_DATABASE_URL."
        ) from None
    if entry.pw_uid == 0 or not _DESCRIPTORS.is_dir():
        reason = "the account is root" if entry.pw_uid == 0 else "/proc is not available"
        raise UnsupportedSystemError(
            f"PostgreSQL refuses to run as root, and cannot run as {name!r} here: {reason}. "
            "Run orderly as another user, or set ORDERLY_DATABASE_URL."
        )
    return RunAs(entry.pw_uid, entry.pw_gid, account=name)
