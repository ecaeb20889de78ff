"""The themes' part of `docs/accuracy.md`: tables and a confusion picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from matplotlib.figure import Figure

from training.lite0 import classifier, fetch_weights
from training.theme_folds import FOLDS, Settings, class_folds, cross_validate, photo_folds
from training.theme_head import Floats, imagenet_head
from training.theme_int8 import read_features
from training.theme_photos import POINTS, VIEWS, Photos, read_photos, views
from training.themes import CACHE, GRAPH, read_labels

matplotlib.use("Agg")

PICTURE = "themes_confusion.png"
_CALIBRATION_BINS = 10

Truth = npt.NDArray[np.bool_]  # [photos, themes]: which themes are right
Chosen = npt.NDArray[np.bool_]  # [photos]


@dataclass(frozen=True)
class Held:
    """What is said of every photo, [photos, POINTS or more, themes], by heads of four kinds."""

    mapped: Floats  # the ImageNet classes' map alone, without any training
    unseen_photos: Floats  # the photo left out of the head's training
    unseen_int8: Floats  # the same heads, asked for the features as LiteRT makes them
    unseen_classes: Floats  # all photos of its class left out
    committed: Floats  # the committed graph, which was trained on these photos
    settings: list[Settings]  # of the heads of `unseen_photos`


def report(data: Path, docs: Path) -> str:
    """Cross-validate, write `PICTURE` into `docs`, and return the section in Markdown.

    `data` is the folder of `../shared/data/README.md`. Takes about ten minutes.
    """
    labels, weights = read_labels(), fetch_weights(CACHE)
    photos = read_photos(data, weights, labels)
    base = imagenet_head(classifier(weights), photos)
    both = [photos.features, read_features(data / "photos", photos.names)]
    said, settings = cross_validate(photos, photo_folds(photos), base, np.concatenate(both, axis=1))
    seen, in_int8 = np.split(said, [VIEWS], axis=1)
    new, _ = cross_validate(photos, class_folds(photos), base, photos.features)
    committed = _ask_graph(data, photos)
    held = Held(base.probabilities(photos.features), seen, in_int8, new, committed, settings)
    truth = photos.shares > 0
    _draw_confusion(truth, held.unseen_photos[:, 0], labels, docs / PICTURE)
    return "\n".join(
        [
            "## Themes",
            "",
            _method(held),
            "",
            *_main_table(photos, held),
            "",
            *_theme_table(photos, held, labels),
            "",
            f"![Which theme is taken for which]({PICTURE})",
            "",
        ]
    )


def hits(truth: Truth, probabilities: Floats, count: int) -> Chosen:
    """Return for each row whether a right theme is among the `count` most likely."""
    first = np.argsort(-probabilities, axis=-1)[..., :count]
    return np.asarray(np.take_along_axis(truth, first, axis=-1).any(axis=-1))


def calibration_error(truth: Truth, probabilities: Floats) -> float:
    """Return the expected calibration error of the first answer, in 10 bins of confidence."""
    confidence = probabilities.max(axis=1)
    gap = hits(truth, probabilities, 1) - confidence
    bins = np.minimum(confidence * _CALIBRATION_BINS, _CALIBRATION_BINS - 1).astype(np.int64)
    sums = np.bincount(bins, weights=gap, minlength=_CALIBRATION_BINS)
    return float(np.abs(sums).sum() / len(truth))


def _ask_graph(data: Path, photos: Photos) -> Floats:
    definition = tf.compat.v1.GraphDef.FromString(GRAPH.read_bytes())
    rows = []
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            for name in photos.names:
                crops = views((data / "photos" / name).read_bytes())
                rows.append(session.run("probabilities:0", {"image:0": crops}))
    return np.stack(rows)


def _method(held: Held) -> str:
    chosen = ", ".join(f"{one.penalty:g} / {one.sharpness:.2f}" for one in held.settings)
    return (
        f"Cross-validated in {FOLDS} folds: a photo is judged by a head that was trained without "
        "it and without its near-duplicates; the head's penalty and the sharpness of its logits "
        f"were chosen inside its own training photos (penalty / sharpness: {chosen}). The network "
        "below the head is never trained here. There is one photo of each ImageNet class, so an "
        "ImageNet photo's whole class is unknown to the head that judges it; but it is probably "
        "one of those that the network itself was trained on. Caltech's photos are independent of "
        "it. A photo whose class has several themes is right with any of them; all 42 themes "
        "compete. The committed graph is trained on all photos: its row only shows that the file "
        "does what the heads do. For the rows *as LiteRT* the same heads are asked for what "
        "LiteRT's own kernels make of the network in int8 (XNNPACK's, which serve, round a little "
        "otherwise); its ranges were set by these same photos of ImageNet, not by Caltech's."
    )


def _main_table(photos: Photos, held: Held) -> list[str]:
    judges = {
        "map of ImageNet's classes alone, untrained": held.mapped,
        "class not in the head's training": held.unseen_classes,
        "**photo not in the head's training**": held.unseen_photos,
        "the same, convolutions in int8, as LiteRT": held.unseen_int8,
        "committed graph (on its own training photos)": held.committed,
    }
    lines = [
        "| photos | judged by | top-1 | top-5 | top-1, five points | top-5, five points "
        "| log loss | ECE |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    truth = photos.shares > 0
    for kind, chosen in (("Caltech", photos.is_caltech), ("ImageNet", ~photos.is_caltech)):
        right = truth[chosen]
        spread = np.broadcast_to(right[:, None], (len(right), POINTS, right.shape[1]))
        for judge, every in judges.items():
            at_centre, at_points = every[chosen, 0], every[chosen, :POINTS]
            loss = -np.log(np.maximum((at_centre * right).sum(axis=1), 1e-9)).mean()
            figures = [
                hits(right, at_centre, 1).mean(),
                hits(right, at_centre, 5).mean(),
                hits(spread, at_points, 1).mean(),
                hits(spread, at_points, 5).mean(),
                loss,
                calibration_error(right, at_centre),
            ]
            cells = " | ".join(f"{figure:.3f}" for figure in figures)
            lines.append(f"| {kind} ({chosen.sum()}) | {judge} | {cells} |")
    strict = photos.shares == photos.shares.max(axis=1, keepdims=True)
    first = hits(strict, held.unseen_photos[:, 0], 1)[~photos.is_caltech].mean()
    lines += [
        "",
        "The first columns are at the photo's centre, the five points are the centre and the "
        "corners, which move the crop as far as any point can. With only the theme of the "
        f"largest share counted as right, top-1 on ImageNet's photos is {first:.3f}.",
    ]
    return lines


def _theme_table(photos: Photos, held: Held, labels: tuple[str, ...]) -> list[str]:
    lines = [
        "| theme | Caltech photos | top-1 | top-5 | ImageNet photos | top-1 | top-5 "
        "| ImageNet classes in the map |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    main = photos.shares.argmax(axis=1)
    truth, answers = photos.shares > 0, held.unseen_photos[:, 0]
    no_caltech, none = [], []
    for index, label in enumerate(labels):
        cells, counts = [], []
        for kind in (photos.is_caltech, ~photos.is_caltech):
            chosen = kind & (main == index)
            counts.append(int(chosen.sum()))
            figures = [
                f"{hits(truth[chosen], answers[chosen], count).mean():.2f}" if chosen.any() else "-"
                for count in (1, 5)
            ]
            cells += [str(counts[-1]), *figures]
        if not any(counts):
            none.append(label)
        elif not counts[0]:
            no_caltech.append(label)
        classes = (photos.imagenet.shares[:, index] > 0).sum()
        lines.append(f"| {label} | {' | '.join(cells)} | {classes} |")
    lines += [
        "",
        "A photo is counted under the theme of its class's largest share, at the centre, judged "
        "by a head that was not trained on it.",
        "",
        f"No test photo at all, so no evidence beyond the map: {', '.join(none) or 'none'}.",
        "",
        "Only ImageNet's photos, one of each class, so weak evidence: "
        f"{', '.join(no_caltech) or 'none'}.",
    ]
    return lines


def _draw_confusion(
    truth: Truth, probabilities: Floats, labels: tuple[str, ...], path: Path
) -> None:
    answer = probabilities.argmax(axis=1)
    right = np.take_along_axis(truth, answer[:, None], axis=1)[:, 0]
    table = np.zeros((len(labels), len(labels)))
    np.add.at(table, (np.where(right, answer, truth.argmax(axis=1)), answer), 1)
    figure = Figure(figsize=(13, 12), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0)
    axes.set_xticks(range(len(labels)), labels, rotation=75, ha="right", fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel("first answer")
    axes.set_ylabel("right theme (photos; Caltech and ImageNet together)")
    for row, column in zip(*np.nonzero(table), strict=True):
        colour = "white" if table[row, column] > 0.5 * table[row].sum() else "black"
        count = f"{table[row, column]:.0f}"
        axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=7)
    figure.savefig(path, dpi=100)
