"""Small files that would take long to read are refused in a moment."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from shared.effort import count_scans
from shared.images import ImageError, ImageTooLargeError, UnsupportedFormatError, open_image
from shared.settings import Settings
from tests.photo_kinds import cat, encode

PIXELS = Settings().max_pixels
BODY = Settings().max_body_bytes


def chunk(name: bytes, content: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def stuffed(whole: bytes, at: int, piece: bytes) -> bytes:
    """Return `whole` with so many pieces at an offset as a body has room for."""
    return whole[:at] + piece * ((BODY - len(whole)) // len(piece)) + whole[at:]


def run_length_bmp(width: int, height: int, body: bytes) -> bytes:
    """Return a BMP of 256 colours that is run-length coded."""
    start = 14 + 40 + 1024
    head = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    return head + about + bytes(1024) + body


def with_scans(side: int, more: int) -> bytes:
    """Return a progressive JPEG with `more` than its own scans."""
    jpeg = encode(Image.new("L", (side, side)), "JPEG", progressive=True)
    last, end = jpeg.rfind(b"\xff\xda"), jpeg.rfind(b"\xff\xd9")
    return jpeg[:end] + jpeg[last:end] * more + jpeg[end:]


JPEG, PNG = encode(cat(), "JPEG"), encode(cat())
GIF = encode(Image.new("P", (64, 64)), "GIF")

SLOW: dict[str, Callable[[], bytes]] = {
    "a PNG of empty chunks": lambda: stuffed(PNG, 33, chunk(b"abCd")),
    "a PNG of empty chunks at its end": lambda: stuffed(PNG, len(PNG) - 12, chunk(b"tEXt")),
    "a PNG of empty data": lambda: stuffed(PNG, len(PNG) - 12, chunk(b"IDAT")),
    "a JPEG of empty comments": lambda: stuffed(JPEG, 2, b"\xff\xfe\x00\x02"),
    "a JPEG of empty profiles": lambda: stuffed(JPEG, 2, b"\xff\xe2\x00\x02"),
    "a JPEG of filling": lambda: stuffed(JPEG, 2, b"\xff"),
    "a GIF of empty blocks": lambda: stuffed(GIF, 13, b"!\xfe\x00"),
    "a GIF of nothing": lambda: stuffed(GIF, 13, b"\x00"),
    "a BMP whose one row ends at once": lambda: run_length_bmp(PIXELS, 1, b"\x01\x05\x00\x00"),
    "a BMP of runs of one": lambda: run_length_bmp(7000, 7000, b"\x01\x05" * 8_000_000),
    "a JPEG of 500 empty scans": lambda: with_scans(7000, 500),
    "a PNG one pixel wide": lambda: encode(Image.new("LA", (1, 33_000_000))),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_file_that_is_made_to_take_long_is_refused_soon(name: str) -> None:
    data = SLOW[name]()
    assert len(data) <= BODY
    started = time.process_time()
    with pytest.raises(ImageError):
        open_image(data, PIXELS)
    assert time.process_time() - started < 1


def test_a_frame_far_outside_of_its_gif_takes_no_memory() -> None:
    head = GIF[: 13 + (6 << (GIF[10] & 7))]  # with its palette
    to_background = b"!\xf9\x04\x08\x00\x00\x00\x00"
    frame = b"," + struct.pack("<HHHHB", 65_534, 65_534, 40_000, 40_000, 0) + b"\x08\x00;"
    gif = head + to_background + frame
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    with pytest.raises(ImageTooLargeError):
        open_image(gif, PIXELS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100 * 1024


def test_a_run_length_coded_bmp_is_told_from_a_broken_one() -> None:
    with pytest.raises(UnsupportedFormatError, match="run-length"):
        open_image(run_length_bmp(3, 1, b"\x03\x05\x00\x01"), PIXELS)


def test_scans_count_with_the_pixels_that_each_goes_over() -> None:
    assert open_image(with_scans(100, 500), PIXELS).size == (100, 100)
    with pytest.raises(ImageTooLargeError, match="scans"):
        open_image(with_scans(7000, 20), PIXELS)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_as_many_scans_are_counted_as_the_file_has(options: dict[str, int]) -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(JPEG) + 2) + JPEG
    jpeg = encode(cat(), "JPEG", **options)
    video = b"\xff\xda\x00\x08" * 1000  # as phones append
    expected = 10 if options.get("progressive") else 1
    assert count_scans(jpeg) == expected
    assert count_scans(jpeg[:2] + thumbnail + jpeg[2:] + video) == expected
    assert open_image(jpeg[:2] + thumbnail + jpeg[2:] + video, PIXELS).size == cat().size


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xda\x00"])
def test_what_is_no_jpeg_has_few_scans(data: bytes) -> None:
    assert count_scans(data) <= 1


def test_a_photo_in_many_small_pieces_is_read() -> None:
    noise = Image.effect_noise((2000, 2000), 90).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG", compress_level=1)
    whole = buffer.getvalue()
    at, end = whole.index(b"IDAT") - 4, len(whole) - 12
    data, pieces = b"", io.BytesIO(whole[at:end])
    while head := pieces.read(8):
        data += pieces.read(int.from_bytes(head[:4], "big"))
        pieces.read(4)
    cut = [chunk(b"IDAT", data[start : start + 4096]) for start in range(0, len(data), 4096)]
    assert open_image(whole[:at] + b"".join(cut) + whole[end:], PIXELS).size == (2000, 2000)
