"""The measurements as a page: `docs/server.md`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from bench.servers.messages import Outcome
from bench.servers.speed import LOADS, Speed

CHOICE = Path(__file__).with_name("choice.md")
LOAD_LIMIT = 0.85  # a part of one core: above it the load itself may have been the limit


def page(
    refusals: dict[str, dict[str, Outcome]],
    speeds: dict[str, list[Speed]],
    versions: dict[str, str],
    absent: list[str],
    effort: str,
) -> str:
    """Return the whole page as Markdown; every table is by the candidate's name."""
    parts = [
        CHOICE.read_text(encoding="utf-8").rstrip(),
        "## What each refuses",
        "A cell in **bold** is not what is wanted. `python -m bench.servers` makes this page; the "
        "checks are in `bench/servers/messages.py` and `clients.py`.",
        refusal_table(refusals),
        "## How each keeps up",
        f"80 KB posted, 20 ms waited, 700 bytes answered; two processes. {effort} "
        "CPU is of the server's processes per answer; 'load' is the part of one core that the "
        "load took, † where it may have been the limit itself; 'busier' is the part of the "
        "answers that the busier of the two processes gave; RSS is the whole tree's.",
        *(speed_table(speeds, number) for number in range(len(LOADS))),
        "## Versions and machine",
        "\n".join(f"- {name}: {version}" for name, version in versions.items()),
        "\n".join(f"- {name}: not compared; it could not be installed here." for name in absent),
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} cores ({cpu_model()}).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def refusal_table(refusals: dict[str, dict[str, Outcome]]) -> str:
    """One row per check, one column per candidate, and how many of them held."""
    names = list(refusals)
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for check in next(iter(refusals.values())):
        cells = [mark(refusals[name][check]) for name in names]
        lines.append(f"| {check} | " + " | ".join(cells) + " |")
    held = [f"{sum(o.good for o in refusals[n].values())} of {len(refusals[n])}" for n in names]
    lines.append("| **as wanted** | " + " | ".join(held) + " |")
    return "\n".join(lines)


def mark(outcome: Outcome) -> str:
    """Return one cell."""
    return outcome.text if outcome.good else f"**{outcome.text}**"


def speed_table(speeds: dict[str, list[Speed]], number: int) -> str:
    """The table of one load, the fastest first."""
    clients, alive = LOADS[number]
    title = f"**{clients} clients, {'keep-alive' if alive else 'a new connection each time'}**"
    lines = [
        f"{title}\n",
        "| | answers/s | p50 ms | p99 ms | CPU ms | RSS MiB | busier | errors | load |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, rows in sorted(speeds.items(), key=lambda item: -item[1][number].per_s):
        row = rows[number]
        lines.append(
            f"| {name} | {row.per_s:.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} | {row.cpu_ms:.2f} "
            f"| {row.rss_mib:.0f} | {row.busier:.0%} | {row.errors} "
            f"| {row.load_cpu:.0%}{'†' if row.load_cpu > LOAD_LIMIT else ''} |"
        )
    return "\n".join(lines)


def cpu_model() -> str:
    """Return what Linux calls the processor."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
