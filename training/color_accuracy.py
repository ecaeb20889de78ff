"""The colours' part of `docs/accuracy.md`: tables and a confusion picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from training.color_folds import FOLDS, Held, cross_validate
from training.colors import CROP, read_labels

matplotlib.use("Agg")

PICTURE = "colors_confusion.png"
_CALIBRATION_BINS = 15

Labels = tuple[str, ...]
Truth = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


def report(data: Path, docs: Path) -> str:
    """Cross-validate, write `PICTURE` into `docs`, and return the section in Markdown.

    `data` is the folder of `../shared/data/README.md`. Takes an hour where the code or the
    data changed since the last call, else seconds.
    """
    labels = read_labels()
    held = cross_validate(data, CROP, labels)
    plain = held.photos.plain
    truth = held.photos.meanings[plain].argmax(axis=1)
    probabilities = held.photo_probabilities[plain]
    _draw_confusion(truth, probabilities, labels, docs / PICTURE)
    return "\n".join(
        [
            "## Colours",
            "",
            _method(held),
            "",
            *_photo_table(truth, probabilities, labels),
            "",
            f"![Which colour is taken for which]({PICTURE})",
            "",
            *_flat_table(held, labels),
            "",
        ]
    )


def _method(held: Held) -> str:
    split = sorted(
        {word for word, sure in zip(held.photos.words, held.photos.plain, strict=True) if not sure}
    )
    return (
        f"Cross-validated: trained {FOLDS} times as the committed graph is, each time without a "
        f"fifth of the product photos and a fifth of the survey's HSV bins, and asked for those. "
        f"(The committed graph is trained on all of them.) Settings were chosen on folds of these "
        f"same photos, and photos of one product may lie in different folds (trees lose 0.024 "
        f"top-1 when they may not), so photos of new products will do somewhat worse. A photo is "
        f"asked at its centre point; left out are photos whose 9x9 centre is nearly white though "
        f"the seller's colour is not, "
        f"and those whose seller's word has two meanings here ({', '.join(split)}; "
        f"{np.sum(~held.photos.plain)} photos)."
    )


def hits(truth: Truth, probabilities: Floats, count: int) -> npt.NDArray[np.bool_]:
    """Return for each row of [n, labels] whether the truth is among the `count` most likely."""
    first = np.argsort(-probabilities, axis=1)[:, :count]
    return np.asarray((first == truth[:, None]).any(axis=1))


def calibration_error(truth: Truth, probabilities: Floats) -> float:
    """Return the expected calibration error of the first answer, in 15 bins of confidence."""
    confidence = probabilities.max(axis=1)
    gap = hits(truth, probabilities, 1) - confidence
    bins = np.minimum(confidence * _CALIBRATION_BINS, _CALIBRATION_BINS - 1).astype(np.int64)
    sums = np.bincount(bins, weights=gap, minlength=_CALIBRATION_BINS)
    return float(np.abs(sums).sum() / len(truth))


def _photo_table(truth: Truth, probabilities: Floats, labels: Labels) -> list[str]:
    first, five = hits(truth, probabilities, 1), hits(truth, probabilities, 5)
    seen = np.unique(truth)
    recalls = np.array(
        [(first[truth == place].mean(), five[truth == place].mean()) for place in seen]
    )
    means = recalls.mean(axis=0)
    unseen = [label for place, label in enumerate(labels) if place not in seen]
    return [
        f"| {len(truth)} product photos | |",
        "| --- | --- |",
        f"| top-1 | {first.mean():.3f} |",
        f"| top-5 | {five.mean():.3f} |",
        f"| mean recall@1 over {len(seen)} colours | {means[0]:.3f} |",
        f"| mean recall@5 over {len(seen)} colours | {means[1]:.3f} |",
        f"| calibration error (ECE) | {calibration_error(truth, probabilities):.3f} |",
        "",
        "| colour | photos | recall@1 | recall@5 |",
        "| --- | --- | --- | --- |",
        *(
            f"| {labels[place]} | {np.sum(truth == place)} | {one:.2f} | {top:.2f} |"
            for place, (one, top) in zip(seen, recalls, strict=True)
        ),
        "",
        f"No product photo, so no evidence beyond patches made for them: {', '.join(unseen)}.",
    ]


def _flat_table(held: Held, labels: Labels) -> list[str]:
    """Flat patches of the bins in which most people gave one of the labels' own names."""
    survey = held.survey
    asked = survey.majority >= 0
    truth, answers = survey.majority[asked], survey.answers[asked]
    right = hits(truth, held.flat_probabilities[asked], 1)
    return [
        f"| {len(truth)} flat patches, bins where most people say one of the names | top-1 |",
        "| --- | --- |",
        f"| every bin alike | {right.mean():.3f} |",
        f"| by the number of answers | {np.average(right, weights=answers):.3f} |",
        *(
            f"| {labels[place]} ({chosen.sum()} bins) | {right[chosen].mean():.2f} |"
            for place in np.unique(truth)
            if (chosen := truth == place).any()
        ),
    ]


def _draw_confusion(truth: Truth, probabilities: Floats, labels: Labels, path: Path) -> None:
    seen = np.unique(truth)
    table = np.zeros((len(labels), len(labels)))
    np.add.at(table, (truth, probabilities.argmax(axis=1)), 1)
    table = table[seen] / table[seen].sum(axis=1, keepdims=True)
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axes.set_yticks(range(len(seen)), [labels[place] for place in seen])
    axes.set_xlabel("the network's first answer")
    axes.set_ylabel("the seller's colour")
    for row, column in zip(*np.nonzero(table >= 0.05), strict=True):
        colour = "white" if table[row, column] > 0.5 else "black"
        axes.text(
            column,
            row,
            f"{table[row, column]:.2f}",
            ha="center",
            va="center",
            color=colour,
            fontsize=7,
        )
    figure.savefig(path, dpi=110)
