"""
What a process that runs for long is told of its memory: how often to look, what to keep.

Both are choices of a program, not of a library, so the commands make them.
"""

import ctypes
import gc
import sys

__all__ = ["settle_in"]

# Objects made and not yet freed before the collector looks. Python's 700 is reached by a few
# dozen exchanges under way, and each look costs a busy relay or agent a tenth of its speed.
COLLECT_AFTER = 20_000
# glibc takes what is over 128 KB from the kernel and gives it back, piece by piece: for the 256 KB
# that a socket yields at once, each page of each read is a fault, half the CPU time of an
# agent that serves a large file.
KEEP_BYTES_MAX = 16 * 1024 * 1024  # of freed memory, at the end of the heap
MAPPED_FROM_BYTES = 1024 * 1024
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def settle_in() -> None:
    """Call once all is imported and before the work begins."""
    gc.freeze()  # what was imported stays, and need not be looked at again
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, KEEP_BYTES_MAX)
