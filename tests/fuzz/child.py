"""Prepares broken images one after another, and says of each how that ended and what it took.

python -m tests.fuzz.child SEED FIRST END: a line of JSON for each image, before and after it.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import random
import re
import sys
import time
import warnings
from pathlib import Path

import psutil

from shared.images import ImageError, Point, PointOutsideError
from shared.manifest import model_folders, read_model
from shared.memory import keep_freed_memory
from shared.preparation import prepare
from shared.settings import Settings
from tests.fuzz.mutations import mutated
from tests.service import ROOT

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"VmHWM:\s+([0-9]+) kB")
_HANGS_S = 30.0  # by the clock, on a machine that does other things, too


def main(seed: int, first: int, end: int) -> None:
    """Prepare the images of these numbers, as a web process does it."""
    warnings.simplefilter("ignore")  # Pillow has many for broken files
    logging.disable()
    keep_freed_memory()
    models = [read_model(folder) for folder in model_folders(Path(ROOT / "models"))]
    process, max_pixels = psutil.Process(), Settings().max_pixels
    for number in range(first, end):
        data, chance = mutated(number, seed), random.Random(number)
        points = [Point(chance.randrange(80), chance.randrange(50))] * chance.randrange(3)
        print(number, flush=True)
        faulthandler.dump_traceback_later(_HANGS_S, exit=True)
        started = time.process_time()
        try:
            prepare(chance.choice(models), data, points, max_pixels)
            ending = "prepared"
        except (ImageError, PointOutsideError) as error:
            ending = type(error).__name__
        except Exception as error:  # the one that is looked for
            ending = f"untyped: {error!r}"
        took_s = time.process_time() - started
        # Not getrusage's: that begins with the parent's.
        peak = int(_PEAK.search(_STATUS.read_text())[1]) * 1024  # type: ignore[index]
        told = [number, ending, took_s, process.memory_info().rss, peak]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
