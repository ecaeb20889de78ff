"""The network of `characters` and `digits`: 28x28 grey → softmax, six convolutions.

It is trained with batch normalisation, which the served graph has folded into its weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.frozen import write_frozen

SIDE = 28

# kernel, stride, padding, output channels
LAYERS = (
    (3, 1, "SAME", 16),
    (3, 2, "SAME", 32),
    (3, 1, "SAME", 48),
    (3, 2, "SAME", 64),
    (3, 1, "SAME", 96),
    (3, 2, "VALID", 128),
)
_DROPOUT = 0.3
_EPSILON = 1e-3

Floats = npt.NDArray[np.float32]
Weights = dict[str, Floats]


def trainable(labels: int) -> tf.keras.Model:
    """Return the network to train: float32 [n, 28, 28, 1] in 0-1 → logits [n, labels]."""
    image = tf.keras.Input((SIDE, SIDE, 1))
    net = image
    for number, (kernel, stride, padding, channels) in enumerate(LAYERS):
        net = tf.keras.layers.Conv2D(
            channels, kernel, stride, padding, use_bias=False, name=f"convolution{number}"
        )(net)
        net = tf.keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"norm{number}")(net)
        net = tf.keras.layers.ReLU()(net)
    net = tf.keras.layers.Dropout(_DROPOUT)(tf.keras.layers.Flatten()(net))
    return tf.keras.Model(image, tf.keras.layers.Dense(labels, name="logits")(net))


def folded(model: tf.keras.Model) -> Weights:
    """Return the weights of a trained network, each normalisation in its convolution."""
    weights = {}
    for number in range(len(LAYERS)):
        (kernel,) = model.get_layer(f"convolution{number}").get_weights()
        gamma, beta, mean, variance = model.get_layer(f"norm{number}").get_weights()
        scale = gamma / np.sqrt(variance + _EPSILON)
        weights[f"convolution{number}/kernel"] = kernel * scale
        weights[f"convolution{number}/bias"] = beta - mean * scale
    kernel, bias = model.get_layer("logits").get_weights()
    return {**weights, "logits/kernel": kernel, "logits/bias": bias}


def logits(image: tf.Tensor, weights: Weights) -> tf.Tensor:
    """Return what the network says of float32 [n, 28, 28, 1] in 0-1: [n, labels]."""
    net = image
    for number, (_, stride, padding, _channels) in enumerate(LAYERS):
        name = f"convolution{number}"
        kernel = tf.constant(weights[f"{name}/kernel"], name=f"{name}/kernel")
        bias = tf.constant(weights[f"{name}/bias"], name=f"{name}/bias")
        net = tf.nn.conv2d(net, kernel, stride, padding, name=name)
        net = tf.nn.relu(tf.nn.bias_add(net, bias))
    kernel = tf.constant(weights["logits/kernel"], name="logits/kernel")
    net = tf.reshape(net, [-1, kernel.shape[0]])
    return tf.nn.bias_add(tf.matmul(net, kernel), weights["logits/bias"], name="logits")


def write_graph(weights: Weights, path: Path) -> None:
    """Write the frozen graph `image` [n, 28, 28, 1] → `probabilities` [n, labels]."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, SIDE, SIDE, 1], name="image")
        tf.nn.softmax(logits(image, weights), name="probabilities")
    write_frozen(graph.as_graph_def(), path)


def probabilities(weights: Weights, images: npt.NDArray[Any]) -> Floats:
    """Return the softmaxes [n, labels] of uint8 [n, 28, 28, 1]."""
    parts = []
    for start in range(0, len(images), 500):
        part = tf.constant(images[start : start + 500], tf.float32) / 255
        parts.append(tf.nn.softmax(logits(part, weights)).numpy())
    return np.concatenate(parts)
