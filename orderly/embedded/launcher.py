"""Becomes a program of PostgreSQL, having asked the kernel to stop it when its parent dies.

Run as a program by `orderly.embedded`, never imported. It asks after every change of user, since
such a change makes the kernel forget; and it is a program of its own, not a `preexec_fn`, since
nothing of Python's is safe to run between fork and exec of a process that has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process: `launcher.py PARENT_PID SIGNAL PROGRAM ARGUMENT...`."""
    parent, farewell, program = int(sys.argv[1]), signal.Signals[sys.argv[2]], sys.argv[3:]
    if sys.platform == "linux":  # elsewhere PostgreSQL outlives a parent that is killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, farewell)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606  # PostgreSQL from this environment


if __name__ == "__main__":
    main()
