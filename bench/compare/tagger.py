"""Photo and point → answer, in one process: what `bare` loops and every peer serves.

All get the same frozen graphs, engine and top 5, so that a comparison is one of servers. Runs in
the peers' environments, too: it needs what a worker needs.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from shared.images import Pixels, Point
from shared.manifest import Model, read_model
from shared.memory import keep_freed_memory
from shared.preparation import prepare
from worker.engines import Answer, Engine, load_engine
from worker.results import Item, to_items

ROOT = Path(__file__).parents[2]
MAX_PIXELS = 50_000_000
THREADS = 1


def load(name: str, model: Model) -> Engine:
    """Load the engine `name` for `model`, as a worker does."""
    return load_engine(name, model, THREADS)


def usual(model: Model, data: bytes, point: Point) -> list[Pixels]:
    """Decode and cut as tutorials do: open → convert → crop → resize."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    tensors = []
    for crop in (classifier.crop for classifier in model.classifiers):
        window = image.crop(crop.box(image.size, point))
        resized = window.resize((crop.width, crop.height), Image.Resampling.BICUBIC)
        tensors.append(np.asarray(resized)[np.newaxis])
    return tensors


class Tagger:
    """Model `tags` in an engine, with the service's own decode or the usual one."""

    def __init__(self, engine: str, decode: str) -> None:
        """`engine` is a name that `load` takes; `decode` is `own` or `usual`."""
        self.model = read_model(ROOT / "models" / "tags")
        self.engine = load(engine, self.model)
        self.decode = decode
        if decode == "own":  # a web process does so, too
            keep_freed_memory()

    def cut(self, data: bytes, x: int, y: int) -> list[Pixels]:
        """Return a tensor per classifier, uint8 [1, height, width, 3]."""
        if self.decode == "usual":
            return usual(self.model, data, Point(x, y))
        return prepare(self.model, data, [Point(x, y)], MAX_PIXELS)[1]

    def run(self, cuts: Sequence[list[Pixels]]) -> list[Answer]:
        """Run a batch of what `cut` returned."""
        return self.engine.run([np.concatenate(parts) for parts in zip(*cuts, strict=True)])

    def tag(self, cuts: Sequence[list[Pixels]]) -> list[Item]:
        """Run a batch of what `cut` returned; return an answer each."""
        return to_items(self.model.classifiers, self.run(cuts))
