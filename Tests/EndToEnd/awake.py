"""Keeps the machine's cores awake while something is measured."""

import contextlib
import os
import struct

LATENCY = "/dev/cpu_dma_latency"


def can_keep_awake():
    """Whether this machine has cores that sleep, and we may keep them from it."""
    return os.access(LATENCY, os.W_OK)


@contextlib.contextmanager
def awake():
    """Asks the kernel for cores that never sleep, as `tuned` does in its profile latency-performance; needs root.

    A virtual core that has nothing to do is given up to the host, which takes up to some milliseconds to bring it back.
    """
    with open(LATENCY, "wb", buffering=0) as latency:
        # In microseconds; it holds while the file is open.
        latency.write(struct.pack("i", 0))
        yield
