"""Characters out of fonts that were drawn by hand, or that handwriting resembles.

Debian packages, and the fonts inside matplotlib. Where a font's small letters are small capitals
(or its capitals are outlines), only the others are used.
"""

from __future__ import annotations

import io
import string
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from training.packages import fetch_debian

LABELS = string.digits + string.ascii_uppercase + string.ascii_lowercase

_NOT_SMALL = string.digits + string.ascii_uppercase
_NOT_CAPITAL = string.digits + string.ascii_lowercase
_DEBIAN = {
    "fonts-breip": {"Breip.ttf": LABELS},
    "fonts-bwht": {
        "BecauseWeBuild-Regular.otf": _NOT_SMALL,
        "BecauseWeConnect-Regular.otf": _NOT_SMALL,
        "BecauseWeCreate-Regular.otf": _NOT_SMALL,
        "BecauseWeLearn-Regular.otf": _NOT_SMALL,
        "BecauseWeMentor-Regular.otf": _NOT_SMALL,
        "BecauseWeOrganize-Regular.otf": _NOT_SMALL,
    },
    "fonts-comic-neue": {"ComicNeue-Light.otf": LABELS, "ComicNeue-LightItalic.otf": LABELS},
    "fonts-dancingscript": {"DancingScript-Regular.otf": LABELS},
    "fonts-dkg-handwriting": {"dkg.ttf": LABELS, "dkgIt.ttf": LABELS},
    "fonts-ecolier-court": {"Ecolier-court.ttf": LABELS},
    "fonts-femkeklaver": {"femkeklaver.ttf": string.ascii_lowercase},
    "fonts-humor-sans": {"Humor-Sans.ttf": _NOT_SMALL},
    "fonts-kaushanscript": {"KaushanScript-Regular.otf": LABELS},
    "fonts-klee": {"KleeOne-Regular.ttf": LABELS},
    "fonts-kristi": {"Kristi.ttf": _NOT_CAPITAL},
    "fonts-rufscript": {"Rufscript010.ttf": LABELS},
    "fonts-sjfonts": {"Delphine.ttf": LABELS, "SteveHand.ttf": LABELS},
    "fonts-tomsontalks": {"TomsonTalks.ttf": _NOT_SMALL},
}
_MATPLOTLIB = ("DejaVuSans.ttf", "DejaVuSans-Oblique.ttf", "STIXGeneralItalic.ttf", "cmss10.ttf")
_HEIGHT = 56  # pixels of a font's em


def read_fonts() -> Iterator[tuple[str, str, npt.NDArray[np.uint8]]]:
    """Yield font, character and its ink, uint8 [h, w] with 255 where it is inked."""
    unpacked = fetch_debian(sorted(_DEBIAN))
    found = {path.name: path for path in sorted(unpacked.rglob("*.[ot]tf"))}
    fonts = [
        (found[name], characters)
        for files in _DEBIAN.values()
        for name, characters in files.items()
    ]
    fonts += [(_bundled(name), LABELS) for name in _MATPLOTLIB]
    for path, characters in fonts:
        font = ImageFont.truetype(str(path), _HEIGHT)
        for character in characters:
            yield path.stem, character, np.asarray(_drawn(character, font))


def draw_pictures(characters: str) -> Iterator[bytes]:
    """Yield a picture of each of `characters`, black on white: the bytes of a PNG."""
    font = ImageFont.truetype(str(_bundled(_MATPLOTLIB[0])), _HEIGHT)
    for character in characters:
        buffer = io.BytesIO()
        ImageOps.invert(_drawn(character, font)).save(buffer, "PNG")
        yield buffer.getvalue()


def _drawn(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Return `character`, white on black, with a little black around it."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    image = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), character, fill=255, font=font)
    return image


def _bundled(name: str) -> Path:
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
