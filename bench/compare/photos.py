"""Photos to post, made from those that come inside scikit-image and scikit-learn.

The same seed makes the same photos and points on every machine. They are windows of real photos
with a camera's noise on top, since a photo that was enlarged and left smooth would be smaller and
faster to decode than a phone's.
"""

from __future__ import annotations

import io
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
import sklearn
from PIL import Image, ImageEnhance, ImageOps

from bench.compare.requests import Call, read_calls

_SKIMAGE = Path(skimage.__file__).parent / "data"
_SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"
_SOURCES = (
    *(_SKIMAGE / name for name in ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png")),
    *(_SKIMAGE / name for name in ("hubble_deep_field.jpg", "retina.jpg", "rocket.jpg")),
    *(_SKIMAGE / name for name in ("motorcycle_left.png", "motorcycle_right.png")),
    *(_SKLEARN / name for name in ("china.jpg", "flower.jpg")),
)
_QUALITIES = range(50, 97)


@dataclass(frozen=True)
class Kind:
    """A size of photos: pixels, how many bytes a file should have, how many different ones."""

    width: int
    height: int
    bytes: int
    photos: int

    @property
    def name(self) -> str:
        """What tables and folders call it."""
        return f"{self.width}x{self.height}"


SMALL = Kind(640, 480, 75_000, 32)
MEDIUM = Kind(1920, 1080, 420_000, 16)
LARGE = Kind(4000, 3000, 3_300_000, 8)
KINDS = (SMALL, MEDIUM, LARGE)
POINTS = 4  # on each photo


def make(kind: Kind, folder: Path) -> list[Call]:
    """Write the photos of `kind` into `folder`, unless they are there; return what to ask."""
    index = folder / "calls.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        chance = random.Random(kind.name)
        calls = []
        for number in range(kind.photos):
            name = f"{number:02}.jpg"
            source = _SOURCES[number % len(_SOURCES)]
            (folder / name).write_bytes(_photo(source, kind, chance))
            for _ in range(POINTS):
                calls.append(
                    {
                        "photo": name,
                        "x": chance.randrange(kind.width),
                        "y": chance.randrange(kind.height),
                    }
                )
        chance.shuffle(calls)
        index.write_text(json.dumps(calls), encoding="utf-8")
    return read_calls(folder)


def _photo(source: Path, kind: Kind, chance: random.Random) -> bytes:
    """Return a JPEG of about the right length: a window of `source`, noise, a chosen quality."""
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    part = chance.uniform(0.6, 1.0)
    width = min(image.width, image.height * kind.width / kind.height) * part
    height = width * kind.height / kind.width
    left, top = chance.uniform(0, image.width - width), chance.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    image = image.resize((kind.width, kind.height), Image.Resampling.BICUBIC, box=box)
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    image = ImageEnhance.Brightness(image).enhance(chance.uniform(0.8, 1.2))
    noise = np.random.default_rng(chance.getrandbits(32))
    grain = noise.normal(0, 4, (kind.height, kind.width, 1)).astype(np.float32)
    image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    low, high = _QUALITIES[0], _QUALITIES[-1]
    while low < high:  # the best quality that is not over the length
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_jpeg(image, middle)) <= kind.bytes else (low, middle - 1)
    return _jpeg(image, low)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
