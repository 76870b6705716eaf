"""Keeps the machine's cores awake while something is measured."""

import contextlib
import os
import subprocess
import sys


SPIN = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000): pass
"""


@contextlib.contextmanager
def awake():
    """A program on each core that runs when nobody else wants to, and gives way at once to all who do.

    A virtual core that has nothing to do is given up to the host, which takes up to some milliseconds to bring it back. Servers
    that must answer in less are run on cores that do not sleep (`idle=poll`), which a guest cannot choose for itself.
    """
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN, str(core)]) for core in sorted(os.sched_getaffinity(0))]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
        for process in spinning:
            process.wait()
