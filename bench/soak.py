"""A day of work in small: 70 % load with a kill now and then; memory and descriptors stay flat.

    python -m bench.soak [--minutes 20]

Writes `docs/soak.md` and its plot; ends with 1 where something grew, was lost, wrong or late.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib as mpl
import psutil
from matplotlib import pyplot as plt

from bench.chaos import photos
from bench.chaos.load import Load, ask_all
from bench.chaos.row import Needs
from bench.chaos.stage import Stage, kill
from bench.compare.tagger import ROOT

mpl.use("Agg")

_SHARE = 0.7  # of what the service answers when it has all that it can do
_SLICE_S = 60.0  # the load is summed up as often as this
_SAMPLE_S = 5.0
_KILL_EVERY = 3  # slices
_CLIENTS = 100
_WARM_MINUTES = 3  # from then on a process must not grow
_GROWTH_MIB, _GROWTH_FDS = 16, 4  # of a process; clients come and go, and hold some
_LEFT_S = 65.0  # after which all results have expired


@dataclass(frozen=True)
class Sample:
    """What one process holds at one moment."""

    minute: float
    pid: int
    kind: str
    rss_mib: float
    fds: int


def main() -> int:
    """Run, write, and say what was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=20)
    minutes: int = parser.parse_args().minutes
    samples: list[Sample] = []
    counts: Counter[str] = Counter()
    misses: list[str] = []
    p99_ms: list[float] = []
    with Stage(Needs(engine="litert")) as stage:
        per_s = _peak_per_s(stage)
        began = time.monotonic()
        for number in range(minutes):
            photo = photos.real()
            with Load(stage.port, photo, _CLIENTS, _CLIENTS / (_SHARE * per_s)) as load:
                until = time.monotonic() + _SLICE_S
                if number % _KILL_EVERY == _KILL_EVERY - 1:
                    # The youngest: one of them lives from the beginning to the end.
                    kill(max((worker["pid"] for worker in stage.ready()), key=_started))
                    counts["workers killed"] += 1
                while time.monotonic() < until:
                    samples += _look(stage, (time.monotonic() - began) / 60)
                    stage.settle(_SAMPLE_S)
            tally = load.tally()
            counts += Counter({"requests": tally.sent, "answered 200": tally.ok})
            counts += tally.errors
            p99_ms.append(tally.percentile_s(99) * 1000)
            misses += [f"minute {number + 1}: {miss}" for miss in tally.misses(least_ok=0.99)]
            print(f"minute {number + 1}: {tally.figures()}", flush=True)
        stage.settle(_LEFT_S)
        left = stage.left_behind()
        if left:
            misses.append(f"in Redis there is still: {', '.join(sorted(left))}")
    grown = list(_growth(samples))
    misses += [
        f"{kind} {pid} grew by {mib:.0f} MiB" for kind, pid, mib, _ in grown if mib > _GROWTH_MIB
    ]
    misses += [
        f"{kind} {pid} has {fds} more files" for kind, pid, _, fds in grown if fds > _GROWTH_FDS
    ]
    _plot(samples, ROOT / "docs" / "soak.png")
    page = _page(minutes, per_s, counts, p99_ms, left, grown, misses)
    (ROOT / "docs" / "soak.md").write_text(page, encoding="utf-8")
    print(page)
    return 1 if misses else 0


def _peak_per_s(stage: Stage) -> float:
    """Return how many photos a second sixteen clients at once have answered."""
    photo, done, started = photos.real(), 0, time.monotonic()
    while (spent := time.monotonic() - started) < 15:
        done += sum(
            each.status == 200 for each in ask_all(stage.port, [photo() for _ in range(16)])
        )
    return done / spent


def _look(stage: Stage, minute: float) -> Iterator[Sample]:
    """Return a sample of every process of the service."""
    roots = {
        "redis": stage.redis.pid,
        "worker": stage.workers_parent.pid,
        "web": stage.web_parent.pid,
    }
    for kind, pid in roots.items():
        root = psutil.Process(pid)
        members = {root: kind if kind == "redis" else f"{kind}'s parent"}
        members |= dict.fromkeys(root.children(recursive=True), kind)
        for process, name in members.items():
            try:
                rss = process.memory_info().rss / 2**20
                yield Sample(minute, process.pid, name, rss, process.num_fds())
            except psutil.NoSuchProcess:
                pass  # it was killed a moment ago


def _started(pid: int) -> float:
    return psutil.Process(pid).create_time()


def _growth(samples: Sequence[Sample]) -> Iterator[tuple[str, int, float, int]]:
    """Return by how much each process grew: kind, pid, MiB, files.

    From the middle of its third of time after it was warm to that of its last; those that did
    not live for so long are left out.
    """
    for pid in dict.fromkeys(sample.pid for sample in samples):
        own = [sample for sample in samples if sample.pid == pid]
        warm = [sample for sample in own if sample.minute >= own[0].minute + _WARM_MINUTES]
        part = len(warm) // 3
        if part < 5:
            continue
        first, last = warm[:part], warm[-part:]
        mib = median(each.rss_mib for each in last) - median(each.rss_mib for each in first)
        fds = median(each.fds for each in last) - median(each.fds for each in first)
        yield own[0].kind, pid, mib, int(fds)


def _plot(samples: Sequence[Sample], path: Path) -> None:
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    colours = {
        kind: f"C{index}" for index, kind in enumerate(dict.fromkeys(s.kind for s in samples))
    }
    named = set()
    for pid in dict.fromkeys(sample.pid for sample in samples):
        own = [sample for sample in samples if sample.pid == pid]
        kind, minutes = own[0].kind, [sample.minute for sample in own]
        style = {"color": colours[kind], "label": None if kind in named else kind}
        upper.plot(minutes, [sample.rss_mib for sample in own], **style)
        lower.plot(minutes, [sample.fds for sample in own], **style)
        named.add(kind)
    upper.set(ylabel="resident memory, MiB", ylim=(0, None), title="A line per process")
    lower.set(xlabel="minutes", ylabel="open files", ylim=(0, None))
    upper.legend(fontsize="small", ncols=len(colours))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _page(
    minutes: int,
    per_s: float,
    counts: Counter[str],
    p99_ms: Sequence[float],
    left: set[str],
    grown: Sequence[tuple[str, int, float, int]],
    misses: Sequence[str],
) -> str:
    lines = [
        "# A day of work, in small",
        f"`python -m bench.soak --minutes {minutes}`: an open loop of {_SHARE:.0%} of what the "
        f"service answers at its best ({per_s:.0f} photos/s here, sixteen clients at once), real "
        f"photos, two LiteRT workers, one web process; the younger worker is killed with -9 every "
        f"{_KILL_EVERY} minutes. Every answer is held against the engine's own.",
        "![Memory and open files](soak.png)",
        "; ".join(f"{name} {count}" for name, count in counts.items())
        + f". The p99 of a minute was {median(p99_ms):.0f} ms in the median of the minutes, "
        f"{max(p99_ms):.0f} in the worst.",
        f"In Redis {_LEFT_S:.0f} s after the end: {', '.join(sorted(left)) or 'nothing'}.",
        "What processes that lived long enough grew by, from the first third of their time after "
        f"{_WARM_MINUTES} minutes to the last:",
        "\n".join(
            ["| process | MiB | files |", "| --- | --- | --- |"]
            + [f"| {kind} | {mib:+.1f} | {fds:+d} |" for kind, _, mib, fds in grown]
        ),
        "Missed: " + ("; ".join(misses) if misses else "nothing") + ".",
    ]
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
