"""Reads `models/<name>/model.toml`: what a model is, without loading it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.images import Crop

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class ManifestError(ValueError):
    """A model folder that cannot be served; the message names the file and what is wrong."""


@dataclass(frozen=True)
class Classifier:
    """One network inside a model.

    Its graph takes float32 [n, height, width, channels] with pixel values 0-255 mapped linearly
    onto `low`-`high`, and puts out the softmax, float32 [n, len(labels)].
    """

    name: str  # also the JSON key of its answer
    crop: Crop
    low: float
    high: float
    graph: Path
    input: str
    output: str
    labels: tuple[str, ...]
    steps: tuple[str, ...] = ()  # what is done to the crop, in this order

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the height, width and channels of one item."""
        return self.crop.height, self.crop.width, 1 if "grey" in self.steps else 3


@dataclass(frozen=True)
class Model:
    """What a client names: one or more classifiers that run together over a batch.

    `litert` is all of them in one graph for the LiteRT engine: it takes, per classifier, uint8
    pixels under the classifier's name, and puts out the softmaxes in the classifiers' order.
    """

    name: str
    version: str
    description: str
    classifiers: tuple[Classifier, ...]
    litert: Path | None = None
    golden: Path | None = None  # examples that every engine must agree on

    @property
    def queue(self) -> str:
        """Return the name of the queue: every version has its own."""
        return f"{self.name}:{self.version}"


def read_models(folder: Path) -> dict[str, Model]:
    """Return every model below `folder` by its name. Raises `ManifestError`."""
    models = [read_model(path.parent) for path in sorted(folder.glob("*/model.toml"))]
    if not models:
        raise ManifestError(f"{folder}: no model, that is no <name>/model.toml")
    return {model.name: model for model in models}


def read_model(folder: Path) -> Model:
    """Read one model folder; its highest numbered version is served. Raises `ManifestError`."""
    path = folder / "model.toml"
    if not _NAME.fullmatch(folder.name):
        raise ManifestError(f"{folder}: a model's name is made of a-z, 0-9, - and _")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: {error}") from error
    versions = [child.name for child in folder.iterdir() if child.is_dir() and child.name.isdigit()]
    if not versions:
        raise ManifestError(f"{folder}: no version, that is no folder named by a number")
    version = max(versions, key=int)
    try:
        classifiers = tuple(
            _classifier(name, entry, folder / version)
            for name, entry in table["classifiers"].items()
        )
        if not classifiers:
            raise ValueError("no classifiers")
        return Model(
            folder.name,
            version,
            str(table.get("description", "")),
            classifiers,
            _named(folder / version, table, "litert"),
            _named(folder / version, table, "golden"),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ManifestError(f"{path}: {reason}") from error


def _named(folder: Path, table: dict[str, Any], key: str) -> Path | None:
    """Return the file that `key` names in a version's folder, or None where it names none."""
    if key not in table:
        return None
    path = folder / str(table[key])
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    return path


def _classifier(name: str, entry: dict[str, Any], folder: Path) -> Classifier:
    width, height = (int(length) for length in entry["size"])
    low, high = (float(bound) for bound in entry["range"])
    cut = entry["crop"]
    if set(cut) not in ({"fraction"}, {"pixels"}):
        raise ValueError(f"{name}: a crop is {{ fraction = 0.8 }} or {{ pixels = 9 }}")
    crop = Crop(width, height, cut.get("fraction"), cut.get("pixels"))
    if crop.pixels is not None and (width, height) != (crop.pixels, crop.pixels):
        raise ValueError(f"{name}: a crop of {crop.pixels} pixels has that size")
    labels = tuple((folder / entry["labels"]).read_text(encoding="utf-8").splitlines())
    if len(set(labels)) != len(labels) or not all(labels):
        raise ValueError(f"{name}: {entry['labels']} has an empty or a repeated label")
    graph = folder / entry["graph"]
    if not graph.is_file():
        raise ValueError(f"{name}: {graph} does not exist")
    steps = tuple(str(step) for step in entry.get("steps", ()))
    return Classifier(name, crop, low, high, graph, entry["input"], entry["output"], labels, steps)
