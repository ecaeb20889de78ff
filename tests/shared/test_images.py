"""Image bytes and a point → crops."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from shared.images import (
    Crop,
    ImageError,
    ImageTooLargeError,
    Photo,
    Point,
    PointOutsideError,
    UndecodableImageError,
    UnsupportedFormatError,
    centre,
    check_point,
    cut,
    open_image,
)
from tests.photo_kinds import KINDS, TO_STORED, cat, encode, png_header, stored

WINDOW = Crop(224, 224, fraction=0.8)
PATCH = Crop(9, 9, pixels=9)
MOST = 50_000_000


@pytest.fixture(scope="module")
def cat_image() -> Image.Image:
    """A real photo, 451 x 300."""
    return cat()


@pytest.fixture(scope="module")
def photo(cat_image: Image.Image) -> Photo:
    """The same, decoded."""
    return as_photo(cat_image)


def numbered(width: int, height: int) -> Photo:
    """Return a photo of which every pixel tells its own place: red is x, green is y."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return as_photo(Image.fromarray(pixels))


def whole(photo: Photo) -> Image.Image:
    """Return all of a photo, upright and at its own size."""
    everything = Crop(*photo.size, fraction=1.0)
    return Image.fromarray(cut(photo, centre(photo), everything))


def as_photo(image: Image.Image) -> Photo:
    """Return `image` as if it had just been decoded."""
    return Photo(image, image.size)


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return by how much two images of one size differ where they differ most."""
    assert (one.mode, one.size) == (other.mode, other.size)
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_image_becomes_the_rgb_that_it_shows(
    name: str, cat_image: Image.Image
) -> None:
    data, shown = KINDS[name](cat_image)
    close = 8 if name == "JPEG of several pictures" else 1  # its first picture is a lossy one
    assert difference(whole(open_image(data, MOST)), shown) <= close


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", TO_STORED)
def test_an_image_is_upright_by_its_exif(
    orientation: int, kind: str, cat_image: Image.Image
) -> None:
    opened = open_image(stored(cat_image, orientation, kind), MOST)
    assert opened.size == cat_image.size
    apart = np.abs(np.asarray(whole(opened), np.int16) - np.asarray(cat_image, np.int16)).mean()
    assert apart < (0.01 if kind == "PNG" else 4), "a wrong way round gives over 20"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_an_exif_that_cannot_be_read_leaves_the_image_as_it_is(cat_image: Image.Image) -> None:
    data = encode(cat_image, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert open_image(data, MOST).size == cat_image.size


def test_cmyk_red_is_red() -> None:
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = whole(open_image(data, MOST)).getpixel((8, 8))  # type: ignore[misc]
    assert red > 230
    assert green < 25
    assert blue < 25


def test_what_is_transparent_is_white() -> None:
    data = encode(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert whole(open_image(data, MOST)).getpixel((1, 1)) == (255, 255, 255)


# --- what is refused


def test_no_bytes_are_an_empty_image() -> None:
    with pytest.raises(UndecodableImageError, match="empty"):
        open_image(b"", MOST)


@pytest.mark.parametrize(
    "data",
    [
        b"this is a text",
        b"%PDF-1.4\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\x24\0\0\0WAVEfmt ",
        encode(Image.new("RGB", (4, 4)), "TIFF"),
        encode(Image.new("RGB", (4, 4)), "PPM"),
        b"\0" * 100,
    ],
    ids=["text", "PDF", "SVG", "WAV", "TIFF", "PPM", "zeros"],
)
def test_another_format_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedFormatError, match="none of JPEG"):
        open_image(data, MOST)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.5, 0.95])
def test_a_truncated_image_is_undecodable(part: float, kind: str, cat_image: Image.Image) -> None:
    data = encode(cat_image, kind)
    with pytest.raises(UndecodableImageError):
        open_image(data[: max(20, int(len(data) * part))], MOST)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_an_image_without_area_is_undecodable(size: tuple[int, int]) -> None:
    with pytest.raises(UndecodableImageError):
        open_image(png_header(*size), MOST)


@pytest.mark.filterwarnings("ignore")  # Pillow's, of the damage
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_damage_anywhere_is_an_image_error_or_an_image(kind: str, cat_image: Image.Image) -> None:
    good = encode(cat_image.resize((90, 60)), kind)
    random = np.random.default_rng(7)
    for _ in range(60):
        data = bytearray(good)
        for place in random.integers(0, len(data), 5):
            data[place] = random.integers(0, 256)
        try:
            opened = open_image(bytes(data), MOST)
        except ImageError:
            continue
        assert opened.stored.mode == "RGB"


def test_a_bomb_is_refused_before_a_pixel_is_decoded() -> None:
    started = time.process_time()
    with pytest.raises(ImageTooLargeError, match="more than 50000000 pixels"):
        open_image(png_header(60_000, 60_000), MOST)
    assert time.process_time() - started < 0.5


def test_the_limit_on_pixels_is_exact() -> None:
    data = encode(Image.new("L", (20, 10)))
    assert open_image(data, 200).size == (20, 10)
    with pytest.raises(ImageTooLargeError):
        open_image(data, 199)


# --- points


@pytest.mark.parametrize("point", [(0, 0), (450, 299), (450.9, 299.9), (0, 299), (450, 0)])
def test_a_point_on_the_border_is_on_the_image(point: tuple[float, float], photo: Photo) -> None:
    check_point(photo, Point(*point))
    assert cut(photo, Point(*point), WINDOW).shape == (224, 224, 3)
    assert cut(photo, Point(*point), PATCH).shape == (9, 9, 3)


@pytest.mark.parametrize(
    "point", [(-1, 0), (-0.001, 0), (451, 0), (0, 300), (1e8, 5), (float("nan"), 5)]
)
def test_a_point_beside_the_image_is_refused(point: tuple[float, float], photo: Photo) -> None:
    with pytest.raises(PointOutsideError, match="451 x 300"):
        check_point(photo, Point(*point))


def test_a_refused_point_is_named_as_it_was_given(photo: Photo) -> None:
    with pytest.raises(PointOutsideError, match=r"\(123456789\.25, 0\.5\)"):
        check_point(photo, Point(123456789.25, 0.5))


@pytest.mark.parametrize(("size", "middle"), [((451, 300), (225, 150)), ((1, 1), (0, 0))])
def test_the_centre_is_the_pixel_in_the_middle(
    size: tuple[int, int], middle: tuple[int, int]
) -> None:
    assert centre(as_photo(Image.new("RGB", size))) == middle


# --- crops


def test_a_patch_in_the_middle_is_exactly_the_pixels_around_the_point() -> None:
    patch = cut(numbered(200, 100), Point(120, 60), PATCH)
    assert patch[..., 0].tolist() == [list(range(116, 125))] * 9
    assert patch[:, 0, 1].tolist() == list(range(56, 65))


@pytest.mark.parametrize(
    ("point", "left", "top"),
    [
        ((0, 0), 0, 0),
        ((3, 3), 0, 0),
        ((4, 4), 0, 0),
        ((5, 5), 1, 1),
        ((199, 0), 191, 0),
        ((0, 99), 0, 91),
        ((199, 99), 191, 91),
        ((199.9, 99.9), 191, 91),
        ((195, 95), 191, 91),
        ((194, 94), 190, 90),
        ((120, 0), 116, 0),
        ((120.9, 99), 116, 91),
    ],
)
def test_a_patch_at_the_border_is_moved_inside_and_has_only_original_pixels(
    point: tuple[float, float], left: int, top: int
) -> None:
    patch = cut(numbered(200, 100), Point(*point), PATCH)
    assert patch[0, :, 0].tolist() == list(range(left, left + 9))
    assert patch[:, 0, 1].tolist() == list(range(top, top + 9))


@pytest.mark.parametrize("length", [1, 2, 5, 8, 9, 10, 57, 224, 1001])
def test_a_crop_is_inside_the_image_and_holds_the_point(length: int) -> None:
    for crop, wanted in ((PATCH, 9), (WINDOW, max(1, round(length * 0.8)))):
        for place in [*np.linspace(0, length - 1, 23), length - 0.001]:
            left, top, right, bottom = crop.box((length, 1), Point(float(place), 0))
            assert 0 <= left <= int(place) < right <= length
            assert right - left == min(wanted, length)
            assert (top, bottom) == (0, 1)


def test_a_window_is_80_percent_of_width_and_height_around_the_point() -> None:
    assert WINDOW.box((400, 200), Point(210, 95)) == (50, 15, 370, 175)
    assert WINDOW.box((400, 200), Point(0, 0)) == (0, 0, 320, 160)
    assert WINDOW.box((400, 200), Point(399, 199)) == (80, 40, 400, 200)


def test_a_window_shows_its_part_of_the_image_and_nothing_else() -> None:
    image = Image.new("RGB", (100, 100), "white")
    image.paste("black", (80, 0, 100, 100))
    photo = as_photo(image)
    seen = cut(photo, Point(0, 50), WINDOW).mean(axis=(0, 2))
    assert seen[:-3].min() > 250, "the window ends where black begins, but for the resampling"
    seen = cut(photo, Point(99, 50), WINDOW).mean(axis=(0, 2))
    assert seen[:160].min() > 250
    assert seen[-50:].max() < 5, "the window's last quarter is black"


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (3, 5), (9, 1), (8, 200)])
def test_a_tiny_image_is_padded_with_its_own_edge(size: tuple[int, int]) -> None:
    photo = numbered(*size)
    for point in (Point(0, 0), Point(size[0] - 1, size[1] - 1), centre(photo)):
        patch = cut(photo, point, PATCH)
        assert patch.shape == (9, 9, 3)
        around = [(9 - min(length, 9)) // 2 for length in size]
        left, top, right, bottom = PATCH.box(size, point)
        inside = patch[around[1] :, around[0] :][: bottom - top, : right - left]
        assert inside.tolist() == np.asarray(photo.stored.crop((left, top, right, bottom))).tolist()
        assert set(patch[..., 0].flat) == set(range(left, right)), "nothing that is not there"
        assert set(patch[..., 1].flat) == set(range(top, bottom))
        assert cut(photo, point, WINDOW).shape == (224, 224, 3)


def test_one_pixel_is_its_colour_all_over() -> None:
    image = open_image(encode(Image.new("RGB", (1, 1), (200, 30, 60))), MOST)
    assert (cut(image, Point(0, 0), PATCH) == (200, 30, 60)).all()
    assert (cut(image, Point(0, 0), WINDOW) == (200, 30, 60)).all()


def test_pixels_of_16_bits_keep_their_upper_half() -> None:
    wide = np.array([[0x0000, 0x01FF, 0x80FF, 0xFFFF]], np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    opened = np.asarray(whole(open_image(buffer.getvalue(), MOST)))
    assert opened[0, :, 0].tolist() == [0x00, 0x01, 0x80, 0xFF]
