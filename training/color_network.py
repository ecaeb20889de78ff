"""The colour classifier: a gated recurrent network that reads 9x9 pixels in five ways.

It scans the patch down, up, to the right and to the left, nine pixels a step, with one set of
weights; and a fifth time with the pixels ordered from dark to light, which shows shadows and
highlights wherever they lie. What the four scans found is averaged and its maximum taken, so
that a turned patch gets nearly the same answer. The recurrence is unrolled: no control flow.
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


def logits(image: Tensor, weights: Mapping[str, Tensor], dropout: float = 0.0) -> Tensor:
    """Return float32 [n, labels] for patches [n, 9, 9, 3], RGB 0-1."""
    units = int(weights["recur_state"].shape[0])
    pixels = _features(image)
    embedded = tf.reshape(pixels, [-1, _CHANNELS])
    embedded = tf.nn.relu(tf.matmul(embedded, weights["pixel"]) + weights["pixel_bias"])
    embedded = tf.tanh(tf.matmul(embedded, weights["embed"]) + weights["embed_bias"])
    embedded = tf.reshape(embedded, [-1, SIDE, SIDE, _EMBEDDED])
    columns = tf.transpose(embedded, [0, 2, 1, 3])
    scans = tf.stack([embedded, columns], axis=1)
    scans = tf.reshape(scans, [-1, SIDE * _EMBEDDED])
    order = tf.reshape(_dark_to_light(pixels), [-1, SIDE * _CHANNELS])
    read = tf.concat(
        [
            tf.reshape(
                tf.matmul(scans, weights["scan"]) + weights["scan_bias"],
                [-1, 2, SIDE, 3 * units],
            ),
            tf.reshape(
                tf.matmul(order, weights["order"]) + weights["order_bias"],
                [-1, 1, SIDE, 3 * units],
            ),
        ],
        axis=1,
    )
    read = tf.reshape(read, [-1, SIDE, 3 * units])
    state = tf.zeros_like(read[:, 0, :units])
    for step in range(SIDE):
        now = read[:, step]
        gates = tf.sigmoid(now[:, : 2 * units] + tf.matmul(state, weights["recur_gates"]))
        keep, reset = gates[:, :units], gates[:, units:]
        fresh = tf.tanh(now[:, 2 * units :] + tf.matmul(reset * state, weights["recur_state"]))
        state = keep * state + (1 - keep) * fresh
    states = tf.reshape(state, [-1, 3, units])
    found = tf.concat(
        [
            tf.reduce_mean(states[:, :2], axis=1),
            tf.reduce_max(states[:, :2], axis=1),
            states[:, 2],
            _summary(embedded),
        ],
        axis=1,
    )
    if dropout:
        found = tf.nn.dropout(found, dropout)
    hidden = tf.nn.relu(tf.matmul(found, weights["hidden"]) + weights["hidden_bias"])
    if dropout:
        hidden = tf.nn.dropout(hidden, dropout)
    return tf.matmul(hidden, weights["out"]) + weights["out_bias"]


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


def _dark_to_light(pixels: Tensor) -> Tensor:
    flat = tf.transpose(tf.reshape(pixels, [-1, SIDE * SIDE, _CHANNELS]), [0, 2, 1])
    ordered = tf.math.top_k(flat, k=SIDE * SIDE, sorted=True).values
    return tf.transpose(ordered, [0, 2, 1])


def _summary(pixels: Tensor) -> Tensor:
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
        tf.nn.softmax(logits(image, weights), name="probabilities")
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))
    temporary.replace(path)
