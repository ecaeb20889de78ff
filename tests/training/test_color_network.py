"""The members of the colour network are computed together as each would be alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from training.color_network import MEMBERS, Weights, initial_weights, logits, probabilities

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Return weights in which no bias is zero, so that none can be lost unseen."""
    random = np.random.default_rng(3)
    fresh = initial_weights(MEMBERS, 8, 5, seed=1)
    return {
        name: value + random.normal(0, 0.1, value.shape).astype(np.float32)
        for name, value in fresh.items()
    }


@pytest.fixture(scope="module")
def patches() -> Floats:
    """Return a patch for each of three items and each member, [members, 3, 9, 9, 3]."""
    return np.random.default_rng(2).random((MEMBERS, 3, 9, 9, 3), np.float32)


def alone(weights: Weights, member: int) -> Weights:
    return {name: value[member : member + 1] for name, value in weights.items()}


def test_each_member_scores_its_own_patches(weights: Weights, patches: Floats) -> None:
    together = logits(tf.constant(patches), weights).numpy()
    assert together.shape == (MEMBERS, 3, 5)
    for member in range(MEMBERS):
        one = logits(patches[member : member + 1], alone(weights, member)).numpy()
        np.testing.assert_allclose(together[member], one[0], atol=1e-5)


def test_the_mean_of_the_members_is_served_each_with_its_mirror_image(
    weights: Weights, patches: Floats
) -> None:
    patch = patches[0]
    mirrors = [patch, patch[:, :, ::-1], patch[:, ::-1], patch[:, ::-1, ::-1]]
    scores = [
        logits(mirror[None], alone(weights, member)).numpy()[0]
        for member, mirror in enumerate(mirrors)
    ]
    expected = tf.nn.softmax(np.mean(scores, axis=0)).numpy()
    served = probabilities(tf.constant(patch), weights).numpy()
    np.testing.assert_allclose(served, expected, atol=1e-5)
    np.testing.assert_allclose(served.sum(axis=1), 1, atol=1e-5)
    swapped = {name: value[::-1] for name, value in weights.items()}
    assert abs(probabilities(tf.constant(patch), swapped).numpy() - served).max() > 1e-3


def test_a_network_of_one_says_the_same_of_mirror_images(weights: Weights, patches: Floats) -> None:
    one, patch = alone(weights, 0), patches[0]
    said = probabilities(tf.constant(patch), one).numpy()
    for mirror in (patch[:, ::-1], patch[:, :, ::-1]):
        np.testing.assert_allclose(probabilities(tf.constant(mirror), one), said, atol=1e-5)


@pytest.mark.parametrize("members", [0, 2, 5])
def test_other_numbers_of_members_are_refused(members: int) -> None:
    with pytest.raises(ValueError, match="mirror images"):
        initial_weights(members, 8, 5, seed=1)
