"""The overhead-only job: a 28x28 PNG and a 784x10 product, a model of almost no work.

    python -m bench.compare.product MODELS_FOLDER

writes model `product` for this service. It imports TensorFlow, so it runs in a process apart.
"""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.compare.requests import Labels, right

MANIFEST = """\
description = "A 784x10 product, to see what the service itself costs"

[classifiers.digits]
crop = { fraction = 1.0 }
size = [28, 28]
range = [0.0, 1.0]
graph = "product.pb"
input = "image:0"
output = "probabilities:0"
labels = "digits.txt"
"""
IMAGES = 64


def weights() -> npt.NDArray[np.float32]:
    """Return the matrix, float32 [784, 10], always the same."""
    return np.random.default_rng(784).normal(0, 0.1, (784, 10)).astype(np.float32)


def make_images(folder: Path) -> None:
    """Write the images to post, and their index, unless they are there."""
    if (folder / "calls.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(28)
    calls = []
    for number in range(IMAGES):
        noise = np.random.default_rng(chance.getrandbits(32))
        grey = Image.fromarray(noise.integers(0, 256, (7, 7), dtype=np.uint8))
        buffer = io.BytesIO()
        grey.resize((28, 28), Image.Resampling.BICUBIC).save(buffer, "PNG")
        (folder / f"{number:02}.png").write_bytes(buffer.getvalue())
        calls.append({"photo": f"{number:02}.png", "x": 14, "y": 14})
    (folder / "calls.json").write_text(json.dumps(calls), encoding="utf-8")


def write_rights(folder: Path, answers: Path) -> None:
    """Write, per call, which labels may come first and how likely, as numpy alone has it."""
    rights = []
    for call in json.loads((folder / "calls.json").read_text()):
        image = Image.open(folder / call["photo"]).convert("L")
        values = np.exp(np.asarray(image, np.float32).reshape(784) / 255 @ weights())
        values /= values.sum()
        order = np.argsort(-values).tolist()
        labels: Labels = [{"label": str(at), "probability": float(values[at])} for at in order]
        rights.append(right({"digits": labels}))
    answers.write_text(json.dumps(rights), encoding="utf-8")


def write_model(models: Path) -> None:
    """Write the model folder: float32 [n, 28, 28, 3] → channels' mean → product → softmax."""
    import tensorflow as tf

    folder = models / "product"
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "1" / "digits.txt").write_text("\n".join(map(str, range(10))), encoding="utf-8")
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.float32, [None, 28, 28, 3], "image")
        flat = tf.reshape(tf.reduce_mean(image, axis=3), [-1, 784])
        tf.nn.softmax(tf.matmul(flat, tf.constant(weights())), name="probabilities")
    (folder / "1" / "product.pb").write_bytes(graph.as_graph_def().SerializeToString())


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
