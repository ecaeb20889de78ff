"""The part of `docs/accuracy.md` on `characters` and `digits`: `report` writes it.

    python -m training.characters_accuracy [--data ../shared/data]

prints it alone.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from shared.manifest import read_model
from shared.preparation import prepare
from training.characters_data import photo_paths
from training.characters_fonts import LABELS
from training.characters_held import PARTS, Held, hold_out
from training.digits_data import read_mnist
from worker.engines import load_engine

# The ten pictures of the EMNIST comparison, by eye: they come without labels, and of some letters
# one cannot see which case was meant.
TEST_IMAGES = ("1", "a", "0", "3", "Xx", "Uu", "0Oo", "e", "5", "8")
_LOOKS_ALIKE = ("0Oo", "1Il")
_MAX_PIXELS = 50_000_000
_BATCH = 500
_CONFUSIONS = 12

Labels = npt.NDArray[np.int64]


def report(data: Path) -> str:
    """Hold photos out and ask the committed graphs; return the section in Markdown.

    Takes a quarter of an hour where the code changed since the last call, else two minutes.
    """
    held = hold_out(data)
    return "\n".join(
        [
            "## Characters",
            "",
            *_photo_table(held, len(photo_paths(data))),
            "",
            _confusions(held),
            "",
            *_test_images(data),
            "",
            "## Digits",
            "",
            *_mnist(),
            "",
        ]
    )


def _photo_table(held: Held, photos: int) -> list[str]:
    first = held.probabilities.argmax(axis=1)
    fives = np.argsort(-held.probabilities, axis=1)[:, :5]
    rows = {
        "all": np.ones(len(first), np.bool_),
        "digits": held.labels < 10,
        "capitals": (held.labels >= 10) & (held.labels < 36),
        "small letters": held.labels >= 36,
    }
    lines = [
        f"Photos of handwriting that were held out: every {PARTS}th group of ten photos with "
        f"neighbouring numbers, {len(first)} of {photos}. The network that judges them was "
        "trained as the committed one is, but without them. Identical files are in one group, "
        "and neighbours may be of one hand; who wrote what is not known. Every photo goes through "
        "the service's own code, from its file's bytes on. (The committed graph is trained on all "
        "of them.)",
        "",
        "| photos | | top-1 of 62 | letter case not told apart | top-5 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, chosen in rows.items():
        right = held.labels[chosen]
        figures = [
            (first[chosen] == right).mean(),
            (_caseless(first[chosen]) == _caseless(right)).mean(),
            (fives[chosen] == right[:, None]).any(axis=1).mean(),
        ]
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        lines.append(f"| {kind} | {chosen.sum()} | {cells} |")
    return lines


def _caseless(labels: Labels) -> Labels:
    return np.array([LABELS.lower().index(LABELS[label].lower()) for label in labels])


def _confusions(held: Held) -> str:
    first = held.probabilities.argmax(axis=1)
    wrong = Counter(
        f"{LABELS[right]} as {LABELS[answer]}"
        for right, answer in zip(held.labels, first, strict=True)
        if right != answer
    )
    listed = ", ".join(f"{pair} {count}" for pair, count in wrong.most_common(_CONFUSIONS))
    return f"Most often mistaken: {listed}. {_size_lost(held)}"


def _size_lost(held: Held) -> str:
    first = held.probabilities.argmax(axis=1)
    wrong = first != held.labels
    case = wrong & (_caseless(first) == _caseless(held.labels))
    alike = [
        any(LABELS[one] in group and LABELS[other] in group for group in _LOOKS_ALIKE)
        for one, other in zip(first, held.labels, strict=True)
    ]
    lost = wrong & (case | np.array(alike))
    return (
        f"Of {wrong.sum()} mistakes {lost.sum()} are of case, or among {' and '.join(_LOOKS_ALIKE)}"
        ": the picture is fitted to its box, which takes away how large the character was written."
    )


def _test_images(data: Path) -> list[str]:
    paths = sorted((data / "emnist" / "test_images").glob("*.png"))
    answers = []
    for path in paths:
        labels, probabilities = _ask("characters", [path.read_bytes()])
        answers.append((labels[0, 0], probabilities[0, 0]))
    cells = " | ".join(
        f"{LABELS[label]} {sure:.2f}{'' if LABELS[label] in right else ' (wrong)'}"
        for right, (label, sure) in zip(TEST_IMAGES, answers, strict=True)
    )
    return [
        "The ten test images of the EMNIST comparison. They come without labels: the first row is "
        "what they are by eye, the second the committed graph's first answer with its probability:",
        "",
        "| " + " | ".join(" or ".join(right) for right in TEST_IMAGES) + " |",
        "|" + " --- |" * len(TEST_IMAGES),
        f"| {cells} |",
    ]


def _mnist() -> list[str]:
    test = read_mnist("t10k")
    pictures = [_png(image) for image in test.images]
    labels, _ = _ask("digits", pictures)
    letters, _ = _ask("characters", pictures)
    return [
        "MNIST's 10,000 test images as PNG files, through the service's own code, to the "
        f"committed graphs: model `digits` names {(labels[:, 0] == test.labels).mean():.4f} "
        f"right; model `characters`, whose other 52 labels compete, "
        f"{(letters[:, 0] == test.labels).mean():.4f}.",
    ]


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _ask(name: str, pictures: list[bytes]) -> tuple[Labels, npt.NDArray[np.float32]]:
    """Return what model `name` says of `pictures`: its five likeliest labels, and how likely."""
    model = read_model(Path("models") / name)
    engine = load_engine("session", model, 1)
    parts = []
    for start in range(0, len(pictures), _BATCH):
        rows = [
            prepare(model, picture, [], _MAX_PIXELS)[1][0]
            for picture in pictures[start : start + _BATCH]
        ]
        (answer,) = engine.run([np.concatenate(rows)])
        parts.append((answer.labels, answer.probabilities))
    labels, probabilities = (np.concatenate(side) for side in zip(*parts, strict=True))
    return labels, probabilities


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(
        prog="python -m training.characters_accuracy", description=__doc__
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    print(report(parser.parse_args().data))


if __name__ == "__main__":
    main()
