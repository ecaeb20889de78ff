"""Image bytes and a point → the tensors that a model's classifiers take.

The web tier, the command line and `training/` all cut through this file, so what a classifier
is trained on is what it is served.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

# By content, never by the declared type. Of an animation, the first frame is the image.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|BM", re.DOTALL)

# The limit on pixels is ours and an error (`open_image`); Pillow's own would only warn.
Image.MAX_IMAGE_PIXELS = None

Pixels = npt.NDArray[np.uint8]


class ImageError(ValueError):
    """The bytes are not an image that can be classified."""


class UnsupportedFormatError(ImageError):
    """The content is none of `FORMATS`."""


class ImageTooLargeError(ImageError):
    """More pixels than allowed, known before any is decoded."""


class UndecodableImageError(ImageError):
    """An allowed format, but empty, truncated or broken."""


class PointOutsideError(ValueError):
    """The point is not on the image."""


class Point(NamedTuple):
    """A place on an upright image: pixels from its top left corner."""

    x: float
    y: float


@dataclass(frozen=True)
class Crop:
    """What a classifier sees of an image: which part, and how large it is made.

    `fraction` is the part of the image's width and height, `pixels` a number of original pixels;
    a crop has one of the two. It is centred on the point and moved inside the image.
    """

    width: int
    height: int
    fraction: float | None = None
    pixels: int | None = None

    def box(self, size: tuple[int, int], point: Point) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom in pixels, right and bottom exclusive.

        Always inside an image of `size` (width, height); smaller than asked only where the
        image itself is smaller.
        """
        left, right = self._span(size[0], point.x)
        top, bottom = self._span(size[1], point.y)
        return left, top, right, bottom

    def _span(self, length: int, centre: float) -> tuple[int, int]:
        if self.pixels is not None:
            wanted = self.pixels
        else:
            assert self.fraction is not None
            wanted = max(1, round(length * self.fraction))
        taken = min(wanted, length)
        start = math.floor(centre) - taken // 2
        start = min(max(start, 0), length - taken)
        return start, start + taken


def looks_like_image(data: bytes | memoryview) -> bool:
    """Return whether `data` begins as one of `FORMATS` does."""
    return _STARTS.match(data) is not None


def open_image(data: bytes | memoryview, max_pixels: int) -> Image.Image:
    """Decode `data` into an upright RGB image (EXIF orientation applied, alpha over white).

    Raises `UnsupportedFormatError`, `ImageTooLargeError` or `UndecodableImageError`.
    """
    if not len(data):
        raise UndecodableImageError("the image is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if looks_like_image(data):  # Pillow does not tell a broken header from a foreign format
            raise UndecodableImageError("the image's header is broken") from error
        raise UnsupportedFormatError(f"the image is none of {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow's plugins raise nearly anything on a broken header
        raise UndecodableImageError("the image's header is broken") from error
    if image.width * image.height > max_pixels:
        raise ImageTooLargeError(
            f"the image has {image.width} x {image.height} pixels, the limit is {max_pixels}"
        )
    try:
        image.load()
        _turn_upright(image)
        return _to_rgb(image)
    except Exception as error:  # as above: SyntaxError, struct.error, OSError, ...
        raise UndecodableImageError("the image is truncated or broken") from error


def _turn_upright(image: Image.Image) -> None:
    # Unreadable EXIF says nothing of the orientation.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return `image` as RGB, with as few copies as that takes: it may have 50 megapixels."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        on_white = Image.new("RGB", rgba.size, "white")
        on_white.paste(rgba, mask=rgba)
        return on_white
    return image.convert("RGB")


def centre(image: Image.Image) -> Point:
    """Return the point that is meant when a client names none."""
    return Point(image.width // 2, image.height // 2)


def check_point(image: Image.Image, point: Point) -> None:
    """Raise `PointOutsideError` unless `point` is on `image`."""
    if not (0 <= point.x < image.width and 0 <= point.y < image.height):
        raise PointOutsideError(
            f"the point ({point.x:.12g}, {point.y:.12g}) is outside the image, "
            f"which is {image.width} x {image.height} pixels upright"
        )


def cut(image: Image.Image, point: Point, crop: Crop) -> Pixels:
    """Return `crop` of `image` around `point`: uint8 [height, width, 3], RGB 0-255.

    A crop in `pixels` is exactly the original ones, its edge repeated where the image is
    smaller than the crop; a crop by `fraction` is resampled (bicubic).
    """
    box = crop.box(image.size, point)
    if crop.pixels is None:
        size = (crop.width, crop.height)
        resized = image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
        return np.asarray(resized, dtype=np.uint8)
    pixels = np.asarray(image.crop(box), dtype=np.uint8)
    down, right = crop.height - pixels.shape[0], crop.width - pixels.shape[1]
    if down or right:
        around = ((down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
        pixels = np.pad(pixels, around, mode="edge")
    return pixels
