"""The colour classifier: a gated recurrent network that reads 9x9 pixels in three ways.

It scans the patch line by line, down and to the right, with one set of weights; and a third time
with the values of each channel in order, which shows shadows and highlights wherever they lie.
What the two scans found is averaged and its maximum taken; the graph does so for the patch and
its mirror images, so that a turned or mirrored patch gets the same answer. The recurrence is
unrolled: no control flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

SIDE = 9
_CHANNELS = 6  # what a pixel is told by, see `_features`
_EMBEDDED = 16  # what the network makes of them
_TO_XYZ = np.array(
    [
        [0.4124564, 0.2126729, 0.0193339],
        [0.3575761, 0.7151522, 0.1191920],
        [0.1804375, 0.0721750, 0.9503041],
    ],
    np.float32,
) / np.array([0.95047, 1.0, 1.08883], np.float32)  # sRGB, D65

Weights = dict[str, npt.NDArray[np.float32]]
Tensor = Any  # tensorflow ships no types


def initial_weights(units: int, labels: int, seed: int) -> Weights:
    """Return fresh weights: Glorot for what reads, orthogonal for what recurs."""
    random = np.random.default_rng(seed)

    def glorot(rows: int, columns: int) -> npt.NDArray[np.float32]:
        bound = np.sqrt(6 / (rows + columns))
        return random.uniform(-bound, bound, (rows, columns)).astype(np.float32)

    def orthogonal() -> npt.NDArray[np.float32]:
        q, _ = np.linalg.qr(random.normal(size=(units, units)))
        return q.astype(np.float32)

    return {
        "pixel": glorot(_CHANNELS, 2 * _EMBEDDED),
        "pixel_bias": np.zeros(2 * _EMBEDDED, np.float32),
        "embed": glorot(2 * _EMBEDDED, _EMBEDDED),
        "embed_bias": np.zeros(_EMBEDDED, np.float32),
        "scan": np.hstack([glorot(SIDE * _EMBEDDED, units) for _ in range(3)]),
        "scan_bias": np.zeros(3 * units, np.float32),
        "order": np.hstack([glorot(SIDE * _CHANNELS, units) for _ in range(3)]),
        "order_bias": np.zeros(3 * units, np.float32),
        "recur_gates": np.hstack([orthogonal(), orthogonal()]),
        "recur_state": orthogonal(),
        "hidden": glorot(3 * units + 3 * _EMBEDDED, units),
        "hidden_bias": np.zeros(units, np.float32),
        "out": glorot(units, labels),
        "out_bias": np.zeros(labels, np.float32),
    }


def logits(
    image: Tensor, weights: Mapping[str, Tensor], dropout: float = 0.0, mirrors: int = 1
) -> Tensor:
    """Return float32 [n, labels] for patches [n, 9, 9, 3], RGB 0-1.

    With `mirrors` 4 the scans also read the patch's mirror images, and the answer is the mean.
    """
    units = int(weights["recur_state"].shape[0])
    pixels = _features(image)
    embedded = tf.reshape(pixels, [-1, _CHANNELS])
    embedded = tf.nn.relu(tf.matmul(embedded, weights["pixel"]) + weights["pixel_bias"])
    embedded = tf.tanh(tf.matmul(embedded, weights["embed"]) + weights["embed_bias"])
    embedded = tf.reshape(embedded, [-1, SIDE, SIDE, _EMBEDDED])
    scans = tf.reshape(_scans(embedded, mirrors), [-1, SIDE * _EMBEDDED])
    scans = tf.matmul(scans, weights["scan"]) + weights["scan_bias"]
    order = tf.reshape(_in_order(pixels), [-1, SIDE * _CHANNELS])
    order = tf.matmul(order, weights["order"]) + weights["order_bias"]
    read = tf.concat(
        [
            tf.reshape(scans, [-1, 2 * mirrors, SIDE, 3 * units]),
            tf.reshape(order, [-1, 1, SIDE, 3 * units]),
        ],
        axis=1,
    )
    states = tf.reshape(_recur(read, units, weights), [-1, 2 * mirrors + 1, units])
    pairs = tf.reshape(states[:, :-1], [-1, mirrors, 2, units])
    whole = tf.concat([states[:, -1], _summary(embedded)], axis=1)
    whole = tf.tile(whole[:, None], [1, mirrors, 1])
    found = tf.concat([tf.reduce_mean(pairs, axis=2), tf.reduce_max(pairs, axis=2), whole], axis=2)
    found = tf.reshape(found, [-1, weights["hidden"].shape[0]])
    if dropout:
        found = tf.nn.dropout(found, dropout)
    hidden = tf.nn.relu(tf.matmul(found, weights["hidden"]) + weights["hidden_bias"])
    if dropout:
        hidden = tf.nn.dropout(hidden, dropout)
    scores = tf.matmul(hidden, weights["out"]) + weights["out_bias"]
    return tf.reduce_mean(tf.reshape(scores, [-1, mirrors, scores.shape[1]]), axis=1)


def probabilities(image: Tensor, weights: Mapping[str, Tensor], name: str | None = None) -> Tensor:
    """Return float32 [n, labels], rows sum to 1: what is served."""
    return tf.nn.softmax(logits(image, weights, mirrors=4), name=name)


def _scans(pixels: Tensor, mirrors: int) -> Tensor:
    """Return lines and columns of each mirror image: [n, 2 * mirrors, 9, 9, channels]."""
    columns = tf.transpose(pixels, [0, 2, 1, 3])
    ways = [slice(None), slice(None, None, -1)]
    scans = []
    for down, right in [(down, right) for down in ways for right in ways][:mirrors]:
        scans += [pixels[:, down, right], columns[:, right, down]]
    return tf.stack(scans, axis=1)


def _recur(read: Tensor, units: int, weights: Mapping[str, Tensor]) -> Tensor:
    """Return the last states of a gated recurrent unit over [n, scans, 9, 3 * units], [-1, units].

    What is read comes already weighted, for the gates keep and reset and for the fresh state.
    """
    read = tf.reshape(read, [-1, SIDE, 3 * units])
    state = tf.zeros_like(read[:, 0, :units])
    for step in range(SIDE):
        now = read[:, step]
        gates = tf.sigmoid(now[:, : 2 * units] + tf.matmul(state, weights["recur_gates"]))
        keep, reset = gates[:, :units], gates[:, units:]
        fresh = tf.tanh(now[:, 2 * units :] + tf.matmul(reset * state, weights["recur_state"]))
        state = keep * state + (1 - keep) * fresh
    return state


def _features(image: Tensor) -> Tensor:
    """Return CIE Lab, the chroma and the direction of the hue, each about -1 to 1."""
    image = tf.clip_by_value(image, 0.0, 1.0)
    linear = tf.where(image > 0.04045, tf.pow((image + 0.055) / 1.055, 2.4), image / 12.92)
    xyz = tf.reshape(tf.matmul(tf.reshape(linear, [-1, 3]), _TO_XYZ), [-1, SIDE, SIDE, 3])
    root = tf.where(
        xyz > 0.008856, tf.pow(tf.maximum(xyz, 0.008856), 1 / 3), 7.787 * xyz + 16 / 116
    )
    x, y, z = root[..., 0:1], root[..., 1:2], root[..., 2:3]
    light, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    chroma = tf.sqrt(a * a + b * b + 1e-6)
    return tf.concat(
        [light / 50 - 1, a / 50, b / 50, chroma / 50 - 0.5, a / (chroma + 4), b / (chroma + 4)],
        axis=-1,
    )


def _in_order(pixels: Tensor) -> Tensor:
    """Return the values of each channel from high to low: [n, 81, channels]."""
    flat = tf.transpose(tf.reshape(pixels, [-1, SIDE * SIDE, _CHANNELS]), [0, 2, 1])
    ordered = tf.math.top_k(flat, k=SIDE * SIDE, sorted=True).values
    return tf.transpose(ordered, [0, 2, 1])


def _summary(pixels: Tensor) -> Tensor:
    """Return mean, spread and mean step to the next pixel of [n, 9, 9, _EMBEDDED]."""
    flat = tf.reshape(pixels, [-1, SIDE * SIDE, _EMBEDDED])
    mean = tf.reduce_mean(flat, axis=1)
    spread = tf.sqrt(tf.reduce_mean(tf.square(flat - mean[:, None]), axis=1) + 1e-6)
    steps = tf.reduce_mean(tf.abs(pixels[:, 1:] - pixels[:, :-1]), axis=[1, 2]) + tf.reduce_mean(
        tf.abs(pixels[:, :, 1:] - pixels[:, :, :-1]), axis=[1, 2]
    )
    return tf.concat([mean, 3 * spread, 3 * steps], axis=1)


def write_graph(weights: Weights, path: Path) -> None:
    """Write the frozen GraphDef: `image` float32 [n, 9, 9, 3] → `probabilities` [n, labels]."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, SIDE, SIDE, 3], name="image")
        constants = {key: tf.constant(value) for key, value in weights.items()}
        probabilities(image, constants, name="probabilities")
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))
    temporary.replace(path)
