"""Executes a PostgreSQL program so that it stops when its parent process dies.

A script that `orderly.embedded.programs` runs in a child process; it is never imported. It sets the
parent-death signal (`PR_SET_PDEATHSIG`, Linux only), then replaces itself with the program (exec).
It is not a `preexec_fn`, because Python code between fork and exec is unsafe in a process with
threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run `launcher.py PARENT_PID STOP_SIGNAL USER PROGRAM ARGUMENT...`.

    USER is `UID:GID` to change to, or `-` to keep the user of this process.
    """
    parent, stop_signal, user = int(sys.argv[1]), signal.Signals[sys.argv[2]], sys.argv[3]
    program = sys.argv[4:]
    if user != "-":
        _change_user(user)
    if sys.platform == "linux":
        # After the change of user, which would clear the signal.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, stop_signal)
    if os.getppid() != parent:  # the parent died before the call of prctl
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606  # a program of PostgreSQL


def _change_user(user: str) -> None:
    uid, _, gid = user.partition(":")
    try:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    except OSError as error:
        sys.exit(
            f"PostgreSQL refuses to run as root, and root cannot change to user {uid}: "
            f"{error.strerror}. Run orderly as another user, or set ORDERLY_DATABASE_URL."
        )


if __name__ == "__main__":
    main()
