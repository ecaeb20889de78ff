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
from sklearn.datasets import load_digits

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
_ENGINES = ("session", "litert")

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
            _engines(data),
            "",
            "## Digits",
            "",
            *_digits(),
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
        "and neighbours may be of one hand; who wrote what is not known. They are of the same "
        "source as what it was trained on, so photos by others may do worse. Every photo goes "
        "through the service's own code, from its file's bytes on. (The committed graph is trained "
        "on all of them.)",
        "",
        "| photos | | top-1 of 62 | letter case not told apart | top-5 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, chosen in rows.items():
        right = held.labels[chosen]
        figures = [
            (first[chosen] == right).mean(),
            (caseless(first[chosen]) == caseless(right)).mean(),
            (fives[chosen] == right[:, None]).any(axis=1).mean(),
        ]
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        lines.append(f"| {kind} | {chosen.sum()} | {cells} |")
    return lines


def caseless(labels: Labels) -> Labels:
    """Return positions in `LABELS` that are the same for a letter in either case."""
    return np.array([LABELS.lower().index(LABELS[label].lower()) for label in labels])


def _confusions(held: Held) -> str:
    first = held.probabilities.argmax(axis=1)
    return f"Most often mistaken: {_mistaken(held.labels, first)}. {_size_lost(held)}"


def _mistaken(labels: Labels, first: Labels) -> str:
    wrong = Counter(
        f"{LABELS[right]} as {LABELS[answer]}"
        for right, answer in zip(labels, first, strict=True)
        if right != answer
    )
    return ", ".join(f"{pair} {count}" for pair, count in wrong.most_common(_CONFUSIONS))


def _size_lost(held: Held) -> str:
    first = held.probabilities.argmax(axis=1)
    wrong = first != held.labels
    case = wrong & (caseless(first) == caseless(held.labels))
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
    labels, probabilities = ask("characters", [path.read_bytes() for path in paths])["session"]
    answers = zip(labels[:, 0], probabilities[:, 0], strict=True)
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


def _engines(data: Path) -> str:
    answers = ask("characters", [path.read_bytes() for path, _, _ in photo_paths(data)])
    (session, sure), (litert, other) = (answers[engine] for engine in _ENGINES)
    same = (session[:, 0] == litert[:, 0]).mean()
    return (
        f"Both engines compute it in float32: of all {len(session)} photos, the committed graph's "
        f"first answer is the same for {same:.4f}, and its probability differs by "
        f"{np.abs(sure - other)[:, 0].max():.0e} at most."
    )


def _digits() -> list[str]:
    scans, small = read_mnist("t10k"), load_digits()
    kinds = {
        "MNIST": ([to_png(image) for image in scans.images], scans.labels),
        "scikit-learn": ([to_png(on_a_sheet(values)) for values in small.images], small.target),
    }
    lines = [
        "MNIST's 10,000 test images, and from elsewhere the 1,797 digits of 8x8 pixels that come "
        "with scikit-learn: by 13 other people, on forms; nothing here was trained on them. They "
        "are enlarged and laid on a white sheet. All go as PNG files through the service's own "
        "code to the committed graphs; in `characters` 52 other labels compete. No letters from "
        "elsewhere were at hand: how well letters of another source are read is not known.",
        "",
        f"| digits | model | {' | '.join(f'top-1, {engine}' for engine in _ENGINES)} | top-5 |",
        "| --- | --- |" + " ---: |" * (len(_ENGINES) + 1),
    ]
    for kind, (pictures, right) in kinds.items():
        for name in ("digits", "characters"):
            answers = ask(name, pictures)
            shares = [(answers[engine][0][:, 0] == right).mean() for engine in _ENGINES]
            shares.append((answers["session"][0] == right[:, None]).any(axis=1).mean())
            cells = " | ".join(f"{share:.4f}" for share in shares)
            lines.append(f"| {kind} | `{name}` | {cells} |")
    mistaken = _mistaken(right, answers["session"][0][:, 0])
    return [*lines, "", f"Of the last row, most often mistaken: {mistaken}."]


def on_a_sheet(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return ink [8, 8] of 0 to 16, as scikit-learn has it, black on a white sheet [44, 44]."""
    image = Image.fromarray((values * (255 / 16)).astype(np.uint8))
    ink = np.asarray(image.resize((28, 28), Image.Resampling.BICUBIC))
    return 255 - np.pad(ink, 8)


def to_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Return grey values [h, w] as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def ask(name: str, pictures: list[bytes]) -> dict[str, tuple[Labels, npt.NDArray[np.float32]]]:
    """Return what each engine says of `pictures` with the committed graph of model `name`.

    That is the five likeliest labels and how likely they are, both [n, 5].
    """
    model = read_model(Path("models") / name)
    rows = [prepare(model, picture, [], _MAX_PIXELS)[1][0] for picture in pictures]
    found = {}
    for engine in _ENGINES:
        loaded = load_engine(engine, model, 1)
        answers = [
            loaded.run([np.concatenate(rows[start : start + _BATCH])])[0]
            for start in range(0, len(rows), _BATCH)
        ]
        found[engine] = (
            np.concatenate([answer.labels for answer in answers]),
            np.concatenate([answer.probabilities for answer in answers]),
        )
    return found


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(
        prog="python -m training.characters_accuracy", description=__doc__
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    print(report(parser.parse_args().data))


if __name__ == "__main__":
    main()
