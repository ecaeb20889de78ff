"""Makes `models/tags/1/themeClassifier.pb` again: `python -m training.themes`.

What it learns from, and how well it does: `training/THEMES.md`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.lite0 import SIZE, Weights, add_features, classifier, fetch_weights
from training.theme_folds import ALL_VIEWS, choose, photo_folds
from training.theme_head import Head, imagenet_head, train
from training.theme_photos import read_photos

VERSION = Path("models/tags/1")
GRAPH = VERSION / "themeClassifier.pb"
CACHE = Path("var/cache")


def read_labels() -> tuple[str, ...]:
    """Return the labels that are served, in their order."""
    return tuple((VERSION / "themes.txt").read_text(encoding="utf-8").splitlines())


def write_graph(weights: Weights, head: Head, path: Path) -> None:
    """Write the frozen graph `image` [n, 224, 224, 3] → `probabilities` [n, themes]."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="image")
        net = tf.matmul(add_features(image, weights), tf.constant(head.kernel, name="head/kernel"))
        net = tf.nn.bias_add(net, tf.constant(head.bias, name="head/bias"), name="head/logits")
        net = tf.nn.softmax(net, name="head/classes")
        tf.matmul(net, tf.constant(head.shares, name="head/shares"), name="probabilities")
    half_written = path.with_suffix(".pb.new")
    half_written.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))
    os.replace(half_written, path)


def main() -> None:
    """Train on everything below `--data` and replace the graph."""
    parser = argparse.ArgumentParser(prog="python -m training.themes", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data: Path = parser.parse_args().data
    weights = fetch_weights(CACHE)
    photos = read_photos(data, weights, read_labels())
    base = imagenet_head(classifier(weights), photos)
    everything = np.ones(len(photos.classes), np.bool_)
    settings = choose(photos, photo_folds(photos), everything, base)
    head = train(photos, everything, ALL_VIEWS, base, settings.penalty)
    write_graph(weights, head.sharpened(settings.sharpness), GRAPH)
    print(f"{GRAPH}: {GRAPH.stat().st_size} bytes, {len(photos.names)} photos, {settings}")


if __name__ == "__main__":
    main()
