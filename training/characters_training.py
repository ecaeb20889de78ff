"""Trains the network of `characters` and `digits` on examples that went through the steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.images import Pixels
from training.characters_network import Weights, folded, trainable

_BATCH = 128
_RATE = 3e-3
_DECAY = 0.02
_SMOOTHING = 0.05  # of the labels
# How an example is moved each time it is drawn: standard deviations.
_TURN, _SLANT, _STRETCH = 0.06, 0.06, 0.05
_SHIFT = 0.7  # pixels


@dataclass(frozen=True)
class Examples:
    """What the network sees, and what it is."""

    images: Pixels  # [n, 28, 28, 1]
    labels: npt.NDArray[np.int64]  # [n]
    weights: npt.NDArray[np.float64]  # [n]: how often each is drawn, beside the others


def train(examples: Examples, labels: int, seed: int, steps: int) -> Weights:
    """Return the weights after `steps` batches of 128."""
    tf.keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    network = trainable(labels)
    rate = tf.keras.optimizers.schedules.CosineDecay(
        _RATE / 20, steps, 0.0, warmup_target=_RATE, warmup_steps=steps // 20
    )
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=_DECAY, global_clipnorm=2.0)
    optimizer.build(network.trainable_variables)

    @tf.function  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def step(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores = network(images, training=True)
            wanted = tf.one_hot(targets, labels, 1 - _SMOOTHING, _SMOOTHING / labels)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, scores))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    reach = np.cumsum(examples.weights / examples.weights.sum())
    for _ in range(steps):
        # Evenly spread over the examples: each is drawn as often as it weighs.
        places = (random.random() + np.arange(_BATCH)) / _BATCH
        drawn = np.minimum(np.searchsorted(reach, places), len(reach) - 1)
        step(_moved(examples.images[drawn], random), examples.labels[drawn])
    return folded(network)


def _moved(images: Pixels, random: np.random.Generator) -> tf.Tensor:
    """Return `images` a little turned, slanted, stretched and shifted: float32 in 0-1."""
    turn, slant = random.normal(0, _TURN, _BATCH), random.normal(0, _SLANT, _BATCH)
    across, along = np.exp(random.normal(0, _STRETCH, (2, _BATCH)))
    matrix = np.stack([across, slant - turn, turn, along], axis=1).reshape(-1, 2, 2)
    middle = np.full(2, (images.shape[1] - 1) / 2)
    shift = middle - matrix @ middle + random.normal(0, _SHIFT, (_BATCH, 2))
    rows = np.concatenate([matrix, shift[..., None]], axis=2).reshape(-1, 6)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32) / 255,
        transforms=np.pad(rows, ((0, 0), (0, 2))).astype(np.float32),
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
    )
