"""An answer of the service, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OWN = {"request_id", "success", "model", "version", "point", "points", "timing_ms", "batch_size"}


@dataclass(frozen=True)
class Label:
    """One of the labels that a classifier found likely."""

    label: str
    probability: float


@dataclass(frozen=True)
class Item:
    """What is answered about one point."""

    point: tuple[float, float]  # pixels from the upright photo's top left corner
    labels: Mapping[str, tuple[Label, ...]]  # by the classifier's name, likeliest first

    def __getitem__(self, classifier: str) -> tuple[Label, ...]:
        return self.labels[classifier]


@dataclass(frozen=True)
class Answer:
    """What is answered about a photo."""

    request_id: str
    model: str
    version: str
    items: tuple[Item, ...]  # one per point, in the order asked
    timing_ms: Mapping[str, float]
    batch_size: int

    def __getitem__(self, classifier: str) -> tuple[Label, ...]:
        """Return the labels of the first point, which mostly is the only one."""
        return self.items[0][classifier]


def read_answer(content: Mapping[str, Any]) -> Answer:
    """Read the JSON of `/predict`. Raises `KeyError`, `TypeError` where it is something else."""
    items = content.get("points", [content])
    return Answer(
        content["request_id"],
        content["model"],
        content["version"],
        tuple(_read_item(item) for item in items),
        content["timing_ms"],
        content["batch_size"],
    )


def _read_item(content: Mapping[str, Any]) -> Item:
    point = content["point"]
    labels = {
        name: tuple(Label(entry["label"], entry["probability"]) for entry in entries)
        for name, entries in content.items()
        if name not in _OWN
    }
    return Item((point["x"], point["y"]), labels)
