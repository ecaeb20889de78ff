"""A number → an image file that was whole, and what was done to it."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

from tests.photo_kinds import KINDS, TO_STORED, cat, encode, stored

Mutation = Callable[[random.Random, bytearray], bytearray]

# What lies behind the fields of headers: sizes, lengths, counts, offsets.
_NUMBERS = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**32 - 1)
_HEADER = 96  # bytes in which most of an image file's fields are


@cache
def wholes() -> tuple[bytes, ...]:
    """Return whole image files: each kind that is allowed, in three sizes, turned, with a profile.

    And a few of formats that are not.
    """
    photo = cat()
    sizes = [(1, 1), (67, 41), (226, 150)]
    files = [make(photo.resize(size))[0] for make in KINDS.values() for size in sizes]
    small = photo.resize(sizes[1])
    for kind in ("JPEG", "PNG", "WEBP"):
        files += [stored(small, orientation, kind) for orientation in TO_STORED]
        files.append(encode(small, kind, icc_profile=bytes(3000)))
    files.append(encode(small, "PNG", interlace=True))
    files.append(encode(small.quantize(16), "GIF", interlace=True, transparency=3))
    files += [encode(small.convert(mode), "BMP") for mode in ("1", "L", "P", "RGBA")]
    files += [encode(small, kind) for kind in ("TIFF", "ICO", "PPM", "TGA")]
    return tuple(files)


def mutated(number: int, seed: int = 0) -> bytes:
    """Return the broken image of this number: the same for the same `seed`, always."""
    chance = random.Random(f"{seed}/{number}")
    data = bytearray(chance.choice(wholes()))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        data = chance.choice(_MUTATIONS)(chance, data)
    if data[:4] == b"\x89PNG" and chance.random() < 0.7:
        _mend_png(data)
    return bytes(data)


def _place(chance: random.Random, data: bytearray) -> int:
    """Return an offset, as often as not one in the header."""
    end = min(len(data), _HEADER) if chance.random() < 0.5 else len(data)
    return chance.randrange(max(end, 1))


def _flip_bits(chance: random.Random, data: bytearray) -> bytearray:
    for _ in range(chance.choice((1, 2, 8, 64))):
        if data:
            data[_place(chance, data)] ^= 1 << chance.randrange(8)
    return data


def _overwrite(chance: random.Random, data: bytearray) -> bytearray:
    at = _place(chance, data)
    piece = chance.randbytes(chance.choice((1, 4, 16, 256)))
    data[at : at + len(piece)] = piece
    return data


def _set_number(chance: random.Random, data: bytearray) -> bytearray:
    """Put a number of 1, 2 or 4 bytes where one may be."""
    size, code = chance.choice(((1, "B"), (2, "H"), (4, "I")))
    packed = struct.pack(chance.choice("<>") + code, chance.choice(_NUMBERS) % 256**size)
    at = _place(chance, data)
    data[at : at + size] = packed
    return data


def _truncate(chance: random.Random, data: bytearray) -> bytearray:
    return data[: _place(chance, data)]


def _cut_out(chance: random.Random, data: bytearray) -> bytearray:
    at = _place(chance, data)
    del data[at : at + chance.choice((1, 4, 12, 500))]
    return data


def _repeat(chance: random.Random, data: bytearray) -> bytearray:
    at = _place(chance, data)
    piece = data[at : at + chance.choice((1, 12, 200, 2000))]
    data[at:at] = piece * chance.choice((1, 2, 50))
    return data


def _move(chance: random.Random, data: bytearray) -> bytearray:
    """Copy a piece over another place of the same file."""
    source, target = _place(chance, data), _place(chance, data)
    piece = data[source : source + chance.choice((4, 64, 1000))]
    data[target : target + len(piece)] = piece
    return data


def _splice(chance: random.Random, data: bytearray) -> bytearray:
    """Go on in another file."""
    other = chance.choice(wholes())
    return data[: _place(chance, data)] + other[_place(chance, bytearray(other)) :]


def _append(chance: random.Random, data: bytearray) -> bytearray:
    return data + chance.choice(wholes())


def _zeros(chance: random.Random, data: bytearray) -> bytearray:
    at = _place(chance, data)
    return data[:at] + bytes(chance.choice((4, 100, 10_000))) + data[at:]


_MUTATIONS: Sequence[Mutation] = (
    _flip_bits,
    _overwrite,
    _set_number,
    _set_number,
    _truncate,
    _cut_out,
    _repeat,
    _move,
    _splice,
    _append,
    _zeros,
)


def _mend_png(data: bytearray) -> None:
    """Set the checksums right, or no more than the first broken chunk is ever looked at."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
