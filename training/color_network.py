"""The colour classifier: gated recurrent networks that read 9x9 pixels in three ways.

Each scans the patch line by line, down and to the right, with one set of weights; and a third time
with the values of each channel in order, which shows shadows and highlights wherever they lie.
What the two scans found is averaged and its maximum taken. The graph holds four such networks, the
members; each is shown another mirror image of the patch, and the mean of their logits counts. All
members are computed together, their weights [members, rows, columns]. The recurrence is unrolled:
no control flow.
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
_WAYS = slice(None), slice(None, None, -1)
_MIRRORS = [(down, right) for down in _WAYS for right in _WAYS]
MEMBERS = len(_MIRRORS)  # of the network that is served

Weights = dict[str, npt.NDArray[np.float32]]
Tensor = Any  # tensorflow ships no types


def initial_weights(members: int, units: int, labels: int, seed: int) -> Weights:
    """Return fresh weights: Glorot for what reads, orthogonal for what recurs.

    `members` is `MEMBERS`, or 1: a network that reads all mirror images itself.
    """
    if members not in (1, MEMBERS):
        raise ValueError(f"{members} members cannot share {MEMBERS} mirror images")
    random = np.random.default_rng(seed)

    def glorot(rows: int, columns: int) -> npt.NDArray[np.float32]:
        bound = np.sqrt(6 / (rows + columns))
        return random.uniform(-bound, bound, (members, rows, columns)).astype(np.float32)

    def orthogonal() -> npt.NDArray[np.float32]:
        q, _ = np.linalg.qr(random.normal(size=(members, units, units)))
        return q.astype(np.float32)

    def zeros(columns: int) -> npt.NDArray[np.float32]:
        return np.zeros((members, 1, columns), np.float32)

    return {
        "pixel": glorot(_CHANNELS, 2 * _EMBEDDED),
        "pixel_bias": zeros(2 * _EMBEDDED),
        "embed": glorot(2 * _EMBEDDED, _EMBEDDED),
        "embed_bias": zeros(_EMBEDDED),
        "scan": np.concatenate([glorot(SIDE * _EMBEDDED, units) for _ in range(3)], axis=2),
        "scan_bias": zeros(3 * units),
        "order": np.concatenate([glorot(SIDE * _CHANNELS, units) for _ in range(3)], axis=2),
        "order_bias": zeros(3 * units),
        "recur_gates": np.concatenate([orthogonal(), orthogonal()], axis=2),
        "recur_state": orthogonal(),
        "hidden": glorot(3 * units + 3 * _EMBEDDED, units),
        "hidden_bias": zeros(units),
        "out": glorot(units, labels),
        "out_bias": zeros(labels),
    }


def logits(images: Tensor, weights: Mapping[str, Tensor], dropout: float = 0.0) -> Tensor:
    """Return float32 [members, n, labels] for patches [members, n, 9, 9, 3], RGB 0-1."""
    shape = [weights["out"].shape[0], -1, SIDE, SIDE, _CHANNELS]
    pixels = _features(tf.reshape(images, [-1, SIDE, SIDE, 3]))
    ordered = tf.reshape(_in_order(pixels), [shape[0], -1, SIDE * _CHANNELS])
    return _score(tf.reshape(pixels, shape), ordered, weights, dropout)


def probabilities(image: Tensor, weights: Mapping[str, Tensor], name: str | None = None) -> Tensor:
    """Return float32 [n, labels], rows sum to 1, for patches [n, 9, 9, 3]: what is served.

    Each member reads one mirror image; a network of one reads them all.
    """
    pixels = _features(image)
    mirrors = tf.stack([pixels[:, down, right] for down, right in _MIRRORS])
    ordered = tf.reshape(_in_order(pixels), [1, -1, SIDE * _CHANNELS])
    scores = _score(mirrors, tf.tile(ordered, [MEMBERS, 1, 1]), weights)
    return tf.nn.softmax(tf.reduce_mean(scores, axis=0), name=name)


def _score(
    pixels: Tensor, ordered: Tensor, weights: Mapping[str, Tensor], dropout: float = 0.0
) -> Tensor:
    """Return logits for features [members, n, 9, 9, channels], which members see each their own.

    `ordered` [members, n * 9, 9 * channels] has the values of each channel in order: mirror images
    have the same, so it is made once.
    """
    members = pixels.shape[0]
    units = weights["recur_state"].shape[2]

    def layer(name: str, inputs: Tensor) -> Tensor:
        return tf.matmul(inputs, weights[name]) + weights[name + "_bias"]

    embedded = tf.nn.relu(layer("pixel", tf.reshape(pixels, [members, -1, _CHANNELS])))
    embedded = tf.reshape(tf.tanh(layer("embed", embedded)), [-1, SIDE, SIDE, _EMBEDDED])
    scans = tf.stack([embedded, tf.transpose(embedded, [0, 2, 1, 3])], axis=1)
    scans = layer("scan", tf.reshape(scans, [members, -1, SIDE * _EMBEDDED]))
    read = tf.concat(
        [
            tf.reshape(scans, [members, -1, 2, SIDE * 3 * units]),
            tf.reshape(layer("order", ordered), [members, -1, 1, SIDE * 3 * units]),
        ],
        axis=2,
    )
    read = tf.reshape(read, [members, -1, SIDE, 3 * units])
    states = tf.reshape(_recur(read, units, weights), [members, -1, 3, units])
    pair = states[:, :, :2]
    summary = tf.reshape(_summary(embedded), [members, -1, 3 * _EMBEDDED])
    found = [tf.reduce_mean(pair, axis=2), tf.reduce_max(pair, axis=2), states[:, :, 2], summary]
    whole = tf.concat(found, axis=2)
    if dropout:
        whole = tf.nn.dropout(whole, dropout)
    hidden = tf.nn.relu(layer("hidden", whole))
    if dropout:
        hidden = tf.nn.dropout(hidden, dropout)
    return layer("out", hidden)


def _recur(read: Tensor, units: int, weights: Mapping[str, Tensor]) -> Tensor:
    """Return the last states of a gated recurrent unit over [members, n * scans, 9, 3 * units].

    What is read comes already weighted, for the gates keep and reset and for the fresh state.
    """
    state = tf.zeros_like(read[:, :, 0, :units])
    for step in range(SIDE):
        now = read[:, :, step]
        gates = tf.sigmoid(now[..., : 2 * units] + tf.matmul(state, weights["recur_gates"]))
        keep, reset = gates[..., :units], gates[..., units:]
        fresh = tf.tanh(now[..., 2 * units :] + tf.matmul(reset * state, weights["recur_state"]))
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
