"""A run's figures as a page: `docs/benchmarks.md` and its plots."""

from __future__ import annotations

from pathlib import Path

from bench.compare import costs, plots, tables, targets
from bench.compare.figures import Results
from bench.compare.photos import SMALL

METHOD = Path(__file__).with_name("method.md")
CROWD = 64  # clients: the load that cost and memory are shown for
PRODUCT = "product"


def write(results: Results, folder: Path) -> None:
    """Write the page and the plots into `folder`."""
    plots.throughput(results, SMALL.name, folder / "benchmarks_throughput.png")
    plots.latency(results, SMALL.name, folder / "benchmarks_latency.png")
    plots.cost(results, SMALL.name, CROWD, folder / "benchmarks_cost.png")
    (folder / "benchmarks.md").write_text(page(results), encoding="utf-8")


def page(results: Results) -> str:
    """Return the whole page as Markdown."""
    kinds = [kind for kind in dict.fromkeys(row.kind for row in results.rows) if kind != PRODUCT]
    kinds.sort(key=lambda kind: int(kind.partition("x")[0]))
    about = [f"- {name}: {text}" for name, text in results.about.items()]
    parts = [METHOD.read_text(encoding="utf-8").rstrip(), "## This run", "\n".join(about)]
    if results.failures:
        parts.append("Not measured:\n\n" + "\n".join(f"- {text}" for text in results.failures))
    parts += ["## Figures to reach", targets.text(results)]
    parts += ["## `bare`", tables.bare(results), "Photos per second by batch size:"]
    parts += [tables.batches(results), "## Shares of `bare`"]
    parts += [tables.shares(results, kind) for kind in kinds]
    parts += ["![Answers per second by clients](benchmarks_throughput.png)"]
    parts += ["## This service against each of the others, round by round"]
    parts += [tables.pairs(results, kind) for kind in kinds]
    parts += ["## One client", tables.alone(results, SMALL.name)]
    if any(row.kind == PRODUCT for row in results.rows):
        parts.append("## Overhead only: a 28x28 PNG and a 784x10 product")
        for clients in tables.levels(results, PRODUCT):
            parts.append(tables.speeds(results, PRODUCT, clients))
            parts.append(costs.memory(results, PRODUCT, clients))
    if results.open:
        parts += ["## Open loop", tables.open_loads(results), tables.recovery(results)]
    parts += ["![Latency over load](benchmarks_latency.png)", "## Cost per request by part"]
    parts += [costs.cost(results, SMALL.name, CROWD), "![Cost by part](benchmarks_cost.png)"]
    parts += ["## Processes and memory, 64 clients", costs.memory(results, SMALL.name, CROWD)]
    parts.append("## Every load")
    for kind in kinds:
        parts += [tables.speeds(results, kind, n) for n in tables.levels(results, kind)]
    return "\n\n".join(parts) + "\n"
