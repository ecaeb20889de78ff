"""Handwriting to learn from: photos, MNIST, EMNIST's digits, and EMNIST by-class where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from shared import steps
from shared.images import Pixels
from training.characters_fonts import LABELS, read_fonts
from training.digits_data import read_mnist
from training.idx import read_idx, upright

SIDE = 28
_TO_INK = ("grey", "sheet", "invert", "clean", "trim")
STEPS = (*_TO_INK, "fit", "centre")  # as in model.toml, a test compares

_NEIGHBOURS = 10  # photos with neighbouring numbers may be of one hand: they stay together


@dataclass(frozen=True)
class Glyph:
    """The ink of one character, uint8 [h, w], trimmed, bright."""

    ink: Pixels
    label: int  # position in `LABELS`
    picture: Pixels | None = None  # RGB: the photo or scan that it came from
    group: int = -1  # of photos: those of one group may be of one hand


def photo_paths(data: Path) -> list[tuple[Path, int, int]]:
    """Return path, label and group of every photo of handwriting below `data`.

    The same photo under two names is in one group.
    """
    found = []
    groups: dict[bytes, int] = {}
    for path in sorted((data / "handwriting").glob("*/*.png")):
        _, character, number = path.stem.split("_")
        group = groups.setdefault(path.read_bytes(), int(number) // _NEIGHBOURS)
        found.append((path, LABELS.index(character), group))
    return found


def read_photo_glyphs(data: Path) -> list[Glyph]:
    """Return the ink of every photo, at the photo's own size."""
    glyphs = []
    for path, label, group in photo_paths(data):
        rgb = np.asarray(Image.open(path).convert("RGB"))
        ink = steps.apply(_TO_INK, rgb, (SIDE, SIDE))[..., 0]
        glyphs.append(Glyph(ink, label, rgb, group))
    return glyphs


def read_scans(data: Path, seed: int, each: int) -> list[Glyph]:
    """Return scanned digits, and letters where `data` has EMNIST by-class: `each` per label."""
    random = np.random.default_rng(seed)
    mnist = read_mnist("train")
    digits = np.load(data / "emnist" / "emnist_digits_9000.npz")
    sources = [
        (mnist.images, mnist.labels),
        (upright(digits["x"]), digits["y"].astype(np.int64)),
    ]
    if (data / "emnist" / _BY_CLASS.format("train", "images", 3)).is_file():
        sources.append(read_by_class(data / "emnist", "train"))
    glyphs = []
    for images, labels in sources:
        for label in np.unique(labels):
            of_label = np.flatnonzero(labels == label)
            for place in random.permutation(of_label)[:each]:
                rgb = np.repeat(images[place][..., None], 3, axis=2)
                glyphs.append(Glyph(_trimmed(images[place]), int(label), rgb))
    return glyphs


def read_font_glyphs() -> list[Glyph]:
    """Return the characters of all fonts."""
    return [
        Glyph(_trimmed(ink), LABELS.index(character))
        for _, character, ink in read_fonts()
        if ink.any()
    ]


_BY_CLASS = "emnist-byclass-{}-{}-idx{}-ubyte.gz"


def read_by_class(folder: Path, part: str) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Return EMNIST by-class, `part` "train" or "test": upright images [n, 28, 28] and labels.

    Its files are `emnist-byclass-train-images-idx3-ubyte.gz` and so on; their labels are digits,
    capitals and small letters in this order, as in `LABELS`. Raises `ValueError`.
    """
    images = read_idx((folder / _BY_CLASS.format(part, "images", 3)).read_bytes())
    labels = read_idx((folder / _BY_CLASS.format(part, "labels", 1)).read_bytes())
    if images.shape[1:] != (SIDE, SIDE) or len(images) != len(labels):
        raise ValueError(f"{folder}: {images.shape} images, {labels.shape} labels")
    if labels.max(initial=0) >= len(LABELS):
        raise ValueError(f"{folder}: label {labels.max()}, there are {len(LABELS)}")
    return upright(images), labels.astype(np.int64)


def _trimmed(ink: Pixels) -> Pixels:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
