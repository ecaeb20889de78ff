"""The plots of `docs/benchmarks.md`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.compare.costs import parts
from bench.compare.figures import Results, spread
from bench.compare.tables import levels, names

mpl.use("Agg")
_STYLES = ("-o", "--s", ":^", "-.d")


def throughput(results: Results, kind: str, path: Path) -> None:
    """Answers per second by clients."""
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for index, name in enumerate(names(results, kind)):
        clients = [n for n in levels(results, kind) if results.select(name, kind, n)]
        points = [spread([row.per_s for row in results.select(name, kind, n)]) for n in clients]
        axes.errorbar(
            clients,
            [point.median for point in points],
            [
                [point.median - point.low for point in points],
                [point.high - point.median for point in points],
            ],
            fmt=_STYLES[index % len(_STYLES)],
            capsize=3,
            label=name,
        )
    for engine in dict.fromkeys(row.engine for row in results.bare):
        per_s = [row.per_s for row in results.bare if (row.engine, row.kind) == (engine, kind)]
        axes.axhline(spread(per_s).median, color="grey", linewidth=0.8)
        axes.annotate(f"bare, {engine}", (1, spread(per_s).median), color="grey", va="bottom")
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels(results, kind), [str(n) for n in levels(results, kind)])
    axes.set(xlabel="clients", ylabel="right answers per second", title=f"Photos of {kind}")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def latency(results: Results, kind: str, path: Path) -> None:
    """Goodput and p99 over the open load; where there is none, p50 and p99 by clients."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    if results.open:
        for name in dict.fromkeys(row.candidate for row in results.open):
            own = [row for row in results.open if row.candidate == name]
            factors = sorted({row.factor for row in own})
            at = [[row for row in own if row.factor == factor] for factor in factors]
            good = [spread([row.goodput_per_s for row in rows]).median for rows in at]
            late = [spread([row.p99_ms for row in rows]).median for rows in at]
            left.plot(factors, good, "-o", label=name)
            right.plot(factors, late, "-o", label=name)
        left.set(xlabel="load, as a multiple of capacity", ylabel="good answers per second")
        right.set(xlabel="load, as a multiple of capacity", ylabel="p99 of good answers, ms")
    else:
        for name in names(results, kind):
            clients = [n for n in levels(results, kind) if results.select(name, kind, n)]
            rows = [results.select(name, kind, n) for n in clients]
            left.plot(clients, [spread([r.p50_ms for r in each]).median for each in rows], "-o")
            late = [spread([r.p99_ms for r in each]).median for each in rows]
            right.plot(clients, late, "-o", label=name)
        left.set(xlabel="clients", ylabel="p50, ms", xscale="log", yscale="log")
        right.set(xlabel="clients", ylabel="p99, ms", xscale="log", yscale="log")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def cost(results: Results, kind: str, clients: int, path: Path) -> None:
    """CPU per request by part."""
    found = parts(results, kind, clients)
    figure, axes = plt.subplots(figsize=(9, 1 + 0.4 * len(found)), layout="constrained")
    order = list(dict.fromkeys(part for each in found.values() for part in each))
    left = [0.0] * len(found)
    for part in order:
        widths = [max(0.0, each.get(part, 0.0)) for each in found.values()]
        axes.barh(list(found), widths, left=left, label=part)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="CPU ms per answer", title=f"Photos of {kind}, {clients} clients")
    axes.legend(fontsize="small", loc="lower right")
    figure.savefig(path, dpi=100)
    plt.close(figure)
