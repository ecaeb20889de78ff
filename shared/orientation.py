"""How an image that is stored turned or mirrored becomes upright: the EXIF orientation."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from PIL import ExifTags, Image

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom exclusive


@dataclass(frozen=True)
class Orientation:
    """The way from a stored image to the upright one.

    Seen from the upright image: mirror its columns, its rows, or both, then swap the axes, and
    what comes out is what is stored.
    """

    transpose: Image.Transpose | None = None  # the same, from the stored to the upright image
    mirror_x: bool = False
    mirror_y: bool = False
    swap: bool = False

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) after the turn; the same rule serves both directions."""
        return (size[1], size[0]) if self.swap else size

    def stored_box(self, box: Box, size: tuple[int, int]) -> Box:
        """Return where `box` of the upright image, which has `size`, lies in the stored one."""
        left, top, right, bottom = box
        if self.mirror_x:
            left, right = size[0] - right, size[0] - left
        if self.mirror_y:
            top, bottom = size[1] - bottom, size[1] - top
        return (top, left, bottom, right) if self.swap else (left, top, right, bottom)

    def upright(self, stored: Image.Image) -> Image.Image:
        """Return a stored image, or a part of one, as it is to be seen."""
        return stored if self.transpose is None else stored.transpose(self.transpose)


AS_STORED = Orientation()

# The values of EXIF's tag 0x0112.
_ORIENTATIONS = {
    1: AS_STORED,
    2: Orientation(Image.Transpose.FLIP_LEFT_RIGHT, mirror_x=True),
    3: Orientation(Image.Transpose.ROTATE_180, mirror_x=True, mirror_y=True),
    4: Orientation(Image.Transpose.FLIP_TOP_BOTTOM, mirror_y=True),
    5: Orientation(Image.Transpose.TRANSPOSE, swap=True),
    6: Orientation(Image.Transpose.ROTATE_270, mirror_x=True, swap=True),
    7: Orientation(Image.Transpose.TRANSVERSE, mirror_x=True, mirror_y=True, swap=True),
    8: Orientation(Image.Transpose.ROTATE_90, mirror_y=True, swap=True),
}


def read_orientation(image: Image.Image) -> Orientation:
    """Return what the EXIF of a decoded `image` says; `AS_STORED` where it says nothing."""
    # Unreadable EXIF says nothing of the orientation.
    with contextlib.suppress(Exception):
        return _ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1), AS_STORED)
    return AS_STORED
