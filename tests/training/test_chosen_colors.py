"""What users chose, exported, becomes examples of colours: the right patches, the right labels."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.feedback import Choice, Prediction
from shared.images import Point, cut, open_image
from training.choices import write_choices
from training.color_photos import read_chosen
from training.colors import CROP, read_labels

RED, BLUE = (200, 10, 20), (10, 20, 200)


@pytest.fixture
def photo() -> bytes:
    """A photo of 224 x 224 pixels: its left half red, its right half blue."""
    pixels = np.full((224, 224, 3), RED, np.uint8)
    pixels[:, 112:] = BLUE
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def choice(photo: bytes, number: int, x: int, chosen: dict[str, str | None], model: str) -> Choice:
    items = [{"point": [x, 100], "themes": [], "colors": []}]
    return Choice(Prediction(str(number), model, "1", photo, items), 0, time.time(), chosen)


def test_an_export_becomes_patches_with_the_labels_that_were_chosen(
    photo: bytes, tmp_path: Path
) -> None:
    chosen: list[tuple[int, dict[str, str | None], str]] = [
        (30, {"colors": "red"}, "tags"),
        (190, {"colors": "blue", "themes": "Cats"}, "tags"),
        (30, {"themes": "Cats"}, "tags"),
        (30, {"colors": None}, "tags"),
        (30, {"colors": "no longer a label"}, "tags"),
        (30, {"colors": "red"}, "another"),
    ]
    write_choices((choice(photo, number, *each) for number, each in enumerate(chosen)), tmp_path)
    labels = read_labels()
    photos = read_chosen(tmp_path, CROP, labels)
    assert photos.words == ("red", "blue")
    assert photos.patches.shape == (2, 16, 9, 9, 3)
    for patch, x, colour in zip(photos.patches[:, 0], (30, 190), (RED, BLUE), strict=True):
        assert (patch == colour).all()
        assert (patch == cut(open_image(photo, 100_000), Point(x, 100), CROP)).all()
    assert [labels[place] for place in photos.meanings.argmax(axis=1)] == ["red", "blue"]
    assert (photos.meanings.sum(axis=1) == 1).all()
    twice = photos.and_also(photos.subset(np.array([False, True])))
    assert twice.words == ("red", "blue", "blue")
    assert (twice.patches[2] == photos.patches[1]).all()
    assert (twice.meanings[2] == photos.meanings[1]).all()


def test_an_export_without_a_colour_is_refused(photo: bytes, tmp_path: Path) -> None:
    write_choices([choice(photo, 0, 30, {"themes": "Cats"}, "tags")], tmp_path)
    with pytest.raises(ValueError, match="nobody chose a colour"):
        read_chosen(tmp_path, CROP, read_labels())
