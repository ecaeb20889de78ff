"""Freed memory stays with the process that asks for it; what a start needed alone goes back."""

from __future__ import annotations

import subprocess
import sys

from shared.memory import _unchanged

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


def test_files_that_differ_in_memory_or_can_be_written_are_kept() -> None:
    mappings = """\
55d0c000-55d0f000 r-xp 00002000 08:02 173521 /usr/lib/changed by a relocation.so
Size:                 12 kB
Anonymous:             4 kB
VmFlags: rd ex mr mw me
55d0f000-55d10000 r--p 00002000 08:02 173521 /usr/lib/as on disk.so
Size:                  4 kB
Anonymous:             0 kB
55d10000-55d11000 rw-p 00002000 08:02 173521 /usr/lib/to be written.so
Anonymous:             0 kB
55d11000-55d12000 r--s 00002000 08:02 173521 /dev/shm/shared with others
Anonymous:             0 kB
55d12000-55d13000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffd4000-7ffd6000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
7ffe4000-7ffe6000 r-xp 00000000 08:02 173522 /usr/bin/python3
Anonymous:             0 kB
"""
    assert list(_unchanged(mappings)) == [(0x55D0F000, 0x55D10000), (0x7FFE4000, 0x7FFE6000)]
