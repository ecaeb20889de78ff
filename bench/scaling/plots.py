"""The plots of `docs/scaling.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.scaling.costs import Costs, EngineCost
from bench.scaling.figures import PRODUCT, TAGS, Row
from bench.scaling.growth import BATCH, RATES, needs

mpl.use("Agg")
_AXES = (("web", "web processes"), ("workers", "workers"), ("models", "models"))  # what is varied
_PARTS = ("web", "redis", "worker", "load")


def throughput(rows: Sequence[Row], predicted: Sequence[float], path: Path) -> None:
    """Images per second and CPU per image, by web processes, workers and models.

    `predicted` has a rate per row.
    """
    figure, grid = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
    both = list(zip(rows, predicted, strict=True))
    for column, (sweep, label) in enumerate(_AXES):
        top, bottom = grid[0][column], grid[1][column]
        for kind, style in ((TAGS, "-o"), (PRODUCT, "-s")):
            own = [(row, rate) for row, rate in both if (row.sweep, row.kind) == (sweep, kind)]
            across = [getattr(row, sweep) for row, _ in own]
            (line,) = top.plot(across, [row.per_s for row, _ in own], style, label=kind)
            top.plot(across, [rate for _, rate in own], ":", color=line.get_color())
            if kind == TAGS:
                floor = [0.0] * len(own)
                for part in _PARTS:
                    heights = [row.ms(part) for row, _ in own]
                    bottom.bar([str(each) for each in across], heights, bottom=floor, label=part)
                    floor = [low + height for low, height in zip(floor, heights, strict=True)]
        top.set(xscale="log", ylim=(0, None), xlabel=label, ylabel="images per second")
        top.set_xticks(across, [str(each) for each in across], minor=False)
        top.minorticks_off()
        bottom.set(xlabel=label, ylabel=f"CPU ms per image, {TAGS}")
    grid[0][0].legend(fontsize="small", title="dotted: the model")
    grid[1][0].legend(fontsize="small")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def growth(costs: Costs, engines: dict[str, EngineCost], path: Path) -> None:
    """Cores and shards over the rate."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    rates = [RATES[0] * 10 ** (step / 10) for step in range(31)]
    (name, cpu), (other, fast) = engines.items()
    lines: dict[str, list[float]] = {
        "web cores": [rate * costs.web[TAGS].ms() / 1000 for rate in rates],
        f"worker cores, {name}": [
            float(needs(costs, TAGS, cpu, rate).worker_cores) for rate in rates
        ],
        f"workers, {other}": [float(needs(costs, TAGS, fast, rate).workers) for rate in rates],
        "Redis, cores busy": [
            rate * costs.redis_ms(TAGS, BATCH, tcp=True) / 1000 for rate in rates
        ],
    }
    for label, values in lines.items():
        axes.plot(rates, values, label=label)
    axes.set(xscale="log", yscale="log", xlabel="images per second", ylabel="how many")
    axes.set_title("Costs multiplied; measured up to this machine's own rate only", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=100)
    plt.close(figure)
