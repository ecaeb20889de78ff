"""How the C library deals with memory that was freed."""

from __future__ import annotations

import ctypes

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 64 << 20  # bytes for each of a process's heaps: a photo of 12 megapixels takes 48 MB
_MAPPED = 32 << 20  # bytes; glibc's largest. Pillow asks for blocks of 16 MiB


def keep_freed_memory() -> None:
    """Let this process keep the memory of one photo for the next.

    Else most of it goes back to the system, which then clears every page that the next photo
    takes: a third of the time of 12 megapixels. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)


def return_freed_memory() -> None:
    """Give the system what was freed: of loading a graph and laying it out, 150 MB.

    Does nothing where the C library is not glibc.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
