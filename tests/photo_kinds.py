"""One photo in every kind of image file that is allowed, with the RGB that each must become."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

# EXIF orientation -> what makes the stored image of the upright one.
TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

Made = tuple[bytes, Image.Image]


def cat() -> Image.Image:
    """Return a real photo, 451 x 300 pixels."""
    return Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png").convert("RGB")


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return `image` as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stored(upright: Image.Image, orientation: int, kind: str = "PNG") -> bytes:
    """Return a file that shows `upright` to who heeds its EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    method = TO_STORED[orientation]
    image = upright if method is None else upright.transpose(method)
    return encode(image, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels."""
    png = encode(Image.new("RGB", (1, 1)))
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + png[24:29]
    return png[:12] + head + zlib.crc32(head).to_bytes(4, "big") + png[33:]


def _ramp(size: tuple[int, int]) -> Image.Image:
    """Return an alpha channel: opaque at the left, gone at the right."""
    return Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).resize(size)


def _over_white(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image.convert("RGBA"), dtype=np.float64)
    alpha = pixels[..., 3:] / 255
    mixed = pixels[..., :3] * alpha + 255 * (1 - alpha)
    return Image.fromarray(mixed.round().astype(np.uint8))


def _plain(kind: str, **options: Any) -> Callable[[Image.Image], Made]:
    return lambda rgb: (encode(rgb, kind, **options), rgb)


def _lossy(mode: str, kind: str, **options: Any) -> Callable[[Image.Image], Made]:
    def make(rgb: Image.Image) -> Made:
        data = encode(rgb.convert(mode), kind, quality=90, **options)
        return data, Image.open(io.BytesIO(data)).convert("RGB")

    return make


def _converted(mode: str) -> Callable[[Image.Image], Made]:
    return lambda rgb: (encode(rgb.convert(mode)), rgb.convert(mode).convert("RGB"))


def _grey_16_bit(rgb: Image.Image) -> Made:
    grey = rgb.convert("L")
    wide = np.asarray(grey, dtype=np.uint16) * 257
    return encode(Image.fromarray(wide)), grey.convert("RGB")


def _with_alpha(mode: str) -> Callable[[Image.Image], Made]:
    def make(rgb: Image.Image) -> Made:
        image = rgb.convert(mode)
        image.putalpha(_ramp(rgb.size))
        return encode(image), _over_white(image)

    return make


def _palette_with_alpha(rgb: Image.Image) -> Made:
    image = rgb.quantize(64)
    alphas = bytes(range(0, 256, 4))
    seen = np.asarray(image.convert("RGB"), dtype=np.float64)
    alpha = np.frombuffer(alphas, np.uint8)[np.asarray(image)][..., None] / 255
    mixed = Image.fromarray((seen * alpha + 255 * (1 - alpha)).round().astype(np.uint8))
    return encode(image, transparency=alphas), mixed


def _animated(kind: str, **options: Any) -> Callable[[Image.Image], Made]:
    def make(rgb: Image.Image) -> Made:
        first = rgb.quantize(128) if kind == "GIF" else rgb
        other = Image.new("RGB", rgb.size, "blue")
        data = encode(first, kind, save_all=True, append_images=[other], **options)
        return data, first.convert("RGB")

    return make


# Name -> from an RGB photo, a file of that kind and the RGB that it stands for.
KINDS: dict[str, Callable[[Image.Image], Made]] = {
    "PNG": _plain("PNG"),
    "BMP": _plain("BMP"),
    "WebP, lossless": _plain("WEBP", lossless=True),
    "WebP, lossy": _lossy("RGB", "WEBP"),
    "JPEG": _lossy("RGB", "JPEG"),
    "JPEG, progressive": _lossy("RGB", "JPEG", progressive=True),
    "JPEG, grey": _lossy("L", "JPEG"),
    "JPEG, CMYK": _lossy("CMYK", "JPEG"),
    "JPEG of several pictures": _animated("MPO", quality=100, subsampling=0),
    "PNG, grey": _converted("L"),
    "PNG, 1 bit": _converted("1"),
    "PNG, grey of 16 bits": _grey_16_bit,
    "PNG, alpha": _with_alpha("RGBA"),
    "PNG, grey and alpha": _with_alpha("LA"),
    "PNG, palette and alpha": _palette_with_alpha,
    "GIF, animated": _animated("GIF"),
    "PNG, animated": _animated("PNG"),
    "WebP, animated": _animated("WEBP", lossless=True),
}
