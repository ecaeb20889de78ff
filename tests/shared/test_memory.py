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


# Prints how many MiB a process holds before and after it returns what it has freed.
FREE = """
import psutil
from shared.memory import return_freed_memory

pieces = [b"x" * 60_000 for _ in range(4000)]
last = pieces[-1]  # stays, above all the others: the C library by itself frees the top alone
del pieces
held = psutil.Process().memory_info().rss
return_freed_memory()
print(held >> 20, psutil.Process().memory_info().rss >> 20)
"""


def test_freed_memory_goes_back_when_it_is_asked_for() -> None:
    command = [sys.executable, "-c", FREE]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, after = map(int, output.split())
    assert before - after > 200
