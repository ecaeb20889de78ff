"""Many broken images through a process that may die of one, and what was seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field

from tests.service import ROOT

_SETTLED = 1000  # images after which a process has the memory that it works with

MIB = 1024 * 1024
_MOST_AT_ONCE = 768 * MIB  # 50 megapixels three times, in 4 bytes each, and the process itself


@dataclass
class Seen:
    """How the images ended, and what they took."""

    endings: Counter[str] = field(default_factory=Counter)
    bad: dict[int, str] = field(default_factory=dict)  # number -> what went wrong
    longest_s: float = 0.0  # CPU, of one image
    longest: int = 0  # its number
    resident: list[int] = field(default_factory=list)  # bytes, after each image
    peak: int = 0  # bytes, while one was read
    highest: int = 0  # its number

    @property
    def growth_mib(self) -> float:
        """By how much the process grew once it had settled: its peak over where it began."""
        settled = self.resident[min(_SETTLED, len(self.resident) // 2) :]
        return (max(settled) - settled[0]) / MIB

    @property
    def misses(self) -> list[str]:
        """Return which promises were not kept: none is right."""
        found = [f"image {number}: {text}" for number, text in self.bad.items()]
        if self.longest_s > 1:
            found.append(f"image {self.longest} took {self.longest_s:.2f} s")
        if self.growth_mib > 64:
            found.append(f"memory grew by {self.growth_mib:.0f} MiB")
        if self.peak > _MOST_AT_ONCE:
            found.append(f"image {self.highest} took memory up to {self.peak // MIB} MiB")
        return found


def fuzz(count: int, seed: int = 0, child: str = "tests.fuzz.child") -> Seen:
    """Prepare the first `count` broken images of `seed` in processes that run `child`.

    One that dies is replaced by another, which goes on after the image that did it.
    """
    seen, first = Seen(), 0
    while first < count:
        first = _run([child, str(seed), str(first), str(count)], first, seen) + 1
    return seen


def _run(command: list[str], first: int, seen: Seen) -> int:
    """Run one process; return the number of the last image that it began."""
    begun, over = first, False
    python = [sys.executable, "-m"]
    with subprocess.Popen([*python, *command], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for line in child.stdout:
            told = json.loads(line)
            over = isinstance(told, list)
            if over:
                _note(seen, *told)
            else:
                begun = told
    if not over:
        seen.bad[begun] = f"the process ended by it (status {child.returncode})"
    return begun


def _note(seen: Seen, number: int, ending: str, took_s: float, resident: int, peak: int) -> None:
    seen.endings[ending.split(":")[0]] += 1
    seen.resident.append(resident)
    if ending.startswith("untyped"):
        seen.bad[number] = ending
    if took_s > seen.longest_s:
        seen.longest_s, seen.longest = took_s, number
    if peak > seen.peak:
        seen.peak, seen.highest = peak, number
