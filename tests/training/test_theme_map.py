"""The map from ImageNet's classes to themes: complete, and every theme can win."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.theme_map import read_caltech, read_imagenet

LABELS = Path(__file__).parents[2] / "models" / "tags" / "1" / "themes.txt"
THEMES = tuple(LABELS.read_text(encoding="utf-8").splitlines())


def test_every_class_has_shares_that_sum_to_one() -> None:
    imagenet = read_imagenet(THEMES)
    assert imagenet.shares.shape == (1000, 42)
    np.testing.assert_allclose(imagenet.shares.sum(axis=1), 1, atol=1e-6)


def test_every_theme_is_the_first_of_some_class() -> None:
    first = read_imagenet(THEMES).shares.argmax(axis=1)
    assert {THEMES[place] for place in first} == set(THEMES)


@pytest.mark.parametrize(
    ("name", "theme"),
    [("beagle", "Dogs"), ("lipstick", "Beauty & Skincare"), ("suit", "Men's Fashion")],
)
def test_a_class_has_the_theme_one_expects(name: str, theme: str) -> None:
    imagenet = read_imagenet(THEMES)
    assert THEMES[imagenet.shares[imagenet.classes.index(name)].argmax()] == theme


def test_several_themes_of_a_caltech_class_share_equally(tmp_path: Path) -> None:
    path = tmp_path / "themes.csv"
    path.write_text("class,themes\nwatch,Jewelry & Watches\nemu,Birds|Wildlife\n", encoding="utf-8")
    caltech = read_caltech(path, THEMES)
    assert caltech.classes == ("emu", "watch")
    assert caltech.shares[0, THEMES.index("Birds")] == 0.5
    assert caltech.shares[0, THEMES.index("Wildlife")] == 0.5


def test_a_theme_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "themes.csv"
    path.write_text("class,themes\nwatch,Watches\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not in tuple"):
        read_caltech(path, THEMES)
