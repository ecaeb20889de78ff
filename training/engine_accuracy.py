"""The engines' part of `docs/accuracy.md`: how far LiteRT's int8 departs from the session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from shared.manifest import Classifier, Model, read_model
from shared.messages import Tensor
from shared.preparation import prepare
from training.theme_accuracy import hits
from training.theme_map import read_caltech, read_imagenet
from training.theme_photos import list_photos
from worker.engines import Engine, load_engine

_MAX_PIXELS = 50_000_000
_BATCH = 8


def report(data: Path) -> str:
    """Run all photos of `data` through both engines; return the section in Markdown."""
    model = read_model(Path("models/tags"))
    photos = {
        "theme photos": sorted((data / "photos").glob("*/**/*.[jJ][pP]*")),
        "product photos": sorted((data / "fashion").glob("*.jpg")),
    }
    engines = {name: load_engine(name, model, 1) for name in ("session", "litert")}
    rows = []
    for kind, paths in photos.items():
        tensors = [prepare(model, path.read_bytes(), [], _MAX_PIXELS)[1] for path in paths]
        session, litert = (
            _softmaxes(engine, tensors, model.classifiers) for engine in engines.values()
        )
        for classifier, one, other in zip(model.classifiers, session, litert, strict=True):
            rows.append(f"| {kind} | {len(paths)} | {classifier.name} | {_compare(one, other)} |")
    return "\n".join(
        [
            "## Engines",
            "",
            "The figures above are the session's, in float32, but for the rows that name LiteRT, "
            "which computes the convolutions in int8. The committed graphs, both engines, photos "
            "at their centre:",
            "",
            "| photos | | classifier | same first answer | same first five | largest difference "
            "of a probability, mean | 99 % |",
            "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "How often the first theme, or one of the first five, is right, as in *Themes* above. "
            "The committed graphs were trained on these very photos: this tells what int8 costs, "
            "not how good they are on others:",
            "",
            "| photos | engine | top-1 | top-5 |",
            "| --- | --- | ---: | ---: |",
            *_right_themes(data / "photos", model, engines),
            "",
        ]
    )


def _right_themes(folder: Path, model: Model, engines: Mapping[str, Engine]) -> list[str]:
    themes = model.classifiers[0].labels
    caltech = read_caltech(folder / "caltech_themes.csv", themes)
    shares = np.concatenate([read_imagenet(themes).shares, caltech.shares])
    photos = list(list_photos(folder, caltech))
    tensors = [prepare(model, path.read_bytes(), [], _MAX_PIXELS)[1] for path, _ in photos]
    truth = shares[[index for _, index in photos]] > 0
    lines = []
    for name, engine in engines.items():
        softmax = _softmaxes(engine, tensors, model.classifiers)[0]
        for kind in ("Caltech", "ImageNet"):
            chosen = np.array([kind.lower() in path.parts for path, _ in photos])
            first, among = (hits(truth[chosen], softmax[chosen], count).mean() for count in (1, 5))
            lines.append(f"| {kind} ({chosen.sum()}) | {name} | {first:.3f} | {among:.3f} |")
    return sorted(lines)


def _softmaxes(
    engine: Engine, tensors: list[list[Tensor]], classifiers: tuple[Classifier, ...]
) -> list[Tensor]:
    """Return float32 [photos, labels] per classifier."""
    parts = []
    for start in range(0, len(tensors), _BATCH):
        batch = [
            np.concatenate(column) for column in zip(*tensors[start : start + _BATCH], strict=True)
        ]
        answers = engine.run(batch, max(len(item.labels) for item in classifiers))
        parts.append([(answer.labels, answer.probabilities) for answer in answers])
    softmaxes = []
    for column in zip(*parts, strict=True):
        labels, probabilities = (np.concatenate(side) for side in zip(*column, strict=True))
        softmax = np.empty_like(probabilities)
        np.put_along_axis(softmax, labels, probabilities, axis=1)
        softmaxes.append(softmax)
    return softmaxes


def _compare(session: Tensor, litert: Tensor) -> str:
    same_first = (session.argmax(axis=1) == litert.argmax(axis=1)).mean()
    fives = [np.sort(np.argsort(-softmax, axis=1)[:, :5], axis=1) for softmax in (session, litert)]
    same_five = (fives[0] == fives[1]).all(axis=1).mean()
    off = np.abs(session - litert).max(axis=1)
    return f"{same_first:.3f} | {same_five:.3f} | {off.mean():.4f} | {np.quantile(off, 0.99):.3f}"
