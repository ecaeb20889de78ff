"""Freed memory stays with the process that asks for it."""

from __future__ import annotations

import subprocess
import sys

# Prints how many pages the system had to clear for each photo after the first few.
DECODE = """
import resource, sys, threading
from shared.images import open_image
from shared.memory import keep_freed_memory
from tests.photo_kinds import cat, encode

if sys.argv[1] == "kept":
    keep_freed_memory()
photos = [encode(cat().resize(size), "JPEG") for size in ((640, 480), (4000, 3000))]

def decode(rounds):
    for _ in range(rounds):
        for photo in photos:
            open_image(photo, 10**8)

def measure():
    decode(2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    decode(4)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 4)

thread = threading.Thread(target=measure)
thread.start()
thread.join()
"""


def pages(how: str) -> int:
    """Return the pages per 12-megapixel photo, in a thread of a fresh process."""
    command = [sys.executable, "-c", DECODE, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_photo_is_decoded_into_the_memory_of_the_one_before() -> None:
    assert pages("kept") < 1000, "48 MB are 11,719 pages"
    assert pages("given back") > 5000, "without it, or the call could be left out"
