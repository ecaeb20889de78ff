"""CPU and memory of a server's processes, wherever in the process tree they have gone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "BATCHPOINT_BENCH"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
Kinds = Sequence[tuple[str, str]]  # what a command line contains -> which kind of process it is


@dataclass(frozen=True)
class Memory:
    """What the processes of one kind hold, in MiB."""

    processes: int
    largest_rss: float  # resident memory of the largest, with what it shares
    pss: float  # of all; what is shared by n processes counts as an nth for each


class Usage:
    """A server's processes: those with `mark` in their environment, and their children.

    Some, as Ray's, leave the process tree; others, as Redis, write over their environment.
    """

    def __init__(self, mark: str, kinds: Kinds) -> None:
        self.roots: list[int] = []  # processes that belong to it whatever their environment says
        self._mark = f"{MARK}={mark}\0".encode()
        self._kinds = kinds

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds used so far by kind of process, ended children included."""
        spent: dict[str, float] = {}
        for kind, folder in self._processes():
            with contextlib.suppress(OSError):
                text = (folder / "stat").read_text()
                ticks = sum(map(int, text.rpartition(")")[2].split()[11:15]))
                spent[kind] = spent.get(kind, 0.0) + ticks * _TICK_S
        return spent

    def memory(self) -> dict[str, Memory]:
        """Return what each kind of process holds now."""
        held: dict[str, list[tuple[float, float]]] = {}
        for kind, folder in self._processes():
            with contextlib.suppress(OSError, StopIteration):
                rss = int((folder / "statm").read_text().split()[1]) * _PAGE_MIB
                lines = (folder / "smaps_rollup").read_text().splitlines()
                pss = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
                held.setdefault(kind, []).append((rss, pss / 1024))
        return {
            kind: Memory(len(each), max(rss for rss, _ in each), sum(pss for _, pss in each))
            for kind, each in held.items()
        }

    def kill(self) -> None:
        """End what is left of them."""
        for _, folder in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)

    def _processes(self) -> Iterator[tuple[str, Path]]:
        parents: dict[int, int] = {}
        found = set(self.roots)
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    stat = (folder / "stat").read_text()
                    parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
                    if self._mark in (folder / "environ").read_bytes():
                        found.add(int(folder.name))
        for pid in parents:
            line = [pid]
            while line[-1] in parents and line[-1] not in found:
                line.append(parents[line[-1]])
            if line[-1] in found:
                with contextlib.suppress(OSError):
                    folder = Path("/proc") / str(pid)
                    text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    kind = next((kind for part, kind in self._kinds if part in text), "server")
                    yield kind, folder
