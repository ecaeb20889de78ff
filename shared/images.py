"""Image bytes and a point → the tensors that a model's classifiers take.

The web tier, the command line and `training/` all cut through this file, so what a classifier
is trained on is what it is served.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from shared.effort import BoundedFile, count_scans
from shared.orientation import AS_STORED, Box, Orientation, read_orientation

# By content, never by the declared type. Of an animation, the first frame is the image.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|BM", re.DOTALL)

# Pillow warns of more pixels than its limit; only of more than twice as many does it make an error.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

# Resampling begins with a cheap whole-number reduction, a JPEG's own while it is decoded (by 2,
# 4 or 8) or a mean of pixels, down to this many times the wanted size or more. From there on
# Hamming's filter takes six tenths of the time of the bicubic one. A crop of 224 pixels differs
# from a bicubic one in one step by 0.5-1.3 of 255 in the mean.
_GAP = 1.9
_SHRINKS = 1.5

# Pixels, as in a JPEG. A PNG one pixel wide and 33 million high takes a second, most for its rows.
_LONGEST_SIDE = 65_535

# Of a progressive JPEG that has all the pixels that are allowed; with fewer, in proportion. The
# usual encoders make up to 14.
_MOST_SCANS = 20

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

    def box(self, size: tuple[int, int], point: Point) -> Box:
        """Return which pixels of an upright image the crop shows.

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

    def scale(self, size: tuple[int, int]) -> int:
        """Return by how much an image of `size` may be smaller for this crop: 1, 2, 4 or 8."""
        if self.fraction is None:
            return 1
        spare = self.fraction * min(size) / (_GAP * max(self.width, self.height))
        return max((scale for scale in (2, 4, 8) if scale <= spare), default=1)


@dataclass(frozen=True)
class Photo:
    """A decoded image, cut with `cut`.

    It stays as it was stored, and a crop is turned when it is cut: turning 12 megapixels would
    cost as much as decoding them.
    """

    stored: Image.Image  # RGB
    size: tuple[int, int]  # width and height of the upright original, in pixels
    orientation: Orientation = AS_STORED
    scale: int = 1  # the original is so many times as wide and high as `stored`

    @property
    def width(self) -> int:
        """The upright original's, in pixels."""
        return self.size[0]

    @property
    def height(self) -> int:
        """The upright original's, in pixels."""
        return self.size[1]


def looks_like_image(data: bytes | memoryview) -> bool:
    """Return whether `data` begins as one of `FORMATS` does."""
    return _STARTS.match(data) is not None


def open_image(data: bytes | memoryview, max_pixels: int) -> Photo:
    """Return the photo in `data`; see `read_header` and `decode`."""
    return decode(read_header(data, max_pixels))


def read_header(data: bytes | memoryview, max_pixels: int) -> Image.Image:
    """Return an image of which no pixel is decoded yet.

    Raises `UnsupportedFormatError`, `ImageTooLargeError` or `UndecodableImageError`.
    """
    if not len(data):
        raise UndecodableImageError("the image is empty")
    # Ours is the error below, and for that Pillow has opened the image: a GIF of 40 bytes, whose
    # frame lies far outside of it, takes 17 GB then.
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        image = Image.open(BoundedFile(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if looks_like_image(data):  # Pillow does not tell a broken header from a foreign format
            raise UndecodableImageError("the image's header is broken") from error
        raise UnsupportedFormatError(f"the image is none of {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(f"the image has more than {max_pixels} pixels") from error
    except Exception as error:  # Pillow's plugins raise nearly anything on a broken header
        raise UndecodableImageError("the image's header is broken") from error
    if image.width * image.height > max_pixels:
        raise ImageTooLargeError(
            f"the image has {image.width} x {image.height} pixels, the limit is {max_pixels}"
        )
    if max(image.size) > _LONGEST_SIDE:
        raise ImageTooLargeError(f"a side of the image is longer than {_LONGEST_SIDE} pixels")
    _check_effort(image, data, max_pixels)
    return image


def _check_effort(image: ImageFile.ImageFile, data: bytes | memoryview, max_pixels: int) -> None:
    """Refuse what would take far longer to decode than its bytes and pixels tell."""
    if image.format == "BMP" and any(tile.codec_name == "bmp_rle" for tile in image.tile):
        # Pillow does it in Python: 6 s for a row of 50 megapixels in 4 bytes.
        raise UnsupportedFormatError("a run-length coded BMP is not read")
    if image.format in ("JPEG", "MPO"):
        scans = count_scans(data)
        if scans * image.width * image.height > _MOST_SCANS * max_pixels:
            raise ImageTooLargeError(
                f"the image has {image.width} x {image.height} pixels in each of {scans} scans"
            )


def decode(image: Image.Image, crops: Sequence[Crop] = ()) -> Photo:
    """Decode `image` once: EXIF orientation heeded, alpha over white.

    Where `crops` are given and all of them allow it, a JPEG is decoded at a smaller scale, and
    nothing that needs a larger one can be cut. Raises `UndecodableImageError`.
    """
    scale = min((crop.scale(image.size) for crop in crops), default=1)
    try:
        stored_size = image.size
        if scale > 1 and image.draft(None, (image.width // scale, image.height // scale)) is None:
            scale = 1  # no other format can be decoded so
        image.load()
        orientation = read_orientation(image)
        return Photo(_to_rgb(image), orientation.size(stored_size), orientation, scale)
    except Exception as error:  # as above: SyntaxError, struct.error, OSError, ...
        raise UndecodableImageError("the image is truncated or broken") from error


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


def centre(photo: Photo) -> Point:
    """Return the point that is meant when a client names none."""
    return Point(photo.width // 2, photo.height // 2)


def check_point(photo: Photo, point: Point) -> None:
    """Raise `PointOutsideError` unless `point` is on `photo`."""
    if not (0 <= point.x < photo.width and 0 <= point.y < photo.height):
        raise PointOutsideError(
            f"the point ({point.x:.12g}, {point.y:.12g}) is outside the image, "
            f"which is {photo.width} x {photo.height} pixels upright"
        )


def cut(photo: Photo, point: Point, crop: Crop) -> Pixels:
    """Return `crop` of `photo` around `point`, upright: uint8 [height, width, 3], RGB 0-255.

    A crop in `pixels` is exactly the original ones, its edge repeated where the image is
    smaller than the crop; a crop by `fraction` is resampled. Raises `ValueError`
    where `photo` was decoded too small for `crop`.
    """
    if photo.scale > crop.scale(photo.size):
        raise ValueError(f"{crop} is none of the crops that the photo was decoded for")
    box = photo.orientation.stored_box(crop.box(photo.size, point), photo.size)
    if crop.pixels is None:
        left, top, right, bottom = (edge / photo.scale for edge in box)
        size = photo.orientation.size((crop.width, crop.height))
        shrinks = min((right - left) / size[0], (bottom - top) / size[1]) >= _SHRINKS
        part = photo.stored.resize(
            size,
            Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC,
            box=(left, top, right, bottom),
            reducing_gap=_GAP,
        )
    else:
        part = photo.stored.crop(box)
    pixels = np.asarray(photo.orientation.upright(part), dtype=np.uint8)
    if crop.pixels is not None:
        pixels = _extend(pixels, crop)
    return pixels


def _extend(pixels: Pixels, crop: Crop) -> Pixels:
    """Return `pixels` at the size of `crop`, the edge repeated to all sides."""
    down, right = crop.height - pixels.shape[0], crop.width - pixels.shape[1]
    if not down and not right:
        return pixels
    around = ((down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
    return np.pad(pixels, around, mode="edge")
