"""How good and how fast a model is behind its address, seen from outside.

    python examples/evaluate.py PICTURES --model digits
    python examples/evaluate.py PICTURES --model characters --fold-case --url http://host:9000

PICTURES is a folder with a folder of images for each label, or a CSV file with the columns `file`
and `label`. Prints the accuracy and the times of single images, then how many images a second one
client gets through: one by one and in batches of 128, or as many as fit into a body, as JSON and as
binary tensors. Writes `evaluation.png`, right and wrong answers, and `throughput.png`.

Needs the packages `requests`, `numpy`, `pillow` and `matplotlib`.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import requests
from evaluated import Picture, Service, Verdict
from matplotlib.figure import Figure
from PIL import Image
from throughput import compare, draw_rates

matplotlib.use("Agg")

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}


def read_pictures(path: Path, labels: Sequence[str]) -> list[Picture]:
    """Return the labelled images of a folder of folders, or of a CSV file."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Picture(path.parent / row["file"], row["label"]) for row in csv.DictReader(file)
            ]
    return [
        Picture(image, _label(image.parent.name, labels))
        for image in sorted(path.glob("*/*"))
        if image.suffix.lower() in SUFFIXES
    ]


def _label(folder: str, labels: Sequence[str]) -> str:
    """Return the label that a folder's name is, or that stands behind its last underscore."""
    return folder if folder in labels else folder.rpartition("_")[2]


def same(one: str, other: str, fold_case: bool) -> bool:
    """Return whether two labels count as one."""
    return one.lower() == other.lower() if fold_case else one == other


def print_accuracy(verdicts: Sequence[Verdict], fold_case: bool) -> None:
    """Print how many answers are right, and how long they took."""
    tops = {
        count: sum(
            any(same(each.picture.label, label, fold_case) for label in each.labels[:count])
            for each in verdicts
        )
        / len(verdicts)
        for count in (1, 5)
    }
    took = np.array([each.took_ms for each in verdicts])
    print(f"{len(verdicts)} images: top-1 {tops[1]:.3f}, top-5 {tops[5]:.3f}")
    print(
        f"one after the other: mean {took.mean():.1f} ms, "
        f"p50 {np.percentile(took, 50):.1f} ms, p95 {np.percentile(took, 95):.1f} ms"
    )


def draw_verdicts(verdicts: Sequence[Verdict], fold_case: bool, path: Path) -> None:
    """Draw up to ten right and ten wrong answers."""
    chance = random.Random(0)
    rows: list[list[Verdict]] = [[], []]
    for each in chance.sample(list(verdicts), len(verdicts)):
        wrong = not same(each.picture.label, each.labels[0], fold_case)
        if len(rows[wrong]) < 10:
            rows[wrong].append(each)
    figure = Figure(figsize=(15, 4), layout="constrained")
    figure.suptitle("label: answer, how likely; the upper row is right, the lower wrong")
    for row, color in enumerate(("green", "crimson")):
        for column in range(10):
            axes = figure.add_subplot(2, 10, 10 * row + column + 1)
            axes.axis("off")
            if column < len(rows[row]):
                each = rows[row][column]
                with Image.open(each.picture.path) as image:
                    axes.imshow(np.asarray(image.convert("RGB").resize((112, 112))))
                text = f"{each.picture.label}: {each.labels[0]} {each.probability:.0%}"
                axes.set_title(text, color=color, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Evaluate; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="digits", help="default: %(default)s")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--key", default="", help="an API key, where the service asks for one")
    parser.add_argument("--most", type=int, default=1000, help="images to ask (default: 1000)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each way of sending")
    parser.add_argument("--fold-case", action="store_true", help="let a and A count as the same")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the two pictures")
    arguments = parser.parse_args()
    try:
        service = Service(arguments.url.rstrip("/"), arguments.model, arguments.key)
        pictures = read_pictures(arguments.pictures, service.labels)
        if not pictures:
            raise ValueError(f"no images in {arguments.pictures}")
        random.Random(1).shuffle(pictures)
        verdicts = [service.ask(picture) for picture in pictures[: arguments.most]]
        print_accuracy(verdicts, arguments.fold_case)
        draw_verdicts(verdicts, arguments.fold_case, arguments.out / "evaluation.png")
        rates = compare(service, pictures, arguments.seconds)
    except (requests.RequestException, OSError, ValueError, KeyError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1
    for name, rate in rates.items():
        print(f"{name:24} {rate:8.0f} images/s")
    draw_rates(rates, arguments.out / "throughput.png")
    print(f"{arguments.out / 'evaluation.png'}, {arguments.out / 'throughput.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
