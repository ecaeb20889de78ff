"""Photos of products, and of users → 9x9 patches with the meaning of the colour that was named.

Patches are cut by `shared.images`, as the web tier cuts them: at the centre point, or the user's,
and at points near it, which mostly still lie on the same thing.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.images import Crop, Photo, Pixels, Point, centre, cut, open_image
from training.choices import read_choices
from training.color_names import Meaning, seller_meaning

_MAX_PIXELS = 50_000_000
_MODEL, _CLASSIFIER = "tags", "colors"
_AROUND = 15  # more points a photo, beside its centre
_SPREAD = 7.0  # standard deviation of their distance in pixels, of photos 224 pixels wide
_BALANCE = 0.3  # 0: a colour counts as often as it occurs, 1: all colours count the same
_WHITE = 235  # a pixel with all three channels above this is nearly white

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photos:
    """Patches of n photos; `patches[:, 0]` are the ones at the centre, or the user's point."""

    patches: Pixels  # [n, 1 + _AROUND, 9, 9, 3], RGB 0-255
    meanings: Floats  # [n, labels], rows sum to 1
    words: tuple[str, ...]  # the seller's, or the label that the user chose

    @property
    def plain(self) -> npt.NDArray[np.bool_]:
        """Which photos' words mean one label only: the others are no evidence in a figure."""
        return np.asarray(self.meanings.max(axis=1) == 1)

    def subset(self, chosen: npt.NDArray[np.bool_]) -> Photos:
        """Return the photos where `chosen`, bool [n], is true."""
        words = tuple(word for word, wanted in zip(self.words, chosen, strict=True) if wanted)
        return Photos(self.patches[chosen], self.meanings[chosen], words)

    def and_also(self, more: Photos) -> Photos:
        """Return these photos and behind them `more`."""
        return Photos(
            np.concatenate([self.patches, more.patches]),
            np.concatenate([self.meanings, more.meanings]),
            self.words + more.words,
        )


def read_photos(data: Path, crop: Crop, labels: tuple[str, ...]) -> Photos:
    """Read `fashion/` and `fashion.csv` below `data`.

    Left out: photos without a colour ("NA"), and photos whose centre patch is nearly white
    though white is not their colour: the centre lies beside the product there. For the same
    reason a nearly white patch around the centre is replaced by the centre's.
    """
    random = np.random.default_rng(0)
    patches, meanings, words = [], [], []
    with (data / "fashion.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        meaning = seller_meaning(row["base_colour"])
        if meaning is None:
            continue
        image = open_image((data / "fashion" / row["file"]).read_bytes(), _MAX_PIXELS)
        cuts = _cut_around(image, centre(image), crop, random)
        if "white" not in meaning:
            if is_nearly_white(cuts[0]):
                continue
            beside = [is_nearly_white(patch) for patch in cuts]
            cuts[beside] = cuts[0]
        patches.append(cuts)
        meanings.append(as_row(meaning, labels))
        words.append(row["base_colour"])
    return Photos(np.stack(patches), np.stack(meanings), tuple(words))


def read_chosen(folder: Path, crop: Crop, labels: tuple[str, ...]) -> Photos:
    """Read the colours that users chose, as `python -m training.report --export` wrote them.

    Raises `ValueError` where there is none.
    """
    random = np.random.default_rng(0)
    patches, meanings, words = [], [], []
    for example in read_choices(folder):
        label = example.labels.get(_CLASSIFIER)
        if example.model != _MODEL or label not in labels:
            continue
        image = open_image(example.photo.read_bytes(), _MAX_PIXELS)
        patches.append(_cut_around(image, example.point, crop, random))
        meanings.append(as_row({label: 1.0}, labels))
        words.append(label)
    if not words:
        raise ValueError(f"{folder}: nobody chose a colour")
    return Photos(np.stack(patches), np.stack(meanings), tuple(words))


def _cut_around(image: Photo, point: Point, crop: Crop, random: np.random.Generator) -> Pixels:
    """Return the crop at a point, and behind it those at points near it, [1 + _AROUND, 9, 9, 3]."""
    steps = random.normal(0, _SPREAD * image.width / 224, (_AROUND, 2))
    points = [point, *(Point(point.x + x, point.y + y) for x, y in steps)]
    return np.stack([cut(image, each, crop) for each in points])


def balance(photos: Photos) -> Floats:
    """Return the weight of each photo, 1 on average: the rarer its colour, the more it weighs."""
    weights = photos.meanings @ np.exp(-balance_logits(photos))
    return np.asarray(weights / weights.mean(), np.float32)


def balance_logits(photos: Photos) -> Floats:
    """Return what `balance` takes from each label's logit, [labels]: the more, the commoner it is.

    A label without photos counts as one with a single photo.
    """
    often = np.maximum(photos.meanings.sum(axis=0), 1)
    return np.asarray(_BALANCE * np.log(often), np.float32)


def is_nearly_white(patch: Pixels) -> bool:
    """Whether four fifths of the pixels of a patch [9, 9, 3] are nearly white."""
    return bool((patch.min(axis=-1) > _WHITE).mean() > 0.8)


def as_row(meaning: Meaning, labels: tuple[str, ...]) -> Floats:
    """Return the shares of a meaning in the order of the labels, float32 [labels]."""
    return np.array([meaning.get(label, 0.0) for label in labels], np.float32)
