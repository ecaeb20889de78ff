"""The labelled photos as features, cut by the same code that serves.

A crop of 80 % can only move by a tenth of the photo to either side, so the centre and the four
extremes, each also mirrored, stand for all points that a client may ask for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.images import Crop, Pixels, Point, centre, cut, open_image
from training.lite0 import CLASSES, FEATURES, SIZE, Weights, add_features
from training.theme_map import ThemeMap, read_caltech, read_imagenet

CROP = Crop(SIZE, SIZE, fraction=0.8)  # as in models/tags/model.toml, a test compares them
MAX_PIXELS = 50_000_000
POINTS = 5
VIEWS = 2 * POINTS  # the first is the centre, the later half is mirrored


@dataclass(frozen=True)
class Photos:
    """Photos with the class that each shows; Caltech's classes follow ImageNet's 1,000."""

    names: tuple[str, ...]
    classes: npt.NDArray[np.int64]  # [photos]
    features: npt.NDArray[np.float32]  # [photos, VIEWS, 1280]
    imagenet: ThemeMap
    caltech: ThemeMap

    @property
    def is_caltech(self) -> npt.NDArray[np.bool_]:
        """[photos]."""
        return self.classes >= CLASSES

    @property
    def shares(self) -> npt.NDArray[np.float32]:
        """[photos, themes]: the shares of the class shown; not zero means right."""
        return np.concatenate([self.imagenet.shares, self.caltech.shares])[self.classes]


def read_photos(data: Path, weights: Weights, themes: tuple[str, ...]) -> Photos:
    """Return all photos below `data`/photos that have a theme. Takes a few minutes."""
    folder = data / "photos"
    imagenet, caltech = read_imagenet(themes), read_caltech(folder / "caltech_themes.csv", themes)
    found = list(list_photos(folder, caltech))
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3])
        output = add_features(image, weights)
    rows = np.empty((len(found), VIEWS, FEATURES), np.float32)
    with tf.compat.v1.Session(graph=graph) as session:
        for row, (path, _) in zip(rows, found, strict=True):
            row[:] = session.run(output, {image: views(path.read_bytes())})
    return Photos(
        tuple(path.relative_to(folder).as_posix() for path, _ in found),
        np.array([index for _, index in found]),
        rows,
        imagenet,
        caltech,
    )


def crops(data: bytes) -> Pixels:
    """Return the crops of one photo at the centre and the corners, [POINTS, 224, 224, 3]."""
    image = open_image(data, MAX_PIXELS)
    right, bottom = image.width - 1, image.height - 1
    corners = (Point(x, y) for x in (0, right) for y in (0, bottom))
    return np.stack([cut(image, point, CROP) for point in (centre(image), *corners)])


def views(data: bytes) -> npt.NDArray[np.float32]:
    """Return the crops, and mirrored, as the network takes them, [VIEWS, 224, 224, 3]."""
    found = crops(data)
    both = np.concatenate([found, found[:, :, ::-1]]).astype(np.float32)
    return (both - np.float32(127)) / np.float32(128)


def list_photos(folder: Path, caltech: ThemeMap) -> Iterator[tuple[Path, int]]:
    """Yield every photo below `folder` that has a theme, with its class."""
    with (folder / "imagenet.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield folder / "imagenet" / row["file"], int(row["class_index"])
    first = CLASSES
    for index, name in enumerate(caltech.classes):
        for path in sorted((folder / "caltech" / name).glob("*.jpg")):
            yield path, first + index
