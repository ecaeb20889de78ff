"""The part of `docs/accuracy.md` on `imagenet`: `report` writes it.

    python -m training.imagenet_accuracy [--data ../shared/data]

prints it alone.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from shared.manifest import read_model
from shared.preparation import prepare
from worker.engines import Engine, load_engine

_MODEL = Path("models/imagenet")
_MAX_PIXELS = 50_000_000


def report(data: Path) -> str:
    """Ask the committed graph through both engines; return the section in Markdown."""
    with (data / "photos" / "imagenet.csv").open(encoding="utf-8") as file:
        rows = [(row["file"], int(row["class_index"])) for row in csv.DictReader(file)]
    model = read_model(_MODEL)
    photos = [
        prepare(model, (data / "photos/imagenet" / name).read_bytes(), [], _MAX_PIXELS)[1][0]
        for name, _ in rows
    ]
    dog = prepare(model, (data / "photos" / "dog.jpg").read_bytes(), [], _MAX_PIXELS)[1][0]
    right = np.array([index for _, index in rows])
    lines = []
    for name in ("session", "litert"):
        engine = load_engine(name, model, 1)
        fives = np.concatenate([engine.run([photo])[0].labels for photo in photos])
        first, among = (fives[:, 0] == right).mean(), (fives == right[:, None]).any(axis=1).mean()
        lines.append(f"| {name} | {first:.3f} | {among:.3f} | {_first(engine, dog)} |")
    return "\n".join(
        [
            "## ImageNet",
            "",
            f"EfficientNet-Lite0 with Google's weights, on {len(rows)} photos, one each of as many "
            "of its 1,000 classes. They are probably photos that it was trained on, so this shows "
            "that the conversion is right, and no more. The whole photo is squeezed into the "
            "network's square, as the Keras tutorial does. `dog.jpg` is that tutorial's beagle.",
            "",
            "| engine | top-1 | top-5 | `dog.jpg` |",
            "| --- | ---: | ---: | --- |",
            *lines,
            "",
        ]
    )


def _first(engine: Engine, tensor: np.ndarray) -> str:
    (answer,) = engine.run([tensor])
    label = read_model(_MODEL).classifiers[0].labels[answer.labels[0, 0]]
    return f"{label} {answer.probabilities[0, 0]:.3f}"


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(
        prog="python -m training.imagenet_accuracy", description=__doc__
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    print(report(parser.parse_args().data))


if __name__ == "__main__":
    main()
