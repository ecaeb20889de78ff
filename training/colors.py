"""Makes `models/tags/1/colorClassifier.pb` again: `python -m training.colors`.

What it learns from, and how well it does: `training/COLORS.md`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tensorflow as tf

from shared.images import Crop
from training.color_network import SIDE, write_graph
from training.color_photos import read_chosen, read_photos
from training.color_survey import read_survey
from training.color_teacher import teach
from training.color_training import make_pool, train, unbalanced

VERSION = Path("models/tags/1")
CROP = Crop(SIDE, SIDE, pixels=SIDE)  # as in models/tags/model.toml, a test compares them
SEED = 2024


def read_labels() -> tuple[str, ...]:
    """Return the labels that are served, in their order."""
    return tuple((VERSION / "colors.txt").read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Train on everything below `--data`, and on `--choices`, and replace the graph."""
    parser = argparse.ArgumentParser(prog="python -m training.colors", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    about = "also learn from what users chose: an export of training.report"
    parser.add_argument("--choices", type=Path, metavar="FOLDER", help=about)
    arguments = parser.parse_args()
    data: Path = arguments.data
    tf.config.experimental.enable_op_determinism()
    labels = read_labels()
    photos, survey = read_photos(data, CROP, labels), read_survey(data, labels)
    if arguments.choices:
        photos = photos.and_also(read_chosen(arguments.choices, CROP, labels))
    made = make_pool(labels, SEED)
    weights = train(photos, teach(photos, survey, made, SEED), survey, made, SEED)
    graph = VERSION / "colorClassifier.pb"
    write_graph(unbalanced(weights, photos), graph)
    print(f"{graph}: {graph.stat().st_size} bytes")


if __name__ == "__main__":
    main()
