"""Connected components of a mask, with numpy alone: the web tier has no scipy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def label(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return per pixel of `mask` [h, w] the number of its part, from 1; 0 where it is not set.

    Pixels that touch, also by a corner, are one part. Works on runs of pixels in a row.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]  # one past the last pixel
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    starts_list, ends_list = starts.tolist(), ends.tolist()
    for row in range(1, height):
        upper, lower = first[row - 1], first[row]
        while upper < first[row] and lower < first[row + 1]:
            if starts_list[upper] <= ends_list[lower] and starts_list[lower] <= ends_list[upper]:
                parent[root(lower)] = root(upper)
            if ends_list[upper] < ends_list[lower]:
                upper += 1
            else:
                lower += 1
    roots = np.array([root(run) for run in range(len(rows))], np.intp)
    _, numbers = np.unique(roots, return_inverse=True)
    parts = np.zeros(mask.shape, np.intp)
    for run, number in enumerate(numbers.tolist()):
        parts[rows[run], starts[run] : ends[run]] = number + 1
    return parts
