"""Crops against the plain way: open, turn upright, convert to RGB, crop, resize in one step."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from shared.images import Crop, Pixels, Point, UndecodableImageError, cut, decode, read_header
from tests.photo_kinds import TO_STORED, cat, encode, stored

PATCH = Crop(9, 9, pixels=9)
MOST = 50_000_000
# A resampled crop's mean distance from the plain way's, of 255, and its largest.
MEAN, LARGEST = 1.5, 32

WIDTH, HEIGHT = 1501, 1103  # no multiples of a JPEG's blocks
POINTS = [Point(x, y) for x in (0, 700, WIDTH - 1) for y in (0, 601, HEIGHT - 1)]
# The size of a crop -> at which scale a JPEG of that size is decoded for it.
SCALES = {448: 1, 224: 2, 96: 4, 56: 8}

JPEGS: dict[str, dict[str, Any]] = {
    "4:2:0": {"subsampling": "4:2:0"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:4:4": {"subsampling": "4:4:4"},
    "progressive": {"progressive": True},
    "restart intervals": {"restart_marker_rows": 1},
    "coarse": {"quality": 40},
}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A real photo, enlarged, with the noise of a camera."""
    large = cat().resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).normal(0, 5, (HEIGHT, WIDTH, 1))
    return Image.fromarray((np.asarray(large) + noise).clip(0, 255).astype(np.uint8))


def window(size: int) -> Crop:
    """Return the crop of 80 %, made `size` pixels wide and high."""
    return Crop(size, size, fraction=0.8)


def plain(data: bytes, crop: Crop) -> list[Pixels]:
    """Return `crop` around each of the points, the plain way."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    parts = [image.crop(crop.box(image.size, point)) for point in POINTS]
    if crop.pixels is None:
        size = (crop.width, crop.height)
        parts = [part.resize(size, Image.Resampling.BICUBIC) for part in parts]
    return [np.asarray(part) for part in parts]


def assert_as_plain(data: bytes, crops: list[Crop], scale: int) -> None:
    """Decode `data` once for `crops`, at `scale`, and compare every crop around every point."""
    opened = decode(read_header(data, MOST), crops)
    assert opened.size == (WIDTH, HEIGHT)
    assert opened.scale == scale
    assert max(opened.stored.size) == -(-WIDTH // scale)
    for crop in crops:
        for point, wanted in zip(POINTS, plain(data, crop), strict=True):
            seen = cut(opened, point, crop)
            if crop.pixels is not None:
                assert np.array_equal(seen, wanted)
            else:
                apart = np.abs(seen.astype(np.int16) - wanted)
                assert apart.mean() <= MEAN
                assert apart.max() <= LARGEST


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("size", SCALES)
def test_a_jpeg_is_decoded_no_larger_than_its_crop_needs(
    size: int, kind: str, photo: Image.Image
) -> None:
    data = encode(photo, "JPEG", **{"quality": 88, **JPEGS[kind]})
    assert_as_plain(data, [window(size)], SCALES[size])


@pytest.mark.parametrize("kind", JPEGS)
def test_beside_a_crop_of_original_pixels_everything_is_cut_from_the_full_decode(
    kind: str, photo: Image.Image
) -> None:
    data = encode(photo, "JPEG", **{"quality": 88, **JPEGS[kind]})
    assert_as_plain(data, [window(56), window(224), PATCH], scale=1)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_other_colours_is_cut_likewise(mode: str, photo: Image.Image) -> None:
    data = encode(photo.convert(mode), "JPEG", quality=88)
    assert_as_plain(data, [window(224)], scale=2)
    assert_as_plain(data, [window(224), PATCH], scale=1)


@pytest.mark.parametrize("orientation", TO_STORED)
def test_a_turned_jpeg_is_cut_where_the_upright_one_is(
    orientation: int, photo: Image.Image
) -> None:
    data = stored(photo, orientation, "JPEG")
    assert_as_plain(data, [window(224)], scale=2)
    assert_as_plain(data, [window(224), PATCH], scale=1)


def test_a_crop_that_is_wider_than_high_is_turned_with_its_photo(photo: Image.Image) -> None:
    for orientation in TO_STORED:
        data = stored(photo, orientation, "JPEG")
        assert_as_plain(data, [Crop(160, 90, fraction=0.8)], scale=2)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_another_format_is_decoded_at_its_own_size(kind: str, photo: Image.Image) -> None:
    data = encode(photo, kind)
    assert_as_plain(data, [window(56), window(224)], scale=1)
    assert_as_plain(data, [window(224), PATCH], scale=1)


def test_a_crop_that_needs_more_than_was_decoded_is_refused(photo: Image.Image) -> None:
    opened = decode(read_header(encode(photo, "JPEG"), MOST), [window(96)])
    cut(opened, POINTS[0], window(56))
    for crop in (PATCH, window(224)):
        with pytest.raises(ValueError, match="none of the crops"):
            cut(opened, POINTS[0], crop)


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["4:2:0", "progressive"])
def test_a_truncated_jpeg_is_undecodable_at_every_scale(
    kind: str, part: float, photo: Image.Image
) -> None:
    data = encode(photo, "JPEG", quality=88, **JPEGS[kind])
    for size in SCALES:
        with pytest.raises(UndecodableImageError):
            decode(read_header(data[: int(len(data) * part)], MOST), [window(size)])


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (16, 16), (17, 23)])
def test_a_narrow_jpeg_is_cut_at_its_own_size(size: tuple[int, int], photo: Image.Image) -> None:
    data = encode(photo.resize(size), "JPEG")
    opened = decode(read_header(data, MOST), [window(224)])
    assert (opened.scale, opened.size, opened.stored.size) == (1, size, size)
    for crop in (window(224), PATCH):
        assert cut(opened, Point(0, size[1] - 1), crop).shape == (crop.height, crop.width, 3)


def test_a_tiny_crop_of_a_small_jpeg_is_cut_from_what_is_left_of_it(photo: Image.Image) -> None:
    data = encode(photo.resize((31, 17)), "JPEG")
    opened = decode(read_header(data, MOST), [Crop(1, 1, fraction=1.0)])
    assert (opened.scale, opened.size, opened.stored.size) == (8, (31, 17), (4, 3))
    assert cut(opened, Point(30, 16), Crop(1, 1, fraction=1.0)).shape == (1, 1, 3)
