"""The steps from a picture of writing to what a network sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from shared import images, steps
from shared.images import Crop, Pixels
from shared.manifest import read_model
from shared.preparation import prepare
from tests.photo_kinds import TO_STORED, encode, stored

MODELS = Path(__file__).parents[2] / "models"
STEPS = read_model(MODELS / "digits").classifiers[0].steps
SIZE = (28, 28)
MOST = 50_000_000
# A mean distance, of 255, from what a clean scan of the same writing becomes: a blank one is 18
# away, the same character mirrored 16.
NEAR = 8

WIDTH, HEIGHT = 800, 600
Picture = npt.NDArray[np.float64]  # grey, [h, w], 0-255
Spoil = Callable[[Picture], Picture]


def written() -> Picture:
    """Return a 4, as a pen writes it, on a clean sheet: black on white, a fifth of the height."""
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    draw.line([(400, 240), (360, 310), (440, 310)], fill=0, width=10, joint="curve")
    draw.line([(425, 270), (415, 360)], fill=0, width=10)
    return np.asarray(image, np.float64)


def on_paper(ink: Picture) -> Picture:
    """Return a photo: grey paper, a pen that is not black, the noise of a camera."""
    noise = np.random.default_rng(0).normal(0, 4, ink.shape)
    return np.asarray(60 + ink * 0.55 + noise)


def shaded(picture: Picture) -> Picture:
    """Light from the left, and a lens that darkens the corners."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return np.asarray(picture * (1 - 0.15 * x - 0.15 * (x * x + y * y)))


def ruled(picture: Picture) -> Picture:
    """Lined paper; one line goes through the writing."""
    lined = picture.copy()
    lined[20::70] -= 45
    lined[21::70] -= 45
    return lined


def on_table(picture: Picture) -> Picture:
    """A sheet on a dark table."""
    table = np.full((HEIGHT + 200, WIDTH + 300), 40.0)
    table[100:-100, 150:-150] = picture
    return table


def beside_another(picture: Picture) -> Picture:
    """The end of the next character, cut by the picture's edge."""
    crowded = picture.copy()
    crowded[250:300, -25:] -= 120
    return crowded


def dirty(picture: Picture) -> Picture:
    """Specks."""
    spotted = picture.copy()
    for row, column in ((100, 90), (480, 700), (300, 250)):
        spotted[row : row + 5, column : column + 5] -= 100
    return spotted


def on_board(picture: Picture) -> Picture:
    """Chalk: bright on dark."""
    return 255 - picture


def seen(picture: Picture, kind: str = "PNG") -> Pixels:
    """Return what the network sees of a picture's file."""
    rgb = Image.fromarray(picture.clip(0, 255).astype(np.uint8)).convert("RGB")
    data = encode(rgb, kind, **({"quality": 60} if kind == "JPEG" else {}))
    return prepare(read_model(MODELS / "digits"), data, [], MOST)[1][0][0, ..., 0]


def distance(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    "spoil", [np.asarray, shaded, ruled, on_table, beside_another, dirty, on_board]
)
def test_a_photo_becomes_what_a_clean_scan_becomes(spoil: Spoil, kind: str) -> None:
    clean = seen(written())
    assert distance(seen(spoil(on_paper(written())), kind), clean) < NEAR
    assert min(distance(clean[:, ::-1], clean), distance(clean * 0, clean)) > 2 * NEAR


def test_an_image_as_mnist_has_them_stays_as_it_is() -> None:
    image = np.zeros(SIZE, np.uint8)
    image[4:24, 12:16] = 255
    image[4:7, 9:19] = 90
    image[21:24, 9:20] = 130
    seen = steps.apply(STEPS, np.repeat(image[..., None], 3, axis=2), SIZE)
    assert seen.shape == (28, 28, 1)
    np.testing.assert_array_equal(seen[..., 0], image)


def test_the_dot_of_an_i_stays() -> None:
    picture = np.full((60, 60), 255.0)
    picture[25:50, 28:33] = 0
    with_dot = picture.copy()
    with_dot[14:18, 28:32] = 0
    assert seen(with_dot)[:8].max() > 200
    assert distance(seen(with_dot), seen(picture)) > NEAR


@pytest.mark.parametrize("orientation", TO_STORED)
def test_a_turned_camera_changes_nothing(orientation: int) -> None:
    upright = Image.fromarray(written().astype(np.uint8)).convert("RGB")
    model = read_model(MODELS / "digits")
    _, (tensor,) = prepare(model, stored(upright, orientation), [], MOST)
    assert distance(tensor[0, ..., 0], seen(written())) < 1


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 256), (256, 1), (5, 256), (256, 256)])
def test_any_picture_has_an_answer(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    black = np.zeros((*size, 3), np.uint8)
    for picture in (
        black,
        255 - black,
        random.integers(0, 256, black.shape).astype(np.uint8),
        np.repeat(random.integers(0, 2, (*size, 1)).astype(np.uint8) * 255, 3, axis=2),
    ):
        assert steps.apply(STEPS, picture, SIZE).shape == (28, 28, 1)


def test_nothing_written_is_black() -> None:
    assert not seen(np.full((HEIGHT, WIDTH), 200.0)).any()


def test_a_picture_keeps_its_proportions_and_a_small_one_its_pixels() -> None:
    crop = Crop(28, 28, fraction=1.0)
    assert steps.picture(crop, (4000, 3000)) == Crop(256, 192, fraction=1.0)
    assert steps.picture(crop, (30, 41)) == Crop(30, 41, fraction=1.0)


def test_a_large_photo_is_decoded_small() -> None:
    large = Image.fromarray(written().astype(np.uint8)).convert("RGB").resize((4000, 3000))
    header = images.read_header(encode(large, "JPEG"), MOST)
    crop = steps.picture(Crop(28, 28, fraction=1.0), header.size)
    assert images.decode(header, [crop]).scale >= 4


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["grey", "blur", "resize"], "'blur' is no step"),
        (["invert", "resize"], "begin with grey"),
        (["grey", "trim"], "end with centre or resize"),
    ],
)
def test_steps_that_cannot_be_done_are_refused(names: list[str], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        steps.check(names)
