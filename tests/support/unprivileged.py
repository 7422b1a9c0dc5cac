"""Executes a command without root's right to read and write everywhere, so that permissions mean something to it.

Anybody else never had that right, and the command is executed as it is.
"""

from __future__ import annotations

import ctypes
import os
import sys

# From linux/prctl.h and linux/capability.h.
PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2

if __name__ == "__main__":
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        # What the bounding set lacks, an executed program does not get.
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "the right cannot be given up")
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - a test's own command
