"""Freed memory stays with the process that asks for it; what a start needed alone goes back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.memory import _as_on_disk

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
from shared.memory import return_unused_memory

pieces = [b"x" * 60_000 for _ in range(4000)]
last = pieces[-1]  # stays, above all the others: the C library by itself frees the top alone
del pieces
held = psutil.Process().memory_info().rss
return_unused_memory()
print(held >> 20, psutil.Process().memory_info().rss >> 20)
"""


def test_freed_memory_goes_back_when_it_is_asked_for() -> None:
    command = [sys.executable, "-c", FREE]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, after = map(int, output.split())
    assert before - after > 200


# Prints how many MiB of mapped files a process holds before and after, and multiplies matrices.
CODE = """
import psutil, numpy, sklearn.ensemble
from shared.memory import return_unused_memory

def mapped():
    return sum(each.rss for each in psutil.Process().memory_maps() if each.path[0] == "/") >> 20

held = mapped()
return_unused_memory()
print(held, mapped())
product = numpy.ones((200, 300)) @ numpy.ones((300, 200))
assert (product == 300).all() and sklearn.ensemble.IsolationForest(random_state=1).fit(product)
"""


def test_the_code_of_libraries_goes_back_and_comes_again_when_it_is_run() -> None:
    command = [sys.executable, "-c", CODE]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, after = map(int, output.split())
    assert after < before / 2


@pytest.mark.parametrize(
    ("mapping", "as_on_disk"),
    [
        ("r-xp 00002000 08:02 173521 /usr/lib/code.so", True),
        ("r--p 00000000 08:02 173521 /usr/lib/jos\xe9/constants.so", True),
        ("r--p 00000000 08:02 173521 /usr/lib/relocated.so, 4 kB of its own", False),
        ("r--p 00000000 08:02 173521 /usr/lib/relocated.so, 4 kB swapped out", False),
        ("rw-p 00002000 08:02 173521 /usr/lib/to be written.so", False),
        ("r--s 00002000 08:02 173521 /dev/shm/shared with others", False),
        ("r--p 00000000 00:00 0", False),
        ("r-xp 00000000 00:00 0 [vdso]", False),
    ],
)
def test_only_files_of_which_no_page_is_its_own_leave(mapping: str, as_on_disk: bool) -> None:
    own, swapped = 4 * ("of its own" in mapping), 4 * ("swapped" in mapping)
    smaps = (
        f"55d0f000-55d10000 {mapping}\nSize: 4 kB\nAnonymous: {own} kB\nKSM: 0 kB\n"
        f"Swap: {swapped} kB\nSwapPss: 0 kB\nVmFlags: rd mr mw me\n"
        "7ffe4000-7ffe6000 r-xp 00000000 08:02 173522 /usr/bin/python3\n"
        "Size: 8 kB\nAnonymous: 0 kB\nSwap: 0 kB\nSwapPss: 0 kB\n"
    )
    expected = [(0x55D0F000, 0x55D10000)] * as_on_disk + [(0x7FFE4000, 0x7FFE6000)]
    assert list(_as_on_disk(smaps.encode("latin-1"))) == expected
