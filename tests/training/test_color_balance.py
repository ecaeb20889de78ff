"""Rare colours weigh more while a network learns; half of that is taken back afterwards."""

from __future__ import annotations

import numpy as np

from training.color_network import MEMBERS, initial_weights
from training.color_photos import Photos, balance
from training.color_training import unbalanced


def test_half_of_what_the_balance_gave_is_taken_back() -> None:
    meanings = np.eye(3, dtype=np.float32)[[0] * 16 + [1]]  # of the third label there is none
    photos = Photos(np.zeros((17, 1, 9, 9, 3), np.uint8), meanings, ("",) * 17)
    weights = balance(photos)
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)
    gave = weights[16] / weights[0]
    assert gave > 2

    fresh = initial_weights(MEMBERS, 4, 3, seed=1)
    after = unbalanced(fresh, photos)
    assert {name for name in fresh if (fresh[name] != after[name]).any()} == {"out_bias"}
    assert after["out_bias"].shape == (MEMBERS, 1, 3)
    common, rare, unseen = (after["out_bias"] - fresh["out_bias"])[:, 0].T
    np.testing.assert_allclose(common - rare, np.log(gave) / 2, rtol=1e-5)
    np.testing.assert_allclose(unseen, rare)
