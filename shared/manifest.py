"""Reads `models/<name>/model.toml`: what a model is, without loading it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.images import Crop
from shared.steps import check

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

# What answers and bodies have beside classifiers, where those stand by their names.
_RESERVED = (
    *("request_id", "success", "model", "version", "point", "points", "timing_ms", "batch_size"),
    *("image", "b64", "serving_default"),
)


class NoSuchClassifierError(LookupError):
    """A model has no classifier of that name."""


class ManifestError(ValueError):
    """A model folder that cannot be served; the message names the file and what is wrong."""


@dataclass(frozen=True)
class Classifier:
    """One network inside a model.

    Its graph is a frozen `.pb`, a SavedModel folder, a `.keras` or a `.tflite` file. It takes
    float32 [n, height, width, channels] with pixel values 0-255 mapped linearly onto `low`-`high`,
    or uint8 as they are, and puts out the softmax, float32 [n, len(labels)].
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

    def only(self, names: Sequence[str]) -> Model:
        """Return the model with none but the classifiers `names`, in its own order.

        It has no files that are made for all classifiers together. Raises `NoSuchClassifierError`.
        """
        own = [item.name for item in self.classifiers]
        if unknown := [name for name in names if name not in own]:
            raise NoSuchClassifierError(
                f"model {self.name!r} has no classifier {unknown[0]!r}, but {', '.join(own)}"
            )
        chosen = tuple(item for item in self.classifiers if item.name in names)
        return replace(self, classifiers=chosen, litert=None, golden=None)

    @property
    def queue(self) -> str:
        """Return the name of the queue: every version has its own."""
        return queue_name(self.name, self.version)


def queue_name(model: str, version: str) -> str:
    """Return the name of the queue of a version of a model."""
    return f"{model}:{version}"


@dataclass(frozen=True)
class Versions:
    """Which versions a model's folder holds."""

    names: tuple[str, ...]  # the one that is wanted first: the pinned one, then the highest
    pinned: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # names that stand for a version


def model_folders(folder: Path) -> list[Path]:
    """Return the folder of every model below `folder`. Raises `ManifestError` where none is."""
    found = {path.parent for path in folder.glob("*/model.toml")}
    found |= {path.parent.parent for path in folder.glob("*/*/model.toml") if _is_version(path)}
    if not found:
        raise ManifestError(f"{folder}: no model, that is no <name>/model.toml")
    return sorted(path for path in found if not path.name.startswith("."))


def _is_version(path: Path) -> bool:
    return path.parent.name.isdecimal()


def read_versions(folder: Path) -> Versions:
    """Return which versions a model's folder holds. Raises `ManifestError`."""
    if not _NAME.fullmatch(folder.name):
        raise ManifestError(f"{folder}: a model's name is made of a-z, 0-9, - and _")
    names = [child.name for child in folder.iterdir() if child.is_dir() and child.name.isdecimal()]
    if not names:
        raise ManifestError(f"{folder}: no version, that is no folder named by a number")
    path = folder / "model.toml"
    table = _read(path) if path.exists() else {}
    pinned = str(table.get("pinned", ""))
    if pinned and pinned not in names:
        raise ManifestError(f"{path}: pinned = {pinned}, and there is no such version")
    labels = table.get("labels", {})
    if not isinstance(labels, dict) or any(label.isdecimal() for label in labels):
        raise ManifestError(f"{path}: labels are {{ stable = 1 }}")
    names.sort(key=lambda name: (name == pinned, int(name)), reverse=True)
    labels = {label: str(number) for label, number in labels.items()}
    return Versions(tuple(names), pinned, labels)


def read_model(folder: Path, version: str = "") -> Model:
    """Read one version of a model; the one that is wanted, unless it is named.

    The version's own `model.toml` describes it; where it has none, the model's does. Raises
    `ManifestError`.
    """
    version = version or read_versions(folder).names[0]
    path = folder / version / "model.toml"
    if not path.exists():
        path = folder / "model.toml"
    table = _read(path)
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
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ManifestError(f"{path}: {reason}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: {error}") from error


def _named(folder: Path, table: dict[str, Any], key: str) -> Path | None:
    """Return the file that `key` names in a version's folder, or None where it names none."""
    if key not in table:
        return None
    path = folder / str(table[key])
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    return path


def _classifier(name: str, entry: dict[str, Any], folder: Path) -> Classifier:
    if name in _RESERVED:
        raise ValueError(f"{name}: no classifier can have this name, which means something else")
    crop = _crop(name, entry)
    low, high = (float(bound) for bound in entry["range"])
    labels = tuple((folder / entry["labels"]).read_text(encoding="utf-8").splitlines())
    if len(set(labels)) != len(labels) or not all(labels):
        raise ValueError(f"{name}: {entry['labels']} has an empty or a repeated label")
    graph = folder / entry["graph"]
    if not graph.exists():
        raise ValueError(f"{name}: {graph} does not exist")
    steps = tuple(str(step) for step in entry.get("steps", ()))
    check(steps)
    # What a frozen graph calls them; the other formats say themselves what they have.
    ends = {"input": "", "output": "", **entry} if graph.suffix != ".pb" else entry
    inner, outer = str(ends["input"]), str(ends["output"])
    return Classifier(name, crop, low, high, graph, inner, outer, labels, steps)


def _crop(name: str, entry: dict[str, Any]) -> Crop:
    width, height = (int(length) for length in entry["size"])
    if width < 1 or height < 1:
        raise ValueError(f"{name}: a size is 1 x 1 at least")
    cut = entry["crop"]
    if set(cut) not in ({"fraction"}, {"pixels"}):
        raise ValueError(f"{name}: a crop is {{ fraction = 0.8 }} or {{ pixels = 9 }}")
    fraction, pixels = cut.get("fraction"), cut.get("pixels")
    if "fraction" in cut and not (type(fraction) in (int, float) and 0 < fraction <= 1):
        raise ValueError(f"{name}: the fraction of a crop is a number above 0, 1 at most")
    if "pixels" in cut and (type(pixels) is not int or (width, height) != (pixels, pixels)):
        raise ValueError(f"{name}: a crop of {pixels} pixels has that size, a whole number")
    return Crop(width, height, fraction, pixels)
