"""The IDX format of MNIST and EMNIST: big-endian header, then raw bytes; often gzipped.

Images are magic 2051, count, rows, columns; labels are magic 2049, count.
"""

from __future__ import annotations

import gzip
import math

import numpy as np
import numpy.typing as npt

from shared.images import Pixels

_GZIP = b"\x1f\x8b"
_DIMENSIONS = {2049: 1, 2051: 3}


def read_idx(data: bytes) -> npt.NDArray[np.uint8]:
    """Return labels [n] or images [n, rows, columns], uint8. Raises `ValueError`."""
    if data[:2] == _GZIP:
        data = gzip.decompress(data)
    magic = int.from_bytes(data[:4], "big")
    if magic not in _DIMENSIONS:
        raise ValueError(f"magic {magic}, expected one of {sorted(_DIMENSIONS)}")
    start = 4 + 4 * _DIMENSIONS[magic]
    shape = [int.from_bytes(data[place : place + 4], "big") for place in range(4, start, 4)]
    if len(data) != start + math.prod(shape):
        raise ValueError(f"{len(data) - start} bytes for {shape}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def upright(images: Pixels) -> Pixels:
    """Return EMNIST's images [n, 28, 28], which are stored transposed, as they were written."""
    return np.ascontiguousarray(images.transpose(0, 2, 1))
