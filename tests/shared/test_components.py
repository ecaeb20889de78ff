"""Connected components, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage  # type: ignore[import-untyped]  # ships no types

from shared.components import label


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.6, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (40, 50)])
def test_the_parts_are_those_that_scipy_finds(size: tuple[int, int], share: float) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        mask = random.random(size) < share
        parts = label(mask)
        expected, count = ndimage.label(mask, np.ones((3, 3)))
        assert parts.max() == count
        pairs = set(zip(parts.ravel().tolist(), expected.ravel().tolist(), strict=True))
        assert len(pairs) == len({part for part, _ in pairs})
        assert ((parts == 0) == ~mask).all()
