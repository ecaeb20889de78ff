"""What users chose after a prediction, as a folder to train with (`python -m training.colors`).

    <folder>/choices.csv      image, x, y, model, version, at, and a column per classifier
    <folder>/images/          the photos as they were posted

A label is empty where none was chosen, or none fits.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.feedback import Choice
from shared.images import Point

TABLE = "choices.csv"
_COLUMNS = ["image", "x", "y", "model", "version", "at"]


@dataclass(frozen=True)
class Example:
    """A point of a photo, and the label that was chosen for it by each classifier's name."""

    photo: Path
    point: Point
    model: str
    labels: dict[str, str]


def write_choices(choices: Iterable[Choice], folder: Path) -> int:
    """Write choices with their images into `folder`; return how many there are."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    rows, names = [], []
    for choice in choices:
        prediction = choice.prediction
        image = images / prediction.request_id  # what a format it has, its content tells
        image.write_bytes(prediction.image)
        x, y = choice.item["point"]
        at = datetime.fromtimestamp(choice.at, UTC).isoformat(timespec="seconds")
        place = [f"images/{image.name}", x, y, prediction.model, prediction.version, at]
        labels = {name: label or "" for name, label in choice.chosen.items()}
        rows.append({**dict(zip(_COLUMNS, place, strict=True)), **labels})
        names += [name for name in labels if name not in names]
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*_COLUMNS, *names], restval="")
        table.writeheader()
        table.writerows(rows)
    return len(rows)


def read_choices(folder: Path) -> Iterator[Example]:
    """Read what `write_choices` wrote, all but the rows without any label."""
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels = {name: row[name] for name in row if name not in _COLUMNS and row[name]}
            if labels:
                point = Point(float(row["x"]), float(row["y"]))
                yield Example(folder / row["image"], point, row["model"], labels)
