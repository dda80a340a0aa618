"""A process that must not outlive its parent: killing a pipeline kills what it started, however it is killed."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def tie_to_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere nothing happens. It survives exec."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        sys.exit(1)


if __name__ == "__main__":  # python -m xraydenoise.leash COMMAND ...: the command, on a leash
    tie_to_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
