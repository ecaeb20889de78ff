"""Photos with what must be said of them."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import Image

from bench.chaos.engine import Poison, probability
from bench.chaos.stage import MODEL
from bench.compare.environment import VAR
from bench.compare.photos import SMALL, make
from shared.images import Point
from shared.preparation import prepare
from shared.settings import Settings
from worker.engines import TOP, load_engine
from worker.results import Item, to_items

_SIDE = 32  # pixels: so small that it is decoded on the event loop
_NEAR = 1e-3  # a batch sums in another order than a photo alone
_REAL = 24

_numbers = itertools.count(random.randrange(1, 1 << 19))


@dataclass(frozen=True)
class Photo:
    """An image file, the point on it, and the item that an answer must be."""

    data: bytes
    x: int
    y: int
    item: Item = field(repr=False)
    near: float = _NEAR  # by how much a probability may be off
    number: int = 0  # of those that the quick engine knows

    @property
    def query(self) -> str:
        """The point, as a URL has it."""
        return f"x={self.x}&y={self.y}"

    def is_right(self, answer: dict[str, Any]) -> bool:
        """Return whether the answer is this photo's and nobody else's."""
        if answer.get("point") != {"x": self.x, "y": self.y}:
            return False
        for name, entries in self.item.items():
            expected = {entry["label"]: entry["probability"] for entry in entries}
            got = {entry["label"]: entry["probability"] for entry in answer.get(name, ())}
            both = set(expected) & set(got)
            if entries[0]["label"] not in both or len(both) < TOP - 1:
                return False
            if any(abs(got[label] - expected[label]) > self.near for label in both):
                return False
        return True


def numbered() -> Photo:
    """Return a photo that no other request has; the quick engine's answer follows from it."""
    return _photo(next(_numbers) % 0xF00000)


def poison(kind: Poison) -> Photo:
    """Return a photo that harms the quick engine."""
    return _photo(int(kind))


def real() -> Callable[[], Photo]:
    """Return what gives real photos in turn, with what LiteRT says of each alone."""
    return itertools.cycle(_real()).__next__


def _photo(number: int) -> Photo:
    buffer = io.BytesIO()
    colour = (number >> 16, number >> 8 & 255, number & 255)
    Image.new("RGB", (_SIDE, _SIDE), colour).save(buffer, "PNG")
    chance = float(probability(number))  # type: ignore[arg-type]
    item = {
        classifier.name: [
            {"label": classifier.labels[(number + rank) % len(classifier.labels)]}
            | {"probability": chance}
            for rank in range(TOP)
        ]
        for classifier in MODEL.classifiers
    }
    return Photo(buffer.getvalue(), _SIDE // 2, _SIDE // 2, item, 2e-6, number)


@cache
def _real() -> list[Photo]:
    folder = VAR / "photos" / SMALL.name
    engine = load_engine("litert", MODEL, 1)
    photos = []
    for call in make(SMALL, folder)[:_REAL]:
        data = (folder / call.photo).read_bytes()
        (point,), tensors = prepare(MODEL, data, [Point(call.x, call.y)], Settings().max_pixels)
        (item,) = to_items(MODEL.classifiers, engine.run(tensors))
        photos.append(Photo(data, int(point.x), int(point.y), item))
    return photos
