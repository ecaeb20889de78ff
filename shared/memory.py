"""What a process keeps in memory, and what it gives back."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 64 << 20  # bytes for each of a process's heaps: a photo of 12 megapixels takes 48 MB
_MAPPED = 32 << 20  # bytes; glibc's largest. Pillow asks for blocks of 16 MiB
_DONTNEED = 4  # Linux' madvise(2)
# One of proc_pid_smaps(5): addresses, rights, offset, device, file; then lines of `Name: n kB`.
_MAPPING = re.compile(
    rb"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r-.p \S+ \S+ [1-9]\d* +/.*\n"
    rb"(?:[A-Z].*\n)*?Anonymous: +(?P<own>\d+) kB\n"
    rb"(?:[A-Z].*\n)*?Swap: +(?P<swapped>\d+) kB\n",
    re.MULTILINE,
)


def keep_freed_memory() -> None:
    """Let this process keep the memory of one photo for the next.

    Else most of it goes back to the system, which then clears every page that the next photo
    takes: a third of the time of 12 megapixels. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)


def return_unused_memory() -> None:
    """Give back what only a start needed: what was freed, and the code of libraries.

    Of loading a graph and laying it out, 150 MB were freed. Of TensorFlow's code and constants, its
    import alone read 300 MB. They leave this process, but not the system's cache of files: it can
    let go of them, and what work needs comes back from there page by page. To be called while no
    other thread maps or unmaps a file. Does nothing where the C library is not glibc.
    """
    library = ctypes.CDLL(None)
    trim = getattr(library, "malloc_trim", None)
    if trim is None:
        return
    trim(0)
    try:
        mappings = Path("/proc/self/smaps").read_bytes()
    except OSError:  # not every sandbox has it
        return
    for start, end in _as_on_disk(mappings):
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)


def _as_on_disk(mappings: bytes) -> Iterator[tuple[int, int]]:
    """Yield where files are mapped of which this process has no page of its own, start and end.

    A page that differs from the file, as relocated ones do, is one of its own: in memory or
    swapped out. Mappings that can be written or are shared are left out.
    """
    for mapping in _MAPPING.finditer(mappings):
        if int(mapping["own"]) == int(mapping["swapped"]) == 0:
            yield int(mapping["start"], 16), int(mapping["end"], 16)
