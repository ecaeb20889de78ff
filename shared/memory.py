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
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r-.p \S+ \S+ [1-9]\d* +/.*\n"
    r"(?:[A-Z].*\n)*?Anonymous: +(?P<anonymous>\d+) kB",
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
    """Give the system what only a start needed: what was freed, and the code of libraries.

    Of loading a graph and laying it out, 150 MB were freed. Of TensorFlow's code and constants,
    its import alone read 250 MB; what work needs of them comes back page by page, from the
    system's cache of the files. Does nothing where the C library is not glibc, or the system not
    Linux.
    """
    library = ctypes.CDLL(None)
    trim, smaps = getattr(library, "malloc_trim", None), Path("/proc/self/smaps")
    if trim is None or not smaps.exists():
        return
    trim(0)
    for start, end in _unchanged(smaps.read_text(encoding="utf-8")):
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)


def _unchanged(mappings: str) -> Iterator[tuple[int, int]]:
    """Yield first and last address of mapped files that are as on disk, to be only read or run.

    `Anonymous` would count pages that differ from the file, and which only this process has.
    """
    for mapping in _MAPPING.finditer(mappings):
        if int(mapping["anonymous"]) == 0:
            yield int(mapping["start"], 16), int(mapping["end"], 16)
