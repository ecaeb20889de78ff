"""Makes `models/tags/1/colorClassifier.pb` again: `python -m training.colors`.

What it learns from, and how well it does: `training/COLORS.md`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tensorflow as tf

from shared.manifest import read_model
from training.color_network import write_graph
from training.color_photos import read_photos
from training.color_survey import read_survey
from training.color_training import make_pool, train

MODEL = Path("models/tags")
SEED = 2024


def main() -> None:
    """Train on everything below `--data` and replace the graph."""
    parser = argparse.ArgumentParser(prog="python -m training.colors", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data: Path = parser.parse_args().data
    tf.config.experimental.enable_op_determinism()
    (classifier,) = (entry for entry in read_model(MODEL).classifiers if entry.name == "colors")
    photos = read_photos(data, classifier.crop, classifier.labels)
    survey = read_survey(data, classifier.labels)
    made = make_pool(classifier.labels, SEED)
    write_graph(train(photos, survey, made, SEED), classifier.graph)
    print(f"{classifier.graph}: {classifier.graph.stat().st_size} bytes")


if __name__ == "__main__":
    main()
