"""What is right for a class: the themes of ImageNet's 1,000 classes and of Caltech's 87.

`theme_map.csv` was written by hand, class by class: the themes that a person may mean by a photo
of the class, with shares that sum to 1. Caltech's comes with the photos and has no shares.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.lite0 import CLASSES

IMAGENET = Path(__file__).with_name("theme_map.csv")


@dataclass(frozen=True)
class ThemeMap:
    """Named classes and, for each, its share of every theme."""

    classes: tuple[str, ...]
    shares: npt.NDArray[np.float32]  # [classes, themes], rows sum to 1


def read_imagenet(themes: tuple[str, ...]) -> ThemeMap:
    """Return ImageNet's classes in their order. Raises `ValueError` for a broken file."""
    with IMAGENET.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if [int(row["class_index"]) for row in rows] != list(range(CLASSES)):
        raise ValueError(f"{IMAGENET}: the classes are not 0 to {CLASSES - 1} in order")
    shares = np.zeros((CLASSES, len(themes)), np.float32)
    for row, share in zip(rows, shares, strict=True):
        for entry in row["themes"].split("|"):
            theme, _, part = entry.partition("=")
            share[themes.index(theme)] = float(part)
    if np.abs(shares.sum(axis=1) - 1).max() > 1e-5:
        raise ValueError(f"{IMAGENET}: the shares of a class do not sum to 1")
    return ThemeMap(tuple(row["class_name"] for row in rows), shares)


def read_caltech(path: Path, themes: tuple[str, ...]) -> ThemeMap:
    """Return the classes of `caltech_themes.csv` at `path`; several themes share equally."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["class"])
    shares = np.zeros((len(rows), len(themes)), np.float32)
    for row, share in zip(rows, shares, strict=True):
        right = [themes.index(theme) for theme in row["themes"].split("|")]
        share[right] = 1 / len(right)
    return ThemeMap(tuple(row["class"] for row in rows), shares)
