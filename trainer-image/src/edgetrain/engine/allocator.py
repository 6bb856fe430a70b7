"""Memory that one step frees is kept for the next.

The C library gives what is freed at the end of its heap back to the system at once, and has to take it
again a moment later, a page fault for each 4 KiB: gradients that are freed and made anew, and an optimiser's
intermediate results. With 25 M parameters that was up to 57,000 faults a step, a quarter of its time. A step
needs the memory again in any case, so that nobody else could have used it for long.
"""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""As in malloc.h."""
NEVER = -1
LARGEST_BYTES = 32 << 20
"""What is larger comes from the system each time: the C library takes no higher bound."""
OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """From now on in this process; unless somebody has set the C library's bounds, or it is one without."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name in os.environ for name in OWN_SETTINGS):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
    mallopt(M_TRIM_THRESHOLD, NEVER)
