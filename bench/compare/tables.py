"""The tables of `docs/benchmarks.md`, each from the raw figures of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.compare.figures import Results, Row, Spread, difference, paired, ratio, spread


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column left, the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float, digits: int) -> str:
    """Return a figure, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def ranged(figure: Spread, digits: int = 2) -> str:
    """Return the median, and lowest to highest."""
    if math.isnan(figure.median):
        return "-"
    low, high = number(figure.low, digits), number(figure.high, digits)
    return f"{number(figure.median, digits)} ({low} to {high})"


def names(results: Results, kind: str) -> list[str]:
    """Return who was measured with photos of that kind, this service first."""
    found = dict.fromkeys(row.candidate for row in results.rows if row.kind == kind)
    return sorted(found, key=lambda name: (not name.startswith("Batchpoint"), name))


def levels(results: Results, kind: str) -> list[int]:
    """Return the numbers of clients that were measured with photos of that kind."""
    return sorted({row.clients for row in results.rows if row.kind == kind})


def bare(results: Results) -> str:
    """What the engines do without any server."""
    found = dict.fromkeys((row.engine, row.kind) for row in results.bare)
    rows = []
    for engine, kind in sorted(found):
        own = [row for row in results.bare if (row.engine, row.kind) == (engine, kind)]
        rows.append(
            [
                f"{engine}, {kind}",
                ranged(spread([row.per_s for row in own]), 1),
                ranged(spread([row.decode_ms for row in own]), 2),
                ranged(spread([row.network_ms for row in own]), 2),
                str(len(own)),
            ]
        )
    head = ["`bare`", "photos/s", "decode, CPU ms", "networks, CPU ms", "measured"]
    return table(head, rows)


def batches(results: Results) -> str:
    """Photos per second of `bare` by batch size: the largest is what all use."""
    sizes = list(next(iter(results.batches.values()), {}))
    return table(
        ["batch", *sizes],
        [
            [engine, *(number(speed, 1) for speed in speeds.values())]
            for engine, speeds in results.batches.items()
        ],
    )


def shares(results: Results, kind: str) -> str:
    """The part of `bare` that every server reaches, by clients."""
    clients = levels(results, kind)
    rows = [
        [
            name,
            *(
                ranged(spread([row.share for row in results.select(name, kind, n)]))
                for n in clients
            ),
        ]
        for name in names(results, kind)
    ]
    return table([kind, *(f"{n} client{'s' * (n > 1)}" for n in clients)], rows)


def speeds(results: Results, kind: str, clients: int) -> str:
    """Everything else about one load."""
    rows = []
    for name in names(results, kind):
        own = results.select(name, kind, clients)
        if own:
            rows.append([name, *_speed(own)])
    head = [f"{kind}, {clients} client{'s' * (clients > 1)}", "answers/s", "p50 ms", "p99 ms"]
    return table([*head, "CPU ms each", "load, CPU ms", "mean batch", "errors"], rows)


def _speed(rows: Sequence[Row]) -> list[str]:
    errors = sum((Counter(row.errors) for row in rows), Counter[str]())
    batch = spread([row.batch for row in rows]).median
    return [
        ranged(spread([row.per_s for row in rows]), 1),
        number(spread([row.p50_ms for row in rows]).median, 1),
        number(spread([row.p99_ms for row in rows]).median, 1),
        number(spread([sum(row.cpu_ms.values()) for row in rows]).median, 2),
        number(spread([row.load_cpu_ms for row in rows]).median, 2),
        number(batch, 1) if batch else "-",
        ", ".join(f"{count} x {what}" for what, count in errors.items()) or "0",
    ]


def pairs(results: Results, kind: str) -> str:
    """Ours against each other server, round by round."""
    clients = levels(results, kind)
    everyone = names(results, kind)
    ours = [name for name in everyone if name.startswith("Batchpoint") and "fixed" not in name]
    rows = []
    for own in ours:
        for other in everyone:
            if other == own or (other in ours and other < own):
                continue
            line = [f"{own}, less {other}"]
            for n in clients:
                a, b = results.select(own, kind, n), results.select(other, kind, n)
                apart, times = paired(a, b, difference), paired(a, b, ratio)
                line.append(
                    "-"
                    if math.isnan(apart.median)
                    else f"{ranged(apart)}; x {number(times.median, 2)}"
                )
            rows.append(line)
    return table([kind, *(f"{n} client{'s' * (n > 1)}" for n in clients)], rows)


def alone(results: Results, kind: str) -> str:
    """One client of ours: p50 against decode and inference, as its answers tell them."""
    rows = []
    for name in names(results, kind):
        for_one = [row for row in results.select(name, kind, 1) if row.timing_ms]
        if not for_one:
            continue
        told = {
            part: spread([row.timing_ms[part] for row in for_one]).median
            for part in for_one[0].timing_ms
        }
        rest = spread(
            [row.p50_ms - row.timing_ms["decode"] - row.timing_ms["inference"] for row in for_one]
        )
        p50 = spread([row.p50_ms for row in for_one]).median
        rows.append([name, *(number(value, 2) for value in told.values()), number(p50, 2)])
        rows[-1].append(ranged(rest, 2))
        head = ["one client, ms", *told, "p50 at the client", "p50 less decode and inference"]
    return table(head, rows) if rows else ""


def open_loads(results: Results) -> str:
    """Open loop: goodput, latencies and refusals by load."""
    found = dict.fromkeys((row.candidate, row.factor) for row in results.open)
    rows = []
    for name, factor in sorted(found):
        own = [row for row in results.open if (row.candidate, row.factor) == (name, factor)]
        errors = sum((Counter(row.errors) for row in own), Counter[str]())
        rows.append(
            [
                f"{name}, load x {factor:g}",
                number(spread([row.offered_per_s for row in own]).median, 0),
                ranged(spread([row.goodput_per_s for row in own]), 1),
                number(spread([row.p50_ms for row in own]).median, 0),
                number(spread([row.p99_ms for row in own]).median, 0),
                number(spread([row.load_cpu for row in own]).median, 2),
                ", ".join(f"{count} x {what}" for what, count in errors.items()) or "0",
            ]
        )
    head = ["open loop", "offered/s", "good/s", "p50 ms", "p99 ms", "load, cores", "not answered"]
    return table(head, rows)


def recovery(results: Results) -> str:
    """After the largest open load."""
    rows = []
    for name in dict.fromkeys(row.candidate for row in results.recovery):
        own = [row for row in results.recovery if row.candidate == name]
        kinds = sorted({kind for row in own for kind in row.work_s})
        work = {kind: spread([row.work_s.get(kind, 0.0) for row in own]).median for kind in kinds}
        rows.append(
            [
                name,
                ranged(spread([row.before_ms for row in own]), 1),
                ranged(spread([row.after_ms for row in own]), 1),
                ", ".join(f"{kind} {number(used, 2)}" for kind, used in work.items()),
            ]
        )
    head = ["", "p50 of one client before, ms", "5 s after, ms", "CPU s in these 5 s"]
    return table(head, rows)
