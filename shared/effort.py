"""What an image file may cost beside its pixels: a small file can keep a reader busy for minutes.

Two ways were found to do that within the bounds on bytes and pixels: pieces without content, which
Pillow reads one by one in Python (6 s for 16 MiB of them), and scans without content, each of which
goes over all pixels of a JPEG (0.03 s for 450 bytes, at 50 megapixels).
"""

from __future__ import annotations

import io
import re

# A PNG of 16 MiB in pieces of 4 KB takes 16,000 reads; this many take 0.2 s.
_MOST_READS = 65_536

# A JPEG's next marker: not a stuffed byte, nor a restart between pieces of a scan.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, 0xD8}


class EffortError(Exception):
    """The file is made of so many pieces that reading it would take too long."""


class BoundedFile(io.BytesIO):
    """The bytes of an image as a file that can be read only so many times."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes. Raises `EffortError`."""
        self._reads += 1
        if self._reads > _MOST_READS:
            raise EffortError(f"the file was read {_MOST_READS} times")
        return super().read(size)


def count_scans(jpeg: bytes | memoryview) -> int:
    """Return how many times a decoder goes over the pixels of a JPEG: once for each scan."""
    at, scans = 2, 0
    while found := _MARKER.search(jpeg, at):
        at, marker = found.end(), jpeg[found.end() - 1]
        if marker == _END_OF_IMAGE:
            break
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(jpeg[at : at + 2], "big")
        scans += marker == _START_OF_SCAN
    return scans
