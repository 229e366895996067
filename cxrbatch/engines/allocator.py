"""Keeping freed memory for the next picture."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20
_LARGEST_IN_HEAP_BYTES = 32 << 20


def retain_freed_memory() -> None:
    """Tell the C library's allocator not to give memory back after each picture (mallopt(3), glibc only).

    By default large arrays are mapped anew each time, and filled with zeros page by page by the kernel, which took a
    third of the time of reading an uncompressed radiograph. What is kept is bounded: larger arrays go back.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library: slower, not wrong
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
